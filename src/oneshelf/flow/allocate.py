"""Set units aside for wholesale orders, as far as the policy lets them, and move what is shipped or given back.

Reads: wholesale orders, policies, balances, what listings may sell. Writes: wholesale orders and their lines; the
movements, balances, reservations and orders of what they hold; marks the SKUs whose listings must be planned again.
Next: plan.

An order is kept first, and waits; units are set aside in a transaction of their own. So it is the same for an order
that came a moment ago, and for one that has waited for a receipt, for a cut at a channel, or for an engine that died.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from oneshelf.domain import allocating
from oneshelf.domain.command import CommandKey
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.wholesale import (
    WHOLESALE,
    OrderState,
    Refusal,
    RefusalKind,
    WholesaleOrder,
    WholesaleWish,
    closed,
    no_such_line,
    no_such_order,
)
from oneshelf.errors import DatabaseUnavailableError, RowExistsError
from oneshelf.flow import ordering
from oneshelf.flow.ordering import NewId
from oneshelf.flow.room import rooms as rooms_of
from oneshelf.storage import commands, shelves, wholesale
from oneshelf.storage.database import Database, Transaction
from oneshelf.storage.shelves import Opened
from oneshelf.storage.wholesale import LineRow, OrderRow
from oneshelf.telemetry import get_logger

BATCH = 50
TRIES_MAX = 5
# Orders that one batch locks: those that wait longest for its balances.
ORDERS_MAX = 500
# How soon a line is looked at again: one that waits for units, and one that has all of them.
WAITS_S = 5.0
HAS_ALL_S = 60.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """An order as it stands now. `is_replayed`: what was asked had been done before, and nothing was done again."""

    order: OrderRow
    lines: Sequence[LineRow]
    is_replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """Units of a line that leave."""

    line_id: str
    units: int


async def place(database: Database, new_id: NewId, wish: WholesaleWish, *, came_by: str) -> Shown | Refusal:
    """Keep an order, or a changed one under a higher version, and set aside what the policy leaves for it.

    The same version again gives the order as it stands; another order under it is refused.
    """
    kept = await keep(database, new_id, [wish], came_by=came_by)
    if isinstance(kept[0], Refusal):
        return kept[0]
    await allocate(database, new_id, keys={(line.sku, wish.location) for line in wish.lines})
    return await show(database, wish.order_id, is_replayed=not kept[0])


async def keep(
    database: Database, new_id: NewId, wishes: Sequence[WholesaleWish], *, came_by: str, is_trial: bool = False
) -> list[bool | Refusal]:
    """Keep these orders in one transaction; for each whether it was news, or why it is not kept.

    If one is refused none is kept. `is_trial`: none is kept, and the answers are what would be.
    """
    answers: dict[str, bool | Refusal] = {}
    with suppress(_TakenBackError):
        async with database.transaction() as tx:
            answers = await ordering.keep(tx, new_id, wishes, came_by=came_by)
            if is_trial or any(isinstance(answer, Refusal) for answer in answers.values()):
                raise _TakenBackError
    return [answers[wish.order_id] for wish in wishes]


async def allocate(database: Database, new_id: NewId, *, keys: Collection[BalanceKey] | None = None) -> int:
    """Give lines that wait what is free for them now, the oldest first; of `keys`, or one batch of what is due.

    Orders whose last day is over are closed first, so that what they wait for is left to others.
    Returns how many units were set aside, and orders closed.
    """
    done = 0
    async with database.transaction() as tx:
        overdue = await wholesale.overdue(tx, limit=BATCH)
    for order_id in overdue:
        done += not isinstance(await end(database, new_id, order_id, is_overdue=True), Refusal)
    async with database.transaction() as tx:
        wanted = set(keys) if keys is not None else set(await wholesale.due_balances(tx, limit=BATCH))
        waiting = await wholesale.waiting_at(tx, wanted, limit=ORDERS_MAX) if wanted else []
        if not waiting:
            return done
        orders = [order for order in (await wholesale.lock(tx, waiting)).values() if order.state is OrderState.OPEN]
        lines = [(order, line) for order in orders for line in order.lines if line.balance in wanted]
        opened = await ordering.open_lines(tx, new_id, orders, lines, places=wanted)
        opened.shelf.fill_shortages()
        rooms = await rooms_of(tx, {key: opened.shelf.available(*key) for key in wanted})
        done += allocating.share_out(opened.shelf, lines, rooms, now=opened.now)
        await shelves.write(tx, opened.shelf, now=opened.now)
        await wholesale.save_lines(tx, [line for _, line in lines])
        short = [line for _, line in lines if line.units_open > allocating.units_allocated(opened.shelf, line)]
        is_short = {line.key for line in short}
        await wholesale.look_in(tx, short, wait_s=WAITS_S)
        await wholesale.look_in(tx, [line for _, line in lines if line.key not in is_short], wait_s=HAS_ALL_S)
    return done


async def ship(
    database: Database, new_id: NewId, order_id: str, leaving: Sequence[Leaving], *, shipment: str
) -> Shown | Refusal:
    """Units leave for the customer; none named: all that the order holds. Each number of a shipment happens once."""
    for _ in range(TRIES_MAX):
        # Where somebody said the same at the same time and was faster, the next try sees it.
        with suppress(RowExistsError):
            was_replayed = await _ship_once(database, new_id, order_id, leaving, shipment=shipment)
            if isinstance(was_replayed, Refusal):
                return was_replayed
            return await show(database, order_id, is_replayed=was_replayed)
    raise DatabaseUnavailableError(f"{TRIES_MAX} times somebody else was faster with shipment {shipment} of {order_id}")


async def _ship_once(
    database: Database, new_id: NewId, order_id: str, leaving: Sequence[Leaving], *, shipment: str
) -> bool | Refusal:
    """Whether it had left before, or why it does not leave."""
    key = CommandKey(scope=WHOLESALE, key=hashlib.sha256(f"{order_id}\n{shipment}".encode()).hexdigest())
    fingerprint = hashlib.sha256(msgspec.json.encode([order_id, leaving])).digest()
    async with database.transaction() as tx:
        found = await wholesale.lock(tx, [order_id])
        given = (await commands.told_given(await commands.ask_given(tx, [key]))).get(key)
        if given is not None and given.fingerprint != fingerprint:
            words = f"shipment {shipment} of {order_id} left before, with other units; give each a number of its own"
            return Refusal(RefusalKind.SHIPMENT_REUSED, words)
        if order_id not in found:
            return no_such_order(order_id)
        if given is None:
            if refusal := await _ship(tx, new_id, found[order_id], leaving):
                return refusal
            await commands.give(tx, [commands.Answer(key, fingerprint, "Posted", b'{"shipped":true}')])
    return given is not None


async def release(database: Database, new_id: NewId, order_id: str) -> Shown | Refusal:
    """What the order holds is free again, and it waits for nothing until `resume`. Said again, nothing changes."""
    return await _change(database, new_id, order_id, _released)


async def resume(database: Database, new_id: NewId, order_id: str) -> Shown | Refusal:
    """A released order waits for units again, in its old place."""
    shown = await _change(database, new_id, order_id, _resumed)
    if isinstance(shown, Refusal):
        return shown
    await allocate(database, new_id, keys={(line.sku, shown.order.location) for line in shown.lines})
    return await show(database, order_id, is_replayed=shown.is_replayed)


async def end(
    database: Database, new_id: NewId, order_id: str, *, line_ids: Collection[str] = (), is_overdue: bool = False
) -> Shown | Refusal:
    """Nothing more of the order is shipped, or of these lines of it; what they hold is free again.

    `is_overdue`: only if its last day is over.
    """

    def cancelled(opened: Opened, order: WholesaleOrder) -> bool | Refusal:
        if is_overdue and (order.expires_at is None or order.expires_at > opened.now):
            return False
        known = {line.line_id for line in order.lines}
        if strange := sorted(set(line_ids) - known):
            return no_such_line(order, strange[0])
        return ordering.cancel(opened, order, [one for one in order.lines if not line_ids or one.line_id in line_ids])

    return await _change(database, new_id, order_id, cancelled)


async def show(database: Database, order_id: str, *, is_replayed: bool = False) -> Shown | Refusal:
    """An order with its lines, as they stand now."""
    async with database.transaction() as tx:
        order = await wholesale.find(tx, order_id)
        lines = await wholesale.lines_shown(tx, [order_id])
    return Shown(order, lines.get(order_id, []), is_replayed) if order else no_such_order(order_id)


class _TakenBackError(Exception):
    """It was decided and is not to be kept: rolls back all that was written of it."""


async def _change(
    database: Database,
    new_id: NewId,
    order_id: str,
    change: Callable[[Opened, WholesaleOrder], bool | Refusal],
) -> Shown | Refusal:
    """Change one order in one transaction. `change`: whether it was news, or why it is refused."""
    async with database.transaction() as tx:
        found = await wholesale.lock(tx, [order_id])
        if order_id not in found:
            return no_such_order(order_id)
        order = found[order_id]
        opened = await ordering.open_lines(tx, new_id, [order], [(order, line) for line in order.lines])
        is_news = change(opened, order)
        if isinstance(is_news, Refusal):
            return is_news
        if is_news:
            opened.shelf.fill_shortages()
            await ordering.write(tx, opened, [order])
    if is_news:
        log.info("wholesale.changed", order=order_id, state=order.state.value)
    return await show(database, order_id, is_replayed=not is_news)


def _released(opened: Opened, order: WholesaleOrder) -> bool | Refusal:
    if order.state is OrderState.CLOSED:
        return closed(order)
    is_news = order.state is not OrderState.RELEASED
    for line in order.lines if is_news else ():
        allocating.take_back(opened.shelf, order, line, line.units_open, now=opened.now)
    order.state = OrderState.RELEASED
    return is_news


def _resumed(opened: Opened, order: WholesaleOrder) -> bool | Refusal:
    if order.state is OrderState.CLOSED:
        return closed(order)
    is_news = order.state is OrderState.RELEASED
    order.state = OrderState.OPEN
    return is_news


async def _ship(tx: Transaction, new_id: NewId, order: WholesaleOrder, leaving: Sequence[Leaving]) -> Refusal | None:
    lines = {line.line_id: line for line in order.lines}
    for one in leaving:
        if one.line_id not in lines:
            return no_such_line(order, one.line_id)
    opened = await ordering.open_lines(tx, new_id, [order], [(order, line) for line in order.lines], claims=True)
    held = {name: allocating.units_allocated(opened.shelf, line) for name, line in lines.items()}
    wanted = list(leaving) or [Leaving(line_id=name, units=units) for name, units in held.items() if units]
    if not wanted:
        words = f"order {order.order_id} holds nothing that could ship; see: oneshelf wholesale show {order.order_id}"
        return Refusal(RefusalKind.NOT_ALLOCATED, words)
    total: dict[str, int] = {}
    for one in wanted:
        total[one.line_id] = total.get(one.line_id, 0) + one.units
    for name, units in sorted(total.items()):
        if units > held[name]:
            return Refusal(
                RefusalKind.NOT_ALLOCATED,
                f"line {name} of {order.order_id}: {units} of {lines[name].sku} are to ship and {held[name]} are "
                f"allocated; {lines[name].units_open - held[name]} wait for units",
            )
        allocating.ship(opened.shelf, order, lines[name], units, now=opened.now)
    order.close_if_done()
    opened.shelf.fill_shortages()
    await ordering.write(tx, opened, [order])
    return None
