"""Whatever happens in whichever order: no unit is lost or counted twice, and wholesale takes what its policy leaves."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import groupby
from random import Random

import pytest

from domain.shop import BERLIN, MUG, NOON, SHOP, key
from flow.shelf_world import CLOCK, Ledger, open_ledger
from flow.test_wholesale import run, state
from oneshelf.domain.command import Count, Receive
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.wholesale import Refusal, WantedLine, WholesaleWish
from oneshelf.flow import allocate
from oneshelf.flow.allocate import Leaving, Shown

pytestmark = [pytest.mark.pg, pytest.mark.timeout(120)]

PERCENT, LEAVES = 60, 3
ROUNDS, AT_ONCE = 16, 6


class Day:
    """What people and channels do, drawn from a seed; several things at once."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self.ledger = ledger
        self.random = Random(seed)
        self.versions: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.sold = self.shipments = 0

    async def anything(self) -> None:
        acts = {self.place: 5, self.ship: 4, self.release: 1, self.resume: 3, self.cancel: 1}
        acts |= {self.sell: 4, self.count: 1, self.receive: 3, self.fill: 2}
        [act] = self.random.choices(list(acts), list(acts.values()))
        await act()

    def note(self, what: str, answer: object) -> None:
        self.done[f"{what} {'refused' if isinstance(answer, Refusal) else 'done'}"] += 1

    async def place(self) -> None:
        po = f"PO-{self.random.randint(1, 4)}"
        self.versions[po] += 1
        lines = [
            WantedLine(line_id=str(number), sku=MUG, units=self.random.randint(1, 9))
            for number in range(1, self.random.randint(2, 3))
        ]
        wish = WholesaleWish(
            customer="ACME", po_number=po, location=BERLIN, lines=tuple(lines), version=self.versions[po]
        )
        answer = await allocate.place(self.ledger.database, CLOCK.new_id, wish, came_by="test")
        self.note("place", answer)

    def some(self) -> str:
        return f"ACME/PO-{self.random.randint(1, 4)}"

    async def ship(self) -> None:
        self.shipments += 1
        leaving = [Leaving(line_id="1", units=self.random.randint(1, 3))] if self.random.random() < 0.4 else []
        number = f"DN-{self.random.randint(max(1, self.shipments - 1), self.shipments)}"
        answer = await allocate.ship(self.ledger.database, CLOCK.new_id, self.some(), leaving, shipment=number)
        self.note("ship", answer)

    async def release(self) -> None:
        self.note("release", await allocate.release(self.ledger.database, CLOCK.new_id, self.some()))

    async def resume(self) -> None:
        self.note("resume", await allocate.resume(self.ledger.database, CLOCK.new_id, self.some()))

    async def cancel(self) -> None:
        line_ids = ["1"] if self.random.random() < 0.5 else []
        answer = await allocate.end(self.ledger.database, CLOCK.new_id, self.some(), line_ids=line_ids)
        self.note("cancel", answer)

    async def sell(self) -> None:
        self.sold += 1
        line = OrderLine("l1", ChannelSku("mug"), self.random.randint(1, 3))
        await self.ledger.tell(OrderSnapshot(SHOP, f"o{self.sold}", "1", NOON, False, (line,)))

    async def count(self) -> None:
        await self.ledger.ask(Count(key=key(), sku=MUG, location=BERLIN, units=self.random.randint(0, 60)))

    async def receive(self) -> None:
        await self.ledger.ask(Receive(key=key(), sku=MUG, location=BERLIN, units=self.random.randint(1, 12)))

    async def fill(self) -> None:
        await run(self.ledger)


async def lines_add_up(ledger: Ledger) -> int:
    """Each line of each order adds up. Returns the units that all of them hold."""
    total = 0
    for number in range(1, 5):
        found = await allocate.show(ledger.database, f"ACME/PO-{number}")
        for line in found.lines if isinstance(found, Shown) else ():
            parts = (line.units_allocated, line.units_backordered, line.units_shipped, line.units_cancelled)
            assert min(parts) >= 0, line
            assert sum(parts) == line.units_ordered, line
            total += line.units_allocated
    return total


async def beyond_the_policy(ledger: Ledger) -> tuple[list[str], int]:
    """Transactions after which wholesale held more than before, and more than the policy leaves; and how many took.

    Nobody else has anything reserved here.
    """
    rows = await ledger.rows(
        """
        select posted_at, units, from_account, to_account from movements
        where sku = 'MUG' and coalesce(from_location, to_location) = 'BER' order by version
        """
    )
    available = held = takes = 0
    wrong = []
    for at, group in groupby(rows, key=lambda row: row["posted_at"]):
        before = held
        for row in group:
            units = row["units"]
            available += units * ((row["to_account"] == "available") - (row["from_account"] == "available"))
            held += units * ((row["to_account"] == "reserved") - (row["from_account"] == "reserved"))
        takes += held > before
        limit = (available + held) * PERCENT // 100
        if held > before and (held > limit or available < LEAVES):
            wrong.append(f"{at}: holds {held} after {before}, {available} are available")
    return wrong, takes


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_at_once_every_unit_is_somewhere_and_the_channels_keep_theirs(
    dsn: str, seed: int
) -> None:
    async with open_ledger(dsn, {"MUG": 30}) as ledger:
        await ledger.rows("insert into listings (channel, channel_sku, sku) values ('shop', 'mug', 'MUG') returning 1")
        await state(ledger, wholesale_percent=PERCENT, wholesale_leaves_units=LEAVES)
        day = Day(ledger, seed)
        for _ in range(ROUNDS):
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(day.anything())
            held = await lines_add_up(ledger)
            [kept] = await ledger.rows(
                "select coalesce(sum(units - units_short), 0)::int as units from reservations "
                "where state = 'held' and kind = 'allocation'"
            )
            assert kept["units"] == held, f"seed {seed}"
            await ledger.assert_sound()
        wrong, takes = await beyond_the_policy(ledger)
        assert wrong == [], f"seed {seed}"
        assert takes >= 3, f"seed {seed}: wholesale took nothing, {day.done}"
        assert day.done["ship done"] > 0, f"seed {seed}: {day.done}"
