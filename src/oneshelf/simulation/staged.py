"""What a run plays instead of a day: one act that somebody wrote, and how the stage is set for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from oneshelf.connectors.amazon.simulator import AmazonSimulator
from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.sdk.simulator import CatalogueItem, Simulator
from oneshelf.simulation.node import PATIENCE
from oneshelf.simulation.world import LOCATION, Asked, World, sku_of
from oneshelf.storage import listings
from oneshelf.storage.database import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """`goods`: SKU -> units that come in before the act. `shown`: channel -> units that each of its listings shows
    before that; drawn where it is left out. `timing`: channel -> its own seconds, see `oneshelf channel add --timing`.
    `twins`: channel -> names of more listings, each of the SKU that it begins with, as `MUG/2` of `MUG`.
    `patience`: how many times longer than usual idle steps wait, see `Supervisor`.
    `is_listening`: Amazon's news goes to a queue that the engine listens to; otherwise its orders are polled alone.

    `is_judged`: the auditor looks at every change, and all has to come to rest after the act.
    """

    act: Callable[[World], Awaitable[object]]
    goods: Mapping[str, int]
    channels: tuple[str, ...] = ("shopify", "amazon")
    shown: Mapping[str, int] = field(default_factory=dict)
    timing: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    twins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    node_count: int = 1
    patience: float = PATIENCE
    mode: str = "pooled"
    is_judged: bool = True
    is_listening: bool = False


def heard_by_queue(simulator: AmazonSimulator, address: str) -> tuple[dict[str, str], dict[str, str]]:
    """Settings and secrets of an Amazon account whose news goes to a queue, as after a whole set-up."""
    simulator.notifications.subscribe_all()
    account = simulator.listening_account(address=address)
    return {**account.settings, "orders_lag_s": "5"}, dict(account.secrets)


async def put_twins_on_sale(tx: Transaction, channel: str, simulator: Simulator, names: tuple[str, ...]) -> None:
    """More listings of SKUs that the channel has one of. Nobody but a person can say what they sell."""
    simulator.stock_catalogue([CatalogueItem(name, name, 0) for name in names])
    for listing in simulator.listings():
        if listing.merchant_sku in names:
            key = (Channel(channel), ChannelSku(listing.channel_sku))
            await listings.link(tx, key, Sku(sku_of(listing.merchant_sku)), pack_units=1)


def buy(world: World, shop: str, *lines: tuple[str, int]) -> str:
    """A buyer orders units of listings, by their sellers' names. Returns the order; there have to be enough."""
    order = try_to_buy(world, shop, *lines)
    if order is None:
        raise AssertionError(f"{shop} did not sell {lines}")
    return order


def try_to_buy(world: World, shop: str, *lines: tuple[str, int]) -> str | None:
    """The same; None where too few are on sale."""
    simulator = world.channels[shop]
    names = {one.merchant_sku: one.channel_sku for one in simulator.listings()}
    return simulator.place([(names[sku], units) for sku, units in lines])


async def ask(world: World, kind: str, sku: str, **more: Any) -> Asked:
    """Somebody commands something of a SKU."""
    return await world.ask({"type": kind, "sku": sku, "location": LOCATION, **more})


async def hold(world: World, *, ttl_s: int = 600, **lines: int) -> str:
    """A hold of these units of SKUs. Returns its reservation; empty: it was refused."""
    wanted = [{"sku": sku, "location": LOCATION, "units": units} for sku, units in lines.items()]
    asked = await world.ask({"type": "reserve", "kind": "hold", "ttl_s": ttl_s, "lines": wanted})
    return str(asked.answer["answers"][0]["figures"]["reservation_id"]) if asked.is_done else ""
