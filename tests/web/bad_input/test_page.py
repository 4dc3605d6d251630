"""The page about bad input says what the tests hold, and no row is left without one."""

from __future__ import annotations

from web.bad_input.page import PAGE, held, missing, page
from web.bad_input.rows import ROWS

# Rows about what is not there yet; the reason stands in the row.
NOTHING_TO_ASK = {"43", "52", "53", "54"}


def test_every_row_has_a_test_or_a_reason() -> None:
    tests = held()
    assert set(tests) <= set(ROWS)
    without = {number for number, row in ROWS.items() if not tests[number] and not row.elsewhere}
    assert without == NOTHING_TO_ASK
    assert all(ROWS[number].differs for number in NOTHING_TO_ASK)
    assert {str(number) for number in range(1, 61)} <= set(ROWS)


def test_every_test_that_a_row_names_is_there() -> None:
    assert {number: gone for number, row in ROWS.items() if (gone := missing(row))} == {}


def test_the_page_is_in_step_with_the_tests() -> None:
    assert PAGE.read_text() == page(), "write it anew: PYTHONPATH=src:tests python -m web.bad_input.page"
