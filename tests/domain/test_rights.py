"""Shares of a guarded SKU, and the way to them: never more than there is, and nothing left lying."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.listing import Listing, Suspicion
from oneshelf.domain.rights import Free, Mode, Seller, Standing, desired, is_guarded, scarcest, split

MUG, LID = Sku("MUG"), Sku("LID")
OPEN, WAITING, SHUT = Standing.OPEN, Standing.WAITING, Standing.SHUT


def seller(rights: int, *, cap: int = 1000, standing: Standing = OPEN, suspense: int = 0, **more: object) -> Seller:
    given: dict[str, object] = {"needs": {MUG: 1}, "weight": Fraction(1), **more}
    return Seller(rights=rights, in_suspense=suspense, cap=cap, standing=standing, **given)  # type: ignore[arg-type]  # keywords of several types


def test_a_pool_is_cut_to_its_shares_at_once_and_nothing_is_raised_meanwhile() -> None:
    assert desired({"a": seller(10), "b": seller(10)}, {MUG: 10}) == {"a": 5, "b": 5}
    assert desired({"a": seller(10), "b": seller(2)}, {MUG: 10}) == {"a": 5, "b": 2}, "b waits for the cut of a"


def test_what_a_cut_has_freed_is_given_to_who_lacks_it() -> None:
    assert desired({"a": seller(5), "b": seller(2)}, {MUG: 10}) == {"a": 5, "b": 5}


def test_a_listing_that_sells_nothing_gets_its_unit_from_one_that_has_several() -> None:
    assert desired({"a": seller(2), "b": seller(0)}, {MUG: 2}) == {"a": 1, "b": 0}
    assert desired({"a": seller(1), "b": seller(0)}, {MUG: 2}) == {"a": 1, "b": 1}


def test_the_last_unit_stays_where_it_is() -> None:
    assert desired({"a": seller(0), "b": seller(1)}, {MUG: 1}) == {"a": 0, "b": 1}


def test_what_an_old_reading_showed_pays_for_no_raise() -> None:
    """It shows 1, and a reading from before its cut showed 2: two listings may sell 3 units, and there are 2."""
    now = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    doubted = Listing(
        channel=Channel("shop"),
        channel_sku=ChannelSku("1"),
        sku=MUG,
        desired_units=2,
        base_units=1,
        suspicion=Suspicion(units=2, belief=1, net=0, seen_at=now),
        next_at=now,
    )

    def written(listing: Listing, free: int) -> Listing | None:
        room = Free({listing.channel_sku: {MUG: 1}}, {MUG: free})
        return room.intend(listing, op_id=UUID(int=1), now=now, is_compared=True)

    assert written(doubted, -1) is None
    assert written(doubted, 0) is not None, "nobody else may sell what the reading showed"
    assert written(replace(doubted, desired_units=0), -1) is not None, "a cut is always safe"


def test_small_differences_are_left_alone() -> None:
    assert desired({"a": seller(6), "b": seller(4)}, {MUG: 10}) == {"a": 6, "b": 4}


def test_a_write_in_flight_keeps_what_it_may_have_granted() -> None:
    assert desired({"a": seller(7, standing=WAITING), "b": seller(0)}, {MUG: 10}) == {"b": 3}


def test_the_share_of_a_listing_that_is_being_emptied_is_kept_for_it() -> None:
    """Or the others would take it, and give it back once it is empty, and so on for ever."""
    assert desired({"a": seller(3, standing=WAITING, is_blind=True), "b": seller(17)}, {MUG: 33}) == {"b": 17}


def test_units_in_suspense_are_not_sold_a_second_time() -> None:
    assert desired({"a": seller(3, suspense=3), "b": seller(0)}, {MUG: 10}) == {"a": 4, "b": 3}


def test_a_blind_listing_is_not_emptied_for_a_unit() -> None:
    assert desired({"a": seller(5, is_blind=True)}, {MUG: 6}) == {"a": 5}
    assert desired({"a": seller(5, is_blind=True)}, {MUG: 9}) == {"a": 9}


def test_a_bundle_and_its_component_share_what_there_is() -> None:
    bundle = seller(0, needs={MUG: 2, LID: 1})
    figures = desired({"set": bundle, "mug": seller(0)}, {MUG: 9, LID: 3})
    assert figures == {"set": 3, "mug": 3}


def test_nothing_is_left_lying_for_a_pack_that_it_does_not_fill() -> None:
    assert desired({"pack": seller(0, needs={MUG: 4}), "one": seller(0)}, {MUG: 7}) == {"pack": 1, "one": 3}


def test_auto_is_guarded_while_scarce_and_does_not_flap() -> None:
    def auto(available: int, *, was_guarded: bool) -> bool:
        return is_guarded(Mode.AUTO, was_guarded=was_guarded, available=available, threshold=10)

    assert [auto(units, was_guarded=False) for units in (9, 10, 11)] == [True, True, False]
    assert [auto(units, was_guarded=True) for units in (11, 14, 15)] == [True, True, False]


def test_where_a_person_allows_to_be_short_or_a_listing_is_only_watched_auto_bounds_nothing() -> None:
    def bounded(mode: Mode, *, is_tight: bool = False) -> bool:
        return is_guarded(mode, was_guarded=True, available=0, threshold=9, is_exempt=True, is_tight=is_tight)

    assert not bounded(Mode.AUTO)
    assert not bounded(Mode.AUTO, is_tight=True)
    assert bounded(Mode.GUARDED)
    assert bounded(Mode.FROZEN)


def test_plenty_is_scarce_where_a_channel_forgives_no_cancellation() -> None:
    assert is_guarded(Mode.AUTO, was_guarded=False, available=999, threshold=9, is_tight=True)
    assert not is_guarded(Mode.POOLED, was_guarded=False, available=0, threshold=9, is_tight=True)


def test_a_sku_is_as_scarce_as_at_the_place_that_has_the_fewest_but_some() -> None:
    assert scarcest([500, 3, 0]) == 3
    assert scarcest([0, -2]) == 0
    assert scarcest([]) == 0


@given(
    st.integers(0, 300),
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 200)), min_size=1, max_size=5),
)
def test_shares_are_whole_within_caps_and_lose_nothing(units: int, claims: list[tuple[int, int]]) -> None:
    weights = {place: Fraction(weight) for place, (weight, _) in enumerate(claims)}
    caps = {place: cap for place, (_, cap) in enumerate(claims)}
    given_ = split(units, weights, caps)
    assert all(0 <= given_[key] <= caps[key] for key in caps)
    assert sum(given_.values()) == min(units, sum(caps.values()))
    for one in weights:
        for other in weights:
            # Webster: no unit is better placed with another one.
            if given_[one] > 0 and given_[other] < caps[other]:
                assert weights[other] / (2 * given_[other] + 1) <= weights[one] / (2 * given_[one] - 1)


sellers = st.builds(
    seller,
    st.integers(0, 30),
    cap=st.integers(0, 40),
    standing=st.sampled_from([OPEN, OPEN, WAITING, SHUT]),
    needs=st.sampled_from([{MUG: 1}, {MUG: 3}, {LID: 1}, {MUG: 2, LID: 1}]),
    weight=st.integers(1, 5).map(Fraction),
    is_blind=st.booleans(),
)


@given(st.lists(sellers, min_size=1, max_size=5), st.integers(0, 40), st.integers(0, 40))
def test_no_raise_takes_more_than_is_free_and_it_comes_to_rest(all_: list[Seller], mugs: int, lids: int) -> None:
    available = {MUG: mugs, LID: lids}
    now = dict(enumerate(all_))
    for _ in range(12):
        figures = desired(now, available)
        for sku, units in available.items():
            rights = sum(one.rights * one.needs.get(sku, 0) for one in now.values())
            raised = sum(max(0, figures[key] - now[key].shown) * now[key].needs.get(sku, 0) for key in figures)
            assert raised == 0 or rights + raised <= units
        after = {
            key: seller(
                figures.get(key, one.rights),
                cap=one.cap,
                standing=one.standing,
                needs=one.needs,
                weight=one.weight,
                is_blind=one.is_blind,
            )
            for key, one in now.items()
        }
        if after == now:
            break
        now = after
    else:
        raise AssertionError(f"still moving: {now}")


def test_the_last_unit_of_one_sku_does_not_wait_for_a_listing_of_another() -> None:
    compared, blind = seller(5, weight=Fraction(9)), seller(3, weight=Fraction(6), is_blind=True)
    lids = {"full": seller(9, needs={LID: 1}), "empty": seller(0, needs={LID: 1})}
    figures = desired({"compared": compared, "blind": blind, **lids}, {MUG: 9, LID: 9})
    assert (figures["compared"], figures["blind"]) == (6, 3)
    assert figures["full"] < 9, "it is cut for the empty one"


of_mugs = st.builds(
    seller,
    st.integers(0, 9),
    standing=st.sampled_from([OPEN, OPEN, WAITING]),
    weight=st.integers(1, 5).map(Fraction),
    is_blind=st.booleans(),
)


@given(st.lists(of_mugs, min_size=1, max_size=4), st.lists(of_mugs, max_size=4), st.integers(0, 30), st.integers(0, 30))
def test_what_shares_no_unit_is_planned_alike_together_and_apart(
    mugs: list[Seller], others: list[Seller], mug_units: int, lid_units: int
) -> None:
    of_mug = {("mug", place): one for place, one in enumerate(mugs)}
    of_lid = {("lid", place): replace(one, needs={LID: 1}) for place, one in enumerate(others)}
    together = desired({**of_mug, **of_lid}, {MUG: mug_units, LID: lid_units})
    assert together == {**desired(of_mug, {MUG: mug_units}), **desired(of_lid, {LID: lid_units})}
