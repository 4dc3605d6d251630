"""When so much changes that a person has to look first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oneshelf.domain.breaker import (
    BY_HAND,
    Change,
    Figures,
    HoldReason,
    Limits,
    in_words,
    is_truncated,
    limits_from,
    reason_to_hold,
)
from oneshelf.domain.movement import Reason
from oneshelf.errors import MalformedError
from oneshelf.storage import migrate

USUAL = Limits()


def figures(*, shown: int = 0, linked: int = 0, zeroed: int = 0, changed: int = 0) -> Figures:
    return Figures(shown=shown, linked=linked, zeroed=zeroed, changed=changed)


def change(
    *, shown: int = 12, desired: int = 0, sent: int | None = 12, hand: int = 0, trade: int = 0, **said: bool
) -> Change:
    return Change(
        shown_units=shown,
        desired_units=desired,
        sent_units=sent,
        is_released=said.get("is_released", False),
        is_signed_off=said.get("is_signed_off", False),
        hand_units=hand,
        trade_count=trade,
    )


@pytest.mark.parametrize(
    ("counted", "reason"),
    [
        (figures(shown=40, linked=40, zeroed=9, changed=9), None),  # fewer than ten
        (figures(shown=50, linked=50, zeroed=10, changed=10), None),  # no more than a fifth
        (figures(shown=49, linked=49, zeroed=10, changed=10), HoldReason.ZEROED),
        (figures(shown=10, linked=900, zeroed=10, changed=10), HoldReason.ZEROED),
        (figures(shown=100, linked=100, zeroed=0, changed=50), None),  # no more than half
        (figures(shown=99, linked=99, zeroed=0, changed=50), HoldReason.CHANGED),
        (figures(shown=49, linked=49, zeroed=0, changed=49), None),  # fewer than fifty
        (figures(), None),
    ],
)
def test_a_channel_is_held_beyond_a_share_and_a_least_number(counted: Figures, reason: HoldReason | None) -> None:
    assert reason_to_hold(counted, USUAL) is reason


def test_a_sale_is_no_business_of_the_breaker() -> None:
    assert not change(trade=3).is_by_hand
    assert change(trade=3).passes_a_hold


def test_a_count_is() -> None:
    assert change(hand=12).is_by_hand
    assert not change(hand=12).passes_a_hold


def test_so_is_a_change_that_no_movement_explains() -> None:
    """A link, a policy, units in suspense."""
    assert change().is_by_hand


def test_what_was_taken_back_is_not() -> None:
    assert not change(desired=12, hand=0, trade=0).is_by_hand
    assert not change(desired=10, hand=0, trade=2).is_by_hand


def test_what_a_person_let_go_is_not() -> None:
    assert not change(hand=12, is_released=True).is_by_hand


def test_a_first_figure_counts_only_where_it_ends_the_sale_unasked() -> None:
    assert change(sent=None).is_by_hand
    assert not change(sent=None, is_signed_off=True).is_by_hand
    assert not change(sent=None, desired=3).is_by_hand


def test_a_figure_that_is_written_again_is_not_counted() -> None:
    """Somebody raised it at the channel; ours is what it was."""
    assert not change(shown=12, desired=0, sent=0).is_by_hand


def test_shares_of_a_guarded_sku_move_without_anybody_doing_anything() -> None:
    share = Change(
        shown_units=3, desired_units=0, sent_units=3, is_released=False, is_signed_off=False, hand_units=0,
        trade_count=0, is_shared=True,
    )  # fmt: skip
    assert not share.is_by_hand
    assert share.passes_a_hold


def test_no_raise_passes_a_hold() -> None:
    assert not change(shown=5, desired=7, trade=1).passes_a_hold


@pytest.mark.parametrize(
    ("seen", "before", "truncated"), [(0, 400, True), (199, 400, True), (200, 400, False), (0, 9, False), (1, 0, False)]
)
def test_a_sweep_that_sees_less_than_half_is_truncated(seen: int, before: int, truncated: bool) -> None:
    assert is_truncated(seen=seen, before=before, limits=USUAL) is truncated


def test_limits_are_named_and_make_sense() -> None:
    assert limits_from({"zero_least": 3.0}) == Limits(zero_least=3)
    for wrong in ({"zero": 1.0}, {"zero_share": 1.1}, {"window_s": -1.0}):
        with pytest.raises(MalformedError):
            limits_from(wrong)


def test_every_reason_is_told_with_its_figures() -> None:
    told = {"shown": 40, "linked": 50, "zeroed": 30, "changed": 31, "seen": 3, "before": 60}
    assert in_words(HoldReason.ZEROED, told) == "30 of 40 listings that sell something would show 0"
    assert in_words(HoldReason.CHANGED, told) == "31 of 50 listings would change without any order"
    assert in_words(HoldReason.TRUNCATED, told) == "the channel shows 3 listings, and showed 60 before"


def test_the_index_and_the_statements_know_the_same_reasons() -> None:
    trade = {
        *(Reason.PENDING, Reason.COMMITTED, Reason.CANCELLED, Reason.SHIPPED, Reason.SHORTAGE_FILLED),
        *(Reason.RESERVED, Reason.RELEASED, Reason.EXPIRED, Reason.RETURNED),
        *(Reason.LOST_IN_TRANSIT, Reason.SHIPPED_UNCOUNTED),  # touch nothing that is for sale
    }
    assert set(Reason) - trade == BY_HAND
    source = Path(migrate.__file__).parent / "breakers.py"
    [newest] = migrate.MIGRATIONS.glob("*_stock_work.sql")
    for file in (newest, source):
        text = file.read_text(encoding="utf-8")
        listed = text[text.rindex(" reason in (" if file.suffix == ".sql" else '"reason in (') :].split(")")[0]
        assert set(re.findall(r"'(\w+)'", listed)) == {reason.value for reason in BY_HAND}
