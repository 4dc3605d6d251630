"""Rows of `rate_limits`: the channels' token buckets, shared by all nodes (GCRA, one statement a call)."""

from __future__ import annotations

from collections.abc import Iterable

from oneshelf.domain.charge import Charge, Learned
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
    """A `sdk.limits.Limiter` over the database. What has no bucket is unlimited."""

    def __init__(self, database: Database, channel: Channel) -> None:
        self._database = database
        self._channel = channel
        self._learned: dict[str, Learned] = {}

    async def take(self, charge: Charge) -> float:
        """Take tokens. Returns 0 when they were granted, else the seconds until they will be there."""
        asked = {
            "channel": self._channel,
            "operation": charge.bucket,
            "cost": charge.cost,
            "leaves": charge.leaves,
        }
        async with self._database.transaction() as tx:
            granted = await tx.execute(
                """
                update rate_limits set tat = greatest(tat, db_now()) + make_interval(secs => %(cost)s / rate_per_s)
                where channel = %(channel)s and operation = %(operation)s
                  and greatest(tat, db_now()) <= db_now()
                      + make_interval(secs => greatest(burst - %(leaves)s - %(cost)s, 0) / rate_per_s)
                """,
                asked,
            )
            if granted.rowcount:
                return 0.0
            waiting = await tx.execute(
                """
                select extract(epoch from tat - db_now())::float8
                    - greatest(burst - %(leaves)s - %(cost)s, 0) / rate_per_s
                from rate_limits where channel = %(channel)s and operation = %(operation)s
                """,
                asked,
            )
            row = await waiting.fetchone()
        return 0.0 if row is None else max(0.005, float(row[0]))

    async def learn(self, bucket: str, told: Learned) -> None:
        """The channel said something of a bucket. Where it counts fewer tokens than we do, it is right."""
        if (told.rate_per_s is not None and told.rate_per_s <= 0) or self._learned.get(bucket) == told:
            return
        async with self._database.transaction() as tx:
            # A debt is counted in tokens, whatever the rate. An unknown `left` is the greatest of nothing.
            await tx.execute(
                """
                update rate_limits set
                    rate_per_s = coalesce(%(rate)s::float8, rate_per_s),
                    burst = coalesce(%(burst)s::int, burst),
                    tat = db_now() + make_interval(secs => greatest(
                        extract(epoch from greatest(tat, db_now()) - db_now())::float8 * rate_per_s - %(back)s,
                        coalesce(%(burst)s::int, burst) - %(left)s::float8
                    ) / coalesce(%(rate)s::float8, rate_per_s))
                where channel = %(channel)s and operation = %(operation)s
                """,
                {
                    "channel": self._channel,
                    "operation": bucket,
                    "rate": told.rate_per_s,
                    "burst": told.burst,
                    "left": told.left,
                    "back": told.back,
                },
            )
        if told == Learned(told.rate_per_s):
            self._learned[bucket] = told
