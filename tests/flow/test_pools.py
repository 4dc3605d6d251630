"""Allocation plans on the database: pools follow the ledger, are refilled, previewed and told."""

from __future__ import annotations

from random import Random
from typing import Any

import psycopg
import pytest

from domain.shop import BERLIN, CAP, DUO, MUG, SHOP, demand, key, lock, release
from flow.shelf_world import CLOCK, Ledger, open_ledger
from flow.test_policies import MARKET, link, publications, shown, touched
from flow.trade import Trade
from oneshelf.domain.allocation import AllocationPlan, part_from, plan_of
from oneshelf.domain.availability import recompute
from oneshelf.domain.command import Adjust, Count, CountedFigure, Receive
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.outcome import Reserved, UnknownSku
from oneshelf.domain.pattern import as_expression, fits
from oneshelf.domain.policy import Scope, UnknownChannel, rule_of
from oneshelf.domain.pool import Pools
from oneshelf.flow import explain, post, preview, rule
from oneshelf.flow.preview import PlanPreview
from oneshelf.storage import facts, pools

pytestmark = [pytest.mark.pg, pytest.mark.timeout(300)]

LISTINGS = (("shop", "mug", "MUG", 1), ("market", "mug!", "MUG", 1), ("market", "six", "MUG", 6))


def plan(*parts: str, scope: Scope = Scope(), **more: Any) -> AllocationPlan:  # noqa: B008  # frozen
    stated = AllocationPlan(scope=scope, parts=tuple(map(part_from, parts))).stated()
    return plan_of(scope, stated | more)


async def allocate(ledger: Ledger, of: AllocationPlan) -> None:
    assert isinstance(await rule.put_plan(ledger.database, of, actor="test"), rule.PlanPut)


async def sell(ledger: Ledger, channel: Channel, name: str, units: int, *, order: str, version: str = "1") -> None:
    """The channel tells that this order is of so many."""
    line = OrderLine("l1", ChannelSku(name), units)
    await ledger.tell(OrderSnapshot(channel, order, version, CLOCK.now(), False, (line,)))


async def held(ledger: Ledger, sku: Sku = MUG, location: Location = BERLIN) -> dict[str, int]:
    """What is left in each pool, and the rest."""
    return left((await told(ledger, sku))[location])


async def told(ledger: Ledger, sku: Sku = MUG) -> dict[Location, Pools]:
    found = await preview.pools_of(ledger.database, sku)
    assert isinstance(found, dict)
    return found


def left(of: Pools) -> dict[str, int]:
    return {**{str(pool.channel): pool.left for pool in of.pools}, "rest": of.rest}


async def stored(ledger: Ledger) -> dict[tuple[Sku, Location], Pools]:
    async with ledger.database.transaction() as tx:
        return {key: one.pools for key, one in (await pools.read(tx, [MUG, CAP])).items()}


async def test_each_channel_shows_its_pool_and_a_sale_in_one_lowers_no_other(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100}) as ledger:
        await link(ledger, *LISTINGS)
        await allocate(ledger, plan("shop=80%", "market=15%"))
        assert await shown(ledger) == {"mug": 80, "mug!": 15, "six": 2}
        await sell(ledger, SHOP, "mug", 70, order="o1")
        assert await held(ledger) == {"shop": 10, "market": 15, "rest": 5}
        assert await shown(ledger) == {"mug": 10, "mug!": 15, "six": 2}
        await sell(ledger, MARKET, "six", 2, order="o2")
        assert await shown(ledger) == {"mug": 10, "mug!": 3, "six": 0}
        await sell(ledger, MARKET, "six", 1, order="o2", version="2")
        assert await shown(ledger) == {"mug": 10, "mug!": 9, "six": 1}
        await ledger.assert_sound()


async def test_a_receipt_refills_and_a_restart_forgets_nothing(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100}) as ledger:
        await link(ledger, *LISTINGS)
        await allocate(ledger, plan("shop=80%", "market=15%"))
        await shown(ledger)
        await sell(ledger, SHOP, "mug", 80, order="o1")
        await ledger.ask(Receive(key=key(), sku=MUG, location=BERLIN, units=20))
        assert await held(ledger) == {"shop": 16, "market": 18, "rest": 6}, "nobody has planned since"
        assert await shown(ledger) == {"mug": 16, "mug!": 18, "six": 3}
        count = Count(key=key(), sku=MUG, location=BERLIN, figure=CountedFigure.AVAILABLE, units=60)
        await ledger.ask(count)
        assert await shown(ledger) == {"mug": 32, "mug!": 21, "six": 3}
        await ledger.ask(Adjust(key=key(), sku=MUG, location=BERLIN, delta_units=-8))
        assert await held(ledger) == {"shop": 31, "market": 21, "rest": 0}, "a loss comes off the rest first"


async def test_what_comes_in_waits_for_a_person_who_refills(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100}) as ledger:
        await link(ledger, *LISTINGS)
        await allocate(ledger, plan("shop=80%", "market=15%", refill="manual"))
        await shown(ledger)
        await sell(ledger, SHOP, "mug", 80, order="o1")
        await ledger.ask(Receive(key=key(), sku=MUG, location=BERLIN, units=80))
        assert await shown(ledger) == {"mug": 0, "mug!": 15, "six": 2}
        foreseen = await preview.pools_of(ledger.database, MUG, is_refilled=True)
        assert isinstance(foreseen, dict)
        assert left(foreseen[BERLIN]) == {"shop": 80, "market": 15, "rest": 5}
        assert await shown(ledger) == {"mug": 0, "mug!": 15, "six": 2}, "that saved nothing"
        assert await rule.refill_pools(ledger.database, MUG) == 1
        assert await shown(ledger) == {"mug": 80, "mug!": 15, "six": 2}
        async with ledger.database.transaction() as tx:
            carved = await pools.carvings(tx, MUG, limit=9)
        assert [(one.why, one.available) for one in carved] == [("a refill", 100), ("the plan is new", 100)]
        assert await rule.refill_pools(ledger.database, Sku("NOBODY")) == UnknownSku(Sku("NOBODY"))
        assert await rule.refill_pools(ledger.database, CAP) == 0


async def test_a_daily_refill_comes_at_its_time_without_anybody_asking(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100}) as ledger:
        await link(ledger, *LISTINGS)
        await allocate(ledger, plan("shop=80%", "market=15%", refill="daily", refill_at="03:00"))
        await shown(ledger)
        [row] = await ledger.rows("select refill_at from pools")
        assert (row["refill_at"].hour, row["refill_at"].minute) == (3, 0)
        await sell(ledger, SHOP, "mug", 80, order="o1")
        assert await shown(ledger) == {"mug": 0, "mug!": 15, "six": 2}
        await ledger.rows("update pools set refill_at = db_now() - interval '1 second' returning 1")
        assert await shown(ledger) == {"mug": 16, "mug!": 3, "six": 0}
        [again] = await ledger.rows("select refill_at > db_now() as is_ahead from pools")
        assert again["is_ahead"]


async def test_a_soft_pool_that_is_sold_out_takes_half_of_another(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100}) as ledger:
        await link(ledger, ("shop", "mug", "MUG", 1), ("market", "mug!", "MUG", 1))
        await allocate(ledger, plan("shop=80%:soft", "market=20%:soft"))
        await shown(ledger)
        await sell(ledger, MARKET, "mug!", 20, order="o1")
        assert await shown(ledger) == {"mug": 40, "mug!": 40}


async def test_the_narrowest_plan_holds_and_who_is_not_named_sells_nothing(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100, "CAP": 10}) as ledger:
        await link(ledger, *LISTINGS, ("shop", "cap", "CAP", 1))
        await allocate(ledger, plan("shop=50%"))
        assert await shown(ledger) == {"mug": 50, "mug!": 0, "six": 0, "cap": 5}
        await rule.put_in_group(ledger.database, CAP, "heads", actor="test")
        await allocate(ledger, plan("shop=8", scope=Scope(sku_group="heads")))
        await allocate(ledger, plan("market=90%", scope=Scope(sku=MUG)))
        assert await shown(ledger) == {"mug": 0, "mug!": 90, "six": 15, "cap": 8}
        await allocate(ledger, plan("market=90%", scope=Scope(sku=CAP)))
        assert (await shown(ledger))["cap"] == 0, "nobody who sells it is named"
        assert await held(ledger, CAP) == {"rest": 10}
        await rule.end_plan(ledger.database, Scope(sku=CAP), actor="test")
        await allocate(ledger, plan("market=90%", scope=Scope()))
        await rule.end_plan(ledger.database, Scope(sku=MUG), actor="test")
        assert (await shown(ledger))["mug!"] == 90
        assert [str(one.plan.scope) for one in (await told(ledger)).values()] == ["everything"]
        for scope in (Scope(sku_group="heads"), Scope()):
            await rule.end_plan(ledger.database, scope, actor="test")
        assert await shown(ledger) == {"mug": 100, "mug!": 100, "six": 16, "cap": 10}
        assert await stored(ledger) == {}


async def test_a_plan_for_a_pattern_reaches_all_skus_that_it_fits_and_the_narrowest_pattern_holds(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100, "CAP": 100}) as ledger:
        await link(ledger, ("shop", "mug", "MUG", 1), ("market", "mug!", "MUG", 1), ("shop", "cap", "CAP", 1))
        await allocate(ledger, plan("shop=50%", scope=Scope(pattern="*")))
        assert await shown(ledger) == {"mug": 50, "mug!": 0, "cap": 50}
        wish = plan("shop=20%", "market=20%", scope=Scope(pattern="M[UO]?"))
        wished = await preview.preview_plan(ledger.database, wish.scope, wish, limit=10)
        assert isinstance(wished, PlanPreview)
        assert {one.channel_sku: one.would_units for one in wished.effects} == {"mug": 20, "mug!": 20}
        assert [(one.sku, one.would and left(one.would)) for one in wished.pools] == [
            ("MUG", {"shop": 20, "market": 20, "rest": 60})
        ]
        await allocate(ledger, wish)
        assert await shown(ledger) == {"mug": 20, "mug!": 20, "cap": 50}
        assert (await told(ledger))[BERLIN].plan.scope == wish.scope
        assert (await stored(ledger))[MUG, BERLIN].plan.scope == wish.scope
        # A group and the SKU itself are narrower, everything is wider than any pattern.
        await allocate(ledger, plan("shop=10%", scope=Scope(sku=MUG)))
        await allocate(ledger, plan("shop=90%"))
        assert await shown(ledger) == {"mug": 10, "mug!": 0, "cap": 50}
        for scope in (Scope(sku=MUG), Scope(pattern="*")):
            assert await rule.end_plan(ledger.database, scope, actor="test") is not None
        assert await shown(ledger) == {"mug": 20, "mug!": 20, "cap": 90}
        rows = await ledger.rows("select pattern from policy_changes order by change_id")
        assert [row["pattern"] for row in rows] == ["*", "M[UO]?", "", "", "", "*"]


PATTERNS = [
    "*",
    "M?G",
    "m*",
    "[!M]*",
    "[A-M]UG",
    "a.b",
    "[",
    "[]]",
    "[!]]x",
    "[z-a]",
    "[!z-a]",
    "100%_",
    "\\*",
    "a[b-]c",
    "{+}",
]
NAMES = [
    "MUG",
    "mug",
    "CAP",
    "a.b",
    "axb",
    "[",
    "]",
    "zx",
    "]x",
    "z",
    "100%_",
    "100xy",
    "\\",
    "\\ab",
    "a-c",
    "abc",
    "{+}",
]


async def test_postgresql_and_the_engine_agree_on_what_a_pattern_fits(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        for pattern in PATTERNS:
            async with ledger.database.transaction() as tx:
                said = {"names": NAMES, "expression": as_expression(pattern)}
                cursor = await tx.execute(
                    "select name from unnest(%(names)s::text[]) as n (name) where name ~ %(expression)s", said
                )
                found = [name for (name,) in await cursor.fetchall()]
            assert found == [name for name in NAMES if fits(pattern, Sku(name))], pattern


async def test_a_plan_that_is_said_again_refills_nothing(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100}) as ledger:
        await link(ledger, *LISTINGS)
        for _ in range(2):
            await allocate(ledger, plan("shop=80%", "market=15%"))
            assert await shown(ledger) == {"mug": 80, "mug!": 15, "six": 2}
        await sell(ledger, SHOP, "mug", 70, order="o1")
        await shown(ledger)
        await allocate(ledger, plan("shop=80%", "market=15%"))
        assert await touched(ledger) == set()
        assert await shown(ledger) == {"mug": 10, "mug!": 15, "six": 2}
        await allocate(ledger, plan("shop=60%", "market=35%"))
        assert await shown(ledger) == {"mug": 18, "mug!": 11, "six": 1}, "another plan shares all anew"
        rows = await ledger.rows("select before, after from policy_changes order by change_id")
        assert len(rows) == 2
        assert rows[1]["after"]["pool market"] == "35% hard"


async def test_a_preview_tells_the_pools_and_the_listings_and_saves_nothing(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100}) as ledger:
        await link(ledger, *LISTINGS)
        before = await shown(ledger)
        wished = await preview.preview_plan(ledger.database, Scope(), plan("shop=80%", "market=15%"))
        assert isinstance(wished, PlanPreview)
        assert {one.channel_sku: (one.now_units, one.would_units) for one in wished.effects} == {
            "mug": (100, 80),
            "mug!": (100, 15),
            "six": (16, 2),
        }
        [pools_of_mug] = wished.pools
        assert pools_of_mug.now is None
        assert pools_of_mug.would is not None
        assert left(pools_of_mug.would) == {"shop": 80, "market": 15, "rest": 5}
        assert (await shown(ledger), await stored(ledger)) == (before, {})
        await allocate(ledger, plan("shop=80%", "market=15%"))
        await shown(ledger)
        without = await preview.preview_plan(ledger.database, Scope(), None)
        assert isinstance(without, PlanPreview)
        assert [one.would_units for one in without.effects] == [100, 16, 100]
        capped = await preview.preview(ledger.database, Scope(channel=SHOP), {"cap_units": 50})
        assert isinstance(capped, preview.Preview)
        assert [(one.now_units, one.would_units) for one in capped.effects] == [(80, 50)]


async def test_a_plan_for_nobody_known_is_refused(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        nobody, nowhere = Sku("NOBODY"), Channel("nowhere")
        for wish, refusal in (
            (plan("shop=1%", scope=Scope(sku=nobody)), UnknownSku(nobody)),
            (plan("nowhere=1%"), UnknownChannel(nowhere)),
        ):
            assert await rule.put_plan(ledger.database, wish, actor="test") == refusal
            assert await preview.preview_plan(ledger.database, wish.scope, wish) == refusal
        assert await rule.end_plan(ledger.database, Scope(sku=nobody), actor="test") == UnknownSku(nobody)
        assert await preview.pools_of(ledger.database, nobody) == UnknownSku(nobody)
        assert await ledger.rows("select 1 from allocation_plans union all select 1 from policy_changes") == []


async def test_a_listing_explains_its_figure_by_its_pool(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100}) as ledger:
        await link(ledger, *LISTINGS)
        await allocate(ledger, plan("shop=80%", "market=15%"))
        await rule.put_rule(ledger.database, rule_of(Scope(channel=SHOP), {"buffer_units": 1}), actor="test")
        await shown(ledger)
        await sell(ledger, SHOP, "mug", 70, order="o1")
        await shown(ledger)
        found = await explain.explain(ledger.database, (SHOP, ChannelSku("mug")))
        assert found is not None
        assert found.derivation is not None
        assert [(step.name, step.after, step.rule) for step in found.derivation.steps] == [
            ("pool of shop: 80 shared, 70 sold, 10 left", 10, "allocation for everything"),
            ("buffer of 1", 9, "channel shop"),
        ]
        for derivation in await publications(ledger):
            assert recompute(derivation) == derivation.units_by_policy


async def test_a_bundle_shows_what_the_pools_of_its_components_allow(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 40, "CAP": 40}) as ledger:
        await ledger.define_duo()
        await link(ledger, ("shop", "duo", "DUO", 1), ("shop", "mug", "MUG", 1), ("market", "mug!", "MUG", 1))
        await allocate(ledger, plan("shop=50%", "market=50%", scope=Scope(sku=MUG)))
        assert await shown(ledger) == {"duo": 10, "mug": 20, "mug!": 20}
        await sell(ledger, SHOP, "duo", 6, order="o1")
        assert await shown(ledger) == {"duo": 4, "mug": 8, "mug!": 20}
        assert (await explain.explain(ledger.database, (SHOP, ChannelSku("duo")))) is not None
        assert await told(ledger, DUO) == {}


async def test_a_new_listing_gets_its_share_and_a_reservation_comes_off_the_rest(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100}) as ledger:
        await link(ledger, ("shop", "mug", "MUG", 1))
        await allocate(ledger, plan("shop=50%", "market=45%"))
        assert await shown(ledger) == {"mug": 91}, "50 of 55 where only one of them sells it"
        await ledger.rows(
            "insert into listings (channel, channel_sku, sku) values ('market', 'mug!', 'MUG') returning 1"
        )
        await ledger.rows("insert into touched (sku) values ('MUG') returning 1")
        assert await shown(ledger) == {"mug": 50, "mug!": 45}
        reserved = await ledger.ask_one(lock(demand(MUG, 5)))
        assert isinstance(reserved, Reserved)
        assert await shown(ledger) == {"mug": 50, "mug!": 45}
        await ledger.ask(release(reserved.reservation_id))
        assert await held(ledger) == {"shop": 50, "market": 45, "rest": 5}


async def test_shares_follow_what_sells_at_the_next_refill_within_their_bounds(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100}) as ledger:
        await link(ledger, *LISTINGS)
        await allocate(ledger, plan("shop=70%", "market=20%", rebalance_points=15))
        assert await shown(ledger) == {"mug": 70, "mug!": 20, "six": 3}
        for channel, units, lines in (("shop", 10, 5), ("market", 80, 30)):
            await ledger.rows(
                "insert into sku_sales (sku, channel, slot_at, units, line_count) "
                f"values ('MUG', '{channel}', db_now() - interval '2 hours', {units}, {lines}) returning 1"
            )
        assert await shown(ledger) == {"mug": 70, "mug!": 20, "six": 3}, "not before a refill"
        assert await rule.refill_pools(ledger.database, MUG) == 1
        assert await shown(ledger) == {"mug": 55, "mug!": 35, "six": 5}
        async with ledger.database.transaction() as tx:
            [newest, _] = await pools.carvings(tx, MUG, limit=9)
        assert [one["percent"] for one in newest.pools] == [55, 35]


async def test_units_in_suspense_are_missing_from_the_pool_of_their_channel(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100}) as ledger:
        await link(ledger, ("shop", "mug", "MUG", 1), ("market", "mug!", "MUG", 1))
        await allocate(ledger, plan("shop=80%", "market=15%"))
        await shown(ledger)
        await ledger.rows(
            "update listings set base_units = 15, suspense_units = 4, suspense_version = 1 where channel = 'market' "
            "returning 1"
        )
        await ledger.rows("insert into touched (sku) values ('MUG') returning 1")
        assert await shown(ledger) == {"mug": 80, "mug!": 11}
        assert await held(ledger) == {"shop": 80, "market": 15, "rest": 5}


@pytest.mark.long
async def test_no_pool_ever_holds_what_is_not_there(dsn: str) -> None:
    """A random day of every kind of command and orders of two channels, planned now and then."""
    chance = Random(5)
    async with open_ledger(dsn, {"MUG": 60, "CAP": 40}) as ledger:
        await link(ledger, *LISTINGS, ("shop", "cap", "CAP", 1), ("market", "cap!", "CAP", 1))
        await allocate(ledger, plan("shop=60%:soft", "market=30%", overflow="shop"))
        await allocate(ledger, plan("market=9", "shop=70%:soft", scope=Scope(sku=CAP), refill="manual"))
        trade = Trade(chance, [MUG, CAP], [BERLIN, Location("HAM")], SHOP)
        for number in range(12):
            batch = trade.batch(12)
            trade.learn(batch, await ledger.ask(*batch))
            async with ledger.database.transaction() as tx:
                await facts.add(tx, [(snapshot, CLOCK.now()) for snapshot in trade.snapshots(4)])
            while await post.post_facts(ledger.database, CLOCK.new_id):
                pass
            await sell(ledger, MARKET, "mug!", chance.randint(1, 9), order=f"m{number}")
            if chance.random() < 0.6:
                await shown(ledger)
            now = await told(ledger) | {Location("CAP"): one for one in (await told(ledger, CAP)).values()}
            for of in now.values():
                assert min(left(of).values()) >= 0
        await shown(ledger)
        there = {
            (row["sku"], row["location"]): row["available"]
            for row in await ledger.rows("select sku, location, available from balances")
        }
        saved = await stored(ledger)
        assert {key: one.units for key, one in saved.items()} == {key: there[key] for key in saved}
        assert saved.keys() == {(MUG, BERLIN), (CAP, BERLIN)}
        assert sum(pool.sold for one in saved.values() for pool in one.pools) > 0
        await ledger.assert_sound()
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("update pools set pools = jsonb_set(pools, '{0,left}', '-1')")
