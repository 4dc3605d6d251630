"""Wherever something wrong can stand in a body it is refused with the right status, and nothing has changed."""

from __future__ import annotations

import pytest

from web.bad_input.examples import EXAMPLES, Example
from web.bad_input.places import places
from web.bad_input.routes import body_of
from web.bad_input.rows import ROWS, of_rows
from web.bad_input.shelf import Shelf, complaints
from web.bad_input.wrongs import Wrong, wrongs_of

# The rows that can stand at one place of a body or another.
PLACED = ("2", "4", "5", "6", "7", "8", "9", "10", "11", "12", "14", "15", "16", "23", "24", "26", "30", *"abcd")

pytestmark = pytest.mark.asyncio(loop_scope="module")


def wrongs_in(example: Example, row: str) -> list[Wrong]:
    return wrongs_of(example.body, places(example.body, body_of(example)), row)


@of_rows(*PLACED)
@pytest.mark.parametrize("example", EXAMPLES, ids=str)
async def test_what_is_wrong_at_one_place_is_refused(shelf: Shelf, example: Example, row: str) -> None:
    filled = await shelf.filled(example)
    before = shelf.fingerprint()
    failed = []
    for wrong in wrongs_in(filled, row):
        answer = await shelf.send(filled, wrong.body)
        failed += [f"{wrong.name}: {words}" for words in complaints(answer, wrong.status, sent=wrong.body)]
    assert failed == []
    assert shelf.fingerprint() == before


@of_rows(28, 29)
async def test_an_instant_that_is_none_is_refused_wherever_a_command_has_one(shelf: Shelf, row: str) -> None:
    for example in EXAMPLES:
        filled = await shelf.filled(example)
        before = shelf.fingerprint()
        for wrong in wrongs_in(filled, row):
            assert complaints(await shelf.send(filled, wrong.body), wrong.status, sent=wrong.body) == [], wrong.name
        assert shelf.fingerprint() == before


async def test_thousands_of_wrong_requests_are_made_from_the_right_ones() -> None:
    numbers = {row: sum(len(wrongs_in(example, row)) for example in EXAMPLES) for row in ROWS}
    assert sum(numbers.values()) > 4_000, numbers
    for row in PLACED:
        assert numbers[row] >= 10, f"only {numbers[row]} wrong requests for row {row}"
