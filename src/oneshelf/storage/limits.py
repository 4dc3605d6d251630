"""Rows of `rate_limits`: the channels' token buckets, shared by all nodes (GCRA, one statement a token)."""

from __future__ import annotations

from collections.abc import Iterable

from oneshelf.domain.identity import Channel
from oneshelf.storage.database import Database, Transaction


async def ensure(tx: Transaction, channel: Channel, buckets: Iterable[tuple[str, float, int]]) -> None:
    """Create the buckets `(operation, rate per second, burst)` that do not exist yet, full."""
    rows = sorted(buckets)
    await tx.execute(
        """
        insert into rate_limits (channel, operation, rate_per_s, burst)
        select %(channel)s, operation, rate_per_s, burst
        from unnest(%(operations)s::text[], %(rates)s::float8[], %(bursts)s::int[])
            as new (operation, rate_per_s, burst)
        on conflict do nothing
        """,
        {
            "channel": channel,
            "operations": [operation for operation, _, _ in rows],
            "rates": [rate for _, rate, _ in rows],
            "bursts": [burst for _, _, burst in rows],
        },
    )


class StoredLimiter:
    """A `sdk.limits.Limiter` over the database. An operation without a bucket is unlimited."""

    def __init__(self, database: Database, channel: Channel) -> None:
        self._database = database
        self._channel = channel
        self._learned: dict[str, float] = {}

    async def take(self, operation: str) -> float:
        """Take one token. Returns 0 when it was granted, else the seconds until one will be free."""
        async with self._database.transaction() as tx:
            granted = await tx.execute(
                """
                update rate_limits set tat = greatest(tat, db_now()) + make_interval(secs => 1 / rate_per_s)
                where channel = %(channel)s and operation = %(operation)s
                  and greatest(tat, db_now()) + make_interval(secs => 1 / rate_per_s)
                      <= db_now() + make_interval(secs => burst / rate_per_s)
                """,
                {"channel": self._channel, "operation": operation},
            )
            if granted.rowcount:
                return 0.0
            waiting = await tx.execute(
                """
                select extract(epoch from tat - db_now())::float8 - (burst - 1) / rate_per_s
                from rate_limits where channel = %(channel)s and operation = %(operation)s
                """,
                {"channel": self._channel, "operation": operation},
            )
            row = await waiting.fetchone()
        return 0.0 if row is None else max(0.005, float(row[0]))

    async def learn(self, operation: str, rate_per_s: float) -> None:
        """The channel itself says what the rate is now; it overrules the declared one."""
        if rate_per_s <= 0 or self._learned.get(operation) == rate_per_s:
            return
        async with self._database.transaction() as tx:
            await tx.execute(
                """
                update rate_limits set
                    rate_per_s = %(rate)s,
                    tat = db_now() + (greatest(tat, db_now()) - db_now()) * (rate_per_s / %(rate)s)
                where channel = %(channel)s and operation = %(operation)s
                """,
                {"channel": self._channel, "operation": operation, "rate": rate_per_s},
            )
        self._learned[operation] = rate_per_s
