"""Tell what happened: events, numbered, for whoever follows the engine.

Reads: new movements, rows of `untold`, and the figures behind them. Writes: events, what each endpoint is to be sent of
them, and the position. Next: deliver.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from oneshelf.domain.event import ALERTS, EventType
from oneshelf.storage import deliveries, events, told_figures, untold
from oneshelf.storage.database import Database, Transaction
from oneshelf.storage.told_figures import News
from oneshelf.storage.untold import Taken

# Facts can be replayed for so long; longer than an endpoint may fail before it is no longer called.
KEPT_S = 7 * 86_400.0
FORGOTTEN_MAX = 5_000

_ORDERS = frozenset({EventType.ORDER_POSTED, EventType.ORDER_CHANGED, EventType.ORDER_SHORT})
_LISTINGS = frozenset({EventType.LISTING_VERIFIED, EventType.LISTING_PARKED})
_DRIFTS = frozenset({EventType.DRIFT_OPENED, EventType.DRIFT_RESOLVED})
_BREAKERS = frozenset({EventType.BREAKER_OPENED, EventType.BREAKER_CLOSED})


async def tell(database: Database, new_id: Callable[[], UUID]) -> int:
    """Tell all that has happened since, one batch. Returns how much that was; 0 also while another node tells.

    One transaction: the events, the deliveries, the position, and what is taken out. Killed at any point, all of it
    happens again.
    """
    async with database.transaction() as tx:
        if not await untold.try_lock(tx):
            return 0
        at = await untold.position(tx)
        moved = await untold.moved(tx, at)
        taken = await untold.taken(tx)
        compared = await untold.compared(tx, at)
        if not moved.skus and not taken and at.compared_sku is None:
            return 0
        news = await told_figures.stock(tx, {*moved.skus, *compared})
        news += await _happened(tx, taken)
        last = await events.add(tx, news, after=at.position, run=new_id().hex)
        await deliveries.queue(tx, after=at.position)
        await untold.remove(tx, taken)
        await untold.store(tx, untold.Position(moved.snapshot, last, compared[-1] if compared else None))
    return len(news) + len(taken) + len(compared)


async def forget(database: Database) -> int:
    """Forget facts that are too old to be replayed, one batch. Returns how many."""
    async with database.transaction() as tx:
        return await events.forget(tx, kept_s=KEPT_S, limit=FORGOTTEN_MAX)


async def _happened(tx: Transaction, taken: Sequence[Taken]) -> list[News]:
    """What was taken, as events in the order in which it happened."""
    if not taken:
        return []
    news = await told_figures.oversold(tx, _of(taken, frozenset({EventType.STOCK_OVERSOLD})))
    news += await told_figures.low(tx, _of(taken, frozenset({EventType.STOCK_LOW})))
    news += await told_figures.orders(tx, _of(taken, _ORDERS))
    news += await told_figures.listings(tx, _of(taken, _LISTINGS))
    news += await told_figures.drifts(tx, _of(taken, _DRIFTS))
    news += told_figures.breakers(_of(taken, _BREAKERS))
    news += told_figures.alerts(_of(taken, ALERTS))
    return sorted(news, key=lambda one: one.untold_id)


def _of(taken: Sequence[Taken], kinds: frozenset[EventType]) -> list[Taken]:
    return [one for one in taken if one.event_type in kinds]
