"""Bundles on the database: nobody takes a component twice, and every listing shows what its components allow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain.shop import BERLIN, CAP, DUO, HAMBURG, MUG, NOON, SHOP, claim, demand, hold, key, lock
from flow.shelf_world import Ledger, open_ledger
from oneshelf.domain.bundle import BundleOfBundles, BundleWish, HasHistory
from oneshelf.domain.command import Component, Receive
from oneshelf.domain.identity import ChannelSku, Location, Sku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.outcome import Claimed, IsBundle, Posted, Reserved, Short, UnknownLocation
from oneshelf.domain.warehouse_command import Announce, Unload
from oneshelf.flow import define, plan

pytestmark = pytest.mark.pg

# Later than the channel was connected: earlier sales were off its listings before.
SOON = NOON.replace(year=2040)


async def link(ledger: Ledger) -> None:
    await ledger.rows(
        "insert into listings (channel, channel_sku, sku, pack_units) values "
        "('shop', 'mug', 'MUG', 1), ('shop', 'cap', 'CAP', 1), ('shop', 'duo', 'DUO', 1), ('shop', 'duos', 'DUO', 2) "
        "returning 1"
    )
    await ledger.rows("insert into touched (sku) values ('MUG'), ('CAP') returning 1")


async def planned(ledger: Ledger) -> dict[str, int | None]:
    """Plan all that is touched. listing -> what it should show."""
    while await plan.plan(ledger.database):
        pass
    return {row["channel_sku"]: row["desired_units"] for row in await ledger.rows("select * from listings")}


def order(units: int, listing: str = "duo", order_id: str = "o1", version: str = "1") -> OrderSnapshot:
    return OrderSnapshot(SHOP, order_id, version, SOON, False, (OrderLine("l1", ChannelSku(listing), units),))


@pytest.mark.long
async def test_baskets_with_a_bundle_and_its_component_cannot_take_the_last_unit_twice(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 20, "CAP": 9}) as ledger:
        await ledger.define_duo()
        baskets = [
            [hold(demand(DUO, 1), demand(MUG, 1)), hold(demand(MUG, 1)), hold(demand(CAP, 1), demand(DUO, 1))][n % 3]
            for n in range(45)
        ]
        async with asyncio.TaskGroup() as group:
            racing = [group.create_task(ledger.ask_one(basket)) for basket in baskets]
        outcomes = [task.result() for task in racing]
        assert {type(outcome) for outcome in outcomes} == {Reserved, Short}
        reserved = sum(outcome.units for outcome in outcomes if isinstance(outcome, Reserved))
        mugs, caps = await ledger.figures(), await ledger.figures("CAP")
        assert mugs.get("available", 0) + mugs["reserved"] == 20
        assert caps.get("available", 0) + caps["reserved"] == 9
        assert mugs["reserved"] + caps["reserved"] == reserved
        assert mugs.get("available", 0) < 3 or caps.get("available", 0) == 0
        await ledger.assert_sound()


async def test_a_batch_of_bundles_and_others_is_decided_in_its_order(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 4, "CAP": 4}) as ledger:
        await ledger.define_duo()
        outcomes = await ledger.ask(
            lock(demand(DUO, 1)),
            Receive(key=key(), sku=DUO, location=BERLIN, units=1),
            lock(demand(DUO, 1, Location("NOWHERE"))),
            lock(demand(DUO, 1, HAMBURG)),
            lock(demand(DUO, 2)),
            lock(demand(MUG, 2)),
        )
        assert [type(outcome) for outcome in outcomes] == [Reserved, IsBundle, UnknownLocation, Short, Short, Reserved]
        assert await ledger.rows("select 1 from balances where sku = 'DUO'") == []
        await ledger.assert_sound()


async def test_an_order_of_a_bundle_is_posted_to_its_components_and_stays_so(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9, "CAP": 9}) as ledger:
        await ledger.define_duo()
        await link(ledger)
        await ledger.tell(order(2, "duos"))
        await ledger.define_duo((Component(sku=CAP, units=7),))
        await ledger.tell(order(1, "duos", version="2"))
        assert await ledger.rows("select sku, pack_units, units_committed from order_lines order by sku") == [
            {"sku": "CAP", "pack_units": 2, "units_committed": 2},
            {"sku": "MUG", "pack_units": 4, "units_committed": 4},
        ]
        assert await ledger.rows("select net_units from listings where channel_sku = 'duos'") == [{"net_units": 1}]
        await ledger.assert_sound()


async def test_a_listing_of_a_bundle_shows_what_its_scarcest_component_allows(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9, "CAP": 3}) as ledger:
        await ledger.define_duo()
        await link(ledger)
        assert await planned(ledger) == {"mug": 9, "cap": 3, "duo": 3, "duos": 1}
        [derivation] = await ledger.rows("select derivation from publications where channel_sku = 'duo'")
        assert derivation["derivation"]["available_to_sell"] == 3
        assert [
            (one["sku"], one["bundle_units"], one["bundles"]) for one in derivation["derivation"]["components"]
        ] == [("CAP", 1, 3), ("MUG", 2, 4)]
        await ledger.ask_one(lock(demand(MUG, 5)))
        assert await planned(ledger) == {"mug": 4, "cap": 3, "duo": 2, "duos": 1}
        await ledger.tell(order(1))
        assert await planned(ledger) == {"mug": 2, "cap": 2, "duo": 1, "duos": 0}


async def test_another_definition_is_planned_at_once_and_under_a_newer_version(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9, "CAP": 3}) as ledger:
        await ledger.define_duo()
        await link(ledger)
        await planned(ledger)
        before = await versions(ledger)
        await ledger.define_duo((Component(sku=MUG, units=1),))
        assert (await planned(ledger))["duo"] == 9
        after = await versions(ledger)
        assert after["duo"] > before["duo"]
        assert after["mug"] == before["mug"]


async def versions(ledger: Ledger) -> dict[str, int]:
    rows: list[dict[str, Any]] = await ledger.rows("select channel_sku, desired_version from listings")
    return {row["channel_sku"]: row["desired_version"] for row in rows}


@pytest.mark.parametrize(
    ("fallen", "shown"),
    [
        ("duo", {"mug": 5, "cap": 7, "duo": 2, "duos": 1}),
        ("mug", {"mug": 7, "cap": 9, "duo": 3, "duos": 1}),
        ("duos", {"mug": 1, "cap": 5, "duo": 0, "duos": 0}),
    ],
)
async def test_units_in_suspense_are_offered_neither_as_a_bundle_nor_as_a_component(
    dsn: str, fallen: str, shown: dict[str, int]
) -> None:
    """Two of a listing fell off it, and no order explains them yet."""
    async with open_ledger(dsn, {"MUG": 9, "CAP": 9}) as ledger:
        await ledger.define_duo()
        await link(ledger)
        assert await planned(ledger) == {"mug": 9, "cap": 9, "duo": 4, "duos": 2}
        await ledger.rows(
            "update listings set suspense_units = 2, suspense_version = suspense_version + 1 "
            f"where channel_sku = '{fallen}' returning 1"
        )
        await ledger.rows(
            f"insert into touched (sku) select sku from listings where channel_sku = '{fallen}' returning 1"
        )
        assert await planned(ledger) == shown


async def test_what_was_counted_itself_does_not_become_a_bundle(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 1, "CAP": 1}) as ledger:
        mug = BundleWish(sku=MUG, components=(Component(sku=CAP, units=1),))
        assert await define.define_bundle(ledger.database, mug) == HasHistory(MUG)
        await ledger.define_duo()
        outer = BundleWish(sku=Sku("SET"), components=(Component(sku=DUO, units=1),))
        assert await define.define_bundle(ledger.database, outer) == BundleOfBundles(Sku("SET"), DUO)
        assert await define.allow_backorder(ledger.database, DUO, BERLIN, None) == IsBundle(DUO, "CAP, MUG")


async def test_a_sku_becomes_a_bundle_or_is_received_never_both(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9, "CAP": 9}) as ledger:
        wishes = [
            BundleWish(sku=Sku(f"B{n}"), components=(Component(sku=MUG, units=1), Component(sku=CAP, units=1)))
            for n in range(10)
        ]
        names = ", ".join(f"('{wish.sku}')" for wish in wishes)
        await ledger.rows(f"insert into skus (sku) values {names} returning 1")
        async with asyncio.TaskGroup() as group:
            defining = [group.create_task(define.define_bundle(ledger.database, wish)) for wish in wishes]
            receiving = [
                group.create_task(ledger.ask_one(Receive(key=key(), sku=wish.sku, location=BERLIN, units=1)))
                for wish in wishes
            ]
        for defined, received in zip(defining, receiving, strict=True):
            assert isinstance(defined.result(), HasHistory) is isinstance(received.result(), Posted)
        await ledger.assert_sound()


async def test_a_basket_of_bundles_is_claimed_before_and_after_the_channel_tells(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9, "CAP": 9}) as ledger:
        await ledger.define_duo()
        await link(ledger)
        for number, is_told_first in enumerate((True, False)):
            reserved = await ledger.ask_one(lock(demand(DUO, 1), demand(MUG, 1)))
            assert isinstance(reserved, Reserved)
            for is_telling in (is_told_first, not is_told_first):
                if is_telling:
                    lines = (OrderLine("l1", ChannelSku("duo"), 1), OrderLine("l2", ChannelSku("mug"), 1))
                    await ledger.tell(OrderSnapshot(SHOP, f"o{number}", "1", NOON, False, lines))
                else:
                    outcome = await ledger.ask_one(claim(reserved.reservation_id, f"o{number}"))
                    assert isinstance(outcome, Claimed)
        assert (await ledger.figures(), await ledger.figures("CAP")) == (
            {"available": 3, "committed": 6},
            {"available": 7, "committed": 2},
        )
        await ledger.assert_sound()


async def test_components_that_lie_in_two_places_are_no_bundle_until_they_are_unloaded_in_one(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 8}) as ledger:
        await ledger.define_duo()
        await link(ledger)
        await ledger.ask(Receive(key=key(), sku=CAP, location=HAMBURG, units=9))
        assert (await planned(ledger))["duo"] == 0
        refused = await ledger.ask_one(hold(demand(DUO, 1)))
        assert refused == Short(CAP, BERLIN, asked=1, available=0)
        coming = Announce(key=key(), shipment_id="PO-7", sku=CAP, location=BERLIN, units=3, expected_on=SOON.date())
        assert isinstance(await ledger.ask_one(coming), Posted)
        assert (await planned(ledger))["duo"] == 0, "incoming is sold to nobody"
        await ledger.ask(Unload(key=key(), shipment_id="PO-7", sku=CAP, units=3))
        assert await planned(ledger) == {"mug": 8, "cap": 3, "duo": 3, "duos": 1}
        assert isinstance(await ledger.ask_one(hold(demand(DUO, 3), demand(MUG, 2))), Reserved)
        assert await planned(ledger) == {"mug": 0, "cap": 0, "duo": 0, "duos": 0}
        await ledger.assert_sound()
