"""Policies on the database: planned, previewed, changed with their history, explained, and worked out again."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random
from typing import Any

import psycopg
import pytest

from domain.shop import BERLIN, CAP, DUO, HAMBURG, MUG, SHOP, demand, key, lock
from flow.shelf_world import CLOCK, Ledger, open_ledger
from flow.trade import Trade
from oneshelf.domain.allocation import AllocationPlan, part_from
from oneshelf.domain.availability import Derivation, recompute
from oneshelf.domain.command import Receive
from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.outcome import UnknownSku
from oneshelf.domain.policy import FLAGS, LOW, MOST, OF_WHOLESALE, TERMS, Rule, Scope, UnknownChannel, rule_of
from oneshelf.errors import MalformedError
from oneshelf.flow import explain, plan, post, preview, rule
from oneshelf.flow.preview import Preview
from oneshelf.storage import catalog, facts, policies
from oneshelf.storage.database import Database, now
from oneshelf.storage.derivations import derivation_from

pytestmark = [pytest.mark.pg, pytest.mark.timeout(300)]

MARKET = Channel("market")


async def link(ledger: Ledger, *listings: tuple[str, str, str, int]) -> None:
    """(channel, listing, SKU, pack) each, and the channel market, and what has to be planned for it."""
    async with ledger.database.transaction() as tx:
        await catalog.add_channel(tx, catalog.NewChannel(MARKET, "paper", BERLIN, {}, {}, {}))
    for channel, name, sku, pack in listings:
        await ledger.rows(
            f"insert into listings (channel, channel_sku, sku, pack_units) values ('{channel}', '{name}', '{sku}', "
            f"{pack}) returning 1"
        )
        await ledger.rows(f"insert into touched (sku) values ('{sku}') returning 1")


async def shown(ledger: Ledger) -> dict[str, int]:
    """Plans all there is to plan. listing -> desired units."""
    while await plan.plan(ledger.database):
        pass
    rows = await ledger.rows("select channel_sku, desired_units from listings")
    return {row["channel_sku"]: row["desired_units"] for row in rows}


async def say(ledger: Ledger, scope: Scope, **stated: Any) -> None:
    outcome = await rule.put_rule(ledger.database, rule_of(scope, stated), actor="test")
    assert isinstance(outcome, rule.Ruled)


async def look_ahead(database: Database, scope: Scope, changes: dict[str, int | bool | None], **more: Any) -> Preview:
    wished = await preview.preview(database, scope, changes, **more)
    assert isinstance(wished, Preview)
    return wished


async def touched(ledger: Ledger) -> set[str]:
    return {row["sku"] for row in await ledger.rows("select distinct sku from touched")}


async def publications(ledger: Ledger) -> list[Derivation]:
    rows = await ledger.rows("select derivation, units, version from publications")
    return [derivation_from(row["derivation"], units=row["units"], version=row["version"]) for row in rows]


LISTINGS = (
    ("shop", "mug", "MUG", 1),
    ("market", "mug!", "MUG", 1),
    ("market", "six", "MUG", 6),
    ("shop", "cap", "CAP", 1),
)


async def test_a_rule_changes_what_its_listings_show_and_nothing_else(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 20, "CAP": 5}) as ledger:
        await link(ledger, *LISTINGS)
        assert await shown(ledger) == {"mug": 20, "mug!": 20, "six": 3, "cap": 5}
        await say(ledger, Scope(channel=MARKET), percent=50)
        await say(ledger, Scope(sku=MUG, channel=SHOP), buffer_units=2)
        assert await shown(ledger) == {"mug": 18, "mug!": 10, "six": 1, "cap": 5}
        assert await rule.put_in_group(ledger.database, CAP, "heads", actor="test") is None
        await say(ledger, Scope(sku_group="heads"), cap_units=4)
        assert (await shown(ledger))["cap"] == 4
        assert await rule.put_in_group(ledger.database, CAP, None, actor="test") is None
        assert (await shown(ledger))["cap"] == 5
        await rule.end_rule(ledger.database, Scope(channel=MARKET), actor="test")
        assert await shown(ledger) == {"mug": 18, "mug!": 20, "six": 3, "cap": 5}


async def test_a_rule_has_exactly_the_skus_planned_again_that_it_can_reach(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 20, "CAP": 5}) as ledger:
        await link(ledger, *LISTINGS)
        await rule.put_in_group(ledger.database, CAP, "heads", actor="test")
        for scope, expected in (
            (Scope(), {"MUG", "CAP"}),
            (Scope(channel=MARKET), {"MUG"}),
            (Scope(sku_group="heads"), {"CAP"}),
            (Scope(sku_group="heads", channel=MARKET), set()),
            (Scope(sku=MUG, channel=SHOP), {"MUG"}),
        ):
            await shown(ledger)
            await say(ledger, scope, cap_units=7)
            assert await touched(ledger) == expected, str(scope)
            await shown(ledger)
            await say(ledger, scope, cap_units=7)
            assert await touched(ledger) == set(), "saying it again changes nothing"
            await rule.end_rule(ledger.database, scope, actor="test")
            assert await touched(ledger) == expected, str(scope)


async def test_units_set_aside_for_one_channel_are_missing_from_the_others(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 20, "CAP": 5}) as ledger:
        await link(ledger, *LISTINGS)
        await say(ledger, Scope(sku=MUG, channel=SHOP), allocation_units=8)
        assert await shown(ledger) == {"mug": 8, "mug!": 12, "six": 2, "cap": 5}


async def test_a_backorder_is_offered_on_top_less_what_is_promised_of_it(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 2}) as ledger:
        await link(ledger, ("shop", "mug", "MUG", 1), ("market", "mug!", "MUG", 1))
        await say(ledger, Scope(channel=MARKET), backorder_units=0)
        assert await shown(ledger) == {"mug": 2, "mug!": 2}
        await ledger.allow(5)
        assert await shown(ledger) == {"mug": 7, "mug!": 2}
        await ledger.ask(lock(demand(MUG, 3)))
        assert await shown(ledger) == {"mug": 4, "mug!": 0}
        await ledger.ask(lock(demand(MUG, 1)))
        assert await shown(ledger) == {"mug": 3, "mug!": 0}, "nothing moved, and one fewer may be promised"
        await ledger.ask(Receive(key=key(), sku=MUG, location=BERLIN, units=4))
        assert await shown(ledger) == {"mug": 7, "mug!": 2}
        await ledger.allow(None)
        assert await shown(ledger) == {"mug": 2, "mug!": 2}


async def test_a_preorder_of_what_was_never_counted_is_published(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await link(ledger, ("shop", "mug", "MUG", 1))
        assert await shown(ledger) == {"mug": 0}
        await ledger.allow(5)
        assert await shown(ledger) == {"mug": 5}
        [row] = await ledger.rows("select desired_version from listings")
        assert row["desired_version"] > 0


async def test_who_changed_what_is_written_down_and_stays(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 2}) as ledger:
        await say(ledger, Scope(sku=MUG), cap_units=3, percent=50)
        changes: dict[str, int | bool | None] = {"cap_units": 4, "percent": None}
        await rule.change_rule(ledger.database, Scope(sku=MUG), changes, actor="cli")
        await rule.put_in_group(ledger.database, MUG, "cups", actor="cli")
        await rule.end_rule(ledger.database, Scope(sku=MUG), actor="test")
        await rule.end_rule(ledger.database, Scope(sku=MUG), actor="test")
        async with ledger.database.transaction() as tx:
            told = await policies.history(tx, limit=10)
            older = await policies.history(tx, before=told[1].change_id, limit=1)
        assert [(one.actor, one.sku, one.before, one.after) for one in told] == [
            ("test", "MUG", {"cap_units": 4}, {}),
            ("cli", "MUG", {}, {"sku_group": "cups"}),
            ("cli", "MUG", {"cap_units": 3, "percent": 50}, {"cap_units": 4}),
            ("test", "MUG", {}, {"cap_units": 3, "percent": 50}),
        ]
        assert older == [told[2]]
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.RaiseException, match="stays written down"):
        connection.execute("delete from policy_changes")


async def test_a_rule_for_nobody_known_is_refused(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        nobody, nowhere = Sku("NOBODY"), Channel("nowhere")
        for scope, refusal in (
            (Scope(sku=nobody), UnknownSku(nobody)),
            (Scope(channel=nowhere), UnknownChannel(nowhere)),
        ):
            assert await rule.put_rule(ledger.database, rule_of(scope, {"percent": 1}), actor="test") == refusal
            assert await rule.end_rule(ledger.database, scope, actor="test") == refusal
            assert await preview.preview(ledger.database, scope, {}) == refusal
        assert await rule.put_in_group(ledger.database, nobody, "x", actor="test") == UnknownSku(nobody)
        with pytest.raises(MalformedError, match="may_oversell"):
            await rule.change_rule(ledger.database, Scope(), {"floor_units": 1}, actor="test")
        assert await ledger.rows("select 1 from policy_changes union all select 1 from policies") == []


# Preview ---------------------------------------------------------------------------------------------------------


async def test_a_preview_tells_what_would_be_shown_and_saves_nothing(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 20, "CAP": 5}) as ledger:
        await link(ledger, *LISTINGS)
        await say(ledger, Scope(channel=MARKET), cap_units=15)
        before = await shown(ledger)
        wished = await look_ahead(ledger.database, Scope(channel=MARKET), {"percent": 50})
        assert wished.rule.stated() == {"percent": 50, "cap_units": 15}
        told = {one.channel_sku: (one.now_units, one.would_units) for one in wished.effects}
        assert told == {"mug!": (15, 10), "six": (3, 1)}
        assert [step.rule for step in wished.effects[0].steps] == ["channel market"] * 2
        instead = await look_ahead(ledger.database, Scope(channel=MARKET), {}, replaces=True)
        assert [one.would_units for one in instead.effects] == [20, 3]
        assert await touched(ledger) == set()
        assert await shown(ledger) == before
        await say(ledger, Scope(channel=MARKET), percent=50, cap_units=15)
        after = await shown(ledger)
        assert {name: after[name] for name in told} == {name: would for name, (_, would) in told.items()}


async def test_a_preview_keeps_back_the_measured_buffer_as_planning_does(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 20, "CAP": 5}) as ledger:
        await link(ledger, *LISTINGS)
        await ledger.rows(
            "insert into sku_demand (sku, channel, rate_per_s, variance_factor, buffer_units, inputs) "
            "values ('MUG', 'market', 0.1, 1, 7, '{}') returning 1"
        )
        before = await shown(ledger)
        wished = await look_ahead(ledger.database, Scope(channel=MARKET), {"computed_buffer": True})
        told = {one.channel_sku: (one.now_units, one.would_units) for one in wished.effects}
        assert told["mug!"] == (before["mug!"], 13)
        await say(ledger, Scope(channel=MARKET), computed_buffer=True)
        after = await shown(ledger)
        assert {name: after[name] for name in told} == {name: would for name, (_, would) in told.items()}
        now_there = await look_ahead(ledger.database, Scope(channel=MARKET), {"cap_units": 15})
        assert {one.channel_sku: one.now_units for one in now_there.effects} == {name: after[name] for name in told}
        plan_of = AllocationPlan(scope=Scope(), parts=(part_from("market=50%"),))
        shared = await preview.preview_plan(ledger.database, Scope(), plan_of)
        assert isinstance(shared, preview.PlanPreview)
        assert {one.channel_sku: one.now_units for one in shared.effects} == after


async def test_a_preview_of_an_allocation_tells_whom_it_takes_the_units_from(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 20, "CAP": 5}) as ledger:
        await link(ledger, *LISTINGS)
        wished = await look_ahead(ledger.database, Scope(channel=SHOP, sku=MUG), {"allocation_units": 15})
        told = {one.channel_sku: (one.now_units, one.would_units, one.is_in_scope) for one in wished.effects}
        assert told == {"mug": (20, 15, True), "mug!": (20, 5, False), "six": (3, 0, False)}


async def test_a_long_preview_comes_in_pages_and_says_how_many_are_left(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 20, "CAP": 5}) as ledger:
        await link(ledger, *LISTINGS)
        seen, after, rests = [], None, []
        while True:
            page = await look_ahead(ledger.database, Scope(), {"cap_units": 1}, after=after, limit=3)
            seen += [one.channel_sku for one in page.effects]
            rests.append(page.rest_count)
            if page.next_key is None:
                break
            after = page.next_key
        assert (seen, rests) == (["mug!", "six", "cap", "mug"], [1, 0])


# Explanations ----------------------------------------------------------------------------------------------------


async def test_a_figure_is_explained_now_and_at_a_past_instant(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 20}) as ledger:
        await link(ledger, ("shop", "mug", "MUG", 2))
        await say(ledger, Scope(channel=SHOP), buffer_units=3)
        assert await shown(ledger) == {"mug": 8}
        async with ledger.database.transaction() as tx:
            then = await now(tx)
        await say(ledger, Scope(channel=SHOP), cap_units=5)
        await ledger.ask(Receive(key=key(), sku=MUG, location=HAMBURG, units=4))
        mug = (SHOP, ChannelSku("mug"))
        due = await explain.explain(ledger.database, mug)
        assert due is not None
        assert (due.is_plan_due, due.figures[0].units) == (True, 8)
        assert await shown(ledger) == {"mug": 5}
        told = await explain.explain(ledger.database, mug)
        assert told is not None
        assert told.derivation is not None
        assert (told.sku, told.is_plan_due, told.derivation.units, told.state) == (MUG, False, 5, "held")
        assert [(step.before, step.after, step.rule) for step in told.derivation.steps] == [
            (20, 10, ""),
            (10, 5, "channel shop"),
        ]
        assert {place: balance.available for place, balance in told.shelves[MUG].items()} == {BERLIN: 20, HAMBURG: 4}
        was = await explain.explain(ledger.database, mug, at=then)
        assert was is not None
        assert was.derivation is not None
        assert (was.derivation.units, was.state, was.is_past) == (8, "desired", True)
        assert [(step.name, step.after) for step in was.derivation.steps] == [
            ("buffer of 3", 17),
            ("whole packs of 2", 8),
        ]
        assert {place: balance.available for place, balance in was.shelves[MUG].items()} == {BERLIN: 20}
        long_ago = await explain.explain(ledger.database, mug, at=then - timedelta(days=1))
        assert long_ago is not None
        assert (long_ago.sku, long_ago.state) == (None, "unpublished")
        assert await explain.explain(ledger.database, (SHOP, ChannelSku("nobody"))) is None


# A busy day ------------------------------------------------------------------------------------------------------


def any_rule(chance: Random, scope: Scope) -> Rule:
    """A few terms with small figures; a floor comes with its word."""
    terms = [term for term in TERMS if term not in OF_WHOLESALE]
    names = [*terms, *(LOW + term for term in terms if term != "low_stock_at")]
    stated: dict[str, int | bool] = {}
    for name in chance.sample(names, chance.randint(1, 6)):
        term = name.removeprefix(LOW)
        stated[name] = bool(chance.randint(0, 1)) if term in FLAGS else chance.randint(0, min(MOST[term], 60))
    try:
        return rule_of(scope, stated)
    except MalformedError:
        return any_rule(chance, scope)


@pytest.mark.long
async def test_every_publication_of_a_busy_day_recomputes_to_its_figure(dsn: str) -> None:
    seed = 5
    chance = Random(seed)
    plain = [Sku(f"SKU-{number}") for number in range(8)]
    async with open_ledger(dsn, {"MUG": 60, "CAP": 40}) as ledger:
        async with ledger.database.transaction() as tx:
            await catalog.add_skus(tx, dict.fromkeys(plain, ""))
        await ledger.define_duo()
        skus = [*plain, MUG, CAP, DUO]
        await link(
            ledger, *((name, f"{name} {sku}", sku, pack) for sku in skus for name, pack in (("shop", 1), ("market", 2)))
        )
        for sku in plain[:4]:
            await rule.put_in_group(ledger.database, sku, "some", actor="test")
        for sku in (*plain[:3], MUG):
            await ledger.allow(chance.randint(1, 9), sku)
        scopes = [
            Scope(sku=chance.choice([None, *skus]), channel=chance.choice([None, SHOP, MARKET])) for _ in range(12)
        ] + [Scope(sku_group="some", channel=channel) for channel in (None, SHOP)]
        trade = Trade(chance, [*plain, MUG, CAP], [BERLIN, HAMBURG], SHOP)
        for _ in range(25):
            batch = trade.batch(chance.randint(1, 30))
            trade.learn(batch, await ledger.ask(*batch))
            async with ledger.database.transaction() as tx:
                await facts.add(tx, [(snapshot, CLOCK.now()) for snapshot in trade.snapshots(3)])
            await post.post_facts(ledger.database, CLOCK.new_id)
            scope = chance.choice(scopes)
            if chance.random() < 0.7:
                await rule.put_rule(ledger.database, any_rule(chance, scope), actor="test")
            else:
                await rule.end_rule(ledger.database, scope, actor="test")
            await ledger.rows(
                f"update listings set suspense_units = {chance.randint(0, 2)}, "
                "suspense_version = suspense_version + 1 where channel_sku = 'shop MUG' returning 1"
            )
            await shown(ledger)
        met = Counter[str]()
        for derivation in await publications(ledger):
            assert recompute(derivation) == derivation.units_by_policy, f"seed {seed}: {derivation}"
            assert derivation.steps == () or derivation.steps[-1].after == derivation.units
            met.update(step.name.split()[0] for step in derivation.steps)
            met["bundle"] += bool(derivation.components)
            met["suspense"] += bool(derivation.in_suspense)
            met["low"] += any("low stock" in step.rule for step in derivation.steps)
            met["in all"] += 1
    print(f"seed {seed}: {met}")  # shown when it fails
    assert met["in all"] > 200
    assert (
        min(met[name] for name in ("whole", "cap", "buffer", "bundle", "suspense", "low", "floor", "stop", "set")) > 0
    )
