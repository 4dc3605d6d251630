"""Units that somebody moves at a channel from sale to another state, of which nothing is announced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from flow.test_drifts import by_hand, opens, set_mode
from flow.test_returns import restocked, shipped
from flow.world import CLOCK, MARKET, PATIENCE_S, SHOP, World, open_world
from oneshelf.connectors.shopify.simulator import ShopifySimulator
from oneshelf.domain.drift import How
from oneshelf.domain.state_change import Rule
from oneshelf.flow import interpret, post, receive, reconcile
from oneshelf.storage import stock_states


def merchant_moves(world: World, units: int, origin: str, target: str, sku: str = "MUG") -> None:
    shop = world.simulators[SHOP]
    assert isinstance(shop, ShopifySimulator)
    assert shop.move_units(world.listing(SHOP, sku), units, origin=origin, target=target)


def shows(world: World, units: int) -> Callable[[], Awaitable[bool]]:
    """Whether both channels sell so many, and all of that is proved."""

    async def do() -> bool:
        books = [listing.units for one in world.simulators.values() for listing in one.listings()]
        drifts = [drift for drift in await world.drifts() if drift["resolved_at"] is None]
        return books == [units, units] and not drifts and await world.is_settled()

    return do


async def states(world: World, sku: str = "MUG") -> dict[str, int]:
    [row] = await world.rows(
        "select available, committed, reserved, damaged, quality_control, safety_stock "
        f"from balances where sku = '{sku}'"
    )
    return {name: units for name, units in row.items() if units}


async def moves(world: World) -> list[dict[str, Any]]:
    return await world.rows(
        "select from_account, to_account, units, source from movements where starts_with(source, 'drift ')"
    )


async def set_rule(world: World, rule: Rule) -> None:
    async with world.database.transaction() as tx:
        await stock_states.set_rule(tx, SHOP, rule)


@pytest.mark.long
@pytest.mark.parametrize(
    ("state", "booked"),
    [
        ("damaged", "damaged"),
        ("quality_control", "quality_control"),
        ("safety_stock", "safety_stock"),
        ("reserved", "safety_stock"),
    ],
)
async def test_units_moved_from_sale_leave_sale_everywhere_and_come_back_with_them(
    dsn: str, state: str, booked: str
) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        merchant_moves(world, 2, "available", state)
        await world.until(shows(world, 3), what="both channels sell what is left")
        assert await states(world) == {"available": 3, booked: 2}
        (drift,) = await world.drifts()
        assert (drift["cause"], drift["resolution"]) == ("silent state change", "booked")
        assert (drift["evidence"]["states_before"], drift["evidence"]["states_after"]) == ({}, {state: 2})
        assert drift["evidence"]["moved"] == [{"state": state, "units": 2}]

        merchant_moves(world, 2, state, "available")
        await world.until(shows(world, 5), what="both channels sell them again")
        assert await states(world) == {"available": 5}
        assert [(one["from_account"], one["to_account"], one["units"]) for one in await moves(world)] == [
            ("available", booked, 2),
            (booked, "available", 2),
        ]
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_units_that_come_back_at_once_are_on_sale_again(dsn: str) -> None:
    """A reading may be two seconds old: only one that is newer has the units leave, so the next rise is a return."""
    async with open_world(dsn, skus={"MUG": 5}, timing={"stale_s": 2.0}) as world:
        merchant_moves(world, 1, "available", "damaged")
        await world.until(shows(world, 4), what="both channels sell what is left")
        merchant_moves(world, 1, "damaged", "available")
        await world.until(shows(world, 5), what="both channels sell it again")
        assert [drift["resolution"] for drift in await world.drifts()] == ["booked", "booked"]


@pytest.mark.long
async def test_two_engines_that_see_it_at_once_move_the_units_once(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        merchant_moves(world, 2, "available", "damaged")
        await world.until(opens(world, resolution="booked"), what="it is decided")
        await asyncio.gather(*(post.post_moves(world.database, CLOCK.new_id) for _ in range(4)))
        await world.until(shows(world, 3), what="both channels sell what is left")
        assert [one["units"] for one in await moves(world)] == [2]


@pytest.mark.long
async def test_units_moved_after_a_write_that_seems_lost_move_though_none_is_held_back(dsn: str) -> None:
    """Such a drift is told by the write, not by a fall that waits for its order: nothing of it is in suspense."""
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await set_rule(world, Rule.ASK)
        merchant_moves(world, 1, "available", "safety_stock")
        await world.until(opens(world, cause="silent state change"), what="a person is asked")
        async with world.database.transaction() as tx:
            await tx.execute("update drifts set cause = 'lost write'")
            await tx.execute("update listings set suspense_units = 0")
        (drift,) = await world.drifts()
        await by_hand(world, drift["drift_id"], How.ADOPT)
        await world.until(shows(world, 4), what="both channels sell what is left")
        assert await states(world) == {"available": 4, "safety_stock": 1}


@pytest.mark.long
async def test_a_sale_at_the_same_time_is_not_taken_for_a_move_nor_the_move_for_a_sale(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 6}) as world:
        world.sell(SHOP, "MUG", 1)
        merchant_moves(world, 2, "available", "damaged")
        world.sell(MARKET, "MUG", 1)
        await world.until(shows(world, 2), what="all is told apart")
        found = await states(world)
        # The market's order is paid or not yet.
        assert found.pop("committed") + found.pop("reserved", 0) == 2
        assert found == {"available": 2, "damaged": 2}


@pytest.mark.long
async def test_what_another_channel_had_sold_is_short_where_the_unit_is_damaged(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 2}) as world:
        world.sell(MARKET, "MUG", 2)
        merchant_moves(world, 2, "available", "damaged")
        await world.until(shows(world, 0), what="nothing is on sale")
        assert await states(world) == {"damaged": 2}
        lines = await world.rows("select units_short from order_lines")
        assert [line["units_short"] for line in lines] == [2]
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_a_person_may_be_asked_of_each(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await set_rule(world, Rule.ASK)
        merchant_moves(world, 1, "available", "damaged")

        async def waits() -> bool:
            return any(drift["waiting_for"] for drift in await world.drifts())

        await world.until(waits, what="a person is asked")
        (drift,) = await world.drifts()
        assert (drift["cause"], "1 to damaged" in drift["waiting_for"]) == ("silent state change", True)
        assert await states(world) == {"available": 5}
        assert "1 to damaged" in await by_hand(world, drift["drift_id"], How.ADOPT)
        assert "booked already" in await by_hand(world, drift["drift_id"], How.ADOPT)
        await world.until(shows(world, 4), what="both channels sell what is left")
        assert await states(world) == {"available": 4, "damaged": 1}


@pytest.mark.long
async def test_where_the_ledger_rules_our_figure_is_written_again(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await set_rule(world, Rule.IGNORE)
        merchant_moves(world, 1, "available", "damaged")
        await world.until(opens(world, cause="silent state change"), what="it is a drift")
        await world.until(shows(world, 5), what="our figure is back")
        (drift,) = await world.drifts()
        assert drift["resolution"] == "republished"
        assert await moves(world) == []


@pytest.mark.long
async def test_a_move_at_a_channel_that_is_only_watched_is_adopted_as_a_move(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await set_mode(world, SHOP, "watch")
        merchant_moves(world, 1, "available", "quality_control")
        await world.until(opens(world, resolved_at=None, cause="unknown"), what="the fall is a drift")
        (drift,) = await world.drifts()
        await by_hand(world, drift["drift_id"], How.ADOPT)
        assert await states(world) == {"available": 4, "quality_control": 1}
        (drift,) = await world.drifts()
        assert drift["resolved_at"] is not None


@pytest.mark.long
async def test_a_state_that_is_corrected_alone_moves_nothing_then_or_later(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        shop = world.simulators[SHOP]
        assert isinstance(shop, ShopifySimulator)
        article = shop.shop.article(world.listing(SHOP, "MUG"))
        shop.shop.adjust(article, "damaged", 3, now=CLOCK.now())

        async def is_accounted() -> bool:
            rows = await world.rows("select 1 from stock_states where shown = accounted and shown ->> 'damaged' = '3'")
            return bool(rows)

        await world.until(is_accounted, what="it is accounted for")
        shop.edit_by_hand(world.listing(SHOP, "MUG"), 2)
        await world.until(opens(world, resolution="republished"), what="the edit is a drift")
        await world.until(shows(world, 5), what="our figure is back")
        (drift,) = await world.drifts()
        assert (drift["cause"], await moves(world)) == ("foreign edit", [])


async def test_a_move_hidden_by_a_return_of_which_we_hear_late_is_moved_in_the_ledger_once_we_hear_it(dsn: str) -> None:
    """The figure stays the same. That nothing but a state changed is not said while news may lack."""
    async with open_world(dsn, skus={"MUG": 5}) as world:
        order_id, line_id = await shipped(world, 1)
        await world.database_do("update schedules set next_at = 'infinity' where channel = 'shop' and task = 'orders'")
        merchant_moves(world, 1, "available", "damaged")
        assert world.simulators[SHOP].refund(order_id, line_id, 1, restock=True)

        async def is_proved_for_long() -> bool:
            """A whole pass has begun when the units in the other state were known for longer than a fall is held back,
            and has ended."""
            return bool(
                await world.rows(
                    """
                    select 1 from stock_states s join schedules t using (channel)
                    where s.shown ->> 'damaged' = '1' and t.task = 'stock'
                      and t.covered_until > s.shown_at + interval '1.1 s'
                    """
                )
            )

        await world.until(is_proved_for_long, what="the figure is proved for longer than a fall is held back")
        await world.database_do("update schedules set next_at = db_now() where channel = 'shop'")
        channel = world.channels.by_name[SHOP]
        deadline = CLOCK.monotonic() + PATIENCE_S
        while not await restocked(world, order_id, 1):
            assert CLOCK.monotonic() < deadline, f"not within {PATIENCE_S} s: we hear of the return"
            await receive.poll_orders(world.database, channel, CLOCK)
            await interpret.interpret(world.database, world.channels.by_name)
            await post.post_facts(world.database, CLOCK.new_id)
        # A pass that ends before the figure is read once more proves nothing of what the return made of it.
        assert await reconcile.sweep(world.database, channel, CLOCK)
        assert await world.rows("select 1 from stock_states where shown <> accounted")
        await world.until(opens(world), what="a unit is missing")
        await world.until(shows(world, 4), what="both channels sell what is left")
        assert await states(world) == {"available": 4, "damaged": 1}
        (drift,) = await world.drifts()
        assert (drift["cause"], drift["resolution"]) == ("silent state change", "booked")
        await world.assert_ledger_balances()
