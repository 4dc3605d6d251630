"""What the ledger answers to whoever makes kits by other recipes than those that are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from oneshelf.domain.identity import Sku


@dataclass(frozen=True, slots=True)
class NoRecipe:
    """Not done: no components were named, and no recipe of this kit is kept."""

    sku: Sku


@dataclass(frozen=True, slots=True)
class OtherRecipe:
    """Not done: the kept recipe of this kit is another one. Both as `MUG=2 CAP=1`."""

    sku: Sku
    recipe: str
    asked: str


KitRefusal = NoRecipe | OtherRecipe


def kit_in_words(outcome: KitRefusal) -> str:
    """The outcome as one sentence for a person."""
    match outcome:
        case NoRecipe(sku):
            return (
                f"refused: no recipe of {sku} is kept, so say what it is made of. "
                f"Way out: keep one (oneshelf stock kit {sku} MUG=2 CAP=1), or name the components"
            )
        case OtherRecipe(sku, recipe, asked):
            return (
                f"refused: by its recipe {sku} is made of {recipe}, not of {asked}. Way out: leave the components out, "
                f"keep another recipe (oneshelf stock kit {sku} {asked}), or say that these are of another one: "
                "--other-recipe, other_recipe"
            )
        case _:
            assert_never(outcome)
