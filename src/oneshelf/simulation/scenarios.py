"""The acts that make up a business, each alone: for a run that dies at every step of it in turn.

Each of them gets a world with two shops, `SKU-0` with 5 units and `SKU-1` with 3, all listings right, and no fault;
those in which something goes wrong at the worst moment are in `misfortunes`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from oneshelf.simulation.misfortunes import MISFORTUNES
from oneshelf.simulation.staged import Staged, ask, buy, hold
from oneshelf.simulation.world import AMAZON, EBAY, FIRST, LOCATION, OTHER_LOCATION, SECOND, SHOPIFY, Asked, World

OPENING = {FIRST: 5, SECOND: 3}
# Long enough for whatever an act sets off.
WHILE_S = 8.0


async def _later(seconds: float = WHILE_S) -> None:
    await asyncio.sleep(seconds)


async def _ask(world: World, kind: str, sku: str = FIRST, **more: Any) -> Asked:
    return await ask(world, kind, sku, **more)


async def _hold(world: World, *, ttl_s: int = 600, **lines: int) -> str:
    return await hold(world, ttl_s=ttl_s, **(lines or {FIRST: 2}))


async def _sale(world: World, shop: str, units: int = 1) -> None:
    buy(world, shop, (FIRST, units))
    await _later()


async def _both_sell_the_last(world: World, *shops: str) -> None:
    for shop in shops or (SHOPIFY, AMAZON):
        buy(world, shop, (SECOND, 3))
    await _later()


async def _two_lines(world: World) -> None:
    buy(world, SHOPIFY, (FIRST, 1), (SECOND, 2))
    await _later()


async def _cancelled(world: World, shop: str) -> None:
    order = buy(world, shop, (FIRST, 2))
    await _later()
    world.channels[shop].cancel(order)
    await _later()


async def _cancelled_at_once(world: World) -> None:
    world.channels[SHOPIFY].cancel(buy(world, SHOPIFY, (FIRST, 2)))
    await _later()


async def _cancelled_while_short(world: World) -> None:
    await _both_sell_the_last(world)
    order = world.orders(AMAZON)[-1].order_id
    world.channels[AMAZON].cancel(order)
    await _later()


async def _shipped(world: World) -> None:
    order = buy(world, SHOPIFY, (FIRST, 2))
    await _later()
    world.channels[SHOPIFY].ship(order)
    await _later()


async def _shipped_before_we_heard(world: World) -> None:
    world.channels[SHOPIFY].ship(buy(world, SHOPIFY, (FIRST, 2)))
    await _later()


async def _five_at_once(world: World) -> None:
    for shop in (SHOPIFY, AMAZON, SHOPIFY, AMAZON, SHOPIFY):
        buy(world, shop, (FIRST, 1))
    await _later()


async def _receipt_fills(world: World) -> None:
    await _both_sell_the_last(world)
    await _ask(world, "receive", SECOND, units=5)


async def _released(world: World) -> None:
    await world.ask({"type": "release", "reservation_id": await _hold(world)})


async def _claimed(world: World, into: str) -> None:
    order = {"channel": "till", "order_id": "t1"}
    await world.ask({"type": "claim", "reservation_id": await _hold(world), "order": order, "into": into})


async def _extended(world: World) -> None:
    await world.ask({"type": "extend", "reservation_id": await _hold(world, ttl_s=5), "ttl_s": 30})
    await _later(40)


async def _expired(world: World) -> None:
    await _hold(world, ttl_s=3)
    await _later()


async def _hold_meets_a_sale(world: World) -> None:
    buy(world, AMAZON, (FIRST, 4))
    await _hold(world, **{FIRST: 5})
    await _later()


async def _claimed_and_shipped(world: World) -> None:
    order = {"channel": "till", "order_id": "t2"}
    await world.ask({"type": "claim", "reservation_id": await _hold(world), "order": order})
    await _ask(world, "ship", order=order, units=1)
    await _ask(world, "cancel", order=order, units=1)


async def _transferred(world: World) -> None:
    place = {"sku": FIRST, "transfer_id": "tr1"}
    await world.ask({"type": "dispatch", **place, "origin": LOCATION, "target": OTHER_LOCATION, "units": 2})
    await world.ask({"type": "arrive", **place, "units": 2})


async def _edited(world: World, shop: str, units: int) -> None:
    listing = world.channels[shop].listings()[0]
    world.edit(shop, listing.channel_sku, units)
    await _later(30)


async def _edited_while_sold(world: World) -> None:
    buy(world, AMAZON, (FIRST, 1))
    await _edited(world, SHOPIFY, 9)


async def _moved(world: World, *ways: tuple[str, str]) -> None:
    """Long enough for a sweep to find each of them, and for the ledger to follow."""
    listing = world.channels[SHOPIFY].listings()[0]
    for origin, target in ways:
        world.move(SHOPIFY, listing.channel_sku, 2, origin=origin, target=target)
        await _later(90)


async def _ten_in_one_request(world: World) -> None:
    async with asyncio.TaskGroup() as group:
        for units in range(1, 11):
            group.create_task(_ask(world, "receive", units=units))


async def _refused(world: World) -> None:
    await _hold(world, **{FIRST: 50})
    await _ask(world, "adjust", delta_units=-50)


_ACTS: dict[str, Callable[[World], Awaitable[object]]] = {
    "a sale that a webhook tells": lambda world: _sale(world, SHOPIFY),
    "a sale that only a poll tells": lambda world: _sale(world, AMAZON),
    "a sale of all there is": lambda world: _sale(world, SHOPIFY, 5),
    "both shops sell the last ones": _both_sell_the_last,
    "an order of two lines": _two_lines,
    "five orders at once": _five_at_once,
    "an order is cancelled at Shopify": lambda world: _cancelled(world, SHOPIFY),
    "an order is cancelled at Amazon": lambda world: _cancelled(world, AMAZON),
    "an order is cancelled before we heard of it": _cancelled_at_once,
    "an order is cancelled for which nothing was there": _cancelled_while_short,
    "an order is shipped": _shipped,
    "an order is shipped before we heard of it": _shipped_before_we_heard,
    "goods come in": lambda world: _ask(world, "receive", units=4),
    "goods come in for orders that wait": _receipt_fills,
    "somebody corrects upwards": lambda world: _ask(world, "adjust", delta_units=2),
    "somebody corrects downwards": lambda world: _ask(world, "adjust", delta_units=-2),
    "units are damaged": lambda world: _ask(world, "move", units=1, origin="available", target="damaged"),
    "a hold": lambda world: _hold(world),
    "a hold that ends by itself": _expired,
    "a hold that is extended": _extended,
    "a hold that is released": _released,
    "a hold that an order claims": lambda world: _claimed(world, "committed"),
    "a hold that becomes a lock": lambda world: _claimed(world, "lock"),
    "a hold for which there is too little": _hold_meets_a_sale,
    "a claimed order is shipped and cancelled": _claimed_and_shipped,
    "a hold over two SKUs": lambda world: _hold(world, **{FIRST: 1, SECOND: 1}),
    "units go to another location": _transferred,
    "somebody types a higher figure at Shopify": lambda world: _edited(world, SHOPIFY, 9),
    "somebody types a lower figure at Shopify": lambda world: _edited(world, SHOPIFY, 1),
    "somebody types a figure at Amazon": lambda world: _edited(world, AMAZON, 8),
    "somebody types a figure while the other shop sells": _edited_while_sold,
    "units are moved at Shopify and nobody says so": lambda world: _moved(world, ("available", "damaged")),
    "units are moved at Shopify and moved back": lambda world: _moved(
        world, ("available", "reserved"), ("reserved", "available")
    ),
    "ten commands at once": _ten_in_one_request,
    "commands that are refused": _refused,
}

# Beside Amazon: two channels that write blindly.
_ACTS_AT_EBAY: dict[str, Callable[[World], Awaitable[object]]] = {
    "a sale at eBay": lambda world: _sale(world, EBAY),
    "Amazon and eBay sell the last ones": lambda world: _both_sell_the_last(world, AMAZON, EBAY),
    "an order is cancelled at eBay": lambda world: _cancelled(world, EBAY),
    "somebody types a figure at eBay": lambda world: _edited(world, EBAY, 8),
}

SCENARIOS: dict[str, Staged] = {
    **{name: Staged(act=act, goods=OPENING) for name, act in _ACTS.items()},
    **{name: Staged(act=act, goods=OPENING, channels=(AMAZON, EBAY)) for name, act in _ACTS_AT_EBAY.items()},
    **MISFORTUNES,
}
