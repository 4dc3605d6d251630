"""An edit on purpose at a channel, or a move between its stock states, and how long it stays hidden from the engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
import typer

from oneshelf.cli.common import EXIT_REFUSED, on_database, refuse_unknown_channel
from oneshelf.clock import SystemClock
from oneshelf.domain.identity import ChannelSku, channel_from, name_from
from oneshelf.domain.state_change import KEPT_STATES
from oneshelf.errors import ConfigurationError, MalformedError
from oneshelf.storage import canaries, catalog
from oneshelf.storage.database import Database, Transaction
from oneshelf.storage.listings import ListingKey

LOOK_EVERY_S = 0.2
CLOCK = SystemClock()

_Found = TypeVar("_Found")


class _Target(NamedTuple):
    """A listing, what it is proved to show, and the address of the simulator behind it; empty: a real channel.

    `state`: where a unit is moved to; empty: the figure is edited.
    """

    key: ListingKey
    units: int
    simulator: str
    state: str


def run_canary(channel: str, listing: str, *, timeout_s: int, move_to: str = "") -> None:
    """Inject, wait, and say how long it took. Exits with 1 where no drift was found in time, or nothing corrected.

    Raises ConfigurationError for a listing that cannot carry a canary now.
    """
    key = (channel_from(channel), ChannelSku(name_from(listing, what="listing")))
    if move_to and move_to not in KEPT_STATES:
        raise MalformedError(f"--move-to is one of {', '.join(KEPT_STATES)}, not {move_to}")

    async def measure(database: Database) -> tuple[UUID, float, float | None] | None:
        target = await _target(database, key, move_to)
        canary_id = await _inject(database, target)
        deadline = CLOCK.monotonic() + timeout_s
        found = await _until(database, lambda tx: canaries.detected(tx, canary_id), deadline)
        if found is None:
            async with database.transaction() as tx:
                await canaries.give_up(tx, canary_id)
            return None
        corrected_s = None
        if move_to:
            corrected_s = await _until(database, lambda tx: canaries.corrected(tx, canary_id), deadline)
            await _take_back(target)
        return (*found, corrected_s)

    found = on_database(measure)
    if found is None:
        typer.echo(
            f"no drift within {timeout_s} s: it is counted as missed. Is the engine running (oneshelf serve), and does "
            "it reach the channel (oneshelf status)?",
            err=True,
        )
        raise typer.Exit(EXIT_REFUSED)
    drift_id, seconds, corrected_s = found
    typer.echo(f"found after {seconds:.1f} s: oneshelf drift show {drift_id}")
    if move_to and corrected_s is None:
        typer.echo(
            f"not corrected within {timeout_s} s. Does a person decide here? oneshelf channel state-changes {channel}",
            err=True,
        )
        raise typer.Exit(EXIT_REFUSED)
    if corrected_s is not None:
        typer.echo(f"every other listing proved after {corrected_s:.1f} s")


async def _until(
    database: Database, look: Callable[[Transaction], Awaitable[_Found | None]], deadline: float
) -> _Found | None:
    while CLOCK.monotonic() < deadline:
        async with database.transaction() as tx:
            found = await look(tx)
        if found is not None:
            return found
        await CLOCK.sleep(LOOK_EVERY_S)
    return None


async def _target(database: Database, key: ListingKey, state: str) -> _Target:
    async with database.transaction() as tx:
        await refuse_unknown_channel(tx, key[0])
        units = await canaries.shown_units(tx, key)
        settings = {row.channel: row.settings for row in await catalog.channels(tx)}[key[0]]
    if not units:
        why = "shows 0, and a canary lowers the figure" if units == 0 else "is not proved to show its figure now"
        raise ConfigurationError(f"{key[1]} at {key[0]} {why}. Take another one: oneshelf sku SKU shows the listings")
    address = settings.get("base_url", "")
    return _Target(key, units, address if await _is_simulator(address) else "", state)


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
    wish = f"move one unit from available to {target.state}" if target.state else f"set it to {injected}"
    _ask(target, f"{channel_sku} at {channel} shows {target.units}. Open it in the channel's own back office, {wish}")
    act = canaries.Act.MOVE if target.state else canaries.Act.EDIT
    async with database.transaction() as tx:
        await canaries.inject(tx, canary_id, target.key, act=act, units_before=target.units, units_injected=injected)
    if target.state:
        await _tell(target, "move-units", {"units": 1, "from": "available", "to": target.state})
    else:
        await _tell(target, "edit", {"units": injected})
    return canary_id


async def _take_back(target: _Target) -> None:
    """The unit is on sale again; the engine finds that as well."""
    _ask(target, f"Move the unit back from {target.state} to available")
    await _tell(target, "move-units", {"units": 1, "from": target.state, "to": "available"})


def _ask(target: _Target, wish: str) -> None:
    """At a real channel a person does it."""
    if not target.simulator:
        typer.echo(f"{wish}, and press Enter here in the moment in which you save it.")
        typer.prompt("Enter", default="", show_default=False, prompt_suffix=" ")


async def _tell(target: _Target, control: str, wish: dict[str, object]) -> None:
    if target.simulator:
        async with httpx2.AsyncClient(timeout=10.0, trust_env=False) as client:
            asked = {"channel_sku": target.key[1], **wish}
            answer = await client.post(f"{target.simulator}/_sim/{control}", json=asked)
            answer.raise_for_status()
