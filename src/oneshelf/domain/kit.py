"""The rules of kits: components become a kit, and a kit its components. Both sides of the bench balance.

Where a recipe is kept, kits are made by it; by another one only where somebody says that this is meant.
"""

from __future__ import annotations

from collections.abc import Iterable

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.command import Assemble, AssembleOtherwise, Component, Disassemble, DisassembleOtherwise
from oneshelf.domain.identity import Sku
from oneshelf.domain.kit_outcome import KitRefusal, NoRecipe, OtherRecipe
from oneshelf.domain.ledger import Shelf
from oneshelf.domain.movement import Reason
from oneshelf.domain.outcome import NoRoom, Posted, Short


def post_kit(shelf: Shelf, command: Assemble | Disassemble) -> Posted | Short | NoRoom | KitRefusal:
    """All kits or none. The first SKU that is short, in sorted order, is the answer."""
    components = _components(shelf, command)
    if not isinstance(components, tuple):
        return components
    kits = {command.sku: command.units}
    parts = {component.sku: component.units * command.units for component in components}
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


def _components(shelf: Shelf, command: Assemble | Disassemble) -> tuple[Component, ...] | KitRefusal:
    """What the kit is made of: what the command says, if no other recipe is kept, or else that recipe."""
    recipe = shelf.recipes.get(command.sku, ())
    if not command.components:
        return recipe or NoRecipe(command.sku)
    is_meant = isinstance(command, AssembleOtherwise | DisassembleOtherwise)
    if recipe and not is_meant and _by_sku(recipe) != _by_sku(command.components):
        return OtherRecipe(command.sku, in_one_line(recipe), in_one_line(command.components))
    return command.components


def in_one_line(components: Iterable[Component]) -> str:
    """A recipe as it is typed: `CAP=1 MUG=2`."""
    return " ".join(f"{sku}={units}" for sku, units in sorted(_by_sku(components).items()))


def _by_sku(components: Iterable[Component]) -> dict[Sku, int]:
    return {component.sku: component.units for component in components}
