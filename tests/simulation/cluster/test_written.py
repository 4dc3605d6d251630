"""A write under a lease that is another's is found, and one under its own lease is not taken for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from simulation.cluster.proxy import Way
from simulation.cluster.written import Note, WireLog, Write, stale

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
MINE, ANOTHER = UUID(int=1), UUID(int=2)


def note(after_s: float, lease: UUID | None, phase: str = "sending", units: int | None = 5) -> Note:
    return Note("shop", "MUG", lease, UUID(int=9), units, phase, NOON + timedelta(seconds=after_s))


def write(after_s: float, units: int = 5) -> Write:
    return Write("shop", "MUG", units, NOON + timedelta(seconds=after_s))


def test_a_write_under_the_lease_that_decided_it_is_good() -> None:
    story = [note(0, MINE, "idle"), note(1, MINE), note(3, None, "accepted")]
    assert stale([write(1.1)], story).complaints == []


def test_a_write_after_another_took_the_lease_is_stale() -> None:
    story = [note(0, MINE), note(60, ANOTHER), note(61, None, "unknown", None)]
    judged = stale([write(75)], story)
    assert len(judged.complaints) == 1
    assert "its lease was gone" in judged.complaints[0]
    assert judged.taken_over_count == 1


def test_a_write_after_the_lease_was_given_up_for_it_is_stale() -> None:
    assert stale([write(10)], [note(0, MINE), note(2, None)]).complaints != []


def test_a_figure_that_nobody_decided_is_found() -> None:
    [complaint] = stale([write(1, units=6)], [note(0, MINE)]).complaints
    assert complaint.endswith("no engine had decided it")


def test_figures_are_read_off_the_wire_however_its_bytes_are_cut() -> None:
    body = b'{"productType": "PRODUCT", "patches": [{"op": "merge", "value": [{"quantity": 7}]}]}'
    head = f"PATCH /listings/2021-08-01/items/SELLER/MUG%2FBLUE?x=1 HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    request = head.encode() + body
    for cut in range(1, len(request), 7):
        log = WireLog("amazon", lambda: NOON)
        for piece in (request[:cut], request[cut:] + request):
            log.hear(1, Way.ASKING, piece)
        log.hear(1, Way.ANSWERING, b"HTTP/1.1 200 OK\r\n\r\n")
        assert log.writes == [Write("amazon", "MUG/BLUE", 7, NOON)] * 2
