"""What is typed at a channel that rules is taken by the ledger once, whatever else happens at the same moment."""

from __future__ import annotations

from uuid import UUID

import pytest

from flow.test_architectures import arrange, shows
from flow.test_drifts import opens, poster, set_timing
from flow.world import CLOCK, MARKET, SHOP, World, open_world
from oneshelf.domain.architecture import Architecture
from oneshelf.domain.command import Adopt
from oneshelf.domain.drift import How
from oneshelf.domain.outcome import Outcome
from oneshelf.errors import CannotResolveError
from oneshelf.flow import confirm, post, reconcile, resolve

pytestmark = [pytest.mark.pg, pytest.mark.timeout(300)]


class DiedError(Exception):
    """The engine is gone."""


async def follows(world: World, units: int) -> None:
    async def has_followed() -> bool:
        return await world.available("MUG") == units and shows(world, SHOP, "MUG") == units

    await world.until(has_followed, what=f"the ledger has the {units} that were typed")
    await world.until_verified()
    assert (await world.available("MUG"), shows(world, SHOP, "MUG")) == (units, units)
    await world.assert_ledger_balances()


async def see(world: World) -> None:
    """The channel is read, and what it shows is weighed; nobody decides, nobody writes."""
    shop = world.channels.by_name[SHOP]
    for _ in range(60):
        await confirm.confirm(world.database, shop, CLOCK)
        await reconcile.weigh_suspicions(world.database, shop, CLOCK)


@pytest.mark.long
@pytest.mark.parametrize(("first", "second"), [(9, 3), (2, 8), (9, 11), (4, 2)])
async def test_a_second_figure_that_is_typed_before_the_first_is_taken_loses_nothing_of_it(
    dsn: str, first: int, second: int
) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await arrange(world, Architecture.HUB, SHOP)
        typed = world.listing(SHOP, "MUG")
        world.simulators[SHOP].edit_by_hand(typed, first)
        await world.until(opens(world, observed_units=first), what="the first figure was seen")
        world.simulators[SHOP].edit_by_hand(typed, second)
        await follows(world, second)


@pytest.mark.long
async def test_what_is_typed_is_taken_also_where_goods_of_the_same_number_come_in_at_that_moment(dsn: str) -> None:
    """The channel then shows what is to be shown: who looks no closer takes it for a figure that never was."""
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await arrange(world, Architecture.HUB, SHOP)
        world.simulators[SHOP].edit_by_hand(world.listing(SHOP, "MUG"), 7)
        await world.until(opens(world, observed_units=7), what="the figure was seen")
        await world.receive("MUG", 2, key="same-number")
        await follows(world, 9)


@pytest.mark.long
async def test_whoever_dies_after_the_ledger_took_it_takes_it_once(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await arrange(world, Architecture.HUB, SHOP)
        for row in await world.listings():
            assert row["phase"] == "idle"
        world.simulators[SHOP].edit_by_hand(world.listing(SHOP, "MUG"), 9)
        await world.until(opens(world, observed_units=9), what="the figure was seen")
        await die_in_adoption(world)
        assert await world.available("MUG") == 9
        # Once more is typed before anybody goes on: what was begun is taken as it was, and the rest by itself.
        world.simulators[SHOP].edit_by_hand(world.listing(SHOP, "MUG"), 12)
        await follows(world, 12)
        moved = await world.rows("select units from movements where source like 'drift %' order by posted_at")
        assert [row["units"] for row in moved] == [4, 3]
        kinds = await world.rows("select adopted_units from drifts order by opened_at")
        assert [row["adopted_units"] for row in kinds] == [4, 3]


async def die_in_adoption(world: World) -> None:
    """The ledger takes it, and nobody is there to write down that it has."""
    ask = poster(world)

    async def post_and_die(wish: Adopt) -> Outcome:
        await ask(wish)
        raise DiedError

    async def book() -> int:
        return await post.post_moves(world.database, CLOCK.new_id)

    (drift,) = await world.drifts()
    wanted = UUID(str(drift["drift_id"]))
    while True:
        try:
            await resolve.by_hand(world.database, wanted, How.ADOPT, post=post_and_die, book=book)
        except DiedError:
            return
        except CannotResolveError:
            await see(world)


@pytest.mark.long
async def test_a_write_that_a_leader_took_and_never_showed_is_written_again_and_not_taken_for_a_count(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await arrange(world, Architecture.HUB, MARKET)
        await set_timing(world, apply_s=0.3)
        world.simulators[MARKET].switches.set({"write_never_applied": 1.0})
        world.sell(SHOP, "MUG", 2)
        await world.until(opens(world, cause="lost write"), what="the write is lost")
        world.simulators[MARKET].switches.set({"write_never_applied": 0.0})
        await world.until_verified()
        assert (await world.available("MUG"), shows(world, MARKET, "MUG")) == (3, 3)
        assert {drift["resolution"] for drift in await world.drifts()} == {"republished"}
