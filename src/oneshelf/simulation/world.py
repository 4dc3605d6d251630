"""What happens in a run: shoppers, people in back offices, a warehouse and a till; and the truth of it, unseen."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx2
import msgspec

from oneshelf.connectors.ebay.simulator import EbaySimulator
from oneshelf.connectors.shopify.simulator import ShopifySimulator
from oneshelf.connectors.shopify.simulator_shop import KEPT_STATES
from oneshelf.sdk.simulator import BookOrder, Simulator
from oneshelf.simulation.counting import counts
from oneshelf.simulation.faults import Faults
from oneshelf.simulation.kernel import Kernel
from oneshelf.simulation.network import ENGINE_PORT, HOST, Network
from oneshelf.simulation.node import Node
from oneshelf.simulation.peers import Peers
from oneshelf.simulation.pool_auditor import Shares
from oneshelf.simulation.shapes import HUB, Shape

LOCATION, OTHER_LOCATION = "BER", "HAM"
SHOPIFY, AMAZON, EBAY = "shopify", "amazon", "ebay"
# What scenarios sell.
FIRST, SECOND = "SKU-0", "SKU-1"
# Seconds between two acts of each kind, on average.
ORDER_S = 3.0
EARLY_S = (0.5, 3.0)
# Between that and the first start of the engine: longer than any poll looks back by itself.
IDLE_S = (0.5, 600.0)
COMMAND_S = 4.0
# On a guarded day there is little of everything, and many ask for it.
GUARDED_ORDER_S = 0.8
TWICE_SHARE = 0.3
# Now and then somebody asks for so much at the same moment.
BURST, BURST_SHARE = 4, 0.15
REVOKED_S = (2.0, 30.0)
SHIP_SHARE = 0.3
# Of the units that come back those that the shop puts on sale, and of these those that a clerk of ours books too.
ON_SALE_SHARE, BOOKED_SHARE = 0.7, 0.4
# People and programs that command at the same time.
CLERKS = 3
RESTART_S = (0.5, 20.0)
ASK_AGAIN_S = (0.2, 4.0)


@dataclass(slots=True)
class Asked:
    """A command that was asked for. `status`: of the last answer; None: nobody knows yet whether it was done."""

    key: str
    body: Mapping[str, Any]
    status: int | None = None
    answer: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0

    @property
    def is_done(self) -> bool:
        return self.status == 200


@dataclass(frozen=True, slots=True)
class Known:
    """What the engine knows of a listing. `is_accounted`: of its other stock states, and has done for a while.

    `is_proved`: and nothing is held back. `was_proved`: ever.
    """

    is_proved: bool
    available: int
    is_accounted: bool
    was_proved: bool


def sku_of(merchant_sku: str) -> str:
    """What a listing sells: `MUG/2` is a second listing of `MUG`."""
    return merchant_sku.partition("/")[0]


async def _granted(simulator: Simulator) -> None:
    simulator.grant()


class World:
    """The channels and the people. `orders` and `listings` of its simulators are the truth."""

    def __init__(
        self, seed: str, kernel: Kernel, network: Network, faults: Faults, channels: Mapping[str, Simulator]
    ) -> None:
        self.random = Random(f"{seed}:world")  # noqa: S311  # repeatable, not a secret
        self.kernel = kernel
        self.network = network
        self.faults = faults
        self.channels = dict(channels)
        self.skus: Sequence[str] = ()
        self.asked: dict[str, Asked] = {}
        # Listings whose figure somebody has ever typed.
        self.edited: set[tuple[str, str]] = set()
        self.is_closed = False
        self.is_guarded = False
        # How the channels share every SKU; None: each shows all there is.
        self.shares: Shares | None = None
        # Who rules: the engine, unless it is said otherwise.
        self.shape = Shape()
        # The systems beside the engine, where these rule.
        self.peers: Peers | None = None
        # Whether all channels do what their connectors declare.
        self.is_honest = True
        # Whether a channel compares what is written with what it shows.
        self.is_compared = "shopify" in channels
        # What merchants have moved from sale: (SKU, the shop's state) -> units.
        self.kept: Counter[tuple[str, str]] = Counter()
        self.known: Callable[[str, str], Known] = lambda _channel, _listing: Known(False, 0, False, False)
        self._merchant = Random(f"{seed}:merchant")  # noqa: S311  # as above
        self._held: list[str] = []
        self._people: list[asyncio.Task[object]] = []
        self._watchmen: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """Everybody comes in."""
        for name in self.channels:
            self._go(self._shoppers(name))
        for _ in range(CLERKS):
            self._go(self._warehouse())
        if self.peers is not None:
            for act in self.peers.acts():
                self._go(act)
        if not self.is_guarded and not self.shape.is_ordinary:
            self._go(counts(self, self._merchant))

    async def buy_early(self) -> None:
        """Somebody buys between the connection of a channel and the first start of the engine."""
        for name, simulator in self.channels.items():
            await asyncio.sleep(self.random.uniform(*EARLY_S))
            on_sale = [listing for listing in simulator.listings() if listing.units > 0]
            if on_sale:
                self.kernel.note(f"{name} order {simulator.place([(self.random.choice(on_sale).channel_sku, 1)])}")
        await asyncio.sleep(self.random.uniform(*IDLE_S))

    def watch(self) -> None:
        """Somebody starts the engines that died."""
        for node in self.network.nodes:
            self._watchmen.append(self.kernel.loop.create_task(self._watchman(node)))

    async def close(self) -> None:
        """Nobody begins anything new; what was begun is ended, however often it has to be asked for."""
        self.is_closed = True
        if self.peers is not None:
            self.peers.is_closed = True
        for person in self._people:
            await person

    def orders(self, channel: str) -> Sequence[BookOrder]:
        return self.channels[channel].orders()

    def edit(self, name: str, channel_sku: str, units: int) -> None:
        """Somebody types a figure into the channel's own page; what is off sale has none there."""
        simulator = self.channels[name]
        if isinstance(simulator, EbaySimulator) and not simulator.is_on_sale(channel_sku):
            return
        simulator.edit_by_hand(channel_sku, units)
        self.edited.add((name, channel_sku))
        self.kernel.note(f"{name} edited {channel_sku}")

    # Channels -------------------------------------------------------------------------------------------------

    async def _shoppers(self, name: str) -> None:
        simulator, random = self.channels[name], self.random
        while not self.is_closed:
            await asyncio.sleep(random.expovariate(1 / (GUARDED_ORDER_S if self.is_guarded else ORDER_S)))
            listings = [listing for listing in simulator.listings() if listing.units > 0]
            if listings:
                basket = random.sample(listings, k=min(len(listings), random.choice((1, 1, 1, 2))))
                order = simulator.place([(one.channel_sku, random.choice((1, 1, 2))) for one in basket])
                self.kernel.note(f"{name} order {order}")
            self._later_life(name, simulator)
            if not simulator.is_revoked and self.faults.strikes("token_revoked", name):
                simulator.revoke()
                self.network.later(random.uniform(*REVOKED_S), lambda: _granted(simulator))
            if self.faults.strikes("foreign_edit", name):
                edited = random.choice(simulator.listings())
                # Where figures are typed to be true, somebody sees to it that they are.
                if not (name == HUB and self.shape.is_hub):
                    self.edit(name, edited.channel_sku, max(0, edited.units + random.choice((-3, -1, 1, 2, 5))))
            if isinstance(simulator, ShopifySimulator) and self.faults.strikes("silent_move", name):
                self._move_silently(name, simulator)
            if self.faults.strikes("unit_returned", name):
                self._take_back(name, simulator)
            if self.faults.strikes("order_rerouted", name):
                self._route(name, simulator)

    def _move_silently(self, name: str, shop: ShopifySimulator) -> None:
        """A merchant moves units from sale to where nobody sells them, or back, and the shop says nothing.

        Only what the engine has seen on sale: nobody can tell what was moved before the first reading. Of a guarded SKU
        nothing comes back: who puts units on sale behind our back sells what others were given.
        """
        merchant = self._merchant
        article = merchant.choice(shop.shop.articles)
        state, units = merchant.choice(KEPT_STATES), merchant.choice((1, 1, 2))
        known = self.known(name, article.variant_id)
        origin, target = "available", state
        if article.units[state] >= units and known.is_accounted and not self.is_guarded and merchant.random() < 0.5:
            origin, target = state, "available"
        elif known.available < units:
            return
        if known.is_proved:
            self.move(name, article.variant_id, units, origin=origin, target=target)

    def move(self, name: str, channel_sku: str, units: int, *, origin: str, target: str) -> bool:
        """Units of a listing go from one state to another at the shop, one of them `available`, and it says nothing."""
        shop = self.channels[name]
        if not isinstance(shop, ShopifySimulator) or not shop.move_units(
            channel_sku, units, origin=origin, target=target
        ):
            return False
        sku = sku_of(shop.shop.article(channel_sku).sku)
        is_from_sale = origin == "available"
        self.kept[sku, target if is_from_sale else origin] += units if is_from_sale else -units
        self.faults.saw(f"{name}: units moved {'from' if is_from_sale else 'back on'} sale")
        self.kernel.note(f"{name} moved {units} {sku} from {origin} to {target}")
        return True

    def _take_back(self, name: str, simulator: Simulator) -> None:
        """A buyer sends a unit back. Where the shop puts it on sale, a clerk of ours now and then books it as damaged.

        Not of a guarded SKU: until we have heard both, the shop sells what is damaged.
        """
        merchant = self._merchant
        out = [
            (order, line)
            for order in simulator.orders()
            for line in order.lines
            if 0 < line.units_shipped == line.units - line.units_cancelled
        ]
        if not out:
            return
        order, line = merchant.choice(out)
        is_on_sale = merchant.random() < ON_SALE_SHARE
        if not simulator.refund(order.order_id, line.line_id, 1, restock=is_on_sale):
            return
        self.faults.saw(f"{name}: a unit came back{' and is on sale' if is_on_sale else ''}")
        self.kernel.note(f"{name} took a unit of {order.order_id} back")
        if is_on_sale and not self.is_guarded and merchant.random() < BOOKED_SHARE:
            sku = next(one.merchant_sku for one in simulator.listings() if one.channel_sku == line.channel_sku)
            sent = {"order": {"channel": name, "order_id": order.order_id}, "line_id": line.line_id, "into": "damaged"}
            self._go(self.ask({"type": "return", "sku": sku, "location": LOCATION, "units": 1, **sent}))

    def _route(self, name: str, simulator: Simulator) -> None:
        """A part of what is open is to leave from another location, or none of it any more."""
        merchant = self._merchant
        lines = [
            (order.order_id, line)
            for order in simulator.orders()
            for line in order.lines
            if order.status == "open" and line.units > line.units_cancelled + line.units_shipped
        ]
        if not lines:
            return
        order_id, line = merchant.choice(lines)
        units = merchant.randint(0, line.units)
        if simulator.ships_elsewhere(order_id, line.line_id, units):
            self.faults.saw(f"{name}: units to leave from {'elsewhere' if units else 'here again'}")
            self.kernel.note(f"{name} {units} of {order_id} leave from elsewhere")

    def _later_life(self, name: str, simulator: Simulator) -> None:
        """Something may become of an order that is open."""
        open_orders = [order for order in simulator.orders() if order.status in {"open", "pending"}]
        if not open_orders:
            return
        order = self.random.choice(open_orders)
        if self.faults.strikes("order_changed", name):
            self._change(name, simulator, order)
        elif self.random.random() < SHIP_SHARE:
            simulator.ship(order.order_id)
            self.kernel.note(f"{name} shipped {order.order_id}")

    def _change(self, name: str, simulator: Simulator, order: BookOrder) -> None:
        """Something that nobody expected of an order, as far as the channel has it."""
        random, line = self.random, self.random.choice(order.lines)
        acts = {
            "cancel": lambda: simulator.cancel(order.order_id),
            "cancel a unit": lambda: simulator.cancel_units(order.order_id, line.line_id, 1),
            "edit": lambda: simulator.edit_line(order.order_id, line.line_id, random.choice((1, 2, 3))),
            "add": lambda: simulator.add_line(order.order_id, random.choice(simulator.listings()).channel_sku, 1),
            "ship a unit": lambda: simulator.ship_units(order.order_id, line.line_id, 1),
            "refund": lambda: simulator.refund(order.order_id, line.line_id, 1, restock=random.random() < 0.5),
        }
        if self.is_guarded:
            # The seller puts more into an order than the listing had.
            del acts["edit"], acts["add"]
        act = random.choice(list(acts))
        if acts[act]():
            self.faults.saw(f"{name}: {act}")
            self.kernel.note(f"{name} {act} {order.order_id}")

    # People and programs ----------------------------------------------------------------------------------------

    async def _warehouse(self) -> None:
        """Goods come in, are corrected, set aside, moved: each command until it has an answer."""
        while not self.is_closed:
            await asyncio.sleep(self.random.expovariate(1 / COMMAND_S))
            at_once = BURST if self.random.random() < BURST_SHARE else 1
            await asyncio.gather(*(self.ask(self._command()) for _ in range(at_once)))

    def _command(self) -> dict[str, Any]:
        random = self.random
        sku = random.choice(self.skus)
        line = {"sku": sku, "location": LOCATION}
        pooled = ("receive", "receive", "adjust", "reserve", "reserve", "end", "move")
        kind = random.choice(("receive", "reserve", "reserve", "end") if self.is_guarded else pooled)
        if kind == "end" and self._held:
            at = random.randrange(len(self._held))
            # Now and then somebody ends the same reservation again.
            reservation = self._held[at] if random.random() < TWICE_SHARE else self._held.pop(at)
            if random.random() < 0.5:
                return {"type": "release", "reservation_id": reservation}
            order = {"channel": "till", "order_id": f"t{len(self.asked)}"}
            return {"type": "claim", "reservation_id": reservation, "order": order}
        if kind == "reserve":
            lines = [{**line, "units": random.choice((1, 1, 2, 4))}]
            return {"type": "reserve", "kind": "hold", "ttl_s": random.choice((3, 20, 120)), "lines": lines}
        if kind == "adjust":
            return {"type": "adjust", **line, "delta_units": random.choice((-2, -1, 1))}
        if kind == "move":
            return {"type": "move", **line, "units": 1, "origin": "available", "target": "damaged"}
        return {"type": "receive", **line, "units": random.randint(1, 3 if self.is_guarded else 6)}

    async def ask(self, command: Mapping[str, Any]) -> Asked:
        """Ask until there is an answer, always with the same key, of whichever node answers."""
        asked = Asked(f"k{len(self.asked)}", dict(command))
        self.asked[asked.key] = asked
        body = msgspec.json.encode({"commands": [{**command, "key": asked.key}]})
        while asked.status is None:
            up = [node for node in self.network.nodes if node.is_up]
            if up:
                await self._attempt(asked, self.random.choice(up), body)
            if asked.status is None:
                await asyncio.sleep(self.random.uniform(*ASK_AGAIN_S))
        if asked.is_done and command["type"] == "reserve":
            self._held.append(asked.answer["answers"][0]["figures"]["reservation_id"])
        return asked

    async def _attempt(self, asked: Asked, node: Node, body: bytes) -> None:
        asked.attempts += 1
        headers = {"Content-Type": "application/json"}
        request = httpx2.Request("POST", f"http://{HOST}:{ENGINE_PORT}/v1/commands", headers=headers, content=body)
        with suppress(httpx2.HTTPError):
            response = await self.network.ask(node, request)
            told = msgspec.json.decode(response.content)
            is_final = response.status_code == 200 or (response.status_code < 500 and "figures" in told)
            self.kernel.note(f"{asked.key} {response.status_code} by {node.name}")
            if is_final:
                asked.status, asked.answer = response.status_code, told
                if asked.attempts > 1:
                    self.faults.saw("a command was asked for again")
                if "true" in response.headers.get("Idempotent-Replayed", ""):
                    self.faults.saw("an answer was replayed")

    async def _watchman(self, node: Node) -> None:
        """Starts a node again some time after it died."""
        while True:
            await asyncio.sleep(self.random.uniform(*RESTART_S))
            if not node.is_running:
                node.start(is_alone=not any(one.is_running for one in self.network.nodes))

    def _go(self, what: Coroutine[Any, Any, object]) -> None:
        self._people.append(self.kernel.loop.create_task(what))

    async def leave(self) -> None:
        """Everybody goes, whatever they were doing."""
        tasks = [*self._people, *self._watchmen]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
