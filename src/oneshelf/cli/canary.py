"""An edit on purpose at a channel, and how long it stays hidden from the running engine."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
import typer

from oneshelf.cli.common import EXIT_REFUSED, on_database, refuse_unknown_channel
from oneshelf.clock import SystemClock
from oneshelf.domain.identity import ChannelSku, channel_from, name_from
from oneshelf.errors import ConfigurationError
from oneshelf.storage import canaries, catalog
from oneshelf.storage.database import Database
from oneshelf.storage.listings import ListingKey

LOOK_EVERY_S = 0.2
CLOCK = SystemClock()


class _Target(NamedTuple):
    """A listing, what it is proved to show, and the address of the simulator behind it; empty: a real channel."""

    key: ListingKey
    units: int
    simulator: str


def run_canary(channel: str, listing: str, *, timeout_s: int) -> None:
    """Inject, wait, and say how long it took. Exits with 1 where no drift was found in time.

    Raises ConfigurationError for a listing that cannot carry a canary now.
    """
    key = (channel_from(channel), ChannelSku(name_from(listing, what="listing")))

    async def measure(database: Database) -> tuple[UUID, float] | None:
        target = await _target(database, key)
        canary_id = await _inject(database, target)
        deadline = CLOCK.monotonic() + timeout_s
        while CLOCK.monotonic() < deadline:
            async with database.transaction() as tx:
                found = await canaries.detected(tx, canary_id)
            if found:
                return found
            await CLOCK.sleep(LOOK_EVERY_S)
        async with database.transaction() as tx:
            await canaries.give_up(tx, canary_id)
        return None

    found = on_database(measure)
    if found is None:
        typer.echo(
            f"no drift within {timeout_s} s: it is counted as missed. Is the engine running (oneshelf serve), and does "
            "it reach the channel (oneshelf status)?",
            err=True,
        )
        raise typer.Exit(EXIT_REFUSED)
    drift_id, seconds = found
    typer.echo(f"found after {seconds:.1f} s: oneshelf drift show {drift_id}")


async def _target(database: Database, key: ListingKey) -> _Target:
    async with database.transaction() as tx:
        await refuse_unknown_channel(tx, key[0])
        units = await canaries.shown_units(tx, key)
        settings = {row.channel: row.settings for row in await catalog.channels(tx)}[key[0]]
    if not units:
        why = "shows 0, and a canary lowers the figure" if units == 0 else "is not proved to show its figure now"
        raise ConfigurationError(f"{key[1]} at {key[0]} {why}. Take another one: oneshelf sku SKU shows the listings")
    address = settings.get("base_url", "")
    return _Target(key, units, address if await _is_simulator(address) else "")


async def _is_simulator(address: str) -> bool:
    """Only one on this machine is ever asked."""
    if urlsplit(address).hostname not in {"127.0.0.1", "localhost"}:
        return False
    async with httpx2.AsyncClient(timeout=5.0, trust_env=False) as client:
        try:
            return (await client.get(f"{address}/_sim/health")).status_code == httpx2.codes.OK
        except httpx2.HTTPError:
            return False


async def _inject(database: Database, target: _Target) -> UUID:
    """The canary begins just before the figure changes: what is measured is rather too long than too short."""
    (channel, channel_sku), canary_id, injected = target.key, CLOCK.new_id(), target.units - 1
    if not target.simulator:
        typer.echo(
            f"{channel_sku} at {channel} shows {target.units}. Open it in the channel's own back office, set it to "
            f"{injected}, and press Enter here in the moment in which you save it."
        )
        typer.prompt("Enter", default="", show_default=False, prompt_suffix=" ")
    async with database.transaction() as tx:
        await canaries.inject(tx, canary_id, target.key, units_before=target.units, units_injected=injected)
    if target.simulator:
        async with httpx2.AsyncClient(timeout=10.0, trust_env=False) as client:
            answer = await client.post(
                f"{target.simulator}/_sim/edit", json={"channel_sku": channel_sku, "units": injected}
            )
            answer.raise_for_status()
    return canary_id
