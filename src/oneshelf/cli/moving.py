"""A person moves units between stock states at a channel: read there, moved from what was read, read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from oneshelf.cli.common import choice_in, on_database, refuse_unknown_channel, show_json, typed, units_in
from oneshelf.domain.account import StockState
from oneshelf.errors import ConfigurationError, MalformedError
from oneshelf.sdk.message import Applied, Stale, Throttled, UnitMove, Unknown, WriteOutcome

if TYPE_CHECKING:
    from oneshelf.domain.identity import ChannelSku
    from oneshelf.sdk.contract import Connector
    from oneshelf.storage.database import Database

# How often somebody else's change in between is read and gone round.
_ROUNDS = 3


def moved(channel: str, listing: str, units: str, *, origin: str, target: str, as_json: bool) -> None:
    """Move, and say what the states hold now. Raises ConfigurationError, MalformedError with the way out."""
    from oneshelf.app import open_channels
    from oneshelf.cli.listing import meant
    from oneshelf.domain.identity import channel_from
    from oneshelf.storage import catalog, listings

    owner, wanted, count = channel_from(channel), typed(listing, what="LISTING"), units_in(units, least=1)
    ends = _ends(origin, target)

    async def work(database: Database) -> tuple[ChannelSku, UnitMove]:
        async with database.transaction() as tx:
            await refuse_unknown_channel(tx, owner)
            mode = next(row.mode for row in await catalog.channels(tx) if row.channel == owner)
            _, channel_sku = await meant(tx, owner, wanted)
        if mode != "live":
            raise ConfigurationError(
                f"{owner} is in mode {mode}: nothing is changed there. Way out: oneshelf channel live {owner}"
            )
        async with open_channels(database) as channels:
            opened = channels.by_name.get(owner)
            if opened is None:
                raise ConfigurationError(f"{owner} cannot be reached; oneshelf doctor says more")
            _refuse_others(owner, ends, opened.capability.movable_states)
            move = await _done(opened.connector, channel_sku, count, *ends)
        async with database.transaction() as tx:
            await listings.request_look(tx, owner, channel_skus=[channel_sku])
        return channel_sku, move

    channel_sku, move = on_database(work)
    now = {state.value: held + _change(move, state) for state, held in move.expected.items()}
    if as_json:
        show_json({"channel": owner, "channel_sku": channel_sku, "units": count, "states": now, "key": str(move.key)})
        return
    told = ", ".join(f"{state} {held}" for state, held in now.items())
    typer.echo(f"{owner} {channel_sku}: {told}. The engine reads it and follows the rule of the channel")


def _ends(origin: str, target: str) -> tuple[StockState | None, StockState | None]:
    ends = (
        choice_in(origin, StockState, what="--from") if origin else None,
        choice_in(target, StockState, what="--to") if target else None,
    )
    if ends[0] is ends[1]:
        raise MalformedError("say --from and --to, two different states; or one of them, for units that come or go")
    return ends


def _refuse_others(channel: str, ends: tuple[StockState | None, ...], movable: tuple[str, ...]) -> None:
    if not movable:
        raise ConfigurationError(f"{channel} moves no units for us; do it in the channel's own back office")
    for state in ends:
        if state is not None and state not in movable:
            raise MalformedError(f"{channel} moves units for us between {', '.join(movable)}, not {state}")


async def _done(
    connector: Connector, channel_sku: ChannelSku, units: int, origin: StockState | None, target: StockState | None
) -> UnitMove:
    """The move that was applied. A figure that changes in between is read again, each time under a new key."""
    from oneshelf.clock import SystemClock
    from oneshelf.sdk.contract import MovesUnits

    if not isinstance(connector, MovesUnits):
        raise ConfigurationError("this connector moves no units, although its kind says so")
    outcome: WriteOutcome = Stale()
    for _ in range(_ROUNDS):
        readings = await connector.read_stock([channel_sku])
        if not readings or readings[0].states is None:
            note = readings[0].note if readings else "the channel does not show it"
            raise ConfigurationError(f"{channel_sku}: {note or 'its stock states cannot be read'}")
        states = (origin, target)
        expected = {state: readings[0].states.get(state, 0) for state in states if state is not None}
        move = UnitMove(SystemClock().new_id(), channel_sku, units, origin, target, expected)
        outcome = await connector.move_units(move)
        if isinstance(outcome, Applied):
            return move
        if not isinstance(outcome, Stale):
            break
    raise ConfigurationError(f"{channel_sku}: {_words(outcome)}")


def _words(outcome: WriteOutcome) -> str:
    if isinstance(outcome, Stale):
        return "its figures change as fast as they are read; nothing was moved, try again"
    if isinstance(outcome, Throttled):
        return f"the channel has no time for it; nothing was moved, try again after {outcome.retry_after_s:.0f} s"
    words = getattr(outcome, "words", "")
    if isinstance(outcome, Unknown):
        return f"no answer, so it may be done or not: look before you move again ({words})"
    return f"nothing was moved: {words}"


def _change(move: UnitMove, state: StockState) -> int:
    return move.units if state is move.target else -move.units
