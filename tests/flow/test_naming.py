"""A SKU that is named after a sweep has seen its listing is linked at once, by the very rule of the sweep."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.flow import plan
from oneshelf.storage import catalog, listings
from oneshelf.storage.database import Database
from simulation.cluster.house import until
from web.paper import Shop, open_shop

pytestmark = pytest.mark.pg

LEFT, RIGHT = Channel("left"), Channel("right")
MUG, CAP = Sku("MUG"), Sku("CAP")
WAITING = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


async def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    async with database.transaction() as tx:
        return await (await tx.execute(query.encode())).fetchall()


async def links(shop: Shop) -> dict[tuple[str, str], str | None]:
    """(channel, listing) -> the SKU that it sells."""
    found = await rows(shop.database, "select channel, channel_sku, sku from listings order by 1, 2")
    return {(channel, listing): sku for channel, listing, sku in found}


async def named(database: Database, *skus: Sku) -> catalog.Named:
    async with database.transaction() as tx:
        return await catalog.add_skus(tx, dict.fromkeys(skus, ""))


def seen(channel_sku: str, merchant_sku: str, *, note: str = "") -> listings.SeenListing:
    return listings.SeenListing(ChannelSku(channel_sku), "", merchant_sku, "", note)


async def see(shop: Shop, channel: Channel, *entries: listings.SeenListing) -> None:
    """A sweep of the channel finds these listings."""
    async with shop.database.transaction() as tx:
        await listings.remember(tx, channel, entries)


async def until_waiting(database: Database, count: int) -> None:
    """Until so many sessions wait for a lock."""

    async def are_waiting() -> bool:
        return len(await rows(database, WAITING)) >= count

    assert await until(are_waiting, at_most_s=20)


async def test_a_sku_that_is_named_after_the_sweep_is_linked_in_all_channels_and_shown(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        left, right = await shop.connect("left"), await shop.connect("right")
        left.books, right.books = {ChannelSku(MUG): 3, ChannelSku(CAP): 1}, {ChannelSku(MUG): 4}
        await shop.sweep()
        assert set((await links(shop)).values()) == {None}
        answer = await named(shop.database, MUG)
        assert answer.new_count == 1
        assert answer.linked == {(LEFT, ChannelSku(MUG)): MUG, (RIGHT, ChannelSku(MUG)): MUG}
        assert await links(shop) == {("left", "CAP"): None, ("left", "MUG"): "MUG", ("right", "MUG"): "MUG"}
        await shop.command("receipt", type="receive", sku="MUG", units=6)
        await shop.settle()
        assert (left.books, right.books) == ({"MUG": 6, "CAP": 1}, {"MUG": 6}), "no sweep came in between"


async def test_named_again_nothing_changes_and_nobody_plans(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        (await shop.connect("left")).books = {ChannelSku(MUG): 3}
        await shop.sweep()
        assert (await named(shop.database, MUG)).new_count == 1
        await plan.plan(shop.database)
        before = await rows(shop.database, "select * from listings")
        assert await named(shop.database, MUG) == (0, {})
        assert await rows(shop.database, "select * from listings") == before
        assert await rows(shop.database, "select sku from touched") == []


async def test_a_sku_that_is_named_before_the_sweep_is_linked_by_the_sweep(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        (await shop.connect("left")).books = {ChannelSku(MUG): 3}
        assert await named(shop.database, MUG) == (1, {})
        await shop.sweep()
        assert await links(shop) == {("left", "MUG"): "MUG"}


async def test_a_channel_that_is_only_watched_is_linked_and_read_and_never_written(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        left = await shop.connect("left", mode="watch")
        left.books = {ChannelSku(MUG): 3}
        await shop.sweep()
        await named(shop.database, MUG)
        await shop.command("receipt", type="receive", sku="MUG", units=6)
        await shop.settle()
        assert left.books == {"MUG": 3}
        assert await rows(shop.database, "select sku, base_units, desired_units, sent_version from listings") == [
            ("MUG", 3, 6, 0)
        ]


async def test_what_a_person_has_linked_to_another_sku_stays_linked_so(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await shop.connect("left")
        await shop.name_skus("CAP")
        await see(shop, LEFT, seen("1", "MUG"))
        async with shop.database.transaction() as tx:
            assert await listings.link(tx, (LEFT, ChannelSku("1")), CAP, pack_units=6)
        before = await rows(shop.database, "select * from listings")
        assert (await named(shop.database, MUG)).linked == {}
        assert await rows(shop.database, "select * from listings") == before


async def test_twins_and_what_cannot_be_linked_wait_for_a_person_as_they_do_in_a_sweep(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        for name in ("left", "right"):
            await shop.connect(name)
        await see(shop, LEFT, seen("1", "MUG"), seen("2", "MUG"), seen("3", "CAP", note="fulfilled by others"))
        await see(shop, RIGHT, seen("1", "MUG"), seen("2", "mug"), seen("3", "MUG "), seen("4", ""))
        assert (await named(shop.database, MUG, CAP)).linked == {(RIGHT, "1"): MUG}
        assert [key for key, sku in (await links(shop)).items() if sku] == [("right", "1")]


async def test_an_order_that_waited_for_the_link_is_posted(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        (await shop.connect("left")).books = {ChannelSku(MUG): 3}
        await shop.sweep()
        await shop.order("left", "o1", MUG=1)
        await shop.settle()
        assert await rows(shop.database, "select state from facts") == [("parked",)]
        await named(shop.database, MUG)
        assert await rows(shop.database, "select state from facts") == [("new",)]
        await shop.command("receipt", type="receive", sku="MUG", units=6)
        await shop.settle()
        assert await rows(shop.database, "select available, committed from balances") == [(5, 1)]
        assert shop.connectors["left"].books == {"MUG": 5}


async def test_a_sweep_that_has_not_seen_the_sku_yet_is_waited_for(dsn: str) -> None:
    async with open_shop(dsn) as shop, Database.open(dsn, connections_max=2) as other:
        await shop.connect("left")
        async with asyncio.TaskGroup() as group, other.transaction() as sweeping:
            assert await listings.remember(sweeping, LEFT, [seen("1", "MUG")]) == {}
            naming = group.create_task(named(shop.database, MUG))
            await until_waiting(shop.database, 1)
        assert naming.result() == (1, {(LEFT, "1"): MUG})


async def test_a_sweep_that_begins_while_the_sku_is_named_sees_it(dsn: str) -> None:
    async with open_shop(dsn) as shop, Database.open(dsn, connections_max=2) as other:
        await shop.connect("left")

        async def sweep() -> dict[listings.ListingKey, Sku]:
            async with other.transaction() as tx:
                return await listings.remember(tx, LEFT, [seen("1", "MUG")])

        async with asyncio.TaskGroup() as group, shop.database.transaction() as tx:
            assert await catalog.add_skus(tx, {MUG: ""}) == (1, {})
            sweeping = group.create_task(sweep())
            await until_waiting(shop.database, 1)
        assert sweeping.result() == {(LEFT, "1"): MUG}


async def test_of_two_who_name_the_same_at_once_one_links_and_neither_fails(dsn: str) -> None:
    async with open_shop(dsn) as shop, Database.open(dsn, connections_max=4) as other:
        for name in ("left", "right"):
            await shop.connect(name)
            await see(shop, Channel(name), *(seen(f"{number:02}", f"SKU-{number:02}") for number in range(30)))
        skus = [Sku(f"SKU-{number:02}") for number in range(30)]
        answers = await asyncio.gather(
            *(named(node, *part) for node in (shop.database, other) for part in (skus, skus[::-1], skus[10:20]))
        )
        assert sum(answer.new_count for answer in answers) == 30
        assert sum(len(answer.linked) for answer in answers) == 60
        assert None not in (await links(shop)).values()


@pytest.mark.parametrize("round_number", range(5))
async def test_sweeps_and_names_in_any_order_leave_nothing_unlinked(dsn: str, round_number: int) -> None:
    async with open_shop(dsn) as shop, Database.open(dsn, connections_max=4) as other:
        for name in ("left", "right"):
            await shop.connect(name)
        numbers = [(number * 7 + round_number) % 20 for number in range(20)]

        async def sweep(channel: Channel) -> None:
            for number in numbers:
                async with other.transaction() as tx:
                    await listings.remember(tx, channel, [seen(f"{number}", f"SKU-{number}")])

        async def name_all() -> None:
            for number in sorted(numbers):
                await named(shop.database, Sku(f"SKU-{number}"))

        await asyncio.gather(sweep(LEFT), name_all(), sweep(RIGHT))
        assert None not in (await links(shop)).values()
        assert len(await links(shop)) == 40


async def test_every_way_to_name_a_sku_links(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await shop.connect("left")
        await see(shop, LEFT, seen("1", "MUG"), seen("2", "CAP"))
        answer = await shop.client.post("/v1/skus", json={"skus": [{"sku": "MUG"}]})
        assert answer.json() == {"added": 1, "known": 0, "linked": 1}
        assert shop.woken == ["post", "plan", "confirm"]
        told = await shop.client.post("/stock", data={"type": "add_sku", "sku": "CAP"}, follow_redirects=True)
        assert "CAP is named; 1 listing that carries it is linked to it now." in told.text
        assert None not in (await links(shop)).values()
