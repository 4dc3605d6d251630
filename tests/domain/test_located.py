"""A unit that leaves from another location than the channel's is on no shelf here. In doubt it is held here."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from domain.shop import LINKS as LISTINGS
from domain.shop import MUG, NOON, SHOP, assert_sound, figures, shelf
from oneshelf.domain.fulfilment import post_order
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.ledger import Shelf
from oneshelf.domain.order import OrderLine, OrderSnapshot, is_older, located
from oneshelf.errors import MalformedError


def line(units: int = 3, *, elsewhere: int | None = 0, **said: Any) -> OrderLine:
    return OrderLine("l1", ChannelSku("mug"), units, units_elsewhere=elsewhere, **said)


def order(said: OrderLine, version: int = 1) -> OrderSnapshot:
    return OrderSnapshot(SHOP, "o1", f"{version:03}", NOON, False, (said,))


def tell(on: Shelf, *snapshots: OrderSnapshot) -> int:
    """Post as the flow does. By how many units the listing is lower in the end."""
    newest: OrderSnapshot | None = None
    lowered = 0
    for snapshot in snapshots:
        if not is_older(snapshot, newest):
            newest = located(snapshot, newest)
            lowered += sum(post_order(on, newest, LISTINGS).off_listing.values())
    assert_sound(on)
    return lowered


def test_only_what_leaves_from_here_is_held_and_lowers_the_listing() -> None:
    on = shelf(MUG=5)
    assert tell(on, order(line(3, elsewhere=2))) == 1
    assert figures(on) == {"available": 4, "committed": 1}


def test_units_that_are_moved_to_another_location_are_available_again_and_back_they_are_held() -> None:
    on = shelf(MUG=5)
    assert tell(on, order(line(3)), order(line(3, elsewhere=3), 2)) == 0
    assert figures(on) == {"available": 5}
    assert tell(on, order(line(3, elsewhere=3), 2), order(line(3, elsewhere=1), 3)) == 2
    assert figures(on) == {"available": 3, "committed": 2}


def test_what_left_elsewhere_was_never_here() -> None:
    on = shelf(MUG=5)
    told = order(line(3, units_shipped=1, units_shipped_elsewhere=1, elsewhere=1), 2)
    assert tell(on, order(line(3)), told) == 1
    assert figures(on) == {"available": 4}


def test_a_message_that_does_not_tell_from_where_changes_nothing_of_it() -> None:
    on = shelf(MUG=5)
    assert tell(on, order(line(3, elsewhere=2)), order(line(3, elsewhere=None, units_shipped=1), 2)) == 1
    assert figures(on) == {"available": 4}


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ({}, 1),
        ({"units_shipped_elsewhere": 1}, 1),
        ({"units_shipped_elsewhere": 2}, 1),
        ({"units_shipped_elsewhere": 3}, 0),
        ({"units_cancelled": 1}, 1),
        ({"units_cancelled": 2, "units_relisted": 2}, 1),
        ({"units_cancelled": 3}, 0),
        ({"units_shipped": 1}, 0),
        ({"units_shipped": 3}, 0),
    ],
)
def test_in_doubt_what_left_or_was_cancelled_is_what_was_to_leave_elsewhere(said: dict[str, int], held: int) -> None:
    on = shelf(MUG=5)
    tell(on, order(line(3, elsewhere=2)), order(line(3, elsewhere=None, **said), 2))
    assert on.positions(SHOP, "o1", "l1")[0].units_held == held


def test_an_order_that_nobody_told_the_place_of_is_held_here() -> None:
    on = shelf(MUG=5)
    assert tell(on, order(line(3, elsewhere=None))) == 3
    assert figures(on) == {"available": 2, "committed": 3}


def test_any_order_of_arrival_ends_the_same() -> None:
    life = [
        order(line(3, elsewhere=None)),
        order(line(3, elsewhere=2), 2),
        order(line(3, elsewhere=None, units_shipped=1), 3),
        order(line(3, elsewhere=1, units_shipped=1, units_shipped_elsewhere=1), 4),
    ]
    for arrivals in permutations(life):
        on = shelf(MUG=5)
        assert tell(on, *arrivals, *arrivals) == 1
        assert figures(on) == {"available": 4}
        assert on.lines[SHOP, "o1", "l1", MUG].units_shipped == 1


def test_more_than_is_open_cannot_leave_elsewhere() -> None:
    for said in ({"elsewhere": 4}, {"elsewhere": 2, "units_cancelled": 2}, {"units_shipped_elsewhere": -1}):
        with pytest.raises(MalformedError):
            line(3, **said)
