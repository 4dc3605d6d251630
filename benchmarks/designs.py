"""Ways to set units aside for a checkout, each durable and idempotent: oneshelf's own, and those it is compared with.

All write the same rows into the same tables: the key with its answer, the reservation, the movement, the balance.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from oneshelf.clock import SystemClock
from oneshelf.domain.account import StockState, inside
from oneshelf.domain.command import CommandKey, Demand, ReservationKind, Reserve
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import Reservation
from oneshelf.domain.movement import Movement, Reason
from oneshelf.domain.outcome import Reserved
from oneshelf.storage import arrays, commands, movements, reservations, touched
from oneshelf.storage.database import Database, Transaction
from oneshelf.workers.poster import BATCH_MAX, LANES, Poster
from oneshelf.workers.runner import Pulse, Step, run_for_ever

LOCATION = Location("warehouse")
TTL_S = 600
POOL_OF_UNITS = 1_000

clock = SystemClock()
Reserving = Callable[[Sku, str], Awaitable[bool]]


@asynccontextmanager
async def oneshelf(database: Database) -> AsyncIterator[Reserving]:
    """What the engine does: callers share transactions, and each batch is decided in Python."""
    poster = Poster(database, clock.new_id)

    async def reserve(sku: Sku, key: str) -> bool:
        line = Demand(sku=sku, location=LOCATION, units=1)
        wanted = Reserve(key=CommandKey(scope="bench", key=key), kind=ReservationKind.HOLD, lines=(line,), ttl_s=TTL_S)
        [answered] = await poster.post([wanted])
        return isinstance(answered.outcome, Reserved)

    async with _running([poster.post_next] * LANES):
        yield reserve


@asynccontextmanager
async def floor(database: Database) -> AsyncIterator[Reserving]:
    """The same rows in the same batches with no logic: nothing is read, locked or decided, and nothing may fail."""
    waiting: list[tuple[Sku, str, asyncio.Future[None]]] = []
    has_work = asyncio.Event()

    async def reserve(sku: Sku, key: str) -> bool:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append((sku, key, done))
        has_work.set()
        await done
        return True

    async def write_next() -> int:
        while not waiting:
            has_work.clear()
            await has_work.wait()
        batch, waiting[:] = waiting[:BATCH_MAX], waiting[BATCH_MAX:]
        async with database.transaction(is_pipelined=True) as tx:
            await _write_blindly(tx, [(sku, key) for sku, key, _ in batch])
        for _, _, done in batch:
            done.set_result(None)
        return len(batch)

    async with _running([write_next] * LANES):
        yield reserve


async def _write_blindly(tx: Transaction, batch: Sequence[tuple[Sku, str]]) -> None:
    now = clock.now()
    parts = [_reservation(sku, clock.new_id(), now) for sku, _ in batch]
    units: dict[Sku, int] = {}
    for sku, _ in batch:
        units[sku] = units.get(sku, 0) + 1
    taken = sorted(units.items())
    await tx.execute(
        """
        update balances b set available = available - units, reserved = reserved + units, version = version + units
        from unnest(%(skus)s::text[], %(units)s::bigint[]) as new (sku, units)
        where b.sku = new.sku and b.location = %(location)s
        """,
        {
            "skus": arrays.texts([sku for sku, _ in taken]),
            "units": arrays.numbers([taken_units for _, taken_units in taken]),
            "location": LOCATION,
        },
    )
    await movements.append(tx, [_movement(part) for part in parts], posted_at=now)
    await reservations.save(tx, parts)
    await touched.mark(tx, units)
    await commands.give(tx, [_answer(part, key) for part, (_, key) in zip(parts, batch, strict=True)])


@asynccontextmanager
async def for_update(database: Database) -> AsyncIterator[Reserving]:
    """What most shops do: `SELECT … FOR UPDATE`, look, `UPDATE`, one transaction for each caller."""

    async def reserve(sku: Sku, key: str) -> bool:
        async with database.transaction() as tx:
            part = await _with_key(tx, sku, key)
            cursor = await tx.execute(
                "select available from balances where sku = %(sku)s and location = %(location)s for update",
                {"sku": sku, "location": LOCATION},
            )
            [row] = await cursor.fetchall()
            if row[0] < 1:
                return False
            await tx.execute(
                """
                update balances set available = available - 1, reserved = reserved + 1, version = version + 1
                where sku = %(sku)s and location = %(location)s
                """,
                {"sku": sku, "location": LOCATION},
            )
            await _record(tx, part)
        return True

    yield reserve


@asynccontextmanager
async def conditional(database: Database) -> AsyncIterator[Reserving]:
    """`UPDATE … WHERE available >= n`, one transaction for each caller."""

    async def reserve(sku: Sku, key: str) -> bool:
        async with database.transaction() as tx:
            part = await _with_key(tx, sku, key)
            cursor = await tx.execute(
                """
                update balances set available = available - 1, reserved = reserved + 1, version = version + 1
                where sku = %(sku)s and location = %(location)s and available >= 1
                """,
                {"sku": sku, "location": LOCATION},
            )
            if cursor.rowcount == 0:
                return False
            await _record(tx, part)
        return True

    yield reserve


@asynccontextmanager
async def row_per_unit(database: Database) -> AsyncIterator[Reserving]:
    """One row for each free unit, taken with `SKIP LOCKED`, from a pool of 1,000 that is filled up from the balance."""

    async def reserve(sku: Sku, key: str) -> bool:
        for _ in range(100):
            async with database.transaction() as tx:
                part = await _with_key(tx, sku, key)
                cursor = await tx.execute(
                    """
                    delete from bench_units where (sku, unit_id) in (
                        select sku, unit_id from bench_units where sku = %(sku)s
                        order by unit_id for update skip locked limit 1)
                    """,
                    {"sku": sku},
                )
                if cursor.rowcount == 1:
                    await _record(tx, part)
                    return True
                await tx.execute("delete from commands where scope = 'bench' and key = %(key)s", {"key": key})
            await fill_up(sku)
        return False

    filling: dict[Sku, asyncio.Lock] = {}

    async def fill_up(sku: Sku) -> None:
        async with filling.setdefault(sku, asyncio.Lock()), database.transaction() as tx:
            await tx.execute(
                """
                with wanted as (
                    select greatest(0, %(pool)s - (select count(*) from bench_units where sku = %(sku)s)) as units
                ), taken as (
                    update balances set available = available - units, reserved = reserved + units
                    from wanted where sku = %(sku)s and location = %(location)s and available >= units returning units
                )
                insert into bench_units (sku, unit_id)
                select %(sku)s, nextval('bench_unit_ids') from taken, generate_series(1, taken.units)
                """,
                {"sku": sku, "location": LOCATION, "pool": POOL_OF_UNITS},
            )

    yield reserve


async def _with_key(tx: Transaction, sku: Sku, key: str) -> Reservation:
    """Claim the key with its answer; a repeat would wait here and fail."""
    part = _reservation(sku, clock.new_id(), clock.now())
    await commands.give(tx, [_answer(part, key)])
    return part


async def _record(tx: Transaction, part: Reservation) -> None:
    await reservations.save(tx, [part])
    await movements.append(tx, [_movement(part)], posted_at=part.created_at)
    await touched.mark(tx, [part.sku])


def _reservation(sku: Sku, reservation_id: UUID, now: datetime) -> Reservation:
    return Reservation(
        sku=sku,
        reservation_id=reservation_id,
        location=LOCATION,
        kind=ReservationKind.HOLD,
        units=1,
        created_at=now,
        expires_at=now + timedelta(seconds=TTL_S),
    )


def _movement(part: Reservation) -> Movement:
    return Movement(
        movement_id=clock.new_id(),
        sku=part.sku,
        units=1,
        origin=inside(StockState.AVAILABLE, LOCATION),
        target=inside(StockState.RESERVED, LOCATION),
        reason=Reason.RESERVED,
        source=part.source,
        version=1,
    )


def _answer(part: Reservation, key: str) -> commands.Answer:
    figures = msgspec.json.encode(Reserved(part.reservation_id, 1, part.expires_at))
    return commands.Answer(CommandKey(scope="bench", key=key), b"0" * 32, "Reserved", figures)


@asynccontextmanager
async def _running(steps: Sequence[Callable[[], Awaitable[int]]]) -> AsyncIterator[None]:
    """These run again and again, side by side."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(run_for_ever(Step(f"lane {number}", work), Pulse())) for number, work in enumerate(steps)
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


DESIGNS = {
    "oneshelf": oneshelf,
    "floor: the same rows by unnest": floor,
    "SELECT … FOR UPDATE": for_update,
    "conditional UPDATE": conditional,
    "a row per unit, SKIP LOCKED": row_per_unit,
}
