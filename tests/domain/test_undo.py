"""The opposite of what a command did, once."""

from __future__ import annotations

from oneshelf.domain.account import StockState
from oneshelf.domain.command import Adjust, CommandKey, Move
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.undo import Deed, keys_of, opposite, to_undo

MUG, BERLIN = Sku("MUG"), Location("BER")


def deed(*, is_undone: bool = False, source: str = "file night/MUG", **changes: int) -> Deed:
    states = {StockState(state): units for state, units in changes.items()}
    return Deed(source=source, sku=MUG, location=BERLIN, reasons=("counted",), changes=states, is_undone=is_undone)


def told(one: Deed) -> list[tuple[str, int, str]]:
    """The opposite in short: what, units, from where to where."""
    return [
        ("adjust", command.delta_units, "")
        if isinstance(command, Adjust)
        else ("move", command.units, f"{command.origin} {command.target}")
        for command in opposite(one)
        if isinstance(command, Adjust | Move)
    ]


def test_what_a_count_took_away_is_found_again() -> None:
    assert told(deed(available=-12)) == [("adjust", 12, "")]


def test_what_a_receipt_brought_is_taken_off() -> None:
    assert told(deed(available=10)) == [("adjust", -10, "")]


def test_promised_units_come_back_as_free_ones_and_go_to_who_waits() -> None:
    assert told(deed(available=-3, committed=-2, reserved=-1)) == [("adjust", 6, "")]


def test_what_lay_in_another_state_goes_back_there() -> None:
    assert told(deed(available=-3, damaged=-2)) == [("adjust", 5, ""), ("move", 2, "available damaged")]


def test_a_move_is_moved_back() -> None:
    assert told(deed(available=-2, damaged=2)) == [("move", 2, "damaged available")]
    assert told(deed(available=2, damaged=-2)) == [("move", 2, "available damaged")]


def test_what_a_count_had_seen_nets_to_nothing() -> None:
    assert told(deed(available=0)) == []
    assert to_undo([deed(available=0)]) == []


def test_the_same_deed_has_the_same_key_and_another_one_another() -> None:
    [first] = opposite(deed(available=-1))
    [again] = opposite(deed(available=-1))
    [other] = opposite(deed(available=-1, source="file night/CAP"))
    assert first == again
    assert first.key != other.key
    assert first.key.key in keys_of(deed(available=-1))
    assert CommandKey(scope="undo", key=first.key.key) == first.key


def test_what_was_undone_is_left_alone() -> None:
    assert to_undo([deed(available=-1, is_undone=True)]) == []
