"""A large catalogue is read from one file that the channel writes: whole, in part, found again, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from flow.one_shop import OneShop, open_shop
from flow.world import CLOCK, PATIENCE_S, SHOP, WEBHOOK_SECRET
from oneshelf.connectors.shopify.graphql import POINTS, READ_POINTS
from oneshelf.connectors.shopify.simulator_bulk import AT_ONCE_MOST
from oneshelf.connectors.shopify.simulator_tokens import ACCESS_TOKEN
from oneshelf.flow import confirm, reconcile
from oneshelf.flow.channel import OpenChannel
from oneshelf.flow.stock_source import Ending, File, FileTerms
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.contract import WritesStockFile
from oneshelf.sdk.simulator import CatalogueItem
from oneshelf.storage.database import Database
from oneshelf.storage.sweep_places import Place

pytestmark = pytest.mark.pg

COUNT = 300
KEYS = {"access_token": ACCESS_TOKEN, "webhook_secret": WEBHOOK_SECRET}
# So little that a hundred listings are the most that are best read by pages.
SCARCE = (Limit(operation=POINTS, rate_per_s=0.02 * READ_POINTS, burst=2000),)


@dataclass
class LargeShop:
    """A shop whose catalogue is large for what it grants us."""

    shop: OneShop
    channel: OpenChannel

    @property
    def operations(self) -> int:
        return len(self.shop.sim.bulk.all)

    async def sweep(self, database: Database | None = None) -> int:
        """Make it due, and read on."""
        await self.shop.make_due("stock")
        return await reconcile.sweep(database or self.shop.database, self.channel, CLOCK)

    async def whole_pass(self) -> int:
        """Sweep until a pass is over. Returns what was read."""
        before, deadline = (await self.task())["last_done_at"], CLOCK.monotonic() + PATIENCE_S
        read_count = 0
        while (await self.task())["last_done_at"] == before:
            assert CLOCK.monotonic() < deadline, await self.task()
            read_count += await self.sweep()
            await CLOCK.sleep(0.01)
        return read_count

    async def task(self) -> dict[str, Any]:
        [row] = await self.shop.rows("select * from schedules where task = 'stock'")
        return row

    async def known(self) -> int:
        [row] = await self.shop.rows("select count(*) as n from listings")
        return int(row["n"])

    async def prove_all(self) -> None:
        """As if each listing had been proved to show its ten units since the last pass began."""
        async with self.shop.database.transaction() as tx:
            await tx.execute(
                """
                update listings set sku = 'MUG', phase = 'idle', desired_units = 10, desired_version = 1,
                    sent_units = 10, sent_version = 1, sent_at = verified.at, verified_units = 10,
                    verified_version = 1, verified_at = verified.at, base_units = 10, base_net = net_units,
                    look_at = null
                from (select covered_until as at from schedules where task = 'stock') as verified
                """
            )

    async def waiting(self) -> set[str]:
        """The listings that are to be read one by one."""
        rows = await self.shop.rows("select channel_sku from listings where look_at <= db_now()")
        return {row["channel_sku"] for row in rows}

    async def is_undisturbed(self) -> bool:
        """Whether nothing was concluded about the channel as a whole."""
        [row] = await self.shop.rows("select paused_until, held_at, fail_streak from channels")
        return row == {"paused_until": None, "held_at": None, "fail_streak": 0}


@asynccontextmanager
async def large_shop(dsn: str, *, has_been_read: bool = False) -> AsyncIterator[LargeShop]:
    """`has_been_read`: a whole pass is over, and each listing is proved."""
    async with open_shop(dsn, KEYS) as shop:
        items = [CatalogueItem(f"CUP-{n}", f"Cup {n}", 10) for n in range(COUNT)]
        shop.sim.shop.articles.clear()
        shop.sim.stock_catalogue(items)
        limits = (*SCARCE, *(one for one in shop.channel.capability.limits if one.operation != POINTS))
        channel = replace(shop.channel, capability=replace(shop.channel.capability, limits=limits))
        large = LargeShop(shop, channel)
        if has_been_read:
            assert await large.whole_pass() >= COUNT
            await large.prove_all()
            shop.sim.bulk.all.clear()
        yield large


async def test_a_large_catalogue_is_read_from_one_file(dsn: str) -> None:
    async with large_shop(dsn) as large:
        # Nobody knows how large it is, so pages come first. After a hundred listings with more to come it is known.
        assert COUNT < await large.whole_pass() <= COUNT + 200
        assert (await large.known(), large.operations) == (COUNT, 1)
        assert await large.whole_pass() == COUNT
        assert large.operations == 2
        assert await large.is_undisturbed()
        [row] = await large.shop.rows("select swept_count from channels")
        assert row["swept_count"] == COUNT
        assert '"took_s"' in (await large.task())["cursor"]


async def test_what_the_file_shows_is_proved_as_of_when_it_was_asked_for_and_what_differs_is_looked_at(
    dsn: str,
) -> None:
    async with large_shop(dsn, has_been_read=True) as large:
        sku = large.shop.sim.shop.articles[7].variant_id
        large.shop.sim.shop.articles[7].units["available"] = 4
        [begun] = await large.shop.rows("select db_now() as at")
        assert await large.whole_pass() == COUNT
        assert await large.waiting() == {sku}
        proved = await large.shop.rows("select min(verified_at) as at from listings where look_at is null")
        task = await large.task()
        assert begun["at"] < task["covered_until"] == proved[0]["at"] < task["last_done_at"]


class Crash(BaseException):
    """The process dies."""


class Mortal:
    """The database of a process that dies at its so-manieth transaction, before it begins or after it is committed."""

    def __init__(self, database: Database, *, dies_at: int) -> None:
        self._database = database
        self._left = dies_at

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self._step()
        async with self._database.transaction() as tx:
            yield tx
        self._step()

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise Crash


@pytest.mark.long
async def test_wherever_a_process_dies_the_next_one_goes_on_with_the_same_file(dsn: str) -> None:
    died = 0
    async with large_shop(dsn, has_been_read=True) as large:
        for dies_at in range(1, 200):
            large.shop.sim.bulk.all.clear()
            done_at = (await large.task())["last_done_at"]
            deadline = CLOCK.monotonic() + PATIENCE_S
            try:
                # A process that lives on until its pass is over, or dies on the way.
                mortal: Any = Mortal(large.shop.database, dies_at=dies_at)
                while (await large.task())["last_done_at"] == done_at:
                    assert CLOCK.monotonic() < deadline, f"not within {PATIENCE_S} s: the pass is over, {dies_at}"
                    await large.sweep(mortal)
                    await CLOCK.sleep(0.01)
            except Crash:
                died += 1
            else:
                break
            async with large.shop.database.transaction() as tx:  # Its lease runs out.
                await tx.execute("update schedules set lease = null, lease_until = null")
            if (await large.task())["last_done_at"] == done_at:
                await large.whole_pass()
            assert large.operations == 1, f"died at {dies_at}"
            assert (await large.task())["lease"] is None
            unproved = await large.shop.rows(
                "select 1 from listings, schedules where task = 'stock' and verified_at < covered_until"
            )
            assert unproved == [], f"died at {dies_at}"
    assert died > 15, "it has to die on every part of the way"


async def test_a_listing_that_is_absent_from_the_file_is_asked_for_and_not_taken_for_gone(dsn: str) -> None:
    async with large_shop(dsn, has_been_read=True) as large:
        large.shop.sim.switches.set({"bulk_misses": {"next": 3}})
        assert await large.whole_pass() == COUNT - 3
        absent = {article.variant_id for article in large.shop.sim.shop.articles[:3]}
        assert await large.waiting() == absent
        await confirm.confirm(large.shop.database, large.channel, CLOCK)
        assert await large.waiting() == set()
        assert await large.shop.rows("select 1 from listings where verified_units <> 10 or note <> ''") == []
        assert await large.shop.rows("select 1 from drifts") == []
        assert await large.is_undisturbed()


@pytest.mark.long
async def test_one_that_is_gone_is_asked_for_after_each_pass_that_misses_it(dsn: str) -> None:
    async with large_shop(dsn, has_been_read=True) as large:
        large.shop.sim.shop.articles[0].is_deleted = True
        await large.whole_pass()
        assert len(await large.waiting()) == 1
        async with large.shop.database.transaction() as tx:
            await tx.execute("update listings set look_at = null")
        await large.whole_pass()
        assert len(await large.waiting()) == 1


@pytest.mark.long
async def test_a_file_with_few_of_the_listings_holds_the_channel(dsn: str) -> None:
    async with large_shop(dsn, has_been_read=True) as large:
        large.shop.sim.switches.set({"bulk_misses": {"next": COUNT - 20}})
        assert await large.whole_pass() == 20
        [row] = await large.shop.rows("select held_reason from channels")
        assert row["held_reason"] == "truncated"
        assert await large.shop.rows("select 1 from listings where verified_units <> 10") == []
        await large.whole_pass()
        assert await large.is_undisturbed()


@pytest.mark.long
async def test_of_a_file_that_ends_early_what_is_there_counts_and_the_rest_is_asked_for(dsn: str) -> None:
    async with large_shop(dsn, has_been_read=True) as large:
        large.shop.sim.switches.set({"bulk_failed": {"next": 1}})
        read_count = await large.whole_pass()
        assert 0 < read_count < COUNT
        assert len(await large.waiting()) == COUNT - read_count
        task = await large.task()
        # It was no whole pass, and the breaker takes no measure from it.
        [row] = await large.shop.rows(
            "select min(verified_at) = covered_until as is_old from listings, schedules "
            "where task = 'stock' group by covered_until"
        )
        assert row["is_old"], task
        assert await large.is_undisturbed()
        # What may be new in the shop is told by the next pass, which does not rely on a file again.
        large.shop.sim.stock_catalogue([CatalogueItem("NEW", "New", 1)])
        assert await large.whole_pass() == COUNT + 1
        assert large.operations == 1
        assert await large.whole_pass() == COUNT + 1
        assert large.operations == 2


async def test_before_anything_is_known_the_pages_go_on_where_a_file_ended_early(dsn: str) -> None:
    async with large_shop(dsn) as large:
        large.shop.sim.switches.set({"bulk_failed": {"next": 1}})
        await large.whole_pass()
        assert (await large.known(), large.operations) == (COUNT, 1)


async def test_a_file_that_breaks_off_is_fetched_again_from_there(dsn: str) -> None:
    async with large_shop(dsn, has_been_read=True) as large:
        large.shop.sim.switches.set({"bulk_truncated": {"next": 2}})
        assert await large.whole_pass() == COUNT
        assert large.operations == 1
        assert await large.waiting() == set()
        assert await large.is_undisturbed()


async def test_one_that_breaks_off_each_time_has_to_do_as_it_is(dsn: str) -> None:
    async with large_shop(dsn, has_been_read=True) as large:
        large.shop.sim.switches.set({"bulk_truncated": 1.0})
        read_count = await large.whole_pass()
        assert 0 < read_count <= COUNT
        assert len(await large.waiting()) == COUNT - read_count
        assert '"by_pages":true' in (await large.task())["cursor"]
        assert await large.is_undisturbed()


async def test_where_the_address_of_a_file_has_expired_another_one_is_written(dsn: str) -> None:
    async with large_shop(dsn, has_been_read=True) as large:
        large.shop.sim.switches.set({"bulk_url_expired": {"next": 1}})
        assert await large.whole_pass() == COUNT
        assert large.operations == 2
        assert await large.is_undisturbed()


@pytest.mark.long
@pytest.mark.parametrize("fault", ["bulk_denied", "bulk_url_expired"])
async def test_where_no_file_is_to_be_had_the_pages_are_read(dsn: str, fault: str) -> None:
    async with large_shop(dsn, has_been_read=True) as large:
        large.shop.sim.switches.set({fault: 1.0})
        assert await large.whole_pass() == COUNT
        assert await large.waiting() == set()
        assert await large.is_undisturbed()


@pytest.mark.long
async def test_while_the_shop_writes_as_many_files_as_it_does_at_once_the_sweep_waits(dsn: str) -> None:
    async with large_shop(dsn, has_been_read=True) as large:
        large.shop.sim.switches.set({"bulk_busy": {"next": AT_ONCE_MOST}})
        assert await large.sweep() == 0
        task = await large.task()
        assert (task["lease"], "already in progress" in task["last_fault"]) == (None, True)
        assert await large.is_undisturbed()
        assert await large.whole_pass() == COUNT
        assert large.operations == 1


@pytest.mark.long
async def test_a_file_is_not_waited_for_for_ever(dsn: str) -> None:
    async with large_shop(dsn, has_been_read=True) as large:
        connector = large.channel.connector
        assert isinstance(connector, WritesStockFile)
        large.shop.sim.speed = 0.001  # It would take an hour.
        source = File(large.shop.database, connector, CLOCK, place=Place(), terms=FileTerms(0.0), covered_until=None)
        part = await source.next_part()
        assert (part.ending, part.place.by_pages) == (Ending.BY_PAGES, True)
        [operation] = large.shop.sim.bulk.all.values()
        assert operation.status == "CANCELING"


async def test_while_the_shop_does_not_answer_the_file_is_kept(dsn: str) -> None:
    async with large_shop(dsn, has_been_read=True) as large:
        await large.sweep()
        before = (await large.task())["cursor"]
        large.shop.sim.switches.set({"server_error": {"next": 1}})
        await large.sweep()
        task = await large.task()
        assert (task["cursor"], "502" in task["last_fault"]) == (before, True)
        async with large.shop.database.transaction() as tx:
            await tx.execute("update channels set paused_until = null")
        assert await large.whole_pass() == COUNT
        assert large.operations == 1


async def test_a_channel_is_read_by_pages_where_it_is_connected_without_files(dsn: str) -> None:
    async with large_shop(dsn) as large:
        large.channel = replace(large.channel, capability=replace(large.channel.capability, has_stock_file=False))
        assert await large.whole_pass() == COUNT
        assert (large.operations, await large.known()) == (0, COUNT)
        assert large.channel.name == SHOP
