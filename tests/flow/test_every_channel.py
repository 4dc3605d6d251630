"""Wholesale, marketplaces, tills that were off line and late counts share a shelf: it agrees with paper at every step.

What tills sold is booked even where nobody knew of the units: then it is short, and available stays at zero.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.shop import BERLIN, SHOP, key
from flow.paper_trade import Back, Counted, Fact, Ordered, Paper, Receipt, Sale, Void
from flow.shelf_world import CLOCK
from flow.till_world import TILL, Tills, back, event, line, open_tills, sale
from oneshelf.domain.command import CommandKey, Count, Receive
from oneshelf.domain.identity import ChannelSku, Sku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.wholesale import Refusal, WantedLine, WholesaleWish
from oneshelf.flow import allocate
from oneshelf.flow.allocate import Leaving, Shown
from oneshelf.storage import catalog

pytestmark = [pytest.mark.pg, pytest.mark.timeout(120)]

# What is told is hours old: one minute here is ten, since no clock is better than some.
LAST_MINUTE, MINUTES = 30, 10
ACME_ORDERS = 2
PLENTY = 60
_names = count(1)

# What a person does with a wholesale order: (what, which order, units).
Act = tuple[str, int, int]
Step = Fact | Act


@dataclass
class Trade:
    """One story on a SKU of its own, told to the engine and written on paper."""

    tills: Tills
    paper: Paper
    name: str = field(default_factory=lambda: f"T{next(_names)}")
    began: datetime = field(default_factory=CLOCK.now)
    met: Counter[str] = field(default_factory=Counter)

    @property
    def sku(self) -> Sku:
        return Sku(self.name)

    def at(self, minute: int) -> datetime:
        return self.began - timedelta(minutes=(LAST_MINUTE + 6 - minute) * MINUTES)

    async def open(self) -> None:
        ledger = self.tills.ledger
        async with ledger.database.transaction() as tx:
            await catalog.add_skus(tx, {self.sku: ""})
        listing = f"insert into listings (channel, channel_sku, sku) values ('shop', '{self.name}', '{self.name}')"
        await ledger.rows(f"{listing} returning 1")
        await ledger.ask(Receive(key=key(), sku=self.sku, location=BERLIN, units=self.paper.first))
        day = f"update movements set posted_at = posted_at - interval '1 day' where sku = '{self.name}' returning 1"
        await ledger.rows(day)

    # What is told ----------------------------------------------------------------------------------------------------

    async def tell(self, facts: Sequence[Fact]) -> None:
        """These facts arrive together: those of tills in one delivery."""
        burst = [one for one in facts if isinstance(one, Sale | Void | Back)]
        if burst:
            await self.tills.tell(*[self.told_by_till(one) for one in burst])
        for fact in (*burst, *(one for one in facts if one not in burst)):
            match fact:
                case Receipt():
                    receipt = Receive(
                        key=key_of(self.name, fact), sku=self.sku, location=BERLIN, units=fact.units,
                        happened_at=self.at(fact.minute),
                    )  # fmt: skip
                    await self.tills.ledger.ask(receipt)
                case Counted():
                    counted = Count(
                        key=key_of(self.name, fact), sku=self.sku, location=BERLIN, units=fact.units,
                        as_of=self.at(fact.minute),
                    )  # fmt: skip
                    await self.tills.ledger.ask(counted)
                case Ordered():
                    await self.tells_order(fact, await self.state())
                case Sale() | Void() | Back():
                    pass
            self.paper.tell(fact)

    async def tells_order(self, fact: Ordered, before: State) -> None:
        known = self.paper.order(fact.order)
        if known is None or fact.version > known.version:
            left = fact.shipped - (known.shipped if known else 0)
            held = before.held.get(fact.order, 0)
            self.paper.left += left
            # Of a parcel somebody has looked on the shelf: what is not in the books was there.
            uncounted = max(0, left - held - before.available)
            self.paper.found += uncounted
            self.met["shipped uncounted"] += uncounted > 0
        told = OrderLine("1", ChannelSku(self.name), fact.units, fact.cancelled, fact.cancelled, fact.shipped)
        version = f"{fact.version:03}"
        await self.tills.ledger.tell(
            OrderSnapshot(SHOP, f"{self.name}/{fact.order}", version, self.began, False, (told,))
        )

    def told_by_till(self, fact: Sale | Void | Back) -> dict[str, Any]:
        device, number, at = f"{self.name.lower()}", fact.receipt, self.at(fact.minute)
        match fact:
            case Sale():
                return sale(number, lines=[line(self.name, fact.units)], device=device, at=at)
            case Void():
                return event("void", number, device=device, receipt=f"R-{fact.of}", at=at)
            case Back():
                into = "damaged" if fact.is_damaged else "available"
                return event("return", number, device=device, returned=[back(fact.units, into, self.name)], at=at)

    # What people do with wholesale orders ----------------------------------------------------------------------------

    async def do(self, act: Act) -> None:
        what, number, units = act
        database, order_id = self.tills.ledger.database, f"ACME/{self.name}-{number}"
        if what == "place":
            wanted = WantedLine(line_id="1", sku=self.sku, units=units)
            wish = WholesaleWish(
                customer="ACME", po_number=f"{self.name}-{number}", location=BERLIN, lines=(wanted,),
                cancel_after=date(2999, 1, 1), version=next(_names),
            )  # fmt: skip
            await allocate.place(database, CLOCK.new_id, wish, came_by="test")
        elif what == "ship":
            before = await allocate.show(database, order_id)
            held = before.lines[0].units_allocated if isinstance(before, Shown) else 0
            leaving = [Leaving(line_id="1", units=units)]
            name = f"s{next(_names)}"
            answer = await allocate.ship(database, CLOCK.new_id, order_id, leaving, shipment=name)
            again = await allocate.ship(database, CLOCK.new_id, order_id, leaving, shipment=name)
            assert isinstance(answer, Refusal) is isinstance(again, Refusal) is (units > held)
            if isinstance(answer, Shown):
                self.paper.left += units
                self.met["wholesale shipped"] += 1
        elif what == "expire":
            over = "update reservations set expires_at = db_now() where state = 'held' and holder like "
            await self.tills.ledger.rows(f"{over} 'wholesale {order_id} %' returning 1")
            await self.tills.ledger.rows(
                "update wholesale_orders set cancel_after = '2020-01-02', expires_at = '2020-01-03' "
                f"where order_id = '{order_id}' and state <> 'closed' returning 1"
            )
        elif what == "release":
            await allocate.release(database, CLOCK.new_id, order_id)
        elif what == "resume":
            await allocate.resume(database, CLOCK.new_id, order_id)
        else:
            await allocate.allocate(database, CLOCK.new_id, keys={(self.sku, BERLIN)})

    # What the ledger says --------------------------------------------------------------------------------------------

    async def state(self) -> State:
        rows = self.tills.ledger.rows
        [figures] = await rows(
            "select available, committed, reserved, damaged from balances "
            f"where sku = '{self.name}' and location = 'BER'"
        )
        lines = await rows(
            "select channel, order_id, units_committed, units_shipped, units_short from order_lines "
            f"where sku = '{self.name}'"
        )
        [aside] = await rows(
            "select coalesce(sum(units - units_short), 0)::int as held from reservations "
            f"where sku = '{self.name}' and state = 'held'"
        )
        of_shop = {int(row["order_id"].split("/")[1]): row for row in lines if row["channel"] == SHOP}
        return State(
            available=figures["available"],
            on_hand=sum(figures.values()),
            committed=figures["committed"],
            reserved=figures["reserved"],
            aside=aside["held"],
            short_at_tills=sum(row["units_short"] for row in lines if row["channel"] == TILL),
            held={number: row["units_committed"] for number, row in of_shop.items()},
            short={number: row["units_short"] for number, row in of_shop.items()},
            shipped={number: row["units_shipped"] for number, row in of_shop.items()},
        )

    async def agrees(self) -> None:
        """The ledger says what the paper says."""
        state = await self.state()
        assert min(state.available, state.committed, state.reserved, state.short_at_tills) >= 0
        assert state.on_hand - state.short_at_tills == self.paper.shelf(), (state, self.paper)
        for number, order in self.paper.orders().items():
            assert state.held[number] + state.short[number] == order.open, (number, state)
            assert state.shipped[number] == order.shipped, (number, state)
        assert state.committed == sum(state.held.values())
        assert state.reserved == state.aside
        short = state.short_at_tills + sum(state.short.values())
        assert not (state.available and short), f"{state.available} are free and {short} are waited for"
        for number in range(ACME_ORDERS):
            found = await allocate.show(self.tills.ledger.database, f"ACME/{self.name}-{number}")
            for one in found.lines if isinstance(found, Shown) else ():
                parts = (one.units_allocated, one.units_backordered, one.units_shipped, one.units_cancelled)
                assert min(parts) >= 0
                assert sum(parts) == one.units_ordered
        self.met["short at a till"] += state.short_at_tills > 0
        self.met["short at a shop"] += any(state.short.values())
        self.met["set aside"] += state.aside > 0


@dataclass
class State:
    """What the ledger says of the SKU. `held`, `short`, `shipped`: marketplace order -> units."""

    available: int
    on_hand: int
    committed: int
    reserved: int
    aside: int
    short_at_tills: int
    held: dict[int, int]
    short: dict[int, int]
    shipped: dict[int, int]


def key_of(name: str, fact: Receipt | Counted) -> CommandKey:
    """What is told again is the same."""
    return CommandKey(scope="trade", key=f"{name}-{type(fact).__name__}-{fact.minute}")


# Stories -------------------------------------------------------------------------------------------------------------


@st.composite
def facts(draw: st.DrawFn, *, ships: bool) -> list[Fact]:
    """What happens in half a day, in its order; each dated fact has a minute of its own."""
    told: list[Fact] = []
    sales: list[int] = []
    orders: dict[int, Ordered] = {}
    kinds = ["sale", "sale", "sale", "void", "back", "receipt", "count", "count", "order", "order", "order"]
    for minute in range(1, draw(st.integers(2, 12)) + 1):
        kind, units = draw(st.sampled_from(kinds)), draw(st.integers(1, 5))
        number = len([one for one in told if isinstance(one, Sale | Void | Back)]) + 1
        if kind == "sale" or (kind == "void" and not sales):
            told.append(Sale(number, units, minute))
            sales.append(number)
        elif kind == "void":
            told.append(Void(number, sales.pop(draw(st.integers(0, len(sales) - 1))), minute))
        elif kind == "back":
            told.append(Back(number, units, minute, draw(st.booleans())))
        elif kind == "receipt":
            told.append(Receipt(units, minute))
        elif kind == "count":
            told.append(Counted(draw(st.integers(0, 12)), minute))
        else:
            orders[0] = _next_version(draw, orders, units, ships=ships)
            told.append(orders[0])
            orders[orders[0].order] = orders[0]
    return told


def _next_version(draw: st.DrawFn, orders: dict[int, Ordered], units: int, *, ships: bool) -> Ordered:
    """A new order, or one of which more is cancelled or shipped."""
    number = draw(st.integers(1, 3))
    known = orders.get(number)
    if known is None or not known.open:
        number = number if known is None else max(orders) + 1
        return Ordered(number, 1, units, 0, 0)
    more = min(units, known.open)
    is_shipment = ships and draw(st.booleans())
    cancelled, shipped = known.cancelled + more * (not is_shipment), known.shipped + more * is_shipment
    return Ordered(number, known.version + 1, known.units, cancelled, shipped)


@st.composite
def arrivals(draw: st.DrawFn, told: list[Fact]) -> list[list[Fact]]:
    """All facts at least once, in any order, some again, in batches of any size."""
    again = draw(st.lists(st.sampled_from(told), max_size=4))
    shuffled = draw(st.permutations([*told, *again]))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(shuffled) - 1)), max_size=6)))
    return [shuffled[start:end] for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]


ACTS = st.tuples(
    st.sampled_from(["place", "place", "ship", "ship", "fill", "release", "resume", "expire"]),
    st.integers(0, ACME_ORDERS - 1),
    st.integers(1, 8),
)


@st.composite
def stories(draw: st.DrawFn) -> tuple[int, list[list[Fact]], list[list[Act]]]:
    told = draw(facts(ships=True))
    batches = draw(arrivals(told))
    acts = [draw(st.lists(ACTS, max_size=3)) for _ in batches]
    return draw(st.sampled_from([1, 6, PLENTY])), batches, acts


def test_no_interleaving_loses_a_unit_counts_one_twice_or_makes_available_negative(dsn: str) -> None:
    met: Counter[str] = Counter()
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        tills = runner.run(stack.enter_async_context(open_tills(dsn)))

        async def live(first: int, batches: list[list[Fact]], acts: list[list[Act]]) -> None:
            trade = Trade(tills, Paper(first), met=met)
            await trade.open()
            for batch, done in zip(batches, acts, strict=True):
                await trade.tell(batch)
                await trade.agrees()
                for act in done:
                    await trade.do(act)
                    await trade.agrees()

        @settings(max_examples=40)
        @given(stories())
        def told(story: tuple[int, list[list[Fact]], list[list[Act]]]) -> None:
            note("scarce" if story[0] < PLENTY else "plenty")
            runner.run(live(*story))

        try:
            told()
            runner.run(tills.ledger.assert_sound())
        finally:
            runner.run(stack.aclose())
    assert {"short at a till", "short at a shop", "set aside", "wholesale shipped"} <= {*+met}, met
