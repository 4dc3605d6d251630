"""Rows of `balances`: where each unit is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from psycopg import AsyncCursor

from oneshelf.domain.account import StockState
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import Balance, BalanceKey
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction

# The order of the columns in every statement of this file.
_STATES = tuple(StockState)


async def lock(tx: Transaction, keys: Collection[BalanceKey]) -> dict[BalanceKey, Balance]:
    """The balances, locked in sorted order; missing ones are created empty where SKU and location are known.

    A bundle has none.
    """
    return await told_locked(await ask_lock(tx, keys))


async def ask_lock(tx: Transaction, keys: Collection[BalanceKey]) -> AsyncCursor[tuple[Any, ...]]:
    """Ask for what `lock` gives, to be read with `told_locked`."""
    names = arrays.places(keys)
    await tx.execute(
        """
        insert into balances (sku, location)
        select sku, location from unnest(%(skus)s::text[], %(locations)s::text[]) as wanted (sku, location)
        where not exists (select from balances b where b.sku = wanted.sku and b.location = wanted.location)
          and exists (select from skus s where s.sku = wanted.sku)
          and exists (select from locations l where l.location = wanted.location)
          and not exists (select from bundle_components c where c.sku = wanted.sku)
        order by sku collate "C", location collate "C"
        on conflict do nothing
        """,
        names,
    )
    return await tx.execute(
        """
        select b.sku, b.location, b.version,
               b.available, b.committed, b.reserved, b.damaged, b.quality_control, b.safety_stock, b.incoming
        from balances b
        join unnest(%(skus)s::text[], %(locations)s::text[]) as wanted (sku, location)
          on b.sku = wanted.sku and b.location = wanted.location
        order by b.sku, b.location
        for update of b
        """,
        names,
    )


async def told_locked(asked: AsyncCursor[tuple[Any, ...]]) -> dict[BalanceKey, Balance]:
    """The answer to `ask_lock`."""
    return {
        (Sku(sku), Location(location)): Balance(units=dict(zip(_STATES, states, strict=True)), version=version)
        for sku, location, version, *states in await asked.fetchall()
    }


async def write(tx: Transaction, balances: Mapping[BalanceKey, Balance]) -> None:
    """Store balances that are locked."""
    if not balances:
        return
    ordered = sorted(balances.items())
    columns = arrays.places(balances)
    columns["versions"] = arrays.numbers(balance.version for _, balance in ordered)
    for state in _STATES:
        columns[state.value] = arrays.numbers(balance.units[state] for _, balance in ordered)
    await tx.execute(
        """
        update balances b set
            version = new.version, available = new.available, committed = new.committed, reserved = new.reserved,
            damaged = new.damaged, quality_control = new.quality_control, safety_stock = new.safety_stock,
            incoming = new.incoming
        from unnest(
            %(skus)s::text[], %(locations)s::text[], %(versions)s::bigint[], %(available)s::bigint[],
            %(committed)s::bigint[], %(reserved)s::bigint[], %(damaged)s::bigint[], %(quality_control)s::bigint[],
            %(safety_stock)s::bigint[], %(incoming)s::bigint[]
        ) as new (sku, location, version, available, committed, reserved, damaged, quality_control, safety_stock,
                  incoming)
        where b.sku = new.sku and b.location = new.location
        """,
        columns,
    )


async def read(tx: Transaction, skus: Collection[Sku]) -> dict[Sku, dict[Location, Balance]]:
    """The balances of these SKUs by location, unlocked."""
    cursor = await tx.execute(
        """
        select sku, location, version,
               available, committed, reserved, damaged, quality_control, safety_stock, incoming
        from balances where sku = any(%(skus)s::text[])
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    found: dict[Sku, dict[Location, Balance]] = {sku: {} for sku in skus}
    for sku, location, version, *states in await cursor.fetchall():
        found[Sku(sku)][Location(location)] = Balance(units=dict(zip(_STATES, states, strict=True)), version=version)
    return found
