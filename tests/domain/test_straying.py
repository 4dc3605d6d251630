"""A ledger that follows a channel takes what was typed there, to the unit, whatever else goes on at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from oneshelf.domain import straying
from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.listing import Listing, Phase, Terms, answered, declined, intend, lost
from oneshelf.domain.reading import Verdict, end_suspense, read
from oneshelf.domain.weighing import weigh

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
STALE_S = 2
COMPARING = Terms(is_applied_when_answered=True, apply_s=10, look_again_s=1, copy_s=3, stale_s=STALE_S)
START = 10


def idle(**changes: object) -> Listing:
    listing = Listing(
        channel=Channel("shop"),
        channel_sku=ChannelSku("1"),
        sku=Sku("MUG"),
        desired_units=START,
        desired_version=1,
        base_units=START,
        next_at=NOW,
    )
    return replace(listing, **changes)  # type: ignore[arg-type]  # keywords of several types


@dataclass
class Shop:
    """A channel with one listing, and what the engine makes of it: by its rules, with the time of a person's watch."""

    listing: Listing = field(default_factory=idle)
    shown: int = START
    before: int = START
    now: datetime = NOW
    changed_at: datetime = NOW - timedelta(seconds=60)
    unheard: list[int] = field(default_factory=list)
    placed_at: list[datetime] = field(default_factory=list)
    typed: int = 0
    taken: int = 0
    proofs: int = 0
    is_typed_since: bool = False

    @property
    def is_certain(self) -> bool:
        return self.listing.belief is not None and self.listing.doubt is None

    def moves(self, units: int) -> None:
        self.before = self.shown if self.now > self.changed_at else self.before
        self.shown, self.changed_at = units, self.now

    def types(self, by: int) -> None:
        """Not while a write has no answer, or the belief is in doubt: what it starts from then nobody can tell."""
        if self.listing.phase is not Phase.UNKNOWN and self.is_certain:
            self.typed += by
            self.is_typed_since = True
            self.moves(self.shown + by)

    def sells(self, units: int) -> None:
        """Below zero: an order is cancelled, and its units are on sale again."""
        self.unheard.append(units)
        self.placed_at.append(self.now)
        self.moves(self.shown - units)

    def hears(self) -> None:
        """What `storage.listings.add_net` does with an order."""
        if not self.unheard:
            return
        units, listing = self.unheard.pop(0), self.listing
        self.placed_at.pop(0)
        explained = min(max(units, 0), listing.suspense_units)
        operation = listing.operation
        self.listing = replace(
            listing,
            net_units=listing.net_units + units,
            turnover_units=listing.turnover_units + abs(units),
            turnover_at=self.now,
            base_net=listing.base_net + explained,
            operation=operation and replace(operation, net=operation.net + explained),
            suspense_units=listing.suspense_units - explained,
        )

    def writes(self, units: int, *, is_answered: bool) -> None:
        """It is applied where the channel shows what is believed, and only there."""
        listing = self.listing
        if listing.phase not in {Phase.IDLE, Phase.ACCEPTED} or listing.suspicion or (listing.belief or 0) < 0:
            return
        if listing.belief is None:
            return
        if not is_answered and (self.is_typed_since or self.unheard):
            return
        wanted = replace(listing, desired_units=units, desired_version=listing.desired_version + 1)
        sent = intend(wanted, op_id=UUID(int=1), now=self.now)
        is_applied = self.shown == listing.belief
        if is_applied:
            self.moves(units)
        if not is_answered:
            self.listing = lost(sent, now=self.now, look_after_s=0)
        elif is_applied:
            self.listing = answered(sent, now=self.now, look_after_s=0)
        else:
            self.listing = declined(sent, now=self.now, retry_after_s=0)

    def reads(self, *, is_old: bool) -> None:
        may_be_old = is_old and self.now - self.changed_at < timedelta(seconds=STALE_S)
        listing = self.listing
        done = read(
            listing,
            self.before if may_be_old else self.shown,
            net_before=listing.net_units,
            turnover_before=listing.turnover_units,
            now=self.now,
            terms=COMPARING,
        )
        self.listing = done.listing
        if done.verdict is Verdict.MATCH and not may_be_old and self.is_certain:
            self.is_typed_since = self.is_typed_since and bool(self.unheard)
            self.proofs += 1
            assert self.taken + self.listing.stray_units == self.typed - sum(self.unheard)

    def weighs(self) -> None:
        """A write without an answer is settled once every order is known; so is anything else, as far as we know."""
        if self.listing.suspicion is None or self.listing.phase is Phase.SENDING:
            return
        seen_at = self.listing.suspicion.seen_at
        while self.unheard and (
            self.listing.phase is Phase.UNKNOWN or (not self.is_certain and self.placed_at[0] <= seen_at)
        ):
            self.hears()
        self.listing = weigh(self.listing, recently_sent=(), now=self.now, terms=COMPARING).listing

    def takes(self, units: int | None) -> None:
        """The ledger takes what has strayed, or a figure that it had begun with; not while a write is under way, or in
        doubt."""
        if self.listing.phase is not Phase.IDLE or not self.is_certain:
            return
        wanted = self.listing.stray_units if units is None else units
        self.taken += wanted
        self.listing = straying.taken(self.listing, wanted)

    def comes_to_rest(self) -> None:
        for _ in range(12):
            self.now += timedelta(seconds=10)
            while self.unheard:
                self.hears()
            self.reads(is_old=False)
            self.weighs()


ACTS = st.one_of(
    st.tuples(st.just("types"), st.integers(-4, 6)),
    st.tuples(st.just("sells"), st.integers(-2, 3)),
    st.tuples(st.just("writes"), st.integers(0, 15)),
    st.tuples(st.just("loses"), st.integers(0, 15)),
    st.tuples(st.just("takes"), st.one_of(st.none(), st.integers(-3, 3))),
    st.tuples(st.sampled_from(["hears", "reads", "reads old", "weighs", "waits"]), st.just(0)),
)


@pytest.mark.long
@settings(max_examples=600)
@given(st.lists(ACTS, max_size=40))
def test_what_was_typed_is_taken_to_the_unit_whatever_else_goes_on(acts: Sequence[tuple[str, int | None]]) -> None:
    """Edits and sales cross, orders are heard late, readings are old, writes are refused or lose their answer, and what
    the ledger has taken was too much or too little: in the end it has what was typed."""
    _acts(Shop(), acts)


@pytest.mark.long
@settings(max_examples=600)
@given(st.booleans(), st.lists(ACTS, max_size=40))
def test_orders_that_the_first_anchor_had_in_it_are_not_taken_for_figures(
    is_anchored: bool, acts: Sequence[tuple[str, int | None]]
) -> None:
    """At first nothing is believed, or what a reading showed that had an order in it of which nobody had heard: what is
    typed once a reading has shown the belief beyond doubt is taken, and nothing else."""
    _acts(_in_doubt() if is_anchored else Shop(listing=idle(base_units=None)), acts)


def test_an_order_heard_after_the_first_anchor_was_in_it() -> None:
    """The belief is one too low, and nobody has typed."""
    shop = _in_doubt()
    shop.hears()
    assert (shop.listing.belief, shop.shown) == (START - 3, START - 2)
    shop.comes_to_rest()
    assert (shop.listing.belief, shop.listing.stray_units, shop.listing.doubt) == (shop.shown, 0, None)


def _in_doubt() -> Shop:
    """Sold, read, heard; sold again, and read."""
    shop = Shop(listing=idle(base_units=None))
    for act in (_sell, _read, Shop.weighs, _sell, _read):
        shop.now += timedelta(seconds=3)
        act(shop)
    return shop


def _sell(shop: Shop) -> None:
    shop.sells(1)


def _read(shop: Shop) -> None:
    shop.reads(is_old=False)


def _acts(shop: Shop, acts: Sequence[tuple[str, int | None]]) -> None:
    for act, units in acts:
        shop.now += timedelta(seconds=1)
        match act:
            case "types":
                shop.types(units or 0)
            case "sells" if units:
                shop.sells(units)
            case "writes" | "loses":
                shop.writes(units or 0, is_answered=act == "writes")
            case "takes":
                shop.takes(units)
            case "hears":
                shop.hears()
            case "reads" | "reads old":
                shop.reads(is_old=act == "reads old")
            case "weighs":
                shop.weighs()
            case _:
                pass
    shop.comes_to_rest()
    assert (shop.listing.belief, shop.listing.phase) == (shop.shown, Phase.IDLE)
    shop.takes(None)
    event(f"typed {shop.typed != 0}, proved {min(shop.proofs, 9)}")
    assert (shop.taken, shop.listing.stray_units) == (shop.typed, 0)


@pytest.mark.parametrize(("first", "second"), [(3, -5), (-5, 3), (4, 2), (-2, -3)])
def test_two_edits_before_the_first_is_taken_are_both_taken(first: int, second: int) -> None:
    shop = Shop()
    for by in (first, second):
        shop.types(by)
        shop.now += timedelta(seconds=20)
        shop.reads(is_old=False)
        shop.weighs()
    assert shop.listing.stray_units == first + second


def test_what_an_old_reading_shows_is_taken_only_when_a_newer_one_shows_it_too() -> None:
    shop = Shop()
    shop.writes(4, is_answered=True)
    shop.now += timedelta(seconds=1)
    shop.reads(is_old=True)
    shop.weighs()
    assert shop.listing.stray_units == START - 4
    assert not straying.may_be_taken(shop.listing)
    again = straying.looked_at_again(shop.listing, now=shop.now, terms=COMPARING)
    assert again.look_at == shop.now + timedelta(seconds=STALE_S)
    shop.comes_to_rest()
    assert (shop.listing.stray_units, straying.may_be_taken(shop.listing)) == (0, True)


def test_a_second_reading_is_no_proof_where_it_may_be_as_old_as_the_first() -> None:
    strayed = idle(risen_units=3, strayed_at=NOW)
    early = read(strayed, START, net_before=0, now=NOW + timedelta(seconds=1), terms=COMPARING).listing
    assert not straying.may_be_taken(early)
    assert straying.may_be_taken(
        read(early, START, net_before=0, now=NOW + timedelta(seconds=STALE_S), terms=COMPARING).listing
    )


def test_of_a_figure_typed_while_a_write_has_no_answer_rather_too_little_is_taken() -> None:
    """It was 10 and was to be 4; 7 are shown. Three fewer than before, or three more than written: nobody can tell."""
    shop = Shop()
    shop.writes(4, is_answered=False)
    shop.moves(7)
    shop.typed = -3
    shop.comes_to_rest()
    assert shop.listing.stray_units == -3


def test_what_is_written_over_is_nobodys() -> None:
    assert end_suspense(idle(risen_units=3, suspense_units=1, strayed_at=NOW)) == idle()


@pytest.mark.parametrize(("units", "left"), [(2, -1), (5, 2), (-1, -4)])
def test_what_the_ledger_has_moved_to_another_state_is_not_taken_as_well(units: int, left: int) -> None:
    assert straying.moved(idle(suspense_units=3), units).stray_units == left
