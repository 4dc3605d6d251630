"""How a SKU was at a past instant is what the ledger on paper said then."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from domain.machine import Figures
from domain.shop import BERLIN, MUG, SHOP, key
from flow.shelf_world import Ledger, open_ledger
from flow.test_ledger_machine import PostgresMachine
from oneshelf.domain.command import Claim, Count, Demand, OrderRef, Receive, ReservationKind, Reserve
from oneshelf.domain.identity import Sku
from oneshelf.domain.outcome import Reserved
from oneshelf.storage import balances, past
from oneshelf.storage.database import now

pytestmark = pytest.mark.pg


async def figures_at(ledger: Ledger, skus: list[str], at: datetime) -> Figures:
    """SKU -> account -> units, where there are any, as the past has them; and checks what lies beside them."""
    books: Figures = {}
    async with ledger.database.transaction() as tx:
        for name in skus:
            was = await past.read(tx, Sku(name), at)
            found = {
                f"{location} {state}": units
                for location, balance in was.balances.items()
                for state, units in balance.units.items()
                if units
            } | was.outside
            if found:
                books[name] = found
            held: Counter[str] = Counter()
            for one in was.held:
                held[f"{one.location} {one.state}"] += one.units
            for account, units in held.items():
                assert found.get(account, 0) == units, (name, account, was.held)
            told = set()
            for moved in await past.movements(tx, Sku(name), was, limit=3):
                place = moved.to_location or moved.from_location
                if place is not None and place not in told:
                    told.add(place)
                    assert moved.available_after == found.get(f"{place} available", 0)
                assert moved.posted_at <= at
    return books


class RememberingMachine(PostgresMachine):
    """Remembers what stood on paper after each step."""

    compared: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.remembered: list[tuple[datetime, Figures]] = []

    def compare(self) -> None:
        super().compare()
        on_paper = {sku: {name: n for name, n in books.items() if n} for sku, books in self.paper.accounts.items()}
        [row] = self.do(self.ledger.rows("select db_now() as at"))
        self.remembered.append((row["at"], {sku: books for sku, books in on_paper.items() if books}))

    async def check_past(self) -> None:
        rows = await self.ledger.rows("select * from movements order by posted_at, version, movement_id")
        skus = sorted({row["sku"] for row in rows})
        for at, books in self.remembered:
            assert await figures_at(self.ledger, skus, at) == books
        replayed: dict[str, Counter[str]] = {sku: Counter() for sku in skus}
        for number, row in enumerate(rows):
            for side, units in (("to", row["units"]), ("from", -row["units"])):
                account = " ".join(filter(None, (row[f"{side}_location"], row[f"{side}_account"])))
                replayed[row["sku"]][account] += units
            if number + 1 < len(rows) and rows[number + 1]["posted_at"] == row["posted_at"]:
                continue  # Movements of one batch share their instant.
            then = {sku: {name: n for name, n in books.items() if n} for sku, books in replayed.items()}
            assert await figures_at(self.ledger, skus, row["posted_at"]) == {s: b for s, b in then.items() if b}
            type(self).compared += 1

    def teardown(self) -> None:
        self.do(self.check_past())
        super().teardown()


@pytest.mark.long
def test_at_the_instant_of_every_movement_the_past_is_what_stood_on_paper(dsn: str) -> None:
    RememberingMachine.dsn = dsn
    RememberingMachine.compared = 0
    run_state_machine_as_test(
        RememberingMachine,
        settings=settings(
            max_examples=5,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert RememberingMachine.compared > 60


async def test_the_present_is_the_balances(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9, "CAP": 2}) as ledger:
        await ledger.ask_one(Count(key=key(), sku=MUG, location=BERLIN, units=7))
        async with ledger.database.transaction() as tx:
            was = await past.read(tx, MUG, await now(tx))
            assert was.balances == (await balances.read(tx, [MUG]))[MUG]
            assert was.outside == {"supplier": -9, "shrinkage": 2}


async def test_units_lie_with_the_reservation_and_then_with_the_order_that_claimed_it(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9}) as ledger:
        wanted = (Demand(sku=MUG, location=BERLIN, units=2),)
        held = await ledger.ask_one(Reserve(key=key(), kind=ReservationKind.LOCK, lines=wanted))
        assert isinstance(held, Reserved)
        async with ledger.database.transaction() as tx:
            between = await now(tx)
        await ledger.ask_one(Claim(key=key(), reservation_id=held.reservation_id, order=OrderRef(SHOP, "7")))
        await ledger.ask_one(Receive(key=key(), sku=MUG, location=BERLIN, units=1))
        async with ledger.database.transaction() as tx:
            [before] = (await past.read(tx, MUG, between)).held
            assert before == (f"reservation {held.reservation_id}", BERLIN, "reserved", 2)
            [after] = (await past.read(tx, MUG, await now(tx))).held
            assert after.source.startswith("order shop/7/")
            assert after[1:] == (BERLIN, "committed", 2)
