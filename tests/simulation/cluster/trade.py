"""Push: buyers order at the simulated shops all the while. In the end every order is posted once, and every listing
shows what it should: the shops' own books against `/v1`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from oneshelf.demo import world
from oneshelf.demo.plan import Options, Plan
from oneshelf.demo.scene import weigh
from oneshelf.demo.shops import Books
from oneshelf.sdk.shoppers import ShoppersPlan
from oneshelf.storage import views
from simulation.cluster.house import SPEED, House, until
from simulation.cluster.till import Till

SKU_COUNT = 12
ORDERS_PER_S = 4.0
SETTLE_S_MAX = 240.0
POLLED_S_MAX = 120.0


class Trade:
    """The same shops in all rounds: their books go on."""

    name = "push"

    def __init__(self, house: House, seed: int) -> None:
        self.books: dict[str, Books] = {}
        self._house = house
        self._plan = Plan(_options(seed))

    async def open(self) -> None:
        """Fill the shelf, connect the shops, and go live. An order counts if it came after the first poll."""
        house = self._house
        await world.fill_shelf(house.database, self._plan, house.clock)
        for shop, engine in zip(house.shops, house.engines, strict=False):
            await world.open_shop(house.database, self._plan, shop.by_wire, webhooks_to=engine.door.address)
            await world.go_live(house.database, shop.kind)
        assert await until(self._is_polled, at_most_s=POLLED_S_MAX), "the shops are not polled"

    async def begin(self) -> None:
        for shop in self._house.shops:
            await shop.direct.shop(ShoppersPlan(orders_per_s=ORDERS_PER_S / len(self._house.shops)))

    async def end(self) -> None:
        for shop in self._house.shops:
            await shop.direct.shop(ShoppersPlan(orders_per_s=0.0))

    @property
    def placed_count(self) -> int:
        return sum(len(books.orders) for books in self.books.values())

    async def verdict(self, till: Till) -> list[str]:
        if not await until(self._is_settled, at_most_s=SETTLE_S_MAX):
            return [f"not settled after {SETTLE_S_MAX:g} s: {await self._unsettled()}"]
        return [*await self._orders_by_api(till), *await self._listings_by_api(till)]

    async def _is_polled(self) -> bool:
        async with self._house.database.transaction() as tx:
            rows = await views.channel_rows(tx)
        return len(rows) == len(self._house.shops) and all(row.poll_age_s is not None for row in rows)

    async def _is_settled(self) -> bool:
        self.books = {shop.kind: await shop.direct.books() for shop in self._house.shops}
        return (await weigh(self._house.database, self.books)).is_settled

    async def _unsettled(self) -> str:
        found = await weigh(self._house.database, self.books)
        orders = f"missing {found.orders.missing[:5]}, doubled {found.orders.doubled[:5]}"
        return f"{orders}, waiting {found.waiting}, unverified {found.unverified[:5]}"

    async def _orders_by_api(self, till: Till) -> list[str]:
        held = {
            (row["channel"], row["order_id"]): sum(
                row[state] for state in ("units_pending", "units_committed", "units_shipped", "units_short")
            )
            async for row in _all(till, "orders")
        }
        sold = {
            (kind, order.order_id): sum(line.units - line.units_cancelled for line in order.lines)
            for kind, books in self.books.items()
            for order in books.orders
        }
        return [
            f"order {order}: sold {sold.get(order, 0)} units, /v1/orders holds {held.get(order, 0)}"
            for order in sorted({*held, *sold})
            if held.get(order, 0) != sold.get(order, 0)
        ]

    async def _listings_by_api(self, till: Till) -> list[str]:
        shown = {
            (kind, listing.channel_sku): listing.units
            for kind, books in self.books.items()
            for listing in books.listings
        }
        told = {(row["channel"], row["channel_sku"]): row async for row in _all(till, "listings")}
        return [
            f"listing {key}: the shop sells {units}, /v1/listings says {told.get(key)}"
            for key, units in sorted(shown.items())
            if key not in told or (told[key]["state"], told[key]["desired"]["units"]) != ("verified", units)
        ]


async def _all(till: Till, what: str) -> AsyncIterator[dict[str, Any]]:
    after = ""
    while True:
        page = await till.read(f"/v1/{what}", limit=500, **({"after": after} if after else {}))
        assert page is not None, f"/v1/{what} cannot be read"
        for row in page[what]:
            yield row
        if page["next"] is None:
            return
        after = page["next"]


def _options(seed: int) -> Options:
    return Options(
        seconds=None,
        seed=seed,
        sku_count=SKU_COUNT,
        orders_per_s=ORDERS_PER_S,
        speed=SPEED,
        port=0,
        directory=Path(),
        keeps_data=False,
        kill_engine_at_s=None,
        is_calm=True,
        as_json=False,
        is_quiet=True,
    )
