"""Where a whole pass stands is kept as text, and text that nobody can read is the beginning of a pass."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.storage.sweep_places import Place, cursor_of, place_from

INSTANTS = st.none() | st.datetimes(timezones=st.just(UTC))


@given(
    file=st.text(max_size=50),
    asked_at=INSTANTS,
    waits_since=INSTANTS,
    read_count=st.integers(0, 10**9),
    try_count=st.integers(0, 9),
    by_pages=st.booleans(),
    took_s=st.none() | st.floats(0, 1e6),
)
def test_a_place_is_read_as_it_was_kept(
    file: str,
    asked_at: datetime | None,
    waits_since: datetime | None,
    read_count: int,
    try_count: int,
    by_pages: bool,
    took_s: float | None,
) -> None:
    place = Place(file, asked_at, waits_since, read_count, try_count, by_pages, took_s)
    assert place_from(cursor_of(place)) == place


def test_the_beginning_is_kept_as_nothing() -> None:
    assert cursor_of(Place()) is None
    assert place_from(None) == Place()


@pytest.mark.parametrize("cursor", ["", "44800000000001", "{", "[]", '{"colour":"red"}', '{"read_count":"many"}'])
def test_what_another_version_kept_is_the_beginning(cursor: str) -> None:
    assert place_from(cursor) == Place()
