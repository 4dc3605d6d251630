"""The life of a listing's figure: every transition, and what may never happen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest

from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.listing import (
    TRANSITIONS,
    Event,
    IllegalTransitionError,
    Listing,
    Phase,
    after,
    answered,
    back_off_s,
    declined,
    intend,
    lost,
    refused,
    retried,
    without_a_write,
)
from oneshelf.errors import InvariantError

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
OP = UUID(int=7)


def listing(**changes: object) -> Listing:
    base = Listing(
        channel=Channel("shop"),
        channel_sku=ChannelSku("1"),
        sku=Sku("MUG"),
        desired_units=4,
        desired_version=9,
        base_units=10,
        base_net=100,
        net_units=103,
        next_at=NOW,
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # keywords of several types


@pytest.mark.parametrize(("phase", "event"), list(product(Phase, Event)))
def test_every_phase_and_event_either_has_a_successor_or_is_refused(phase: Phase, event: Event) -> None:
    if event in TRANSITIONS[phase]:
        assert after(phase, event) is TRANSITIONS[phase][event]
    else:
        with pytest.raises(IllegalTransitionError, match=phase.value):
            after(phase, event)


def test_every_phase_can_be_left_and_reached() -> None:
    reached = {target for targets in TRANSITIONS.values() for target in targets.values()}
    assert reached == set(Phase)
    for phase in Phase:
        assert set(TRANSITIONS[phase].values()) - {phase} or phase is Phase.IDLE


def test_belief_is_the_anchor_less_what_orders_took_since() -> None:
    assert listing().belief == 7
    assert listing(base_units=None).belief is None
    assert listing(net_units=115).belief == -5


def test_a_write_is_recorded_with_the_belief_it_expects_and_the_orders_it_knows() -> None:
    sending = intend(listing(), op_id=OP, now=NOW)
    assert sending.phase is Phase.SENDING
    assert sending.operation is not None
    assert (sending.operation.units, sending.operation.expected, sending.operation.net) == (4, 7, 103)
    assert (sending.sent_units, sending.sent_version) == (4, 9)
    assert sending.belief == 7, "an intent is no fact yet"


def test_an_answered_write_anchors_at_the_moment_it_was_decided() -> None:
    """Orders that came in while the write was on the wire came after it."""
    sending = replace(intend(listing(), op_id=OP, now=NOW), net_units=105)
    done = answered(sending, now=NOW, look_after_s=0)
    assert done.phase is Phase.ACCEPTED
    assert (done.base_units, done.base_net) == (4, 103)
    assert done.belief == 2


def test_a_declined_write_stays_to_be_done() -> None:
    back = declined(intend(listing(), op_id=OP, now=NOW), now=NOW, retry_after_s=3)
    assert back.phase is Phase.IDLE
    assert back.operation is None
    assert back.sent_version < back.desired_version
    assert (back.next_at - NOW).total_seconds() == 3


def test_a_lost_reply_is_looked_at_and_keeps_the_write() -> None:
    unknown = lost(intend(listing(), op_id=OP, now=NOW), now=NOW, look_after_s=1)
    assert unknown.phase is Phase.UNKNOWN
    assert unknown.operation is not None
    assert unknown.look_at is not None


def test_a_refused_write_parks_the_listing_with_the_channels_words_until_a_person_says_so() -> None:
    parked = refused(intend(listing(), op_id=OP, now=NOW), "unknown location " * 100)
    assert parked.phase is Phase.PARKED
    assert parked.parked_reason.startswith("unknown location")
    assert len(parked.parked_reason) <= 500
    assert retried(parked, now=NOW).phase is Phase.IDLE


def test_no_write_is_needed_where_the_channel_sold_down_to_the_desired_figure_itself() -> None:
    same = listing(desired_units=7)
    assert same.shows_what_is_desired
    proven = without_a_write(same, now=NOW)
    assert proven.phase is Phase.ACCEPTED
    assert proven.operation is None
    assert proven.look_at == NOW


def test_nothing_is_written_before_the_first_reading() -> None:
    with pytest.raises(InvariantError):
        intend(listing(base_units=None), op_id=OP, now=NOW)


def test_a_second_write_waits_for_the_answer_of_the_first() -> None:
    with pytest.raises(IllegalTransitionError):
        intend(intend(listing(), op_id=OP, now=NOW), op_id=OP, now=NOW)


def test_patience_grows_and_has_an_end() -> None:
    waits = [back_off_s(tries) for tries in range(20)]
    assert waits == sorted(waits)
    assert waits[0] < 1
    assert waits[-1] == 60


def test_the_second_look_at_units_in_suspense_is_not_brought_forward_by_a_figure_that_needs_no_write() -> None:
    second_look_at = NOW + timedelta(seconds=10)
    same = listing(base_units=7, base_net=103, desired_units=7, suspense_units=1, look_at=second_look_at)
    assert without_a_write(same, now=NOW).look_at == second_look_at
    assert without_a_write(replace(same, suspense_units=0), now=NOW).look_at == NOW
