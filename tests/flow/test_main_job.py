"""One shelf stays true behind two shops that sell on their own: the main job, over the real wire."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from flow.world import CLOCK, MARKET, PATIENCE_S, SHOP, World, open_world
from oneshelf.connectors.amazon.simulator import AmazonSimulator
from oneshelf.domain.identity import ChannelSku, Sku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.flow import audit, interpret, plan, post
from oneshelf.sdk.http import sending_before
from oneshelf.sdk.message import StockWrite, Throttled
from oneshelf.storage import catalog, facts, inbox, listings, touched


async def stays_verified(world: World) -> None:
    await world.until_verified()
    await world.assert_ledger_balances()


@pytest.mark.long
async def test_a_sale_in_one_shop_is_cut_and_proved_in_the_other(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5, "CAP": 7}) as world:
        world.sell(SHOP, "MUG", 2)
        await stays_verified(world)
        assert await world.available("MUG") == 3
        world.sell(MARKET, "MUG")
        await stays_verified(world)
        assert await world.available("MUG") == 2
        assert await world.drifts() == []


@pytest.mark.long
async def test_a_shop_is_not_written_for_what_it_sold_itself(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        world.sell(SHOP, "MUG")
        await stays_verified(world)
        writes = await world.rows("select op_tries, sent_units from listings where channel = 'shop'")
        assert writes == [{"op_tries": 0, "sent_units": 4}]


@pytest.mark.long
async def test_a_cancelled_order_comes_back_everywhere(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        order_id = world.sell(SHOP, "MUG", 3)
        await stays_verified(world)
        assert world.simulators[SHOP].cancel(order_id)
        await world.until(lambda: has_available(world, "MUG", 5), what="the units are back")
        await stays_verified(world)


@pytest.mark.long
async def test_a_cancelled_order_for_which_nothing_was_there_offers_nothing(dsn: str) -> None:
    """Both shops sold the last ones. The one whose order is cancelled offers its units again, and there are none."""
    async with open_world(dsn, skus={"MUG": 2}) as world:
        world.sell(SHOP, "MUG", 2)
        order_id = world.sell(MARKET, "MUG", 2)
        await stays_verified(world)
        assert world.simulators[MARKET].cancel(order_id)
        await world.until(lambda: is_cancelled(world, order_id), what="the cancellation is posted")
        await stays_verified(world)
        assert {row["desired_units"] for row in await world.listings()} == {0}


@pytest.mark.long
async def test_a_pending_order_holds_its_unit_from_the_first_sight(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        world.sell(MARKET, "MUG", 2)
        await world.until(lambda: has_available(world, "MUG", 3), what="the pending order is posted")
        reasons = {row["reason"] for row in await world.rows("select reason from movements")}
        assert "pending" in reasons
        await stays_verified(world)


@pytest.mark.long
async def test_shipping_changes_no_listing(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        order_id = world.sell(SHOP, "MUG", 2)
        await stays_verified(world)
        published = len(await world.rows("select 1 from publications"))
        assert world.simulators[SHOP].ship(order_id)
        await world.until(lambda: has_moved(world, "shipped"), what="the shipment is posted")
        await stays_verified(world)
        assert len(await world.rows("select 1 from publications")) == published


@pytest.mark.long
async def test_an_order_beyond_the_shelf_is_short_until_a_receipt_fills_it(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 1}) as world:
        world.sell(SHOP, "MUG")
        world.sell(MARKET, "MUG")
        await world.until(lambda: has_short(world, 1), what="one of the two orders is short")
        await stays_verified(world)
        await world.receive("MUG", 4, key="restock")
        await world.until(lambda: has_short(world, 0), what="the receipt fills the short order")
        await stays_verified(world)
        assert await world.available("MUG") == 3


@pytest.mark.long
async def test_an_edit_by_hand_is_a_drift_with_its_cause_and_is_written_over(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        world.simulators[SHOP].edit_by_hand(world.listing(SHOP, "MUG"), 99)
        await world.until(lambda: has_drifts(world, "foreign edit"), what="the drift is found")
        await stays_verified(world)
        (drift,) = await world.drifts()
        assert (drift["expected_units"], drift["observed_units"]) == (5, 99)
        assert drift["resolution"] == "republished"
        assert drift["resolved_at"] is not None


@pytest.mark.long
async def test_a_figure_that_is_proved_and_is_not_the_desired_one_is_written_again(dsn: str) -> None:
    """A reading came before the cancellation that explains it, so nobody compared the two with what is desired."""
    async with open_world(dsn, skus={"MUG": 2}) as world:
        world.sell(SHOP, "MUG", 2)
        await stays_verified(world)
        market = world.simulators[MARKET]
        market.edit_by_hand(world.listing(MARKET, "MUG"), 1)
        async with world.database.transaction() as tx:
            await tx.execute(
                "update listings set net_units = net_units - 1, look_at = db_now() where channel = 'market'"
            )
        assert [listing.units for listing in market.listings()] == [1]
        await world.until(world.is_settled, what="the market shows the desired figure again")
        assert [listing.units for listing in market.listings()] == [0]


async def is_cancelled(world: World, order_id: str) -> bool:
    lines = await world.rows("select order_id, units_committed + units_pending + units_short as units from order_lines")
    return [row["units"] for row in lines if row["order_id"] == order_id] == [0]


@pytest.mark.long
async def test_a_fall_is_held_in_suspense_everywhere_until_its_late_order_comes(dsn: str) -> None:
    """The order stays invisible for longer than the channel says. Nobody may sell its units meanwhile."""
    async with open_world(dsn, skus={"MUG": 5}, timing={"suspense_s": 60.0}) as world:
        market = world.simulators[MARKET]
        assert isinstance(market, AmazonSimulator)
        # Later than the channel's word for it by so much that the fall is weighed before the order comes.
        market.habits.late_s = (1200.0, 1200.0)
        market.switches.set({"order_late": {"next": 1}})
        world.sell(MARKET, "MUG", 2)
        await world.until(lambda: has_drifts(world, "unknown"), what="the fall is a drift without a cause yet")
        await world.until(lambda: shop_shows(world, 3), what="the other shop does not offer the units either")
        await world.until(lambda: has_drifts(world, "unseen order"), what="the order has come and explains the fall")
        await stays_verified(world)
        assert await world.available("MUG") == 3
        assert [drift["resolution"] for drift in await world.drifts()] == ["explained"]


@pytest.mark.long
async def test_a_fall_that_no_order_ever_explains_is_an_edit_and_is_written_over(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        world.simulators[SHOP].edit_by_hand(world.listing(SHOP, "MUG"), 1)
        await world.until(lambda: has_resolved_drift(world), what="the fall ends in suspense and is written over")
        await stays_verified(world)
        assert {row["desired_units"] for row in await world.listings()} == {5}
        assert [(drift["cause"], drift["resolution"]) for drift in await world.drifts()] == [
            ("foreign edit", "republished")
        ]


@pytest.mark.long
async def test_a_write_that_is_accepted_and_never_applied_is_found_and_written_again(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        world.simulators[MARKET].switches.set({"write_never_applied": {"next": 1}})
        world.sell(SHOP, "MUG", 2)
        await stays_verified(world)
        assert world.simulators[MARKET].switches.hits["write_never_applied"] == 1
        (drift,) = await world.drifts()
        assert (drift["cause"], drift["expected_units"], drift["observed_units"]) == ("lost write", 3, 5)


@pytest.mark.long
@pytest.mark.parametrize("channel", [SHOP, MARKET])
async def test_a_reply_that_is_lost_after_the_write_was_applied_is_read_back(dsn: str, channel: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        simulator = world.simulators[SHOP if channel == SHOP else MARKET]
        simulator.switches.set({"reply_lost": {"next": 1}})
        world.sell(MARKET if channel == SHOP else SHOP, "MUG", 2)
        await stays_verified(world)
        assert simulator.switches.hits["reply_lost"] == 1
        assert await world.drifts() == []


@pytest.mark.long
async def test_throttling_and_broken_answers_only_cost_time(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 30}) as world:
        for simulator in world.simulators.values():
            simulator.switches.set({"throttle": {"next": 4}, "server_error": {"next": 3}})
        for _ in range(6):
            world.sell(SHOP, "MUG")
            world.sell(MARKET, "MUG")
            await world.turn()
        await stays_verified(world)
        for simulator in world.simulators.values():
            assert simulator.switches.hits["throttle"] == 4
            assert simulator.switches.hits["server_error"] == 3
        await world.until(lambda: is_known_to_all(world), what="the ledger agrees with the channels' books")


@pytest.mark.long
async def test_an_order_of_an_unlinked_listing_waits_visibly_and_posts_itself_once_linked(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}, link=False) as world:
        await world.until(lambda: has_listings(world, 2), what="both channels' listings are seen")
        order_id = world.sell(SHOP, "MUG", 2)
        await world.until(lambda: has_parked_order(world, order_id), what="the order is parked")
        async with world.database.transaction() as tx:
            (parked,) = await facts.parked(tx)
            await catalog.add_skus(tx, {Sku("MUG"): "Mug"})
        channel_sku = ChannelSku(world.listing(SHOP, "MUG"))
        assert f"oneshelf listing link shop {channel_sku} SKU" in parked.reason
        await world.receive("MUG", 5)
        async with world.database.transaction() as tx:
            for key in ((SHOP, channel_sku), (MARKET, ChannelSku("MUG"))):
                assert await listings.link(tx, key, Sku("MUG"), pack_units=1)
                await facts.requeue_for_listings(tx, key[0], [key[1]])
                await listings.request_look(tx, key[0], channel_skus=[key[1]])
            await touched.mark(tx, [Sku("MUG")])
        await stays_verified(world)
        assert await world.available("MUG") == 3


@pytest.mark.long
async def test_a_delivery_that_cannot_be_read_is_parked_with_its_reason_and_can_be_retried(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        async with world.database.transaction() as tx:
            broken = inbox.NewDelivery("key", "orders/create", b'{"id": 1, "line_items": [')
            assert await inbox.store(tx, SHOP, [broken]) == 1
            assert await inbox.store(tx, SHOP, [broken]) == 0, "the same delivery again says nothing new"
        await interpret.interpret(world.database, world.channels.by_name)
        async with world.database.transaction() as tx:
            (parked,) = await inbox.parked(tx)
            assert parked.reason
            assert await inbox.set_parked_state(tx, [parked.inbox_id], state="new") == 1
        await interpret.interpret(world.database, world.channels.by_name)
        async with world.database.transaction() as tx:
            assert len(await inbox.parked(tx)) == 1
        world.sell(SHOP, "MUG")
        await stays_verified(world)


@pytest.mark.long
async def test_an_absurd_order_is_parked_and_stops_nothing(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        absurd = OrderLine("l1", ChannelSku(world.listing(SHOP, "MUG")), 900_000_000, units_shipped=900_000_000)
        async with world.database.transaction() as tx:
            snapshot = OrderSnapshot(SHOP, "absurd", "1", CLOCK.now(), False, (absurd,))
            await facts.add(tx, [(snapshot, CLOCK.now())])
        world.sell(SHOP, "MUG")
        await world.until(lambda: has_parked_order(world, "absurd"), what="the absurd order is parked")
        await world.until(lambda: has_available(world, "MUG", 4), what="the other order is posted")
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_two_engines_on_one_database_count_every_sale_once(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 200, "CAP": 200}) as world:
        for round_ in range(8):
            for _ in range(3):
                world.sell(SHOP, "MUG" if round_ % 2 else "CAP")
                world.sell(MARKET, "MUG")
            await asyncio.gather(world.turn(), world.turn())
        await world.until(
            lambda: both_engines_settled(world), what="two engines at once settle every order and listing"
        )
        # The last sales may not have been polled yet when the listings are proved; one counted twice would stay twice.
        await world.until(lambda: is_known_to_all(world), what="every sale is counted, and none twice")
        await world.assert_ledger_balances()
        assert await is_known_to_all(world)


@pytest.mark.long
async def test_the_same_facts_posted_by_many_at_once_move_each_unit_once(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 500}) as world:
        for _ in range(40):
            world.sell(SHOP, "MUG")
        await world.until(lambda: has_available(world, "MUG", 460), what="all orders are posted")
        async with world.database.transaction() as tx:
            await tx.execute("update facts set state = 'new'")
            await tx.execute(
                "insert into facts (channel, order_id, snapshot, received_at) "
                "select channel, order_id, snapshot, received_at from facts"
            )
        posted = await asyncio.gather(*(post.post_facts(world.database, CLOCK.new_id) for _ in range(6)))
        assert sum(posted) >= 80
        assert await world.available("MUG") == 460
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_planning_by_many_at_once_ends_at_the_newest_figure(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 10}) as world:
        for number in range(10):
            await asyncio.gather(
                world.receive("MUG", 1, key=f"restock-{number}"),
                plan.plan(world.database),
                plan.plan(world.database),
            )
        await plan.plan(world.database)
        assert {row["desired_units"] for row in await world.listings()} == {20}
        await stays_verified(world)


@pytest.mark.long
async def test_a_channel_that_is_watched_is_never_written(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        async with world.database.transaction() as tx:
            await catalog.set_mode(tx, MARKET, "watch")
        world.sell(SHOP, "MUG", 2)
        await world.until(lambda: has_available(world, "MUG", 3), what="the order is posted")
        for _ in range(30):
            await world.turn()
        (shown,) = world.simulators[MARKET].listings()
        assert shown.units == 5


async def test_the_auditor_finds_a_figure_that_somebody_changed_in_the_database(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        async with world.database.transaction() as tx:
            await tx.execute("update balances set available = available + 1")
        found = (await audit.audit(world.database)).violations
        assert [(violation.rule, violation.where) for violation in found] == [
            ("a balance is the sum of its movements", "MUG BER available")
        ]


@pytest.mark.long
async def test_every_publication_says_what_it_was_derived_from(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        world.sell(SHOP, "MUG", 2)
        await stays_verified(world)
        newest = (await world.rows("select * from publications where channel = 'market' order by version desc"))[0]
        assert newest["units"] == 3
        derivation = newest["derivation"]
        derivation = msgspec.json.decode(derivation) if isinstance(derivation, str) else derivation
        assert derivation["available"] == {"BER": 3}
        assert newest["planned_at"] <= newest["sent_at"] <= newest["accepted_at"] <= newest["verified_at"]


async def is_known_to_all(world: World) -> bool:
    """Whether order lines hold in all exactly the units that the channels' books say were sold and not cancelled."""
    kept = sum(
        line.units - line.units_cancelled
        for simulator in world.simulators.values()
        for order in simulator.orders()
        for line in order.lines
    )
    held = await world.rows(
        "select coalesce(sum(units_pending + units_committed + units_shipped + units_short), 0) as n from order_lines"
    )
    return [row["n"] for row in held] == [kept]


async def has_available(world: World, sku: str, units: int) -> bool:
    return bool(await world.available(sku) == units)


async def has_short(world: World, units: int) -> bool:
    return [row["n"] for row in await world.rows("select coalesce(sum(units_short), 0) as n from order_lines")] == [
        units
    ]


async def has_moved(world: World, reason: str) -> bool:
    return any(row["reason"] == reason for row in await world.rows("select reason from movements"))


async def has_drifts(world: World, cause: str) -> bool:
    return [drift["cause"] for drift in await world.drifts()] == [cause]


async def has_resolved_drift(world: World) -> bool:
    return [drift["resolved_at"] is not None for drift in await world.drifts()] == [True]


async def shop_shows(world: World, units: int) -> bool:
    return [listing.units for listing in world.simulators[SHOP].listings()] == [units]


async def has_listings(world: World, count: int) -> bool:
    return len(await world.listings()) == count


async def has_parked_order(world: World, order_id: str) -> bool:
    return [row["order_id"] for row in await world.rows("select order_id from facts where state = 'parked'")] == [
        order_id
    ]


async def both_engines_settled(world: World) -> bool:
    await asyncio.gather(world.turn(), world.turn())
    return bool(await world.is_settled())


@pytest.mark.long
async def test_a_listing_that_is_linked_to_another_sku_is_published_anew(dsn: str) -> None:
    """The other SKU has seen less: its version is lower, and its figure counts all the same."""
    async with open_world(dsn, skus={"MUG": 5, "CAP": 9}) as world:
        for _ in range(3):
            world.sell(SHOP, "MUG")
            await stays_verified(world)
        key = (MARKET, ChannelSku("MUG"))
        async with world.database.transaction() as tx:
            assert await listings.link(tx, key, Sku("CAP"), pack_units=1)
            await touched.mark(tx, [Sku("CAP")])
        await stays_verified(world)
        shown = {listing.channel_sku: listing.units for listing in world.simulators[MARKET].listings()}
        assert shown == {"MUG": 9, "CAP": 9}


@pytest.mark.long
async def test_sales_from_before_a_listing_was_known_are_counted_before_it_is_written(dsn: str) -> None:
    """The shop sold four of its ten before anybody named the SKU. Linking finds the order, and nothing raises it."""
    async with open_world(dsn, skus={"MUG": 10}, link=False) as world:
        await world.until(lambda: has_listings(world, 2), what="both channels' listings are seen")
        order_id = world.sell(SHOP, "MUG", 4)
        await world.until(lambda: has_parked_order(world, order_id), what="the order is parked")
        async with world.database.transaction() as tx:
            await catalog.add_skus(tx, {Sku("MUG"): "Mug"})
        await world.receive("MUG", 10)
        highest = 0
        deadline = CLOCK.monotonic() + PATIENCE_S
        while not await world.is_settled() and CLOCK.monotonic() < deadline:
            await world.turn()
            highest = max(highest, world.simulators[SHOP].listings()[0].units)
        await stays_verified(world)
        assert await world.available("MUG") == 6
        assert highest == 6, "the units of the order were never offered again"
        assert await world.drifts() == []


@pytest.mark.long
async def test_the_first_write_to_a_listing_waits_for_sales_that_only_a_poll_will_tell(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 10}, link=False, timing={"poll_orders_s": 1.0}) as world:
        async with world.database.transaction() as tx:
            await catalog.add_skus(tx, {Sku("MUG"): "Mug"})
        await world.receive("MUG", 10)
        await world.turn()
        world.sell(SHOP, "MUG", 4)
        highest = 0
        deadline = CLOCK.monotonic() + PATIENCE_S
        while not await world.is_settled() and CLOCK.monotonic() < deadline:
            await world.turn()
            highest = max(highest, world.simulators[SHOP].listings()[0].units)
        await stays_verified(world)
        assert highest == 6
        assert await world.drifts() == []


@pytest.mark.long
async def test_an_order_that_the_database_cannot_hold_is_parked_and_the_rest_of_its_batch_is_posted(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        line = OrderLine("l1", ChannelSku(world.listing(SHOP, "MUG")), 1)
        async with world.database.transaction() as tx:
            # Stands for any figure or text that the schema will not take.
            await tx.execute("alter table order_lines add check (order_id <> 'o1')")
            for number in range(3):
                await facts.add(
                    tx, [(OrderSnapshot(SHOP, f"o{number}", "1", CLOCK.now(), False, (line,)), CLOCK.now())]
                )
        await world.until(lambda: has_available(world, "MUG", 3), what="the good ones are posted")
        await world.until(lambda: has_parked_order(world, "o1"), what="the culprit is parked")
        await world.assert_ledger_balances()


async def test_what_was_decided_before_a_long_pause_is_not_sent_after_it(dsn: str) -> None:
    """The process was stopped between its decision and the call; its lease has run out meanwhile."""
    async with open_world(dsn, skus={"MUG": 5}) as world:
        channel = world.channels.by_name[MARKET]
        write = StockWrite(key=CLOCK.new_id(), channel_sku=ChannelSku("MUG"), units=15, expected_units=5)
        with sending_before(CLOCK.monotonic() - 1):
            (outcome,) = await channel.connector.push([write])
        assert isinstance(outcome, Throttled)
        assert [listing.units for listing in world.simulators[MARKET].listings()] == [5]
