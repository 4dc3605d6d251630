"""Rows of `access_limits`: the buckets of whoever asks us, shared by all nodes (GCRA, as `limits`)."""

from __future__ import annotations

from typing import NamedTuple

from oneshelf.storage.database import Transaction

FORGOTTEN_S = 86_400


class Bucket(NamedTuple):
    """`burst`: so many at once. `rate_per_s`: so many come back in a second."""

    key: str
    rate_per_s: float
    burst: float


async def take(tx: Transaction, bucket: Bucket, *, cost: float = 1.0) -> float:
    """Take from a bucket, which begins full. 0 when it was granted, else the seconds until it would be."""
    asked = {"key": bucket.key, "took_s": cost / bucket.rate_per_s, "room_s": (bucket.burst - cost) / bucket.rate_per_s}
    granted = await tx.execute(
        """
        insert into access_limits as l (key, tat) values (%(key)s, db_now() + make_interval(secs => %(took_s)s))
        on conflict (key) do update set tat = greatest(l.tat, db_now()) + make_interval(secs => %(took_s)s)
        where l.tat <= db_now() + make_interval(secs => %(room_s)s)
        """,
        asked,
    )
    if granted.rowcount:
        return 0.0
    found = await tx.execute(
        "select extract(epoch from tat - db_now())::float8 - %(room_s)s from access_limits where key = %(key)s", asked
    )
    row = await found.fetchone()
    return 0.0 if row is None else max(0.001, float(row[0]))


async def wait_s(tx: Transaction, bucket: Bucket) -> float:
    """The seconds until one could be taken; takes nothing."""
    found = await tx.execute(
        "select extract(epoch from tat - db_now())::float8 from access_limits where key = %(key)s", {"key": bucket.key}
    )
    row = await found.fetchone()
    return 0.0 if row is None else max(0.0, float(row[0]) - (bucket.burst - 1.0) / bucket.rate_per_s)


async def fill(tx: Transaction, key: str) -> None:
    """A bucket is full again. Those that have been full for a day are forgotten."""
    await tx.execute(
        """
        delete from access_limits
        where key = %(key)s or tat < db_now() - make_interval(secs => %(forgotten_s)s)
        """,
        {"key": key, "forgotten_s": FORGOTTEN_S},
    )
