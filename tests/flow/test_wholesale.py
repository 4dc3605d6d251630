"""Wholesale orders on the database: what is set aside, what waits, and what the channels keep."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from domain.shop import BERLIN, CAP, MUG, claim, demand, hold, key
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.command import Count, OrderRef, Receive, Return, ReturnInto
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.outcome import Done, Posted, Short
from oneshelf.domain.policy import Scope, rule_of
from oneshelf.domain.wholesale import WHOLESALE, Refusal, RefusalKind, WantedLine, WholesaleWish
from oneshelf.errors import DatabaseUnavailableError
from oneshelf.flow import allocate, rule
from oneshelf.flow.allocate import Leaving, Shown

pytestmark = pytest.mark.pg

ALL = {"wholesale_percent": 100}


def wish(*lines: tuple[str, str, int], po: str = "PO-1", customer: str = "ACME", **more: Any) -> WholesaleWish:
    """An order of these lines: (line id, SKU, units)."""
    wanted = tuple(WantedLine(line_id=line_id, sku=Sku(sku), units=units) for line_id, sku, units in lines)
    return WholesaleWish(customer=customer, po_number=po, location=BERLIN, lines=wanted, **more)


def receive(units: int) -> Receive:
    return Receive(key=key(), sku=MUG, location=BERLIN, units=units)


async def place(ledger: Ledger, one: WholesaleWish) -> Shown:
    shown = await allocate.place(ledger.database, CLOCK.new_id, one, came_by="test")
    assert isinstance(shown, Shown), shown
    return shown


async def refused(ledger: Ledger, one: WholesaleWish) -> RefusalKind:
    answer = await allocate.place(ledger.database, CLOCK.new_id, one, came_by="test")
    assert isinstance(answer, Refusal)
    return answer.kind


async def state(ledger: Ledger, **terms: int) -> None:
    """A rule for everything."""
    await rule.put_rule(ledger.database, rule_of(Scope(), terms), actor="test")


async def run(ledger: Ledger) -> None:
    """Everything that waits is due, and looked at."""
    await ledger.rows("update wholesale_lines set look_at = db_now() where look_at is not null returning 1")
    while await allocate.allocate(ledger.database, CLOCK.new_id):
        pass


def figures(shown: Shown | Refusal) -> list[tuple[int, ...]]:
    """Of each line: ordered, allocated, backordered, shipped, cancelled."""
    assert isinstance(shown, Shown), shown
    found: list[tuple[int, ...]] = [
        (one.units_ordered, one.units_allocated, one.units_backordered, one.units_shipped, one.units_cancelled)
        for one in shown.lines
    ]
    assert all(ordered == sum(parts) for ordered, *parts in found)
    assert all(min(one) >= 0 for one in found)
    return found


async def shown(ledger: Ledger, order_id: str = "ACME/PO-1") -> list[tuple[int, ...]]:
    return figures(await allocate.show(ledger.database, order_id))


async def ship(ledger: Ledger, *shipments: tuple[str, int], name: str = "s1", order_id: str = "ACME/PO-1") -> Any:
    said = [Leaving(line_id=line_id, units=units) for line_id, units in shipments]
    return await allocate.ship(ledger.database, CLOCK.new_id, order_id, said, shipment=name)


async def test_the_channels_keep_half_of_what_is_there_unless_a_rule_says_otherwise(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100}) as ledger:
        assert figures(await place(ledger, wish(("10", MUG, 80)))) == [(80, 50, 30, 0, 0)]
        assert await ledger.figures() == {"available": 50, "reserved": 50}
        # Another order gets nothing more: all of wholesale together takes half.
        assert figures(await place(ledger, wish(("10", MUG, 5), po="PO-2"))) == [(5, 0, 5, 0, 0)]
        await state(ledger, wholesale_percent=70, wholesale_leaves_units=40)
        await run(ledger)
        assert await shown(ledger) == [(80, 60, 20, 0, 0)]
        assert await ledger.figures() == {"available": 40, "reserved": 60}
        await ledger.assert_sound()


async def test_the_narrowest_rule_says_what_wholesale_may_take(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10, "CAP": 10}) as ledger:
        await state(ledger, wholesale_percent=0)
        await rule.put_rule(ledger.database, rule_of(Scope(sku=CAP), ALL), actor="test")
        placed = await place(ledger, wish(("1", MUG, 5), ("2", CAP, 5)))
        assert figures(placed) == [(5, 0, 5, 0, 0), (5, 5, 0, 0, 0)]


async def test_a_receipt_fills_the_oldest_order_first_and_after_what_was_sold(dsn: str) -> None:
    async with open_ledger(dsn, {"CAP": 1}) as ledger:
        await state(ledger, **ALL)
        await ledger.ask(receive(1))
        await place(ledger, wish(("1", MUG, 5)))
        await place(ledger, wish(("1", MUG, 5), po="PO-2"))
        assert await shown(ledger) == [(5, 1, 4, 0, 0)]
        await ledger.ask(receive(6))
        await run(ledger)
        assert await shown(ledger) == [(5, 5, 0, 0, 0)]
        assert await shown(ledger, "ACME/PO-2") == [(5, 2, 3, 0, 0)]
        await ledger.assert_sound()


async def test_the_same_order_again_is_the_same_and_another_one_under_its_number_is_refused(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100}) as ledger:
        first = await place(ledger, wish(("1", MUG, 5), ("2", MUG, 7)))
        again = await place(ledger, wish(("2", MUG, 7), ("1", MUG, 5)))
        assert (first.is_replayed, again.is_replayed) == (False, True)
        assert again.lines == first.lines
        assert await refused(ledger, wish(("1", MUG, 6))) is RefusalKind.PO_REUSED
        await place(ledger, wish(("1", MUG, 6), version=3))
        assert await refused(ledger, wish(("1", MUG, 7), version=2)) is RefusalKind.OUTDATED
        assert await shown(ledger) == [(6, 6, 0, 0, 0), (7, 0, 0, 0, 7)]
        assert await ledger.figures() == {"available": 94, "reserved": 6}


async def test_a_change_gives_back_what_is_wanted_no_more_and_never_what_has_shipped(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 100}) as ledger:
        await place(ledger, wish(("1", MUG, 20)))
        assert figures(await ship(ledger, ("1", 8))) == [(20, 12, 0, 8, 0)]
        assert await refused(ledger, wish(("1", MUG, 7), version=2)) is RefusalKind.SHIPPED_MORE
        assert await refused(ledger, wish(("1", CAP, 9), version=2)) is RefusalKind.OTHER_SKU
        assert figures(await place(ledger, wish(("1", MUG, 9), ("2", MUG, 4), version=2))) == [
            (9, 1, 0, 8, 0),
            (4, 4, 0, 0, 0),
        ]
        assert await ledger.figures() == {"available": 87, "reserved": 5}
        await ledger.assert_sound()


async def test_a_shipment_happens_once_and_never_beyond_what_is_allocated(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        await place(ledger, wish(("1", MUG, 8)))
        answer = await ship(ledger, ("1", 6))
        assert isinstance(answer, Refusal)
        assert answer.kind is RefusalKind.NOT_ALLOCATED
        assert "6 of MUG are to ship and 5 are allocated; 3 wait" in answer.words
        assert figures(await ship(ledger, ("1", 3), name="s2")) == [(8, 2, 3, 3, 0)]
        again = await ship(ledger, ("1", 3), name="s2")
        assert again.is_replayed
        assert figures(again) == [(8, 2, 3, 3, 0)]
        other = await ship(ledger, ("1", 1), name="s2")
        assert isinstance(other, Refusal)
        assert other.kind is RefusalKind.SHIPMENT_REUSED
        assert await ledger.figures() == {"available": 5, "reserved": 2}
        # Everything that is there, said without numbers.
        assert figures(await ship(ledger, name="s3")) == [(8, 0, 3, 5, 0)]
        [row] = await ledger.rows("select units_shipped from order_lines where order_id = 'ACME/PO-1' limit 1")
        assert row["units_shipped"] > 0
        await ledger.assert_sound()


async def test_where_somebody_else_is_always_faster_with_a_shipment_that_is_said(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        await place(ledger, wish(("1", MUG, 8)))
        async with ledger.database.transaction() as tx:
            # Stands for somebody who writes the same key between our look and our write, each time.
            await tx.execute(
                """
                create function faster() returns trigger language plpgsql as
                    $$ begin raise unique_violation using message = 'somebody was faster'; end $$;
                create trigger faster before insert on commands for each row execute function faster()
                """
            )
        with pytest.raises(DatabaseUnavailableError, match="5 times somebody else was faster with shipment s2"):
            await ship(ledger, ("1", 3), name="s2")
        async with ledger.database.transaction() as tx:
            await tx.execute("drop function faster() cascade")
        assert figures(await ship(ledger, ("1", 3), name="s2")) == [(8, 2, 3, 3, 0)]


async def test_what_was_shipped_comes_back_as_of_every_order(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        await place(ledger, wish(("1", MUG, 4)))
        await ship(ledger, ("1", 4))
        back = Return(
            key=key(),
            order=OrderRef(WHOLESALE, "ACME/PO-1"),
            sku=MUG,
            location=BERLIN,
            units=3,
            into=ReturnInto.AVAILABLE,
        )
        assert await ledger.ask_one(back) == Posted(units_moved=3, available=9)
        await ledger.assert_sound()


async def test_a_person_releases_an_order_and_puts_it_in_its_old_place_again(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        await place(ledger, wish(("1", MUG, 5)))
        released = await allocate.release(ledger.database, CLOCK.new_id, "ACME/PO-1")
        assert figures(released) == [(5, 0, 5, 0, 0)]
        await run(ledger)
        assert await ledger.figures() == {"available": 10}
        again = await allocate.release(ledger.database, CLOCK.new_id, "ACME/PO-1")
        assert isinstance(again, Shown)
        assert again.is_replayed
        assert figures(await allocate.resume(ledger.database, CLOCK.new_id, "ACME/PO-1")) == [(5, 5, 0, 0, 0)]
        ended = await allocate.end(ledger.database, CLOCK.new_id, "ACME/PO-1")
        assert figures(ended) == [(5, 0, 0, 0, 5)]
        assert isinstance(ended, Shown)
        assert ended.order.state == "closed"
        assert await ledger.figures() == {"available": 10}
        assert isinstance(await allocate.release(ledger.database, CLOCK.new_id, "ACME/PO-1"), Refusal)
        await ledger.assert_sound()


async def test_after_its_last_day_an_order_holds_nothing_whether_or_not_anybody_has_looked(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        over = wish(("1", MUG, 5), ship_by=date(2020, 1, 1), cancel_after=date(2020, 1, 2))
        assert await refused(ledger, over) is RefusalKind.OVERDUE
        await place(ledger, wish(("1", MUG, 5), ship_by=date(2020, 1, 1), cancel_after=date(2999, 1, 1)))
        await ledger.rows("update reservations set expires_at = db_now() returning 1")
        await ledger.rows(
            "update wholesale_orders set cancel_after = '2020-01-02', expires_at = '2020-01-03' returning 1"
        )
        # A buyer gets all ten: the allocation is over, and nobody had to sweep.
        assert isinstance(await ledger.ask_one(hold(demand(MUG, 10))), Done)
        await run(ledger)
        assert await shown(ledger) == [(5, 0, 0, 0, 5)]
        await ledger.assert_sound()


async def test_what_a_count_takes_from_an_order_waits_again_and_is_never_given_twice(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        await state(ledger, **ALL)
        await place(ledger, wish(("1", MUG, 8)))
        await ledger.ask(Count(key=key(), sku=MUG, location=BERLIN, units=5))
        assert await shown(ledger) == [(8, 5, 3, 0, 0)]
        # What was lost is a backorder as any other: the policy says when it comes back.
        await state(ledger, wholesale_percent=50)
        await ledger.ask(receive(4))
        await run(ledger)
        assert await shown(ledger) == [(8, 5, 3, 0, 0)]
        await ledger.ask(receive(16))
        await run(ledger)
        assert await shown(ledger) == [(8, 8, 0, 0, 0)]
        assert await ledger.figures() == {"available": 17, "reserved": 8}
        await ledger.ask(Count(key=key(), sku=MUG, location=BERLIN, units=0))
        assert await shown(ledger) == [(8, 0, 8, 0, 0)]
        await ledger.assert_sound()


async def test_who_ends_the_reservation_of_a_line_by_hand_leaves_a_backorder(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        await place(ledger, wish(("1", MUG, 5)))
        [row] = await ledger.rows("select reservation_id from reservations")
        await ledger.ask(claim(row["reservation_id"]))
        assert await shown(ledger) == [(5, 0, 5, 0, 0)]
        await ledger.assert_sound()


async def test_unknown_names_and_bundles_are_refused_and_nothing_is_kept(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10, "CAP": 10}) as ledger:
        assert await refused(ledger, wish(("1", MUG, 1), ("2", "NOWT", 1))) is RefusalKind.UNKNOWN_SKU
        await ledger.define_duo()
        assert await refused(ledger, wish(("1", MUG, 1), ("2", "DUO", 1))) is RefusalKind.IS_BUNDLE
        elsewhere = WholesaleWish(
            customer="ACME",
            po_number="PO-1",
            location=Location("MARS"),
            lines=(WantedLine(line_id="1", sku=MUG, units=1),),
        )
        assert await refused(ledger, elsewhere) is RefusalKind.UNKNOWN_LOCATION
        assert await ledger.rows("select 1 from wholesale_orders") == []


async def test_an_order_that_was_kept_when_the_engine_died_is_filled_by_the_next(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        one = wish(("1", MUG, 4))
        assert await allocate.keep(ledger.database, CLOCK.new_id, [one], came_by="test") == [True]
        assert await shown(ledger) == [(4, 0, 4, 0, 0)]
        assert await allocate.allocate(ledger.database, CLOCK.new_id) == 4
        assert await shown(ledger) == [(4, 4, 0, 0, 0)]
        # Whoever got no answer says it again.
        assert (await place(ledger, one)).is_replayed
        assert await ledger.figures() == {"available": 6, "reserved": 4}
        await ledger.assert_sound()


async def test_many_who_order_and_buy_at_once_get_exactly_what_is_there(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 40}) as ledger:

        async def order(number: int) -> Sequence[tuple[int, ...]]:
            return figures(await place(ledger, wish(("1", MUG, 4), po=f"PO-{number}")))

        async with asyncio.TaskGroup() as group:
            orders = [group.create_task(order(number)) for number in range(8)]
            holds = [group.create_task(ledger.ask_one(hold(demand(MUG, 3)))) for _ in range(8)]
        await run(ledger)
        taken = sum(3 for task in holds if not isinstance(task.result(), Short))
        allocated = sum([(await shown(ledger, f"ACME/PO-{number}"))[0][1] for number in range(8)])
        assert len(orders) == 8
        assert await ledger.figures() == {"available": 40 - taken - allocated, "reserved": taken + allocated}
        await ledger.assert_sound()
