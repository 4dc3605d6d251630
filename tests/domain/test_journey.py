"""The way of an order as spans: what belongs to it, when it is over, and that it is the same each time it is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.journey import DECIDED_S, PATIENCE_S, Figure, Journey, Leg, Span, spans_of

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def figure(version: int, planned_s: float, *, sent_s: float | None = None, verified_s: float | None = None) -> Figure:
    sent, verified = sent_s and after(sent_s), verified_s and after(verified_s)
    accepted = after(sent_s + 0.5) if sent_s else None
    return Figure(version, 4, after(planned_s), sent or None, accepted, verified or None)


def leg(*figures: Figure, channel: str = "b", is_to_plan: bool = False) -> Leg:
    return Leg(Channel(channel), ChannelSku("MUG"), Sku("MUG"), is_to_plan, figures)


def journey(*legs: Leg, order_id: str = "o-1", looked_s: float = 30) -> Journey:
    """Received at AT, read 1 s and posted 2 s later."""
    return Journey(
        Channel("a"), order_id, after(-5), AT, after(1), after(2), is_polled=False, looked_at=after(looked_s), legs=legs
    )


def named(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]


PROVED = figure(7, 3, sent_s=4, verified_s=6)


@pytest.mark.parametrize(
    ("way", "is_over"),
    [
        (journey(), True),
        (journey(leg(PROVED)), True),
        (journey(leg(is_to_plan=True)), False),
        (journey(leg()), True),
        (journey(leg(figure(7, 3, sent_s=4))), False),
        (journey(leg(PROVED), leg(figure(7, 3), channel="c")), False),
        (journey(leg(figure(7, 3), figure(8, 5, sent_s=6, verified_s=9))), True),
        (journey(leg(figure(6, 1, sent_s=1.2, verified_s=1.9), is_to_plan=True)), False),
        (journey(leg(figure(7, 3)), looked_s=PATIENCE_S + 3), True),
    ],
    ids=[
        "nobody shows it",
        "proved",
        "not planned",
        "no news",
        "sent",
        "one of two",
        "a later one",
        "an earlier one",
        "late",
    ],
)
def test_it_is_over_when_every_listing_is_proved_or_it_took_too_long(way: Journey, is_over: bool) -> None:
    assert way.is_over is is_over


def test_its_parts_follow_each_other_from_the_delivery_to_the_proof() -> None:
    spans = spans_of([journey(leg(PROVED))])
    assert [(span.name, span.started_at, span.ended_at) for span in spans] == [
        ("order", AT, after(6)),
        ("receive", AT, AT),
        ("interpret", AT, after(1)),
        ("post", after(1), after(2)),
        ("plan", after(2), after(3)),
        ("push", after(3), after(4.5)),
        ("confirm", after(4.5), after(6)),
    ]
    root, *parts = spans
    assert root.parent_id is None
    assert {span.parent_id for span in parts} == {root.span_id}
    assert {span.trace_id for span in spans} == {root.trace_id}
    assert len({span.span_id for span in spans}) == len(spans)
    assert named(spans, "push")[0].sent_at == after(4)
    assert named(spans, "confirm")[0].attributes["oneshelf.verified"] is True


def test_told_again_by_whichever_node_it_is_the_same_and_another_order_is_another() -> None:
    way = journey(leg(PROVED))
    later = replace(way, looked_at=after(400))
    assert spans_of([way]) == spans_of([later])
    assert way.trace_id != journey(leg(PROVED), order_id="o-2").trace_id
    assert way.trace_id != replace(way, posted_at=after(2.5)).trace_id


def test_a_figure_that_the_channels_own_sale_brought_about_was_not_pushed() -> None:
    own = Figure(7, 4, after(3), after(3), after(3), after(6))
    assert [span.name for span in spans_of([journey(leg(own))])][-2:] == ["plan", "confirm"]


def test_orders_that_one_write_carried_link_to_each_other() -> None:
    first, second, third = (journey(leg(PROVED), order_id=name) for name in ("o-1", "o-2", "o-3"))
    pushes = named(spans_of([first, second, third]), "push")
    assert [sorted(push.links) for push in pushes] == [
        sorted((other.trace_id, other.span_id) for other in pushes if other is not push) for push in pushes
    ]
    assert named(spans_of([first]), "push")[0].links == []


def test_a_listing_that_was_not_proved_in_time_is_a_failure_of_the_order() -> None:
    [root, *parts] = spans_of([journey(leg(figure(7, 3, sent_s=4)), looked_s=PATIENCE_S + 3)])
    assert "not verified within 600 s" in root.failure
    assert parts[-1].name == "push"
    assert "not verified" in parts[-1].failure


def test_a_figure_that_was_decided_much_later_has_another_cause() -> None:
    way = journey(leg(figure(7, 2 + DECIDED_S, sent_s=70, verified_s=80)))
    assert way.is_over
    assert [span.name for span in spans_of([way])] == ["order", "receive", "interpret", "post"]
