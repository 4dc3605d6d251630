"""An alert is told once when it opens and once when it is over, whatever comes and goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.domain import alert_words
from oneshelf.domain.alert import PATIENCE_S, REST_S, Alert, Condition, Key, follow
from oneshelf.domain.event import ALERTS, Event, EventType
from oneshelf.domain.mailbox import Mailbox, Security, mailbox_from
from oneshelf.errors import MalformedError

BEGAN = datetime(2026, 11, 26, 2, tzinfo=UTC)
LOW = Condition(kind=EventType.ALERT_LOW_STOCK, channel="", name="MUG", figures={"sku": "MUG"})
STALE = Condition(kind=EventType.ALERT_STALE_CHANNEL, channel="shop", name="", figures={"channel": "shop"})
ZERO = Condition(
    kind=EventType.ALERT_ZERO_FAILED, channel="shop", name="1", figures={"channel": "shop", "listing": "1"}
)


class Book:
    """The alerts that are not closed, kept as the rows are, and what was told."""

    def __init__(self) -> None:
        self.open: dict[int, Alert] = {}
        self.told: list[tuple[Key, str]] = []
        self._number = 0

    def look(self, standing: list[Condition], at: datetime) -> None:
        turn = follow(standing, list(self.open.values()), now=at)
        before = len(self.told)
        for one in turn.begun:
            self._number += 1
            is_told = not PATIENCE_S[one.kind]
            self.open[self._number] = Alert(
                alert_id=self._number,
                kind=one.kind,
                channel=one.channel,
                name=one.name,
                figures=one.figures,
                seen_at=at,
                opened_at=at if is_told else None,
            )
            if is_told:
                self.told.append((one.key, "open"))
        for known, condition in turn.stands:
            self._change(known, figures=condition.figures, gone_at=None)
        for known, condition in turn.opened:
            self._change(known, figures=condition.figures, gone_at=None, opened_at=at)
            self.told.append((known.key, "open"))
        for known in turn.gone:
            self._change(known, gone_at=at)
        for known in turn.closed:
            self.told.append((known.key, "closed"))
        for known in (*turn.closed, *turn.forgotten):
            del self.open[known.alert_id]
        assert turn.told_count == len(self.told) - before

    def _change(self, known: Alert, **columns: object) -> None:
        self.open[known.alert_id] = replace(self.open[known.alert_id], **columns)  # type: ignore[arg-type]  # as rows


LOOKS = st.lists(
    st.tuples(st.sets(st.sampled_from([0, 1, 2])), st.integers(min_value=1, max_value=200)), min_size=1, max_size=40
)


@given(LOOKS)
def test_opened_and_closed_take_turns_and_what_stays_is_told(looks: list[tuple[set[int], int]]) -> None:
    book, at = Book(), BEGAN
    conditions = [LOW, STALE, ZERO]
    for standing, seconds in looks:
        at += timedelta(seconds=seconds)
        book.look([conditions[one] for one in standing], at)
        assert len({one.key for one in book.open.values()}) == len(book.open)
    for condition in conditions:
        told = [state for key, state in book.told if key == condition.key]
        assert told == (["open", "closed"] * len(told))[: len(told)]
    # Whatever was, what stays from now on is open, and what is over is closed.
    for _ in range(4):
        at += timedelta(seconds=301)
        book.look([STALE], at)
    states = {key: state for key, state in book.told}
    assert states[STALE.key] == "open"
    assert "open" not in {state for key, state in states.items() if key != STALE.key}


def test_what_comes_and_goes_within_its_patience_is_told_to_nobody() -> None:
    book = Book()
    for second, standing in ((0, [STALE]), (30, [STALE]), (59, []), (60, [STALE]), (119, [STALE])):
        book.look(standing, BEGAN + timedelta(seconds=second))
    assert book.told == []
    book.look([STALE], BEGAN + timedelta(seconds=120))
    assert book.told == [(STALE.key, "open")]


def test_what_is_away_for_a_moment_is_not_over() -> None:
    book = Book()
    for second, standing in ((0, [LOW]), (15, []), (15 + REST_S - 1, [LOW]), (100, []), (100 + REST_S - 1, [])):
        book.look(standing, BEGAN + timedelta(seconds=second))
    assert book.told == [(LOW.key, "open")]
    book.look([], BEGAN + timedelta(seconds=100 + REST_S))
    assert book.told == [(LOW.key, "open"), (LOW.key, "closed")]


def test_every_kind_of_alert_has_its_patience_and_its_words() -> None:
    assert set(PATIENCE_S) == ALERTS
    for kind in ALERTS:
        said = alert_words.sentence(kind, {"sku": "MUG\nBcc: x", "channel": "shop", "listing": "1"})
        assert "test" not in said
        assert "\n" not in said
        assert "MUG" in said or "shop" in said


def event(kind: EventType, state: str, **figures: object) -> Event:
    told = {"state": state, "opened_at": BEGAN.isoformat(), **figures}
    return Event(position=1, event_id="evt_1_x", event_type=kind.value, happened_at=BEGAN, figures=told)


def test_one_alert_is_in_the_subject_and_of_several_their_number() -> None:
    low = event(EventType.ALERT_LOW_STOCK, "open", sku="MUG", available=3, reorder_at=5)
    over = event(EventType.ALERT_STALE_CHANNEL, "closed", channel="shop", why="late")
    assert alert_words.subject([low]) == "oneshelf: MUG is low: 3 available, its reorder point is 5"
    assert alert_words.subject([low, low, over]) == "oneshelf: 2 open, 1 over"
    assert alert_words.text([low, over]).splitlines()[:2] == [
        "OPEN since 2026-11-26 02:00 UTC: MUG is low: 3 available, its reorder point is 5",
        "OVER since 2026-11-26 02:00 UTC: shop is stale: late",
    ]


def mailbox(server: str = "smtp.example", **named: object) -> Mailbox:
    usual: dict[str, object] = {
        "security": Security.STARTTLS,
        "sender": "oneshelf@shop.example",
        "recipients": ["ops@shop.example"],
        "user": "",
        "has_password": False,
    }
    return mailbox_from(server, **{**usual, **named})  # type: ignore[arg-type]  # what a person may type


def test_a_mailbox_has_the_usual_port_unless_another_is_said() -> None:
    ports = [mailbox(security=one).port for one in (Security.STARTTLS, Security.TLS, Security.NONE)]
    assert (ports, mailbox("smtp.example:2525").port) == ([587, 465, 25], 2525)


@pytest.mark.parametrize(
    ("server", "named", "words"),
    [
        ("smtp example", {}, "--server is a name"),
        ("smtp.example:0", {}, "from 1 to 65535"),
        ("smtp.example:x", {}, "from 1 to 65535"),
        ("smtp.example", {"recipients": []}, "1 to 50 recipients"),
        ("smtp.example", {"recipients": ["ops@shop.example\r\nBcc: a@b.example"]}, "--to takes one address"),
        ("smtp.example", {"recipients": ["Ops <ops@shop.example>"]}, "--to takes one address"),
        ("smtp.example", {"sender": "nobody"}, "--from takes one address"),
        ("smtp.example", {"user": "u"}, "neither"),
        ("smtp.example", {"has_password": True}, "neither"),
        ("smtp.example", {"user": "u", "has_password": True, "security": Security.NONE}, "never sent unencrypted"),
        ("smtp.example", {"user": "ü", "has_password": True}, "printable ASCII"),
    ],
)
def test_a_mailbox_that_cannot_be_is_refused_with_the_way_out(
    server: str, named: dict[str, object], words: str
) -> None:
    with pytest.raises(MalformedError, match=words):
        mailbox(server, **named)
