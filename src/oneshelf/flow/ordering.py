"""Keep what wholesale customers order, or order otherwise: called by whoever takes orders, in its transaction.

Reads: SKUs, locations, wholesale orders. Writes: wholesale orders and their lines; of a changed one the movements,
balances and reservations of what it holds; marks the SKUs whose listings must be planned again.
Next: allocate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import msgspec

from oneshelf.domain import allocating
from oneshelf.domain.bundle import named
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.reach import Reach
from oneshelf.domain.reservation import expire
from oneshelf.domain.wholesale import (
    OrderState,
    Refusal,
    RefusalKind,
    WholesaleLine,
    WholesaleOrder,
    WholesaleWish,
    new_order,
    out_of_date,
)
from oneshelf.storage import catalog, shelves, touched, wholesale
from oneshelf.storage.database import Transaction, now
from oneshelf.storage.shelves import Opened

NewId = Callable[[], UUID]


async def keep(
    tx: Transaction, new_id: NewId, wishes: Sequence[WholesaleWish], *, came_by: str
) -> dict[str, bool | Refusal]:
    """Keep these orders, new ones and changed ones; for each whether it was news, or why it is not kept.

    After a refusal others may be kept: the caller takes all of it back.
    """
    # Orders before balances, as everywhere: a changed order locks its balances.
    found = await wholesale.lock(tx, {wish.order_id for wish in wishes})
    known = await _known(tx, wishes)
    at = await now(tx)
    answers: dict[str, bool | Refusal] = {}
    new: dict[str, WholesaleOrder] = {}
    for wish in wishes:
        if refusal := _unknown(wish, known):
            answers[wish.order_id] = refusal
        elif wish.order_id not in found:
            order = new_order(wish, fingerprint=fingerprint_of(wish), came_by=came_by, now=at)
            if _is_over(order, at):
                answers[wish.order_id] = _overdue(wish)
            else:
                new[wish.order_id] = order
    added = await wholesale.add(tx, new.values())
    await _wait(tx, [new[order_id] for order_id in added])
    answers |= dict.fromkeys(added, True)
    # Somebody else was faster with these.
    found |= await wholesale.lock(tx, new.keys() - added) if new.keys() - added else {}
    for wish in sorted(wishes, key=lambda wish: wish.order_id):
        if wish.order_id not in answers:
            answers[wish.order_id] = await _amend(tx, new_id, found[wish.order_id], wish, at)
    return answers


async def _amend(
    tx: Transaction, new_id: NewId, order: WholesaleOrder, wish: WholesaleWish, at: datetime
) -> bool | Refusal:
    fingerprint = fingerprint_of(wish)
    if wish.version == order.version and fingerprint == order.fingerprint:
        return False
    if wish.version <= order.version:
        return out_of_date(order, wish)
    if _is_over(new_order(wish, fingerprint=fingerprint, came_by=order.came_by, now=at), at):
        return _overdue(wish)
    opened = await open_lines(tx, new_id, [order], [(order, line) for line in order.lines])
    if refused := allocating.amend(opened.shelf, order, wish, now=opened.now):
        return refused
    order.fingerprint = fingerprint
    opened.shelf.fill_shortages()
    await write(tx, opened, [order])
    return True


def cancel(opened: Opened, order: WholesaleOrder, lines: Collection[WholesaleLine]) -> bool:
    """Nothing more of these lines is shipped, and what they hold is free again. Whether that was news."""
    is_news = any(line.units_open for line in lines)
    for line in lines:
        allocating.cancel(opened.shelf, order, line, now=opened.now)
    order.close_if_done()
    return is_news


def fingerprint_of(wish: WholesaleWish) -> bytes:
    """What is the same for the same order, whatever the sequence of its lines and the number of its version."""
    stated = replace(wish, version=1, lines=tuple(sorted(wish.lines, key=lambda line: line.line_id)))
    return hashlib.sha256(msgspec.json.encode(stated)).digest()


def _is_over(order: WholesaleOrder, at: datetime) -> bool:
    return order.expires_at is not None and order.expires_at <= at


def _overdue(wish: WholesaleWish) -> Refusal:
    words = f"order {wish.order_id}: cancel_after {wish.cancel_after} is over; nothing of it is wanted any more"
    return Refusal(RefusalKind.OVERDUE, words)


async def _known(tx: Transaction, wishes: Sequence[WholesaleWish]) -> catalog.Known:
    skus = {line.sku for wish in wishes for line in wish.lines}
    return await catalog.told_known(await catalog.ask_known(tx, skus, {wish.location for wish in wishes}))


def _unknown(wish: WholesaleWish, known: catalog.Known) -> Refusal | None:
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


async def open_lines(
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


async def write(tx: Transaction, opened: Opened, orders: Collection[WholesaleOrder]) -> None:
    """Store what changed of these (locked) orders, and of the shelf; their lines are looked at next."""
    await shelves.write(tx, opened.shelf, now=opened.now)
    await wholesale.save(tx, orders)
    await _wait(tx, orders)


async def _wait(tx: Transaction, orders: Collection[WholesaleOrder]) -> None:
    """The lines of these orders are looked at next, or never again; what waits is planned for."""
    lines = [(order.state is OrderState.OPEN and line.units_open > 0, line) for order in orders for line in order.lines]
    await wholesale.look_in(tx, [line for waits, line in lines if waits], wait_s=0.0)
    await wholesale.look_in(tx, [line for waits, line in lines if not waits], wait_s=None)
    await touched.mark(tx, [line.sku for _, line in lines])
