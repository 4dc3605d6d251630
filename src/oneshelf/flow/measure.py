"""Measure how long the way from a sale to its proof takes, and what sells how fast; derive buffers and thresholds.

Reads: orders and their lines, inbox, publications, listings. Writes: blind windows, sales, demand; marks the SKUs of
which a figure follows from these.
Next: plan, which asks for buffers and thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from oneshelf.domain.blind_window import (
    BlindWindow,
    Declared,
    Measured,
    Objective,
    buffer_for,
    default_objective,
    reckoned,
    threshold_for,
)
from oneshelf.domain.demand import Kept, Sold, demand_from
from oneshelf.domain.identity import Channel, Sku
from oneshelf.flow.channel import OpenChannel
from oneshelf.sdk.capability import WriteKind
from oneshelf.storage import blind_windows, demand, hearing, touched
from oneshelf.storage.blind_windows import OwnObjective
from oneshelf.storage.database import Database

EVERY_S = 60.0
# A channel that was connected just now has to wait no longer than that: until then its windows count for nothing.
LOOK_EVERY_S = 5.0
# A SKU is worked out again at most so often, so many in a run, and so many in a transaction.
YOUNG_S = 300.0
SKUS_MAX = 1_000
BATCH = 50


async def measure(
    database: Database, channels: Mapping[Channel, OpenChannel], *, every_s: float = 0.9 * EVERY_S
) -> int:
    """Measure once, unless some node did so within `every_s` with all these channels.

    Returns how many SKUs were worked out.
    """
    declared = {name: declared_of(channel) for name, channel in channels.items()}
    async with database.transaction() as tx:
        if not declared or not await blind_windows.try_lock(tx):
            return 0
        since = await blind_windows.begin(tx, declared, every_s=every_s)
        if since is None:
            return 0
        await blind_windows.count(tx, since=since)
        await demand.count(tx, since=since)
        windows = _windows(declared, await blind_windows.measured(tx))
        objectives = _objectives(declared, await blind_windows.own_objectives(tx))
        before = hearing.threshold_of_unknown(await hearing.heard(tx))
        await blind_windows.store(tx, {name: (windows[name], objectives[name]) for name in declared})
        after = hearing.threshold_of_unknown(await hearing.heard(tx))
        if after.units != before.units:
            await hearing.mark_unknown(tx, after.units)
        await hearing.mark_changes(tx)
    return await _work_out(database, windows, since)


def declared_of(channel: OpenChannel) -> Declared:
    """What the connector declares of the channel, with the account's own timing."""
    capability = channel.capability
    return Declared(
        orders_lag_s=capability.orders_lag_s,
        poll_orders_s=capability.poll_orders_s,
        apply_s=capability.apply_s,
        sweep_stock_s=capability.sweep_stock_s,
        is_blind=capability.write_kind is WriteKind.BLIND_SET,
    )


def _windows(
    declared: Mapping[Channel, Declared], measured: Mapping[tuple[Channel, str], Measured]
) -> dict[Channel, BlindWindow]:
    def part(channel: Channel, name: str) -> Measured:
        return measured.get((channel, name), Measured())

    return {
        name: reckoned(part(name, "ingested"), part(name, "proved"), part(name, "accepted"), told)
        for name, told in declared.items()
    }


def _objectives(declared: Mapping[Channel, Declared], own: Mapping[Channel, OwnObjective]) -> dict[Channel, Objective]:
    """Where a person has not said otherwise, what the documented limits allow."""
    found = {}
    for name, told in declared.items():
        others = [other.tau_out_s for one, other in declared.items() if one != name]
        default = default_objective(told, slowest_out_s=max(others, default=0.0))
        wanted = own.get(name, OwnObjective())
        found[name] = Objective(
            default.share if wanted.share is None else wanted.share,
            default.seen_s if wanted.seen_s is None else wanted.seen_s,
            default.detect_s if wanted.detect_s is None else wanted.detect_s,
        )
    return found


async def _work_out(database: Database, windows: Mapping[Channel, BlindWindow], since: datetime) -> int:
    async with database.transaction() as tx:
        skus = await demand.to_refresh(tx, since=since, young_s=YOUNG_S, limit=SKUS_MAX)
    for start in range(0, len(skus), BATCH):
        async with database.transaction() as tx:
            selling = await demand.selling(tx, skus[start : start + BATCH])
            figures = [one for sku, sold in selling.items() for one in figures_of(sku, sold, windows)]
            await demand.save(tx, figures)
            await touched.mark_measured(tx, selling)
    return len(skus)


def figures_of(sku: Sku, selling: demand.Selling, windows: Mapping[Channel, BlindWindow]) -> list[demand.Figures]:
    """What follows for a SKU: a threshold for all channels together, a buffer for each of them."""
    # A channel that is not open just now has no window: its sales count in the sum of all.
    demands = {channel: demand_from(sold) for channel, sold in selling.sold.items() if channel in windows}
    total = demand_from(selling.all_sold)
    threshold = threshold_for({channel: windows[channel] for channel in demands}, total)
    figures = [
        demand.Figures(sku, demand.ALL, total, None, threshold.units, _inputs(selling.all_sold, threshold)),
    ]
    for channel, one in demands.items():
        kept = buffer_for(channel, windows, demands)
        inputs = {
            **_inputs(selling.sold[channel], kept),
            "others": {
                other: {
                    "rate_per_s": demands[other].rate_per_s,
                    "window_s": windows[other].tau_in_s + windows[channel].tau_out_s,
                }
                for other in demands
                if other != channel or windows[channel].is_blind
            },
        }
        figures.append(demand.Figures(sku, channel, one, kept.units, None, inputs))
    return figures


def _inputs(sold: Sold, kept: Kept) -> dict[str, object]:
    """Why: what was sold here, and the demand, window and target that the units follow from."""
    return {"sold": asdict(sold), "kept": asdict(kept)}
