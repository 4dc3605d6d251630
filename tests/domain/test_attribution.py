"""What caused a drift, decided from evidence alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from oneshelf.domain.attribution import (
    Evidence,
    LateOrder,
    Part,
    RecentWrite,
    SeenReading,
    attribute,
    blurred_by_orders,
)
from oneshelf.domain.drift import HEALS_MAX, Cause, why_a_person

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
FALL = Evidence(expected_units=5, observed_units=2, found="unknown")
SILENT = ("damaged", "quality_control")


def order(name: str, units: int, *, minute: int = 0, is_unpaid: bool = False) -> LateOrder:
    placed_at = NOON + timedelta(minutes=minute)
    return LateOrder(order=name, units=units, placed_at=placed_at, seen_at=NOON, is_unpaid=is_unpaid)


def part(sku: str, bundle_units: int, size: int, bundle: str = "DUO") -> Part:
    return Part(bundle=bundle, sku=sku, bundle_units=bundle_units, size=size)


def test_an_order_that_explains_the_size_is_named() -> None:
    told = attribute(replace(FALL, orders=(order("shop/1", 3), order("shop/2", 2, minute=1))))
    assert (told.cause, told.explained_by) == (Cause.UNSEEN_ORDER, ("shop/1",))


def test_orders_that_add_up_to_the_size_are_named_together() -> None:
    told = attribute(replace(FALL, orders=(order("shop/1", 1), order("shop/2", 9), order("shop/3", 2))))
    assert (told.cause, told.explained_by) == (Cause.UNSEEN_ORDER, ("shop/1", "shop/3"))


def test_orders_that_do_not_add_up_explain_nothing() -> None:
    assert attribute(replace(FALL, orders=(order("shop/1", 2),))).cause is Cause.FOREIGN_EDIT


def test_late_orders_that_do_not_add_up_leave_nobody_to_blame() -> None:
    told = blurred_by_orders(replace(FALL, orders=(order("shop/1", 2), order("shop/2", 0))))
    assert told is not None
    assert told.cause is Cause.UNKNOWN
    assert "shop/1, shop/2" in told.why
    assert blurred_by_orders(FALL) is None


def test_an_unpaid_order_that_became_visible_late_is_late_pending() -> None:
    unpaid = order("market/1", 3, is_unpaid=True)
    assert attribute(replace(FALL, orders=(unpaid,))).cause is Cause.LATE_PENDING
    both = (order("market/1", 2, is_unpaid=True), order("market/2", 1))
    assert attribute(replace(FALL, orders=both)).cause is Cause.UNSEEN_ORDER


def test_no_order_explains_a_rise() -> None:
    rise = Evidence(expected_units=2, observed_units=5, found="foreign edit", orders=(order("shop/1", 3),))
    assert attribute(rise).cause is Cause.FOREIGN_EDIT


@pytest.mark.parametrize("cause", [Cause.LOST_WRITE, Cause.LATE_WRITE])
def test_what_a_write_proved_stays(cause: Cause) -> None:
    write = RecentWrite(units=5, sent_at=NOON, accepted_at=NOON, verified_at=None)
    told = attribute(replace(FALL, found=cause.value, writes=(write,), orders=(order("shop/1", 3),)))
    assert told.cause is cause
    assert "5" in told.why


def test_components_that_drift_in_the_proportion_of_their_bundle_were_sold_as_one() -> None:
    assert attribute(replace(FALL, parts=(part("MUG", 2, -4), part("CAP", 1, -2)))).cause is Cause.BUNDLE_ARITHMETIC
    uneven = (part("MUG", 2, -4), part("CAP", 1, -1))
    assert attribute(replace(FALL, parts=uneven)).cause is Cause.FOREIGN_EDIT
    half = (part("MUG", 2, -3), part("CAP", 2, -3))
    assert attribute(replace(FALL, parts=half)).cause is Cause.FOREIGN_EDIT
    alone = (part("MUG", 2, -4),)
    assert attribute(replace(FALL, parts=alone)).cause is Cause.FOREIGN_EDIT


def test_a_fall_without_a_word_from_a_channel_that_tells_is_a_silent_state_change() -> None:
    silent = replace(FALL, silent_states=SILENT, hears_announcements=True)
    assert attribute(silent).cause is Cause.SILENT_STATE_CHANGE
    assert attribute(replace(silent, is_announced=True)).cause is Cause.FOREIGN_EDIT
    assert attribute(replace(silent, hears_announcements=False)).cause is Cause.FOREIGN_EDIT
    assert attribute(replace(silent, silent_states=())).cause is Cause.FOREIGN_EDIT
    assert attribute(replace(silent, observed_units=9, found="foreign edit")).cause is Cause.FOREIGN_EDIT


def test_a_rise_of_which_the_reading_could_not_tell_the_cause_is_nobodys_edit() -> None:
    rise = replace(FALL, observed_units=9, found="unknown")
    assert attribute(rise).cause is Cause.UNKNOWN
    assert attribute(replace(rise, found="foreign edit")).cause is Cause.FOREIGN_EDIT


def test_while_a_write_is_not_proved_nobody_is_said_to_have_edited_the_figure() -> None:
    """It was taken or not, before or after some orders: the rest of the fall cannot be told from it."""
    seen = SeenReading(at=NOON + timedelta(minutes=2), units=2, believed=5, source="reconcile")
    proved = RecentWrite(units=3, sent_at=NOON - timedelta(minutes=1), accepted_at=NOON, verified_at=NOON)
    lost = RecentWrite(units=5, sent_at=NOON, accepted_at=None, verified_at=None)
    assert attribute(replace(FALL, readings=(seen,), writes=(proved, lost))).cause is Cause.UNKNOWN
    accepted = replace(lost, accepted_at=NOON + timedelta(seconds=1))
    assert attribute(replace(FALL, readings=(seen,), writes=(accepted,))).cause is Cause.UNKNOWN
    later = replace(accepted, verified_at=seen.at + timedelta(seconds=1))
    assert attribute(replace(FALL, readings=(seen,), writes=(later,))).cause is Cause.UNKNOWN
    shown = replace(accepted, verified_at=NOON + timedelta(seconds=2))
    assert attribute(replace(FALL, readings=(seen,), writes=(proved, shown))).cause is Cause.FOREIGN_EDIT
    afterwards = replace(lost, sent_at=seen.at + timedelta(seconds=1))
    assert attribute(replace(FALL, readings=(seen,), writes=(proved, afterwards))).cause is Cause.FOREIGN_EDIT


def test_a_write_without_an_answer_may_be_applied_after_a_newer_one() -> None:
    seen = SeenReading(at=NOON + timedelta(minutes=2), units=FALL.observed_units, believed=5, source="reconcile")
    lost = RecentWrite(units=FALL.observed_units, sent_at=NOON, accepted_at=None, verified_at=None)
    newer = RecentWrite(
        units=FALL.expected_units,
        sent_at=NOON + timedelta(seconds=9),
        accepted_at=NOON + timedelta(seconds=9),
        verified_at=NOON + timedelta(seconds=12),
    )
    found = attribute(replace(FALL, readings=(seen,), writes=(lost, newer)))
    assert (found.cause, "12:00:00" in found.why) == (Cause.UNKNOWN, True)
    another = replace(lost, units=FALL.observed_units + 1)
    assert attribute(replace(FALL, readings=(seen,), writes=(another, newer))).cause is Cause.FOREIGN_EDIT
    answered = replace(lost, accepted_at=NOON)
    assert attribute(replace(FALL, readings=(seen,), writes=(answered, newer))).cause is Cause.FOREIGN_EDIT


def test_healing_is_bounded() -> None:
    lost = Cause.LOST_WRITE
    assert not why_a_person(lost, heal_count=HEALS_MAX - 1, same_count=0, is_fall=False)
    assert "never shown" in why_a_person(lost, heal_count=HEALS_MAX, same_count=0, is_fall=False)
    assert "came back" in why_a_person(Cause.FOREIGN_EDIT, heal_count=0, same_count=HEALS_MAX, is_fall=True)


def test_what_shows_too_much_is_cut_however_often() -> None:
    assert not why_a_person(Cause.FOREIGN_EDIT, heal_count=0, same_count=99, is_fall=False)
