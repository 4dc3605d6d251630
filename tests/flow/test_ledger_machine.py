"""A few hundred steps of everything that can happen, through PostgreSQL: it agrees with the ledger on paper."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from datetime import datetime
from typing import ClassVar, TypeVar
from uuid import UUID

import pytest

from domain.histories import TOLD, Tally, live_until
from domain.machine import Figures, LedgerMachine
from domain.shop import BERLIN, MUG
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.bundle import BundleWish
from oneshelf.domain.command import Command, Receive
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import Backorder
from oneshelf.domain.order import OrderSnapshot
from oneshelf.domain.outcome import KeyReused, Outcome
from oneshelf.flow.count import CountBegun, begin_count

pytestmark = [pytest.mark.pg, pytest.mark.timeout(300)]

T = TypeVar("T")


class PostgresMachine(LedgerMachine):
    """The rules over the whole way: batches, locks, rows. Every run begins with empty tables."""

    dsn: ClassVar[str]
    met: ClassVar[Counter[str]] = Counter()
    looks_back: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.ledger: Ledger = self.do(self.stack.enter_async_context(open_ledger(self.dsn)))
        self.do(self.empty())
        self.asked = 0

    async def empty(self) -> None:
        async with self.ledger.database.transaction() as tx:
            await tx.execute(
                "truncate skus, locations, channels, commands, orders, movements, reservations, touched cascade"
            )
        await self.ledger.name_all()
        await self.ledger.rows(
            "insert into listings (channel, channel_sku, sku)"
            " values ('shop', 'mug', 'MUG'), ('shop', 'duo', 'DUO') returning 1"
        )

    def do(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.runner.run(awaited())

    def ask(self, command: Command) -> Outcome:
        outcome = self.do(self.ledger.ask_one(command))
        self.asked += 1
        if self.asked % 5 == 0:
            # The key again: the same answer, and (the comparison that follows shows it) nothing moves.
            assert self.do(self.ledger.ask_one(command)) == outcome, command
            other = Receive(key=command.key, sku=MUG, location=BERLIN, units=1_000 + self.asked)
            assert self.do(self.ledger.ask_one(other)) == KeyReused(command.key.key), command
            self.met["asked again"] += 1
        return outcome

    def begin_count(self) -> UUID:
        begun = self.do(begin_count(self.ledger.database, CLOCK.new_id, BERLIN))
        assert isinstance(begun, CountBegun)
        return begun.token

    def tell(self, snapshot: OrderSnapshot) -> None:
        self.do(self.ledger.tell(snapshot))

    def define(self, bundle: BundleWish) -> None:
        self.do(self.ledger.define_duo(bundle.components))

    def allow(self, place: tuple[Sku, Location], policy: Backorder | None) -> None:
        self.do(self.ledger.allow(policy.cap_units if policy else None, *place))

    def pass_time(self, seconds: int) -> None:
        shift = f"update reservations set expires_at = expires_at - interval '{seconds} s' returning 1"
        self.do(self.ledger.rows(shift))

    def present(self) -> datetime:
        return CLOCK.now()

    def accounts(self) -> Figures:
        # What the command has not met, the sweep takes back.
        self.do(self.ledger.sweep())
        rows = self.do(
            self.ledger.rows(
                """
                select sku, concat_ws(' ', location, account) as account, sum(units)::int as units from (
                    select sku, to_location as location, to_account as account, units from movements
                    union all
                    select sku, from_location, from_account, -units from movements
                ) as legs group by sku, location, account having sum(units) <> 0
                """
            )
        )
        books: Figures = {}
        for row in rows:
            books.setdefault(row["sku"], {})[row["account"]] = row["units"]
        return books

    def teardown(self) -> None:
        self.do(self.ledger.assert_sound())
        self.do(self.stack.aclose())
        self.runner.close()


TO_BE_MET = {
    *("Posted", "Reserved", "Claimed", "Short", TOLD),
    *("IsBundle", "CountedShort", "Counted", "PostedLate"),
    *("by token", "as of", "in doubt", "waits"),
}
STEPS, SEED = 1_000, 1  # `make simulate` takes many more.


@pytest.mark.long
def test_the_database_agrees_with_a_ledger_on_paper_whatever_happens(dsn: str) -> None:
    PostgresMachine.dsn = dsn
    PostgresMachine.met.clear()
    tally = Tally()

    def missed() -> set[str]:
        return TO_BE_MET - {name for pair in tally.met for name in pair} - set(PostgresMachine.met)

    # A failure takes long to shrink here; the rules alone show it sooner.
    live_until(PostgresMachine, tally, lambda: not missed(), seed=SEED, steps=STEPS, shrinks=False)
    print(f"seed {SEED}: {tally.steps} steps in {tally.histories} histories: {sorted(tally.met.items())}")
    assert tally.steps >= STEPS
    assert missed() == set()
    assert PostgresMachine.met["asked again"] > STEPS / 20
