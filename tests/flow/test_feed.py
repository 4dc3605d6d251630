"""Many figures go to a channel in one feed: what is scarce does not, what it carries is reserved, and it may fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from flow.world import CLOCK, MARKET, PATIENCE_S, World, open_world
from oneshelf.connectors.amazon import CONNECTOR
from oneshelf.connectors.amazon.simulator import AmazonSimulator
from oneshelf.domain.identity import Sku
from oneshelf.domain.rights import Mode
from oneshelf.flow import confirm, plan, push
from oneshelf.flow.channel import OpenChannel
from oneshelf.flow.feed import AFTER_REFUSAL_S, LEASE_S, UNITS_LEAST, feed
from oneshelf.sdk.contract import Connector
from oneshelf.sdk.fault import ChannelFault, ReauthenticateError, RefusedError
from oneshelf.storage import rights
from oneshelf.storage.database import Database

pytestmark = pytest.mark.pg

SKUS = tuple(f"MUG-{n}" for n in range(6))
LEAST = 4
# A feed whose beginning was not answered is listed by then, or was never taken.
SHOWN_AFTER_S = LEASE_S + CONNECTOR.capability.feed_shown_s


@dataclass
class Load:
    """A world in which many figures wait for the market. `channel`: it takes feeds of a few."""

    world: World
    channel: OpenChannel
    sim: AmazonSimulator

    @property
    def patched(self) -> list[str]:
        """The SKU of each change that the market took, however it came."""
        return sorted(self.sim.amazon.taken.elements())

    async def step(self, database: Database | Any = None) -> int:
        """The step, as if the time to look had come."""
        await self.world.database_do("update feeds set look_at = db_now()")
        await self.world.database_do("update channels set paused_until = null")
        return await feed(database or self.world.database, self.channel, CLOCK)

    async def until_ended(self) -> dict[str, Any]:
        """Look at the feed until it has ended. Returns its row."""
        deadline = CLOCK.monotonic() + PATIENCE_S
        while (row := await self.row())["ended_at"] is None:
            assert CLOCK.monotonic() < deadline, row
            await self.step()
            await CLOCK.sleep(0.02)
        return row

    async def until(self, holds: Callable[[], bool], *, what: str) -> None:
        """Let the channel go on by itself."""
        deadline = CLOCK.monotonic() + PATIENCE_S
        while not holds():
            assert CLOCK.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
            await CLOCK.sleep(0.02)

    async def until_worked_through(self) -> None:
        """The channel has done what is in the feeds; nobody has looked."""
        await self.until(
            lambda: all(known.status == "DONE" for known in self.sim.feeds.all.values()), what="its feeds are done"
        )

    async def fail_streak(self) -> int:
        """How many calls of the market failed in a row."""
        [row] = await self.world.rows(f"select fail_streak from channels where channel = '{MARKET}'")
        return int(row["fail_streak"])

    async def row(self) -> dict[str, Any]:
        """The feed under way; the last one where none is. (`begun_at` of one under way may have been set back.)"""
        return (await self.world.rows("select * from feeds order by ended_at is null desc, begun_at desc limit 1"))[0]

    async def phases(self) -> dict[str, str]:
        rows = await self.world.rows(f"select channel_sku, phase from listings where channel = '{MARKET}'")
        return {row["channel_sku"]: row["phase"] for row in rows}

    async def carried(self) -> set[str]:
        rows = await self.world.rows("select channel_sku from listings where feed_id is not null and phase = 'sending'")
        return {row["channel_sku"] for row in rows}

    async def until_shown(self, **units: int) -> None:
        """Run the whole engine, feeds and all, until the market's buyers see these figures, and they are proved."""
        wanted = {sku.replace("_", "-"): shown for sku, shown in units.items()}

        async def holds() -> bool:
            await self.step()
            books = {one.channel_sku: one.units for one in self.sim.listings()}
            return await self.world.is_settled() and wanted.items() <= books.items()

        await self.world.until(holds, what=f"the market shows {wanted}")


@asynccontextmanager
async def load(dsn: str, *, more: int = 50, skus: tuple[str, ...] = SKUS) -> AsyncIterator[Load]:
    """Goods came in for all SKUs: their figures are planned, and not written yet."""
    async with open_world(dsn, skus=dict.fromkeys(skus, 100)) as world:
        sim = world.simulators[MARKET]
        assert isinstance(sim, AmazonSimulator)
        opened = world.channels.by_name[MARKET]
        channel = replace(opened, capability=replace(opened.capability, feed_writes_least=LEAST))
        for sku in skus:
            await world.receive(sku, more, key=f"more-{sku}")
        await plan.plan(world.database, blind={MARKET})
        loaded = Load(world, channel, sim)
        sim.amazon.taken.clear()
        yield loaded


@pytest.mark.long
async def test_many_figures_go_in_one_feed_and_are_proved(dsn: str) -> None:
    async with load(dsn) as one:
        assert await one.step() == len(SKUS)
        assert len(one.sim.feeds.all) == 1
        assert (await one.row())["is_answered"]
        assert await one.carried() == set(SKUS)
        # Nobody else touches them, and no second feed is begun.
        assert await push.push(one.world.database, one.channel, CLOCK) == 0
        assert await confirm.confirm(one.world.database, one.channel, CLOCK) == 0
        assert one.patched == []
        row = await one.until_ended()
        assert "done" in row["words"]
        assert set((await one.phases()).values()) == {"accepted"}
        await one.until_shown(**dict.fromkeys(("MUG_0", "MUG_5"), 150))
        assert one.patched == sorted(SKUS)
        assert len(one.sim.feeds.all) == 1
        await one.world.assert_ledger_balances()


@pytest.mark.long
async def test_what_a_feed_may_still_write_stays_reserved(dsn: str) -> None:
    async with load(dsn) as one:
        await one.step()
        [row] = await one.world.rows(f"select min(rights_units) as least from listings where channel = '{MARKET}'")
        # The figure that is on its way, and what may be sold until it is applied and is buried by it.
        assert row["least"] >= 150
        await one.until_ended()


async def test_few_figures_zeroes_scarce_ones_and_guarded_skus_go_one_by_one(dsn: str) -> None:
    async with load(dsn) as one:
        async with one.world.database.transaction() as tx:
            await rights.set_mode(tx, [Sku("MUG-0")], Mode.GUARDED)
            await rights.set_mode(tx, [Sku("MUG-1")], Mode.FROZEN)
        await plan.plan(one.world.database, blind={MARKET})
        scarce = f"update listings set desired_units = {UNITS_LEAST - 1} where channel = '{MARKET}' and sku = 'MUG-2'"
        await one.world.database_do(scarce)
        assert await one.step() == 0, "three are too few"
        one.channel = replace(one.channel, capability=replace(one.channel.capability, feed_writes_least=3))
        assert await one.step() == 3
        assert await one.carried() == {"MUG-3", "MUG-4", "MUG-5"}
        while await push.push(one.world.database, one.channel, CLOCK):
            pass
        assert {"MUG-1", "MUG-2"} <= set(one.patched) <= {"MUG-0", "MUG-1", "MUG-2"}


@pytest.mark.long
async def test_a_held_channel_and_one_that_compares_get_no_feed(dsn: str) -> None:
    async with load(dsn) as one:
        await one.world.database_do("update channels set held_at = db_now(), held_reason = 'zeroed'")
        assert await one.step() == 0
        await one.world.database_do("update channels set held_at = null, held_reason = ''")
        none = replace(one.channel, capability=replace(one.channel.capability, feed_writes=0))
        assert await feed(one.world.database, none, CLOCK) == 0
        assert await one.step() == len(SKUS)


@pytest.mark.long
async def test_a_row_that_is_refused_is_parked_and_the_others_are_taken(dsn: str) -> None:
    async with load(dsn) as one:
        await one.step()
        one.sim.end_listing("MUG-2")
        await one.until_ended()
        phases = await one.phases()
        assert phases.pop("MUG-2") == "parked"
        assert set(phases.values()) == {"accepted"}


@pytest.mark.long
async def test_a_feed_that_is_cancelled_has_written_nothing_and_its_figures_go_one_by_one(dsn: str) -> None:
    async with load(dsn) as one:
        await one.step()
        [known] = one.sim.feeds.all.values()
        known.status = "CANCELLED"
        await one.until_ended()
        assert set((await one.phases()).values()) == {"idle"}
        one.channel = replace(one.channel, capability=replace(one.channel.capability, feed_writes_least=99))
        await one.until_shown(MUG_0=150)
        assert len(one.sim.feeds.all) == 1


@pytest.mark.long
async def test_a_feed_that_failed_is_read_back_never_assumed(dsn: str) -> None:
    """Half of it was done, and nobody says which."""
    async with load(dsn) as one:
        one.sim.switches.set({"feed_fatal": {"next": 1}})
        await one.step()
        await one.until_ended()
        assert set((await one.phases()).values()) == {"unknown"}
        assert 0 < len(one.patched) < len(SKUS)


@pytest.mark.long
async def test_an_accepted_row_that_is_never_applied_is_found(dsn: str) -> None:
    async with load(dsn) as one:
        one.sim.switches.set({"write_never_applied": {"next": 2}})
        await one.step()
        await one.until_ended()
        await one.until_shown(**dict.fromkeys(("MUG_0", "MUG_1", "MUG_5"), 150))
        assert len(one.patched) >= len(SKUS) + 2


@pytest.mark.long
async def test_a_feed_whose_answer_was_lost_is_waited_for_and_then_read_back(dsn: str) -> None:
    async with load(dsn) as one:
        one.sim.switches.set({"feed_reply_lost": {"next": 1}})
        await one.step()
        row = await one.row()
        assert (row["is_answered"], row["names"], row["ended_at"]) == (False, [], None)
        await one.step()
        assert (await one.row())["names"] == list(one.sim.feeds.all)
        await one.until(
            lambda: all(known.status == "DONE" for known in one.sim.feeds.all.values()),
            what="the market is done with it",
        )
        await one.step()
        # Another one may show up yet: only after a while is it certain that all are known.
        assert await one.carried() == set(SKUS)
        await one.world.database_do(f"update feeds set begun_at = begun_at - interval '{SHOWN_AFTER_S} s'")
        await one.until_ended()
        assert set((await one.phases()).values()) == {"unknown"}


async def test_a_feed_that_is_stuck_is_told_and_lets_go_of_what_is_not_guarded(dsn: str) -> None:
    async with load(dsn) as one:
        one.sim.switches.set({"feed_stuck": {"next": 1}})
        await one.step()
        [known] = one.sim.feeds.all.values()
        await one.until(lambda: known.status == "IN_PROGRESS", what="the market has begun it")
        await one.step()
        assert (await one.row())["stuck_at"] is None
        async with one.world.database.transaction() as tx:
            await rights.set_mode(tx, [Sku("MUG-0")], Mode.GUARDED)
        await plan.plan(one.world.database, blind={MARKET})
        one.channel = replace(one.channel, capability=replace(one.channel.capability, feed_s_max=0.0))
        await one.step()
        row = await one.row()
        assert row["stuck_at"] is not None
        assert await one.carried() == set(SKUS), "it is cancelled first, if that is possible"
        await one.step()
        assert await one.carried() == {"MUG-0"}
        assert (await one.row())["ended_at"] is None, "no second feed queues behind it"
        phases = await one.phases()
        assert {sku for sku, phase in phases.items() if phase == "unknown"} == set(SKUS) - {"MUG-0"}


async def test_a_feed_whose_report_is_gone_ends_and_is_read_back(dsn: str) -> None:
    async with load(dsn) as one:
        await one.step()
        await one.until_worked_through()
        one.sim.switches.set({"feed_report_gone": {"next": 1}})
        await one.step()
        row = await one.row()
        assert row["ended_at"] is not None
        assert "404" in row["words"]
        assert set((await one.phases()).values()) == {"unknown"}
        assert await one.fail_streak() == 0, "the channel answers"


async def test_a_feed_of_which_the_channel_refuses_to_tell_for_too_long_ends(dsn: str) -> None:
    async with load(dsn) as one:
        await one.step()
        await one.until_worked_through()
        async with one.world.database.transaction() as tx:
            await rights.set_mode(tx, [Sku("MUG-0")], Mode.GUARDED)
        await plan.plan(one.world.database, blind={MARKET})
        one.sim.switches.set({"document_expired": 1.0})
        await one.step()
        row = await one.row()
        assert (row["stuck_at"], row["ended_at"]) == (None, None)
        assert "not told" in row["words"]
        one.channel = replace(one.channel, capability=replace(one.channel.capability, feed_s_max=0.0))
        await one.step()
        assert (await one.row())["stuck_at"] is not None
        assert await one.carried() == set(SKUS), "it is cancelled first, if that is possible"
        await one.step()
        assert (await one.row())["ended_at"] is not None
        assert set((await one.phases()).values()) == {"unknown"}
        assert await one.fail_streak() == 0, "the channel answers"


async def test_what_is_told_of_a_feed_after_all_is_taken(dsn: str) -> None:
    async with load(dsn) as one:
        await one.step()
        await one.until_worked_through()
        one.sim.switches.set({"document_expired": {"next": 1}})
        one.channel = replace(one.channel, capability=replace(one.channel.capability, feed_s_max=0.0))
        await one.step()
        assert (await one.row())["ended_at"] is None
        await one.step()
        assert "done" in (await one.row())["words"]
        assert set((await one.phases()).values()) == {"accepted"}


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
@pytest.mark.timeout(600)
async def test_wherever_a_process_dies_every_figure_is_settled_and_none_is_sent_twice(dsn: str) -> None:
    died = 0
    async with load(dsn) as one:
        for dies_at in range(1, 60):
            one.sim.feeds.all.clear()
            for sku in SKUS:
                await one.world.receive(sku, 1, key=f"{dies_at}-{sku}")
            await plan.plan(one.world.database, blind={MARKET})
            mortal: Any = Mortal(one.world.database, dies_at=dies_at)
            deadline = CLOCK.monotonic() + PATIENCE_S
            try:
                while not one.sim.feeds.all or (await one.row())["ended_at"] is None:
                    assert CLOCK.monotonic() < deadline, f"not within {PATIENCE_S} s: the feed has ended, {dies_at}"
                    await one.step(mortal)
                    await CLOCK.sleep(0.02)
            except Crash:
                died += 1
            else:
                break
            # Its lease runs out, and the time in which an unanswered feed shows up.
            await one.world.database_do(
                f"""update feeds set lease_until = db_now() - interval '1 second',
                        begun_at = begun_at - interval '{SHOWN_AFTER_S} s' where ended_at is null"""
            )
            if await one.world.rows("select 1 from feeds where ended_at is null"):
                await one.until_ended()
            assert await one.carried() == set(), f"died at {dies_at}"
            assert len(one.sim.feeds.all) <= 1, f"died at {dies_at}"
            # What nobody knows is settled by time, which is let pass here.
            await one.world.database_do(
                """update listings set phase = 'idle', op_id = null, op_units = null, op_expected = null, op_net = null,
                       op_rights = null, look_at = null, sent_version = desired_version
                   where phase in ('unknown', 'accepted')"""
            )
    assert died > 12, "it has to die on every part of the way"


async def test_where_a_channel_counts_changes_each_is_weighed_and_none_goes_by_a_feed(dsn: str) -> None:
    async with load(dsn) as one:
        one.channel = replace(one.channel, capability=replace(one.channel.capability, changes_per_day=250))
        assert await one.step() == 0
        assert await push.push(one.world.database, one.channel, CLOCK) == len(SKUS)
        [counted] = await one.world.rows("select sum(changes) as changes from listing_changes")
        assert counted["changes"] == len(SKUS)
        assert one.sim.feeds.all == {}


@pytest.mark.parametrize("refusal", [RefusedError("no such feed type"), ReauthenticateError("no role for feeds")])
async def test_where_the_channel_takes_no_feed_the_figures_go_one_by_one(dsn: str, refusal: ChannelFault) -> None:
    class Refusing:
        """The connector of the market, which may do anything but begin a feed."""

        def __init__(self, connector: object) -> None:
            self.connector = connector

        def __getattr__(self, name: str) -> Any:
            return getattr(self.connector, name)

        async def begin_feed(self, _writes: object) -> None:
            raise refusal

    async with load(dsn) as one:
        able = one.channel
        one.channel = replace(able, connector=cast(Connector, Refusing(able.connector)))
        assert await one.step() == len(SKUS)
        assert (await one.row())["ended_at"] is not None
        assert await one.step() == 0, "it is not asked again at once"
        assert await one.fail_streak() == 0
        paused = f"select from channels where channel = '{MARKET}' and paused_until > db_now()"
        assert await one.world.rows(paused) == []
        deadline = CLOCK.monotonic() + PATIENCE_S
        while one.patched != sorted(SKUS):
            assert CLOCK.monotonic() < deadline, one.patched
            await push.push(one.world.database, one.channel, CLOCK)
            await CLOCK.sleep(0.02)
        for sku in SKUS:
            await one.world.receive(sku, 7, key=f"later-{sku}")
        await plan.plan(one.world.database, blind={MARKET})
        one.channel = able
        assert await one.step() == 0
        await one.world.database_do(f"update feeds set ended_at = ended_at - interval '{AFTER_REFUSAL_S} s'")
        while await one.step() == 0:
            assert CLOCK.monotonic() < deadline, await one.phases()
            await confirm.confirm(one.world.database, one.channel, CLOCK)
            await CLOCK.sleep(0.02)
