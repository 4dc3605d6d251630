"""A write of which the outcome is unknown is settled by a reading, and never so that a unit could be sold twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from oneshelf.domain.drift import Cause
from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.listing import Listing, Phase, Terms, answered, empty, intend, lost
from oneshelf.domain.reading import Read, Verdict, read
from oneshelf.domain.weighing import weigh

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
# Of a queueing channel: the last copy arrives after 60 s, and is applied within 30 s from there.
LATE = NOW + timedelta(seconds=90)
COMPARING = Terms(is_applied_when_answered=True, apply_s=10, look_again_s=1, copy_s=60, stale_s=0)
QUEUEING = Terms(is_applied_when_answered=False, apply_s=30, look_again_s=1, copy_s=60, stale_s=0)
OP = UUID(int=1)


def shown(units: int, *, desired: int) -> Listing:
    return Listing(
        channel=Channel("shop"),
        channel_sku=ChannelSku("1"),
        sku=Sku("MUG"),
        desired_units=desired,
        desired_version=2,
        base_units=units,
        next_at=NOW,
    )


def unanswered(units: int, desired: int) -> Listing:
    return lost(intend(shown(units, desired=desired), op_id=OP, now=NOW), now=NOW, look_after_s=0)


def posted(listing: Listing, *changes: int) -> Listing:
    """Orders took these units off it, or gave them back."""
    return replace(
        listing,
        net_units=listing.net_units + sum(changes),
        turnover_units=listing.turnover_units + sum(map(abs, changes)),
    )


def seen(listing: Listing, units: int, *, at: datetime = LATE, terms: Terms = COMPARING) -> Read:
    return read(listing, units, net_before=listing.net_units, now=at, terms=terms)


def known(listing: Listing, terms: Terms = COMPARING) -> Read:
    return weigh(listing, recently_sent=(), now=LATE, terms=terms)


def test_a_figure_that_fits_proves_nothing_before_every_order_is_known() -> None:
    """Written from 5 to 3 and lost; two units are sold meanwhile, so the channel shows 3 all the same."""
    found = seen(unanswered(5, 3), 3)
    assert found.verdict is Verdict.PENDING
    assert found.listing.rights == 5
    doubtful = known(posted(found.listing, 1, 1))
    assert doubtful.verdict is Verdict.NOT_YET
    assert doubtful.listing.rights == 3
    done = known(seen(doubtful.listing, 3).listing)
    assert done.verdict is Verdict.NOT_WRITTEN
    assert done.listing.belief == 3
    assert done.listing.phase is Phase.IDLE
    assert done.listing.sent_version == 0, "it is written again"


def test_a_write_without_an_answer_that_does_show_is_proved_by_it() -> None:
    done = known(seen(unanswered(10, 4), 4).listing)
    assert done.verdict is Verdict.MATCH
    assert (done.listing.belief, done.listing.rights, done.listing.phase) == (4, 4, Phase.IDLE)


def test_units_moved_after_a_write_without_an_answer_do_not_make_it_undone() -> None:
    """Written from 5 to 7; two of them are set aside at the shop, so it shows 5 all the same."""
    told = seen(unanswered(5, 7), 5).listing
    assert known(told).verdict is Verdict.NOT_WRITTEN
    done = weigh(told, recently_sent=(), now=LATE, terms=COMPARING, moved_units=2)
    assert done.drift is not None
    assert (done.drift.expected_units, done.drift.observed_units) == (7, 5)
    assert (done.listing.belief, done.listing.suspense_units, done.listing.operation) == (5, 2, None)
    unmoved = weigh(told, recently_sent=(), now=LATE, terms=COMPARING, moved_units=1)
    assert unmoved.verdict is Verdict.NOT_WRITTEN, "one unit more in another state explains nothing of it"


def test_units_moved_back_on_sale_after_a_write_without_an_answer_do_not_make_it_undone() -> None:
    told = seen(unanswered(7, 5), 7).listing
    done = weigh(told, recently_sent=(), now=LATE, terms=COMPARING, moved_units=-2)
    assert done.drift is not None
    assert (done.drift.expected_units, done.drift.observed_units, done.listing.belief) == (5, 7, 7)


def test_as_long_as_a_copy_may_be_under_way_the_old_figure_proves_nothing() -> None:
    unknown = unanswered(10, 4)
    assert seen(unknown, 10, at=NOW + timedelta(seconds=59)).verdict is Verdict.NOT_YET
    late = seen(unknown, 10)
    assert late.verdict is Verdict.PENDING
    assert known(late.listing).verdict is Verdict.NOT_WRITTEN


@pytest.mark.parametrize(
    ("terms", "over_s"),
    [(COMPARING, 60), (replace(COMPARING, stale_s=10), 70), (QUEUEING, 90), (replace(QUEUEING, stale_s=20), 110)],
)
def test_the_old_figure_proves_nothing_before_the_last_copy_was_applied_and_can_be_read(
    terms: Terms, over_s: int
) -> None:
    """A reading may be old, and a copy that arrives last still has to be taken from the channel's queue."""
    write = intend(shown(2, desired=5), op_id=OP, now=NOW, is_compared=terms.is_applied_when_answered, is_strict=True)
    unknown = lost(write, now=NOW, look_after_s=0)
    just_before, just_after = NOW + timedelta(seconds=over_s - 1), NOW + timedelta(seconds=over_s)
    assert seen(unknown, 2, at=just_before, terms=terms).verdict is Verdict.NOT_YET
    slow = read(unknown, 2, net_before=0, asked_at=just_before, now=just_after, terms=terms)
    assert slow.verdict is Verdict.NOT_YET, "what counts is when it was asked for, not when the answer came"
    told = seen(unknown, 2, at=just_after, terms=terms)
    done = weigh(told.listing, recently_sent=(), now=just_after, terms=terms).listing
    assert (done.phase, done.belief, done.rights) == (Phase.IDLE, 2, 2)


def test_a_figure_that_fits_both_outcomes_is_read_again() -> None:
    done = known(posted(seen(unanswered(5, 4), 4).listing, 1))
    assert done.verdict is Verdict.NOT_YET
    assert done.listing.phase is Phase.UNKNOWN
    assert done.listing.suspicion is None


def test_an_order_and_a_cancellation_between_are_not_nothing() -> None:
    """Of the two the reading may have contained either."""
    done = known(posted(seen(unanswered(5, 4), 4).listing, 1, -1))
    assert done.verdict is Verdict.NOT_YET


def test_a_blind_listing_that_was_emptied_has_no_rights_once_every_sale_is_known() -> None:
    emptied = answered(empty(shown(5, desired=3), op_id=OP, now=NOW), now=NOW, look_after_s=0)
    assert emptied.rights == 5, "what was sold until it was applied is not known"
    found = seen(emptied, 0, at=NOW, terms=QUEUEING)
    assert found.verdict is Verdict.PENDING
    sold = posted(found.listing, 2)
    assert sold.rights == 3
    again = seen(known(sold, QUEUEING).listing, 0, at=NOW, terms=QUEUEING)
    done = known(again.listing, QUEUEING)
    assert done.verdict is Verdict.ANCHORED
    assert (done.listing.belief, done.listing.rights, done.listing.phase) == (0, 0, Phase.IDLE)


def test_an_accepted_write_of_a_guarded_listing_that_never_shows_is_lost_and_not_sent_again_by_itself() -> None:
    emptied = answered(empty(shown(5, desired=3), op_id=OP, now=NOW), now=NOW, look_after_s=0)
    found = seen(emptied, 5, terms=QUEUEING)
    assert found.verdict is Verdict.PENDING, "every order has to be known first"
    done = known(found.listing, QUEUEING)
    assert done.verdict is Verdict.LOST_WRITE
    assert done.drift is not None
    assert (done.drift.cause, done.drift.expected_units, done.drift.observed_units) == (Cause.LOST_WRITE, 0, 5)
    assert (done.listing.belief, done.listing.rights, done.listing.phase) == (5, 5, Phase.IDLE)
    assert done.listing.sent_version == done.listing.desired_version, "whoever decides about the drift says so"


def test_a_blind_write_without_an_answer_that_never_shows_is_no_drift() -> None:
    silent = lost(empty(shown(5, desired=3), op_id=OP, now=NOW), now=NOW, look_after_s=0)
    done = known(seen(silent, 5, terms=QUEUEING).listing, QUEUEING)
    assert (done.verdict, done.drift) == (Verdict.ANCHORED, None)
    assert done.listing.sent_version == 0, "it is written again"


# A channel that sells by itself, every order of posting, every fate of the write.

changes = st.lists(st.sampled_from([1, 1, -1]), max_size=6)


@given(
    st.integers(0, 6),
    st.integers(0, 6),
    changes,
    st.lists(st.integers(0, 6), min_size=4, max_size=4),
    st.booleans(),
    st.sampled_from([COMPARING, QUEUEING]),
    st.booleans(),
)
def test_what_can_still_be_sold_never_exceeds_the_rights(  # a whole history
    units: int, desired: int, events: list[int], at: list[int], is_written: bool, terms: Terms, is_empty: bool
) -> None:
    """Events happen at the channel in order; the engine posts them in order, later. The write is applied, or not, in
    between; the listing is read, and weighed once all events from before the reading have been posted.
    """
    applied_at, read_at, asked_at, more = (min(place, len(events)) for place in at)
    read_at, asked_at = max(applied_at, read_at), min(asked_at, max(applied_at, read_at))
    weighed_at = min(len(events), read_at + more)
    start = shown(units, desired=0 if is_empty else desired)
    compared = terms is COMPARING
    assume(desired != units or is_empty)
    if compared:
        listing = lost(intend(start, op_id=OP, now=NOW), now=NOW, look_after_s=0)
    else:
        decide = empty if is_empty else intend
        extra = {} if is_empty else {"is_compared": False, "is_strict": True}
        listing = answered(decide(start, op_id=OP, now=NOW, **extra), now=NOW, look_after_s=0)
    write = listing.operation
    assert write is not None
    true, reading = units, None
    for place, event in enumerate([*events, 0]):
        if place == applied_at and is_written and (not compared or true == write.expected):
            true = write.units
        if place == read_at:
            reading = true
        if event > 0:
            assume(true >= event)
        true -= event
    assert reading is not None
    listing = posted(listing, *events[:asked_at])
    found = seen(listing, reading, terms=terms)
    listing = posted(found.listing, *events[asked_at:weighed_at])
    if listing.suspicion is not None:
        listing = known(listing, terms).listing
    unseen = sum(events[weighed_at:])
    assert listing.rights is not None
    assert true + unseen <= listing.rights
