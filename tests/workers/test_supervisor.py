"""Which steps run while channels come, change and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from psycopg import sql

from flow.world import (
    BERLIN,
    CLOCK,
    MARKET,
    MARKET_ADDRESS,
    SHOP,
    SHOP_ADDRESS,
    SPEED,
    amazon_config,
    shopify_config,
)
from oneshelf.app import OpenChannels
from oneshelf.domain.command import CommandKey, Receive
from oneshelf.domain.identity import Channel, Sku
from oneshelf.errors import InvariantError
from oneshelf.flow.channel import OpenChannel
from oneshelf.flow.post import post_commands
from oneshelf.sdk.fault import SignatureError
from oneshelf.sdk.kinds import load_kinds
from oneshelf.sdk.message import Request
from oneshelf.sdk.signature import hmac_sha256_base64
from oneshelf.sdk.simulator import CatalogueItem, Simulator
from oneshelf.storage import catalog, leases
from oneshelf.storage.database import Database
from oneshelf.workers import supervisor as supervisor_module
from oneshelf.workers.supervisor import Supervisor

pytestmark = pytest.mark.pg

MUG = Sku("MUG")
COMMON = {"interpret", "post", "plan", "resolve"}
OF_A_CHANNEL = {"poll", "push", "confirm", "sweep", "weigh"}
PATIENCE_S = 90.0
TIMING = {"poll_orders_s": 0.05, "sweep_stock_s": 0.2, "suspense_s": 0.5}


@dataclass
class Engine:
    """A supervisor at work between two simulated channels, none of them connected yet."""

    database: Database
    channels: OpenChannels
    supervisor: Supervisor
    simulators: Mapping[Channel, Simulator]
    run: asyncio.Task[None]

    async def connect(
        self,
        channel: Channel,
        *,
        timing: Mapping[str, float] | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        """Connect a channel, or change its settings, as another program does."""
        kind, (settings, told) = ("shopify", shopify_config()) if channel == SHOP else ("amazon", amazon_config())
        async with self.database.transaction() as tx:
            new = catalog.NewChannel(
                channel, kind, BERLIN, settings, {**told, **(secrets or {})}, {**TIMING, **(timing or {})}
            )
            await catalog.add_channel(tx, new)
            await catalog.set_mode(tx, channel, "live")

    async def disconnect(self, channel: Channel) -> None:
        async with self.database.transaction() as tx:
            # In the order of the engine, which works on.
            await tx.execute("select from channels where channel = %(channel)s for update", {"channel": channel})
            await tx.execute(
                "select from listings where channel = %(channel)s order by channel_sku for update", {"channel": channel}
            )
            for table in ("inbox", "facts", "listings", "channels"):
                query = sql.SQL("delete from {} where channel = %(channel)s").format(sql.Identifier(table))
                await tx.execute(query, {"channel": channel})

    async def until(self, holds: Callable[[], Awaitable[bool]], *, what: str) -> None:
        give_up_at = CLOCK.monotonic() + PATIENCE_S
        while not await holds():
            await CLOCK.sleep(0.02)
            assert not self.run.done(), f"the engine stopped before: {what}"
            assert CLOCK.monotonic() < give_up_at, f"did not come to be: {what}; steps: {sorted(steps())}"

    async def until_steps(self, *channels: Channel) -> None:
        """Until exactly the common steps and those of these channels run."""
        wanted = COMMON | {f"{step} {channel}" for channel in channels for step in OF_A_CHANNEL}

        async def holds() -> bool:
            return steps() == wanted

        await self.until(holds, what=f"steps of {channels}")

    async def until_shown(self, channel: Channel, units: int) -> None:
        """Until a buyer at the channel sees this figure."""

        async def holds() -> bool:
            return [listing.units for listing in self.simulators[channel].listings()] == [units]

        await self.until(holds, what=f"{units} units at {channel}")

    async def until_committed(self, units: int) -> None:
        """Until the ledger holds so many units for orders."""

        async def holds() -> bool:
            async with self.database.transaction() as tx:
                cursor = await tx.execute("select from balances where committed = %(units)s", {"units": units})
                return len(await cursor.fetchall()) == 1

        await self.until(holds, what=f"{units} units committed")

    async def receive(self, units: int, key: str) -> None:
        command = Receive(key=CommandKey(scope="test", key=key), sku=MUG, location=BERLIN, units=units)
        await post_commands(self.database, CLOCK.new_id, [command])
        self.supervisor.pulse.wake(["plan"])

    async def end_all_connections(self, dsn: str) -> None:
        async with Database.open(dsn) as other, other.transaction() as tx:
            await tx.execute(
                """
                select pg_terminate_backend(pid, 5000) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid() and application_name = 'oneshelf'
                """
            )


def steps() -> set[str]:
    """The steps that run now; the supervisor names its tasks after them."""
    names = {task.get_name() for task in asyncio.all_tasks() if not task.done()}
    return {name for name in names if name.split(" ")[0] in COMMON | OF_A_CHANNEL}


def tasks_of(channel: Channel) -> set[asyncio.Task[Any]]:
    """The tasks that run the steps of this channel now."""
    return {task for task in asyncio.all_tasks() if task.get_name() in {f"{step} {channel}" for step in OF_A_CHANNEL}}


@asynccontextmanager
async def engine(dsn: str) -> AsyncIterator[Engine]:
    kinds = load_kinds()
    simulators = {
        SHOP: kinds["shopify"].simulator(seed=1, speed=SPEED, clock=CLOCK),
        MARKET: kinds["amazon"].simulator(seed=1, speed=SPEED, clock=CLOCK),
    }
    for simulator in simulators.values():
        simulator.stock_catalogue([CatalogueItem(sku=MUG, title="Mug", units=3)])
    mounts = {
        SHOP_ADDRESS: httpx2.ASGITransport(simulators[SHOP].app(), raise_app_exceptions=False),
        MARKET_ADDRESS: httpx2.ASGITransport(simulators[MARKET].app(), raise_app_exceptions=False),
    }
    async with Database.open(dsn) as database, httpx2.AsyncClient(mounts=mounts) as client:
        async with database.transaction() as tx:
            await catalog.add_skus(tx, {MUG: "Mug"})
            await catalog.add_location(tx, BERLIN)
        channels = OpenChannels(database, CLOCK, client)
        await channels.refresh()
        supervisor = Supervisor(database, CLOCK, channels.by_name, channels.refresh)
        async with asyncio.TaskGroup() as group:
            lives = [group.create_task(simulator.run()) for simulator in simulators.values()]
            run = group.create_task(supervisor.run())
            yield Engine(database, channels, supervisor, simulators, run)
            for task in [*lives, run]:
                task.cancel()


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "REFRESH_S", 0.02)


@pytest.mark.long
async def test_a_channel_that_is_added_later_gets_its_steps_and_its_figures(dsn: str) -> None:
    async with engine(dsn) as shop:
        await shop.until_steps()
        await shop.receive(8, "first")
        await shop.connect(SHOP)
        await shop.until_steps(SHOP)
        await shop.until_shown(SHOP, 8)
        await shop.connect(MARKET, timing={"apply_s": 1.5})
        await shop.until_steps(SHOP, MARKET)
        await shop.until_shown(MARKET, 8)


@pytest.mark.long
async def test_a_sale_on_one_channel_is_soon_seen_on_the_other(dsn: str) -> None:
    async with engine(dsn) as shop:
        await shop.receive(8, "first")
        await shop.connect(SHOP)
        await shop.connect(MARKET, timing={"apply_s": 1.5})
        await shop.until_shown(SHOP, 8)
        await shop.until_shown(MARKET, 8)
        (listing,) = shop.simulators[SHOP].listings()
        assert shop.simulators[SHOP].place([(listing.channel_sku, 3)])
        await shop.until_shown(MARKET, 5)


@pytest.mark.long
async def test_a_changed_channel_is_opened_again_with_its_new_settings(dsn: str) -> None:
    async with engine(dsn) as shop:
        await shop.connect(SHOP, secrets={"webhook_secret": "old"})
        await shop.until_steps(SHOP)
        before, tasks = shop.channels.by_name[SHOP], tasks_of(SHOP)
        assert is_believed(before, signed_with="old")
        await shop.connect(SHOP, secrets={"webhook_secret": "new"})

        async def is_opened_again() -> bool:
            return shop.channels.by_name[SHOP] is not before and all(task.done() for task in tasks)

        await shop.until(is_opened_again, what="another connection, and the steps of the old one ended")
        await shop.until_steps(SHOP)
        assert len(tasks_of(SHOP)) == len(tasks) == len(OF_A_CHANNEL)
        assert is_believed(shop.channels.by_name[SHOP], signed_with="new")
        assert not is_believed(shop.channels.by_name[SHOP], signed_with="old")
        # What the old connection held when it was cut would run out by itself; the test does not wait for that.
        await leases.clear(shop.database)
        await shop.receive(8, "first")
        await shop.until_shown(SHOP, 8)


def is_believed(channel: OpenChannel, *, signed_with: str) -> bool:
    headers = {"x-shopify-hmac-sha256": hmac_sha256_base64(signed_with, b"{}"), "x-shopify-topic": "orders/create"}
    try:
        channel.connector.verify(Request(headers=headers, body=b"{}"))
    except SignatureError:
        return False
    return True


async def test_a_channel_that_did_not_change_stays_open(dsn: str) -> None:
    async with engine(dsn) as shop:
        await shop.connect(SHOP)
        await shop.until_steps(SHOP)
        opened, tasks = shop.channels.by_name[SHOP], tasks_of(SHOP)
        await shop.connect(SHOP)
        await shop.connect(MARKET)
        await shop.until_steps(SHOP, MARKET)
        assert shop.channels.by_name[SHOP] is opened
        assert len(tasks) == len(OF_A_CHANNEL)
        assert tasks_of(SHOP) == tasks


@pytest.mark.long
async def test_a_removed_channel_ends_and_the_others_go_on(dsn: str) -> None:
    async with engine(dsn) as shop:
        await shop.receive(8, "first")
        await shop.connect(SHOP)
        await shop.connect(MARKET, timing={"apply_s": 1.5})
        await shop.until_steps(SHOP, MARKET)
        await shop.until_shown(SHOP, 8)
        await shop.disconnect(MARKET)
        await shop.until_steps(SHOP)
        await shop.receive(1, "second")
        await shop.until_shown(SHOP, 9)


async def test_a_wrong_channel_is_left_out_until_it_is_set_right(dsn: str) -> None:
    async with engine(dsn) as shop:
        await shop.connect(SHOP, secrets={"access_token": "no such token"})
        await shop.connect(MARKET)
        await shop.until_steps(MARKET)
        await shop.connect(SHOP)
        await shop.until_steps(SHOP, MARKET)


@pytest.mark.long
async def test_the_engine_outlives_the_loss_of_all_its_connections(dsn: str) -> None:
    async with engine(dsn) as shop, Database.open(dsn, application_name="test") as other:
        await shop.receive(8, "first")
        await shop.connect(SHOP)
        await shop.until_shown(SHOP, 8)
        await shop.end_all_connections(dsn)
        command = Receive(key=CommandKey(scope="test", key="second"), sku=MUG, location=BERLIN, units=1)
        await post_commands(other, CLOCK.new_id, [command])

        # Planned, not shown: a step that was cut in the middle may leave a lease, which runs out by itself.
        async def is_planned() -> bool:
            async with other.transaction() as tx:
                return len(await (await tx.execute("select from listings where desired_units = 9")).fetchall()) == 1

        await shop.until(is_planned, what="the new figure planned")
        await shop.until_steps(SHOP)


async def test_a_channel_that_could_not_be_opened_for_want_of_the_database_is_opened_later(dsn: str) -> None:
    async with engine(dsn) as shop:
        async with shop.database.transaction() as tx:
            await tx.execute(
                """
                create sequence tries;
                create function refuse() returns trigger language plpgsql as $$
                begin
                    if nextval('tries') <= 2 then
                        raise exception 'the database goes down' using errcode = 'admin_shutdown';
                    end if;
                    return new;
                end $$;
                create trigger refuse before insert on schedules for each row execute function refuse();
                """
            )
        await shop.connect(SHOP)
        await shop.until_steps(SHOP)
        async with shop.database.transaction() as tx:
            row = await (await tx.execute("select last_value from tries")).fetchone()
        assert row is not None
        assert row[0] > 2, "it was refused before"


@pytest.mark.long
async def test_a_bug_in_one_step_stops_the_engine(dsn: str) -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        await _break_a_rule_of_the_ledger(dsn)
    assert caught.group_contains(InvariantError, match="committed would be")
    assert steps() == set()


async def _break_a_rule_of_the_ledger(dsn: str) -> None:
    async with engine(dsn) as shop:
        await shop.receive(8, "first")
        await shop.connect(SHOP)
        await shop.until_shown(SHOP, 8)
        (listing,) = shop.simulators[SHOP].listings()
        order_id = shop.simulators[SHOP].place([(listing.channel_sku, 1)])
        assert order_id is not None
        await shop.until_committed(1)
        # Somebody typed into the table: the unit that comes back from the order is not there.
        async with shop.database.transaction() as tx:
            await tx.execute("update balances set committed = 0")
        assert shop.simulators[SHOP].cancel(order_id)
        async with asyncio.timeout(60):
            await asyncio.wait([shop.run])


async def test_the_engine_ends_when_it_is_told_to_whatever_it_waits_for(dsn: str) -> None:
    async with Database.open(dsn) as database, asyncio.TaskGroup() as group:
        looked = asyncio.Event()

        async def refresh() -> None:
            looked.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

        run = group.create_task(Supervisor(database, CLOCK, {}, refresh).run())
        await looked.wait()
        run.cancel()
        async with asyncio.timeout(60):
            await asyncio.wait([run])
    assert run.cancelled()
    assert steps() == set()
