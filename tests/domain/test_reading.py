"""What a reading of a channel's figure means: the heart of "accepted is not applied"."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.domain.drift import Cause
from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.listing import Listing, Phase, Terms, answered, intend, lost
from oneshelf.domain.reading import Verdict, end_suspense, read, rewrite
from oneshelf.domain.weighing import weigh
from oneshelf.errors import InvariantError

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
COMPARING = Terms(is_applied_when_answered=True, apply_s=10, look_again_s=1, copy_s=60, stale_s=0)
QUEUEING = Terms(is_applied_when_answered=False, apply_s=900, look_again_s=30, copy_s=60, stale_s=0)


def idle(**changes: object) -> Listing:
    listing = Listing(
        channel=Channel("shop"),
        channel_sku=ChannelSku("1"),
        sku=Sku("MUG"),
        desired_units=4,
        desired_version=9,
        base_units=10,
        next_at=NOW,
    )
    return replace(listing, **changes)  # type: ignore[arg-type]  # keywords of several types


def sent(listing: Listing) -> Listing:
    return intend(listing, op_id=UUID(int=1), now=NOW)


def accepted(listing: Listing) -> Listing:
    return answered(sent(listing), now=NOW, look_after_s=0)


def test_the_first_reading_waits_for_the_orders_from_before_it_and_the_next_one_anchors() -> None:
    """A sale that we have not heard of is in the first reading already; counting it again would be wrong."""
    seen = read(idle(base_units=None), 12, net_before=0, now=NOW, terms=COMPARING)
    assert seen.verdict is Verdict.SEEN
    assert seen.listing.belief is None
    again = read(seen.listing, 11, net_before=0, now=NOW, terms=COMPARING).listing
    assert again.suspicion == seen.listing.suspicion
    known = weigh(replace(again, net_units=4), recently_sent=(), now=NOW, terms=COMPARING)
    assert known.drift is None
    assert known.listing.look_at == NOW
    done = read(known.listing, 11, net_before=4, now=NOW, terms=COMPARING)
    assert done.verdict is Verdict.ANCHORED
    assert done.listing.belief == 11


def test_a_reading_that_shows_the_written_figure_verifies_it() -> None:
    done = read(accepted(idle()), 4, net_before=0, now=NOW, terms=COMPARING)
    assert done.verdict is Verdict.MATCH
    assert done.listing.phase is Phase.IDLE
    assert (done.listing.verified_units, done.listing.verified_version) == (4, 9)
    assert done.listing.operation is None


def test_the_proof_of_a_write_without_an_answer_is_its_answer() -> None:
    """And not the answer to an earlier one, from before it was sent."""
    earlier = idle(accepted_at=NOW - timedelta(seconds=9))
    later = NOW + timedelta(seconds=70)
    shown = read(lost(sent(earlier), now=NOW, look_after_s=0), 4, net_before=0, now=later, terms=COMPARING).listing
    assert weigh(shown, recently_sent=(), now=later, terms=COMPARING).listing.accepted_at == later
    assert read(accepted(earlier), 4, net_before=0, now=later, terms=COMPARING).listing.accepted_at == NOW


def test_a_reading_that_shows_the_written_figure_less_known_sales_verifies_it() -> None:
    done = read(replace(accepted(idle()), net_units=1), 3, net_before=1, now=NOW, terms=QUEUEING)
    assert done.verdict is Verdict.MATCH
    assert done.listing.belief == 3


def test_a_queued_write_that_does_not_show_yet_is_waited_for() -> None:
    done = read(accepted(idle()), 10, net_before=0, now=NOW + timedelta(seconds=899), terms=QUEUEING)
    assert done.verdict is Verdict.NOT_YET
    assert done.listing.phase is Phase.ACCEPTED
    assert done.drift is None


def test_a_queued_write_that_never_shows_is_a_drift_with_its_cause() -> None:
    done = read(accepted(idle()), 10, net_before=0, now=NOW + timedelta(seconds=900), terms=QUEUEING)
    assert done.verdict is Verdict.LOST_WRITE
    assert done.drift is not None
    assert (done.drift.cause, done.drift.expected_units, done.drift.observed_units) == (Cause.LOST_WRITE, 4, 10)
    assert done.listing.belief == 10, "from now on facts start from what is really there"
    assert done.listing.sent_version == 9, "whether it is written again is the resolution's decision"
    assert rewrite(done.listing, now=NOW).sent_version == 0


def test_a_blind_write_that_crossed_a_sale_is_written_again_without_an_alarm() -> None:
    crossed = replace(accepted(idle()), net_units=1)
    done = read(crossed, 4, net_before=1, now=NOW, terms=QUEUEING)
    assert done.verdict is Verdict.CROSSED_WRITE
    assert done.drift is None
    assert done.listing.belief == 4
    assert done.listing.sent_version == 0


def test_a_sale_that_a_blind_write_had_overwritten_is_noticed_when_its_order_comes() -> None:
    """Verified at 4; then the order of a unit that was sold before the write was applied. The channel still shows 4."""
    verified = read(accepted(idle()), 4, net_before=0, now=NOW, terms=QUEUEING).listing
    done = read(replace(verified, net_units=1), 4, net_before=1, now=NOW, terms=QUEUEING)
    assert done.verdict is Verdict.CROSSED_WRITE
    assert done.drift is None
    assert done.listing.sent_version == 0
    same_at_a_comparing_channel = read(replace(verified, net_units=1), 4, net_before=1, now=NOW, terms=COMPARING)
    assert same_at_a_comparing_channel.verdict is Verdict.UNEXPLAINED


def test_a_cancellation_that_a_blind_write_overwrote_is_raised_again_only_when_all_orders_are_known() -> None:
    """Written 6, and two units cancelled meanwhile should make it 8. A fall may always be a sale that we cannot see."""
    crossed = replace(accepted(idle(desired_units=6, base_units=7)), net_units=-2)
    done = read(crossed, 6, net_before=-2, now=NOW, terms=QUEUEING)
    assert done.verdict is Verdict.UNEXPLAINED
    weighed = weigh(done.listing, recently_sent=(), now=NOW, terms=QUEUEING)
    assert weighed.verdict is Verdict.CROSSED_WRITE
    assert weighed.drift is None
    assert weighed.listing.belief == 6
    assert weighed.listing.sent_version == 0


@pytest.mark.parametrize("terms", [COMPARING, QUEUEING])
def test_orders_posted_while_the_channel_was_asked_raise_no_suspicion(terms: Terms) -> None:
    """The channel was asked when it still showed 10; a sale was posted before its answer was."""
    done = read(idle(net_units=1), 10, net_before=0, now=NOW, terms=terms)
    assert done.verdict is Verdict.NOT_YET
    assert done.listing.suspicion is None


@pytest.mark.parametrize("shown", [7, 13])
def test_a_figure_that_facts_do_not_explain_is_a_suspicion_first_and_no_drift(shown: int) -> None:
    done = read(idle(), shown, net_before=0, now=NOW, terms=COMPARING)
    assert done.verdict is Verdict.UNEXPLAINED
    assert done.drift is None
    assert done.listing.suspicion is not None
    assert not done.listing.shows_what_is_desired


def test_a_suspicion_is_cleared_when_an_order_explains_it() -> None:
    suspected = read(idle(), 7, net_before=0, now=NOW, terms=COMPARING).listing
    done = weigh(replace(suspected, net_units=3), recently_sent=(), now=NOW, terms=COMPARING)
    assert done.drift is None
    assert done.listing.suspicion is None
    assert done.listing.look_at == NOW


@pytest.mark.parametrize("shown", [8, 9, 10])
def test_an_order_that_was_cancelled_before_anybody_heard_of_it_explains_what_was_lower_meanwhile(shown: int) -> None:
    """It has changed nothing in the end, but its units were off the figure when the channel was asked."""
    suspected = replace(read(idle(), 8, net_before=0, now=NOW, terms=COMPARING).listing, net_units=0, turnover_units=4)
    assert suspected.suspicion is not None
    seen = replace(suspected, suspicion=replace(suspected.suspicion, units=shown))
    done = weigh(seen, recently_sent=(), now=NOW, terms=COMPARING)
    assert (done.drift, done.listing.belief, done.listing.suspense_units) == (None, 10, 0)
    assert done.listing.look_at == NOW, "what it shows now is read at once"
    lower = replace(suspected, suspicion=replace(suspected.suspicion, units=7))
    assert weigh(lower, recently_sent=(), now=NOW, terms=COMPARING).drift is not None


@pytest.mark.parametrize("sold_since", [0, 2])
def test_a_rise_that_no_cancellation_explains_is_somebodys_edit(sold_since: int) -> None:
    suspected = read(idle(), 13, net_before=0, now=NOW, terms=COMPARING).listing
    done = weigh(replace(suspected, net_units=sold_since), recently_sent=(), now=NOW, terms=COMPARING)
    assert done.drift is not None
    assert (done.drift.cause, done.drift.expected_units, done.drift.observed_units) == (Cause.FOREIGN_EDIT, 10, 13)
    assert done.listing.belief == 13, "the orders may have been in the reading"
    assert done.listing.suspense_units == 0


@pytest.mark.parametrize(("sold_since", "expected"), [(0, 10), (2, 8)])
def test_a_fall_that_no_order_explains_is_held_in_suspense(sold_since: int, expected: int) -> None:
    suspected = read(idle(), 7, net_before=0, now=NOW, terms=COMPARING).listing
    done = weigh(replace(suspected, net_units=sold_since), recently_sent=(), now=NOW, terms=COMPARING)
    assert done.drift is not None
    assert (done.drift.cause, done.drift.expected_units, done.drift.observed_units) == (Cause.UNKNOWN, expected, 7)
    assert done.listing.suspense_units == expected - 7
    assert end_suspense(done.listing).suspense_units == 0


def test_a_suspicion_during_a_queued_write_that_shows_the_old_figure_is_a_lost_write() -> None:
    late = NOW + timedelta(seconds=900)
    suspected = read(accepted(idle(desired_units=2)), 9, net_before=0, now=late, terms=QUEUEING).listing
    done = weigh(replace(suspected, net_units=1), recently_sent=(), now=late, terms=QUEUEING)
    assert done.drift is not None
    assert done.drift.cause is Cause.LOST_WRITE


@pytest.mark.parametrize("changes_since", [0, 2, -2])
def test_a_fall_takes_nothing_from_what_can_still_be_sold(changes_since: int) -> None:
    """A seller types 9 for 10, and two units are sold: 7 are read, and 7 can be sold. The orders are posted then."""
    suspected = read(idle(), 7, net_before=0, now=NOW, terms=COMPARING).listing
    done = weigh(replace(suspected, net_units=changes_since), recently_sent=(), now=NOW, terms=COMPARING).listing
    assert done.rights == 10 - changes_since
    assert end_suspense(done).rights == 7 + max(0, -changes_since)
    assert done.look_at is not None, "a second reading has to tell"


def test_units_that_were_held_back_and_come_to_light_are_on_sale_and_no_edit() -> None:
    held = idle(base_units=7, suspense_units=3)
    suspected = read(held, 9, net_before=0, now=NOW, terms=COMPARING).listing
    done = weigh(suspected, recently_sent=(), now=NOW, terms=COMPARING)
    assert done.drift is None
    assert (done.listing.belief, done.listing.suspense_units, done.listing.rights) == (9, 1, 10)


@pytest.mark.parametrize("known_since", [0, 1])
def test_an_old_reading_does_not_take_back_what_a_write_was_answered_with(known_since: int) -> None:
    """Raised from 2 to 5 and answered; a reading is from before that. Whoever believes it offers three units twice."""
    raised = accepted(idle(base_units=2, desired_units=5))
    suspected = read(raised, 2, net_before=0, now=NOW, terms=COMPARING).listing
    done = weigh(replace(suspected, net_units=known_since), recently_sent=(), now=NOW, terms=COMPARING)
    assert done.listing.rights == 5 - known_since
    assert done.listing.look_at is not None, "a second reading has to tell"


def test_an_old_reading_does_not_take_back_a_cancellation() -> None:
    """The channel has put a cancelled unit back on sale by itself; the reading is from before that."""
    stale = replace(QUEUEING, stale_s=60)
    cancelled = idle(base_units=3, net_units=-1, turnover_units=1, turnover_at=NOW)
    again = read(cancelled, 3, net_before=-1, now=NOW + timedelta(seconds=59), terms=stale)
    assert again.verdict is Verdict.NOT_YET
    assert again.listing.suspicion is None
    assert again.listing.rights == 4
    sure = read(cancelled, 3, net_before=-1, now=NOW + timedelta(seconds=60), terms=stale)
    assert sure.verdict is Verdict.UNEXPLAINED


def test_an_older_write_that_is_applied_after_a_newer_one_is_told_from_an_edit() -> None:
    suspected = read(idle(), 13, net_before=0, now=NOW, terms=QUEUEING).listing
    causes = {
        sent: weigh(suspected, recently_sent=sent, now=NOW, terms=QUEUEING).drift for sent in [(13, 10), (12, 10)]
    }
    assert [drift.cause for drift in causes.values() if drift] == [Cause.LATE_WRITE, Cause.FOREIGN_EDIT]


def test_a_rise_while_a_write_is_under_way_is_nobodys_edit() -> None:
    """Two were sold before a zero that buried them, heard of after it, and cancelled: the channel shows two again."""
    late = NOW + timedelta(seconds=901)
    emptied = replace(accepted(idle(desired_units=0, base_units=4)), net_units=1, turnover_units=5)
    suspected = read(emptied, 6, net_before=1, now=late, terms=QUEUEING, turnover_before=5).listing
    done = weigh(suspected, recently_sent=(0, 4), now=late, terms=QUEUEING)
    assert done.drift is not None
    assert (done.drift.cause, done.drift.observed_units, done.listing.belief) == (Cause.UNKNOWN, 6, 6)
    applied = read(accepted(idle(base_units=10)), 13, net_before=0, now=late, terms=COMPARING).listing
    edited = weigh(applied, recently_sent=(), now=late, terms=COMPARING).drift
    assert edited is not None, "the channel has answered what it shows"
    assert edited.cause is Cause.FOREIGN_EDIT


def test_an_order_that_the_last_reading_had_in_it_already_does_not_hide_a_lost_write() -> None:
    """3 was adopted with a cancellation in it that no order had told; it came later and was counted again."""
    late = NOW + timedelta(seconds=900)
    listing = replace(accepted(idle(desired_units=0, base_units=3)), net_units=-1)
    assert read(listing, 3, net_before=-1, now=late, terms=QUEUEING).verdict is Verdict.LOST_WRITE


def test_a_later_match_takes_the_suspicion_back() -> None:
    suspected = read(idle(), 7, net_before=0, now=NOW, terms=COMPARING).listing
    done = read(replace(suspected, net_units=3), 7, net_before=3, now=NOW, terms=COMPARING)
    assert done.verdict is Verdict.MATCH
    assert done.listing.suspicion is None


def test_only_a_suspicion_can_be_weighed() -> None:
    with pytest.raises(InvariantError):
        weigh(idle(), recently_sent=(), now=NOW, terms=COMPARING)


@given(
    base=st.integers(0, 50),
    desired=st.integers(0, 50),
    own_sales=st.integers(0, 5),
    shown=st.integers(0, 60),
    asked_before=st.booleans(),
    is_accepted=st.booleans(),
    queueing=st.booleans(),
    age_s=st.integers(0, 2000),
)
def test_a_reading_never_breaks_the_books_of_a_listing(
    base: int,
    desired: int,
    own_sales: int,
    shown: int,
    asked_before: bool,
    is_accepted: bool,
    queueing: bool,
    age_s: int,
) -> None:
    """Whatever is read: verified means that belief and reading agree, and a drift's figures differ."""
    listing = idle(base_units=base, desired_units=desired)
    listing = replace(accepted(listing) if is_accepted else listing, net_units=own_sales)
    done = read(
        listing,
        shown,
        net_before=0 if asked_before else own_sales,
        now=NOW + timedelta(seconds=age_s),
        terms=QUEUEING if queueing else COMPARING,
    )
    if done.verdict is Verdict.MATCH:
        assert done.listing.belief == shown == done.listing.verified_units
    if done.drift is not None:
        assert done.drift.expected_units != done.drift.observed_units
    if done.listing.phase is Phase.IDLE:
        assert done.listing.operation is None
