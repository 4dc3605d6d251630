"""What a channel that is right shows becomes the truth of the ledger."""

from __future__ import annotations

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.command import Adopt
from oneshelf.domain.ledger import Shelf
from oneshelf.domain.movement import Reason
from oneshelf.domain.outcome import CountedShort, NoRoom, Posted
from oneshelf.domain.shortening import shorten_promises


def adopt(shelf: Shelf, command: Adopt) -> Posted | CountedShort | NoRoom:
    """Units that the channel has more are found. Those that it has less are gone: first what is free, then the latest
    promises, since who sold them elsewhere did not know. The shelf must hold all that is promised from the balance.
    """
    key = (command.sku, command.location)
    source = str(command.key)
    if command.delta_units >= 0:
        if refusal := shelf.no_room(command.sku, command.location, command.delta_units):
            return refusal
        shelf.move(
            command.sku,
            origin=Account(Outside.FOUND),
            target=Account(StockState.AVAILABLE, command.location),
            units=command.delta_units,
            reason=Reason.ADJUSTED,
            source=source,
        )
        shelf.fill_shortages()
        return Posted(command.delta_units, shelf.available(*key))

    def take(state: StockState, units: int) -> None:
        shelf.move(
            command.sku,
            origin=Account(state, command.location),
            target=Account(Outside.SHRINKAGE),
            units=units,
            reason=Reason.ADJUSTED,
            source=source,
        )

    missing = -command.delta_units
    free = min(missing, shelf.balances[key].units[StockState.AVAILABLE])
    take(StockState.AVAILABLE, free)
    # Nobody holds what is left then: as many as it says have never been there.
    left = shorten_promises(shelf, key, missing - free, take=take)
    moved, units_short = missing - left, missing - free - left
    available = shelf.available(*key)
    return CountedShort(moved, available, units_short) if units_short else Posted(moved, available)
