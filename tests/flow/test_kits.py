"""Kept recipes of kits: kits are made by them, whoever asks again is answered as before, and no bundle is in one."""

from __future__ import annotations

import asyncio

import pytest

from domain.shop import BERLIN, CAP, DUO, MUG, key
from flow.shelf_world import Ledger, open_ledger
from oneshelf.domain.bundle import BundleWish, HasHistory
from oneshelf.domain.command import Assemble, AssembleOtherwise, Component, Disassemble
from oneshelf.domain.identity import Sku
from oneshelf.domain.kit_outcome import NoRecipe, OtherRecipe
from oneshelf.domain.outcome import IsBundle, KeyReused, Posted, Short, UnknownSku
from oneshelf.errors import MalformedError
from oneshelf.flow.define import define_bundle, end_recipe, keep_recipe

pytestmark = pytest.mark.pg

SET = Sku("SET")
RECIPE = (Component(sku=MUG, units=2), Component(sku=CAP, units=1))
OTHER = (Component(sku=MUG, units=1), Component(sku=CAP, units=1))


async def keep(ledger: Ledger, *components: Component) -> None:
    assert await keep_recipe(ledger.database, SET, components) is None


def assemble(units: int, *components: Component) -> Assemble:
    return Assemble(key=key(), sku=SET, location=BERLIN, units=units, components=components)


async def test_a_kit_is_made_by_its_recipe_and_by_another_one_only_where_it_is_meant(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9, "CAP": 9}) as ledger:
        await ledger.name_all()
        assert await ledger.ask_one(assemble(1)) == NoRecipe(SET)
        assert await ledger.ask_one(assemble(1, *OTHER)) == Posted(1, 1)
        await keep(ledger, *RECIPE)
        assert await ledger.ask_one(assemble(2)) == Posted(2, 3)
        assert await ledger.ask_one(assemble(1, *reversed(RECIPE))) == Posted(1, 4)
        assert await ledger.figures() == {"available": 2}
        before = await ledger.figures("CAP")
        assert await ledger.ask_one(assemble(1, *OTHER)) == OtherRecipe(SET, "CAP=1 MUG=2", "CAP=1 MUG=1")
        assert await ledger.figures("CAP") == before
        meant = AssembleOtherwise(key=key(), sku=SET, location=BERLIN, units=1, components=OTHER)
        assert await ledger.ask_one(meant) == Posted(1, 5)
        assert await ledger.ask_one(assemble(1)) == Short(MUG, BERLIN, asked=2, available=1)
        apart = Disassemble(key=key(), sku=SET, location=BERLIN, units=5)
        assert await ledger.ask_one(apart) == Posted(5, 0)
        assert await ledger.figures() == {"available": 11}
        await ledger.assert_sound()


async def test_whoever_asks_again_is_answered_as_before_whatever_the_recipe_is_now(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9, "CAP": 9}) as ledger:
        await ledger.name_all()
        await keep(ledger, *RECIPE)
        asked = assemble(2)
        assert await ledger.ask_one(asked) == Posted(2, 2)
        await keep(ledger, *OTHER)
        assert await ledger.ask_one(asked) == Posted(2, 2)
        same_key = AssembleOtherwise(key=asked.key, sku=SET, location=BERLIN, units=2, components=RECIPE)
        assert await ledger.ask_one(same_key) == KeyReused(asked.key.key)
        assert await ledger.figures() == {"available": 5}
        await ledger.assert_sound()


async def test_what_a_recipe_names_is_no_bundle_and_becomes_none(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await ledger.name_all()
        assert await keep_recipe(ledger.database, SET, (Component(sku=Sku("NONE"), units=1),)) == UnknownSku(
            Sku("NONE")
        )
        await keep(ledger, Component(sku=DUO, units=1))
        for sku in (SET, DUO):
            wish = BundleWish(sku=sku, components=(Component(sku=MUG, units=1),))
            assert await define_bundle(ledger.database, wish) == HasHistory(sku)
        assert await end_recipe(ledger.database, SET) == (Component(sku=DUO, units=1),)
        wish = BundleWish(sku=DUO, components=(Component(sku=MUG, units=1),))
        await define_bundle(ledger.database, wish)
        refused = await keep_recipe(ledger.database, SET, (Component(sku=DUO, units=1),))
        assert refused == IsBundle(DUO, "MUG")


async def test_a_kit_is_not_made_of_itself_through_another(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await ledger.name_all()
        await keep(ledger, Component(sku=DUO, units=1))
        assert await keep_recipe(ledger.database, DUO, (Component(sku=CAP, units=1),)) is None
        with pytest.raises(MalformedError, match="kit CAP would be made of itself"):
            await keep_recipe(ledger.database, CAP, (Component(sku=MUG, units=1), Component(sku=SET, units=1)))
        # Said again, and otherwise, is no circle.
        await keep(ledger, Component(sku=CAP, units=2))


async def test_of_two_recipes_that_make_a_circle_one_is_refused(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await ledger.name_all()
        kept = await asyncio.gather(
            keep_recipe(ledger.database, SET, (Component(sku=DUO, units=1),)),
            keep_recipe(ledger.database, DUO, (Component(sku=SET, units=1),)),
            return_exceptions=True,
        )
        assert sorted(type(one).__name__ for one in kept) == ["MalformedError", "NoneType"]


async def test_of_a_bundle_and_a_recipe_at_the_same_time_one_is_refused(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await ledger.name_all()
        wish = BundleWish(sku=DUO, components=(Component(sku=MUG, units=1),))
        defined, kept = await asyncio.gather(
            define_bundle(ledger.database, wish), keep_recipe(ledger.database, SET, (Component(sku=DUO, units=1),))
        )
        assert isinstance(defined, HasHistory) is not isinstance(kept, IsBundle)
