"""Wherever something wrong can stand in a body it is refused with the right status, and nothing has changed."""

from __future__ import annotations

from itertools import groupby

import pytest

from web.bad_input.examples import EXAMPLES, Example
from web.bad_input.places import places
from web.bad_input.routes import body_of
from web.bad_input.rows import ROWS, of_rows
from web.bad_input.shelf import Shelf, complaints
from web.bad_input.wrongs import Wrong, wrongs_of

# The rows that can stand at one place of a body or another.
PLACED = (
    "2",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "10",
    "11",
    "12",
    "14",
    "15",
    "16",
    "23",
    "24",
    "26",
    "28",
    "29",
    "30",
    *"abcd",
)

COSTLY = {"26", "a", "d"}
LARGE = {"15", "16"}
ROUTES = {f"{method} {path}": list(some) for (method, path), some in groupby(EXAMPLES, key=lambda one: one.route)}

# route, name and schema of a place -> the first example that has it
FIRST = {
    (example.route, str(place.path[-1:]), str(place.schema)): example.name
    for example in reversed(EXAMPLES)
    for place in places(example.body, body_of(example))
}

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long(but_one_in=5)]


def wrongs_in(example: Example, row: str) -> list[Wrong]:
    found = places(example.body, body_of(example))
    if row not in COSTLY:
        return wrongs_of(example.body, found, row)
    # Where an earlier type of command has a place of the same name, every third wrong is enough here.
    first = [place for place in found if FIRST[example.route, str(place.path[-1:]), str(place.schema)] == example.name]
    wrongs = [wrongs_of(example.body, [place], row)[:: 1 if place in first else 3] for place in found]
    return [wrong for some in wrongs for wrong in some]


@of_rows(*PLACED)
@pytest.mark.parametrize("route", ROUTES)
async def test_what_is_wrong_at_one_place_is_refused(shelf: Shelf, route: str, row: str) -> None:
    failed = []
    examples = [await shelf.filled(one) for one in ROUTES[route]]
    before = shelf.fingerprint()
    for example in examples:
        for wrong in wrongs_in(example, row):
            answer = await shelf.send(example, wrong.body)
            said = complaints(answer, wrong.status, sent=wrong.body)
            failed += [f"{example.name} {wrong.name}: {words}" for words in said]
    assert failed == []
    assert shelf.fingerprint() == before


async def test_thousands_of_wrong_requests_are_made_from_the_right_ones() -> None:
    numbers = {row: sum(len(wrongs_in(example, row)) for example in EXAMPLES) for row in ROWS if row not in LARGE}
    assert sum(numbers.values()) > 4_000, numbers
    for row in set(PLACED) - LARGE:
        assert numbers[row] >= 10, f"only {numbers[row]} wrong requests for row {row}"
