"""Try at a channel what its connector declares, and rely on no more than what holds.

Reads: the listing that somebody named. Writes: what was seen, and which abilities the channel lacks or has again.
Next: plan and push, which write as the channel is able to.
"""

from __future__ import annotations

from uuid import UUID

from oneshelf.clock import Clock
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.probing import Check, Verdict, shown
from oneshelf.errors import ConfigurationError
from oneshelf.flow.channel import SEND_BEFORE_S, WRITE_LEASE_S, OpenChannel
from oneshelf.sdk.capability import WriteKind
from oneshelf.sdk.http import sending_before
from oneshelf.sdk.probing import Prober
from oneshelf.storage import probes, publishing
from oneshelf.storage.database import Database
from oneshelf.storage.probes import Target
from oneshelf.telemetry import get_logger

log = get_logger(__name__)


async def probe(
    database: Database,
    channel: OpenChannel,
    clock: Clock,
    *,
    channel_sku: ChannelSku | None = None,
    writes: bool = False,
) -> tuple[Check, ...]:
    """What was tried and seen, which is kept. With `writes` the figure that the listing shows is written over itself.

    Raises ConfigurationError where this listing cannot be written now; then nothing was sent.
    """
    if channel_sku is not None and not channel.capability.shows_figures:
        raise ConfigurationError(f"{channel.name} shows no figure, so there is no listing of it to try")
    prober = Prober(
        channel.connector, channel.declared or channel.capability, clock, clock_ahead_s=channel.clock_ahead_s
    )
    await prober.try_account()
    if channel_sku is not None and writes:
        await _write(database, channel, clock, prober, channel_sku)
    elif channel_sku is not None:
        async with database.transaction() as tx:
            target = await probes.find(tx, (channel.name, channel_sku))
        await prober.try_listing(channel_sku, belief=target.listing.belief if target else None)
    found = shown(prober.checks)
    async with database.transaction() as tx:
        await probes.record(tx, clock.new_id(), (channel.name, channel_sku), prober.checks, found, has_written=writes)
    for ability, check in found.items():
        if check.verdict is Verdict.FAILS:
            log.warning("channel.fell_back", channel=channel.name, ability=ability.value)
        else:
            log.info("channel.ability_proved", channel=channel.name, ability=ability.value)
    return tuple(prober.checks)


async def _write(
    database: Database, channel: OpenChannel, clock: Clock, prober: Prober, channel_sku: ChannelSku
) -> None:
    """Under a lease: the engine neither writes nor reads this listing meanwhile."""
    lease = clock.new_id()
    send_before = clock.monotonic() + SEND_BEFORE_S
    target = await _take(database, channel, channel_sku, lease)
    belief = target.listing.belief
    try:
        units = await prober.try_listing(channel_sku, belief=belief)
        if units is None or (belief is not None and units != belief):
            # There is news at the channel. The check before says so; nothing is written on top of it.
            return
        _refuse_risky(channel, target, units)
        with sending_before(send_before):
            await prober.try_writes(channel_sku, units)
    finally:
        async with database.transaction() as tx:
            await publishing.release(tx, channel.name, lease=lease, retry_after_s=0)


async def _take(database: Database, channel: OpenChannel, channel_sku: ChannelSku, lease: UUID) -> Target:
    async with database.transaction() as tx:
        target = await probes.find(tx, (channel.name, channel_sku))
        if target is None:
            raise ConfigurationError(
                f"{channel.name} has no listing {channel_sku} as far as the engine knows; let oneshelf serve read the "
                "channel first, or see oneshelf listing list"
            )
        if target.channel_mode == "paused":
            raise ConfigurationError(
                f"{channel.name} is paused, so nothing is written to it. First: oneshelf channel watch {channel.name}"
            )
        if not target.is_at_rest:
            raise ConfigurationError(
                f"{channel_sku} at {channel.name} is being written or read just now; try again in a minute"
            )
        await probes.lease(tx, (channel.name, channel_sku), lease=lease, lease_s=WRITE_LEASE_S)
    return target


def _refuse_risky(channel: OpenChannel, target: Target, units: int) -> None:
    """What nobody compares may bury a sale that happens meanwhile, and of a guarded SKU no unit is sold twice."""
    where = f"{target.listing.channel_sku} at {channel.name}"
    if units < 0:
        raise ConfigurationError(f"{where} shows {units}, which is no figure to write; take another listing")
    if target.is_guarded and units > 0:
        raise ConfigurationError(
            f"{where} shows {units} of a guarded SKU: a sale within the probe could be sold again. Take a listing that "
            "shows 0, or one of a pooled SKU"
        )
    if target.listing.belief is None and (channel.declared or channel.capability).write_kind is WriteKind.BLIND_SET:
        raise ConfigurationError(
            f"{where} was never anchored, so nobody knows what it sold meanwhile. Let oneshelf serve read it first"
        )
