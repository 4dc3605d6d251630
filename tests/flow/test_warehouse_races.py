"""Whatever people in a warehouse and buyers do at the same time: no unit is lost, doubled, or sold before it is there.

Beside the ledger there is the warehouse itself: what really lies there. Who moves units tells it, twice at once; who
steals does not. Whoever counts sees what lies there. In the end the ledger says what lies there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from domain.shop import BERLIN, HAMBURG, MUG, SHOP, demand, key, lock
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.command import Arrive, Claim, Command, Dispatch, OrderRef, Receive, Return, ReturnInto, Ship
from oneshelf.domain.count_outcome import PostedLate
from oneshelf.domain.count_task import CountWish, Decision, Entry, LineState, Ruling, Threshold
from oneshelf.domain.outcome import Arrived, Outcome, Posted, Reserved
from oneshelf.domain.shipment_outcome import Unloaded
from oneshelf.domain.warehouse_command import Announce, CloseShipment, OverInto, SettleOver, Unload
from oneshelf.flow import count, post

pytestmark = [pytest.mark.pg, pytest.mark.timeout(300)]

DAY = date(2026, 12, 1)
few = st.integers(1, 3)
names = st.sampled_from("ab")
steps = st.one_of(
    st.tuples(st.just("announce"), names, few),
    st.tuples(st.just("unload"), names, few),
    st.tuples(st.just("close"), names),
    st.tuples(st.just("settle"), names, few, st.sampled_from((OverInto.AVAILABLE, OverInto.SENT_BACK))),
    st.tuples(st.just("dispatch"), names, few),
    st.tuples(st.just("arrive"), names, st.integers(0, 3), st.booleans()),
    st.tuples(st.just("sell"), few),
    st.tuples(st.just("come_back"), st.sampled_from(tuple(ReturnInto)[:3])),
    st.tuples(st.just("rule"), st.sampled_from((Ruling.ACCEPT, Ruling.ACCEPT, Ruling.RECOUNT))),
    st.tuples(st.just("post_counts")),
    st.tuples(st.just("steal"), few),
)
rounds = st.lists(st.lists(steps, min_size=1, max_size=4), min_size=2, max_size=8)


@dataclass
class Warehouse:
    """Mugs in Berlin and Hamburg, as they lie there, and what people tell the ledger."""

    ledger: Ledger
    met: Counter[str]
    there: Counter[str] = field(default_factory=lambda: Counter({BERLIN: 10, HAMBURG: 0}))
    shipped: list[OrderRef] = field(default_factory=list)

    async def tell(self, command: Command) -> Outcome:
        """Tell it twice at the same time: it happens once, and both are told the same."""
        first, again = await asyncio.gather(self.ledger.ask_one(command), self.ledger.ask_one(command))
        assert first == again
        self.met[type(first).__name__] += 1
        return first

    async def take(self, units: int, command: Command) -> bool:
        """Take units out of Berlin, if they are really there, and tell it; put them back where the ledger refuses."""
        if self.there[BERLIN] < units:
            return False
        self.there[BERLIN] -= units
        if isinstance(await self.tell(command), Posted):
            return True
        self.there[BERLIN] += units
        return False

    async def do(self, what: str, *told: Any) -> None:
        await getattr(self, what)(*told)

    async def announce(self, name: str, units: int) -> None:
        await self.tell(
            Announce(
                key=key(),
                shipment_id=name,
                sku=MUG,
                location=BERLIN,
                units=units,
                expected_on=DAY,
                tolerance_percent=50,
            )
        )

    async def unload(self, name: str, units: int) -> None:
        outcome = await self.tell(Unload(key=key(), shipment_id=name, sku=MUG, units=units))
        if isinstance(outcome, Unloaded):
            self.there[BERLIN] += units

    async def close(self, name: str) -> None:
        await self.tell(CloseShipment(key=key(), shipment_id=name, sku=MUG, reason="enough"))

    async def settle(self, name: str, units: int, into: OverInto) -> None:
        command = SettleOver(key=key(), shipment_id=name, sku=MUG, units=units, into=into)
        await (self.take(units, command) if into is OverInto.SENT_BACK else self.tell(command))

    async def dispatch(self, name: str, units: int) -> None:
        sent = Dispatch(key=key(), transfer_id=name, sku=MUG, origin=BERLIN, target=HAMBURG, units=units)
        await self.take(units, sent)

    async def arrive(self, name: str, units: int, is_last: bool) -> None:
        outcome = await self.tell(Arrive(key=key(), transfer_id=name, sku=MUG, units=units, is_last=is_last))
        if isinstance(outcome, Arrived):
            self.there[HAMBURG] += units

    async def sell(self, units: int) -> None:
        reserved = await self.tell(lock(demand(MUG, units)))
        if not isinstance(reserved, Reserved):
            return
        order = OrderRef(SHOP, str(reserved.reservation_id))
        await self.tell(Claim(key=key(), reservation_id=reserved.reservation_id, order=order))
        if await self.take(units, Ship(key=key(), order=order, sku=MUG, location=BERLIN, units=units)):
            self.shipped.append(order)

    async def come_back(self, into: ReturnInto) -> None:
        if self.shipped:
            order = self.shipped.pop()
            back = Return(key=key(), order=order, sku=MUG, location=BERLIN, units=1, into=into)
            if isinstance(await self.tell(back), Posted | PostedLate):
                self.there[BERLIN] += 1

    async def steal(self, units: int) -> None:
        self.there[BERLIN] -= min(units, max(0, self.there[BERLIN]))

    async def rule(self, ruling: Ruling) -> None:
        decision = Decision(task=self.task, sku=MUG, ruling=ruling, by="Ben", reason="so")
        await count.decide(self.ledger.database, CLOCK.new_id, decision)

    async def post_counts(self) -> None:
        async def ask(commands: Sequence[Command]) -> list[Outcome]:
            return [one.outcome for one in await post.post_commands(self.ledger.database, CLOCK.new_id, commands)]

        await asyncio.gather(*(count.post_accepted(self.ledger.database, ask) for _ in range(2)))

    # Counts --------------------------------------------------------------------------------------------------------

    task = "c0"

    async def open_count(self, number: int) -> None:
        self.task = f"c{number}"
        wish = CountWish(task=self.task, location=BERLIN, skus=(MUG,), threshold=Threshold(units=1))
        assert await count.open_task(self.ledger.database, CLOCK.new_id, wish, by="Ben") == 1

    async def enter(self) -> object:
        """Somebody counts what lies there, and says so twice."""
        entry = Entry(task=self.task, sku=MUG, units=self.there[BERLIN], by="Ada")
        told = await count.enter(self.ledger.database, CLOCK.new_id, entry)
        if isinstance(told, LineState):
            self.met[f"entered: {told}"] += 1
            assert await count.enter(self.ledger.database, CLOCK.new_id, entry) == told
        return told

    async def on_hand(self, location: str) -> int:
        [row] = await self.ledger.rows(
            "select coalesce(sum(available + committed + reserved + damaged + quality_control + safety_stock), 0)::int"
            f" as units, coalesce(min(available), 0)::int as least from balances where location = '{location}'"
        )
        assert row["least"] >= 0
        return int(row["units"])


class Shop:
    """One database for all examples."""

    dsn: ClassVar[str]
    met: ClassVar[Counter[str]] = Counter()


async def live(doings: list[list[tuple[Any, ...]]], at_the_end: list[tuple[Any, ...]]) -> None:
    async with AsyncExitStack() as stack:
        ledger: Ledger = await stack.enter_async_context(open_ledger(Shop.dsn))
        async with ledger.database.transaction() as tx:
            await tx.execute(
                "truncate skus, locations, channels, commands, orders, movements, reservations, touched, count_tasks"
                " cascade"
            )
        await ledger.name_all()
        shop = Warehouse(ledger, Shop.met)
        await shop.tell(Receive(key=key(), sku=MUG, location=BERLIN, units=10))
        for number, together in enumerate(doings):
            await shop.open_count(number)
            await asyncio.gather(*(shop.do(*one) for one in together))
            await shop.enter()
            await ledger.assert_sound()
        # Nothing is moved while this one is counted; and all kinds of things until it is posted.
        await shop.open_count(len(doings))
        await shop.enter()
        await asyncio.gather(*(shop.do(*one) for one in at_the_end if one[0] not in ("steal", "rule")))
        await shop.rule(Ruling.ACCEPT)
        await shop.post_counts()
        await ledger.assert_sound()
        assert await shop.on_hand(BERLIN) == shop.there[BERLIN]
        assert await shop.on_hand(HAMBURG) == shop.there[HAMBURG]


# What happens at the same time happens in another order each time: there is no smaller example.
@settings(max_examples=8, phases=[Phase.generate])
@given(doings=rounds, at_the_end=st.lists(steps, max_size=4))
def _whatever_happens(doings: list[list[tuple[Any, ...]]], at_the_end: list[tuple[Any, ...]]) -> None:
    asyncio.run(live(doings, at_the_end))


@pytest.mark.long
def test_whatever_happens_at_the_same_time_the_ledger_says_what_lies_there(dsn: str) -> None:
    Shop.dsn = dsn
    Shop.met.clear()
    _whatever_happens()
    assert {"Unloaded", "Arrived", "Posted", "Reserved", "entered: review", "entered: accepted"} <= set(Shop.met), (
        Shop.met
    )
