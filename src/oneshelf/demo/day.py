"""A day of business: the engine goes live, shoppers come, things break, shoppers go, everything is weighed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import httpx2

from oneshelf.clock import Clock
from oneshelf.demo import world
from oneshelf.demo.children import Child
from oneshelf.demo.plan import LOCATION, Delivery, Event
from oneshelf.demo.report import Report, written
from oneshelf.demo.scene import Balance, Scene, channel_skus, weigh
from oneshelf.demo.screen import Screen
from oneshelf.demo.shops import SimulatedShop
from oneshelf.domain.identity import Sku
from oneshelf.errors import ConfigurationError, DatabaseUnavailableError
from oneshelf.sdk.shoppers import ShoppersPlan
from oneshelf.storage import reports
from oneshelf.storage.database import Database

TICK_S = 0.25
READ_EVERY_S = 0.5
BOOKS_EVERY_S = 1.0
# A write of an engine that was killed is settled when no copy of it can arrive any more; a feed that it was beginning
# is looked for when its lease is over, after three minutes.
SETTLE_S_MAX = 300.0
VERIFY_S_MAX = 180.0
# An engine that dies this often without ever answering will not live the next time either.
DEATHS_MAX = 5


@dataclass(frozen=True, slots=True)
class House:
    """What a day needs, all of it started. `client` asks for the dashboard."""

    database: Database
    shops: Mapping[str, SimulatedShop]
    engine: Child
    client: httpx2.AsyncClient


class Day:
    """One run."""

    def __init__(self, scene: Scene, screen: Screen, house: House, clock: Clock) -> None:
        self._scene = scene
        self._screen = screen
        self._database = house.database
        self._shops = house.shops
        self._engine = house.engine
        self._client = house.client
        self._clock = clock
        self._plan = scene.plan
        self._is_closing = False
        self._events: list[Event] = []
        self._delivery: Delivery | None = None
        self._restocks: dict[Sku, float] = {}
        self._receipt_count = 0
        self._read_at = 0.0
        self._books_at = 0.0
        self._must_kill = self._plan.options.kill_engine_at_s is not None

    def close(self) -> None:
        """No more shopping: go on to the end."""
        self._is_closing = True

    async def begin_to_end(self) -> Report | None:
        """The whole day. None when it was closed before anybody shopped."""
        await self._open()
        if not await self._verify_once():
            return None if self._is_closing else await self._report(0.0)
        began_at = self._clock.monotonic()
        await self._shopping(began_at)
        return await self._report(self._clock.monotonic() - began_at)

    # Opening ---------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        scene = self._scene
        scene.title = "building the world"
        await world.fill_shelf(self._database, self._plan, self._clock)
        for shop in self._shops.values():
            await world.open_shop(self._database, self._plan, shop, webhooks_to=scene.address)
        await self._tick()
        for kind in self._plan.options.shops:
            await world.go_live(self._database, kind)
        self._say(f"{len(self._shops)} channels connected with {len(self._plan.goods)} SKUs each, going live")

    async def _verify_once(self) -> bool:
        """Every listing is proved to show what the ledger says. False when that takes too long."""
        scene = self._scene
        scene.title = "verifying every listing once"
        wanted = len(self._plan.goods) * len(self._plan.options.shops)
        give_up_at = self._clock.monotonic() + VERIFY_S_MAX + wanted / 20
        while scene.verified_count < wanted:
            if self._is_closing or self._clock.monotonic() > give_up_at:
                return False
            await self._tick()
        scene.verified_once_s = self._elapsed_s()
        self._say(f"all {wanted} listings verified; the shoppers come in")
        return True

    # Shopping --------------------------------------------------------------------------------------------------

    async def _shopping(self, began_at: float) -> None:
        scene, options = self._scene, self._plan.options
        scene.title, scene.shopping_began_at = "shopping", began_at
        await scene.read_books(self._shops)
        edited = scene.books.get("shopify")
        self._events = self._plan.events(channel_skus(edited) if edited else {})
        self._delivery = self._plan.delivery()
        for kind, shop in self._shops.items():
            await shop.tell("faults", self._plan.faults(kind))
            await shop.shop(self._plan.shoppers(kind))
        while not self._is_closing:
            shopped_s = self._clock.monotonic() - began_at
            if options.seconds is not None and shopped_s >= options.seconds:
                break
            await self._break_things(shopped_s)
            # A deadlock or a lock waited for too long: the next tick tries again.
            with suppress(DatabaseUnavailableError):
                await self._take_delivery(shopped_s)
                await self._restock()
            await self._tick()
        for shop in self._shops.values():
            await shop.shop(ShoppersPlan(orders_per_s=0.0))

    async def _break_things(self, shopped_s: float) -> None:
        while self._events and self._events[0].after_s <= shopped_s:
            event = self._events.pop(0)
            await self._shops[event.kind].tell(event.path, event.body)
            self._say(f"{event.kind}: {event.words}")
        if self._must_kill and shopped_s >= (self._plan.options.kill_engine_at_s or 0.0):
            self._must_kill = False
            self._engine.kill()
            self._say("the engine was killed with SIGKILL; the shops go on selling")

    async def _take_delivery(self, shopped_s: float) -> None:
        if self._delivery is None or self._delivery.after_s > shopped_s:
            return
        await world.receive(self._database, self._clock, self._delivery.units, key="container")
        self._say(f"a container comes in: {len(self._delivery.units)} SKUs are there in plenty")
        self._delivery = None

    async def _restock(self) -> None:
        """Order what has sold out, and receive what was ordered some seconds ago."""
        now = self._clock.monotonic()
        async with self._database.transaction() as tx:
            for sku in await reports.sold_out(tx, location=LOCATION):
                self._restocks.setdefault(sku, now + self._plan.restock_after_s())
        arrived = {sku for sku, at in self._restocks.items() if at <= now}
        if arrived:
            self._receipt_count += 1
            units = {good.sku: self._plan.restock_units(good) for good in self._plan.goods if good.sku in arrived}
            await world.receive(self._database, self._clock, units, key=f"receipt-{self._receipt_count}")
            self._restocks = {sku: at for sku, at in self._restocks.items() if sku not in arrived}

    # All the time ----------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        """Look after the engine, read what is due, draw, and wait a little."""
        now = self._clock.monotonic()
        self._keep_engine()
        if self._scene.dashboard_s is None:
            await self._try_dashboard()
        if now - self._books_at >= BOOKS_EVERY_S:
            await self._scene.read_books(self._shops)
            # Long runs have long books: never spend more than a tenth of the time on reading them.
            self._books_at = self._clock.monotonic() + 9 * (self._clock.monotonic() - now)
        if now - self._read_at >= READ_EVERY_S:
            await self._scene.read_engine(self._database, self._clock)
            self._read_at = now
        self._screen.draw()
        await self._clock.sleep(TICK_S)

    def _keep_engine(self) -> None:
        if self._engine.is_running:
            return
        if self._scene.dashboard_s is None and self._scene.restart_count >= DEATHS_MAX:
            raise ConfigurationError(
                f"the engine does not start. The end of {self._engine.log_file}:\n{self._engine.last_words()}"
            )
        self._scene.restart_count += 1
        self._engine.start()
        self._say("the engine was dead and is started again on the same database")

    async def _try_dashboard(self) -> None:
        try:
            reply = await self._client.get(self._scene.address, follow_redirects=True, timeout=10.0)
        except httpx2.TransportError:
            return
        if reply.status_code < 500:
            self._scene.dashboard_s = self._elapsed_s()
            self._say(f"dashboard: {self._scene.address}")

    # The end ---------------------------------------------------------------------------------------------------

    async def _report(self, shopped_s: float) -> Report:
        self._scene.title = "waiting until every order is posted and every listing verified"
        began_at = self._clock.monotonic()
        balance = await self._weigh()
        while not balance.is_settled and self._clock.monotonic() - began_at < SETTLE_S_MAX:
            await self._tick()
            balance = await self._weigh()
        settle_s = self._clock.monotonic() - began_at
        self._scene.title = "closed"
        await self._scene.read_engine(self._database, self._clock)
        return await written(self._database, self._scene, balance, shopped_s=shopped_s, settle_s=settle_s)

    async def _weigh(self) -> Balance:
        await self._scene.read_books(self._shops)
        return await weigh(self._database, self._scene.books)

    def _elapsed_s(self) -> float:
        return self._clock.monotonic() - self._scene.began_at

    def _say(self, words: str) -> None:
        self._scene.happened(words, at=self._clock.monotonic())
