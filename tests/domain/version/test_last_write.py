"""The newest stamp stands, in whatever order the writes are told."""

from __future__ import annotations

import pytest

from domain.version.laws import holds, is_broken, merge_law
from domain.version.strategies import DOTS, randoms, rows, stamp_of
from oneshelf.domain.version.context import Dot
from oneshelf.domain.version.hybrid_clock import HybridClock, Stamp
from oneshelf.domain.version.last_write import LastWrite

writes = rows(54, 6, 4, most=6).map(
    lambda drawn: [LastWrite(stamp_of(stamp), DOTS[at], units) for stamp, at, units in drawn]
)
FIRST = LastWrite(Stamp(-1), DOTS[0], 0)


@pytest.mark.long
def test_any_order_duplication_and_batching_ends_the_same() -> None:
    holds(merge_law(FIRST, LastWrite.merge, LastWrite.merge), writes, randoms)


def test_a_merge_by_the_stamp_alone_is_caught() -> None:
    def wrong(one: LastWrite, two: LastWrite) -> LastWrite:
        return max(one, two, key=lambda write: write.stamp)

    is_broken(merge_law(FIRST, wrong, wrong), writes, randoms)


def test_a_merge_by_arrival_is_caught() -> None:
    def wrong(_: LastWrite, two: LastWrite) -> LastWrite:
        return two

    is_broken(merge_law(FIRST, wrong, wrong), writes, randoms)


def test_a_fast_clock_on_the_wall_buries_what_was_written_later_and_a_hybrid_clock_does_not() -> None:
    """The ERP's clock is 400 ms fast. It writes 10; the shop reads that and writes 4 a moment later."""
    ten = LastWrite(Stamp(1_400, 0, "erp"), Dot("erp", 1), 10)
    on_the_wall = LastWrite(Stamp(1_001, 0, "shop"), Dot("shop", 1), 4)
    assert ten.merge(on_the_wall).units == 10
    heard = HybridClock("shop").receive(ten.stamp, 1_000)
    assert isinstance(heard, HybridClock)
    assert ten.merge(LastWrite(heard.tick(1_001).last, Dot("shop", 1), 4)).units == 4


def test_one_of_two_writes_at_the_same_time_is_lost() -> None:
    """Both had read 10 and sold one: 9 stands, and 8 is true."""
    erp = LastWrite(Stamp(1_000, 0, "erp"), Dot("erp", 1), 9)
    shop = LastWrite(Stamp(1_000, 0, "shop"), Dot("shop", 1), 9)
    assert erp.merge(shop).units == 9
