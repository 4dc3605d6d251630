"""Give away the traces of orders that have gone their way, where somebody takes them.

Reads: orders, their listings, figures. Writes: traces.
Next: nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from oneshelf.domain.journey import Span, spans_of
from oneshelf.storage import traces
from oneshelf.storage.database import Database
from oneshelf.telemetry import get_logger

# As many are looked at, so that a few that stand still hold up no other.
LOOKED_AT_MAX = 500
BATCH = 200
EVERY_S = 2.0
# Longer than it may take to give a batch away.
LEASE_S = 60.0

Give = Callable[[Sequence[Span]], Awaitable[bool]]

log = get_logger(__name__)


class Tracer:
    """`give`: hands spans to whoever takes them; whether they were taken."""

    def __init__(self, database: Database, give: Give) -> None:
        self._database = database
        self._give = give
        self._is_refused = False

    async def trace(self) -> int:
        """Give away one batch. Returns how many orders that was. Killed half way, the same spans are given again."""
        async with self._database.transaction() as tx:
            if not await traces.try_lock(tx):
                return 0
            over = [one for one in await traces.untold(tx, limit=LOOKED_AT_MAX) if one.is_over][:BATCH]
            keys = [(one.channel, one.order_id) for one in over]
            if not keys:
                return 0
            await traces.hold(tx, keys, lease_s=LEASE_S)
        is_taken = await self._give(spans_of(over))
        if is_taken:
            async with self._database.transaction() as tx:
                await traces.given(tx, keys)
        if is_taken is self._is_refused:
            self._is_refused = not is_taken
            log.info("traces.taken_again") if is_taken else log.warning("traces.not_taken", orders=len(keys))
        return len(keys) if is_taken else 0
