"""Announced deliveries: incoming until they are there, in parts, short or over, and closed with a reason."""

from __future__ import annotations

from datetime import date

import pytest

from domain.shop import BERLIN, MUG, NOON, ask, assert_sound, figures, key, reasons, shelf, tell
from oneshelf.domain.account import StockState
from oneshelf.domain.command import Expect, Move
from oneshelf.domain.ledger import Shelf
from oneshelf.domain.movement import Reason
from oneshelf.domain.outcome import NoRoom, Outcome, Posted, Short, TooFew, in_words
from oneshelf.domain.shipment_outcome import (
    IsAnnounced,
    NoSuchShipment,
    NotThatManyOver,
    ShipmentClosed,
    ShipmentExists,
    Unloaded,
)
from oneshelf.domain.warehouse_command import Announce, CloseShipment, OverInto, SettleOver, Unload, WriteOff
from oneshelf.errors import MalformedError

DAY = date(2026, 12, 1)


def announce(units: int, *, percent: int = 0, name: str = "PO-7") -> Announce:
    return Announce(
        key=key(),
        shipment_id=name,
        sku=MUG,
        location=BERLIN,
        units=units,
        expected_on=DAY,
        tolerance_percent=percent,
    )


def unload(units: int, name: str = "PO-7") -> Unload:
    return Unload(key=key(), shipment_id=name, sku=MUG, units=units)


def close(reason: str = "sold out at the supplier") -> CloseShipment:
    return CloseShipment(key=key(), shipment_id="PO-7", sku=MUG, reason=reason)


def settle(units: int, into: OverInto) -> SettleOver:
    return SettleOver(key=key(), shipment_id="PO-7", sku=MUG, units=units, into=into)


def announced(units: int, *, percent: int = 0) -> Shelf:
    on = shelf()
    assert ask(on, announce(units, percent=percent)) == Posted(units_moved=units, available=0)
    return on


def test_what_is_announced_is_incoming_and_sold_to_nobody() -> None:
    on = announced(12)
    assert figures(on) == {"incoming": 12}
    tell(on, 1)
    assert figures(on) == {"incoming": 12}
    assert_sound(on)


def test_it_comes_in_parts_and_what_waits_is_filled() -> None:
    on = announced(12)
    tell(on, 2)
    assert ask(on, unload(5)) == Unloaded(5, units_over=0, units_held=0, units_open=7, available=3)
    assert ask(on, unload(7)) == Unloaded(7, units_over=0, units_held=0, units_open=0, available=10)
    assert figures(on) == {"available": 10, "committed": 2}
    assert_sound(on)


def test_what_does_not_come_is_closed_with_a_reason() -> None:
    on = announced(12)
    ask(on, unload(5))
    assert ask(on, close()) == Posted(units_moved=7, available=5)
    assert figures(on) == {"available": 5}
    shipment = on.shipments[MUG, "PO-7"]
    assert (shipment.units_cancelled, shipment.close_reason, shipment.closed_at) == (
        7,
        "sold out at the supplier",
        NOON,
    )
    refused = ask(on, unload(1))
    assert refused == ShipmentClosed("PO-7", MUG, units_received=5, units_cancelled=7)
    assert "oneshelf stock receive MUG" in in_words(refused)
    assert isinstance(ask(on, close()), ShipmentClosed)
    with pytest.raises(MalformedError, match="reason"):
        close("")


def test_more_than_announced_is_taken_up_to_the_tolerance_and_held_beyond_it() -> None:
    on = announced(10, percent=25)  # 2 more, rounded down
    assert ask(on, unload(13)) == Unloaded(13, units_over=2, units_held=1, units_open=0, available=12)
    assert ask(on, unload(2)) == Unloaded(2, units_over=0, units_held=2, units_open=0, available=12)
    assert figures(on) == {"available": 12, "quality_control": 3}
    assert {Reason.ANNOUNCED, Reason.UNLOADED, Reason.UNLOADED_OVER} <= reasons(on)
    assert_sound(on)


@pytest.mark.parametrize(
    ("into", "left"),
    [
        (OverInto.AVAILABLE, {"available": 12, "quality_control": 1}),
        (OverInto.DAMAGED, {"available": 10, "damaged": 2, "quality_control": 1}),
        (OverInto.SENT_BACK, {"available": 10, "quality_control": 1}),
        (OverInto.SETTLED, {"available": 10, "quality_control": 3}),
    ],
)
def test_a_person_settles_what_came_beyond_the_tolerance(into: OverInto, left: dict[str, int]) -> None:
    on = announced(10)
    ask(on, unload(13))
    assert isinstance(ask(on, settle(2, into)), Posted)
    assert figures(on) == left
    assert ask(on, settle(2, into)) == NotThatManyOver("PO-7", MUG, asked=2, held=1)
    assert_sound(on)


def test_what_somebody_moved_meanwhile_is_not_moved_again() -> None:
    on = announced(10)
    ask(on, unload(12))
    quality, damaged = StockState.QUALITY_CONTROL, StockState.DAMAGED
    ask(on, Move(key=key(), sku=MUG, location=BERLIN, units=2, origin=quality, target=damaged))
    assert ask(on, settle(2, OverInto.AVAILABLE)) == TooFew(MUG, BERLIN, quality, asked=2, there=0)
    assert ask(on, settle(2, OverInto.SETTLED)) == Posted(units_moved=0, available=10)


def test_incoming_units_of_a_shipment_are_taken_back_by_it_alone() -> None:
    on = announced(10)
    ask(on, Expect(key=key(), sku=MUG, location=BERLIN, delta_units=3))
    fewer = Expect(key=key(), sku=MUG, location=BERLIN, delta_units=-4)
    refused = ask(on, fewer)
    assert refused == IsAnnounced(MUG, BERLIN, asked=4, incoming=13, announced=10)
    assert "oneshelf stock shipments --sku MUG" in in_words(refused)
    incoming, available = StockState.INCOMING, StockState.AVAILABLE
    arrived = Move(key=key(), sku=MUG, location=BERLIN, units=3, origin=incoming, target=available)
    assert isinstance(ask(on, arrived), Posted)
    assert isinstance(ask(on, unload(10)), Unloaded)
    assert figures(on) == {"available": 13}


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        (unload(1, "PO-8"), NoSuchShipment("PO-8", MUG)),
        (announce(3), ShipmentExists("PO-7", MUG, units_announced=10)),
        (announce(10**9, name="PO-9"), NoRoom(MUG, BERLIN, asked=10**9, there=10)),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(command: Announce | Unload, outcome: Outcome) -> None:
    on = announced(10)
    assert ask(on, command) == outcome
    assert "refused" in in_words(outcome)
    assert figures(on) == {"incoming": 10}


def test_units_are_written_off_from_where_they_lie() -> None:
    on = shelf(MUG=5)
    available, damaged = StockState.AVAILABLE, StockState.DAMAGED
    ask(on, Move(key=key(), sku=MUG, location=BERLIN, units=2, origin=available, target=damaged))

    def gone(units: int, origin: StockState) -> Outcome:
        return ask(on, WriteOff(key=key(), sku=MUG, location=BERLIN, units=units, origin=origin, reason="broken"))

    assert gone(3, damaged) == TooFew(MUG, BERLIN, damaged, asked=3, there=2)
    assert gone(2, damaged) == Posted(units_moved=2, available=3)
    assert gone(4, available) == Short(MUG, BERLIN, asked=4, available=3)
    assert figures(on) == {"available": 3}
    with pytest.raises(MalformedError, match="committed belong to somebody"):
        gone(1, StockState.COMMITTED)
