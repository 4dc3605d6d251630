"""A ledger on a real database, without any channel, and short words for what is asked of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from domain.shop import BERLIN, BUNDLES, CAP, DUO, HAMBURG, MUG, SHOP, key
from oneshelf.clock import SystemClock
from oneshelf.domain.bundle import BundleWish, Defined
from oneshelf.domain.command import Command, Component, Receive
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import Backorder, BackorderKind
from oneshelf.domain.order import OrderSnapshot
from oneshelf.domain.outcome import Outcome
from oneshelf.flow import audit, define, post
from oneshelf.storage import catalog, facts
from oneshelf.storage.database import Database

CLOCK = SystemClock()


@dataclass
class Ledger:
    """What a test asks of the ledger."""

    database: Database

    async def name_all(self) -> None:
        """Let the engine know the SKUs, the locations and the channel."""
        async with self.database.transaction() as tx:
            await catalog.add_skus(tx, dict.fromkeys([MUG, CAP, DUO, Sku("SET")], ""))
            for location in (BERLIN, HAMBURG):
                await catalog.add_location(tx, location)
            await catalog.add_channel(tx, catalog.NewChannel(SHOP, "paper", BERLIN, {}, {}, {}))

    async def ask(self, *commands: Command) -> list[Outcome]:
        """Post commands in one batch."""
        return [answered.outcome for answered in await post.post_commands(self.database, CLOCK.new_id, commands)]

    async def ask_one(self, command: Command) -> Outcome:
        [outcome] = await self.ask(command)
        return outcome

    async def tell(self, snapshot: OrderSnapshot) -> None:
        """The channel tells of an order, and it is posted."""
        async with self.database.transaction() as tx:
            await facts.add(tx, [(snapshot, CLOCK.now())])
        await post.post_facts(self.database, CLOCK.new_id)

    async def define_duo(self, components: tuple[Component, ...] = BUNDLES[DUO]) -> None:
        """Two mugs and a cap are sold as one."""
        wish = BundleWish(sku=DUO, components=components)
        assert await define.define_bundle(self.database, wish) == Defined(DUO)

    async def allow(self, cap: int | None, sku: Sku = MUG, location: Location = BERLIN) -> None:
        """So many units may be short."""
        policy = None if cap is None else Backorder(kind=BackorderKind.BACKORDER, cap_units=cap)
        assert await define.allow_backorder(self.database, sku, location, policy) is None

    async def sweep(self) -> int:
        """Take back the holds that are past their time."""
        return await post.post_expiries(self.database, CLOCK.new_id)

    async def let_holds_expire(self) -> None:
        """A long time passes for every hold."""
        await self.rows("update reservations set expires_at = expires_at - interval '8 days' returning 1")

    async def figures(self, sku: str = "MUG", location: str = "BER") -> dict[str, int]:
        """state -> units, where there are any."""
        [row] = await self.rows(
            "select available, committed, reserved, damaged, quality_control, safety_stock, incoming "
            f"from balances where sku = '{sku}' and location = '{location}'"
        )
        return {state: units for state, units in row.items() if units}

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """Look into the database."""
        async with self.database.transaction() as tx:
            cursor = await tx.execute(query.encode())
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) async for row in cursor]

    async def assert_sound(self) -> None:
        assert await self.broken_rules() == []

    async def broken_rules(self) -> list[str]:
        """What the auditor finds."""
        return [violation.rule for violation in (await audit.audit(self.database)).violations]


@asynccontextmanager
async def open_ledger(dsn: str, available: Mapping[str, int] | None = None) -> AsyncIterator[Ledger]:
    """Mugs, caps and sets are known, in Berlin and Hamburg; `available`: SKU -> units in Berlin."""
    async with Database.open(dsn) as database:
        ledger = Ledger(database)
        await ledger.name_all()
        for sku, units in (available or {}).items():
            await ledger.ask(Receive(key=key(), sku=Sku(sku), location=BERLIN, units=units))
        yield ledger
