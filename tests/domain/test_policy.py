"""What a listing may show: which rule wins, what each term does, and that every figure can be worked out again."""

from __future__ import annotations

from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.shop import BERLIN, CAP, HAMBURG, MUG, SHOP
from oneshelf.domain.availability import Derivation, derive, derive_bundle, recompute
from oneshelf.domain.command import Component
from oneshelf.domain.identity import UNITS_MAX, Channel, ChannelSku, Sku
from oneshelf.domain.ledger import BackorderKind, Balance
from oneshelf.domain.offering import Offered, Rules, Stock, derive_all
from oneshelf.domain.policy import (
    FLAGS,
    LOW,
    MOST,
    NO_POLICY,
    OF_WHOLESALE,
    TERMS,
    Policy,
    Rule,
    Scope,
    Terms,
    changed,
    effective,
    policy_from,
    rule_of,
)
from oneshelf.domain.terms import Beyond, Conditions, Offer, Step, shown, units_beyond, walk
from oneshelf.errors import MalformedError

GROUP, OTHER = "mugs", Channel("other")
# All scopes that reach the mug of the group on the shop, the widest first.
SCOPES = [
    Scope(),
    Scope(channel=SHOP),
    Scope(sku_group=GROUP),
    Scope(sku_group=GROUP, channel=SHOP),
    Scope(sku=MUG),
    Scope(sku=MUG, channel=SHOP),
]
BEYOND_REACH = [
    Scope(sku=CAP),
    Scope(channel=OTHER),
    Scope(sku=MUG, channel=OTHER),
    Scope(sku_group="caps"),
    Scope(sku_group=GROUP, channel=OTHER),
]


def policy(**stated: Any) -> Policy:
    """What one rule for everything states."""
    rule = rule_of(Scope(), {name.replace("low_dot_", LOW): value for name, value in stated.items()})
    return effective([rule], sku=MUG, sku_group=None, channel=SHOP)


def figure(available: int, pack_units: int = 1, **stated: Any) -> int:
    offer = Offer(available_to_sell=available, pack_units=pack_units, policy=policy(**stated))
    return shown(offer, walk(offer))


def value_of(term: str, number: int) -> int | bool:
    return bool(number % 2) if term in FLAGS else number


def one_term(term: str, number: int) -> dict[str, int | bool]:
    """A rule that states this term, and what it must say with it."""
    stated: dict[str, int | bool] = {term: value_of(term.removeprefix(LOW), number)}
    if term.removeprefix(LOW) == "floor_units":
        stated[term.replace("floor_units", "may_oversell")] = True
    return stated


# Which rule wins -----------------------------------------------------------------------------------------------


def test_the_order_of_scopes_is_total_and_a_channel_makes_each_narrower() -> None:
    assert sorted(SCOPES, key=lambda scope: scope.rank) == SCOPES
    assert len({scope.rank for scope in SCOPES}) == len(SCOPES)
    reaching = {scope for scope in SCOPES + BEYOND_REACH if scope.reaches(sku=MUG, sku_group=GROUP, channel=SHOP)}
    assert reaching == set(SCOPES)


OF_LISTINGS = [term for term in TERMS if term not in OF_WHOLESALE]


@pytest.mark.parametrize("term", [*OF_LISTINGS, *(LOW + term for term in OF_LISTINGS if term != "low_stock_at")])
def test_term_by_term_the_narrowest_rule_that_states_it_wins(term: str) -> None:
    for stating in range(1, 2 ** len(SCOPES)):
        chosen = [scope for at, scope in enumerate(SCOPES) if stating >> at & 1]
        rules = [rule_of(scope, one_term(term, SCOPES.index(scope))) for scope in chosen]
        rules += [rule_of(scope, one_term(term, 7)) for scope in BEYOND_REACH]
        won = effective(rules, sku=MUG, sku_group=GROUP, channel=SHOP)
        narrowest = chosen[-1]
        assert won.stated()[term] == value_of(term.removeprefix(LOW), SCOPES.index(narrowest))
        assert won.said_by[term] == str(narrowest)


@pytest.mark.parametrize("term", sorted(OF_WHOLESALE))
def test_what_wholesale_may_take_is_said_of_no_channel(term: str) -> None:
    with pytest.raises(MalformedError, match="is about its listings"):
        rule_of(Scope(sku=MUG, channel=SHOP), {term: 5})
    rules = [rule_of(scope, {term: SCOPES.index(scope)}) for scope in SCOPES if scope.channel is None]
    assert effective(rules, sku=MUG, sku_group=GROUP, channel=SHOP).stated()[term] == max(
        SCOPES.index(scope) for scope in SCOPES if scope.channel is None
    )


def test_the_order_in_which_rules_are_told_changes_nothing() -> None:
    rules = [rule_of(SCOPES[at], {"cap_units": at, "percent": at} | extra) for at, extra in (
        (0, {"buffer_units": 3}), (2, {}), (3, {"low_stock_at": 4}), (5, {}),
    )]  # fmt: skip
    answers = [effective(told, sku=MUG, sku_group=GROUP, channel=SHOP) for told in permutations(rules)]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0].stated() == {"percent": 5, "buffer_units": 3, "cap_units": 5, "low_stock_at": 4}
    assert answers[0].said_by == {
        "percent": "SKU MUG, channel shop",
        "cap_units": "SKU MUG, channel shop",
        "buffer_units": "everything",
        "low_stock_at": "group mugs, channel shop",
    }


def test_without_a_rule_all_that_is_available_is_shown() -> None:
    offer = Offer(available_to_sell=7)
    assert (walk(offer), shown(offer, ()), NO_POLICY.split_weight) == ((), 7, 1)
    assert effective([], sku=MUG, sku_group=GROUP, channel=SHOP) == NO_POLICY


# What may be stated --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", TERMS)
def test_a_term_out_of_its_bounds_is_refused(term: str) -> None:
    wrong: list[Any] = [1, "yes"] if term in FLAGS else [-1, MOST[term] + 1, True, 1.5, "3"]
    for value in wrong:
        with pytest.raises(MalformedError, match=term):
            rule_of(Scope(), {term: value})


def test_a_floor_has_to_say_that_it_may_oversell_and_stays_below_the_cap() -> None:
    with pytest.raises(MalformedError, match="may_oversell"):
        Terms(floor_units=2)
    with pytest.raises(MalformedError, match="may_oversell"):
        Terms(floor_units=2, may_oversell=False)
    with pytest.raises(MalformedError, match="more than cap_units"):
        Terms(floor_units=2, may_oversell=True, cap_units=1)
    assert Terms(floor_units=0).floor_units == 0


def test_a_rule_names_a_sku_or_a_group_and_only_terms_that_there_are() -> None:
    with pytest.raises(MalformedError, match="two rules"):
        Scope(sku=MUG, sku_group=GROUP)
    with pytest.raises(MalformedError, match=r"no term 'discount'.*percent, buffer_units"):
        rule_of(Scope(), {"discount": 3})
    with pytest.raises(MalformedError, match="cannot be one of them"):
        rule_of(Scope(), {"low.low_stock_at": 3})


def test_a_change_leaves_the_other_terms_and_takes_away_what_is_said_to_be_nothing() -> None:
    before = rule_of(Scope(), {"percent": 80, "cap_units": 9, "low.cap_units": 1})
    assert changed(before, {"percent": 50, "cap_units": None}).stated() == {"percent": 50, "low.cap_units": 1}
    assert changed(before, dict.fromkeys(before.stated())) == Rule(scope=Scope())


# What the terms do ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("available", "stated", "expected"),
    [
        (10, {"percent": 50}, 5),
        (9, {"percent": 50}, 4),
        (1, {"percent": 99}, 0),
        (10, {"buffer_units": 3}, 7),
        (2, {"buffer_units": 3}, 0),
        (10, {"cap_units": 3}, 3),
        (10, {"cap_units": 0}, 0),
        (3, {"stop_sell_at": 3}, 0),
        (4, {"stop_sell_at": 3}, 4),
        (3, {"min_units": 4}, 0),
        (4, {"min_units": 4}, 4),
        (10, {"allocation_units": 4}, 4),
        (0, {"floor_units": 2, "may_oversell": True}, 2),
        (5, {"floor_units": 2, "may_oversell": True}, 5),
        (0, {"floor_units": 2, "may_oversell": True, "stop_sell_at": 0}, 0),
        (100, {"percent": 50, "buffer_units": 5, "cap_units": 40, "allocation_units": 99}, 40),
        (11, {"percent": 50, "buffer_units": 1, "min_units": 4}, 4),
        (10, {"percent": 80, "low_stock_at": 10, "low_dot_percent": 50}, 5),
        (11, {"percent": 80, "low_stock_at": 10, "low_dot_percent": 50}, 8),
        (10, {"low_stock_at": 10, "low_dot_cap_units": 1, "cap_units": 9}, 1),
        (10, {"low_dot_cap_units": 1}, 10),
    ],
)
def test_what_a_term_makes_of_what_is_available(available: int, stated: dict[str, Any], expected: int) -> None:
    assert figure(available, **stated) == expected


def test_the_shelf_is_counted_in_units_and_the_listing_in_packs() -> None:
    assert figure(20, 6) == 3
    assert figure(20, 6, buffer_units=3) == 2
    assert figure(20, 6, cap_units=2) == 2
    assert figure(20, 6, min_units=4) == 0
    assert figure(5, 6, floor_units=1, may_oversell=True) == 1


def test_a_computed_buffer_is_what_was_measured_and_at_least_the_fixed_one() -> None:
    for computed, fixed, expected in ((4, None, 6), (4, 7, 3), (0, None, 10), (0, 2, 8)):
        stated = {"computed_buffer": True, **({} if fixed is None else {"buffer_units": fixed})}
        offer = Offer(available_to_sell=10, policy=policy(**stated), computed_buffer_units=computed)
        assert shown(offer, walk(offer)) == expected
    unasked = Offer(available_to_sell=10, policy=policy(buffer_units=1), computed_buffer_units=9)
    assert shown(unasked, walk(unasked)) == 9


def test_what_may_be_promised_beyond_the_shelf_is_offered_on_top_up_to_the_rules_figure() -> None:
    for kind, term in ((BackorderKind.BACKORDER, "backorder_units"), (BackorderKind.PREORDER, "preorder_units")):
        for stated, expected in (({}, 12), ({term: 3}, 5), ({term: 0}, 2), ({"cap_units": 4}, 4)):
            offer = Offer(available_to_sell=2, beyond=Beyond(10, kind), policy=policy(**stated))
            assert shown(offer, walk(offer)) == expected
            assert units_beyond(offer, expected) == 0, "the ledger may promise them"
    in_packs = Offer(available_to_sell=4, beyond=Beyond(3), pack_units=6)
    assert shown(in_packs, walk(in_packs)) == 1


def test_what_a_floor_shows_beyond_the_shelf_is_its_exposure() -> None:
    for available, floor, pack_units, beyond in ((0, 2, 1, 2), (1, 2, 1, 1), (5, 2, 1, 0), (5, 2, 6, 7)):
        offer = Offer(
            available_to_sell=available, pack_units=pack_units, policy=policy(floor_units=floor, may_oversell=True)
        )
        assert units_beyond(offer, shown(offer, walk(offer))) == beyond


def test_a_cap_and_a_narrower_word_hold_against_a_floor_of_another_rule() -> None:
    floor = rule_of(Scope(), {"floor_units": 5, "may_oversell": True})
    for narrower, expected in (({"cap_units": 0}, 0), ({"may_oversell": False}, 1), ({}, 5)):
        rules = [floor, *([rule_of(Scope(sku=MUG), narrower)] if narrower else [])]
        offer = Offer(available_to_sell=1, policy=effective(rules, sku=MUG, sku_group=None, channel=SHOP))
        assert shown(offer, walk(offer)) == expected


def test_each_step_says_its_rule_and_what_it_did() -> None:
    rules = [
        rule_of(Scope(), {"percent": 80, "low_stock_at": 30, "low.percent": 50}),
        rule_of(Scope(channel=SHOP), {"cap_units": 3}),
    ]
    offer = Offer(available_to_sell=25, pack_units=2, policy=effective(rules, sku=MUG, sku_group=None, channel=SHOP))
    assert walk(offer) == (
        Step("50 percent", 25, 12, "everything, low stock"),
        Step("whole packs of 2", 12, 6),
        Step("cap of 3", 6, 3, "channel shop"),
    )


def test_the_weight_of_a_listing_is_its_margin_and_its_penalty() -> None:
    assert policy(margin_weight=3, penalty_weight=4).split_weight == 7
    assert policy(penalty_weight=4).split_weight == 4
    assert policy(margin_weight=0).split_weight == 0
    low = policy(margin_weight=3, low_stock_at=5, low_dot_margin_weight=9)
    assert [low.at(units).split_weight for units in (6, 5)] == [3, 9]


# Laws ----------------------------------------------------------------------------------------------------------

FLOOR = {"floor_units", "may_oversell"}
_NUMBERS = st.one_of(st.integers(0, 12), st.integers(0, 60), st.integers(0, UNITS_MAX))


@st.composite
def policies(draw: st.DrawFn, *, without: frozenset[str] = frozenset()) -> Policy:
    """What rules of several scopes can amount to, also what no single rule may say."""
    stated: dict[str, int | bool] = {}
    for name in (*TERMS, *(LOW + term for term in TERMS if term != "low_stock_at")):
        term = name.removeprefix(LOW)
        if term not in without and draw(st.integers(0, 3)) == 0:
            stated[name] = draw(st.booleans()) if term in FLAGS else min(MOST[term], draw(_NUMBERS))
    return policy_from(stated, dict.fromkeys(stated, "a rule"))


@st.composite
def offers(draw: st.DrawFn, *, without: frozenset[str] = frozenset()) -> Offer:
    return Offer(
        available_to_sell=draw(_NUMBERS),
        pack_units=draw(st.integers(1, 6)),
        policy=draw(policies(without=without)),
        beyond=Beyond(draw(st.integers(0, 9)), draw(st.sampled_from(BackorderKind))),
        computed_buffer_units=draw(st.integers(0, 9)),
        allocated_elsewhere=draw(st.integers(0, 9)),
    )


@pytest.mark.long
@given(offers())
def test_each_step_begins_where_the_last_one_ended_and_no_figure_is_impossible(offer: Offer) -> None:
    steps = walk(offer)
    units = offer.available_to_sell
    for step in steps:
        assert step.before == units
        units = step.after
    assert 0 <= shown(offer, steps) == units <= UNITS_MAX


@given(offers(without=frozenset(FLOOR)))
def test_without_a_floor_nothing_is_shown_that_is_not_there_or_may_not_be_promised(offer: Offer) -> None:
    units = shown(offer, walk(offer))
    assert units * offer.pack_units <= offer.available_to_sell + offer.beyond.units
    assert units_beyond(offer, units) == 0


@given(offers())
def test_a_cap_is_never_passed(offer: Offer) -> None:
    cap = offer.policy.at(offer.available_to_sell).terms.cap_units
    assert cap is None or shown(offer, walk(offer)) <= cap


# Listings of one shelf -----------------------------------------------------------------------------------------


def offered(name: str, channel: Channel = SHOP, **more: Any) -> Offered:
    standard: dict[str, Any] = {"sku": MUG, "location": BERLIN, "pack_units": 1}
    return Offered(channel=channel, channel_sku=ChannelSku(name), **{**standard, **more})


def stock(beyond: int = 0, **available: int) -> Stock:
    shelves = {}
    for sku in ("MUG", "CAP"):
        balance = Balance(version=1)
        balance.units[next(iter(balance.units))] = available.get(sku, 0)
        shelves[Sku(sku)] = {BERLIN: balance}
    return Stock(shelves=shelves, in_suspense={}, beyond={(MUG, BERLIN): Beyond(beyond)})


def test_what_is_set_aside_for_one_channel_is_not_shown_by_another() -> None:
    rules = Rules([rule_of(Scope(channel=OTHER), {"allocation_units": 4})])
    listings = [offered("a"), offered("b", OTHER), offered("c", location=HAMBURG)]
    for available, expected in ((10, [6, 4, 0]), (3, [0, 3, 0])):
        derived = derive_all(listings, rules, stock(MUG=available))
        assert [derived[one.key].units for one in listings] == expected


def test_a_bundle_goes_by_the_rules_of_its_own_sku_and_by_what_its_components_allow() -> None:
    parts = (Component(sku=MUG, units=2), Component(sku=CAP, units=1))
    duo = offered("duo", sku=Sku("DUO"), components=parts)
    rules = Rules([rule_of(Scope(sku=MUG), {"cap_units": 1}), rule_of(Scope(sku=Sku("DUO")), {"buffer_units": 1})])
    derived = derive_all([duo], rules, stock(MUG=9, CAP=7))[duo.key]
    assert (derived.available_to_sell, derived.units) == (4, 3)
    promised = derive_all([duo], rules, stock(beyond=3, MUG=1, CAP=7))[duo.key]
    assert (promised.conditions.beyond, promised.units) == (Beyond(2), 2)
    assert recompute(promised) == 2


def test_what_was_never_counted_is_shown_where_a_preorder_says_so() -> None:
    nothing: dict[str, Any] = {"available": {}, "ledger_versions": {}, "in_suspense": 0, "suspense_version": 0}
    assert derive(**nothing, pack_units=1).version == 0
    preorder = derive(**nothing, pack_units=1, conditions=Conditions(beyond=Beyond(5, BackorderKind.PREORDER)))
    assert (preorder.units, preorder.version) == (5, 1)


@given(offers(), st.integers(0, 40), st.integers(0, 9), st.integers(0, 2**32))
def test_every_derivation_recomputes_to_its_figure(offer: Offer, units: int, suspense: int, seed: int) -> None:
    chance = Random(seed)
    single = _derived(offer, units, suspense)
    assert recompute(single) == single.units
    parts = [
        (Component(sku=sku, units=chance.randint(1, 3)), _derived(Offer(available_to_sell=0), units, suspense))
        for sku in (MUG, CAP)
    ]
    bundle = derive_bundle(parts, pack_units=offer.pack_units, conditions=conditions(offer))
    assert recompute(bundle) == bundle.units


def _derived(offer: Offer, units: int, suspense: int) -> Derivation:
    return derive(
        available={BERLIN: units, HAMBURG: -3},
        ledger_versions={BERLIN: 2},
        in_suspense=suspense,
        suspense_version=1,
        pack_units=offer.pack_units,
        conditions=conditions(offer),
    )


def conditions(offer: Offer) -> Conditions:
    return Conditions(
        policy=offer.policy,
        beyond=offer.beyond,
        computed_buffer_units=offer.computed_buffer_units,
        allocated_elsewhere=offer.allocated_elsewhere,
    )
