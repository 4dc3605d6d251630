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
from dataclasses import dataclass, replace
from uuid import UUID

import msgspec

from oneshelf.domain import allocating
from oneshelf.domain.bundle import named
from oneshelf.domain.command import CommandKey
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.reach import Reach
from oneshelf.domain.reservation import expire
from oneshelf.domain.wholesale import (
    WHOLESALE,
    OrderState,
    Refusal,
    RefusalKind,
    WholesaleLine,
    WholesaleOrder,
    WholesaleWish,
    closed,
    new_order,
    no_such_line,
    no_such_order,
    out_of_date,
)
from oneshelf.errors import RowExistsError
from oneshelf.flow.room import rooms as rooms_of
from oneshelf.storage import catalog, commands, shelves, touched, wholesale
from oneshelf.storage.database import Database, Transaction, now
from oneshelf.storage.shelves import Opened
from oneshelf.storage.wholesale import LineRow, OrderRow
from oneshelf.telemetry import get_logger

BATCH = 50
# Orders that one batch locks: those that wait longest for its balances.
ORDERS_MAX = 500
# How soon a line is looked at again: one that waits for units, and one that has all of them.
WAITS_S = 5.0
HAS_ALL_S = 60.0

NewId = Callable[[], UUID]

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
    with suppress(_NotKeptError):
        async with database.transaction() as tx:
            # Orders before balances, as everywhere: a changed order locks its balances.
            await wholesale.lock(tx, {wish.order_id for wish in wishes})
            for wish in sorted(wishes, key=lambda wish: wish.order_id):
                answers[wish.order_id] = await _keep(tx, new_id, wish, came_by=came_by)
            if is_trial or any(isinstance(answer, Refusal) for answer in answers.values()):
                raise _NotKeptError
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
        opened = await _open(tx, new_id, orders, lines, places=wanted)
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
    key = CommandKey(scope=WHOLESALE, key=hashlib.sha256(f"{order_id}\n{shipment}".encode()).hexdigest())
    fingerprint = hashlib.sha256(msgspec.json.encode([order_id, leaving])).digest()
    is_replayed = True
    try:
        async with database.transaction() as tx:
            found = await wholesale.lock(tx, [order_id])
            given = (await commands.told_given(await commands.ask_given(tx, [key]))).get(key)
            if given is not None and given.fingerprint != fingerprint:
                words = (
                    f"shipment {shipment} of {order_id} left before, with other units; give each a number of its own"
                )
                return Refusal(RefusalKind.SHIPMENT_REUSED, words)
            if order_id not in found:
                return no_such_order(order_id)
            if given is None:
                is_replayed = False
                if refusal := await _ship(tx, new_id, found[order_id], leaving):
                    return refusal
                await commands.give(tx, [commands.Answer(key, fingerprint, "Posted", b'{"shipped":true}')])
    except RowExistsError:
        # Somebody said the same at the same time and was faster.
        return await ship(database, new_id, order_id, leaving, shipment=shipment)
    return await show(database, order_id, is_replayed=is_replayed)


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
        of_it = [line for line in order.lines if not line_ids or line.line_id in line_ids]
        is_news = any(line.units_open for line in of_it)
        for line in of_it:
            allocating.cancel(opened.shelf, order, line, now=opened.now)
        order.close_if_done()
        return is_news

    return await _change(database, new_id, order_id, cancelled)


async def show(database: Database, order_id: str, *, is_replayed: bool = False) -> Shown | Refusal:
    """An order with its lines, as they stand now."""
    async with database.transaction() as tx:
        order = await wholesale.find(tx, order_id)
        lines = await wholesale.lines_shown(tx, [order_id])
    return Shown(order, lines.get(order_id, []), is_replayed) if order else no_such_order(order_id)


def fingerprint_of(wish: WholesaleWish) -> bytes:
    """What is the same for the same order, whatever the sequence of its lines and the number of its version."""
    stated = replace(wish, version=1, lines=tuple(sorted(wish.lines, key=lambda line: line.line_id)))
    return hashlib.sha256(msgspec.json.encode(stated)).digest()


class _NotKeptError(Exception):
    """It was decided and is taken back, with all that was written of it."""


async def _keep(tx: Transaction, new_id: NewId, wish: WholesaleWish, *, came_by: str) -> bool | Refusal:
    if refusal := await _unknown(tx, wish):
        return refusal
    fingerprint = fingerprint_of(wish)
    at = await now(tx)
    new = new_order(wish, fingerprint=fingerprint, came_by=came_by, now=at)
    is_over = new.expires_at is not None and new.expires_at <= at
    if not is_over and await wholesale.add(tx, new):
        await _wait(tx, [new])
        return True
    order = (await wholesale.lock(tx, [wish.order_id])).get(wish.order_id)
    if order and wish.version == order.version and fingerprint == order.fingerprint:
        return False
    if order and wish.version <= order.version:
        return out_of_date(order, wish)
    if is_over or order is None:
        words = f"order {wish.order_id}: cancel_after {wish.cancel_after} is over; nothing of it is wanted any more"
        return Refusal(RefusalKind.OVERDUE, words)
    opened = await _open(tx, new_id, [order], [(order, line) for line in order.lines])
    if refused := allocating.amend(opened.shelf, order, wish, now=opened.now):
        return refused
    order.fingerprint = fingerprint
    opened.shelf.fill_shortages()
    await _write(tx, opened, [order])
    await _wait(tx, [order])
    return True


async def _unknown(tx: Transaction, wish: WholesaleWish) -> Refusal | None:
    skus = {line.sku for line in wish.lines}
    known = await catalog.told_known(await catalog.ask_known(tx, skus, [wish.location]))
    if wish.location not in known.locations:
        words = f"no location {wish.location}. Way out: oneshelf stock add-location {wish.location}"
        return Refusal(RefusalKind.UNKNOWN_LOCATION, words)
    for line in wish.lines:
        if line.sku not in known.skus:
            words = f"line {line.line_id}: no SKU {line.sku}. Way out: oneshelf stock add-sku {line.sku}"
            return Refusal(RefusalKind.UNKNOWN_SKU, words)
        if line.sku in known.bundles:
            parts = named(known.bundles[line.sku])
            words = f"line {line.line_id}: {line.sku} is a bundle; order its components: {parts}"
            return Refusal(RefusalKind.IS_BUNDLE, words)
    return None


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
        opened = await _open(tx, new_id, [order], [(order, line) for line in order.lines])
        is_news = change(opened, order)
        if isinstance(is_news, Refusal):
            return is_news
        if is_news:
            opened.shelf.fill_shortages()
            await _write(tx, opened, [order])
            await _wait(tx, [order])
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
    opened = await _open(tx, new_id, [order], [(order, line) for line in order.lines], claims=True)
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
    await _write(tx, opened, [order])
    await _wait(tx, [order])
    return None


async def _open(
    tx: Transaction,
    new_id: NewId,
    orders: Collection[WholesaleOrder],
    lines: Collection[tuple[WholesaleOrder, WholesaleLine]],
    *,
    places: Collection[BalanceKey] = (),
    claims: bool = False,
) -> Opened:
    """The shelf of these lines, and the holds on it that are past their time taken back.

    `claims`: something is to ship, so the ledger's own rows of the orders are locked too.
    """
    held = {name: order.ref for order, line in lines for name in line.reservation_ids}
    reach = Reach(balances={*places, *(line.balance for _, line in lines)}, reservations=set(held))
    if claims:
        reach.claims = {name: {ref} for name, ref in held.items()}
    opened = await shelves.open_for_commands(tx, new_id, [], reach)
    expire(opened.shelf, now=opened.now)
    return opened


async def _write(tx: Transaction, opened: Opened, orders: Collection[WholesaleOrder]) -> None:
    await shelves.write(tx, opened.shelf, now=opened.now)
    await wholesale.save(tx, orders)


async def _wait(tx: Transaction, orders: Collection[WholesaleOrder]) -> None:
    """The lines of these orders are looked at next, or never again; what waits is planned for."""
    for order in orders:
        is_open = order.state is OrderState.OPEN
        await wholesale.look_in(tx, [line for line in order.lines if is_open and line.units_open], wait_s=0.0)
        await wholesale.look_in(tx, [line for line in order.lines if not (is_open and line.units_open)], wait_s=None)
        await touched.mark(tx, [line.sku for line in order.lines])
