"""How each channel is heard of just now: how long the engine has heard nothing, and what it cannot afford there.

Of a silent channel nobody knows what it has sold meanwhile. What could run out by then is scarce; everything else is
left as it is, so that an outage does not rewrite a shop.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from oneshelf.domain.blind_window import BlindWindow, silence_s, threshold_for
from oneshelf.domain.demand import PRIOR_RATE_PER_S, PRIOR_VARIANCE_FACTOR, THRESHOLD_DEVIATIONS_MAX, Demand, Kept
from oneshelf.domain.identity import Channel
from oneshelf.storage.database import Transaction


class Heard(NamedTuple):
    """A connected channel. `silent_s`: seconds of silence to reckon with, 0 usually.

    `window`: None before the first measurement. `is_tight`: it, or one of its listings, has no cancellation to spare.
    `told_silent_s`: the silence that its SKUs were last marked for.
    """

    channel: Channel
    silent_s: float
    told_silent_s: float
    window: BlindWindow | None
    is_tight: bool


async def heard(tx: Transaction) -> list[Heard]:
    """All connected channels. One that is not live is not silent: nothing is offered there."""
    cursor = await tx.execute(
        """
        select c.channel, c.mode = 'live',
               extract(epoch from db_now() - coalesce(p.last_done_at, c.created_at))::float8, p.every_s, p.silent_s,
               w.tau_in_s, w.tau_out_s, w.round_s,
               exists (select from cancellation_budgets b where b.channel = c.channel and b.is_tight)
        from channels c
        left join schedules p on p.channel = c.channel and p.task = 'orders'
        left join channel_windows w on w.channel = c.channel
        order by c.channel
        """
    )
    found = []
    async for channel, is_live, unheard_s, every_s, told_s, tau_in_s, tau_out_s, round_s, is_tight in cursor:
        silent_s = silence_s(unheard_s=unheard_s, every_s=every_s) if is_live and every_s else 0.0
        window = None if tau_in_s is None else BlindWindow(tau_in_s, tau_out_s, round_s)
        found.append(Heard(Channel(channel), silent_s, told_s or 0.0, window, is_tight))
    return found


def threshold_of_unknown(channels: Iterable[Heard]) -> Kept:
    """The units at which the pool of a SKU of which nothing is known has to be split, and the window they are for."""
    return threshold_for({one.channel: one.window for one in channels if one.window}, Demand())


async def mark_unknown(tx: Transaction, threshold_units: int) -> None:
    """Have the SKUs planned that another threshold of what is unknown makes scarce, or plentiful again.

    Looks at all of which nothing is measured: once when the first channels are connected, and hardly ever after.
    """
    await tx.execute(
        """
        insert into touched (sku)
        select s.sku from skus s
        where s.mode = 'auto' and s.guard_at_units is null
          and not exists (select from sku_demand d where d.sku = s.sku and d.channel = '')
          and exists (select from balances b where b.sku = s.sku and b.available > 0
                         and case when s.is_guarded then 2 * b.available >= 3 * %(units)s
                                  else b.available <= %(units)s end)
        order by s.sku
        """,
        {"units": threshold_units},
    )


async def mark_changes(tx: Transaction) -> None:
    """Have the SKUs planned that may become scarce, or plentiful again, because a channel fell silent or was heard.

    Once for every step of a silence, so that a long one costs a few looks at the listings of its channel.
    """
    channels = await heard(tx)
    window_s = threshold_of_unknown(channels).window_s
    for one in channels:
        if one.silent_s == one.told_silent_s:
            continue
        await tx.execute(
            "update schedules set silent_s = %(silent_s)s where channel = %(channel)s and task = 'orders'",
            {"channel": one.channel, "silent_s": one.silent_s},
        )
        if one.silent_s > one.told_silent_s:
            await _mark_scarce(tx, one, window_s=window_s)
        else:
            await _mark_plentiful(tx, one.channel)


async def _mark_scarce(tx: Transaction, silent: Heard, *, window_s: float) -> None:
    """SKUs in mode auto that this channel sells and that could run out; rather too many, since planning is exact."""
    await tx.execute(
        """
        insert into touched (sku)
        select distinct s.sku
        from listings l
        left join bundle_components part on part.sku = l.sku
        join skus s on s.sku = coalesce(part.component, l.sku) and s.mode = 'auto' and not s.is_guarded
        left join sku_demand d on d.sku = s.sku and d.channel = ''
        cross join lateral (
            select coalesce(d.rate_per_s, %(rate_per_s)s)
                       * (coalesce((d.inputs -> 'kept' ->> 'window_s')::float8, %(window_s)s) + %(silent_s)s) as mean,
                   coalesce(d.variance_factor, %(variance_factor)s) as factor
        ) as sold
        where l.channel = %(channel)s and exists (
            select from balances b where b.sku = s.sku and b.available > 0
               and b.available <= greatest(s.guard_at_units, mean + %(deviations)s * sqrt(mean * factor) + 1))
        """,
        {
            "channel": silent.channel,
            "silent_s": silent.silent_s,
            "rate_per_s": PRIOR_RATE_PER_S,
            "variance_factor": PRIOR_VARIANCE_FACTOR,
            "window_s": window_s,
            "deviations": THRESHOLD_DEVIATIONS_MAX,
        },
    )


async def _mark_plentiful(tx: Transaction, channel: Channel) -> None:
    """SKUs in mode auto that this channel sells, that are guarded and may have plenty."""
    await tx.execute(
        """
        insert into touched (sku)
        select distinct s.sku
        from listings l
        left join bundle_components part on part.sku = l.sku
        join skus s on s.sku = coalesce(part.component, l.sku) and s.mode = 'auto' and s.is_guarded
        left join sku_demand d on d.sku = s.sku and d.channel = ''
        where l.channel = %(channel)s and exists (
            select from balances b where b.sku = s.sku
               and b.available > 0 and 2 * b.available >= 3 * coalesce(s.guard_at_units, d.threshold_units, 0))
        """,
        {"channel": channel},
    )
