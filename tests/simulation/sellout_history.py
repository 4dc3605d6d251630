"""A week of sales in the engine's records, as if they had been: to play them through would take longer than the rest.

Only what was sold in each hour is written. What follows from it, and from the windows that were measured in this very
run, the engine works out by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

# The last hour is counted from orders.
HOURS = range(1, 168)
Session = Connection[tuple[Any, ...]]


def write(
    session: Session, skus: Sequence[str], channels: Sequence[str], rate_per_s: float, *, clump: float, random: Random
) -> None:
    """Each of these sold at this rate in all, equally at these channels; variance `clump` times the mean."""
    mean = rate_per_s * 3600 / len(channels)
    rows = [
        (sku, channel, hour, max(0, round(random.gauss(mean, (mean * clump) ** 0.5))))
        for sku in skus
        for channel in channels
        for hour in HOURS
    ]
    session.execute("update skus set created_at = db_now() - interval '8 days' where sku = any(%s)", (list(skus),))
    session.execute(
        """
        insert into sku_sales (sku, channel, slot_at, units, line_count)
        select sku, channel, date_bin('10 minutes', db_now(), timestamptz '2000-01-01')
               - make_interval(hours => hour, mins => 10), units, units
        from unnest(%s::text[], %s::text[], %s::int[], %s::bigint[]) as sold (sku, channel, hour, units)
        """,
        tuple(list(column) for column in zip(*rows, strict=True)),
    )
    # As if it had been worked out before these sales: it is done again at the next turn.
    session.execute(
        """
        insert into sku_demand (sku, channel, rate_per_s, variance_factor, threshold_units, inputs, measured_at)
        select sku, '', 0, 1, 0, %s, db_now() - interval '7 days' from unnest(%s::text[]) as s (sku)
        """,
        (Jsonb({}), list(skus)),
    )


def not_worked_out(session: Session, skus: Sequence[str], channels: Sequence[str]) -> Iterator[str]:
    """What the engine has not measured yet."""
    for (name,) in session.execute(
        """
        select c.channel from unnest(%s::text[]) as c (channel) left join channel_windows w on w.channel = c.channel
        where not coalesce(w.is_in_measured and w.is_out_measured, false)
        """,
        (list(channels),),
    ):
        yield f"the windows of {name} are not measured"
    for (sku,) in session.execute(
        """
        select sku from sku_demand where sku = any(%s) and channel = '' and measured_at < db_now() - interval '1 day'
        union select sku from touched
        """,
        (list(skus),),
    ):
        yield f"the demand of {sku} is not worked out"


def worked_out(session: Session, skus: Sequence[str]) -> tuple[list[int], list[int]]:
    """The thresholds and the buffers of these, as the engine holds them."""
    found = session.execute(
        "select threshold_units, buffer_units from sku_demand where sku = any(%s)", (list(skus),)
    ).fetchall()
    return sorted(row[0] for row in found if row[0] is not None), sorted(row[1] for row in found if row[1] is not None)
