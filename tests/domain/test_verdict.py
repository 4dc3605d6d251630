"""Who rules a figure: the narrowest rule, the set of statements and not their order, and the same as the pure merge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations, permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.domain.architecture import Architecture, Wish, changes, named
from oneshelf.domain.command import CountedFigure
from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.seen import is_quoted
from oneshelf.domain.statement import Document, Standing, Statement, key_of
from oneshelf.domain.truth import DEFAULT, Scope, Strategy, TruthRule, deciding, rule_from
from oneshelf.domain.verdict import decide
from oneshelf.domain.version.context import Dot, context_of
from oneshelf.domain.version.quantity import Count, Delta, Quantity, Reading
from oneshelf.errors import MalformedError

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
MUG, BERLIN, ON_HAND = Sku("MUG-BLUE"), Location("BER"), CountedFigure.ON_HAND
SOURCES = ("erp", "wms", "till")


def standing(
    number: int, source: str, units: int, seen: frozenset[Document] = frozenset(), value: int | None = None
) -> Standing:
    said = Statement(
        source=source,
        document=f"{number}",
        sku=MUG,
        location=BERLIN,
        units=units,
        figure=ON_HAND,
        documents=tuple(sorted(seen)),
        sequence=number,
    )
    at = NOON + timedelta(seconds=number)
    return Standing(
        statement_id=UUID(int=number), statement=said, received_at=at, value=units if value is None else value
    )


@st.composite
def written(draw: st.DrawFn) -> list[tuple[str, int, int | None, frozenset[Document]]]:
    """(source, number, delta or None, seen): differences, and counts of several sources that have seen some of it."""
    done: list[tuple[str, int, int | None, frozenset[Document]]] = []
    for number in range(1, draw(st.integers(1, 7)) + 1):
        source = draw(st.sampled_from(SOURCES))
        if draw(st.booleans()):
            done.append((source, number, draw(st.integers(-5, 9)), frozenset()))
            continue
        before = [Document(name, f"{at}") for name, at, _, _ in done]
        own = frozenset(one for one in before if one.source == source)
        others = frozenset(draw(st.sets(st.sampled_from(before)))) if before else frozenset[Document]()
        done.append((source, number, None, own | others))
    return done


@given(written(), st.permutations(SOURCES), st.lists(st.integers(0, 40), min_size=7, max_size=7))
def test_by_rank_the_same_rules_as_in_the_pure_merge_of_all_that_was_written(
    told: list[tuple[str, int, int | None, frozenset[Document]]], ranks: list[str], units: list[int]
) -> None:
    """The merge has laws for any order; the decision on standing statements is held against it."""
    deltas = {Document(source, f"{number}"): delta for source, number, delta, _ in told if delta is not None}
    quantity, standings = Quantity(), []
    for source, number, delta, seen in told:
        # One dot each: numbers are the same for all sources, so gaps are in the cloud.
        if delta is not None:
            quantity = quantity.with_operation(Dot(source, number), Delta(delta))
            continue
        context = context_of(dots=[Dot(one.source, int(one.number)) for one in seen])
        quantity = quantity.with_operation(
            Dot(source, number), Count(units[number - 1], context, rank=len(ranks) - ranks.index(source))
        )
        value = units[number - 1] + sum(delta for document, delta in deltas.items() if document not in seen)
        standings.append(standing(number, source, units[number - 1], seen, value))
    reading = quantity.read()
    assert isinstance(reading, Reading)
    rule = TruthRule(strategy=Strategy.RANKS, ranks=tuple(ranks))
    verdict = decide(rule, standings)
    if verdict.winner is None:
        assert (standings, reading.ruled_by) == ([], None)
        return
    assert verdict.winner.value == reading.units
    assert reading.ruled_by == Dot(verdict.winner.statement.source, int(verdict.winner.statement.document))
    beaten = {Dot(one.statement.source, int(one.statement.document)) for one in verdict.beaten}
    assert beaten == set(reading.beaten)
    for other in list(permutations(standings))[:24]:
        assert decide(rule, other) == verdict


def test_two_that_have_seen_each_other_are_both_shown() -> None:
    first = standing(1, "erp", 5, frozenset({Document("wms", "2")}))
    second = standing(2, "wms", 7, frozenset({Document("erp", "1")}))
    verdict = decide(TruthRule(strategy=Strategy.RANKS, ranks=("wms", "erp")), [first, second])
    assert (verdict.winner, verdict.beaten, verdict.superseded) == (second, (first,), ())


def test_who_is_not_named_never_rules() -> None:
    verdict = decide(TruthRule(strategy=Strategy.RANKS, ranks=("erp",)), [standing(1, "till", 5)])
    assert (verdict.winner, len(verdict.beaten)) == (None, 1)
    assert decide(DEFAULT, [standing(1, "erp", 5)]).winner is None


def test_the_narrowest_rule_decides_and_every_tie_ends() -> None:
    scopes = [
        Scope(),
        Scope(figure=ON_HAND),
        Scope(location=BERLIN),
        Scope(pattern="*"),
        Scope(pattern="M*"),
        Scope(pattern="MUG*"),
        Scope(pattern="MUG-*"),
        Scope(pattern="MUG-*", figure=ON_HAND),
        Scope(sku_group="mugs"),
        Scope(sku=MUG),
        Scope(sku=MUG, location=BERLIN),
    ]
    rules = [TruthRule(scope=scope) for scope in scopes]
    for wider, narrower in combinations(rules, 2):
        for order in permutations((wider, narrower)):
            found = deciding(order, sku=MUG, sku_group="mugs", figure=ON_HAND, location=BERLIN)
            assert found == narrower
    alike = [TruthRule(scope=Scope(pattern=pattern)) for pattern in ("?UG*", "*UG?*")]
    assert {
        str(deciding(order, sku=MUG, sku_group=None, figure=ON_HAND, location=BERLIN)) for order in permutations(alike)
    } == {"SKUs like *UG?*: engine"}
    nowhere = deciding(rules[3:], sku=Sku("CAP"), sku_group=None, figure=ON_HAND, location=Location("HAM"))
    assert str(nowhere.scope) == "SKUs like *"
    assert deciding([], sku=MUG, sku_group=None, figure=ON_HAND, location=BERLIN) is DEFAULT


@pytest.mark.parametrize(
    "stated",
    [
        {"strategy": "leader"},
        {"strategy": "engine", "leader": "erp"},
        {"strategy": "ranks"},
        {"strategy": "ranks", "ranks": ["erp", "wms|erp"]},
        {"strategy": "engine", "tolerance_units": -1},
        {"strategy": "engine", "tolerance_units": True},
        {"strategy": "engine", "conservative": 1},
        {"strategy": "engine", "colour": "red"},
        {"strategy": "fate"},
    ],
)
def test_a_rule_that_means_nothing_is_refused(stated: dict[str, object]) -> None:
    with pytest.raises(MalformedError):
        rule_from(Scope(), stated)


def test_a_parcel_is_seen_only_where_that_was_said() -> None:
    said = Statement(
        source="erp",
        document="S",
        sku=MUG,
        location=BERLIN,
        units=1,
        figure=ON_HAND,
        documents=(Document("shop", "o1"), Document("shop", "o2", is_shipped=True)),
    )
    seen = said.seen_sources
    assert is_quoted(seen, "order shop/o1/l1")
    assert not is_quoted(seen, "order shop/o1/l1", is_shipped=True)
    assert is_quoted(seen, "order shop/o2/l1", is_shipped=True)
    assert not is_quoted(seen, "order shop/o11/l1")
    own = Statement(source="wms", document="W 1", sku=MUG, location=BERLIN, units=1)
    quoting = Statement(
        source="erp", document="S2", sku=MUG, location=BERLIN, units=1, figure=ON_HAND,
        documents=(Document("wms", "W 1"),),
    )  # fmt: skip
    assert is_quoted(quoting.seen_sources, f"{own.key}:2")
    assert key_of("wms", "W 1", sku=Sku("CAP"), location=BERLIN) != own.key


def test_a_switch_says_what_it_changes_and_switches_nobody_to_live() -> None:
    shop, market = Channel("shop"), Channel("market")
    modes = {shop: "live", market: "watch"}
    assert named([], modes) is Architecture.IMS
    assert named([], {shop: "watch"}) is Architecture.NONE
    hub = Wish(architecture=Architecture.HUB, leader="shop")
    told = changes(hub, [], modes)
    assert [(one.what, one.before, one.after, bool(one.note)) for one in told] == [
        ("rule", "everything: engine", "everything: leader shop", False),
        ("channel market", "watch", "watch", True),
    ]
    assert hub.rule is not None
    assert named([hub.rule], modes) is Architecture.HUB
    assert [one.what for one in changes(Wish(architecture=Architecture.NONE), [hub.rule], modes)] == [
        "rule",
        "channel shop",
    ]
    middleware = Wish(architecture=Architecture.MIDDLEWARE, ranks=("erp", "wms"))
    assert middleware.rule is not None
    assert named([middleware.rule], modes) is Architecture.MIDDLEWARE
    with pytest.raises(MalformedError, match="oneshelf channel list"):
        changes(Wish(architecture=Architecture.HUB, leader="erp"), [], modes)
    with pytest.raises(MalformedError):
        Wish(architecture=Architecture.IMS, leader="shop")
