"""The shelf of a batch: all that its orders or commands can move, locked and read; and written back.

Rows are locked in one order everywhere: orders, listings, balances, each sorted by key. Order lines and reservations
are guarded by the lock of their balance, and whether a line exists by the lock of its order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from oneshelf.domain.bundle import Bundles
from oneshelf.domain.command import CommandKey
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import BalanceKey, Shelf
from oneshelf.domain.reach import Reach
from oneshelf.domain.shipment import Shipment
from oneshelf.errors import DatabaseRefusedError, DatabaseUnavailableError
from oneshelf.storage import (
    balances,
    catalog,
    commands,
    counts,
    kits,
    movements,
    orders,
    reservations,
    shipments,
    touched,
    transfers,
)
from oneshelf.storage.commands import Answer
from oneshelf.storage.database import Transaction, ask_now, now, told_now
from oneshelf.storage.orders import OrderKey


async def open_for_orders(
    tx: Transaction,
    new_id: Callable[[], UUID],
    order_keys: Collection[OrderKey],
    linked: Collection[BalanceKey],
    *,
    asks_rulings: bool = False,
) -> tuple[Shelf, datetime]:
    """All that these (locked) orders can move, and the present instant. `asks_rulings`: something is told of the past.

    Lines are read again after the lock: another post may have filled them.
    """
    keys = {*linked, *((line.sku, line.location) for line in await orders.lines_of(tx, order_keys))}
    locked = await balances.lock(tx, keys)
    if gone := keys - locked.keys():
        raise DatabaseUnavailableError(f"{min(gone)[0]} became a bundle just now; try again")
    short, due = await orders.ask_short(tx, keys), await reservations.ask_due(tx, keys)
    lines = [*await short.fetchall(), *await orders.lines_of(tx, order_keys)]
    held = await reservations.told(due)
    shelf = Shelf(balances=locked, lines=lines, reservations=held, new_id=new_id)
    # An order that a figure had seen before it came to us is in that figure already.
    shelf.rulings = await counts.rulings(tx, keys, only_quoting=not asks_rulings)
    return shelf, await now(tx)


class BundlesFoundError(DatabaseRefusedError):
    """These of the names are bundles, and what is counted for them is not locked. Nothing was written."""

    def __init__(self, bundles: Bundles) -> None:
        super().__init__(f"{', '.join(sorted(bundles))} became a bundle just now, or another one; try again")
        self.bundles = bundles


@dataclass(frozen=True, slots=True)
class Opened:
    """The shelf of a batch of commands. `now` is the instant at which it was locked."""

    shelf: Shelf
    now: datetime
    skus: set[Sku]
    locations: set[Location]
    given: dict[CommandKey, Answer]


async def open_for_commands(
    tx: Transaction, new_id: Callable[[], UUID], keys: Collection[CommandKey], reach: Reach
) -> Opened:
    """All that these commands can move, which of their names are known, and what was answered before.

    Raises BundlesFoundError where they name bundles that `reach` does not know: lock again, with their components.

    Everything is asked for at once and read together: a batch waits for one round trip before it can be decided.
    Answers are read after the lock, so whoever waited for another batch sees what that one answered.
    """
    places, named, recipes = await _reached(tx, reach)
    counted = sorted(reach.counted)
    balance = await balances.ask_lock(tx, places)
    # After the lock: what has become a bundle until now has no units any more.
    names = await catalog.ask_known(tx, reach.skus, reach.locations)
    given, instant = await commands.ask_given(tx, keys), await ask_now(tx)
    short, due = await orders.ask_short(tx, places), await reservations.ask_due(tx, places)
    held = [await reservations.ask_held(tx, counted)] if counted else []
    held += [await reservations.ask_named(tx, reach.reservations)] if reach.reservations else []
    locked = await balances.told_locked(balance)
    lines = await short.fetchall()
    if named:
        lines += await orders.lines_of(tx, named)
    if counted:
        lines += await orders.lines_holding(tx, counted)
    known = await catalog.told_known(names)
    if any(
        (one.sku, at) not in locked
        for sku, at in reach.balances
        if at in known.locations
        for one in known.bundles.get(sku, ())
    ):
        raise BundlesFoundError(known.bundles)
    under_way = await transfers.load(tx, reach.transfers) if reach.transfers else []
    announced: list[Shipment] = []
    if reach.shipments or reach.announced:
        announced = await shipments.load(tx, reach.shipments, reach.announced)
    # What began after its place was asked for lies in a balance that is not locked: for this batch it is not there yet.
    shelf = Shelf(
        balances=locked,
        lines=[line for line in lines if (line.sku, line.location) in locked],
        reservations=[part for part in await reservations.told(due, *held) if (part.sku, part.location) in locked],
        transfers=[one for one in under_way if (one.sku, one.target) in locked],
        shipments=[one for one in announced if (one.sku, one.location) in locked],
        bundles=known.bundles,
        backorders=known.backorders,
        granted=known.granted,
        new_id=new_id,
    )
    shelf.recipes = recipes
    if reach.asks_rulings:
        shelf.rulings = await counts.rulings(tx, locked)
        looking_back = [one for one in reach.looking_back if (one.sku, one.location) in locked]
        shelf.contexts = await counts.contexts(tx, looking_back)
        seen_until = counts.seen_until(looking_back, shelf.contexts)
        for line in await orders.lines_handed_over(tx, seen_until) if seen_until else ():
            if line.key not in shelf.lines:
                shelf.add_line(line)
    return Opened(shelf, await told_now(instant), known.skus, known.locations, await commands.told_given(given))


async def _reached(tx: Transaction, reach: Reach) -> tuple[set[BalanceKey], set[OrderKey], Bundles]:
    """The balances to be locked, the orders that commands name, which are locked now, and the recipes of kits."""
    recipes = await kits.recipes(tx, {sku for sku, _ in reach.kits}) if reach.kits else {}
    places = reach.balances | {(part.sku, at) for sku, at in reach.kits for part in recipes.get(sku, ())}
    if not (reach.reservations or reach.orders or reach.transfers or reach.shipments):
        return places, set(), recipes
    of_reservations = await reservations.balances_of(tx, reach.reservations)
    places |= {key for of_one in of_reservations.values() for key in of_one}
    # Only reservations that exist make an order known to us.
    claimed = {(order.channel, order.order_id) for one in of_reservations for order in reach.claims.get(one, ())}
    named = claimed | {(order.channel, order.order_id) for order in reach.orders}
    if named:
        await orders.lock_claimed(tx, named, create=claimed)
        places |= {(line.sku, line.location) for line in await orders.lines_of(tx, named)}
    if reach.transfers:
        places |= {(one.sku, one.target) for one in await transfers.load(tx, reach.transfers)}
    if reach.shipments:
        places |= {(one.sku, one.location) for one in await shipments.load(tx, reach.shipments, ())}
    return places, named, recipes


async def open_for_expiries(tx: Transaction, new_id: Callable[[], UUID], *, limit: int) -> tuple[Shelf, datetime]:
    """The balances that have the longest overdue holds, with all of their due holds, and the present instant."""
    keys = await reservations.due(tx, limit=limit)
    locked = await balances.lock(tx, keys) if keys else {}
    lines = await (await orders.ask_short(tx, keys)).fetchall() if keys else []
    held = await reservations.told(await reservations.ask_due(tx, keys)) if keys else []
    return Shelf(balances=locked, lines=lines, reservations=held, new_id=new_id), await now(tx)


async def write_ahead(tx: Transaction, shelf: Shelf, *, now: datetime) -> None:
    """Write what was decided so far and is not written yet, but for the balances: the database is busy with it while
    the rest of the batch is decided. `write` must follow.
    """
    moved, shelf.unwritten = shelf.unwritten, []
    changed, shelf.changed_reservations = shelf.changed_reservations, set()
    await movements.append(tx, moved, posted_at=now)
    await reservations.save(tx, [shelf.reservations[key] for key in changed])
    # Of a promise that is short nothing may have moved, and yet fewer or more can be promised beyond the shelf.
    await touched.mark(tx, [key[0] for key in changed if shelf.reservations[key].units_short])


async def write(tx: Transaction, shelf: Shelf, *, now: datetime) -> None:
    """Write what changed on the shelf, and mark the SKUs whose listings must be planned again.

    `now`: the instant at which the shelf was locked.
    """
    await balances.write(tx, {key: shelf.balances[key] for key in shelf.changed_balances})
    await write_ahead(tx, shelf, now=now)
    await counts.rule(tx, {key: shelf.rulings[key] for key in shelf.changed_rulings})
    await orders.save_lines(tx, [shelf.lines[key] for key in shelf.changed_lines])
    await transfers.save(tx, [shelf.transfers[key] for key in shelf.changed_transfers])
    await shipments.save(tx, [shelf.shipments[key] for key in shelf.changed_shipments])
    await touched.mark(tx, [sku for sku, _ in shelf.changed_balances])
