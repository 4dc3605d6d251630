"""The rules of kits: components become a kit, and a kit its components. Both sides of the bench balance."""

from __future__ import annotations

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.command import Assemble, Disassemble
from oneshelf.domain.ledger import Shelf
from oneshelf.domain.movement import Reason
from oneshelf.domain.outcome import NoRoom, Posted, Short


def post_kit(shelf: Shelf, command: Assemble | Disassemble) -> Posted | Short | NoRoom:
    """All kits or none. The first SKU that is short, in sorted order, is the answer."""
    kits = {command.sku: command.units}
    parts = {component.sku: component.units * command.units for component in command.components}
    used, made = (parts, kits) if isinstance(command, Assemble) else (kits, parts)
    reason = Reason.ASSEMBLED if isinstance(command, Assemble) else Reason.DISASSEMBLED
    for sku, units in sorted(used.items()):
        available = shelf.available(sku, command.location)
        if available < units:
            return Short(sku, command.location, asked=units, available=available)
    for sku, units in sorted(made.items()):
        if refusal := shelf.no_room(sku, command.location, units):
            return refusal
    bench, there = Account(Outside.ASSEMBLY), Account(StockState.AVAILABLE, command.location)
    source = str(command.key)
    for sku, units in sorted(used.items()):
        shelf.move(sku, origin=there, target=bench, units=units, reason=reason, source=source)
    for sku, units in sorted(made.items()):
        shelf.move(sku, origin=bench, target=there, units=units, reason=reason, source=source)
    shelf.fill_shortages()
    return Posted(units_moved=command.units, available=shelf.available(command.sku, command.location))
