"""The way of an order through the engine, as spans of one trace: from its delivery to the proof of each listing.

All of it follows from instants that rows hold anyway. So nothing is handed from step to step, a trace is the same
whichever node tells it and however often, and a killed engine breaks none. A span ends when its step was done: what it
waited for is in it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from oneshelf.domain.identity import Channel, ChannelSku, Sku

# A figure that is decided later than this after a sale has another cause.
DECIDED_S = 60.0
# A listing that is not proved by then is told of as it is.
PATIENCE_S = 600.0
LINKS_MAX = 32


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a listing, and how far it got."""

    version: int
    units: int
    planned_at: datetime
    sent_at: datetime | None
    accepted_at: datetime | None
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class Leg:
    """A listing of a SKU that the order took. `figures`: those since the order was posted, the oldest first.

    `is_to_plan`: whether the SKU waits to be planned.
    """

    channel: Channel
    channel_sku: ChannelSku
    sku: Sku
    is_to_plan: bool
    figures: tuple[Figure, ...]

    def decided(self, posted_at: datetime) -> Figure | None:
        """The figure that the order brought about."""
        until = posted_at + timedelta(seconds=DECIDED_S)
        return next((one for one in self.figures if posted_at <= one.planned_at < until), None)

    def proved(self, decided: Figure) -> Figure | None:
        """The figure that was read back: this one, or the one that took its place before it was sent."""
        later = (one for one in self.figures if one.version >= decided.version)
        return next((one for one in later if one.verified_at is not None), None)


@dataclass(frozen=True, slots=True)
class Journey:
    """An order and how far it got. `read_at`: when its delivery was read; None: nobody noted it.

    `is_polled`: whether a poll brought it and no webhook; None: nobody noted it. `looked_at`: as of when this is.
    """

    channel: Channel
    order_id: str
    placed_at: datetime
    received_at: datetime
    read_at: datetime | None
    posted_at: datetime
    is_polled: bool | None
    looked_at: datetime
    legs: tuple[Leg, ...]

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to come, or it has come too late."""
        return self.is_late or not any(self._is_under_way(leg) for leg in self.legs)

    @property
    def is_late(self) -> bool:
        return self.looked_at - self.posted_at > timedelta(seconds=PATIENCE_S)

    def _is_under_way(self, leg: Leg) -> bool:
        decided = leg.decided(self.posted_at)
        return leg.is_to_plan if decided is None else leg.proved(decided) is None

    @property
    def trace_id(self) -> int:
        return _number(16, "order", self.channel, self.order_id, self.posted_at.isoformat())


Attributes = dict[str, str | int | bool]


@dataclass(slots=True)
class Span:
    """A part of a trace, as OpenTelemetry has it. `parent_id` None: the root. `sent_at`: an event in it.

    `links`: (trace, span) of other orders that the same write carried. `failure`: empty, or what is wrong.
    """

    trace_id: int
    span_id: int
    parent_id: int | None
    name: str
    started_at: datetime
    ended_at: datetime
    attributes: Attributes
    sent_at: datetime | None = None
    failure: str = ""
    links: list[tuple[int, int]] = field(default_factory=list)


def spans_of(journeys: Sequence[Journey]) -> list[Span]:
    """The traces of these orders. Spans of one write link to each other."""
    spans: list[Span] = []
    carried: dict[tuple[str, str, int], list[Span]] = defaultdict(list)
    for journey in journeys:
        spans += _spans(journey, carried)
    for together in carried.values():
        for span in together:
            span.links = [(one.trace_id, one.span_id) for one in together if one is not span][:LINKS_MAX]
    return spans


def _spans(journey: Journey, carried: Mapping[tuple[str, str, int], list[Span]]) -> list[Span]:
    order: Attributes = {
        "oneshelf.channel": journey.channel,
        "oneshelf.order_id": journey.order_id,
        "oneshelf.placed_at": journey.placed_at.isoformat(),
    }
    if journey.is_polled is not None:
        order["oneshelf.brought_by"] = "poll" if journey.is_polled else "webhook"
    received_at, posted_at = journey.received_at, journey.posted_at
    root = _span(journey, "order", received_at, posted_at, order)
    parts = [_span(journey, "receive", received_at, received_at, order, root)]
    if journey.read_at is not None:
        parts.append(_span(journey, "interpret", received_at, journey.read_at, {}, root))
    parts.append(_span(journey, "post", journey.read_at or received_at, posted_at, {}, root))
    for leg in journey.legs:
        parts += _of_leg(journey, leg, root, carried)
    root.ended_at = max(part.ended_at for part in parts)
    return [root, *parts]


def _of_leg(journey: Journey, leg: Leg, root: Span, carried: Mapping[tuple[str, str, int], list[Span]]) -> list[Span]:
    decided = leg.decided(journey.posted_at)
    if decided is None:
        return []
    names: Attributes = {"oneshelf.channel": leg.channel, "oneshelf.listing": leg.channel_sku, "oneshelf.sku": leg.sku}
    told = {**names, "oneshelf.units": decided.units, "oneshelf.version": decided.version}
    parts = [_span(journey, "plan", journey.posted_at, decided.planned_at, told, root)]
    shown = leg.proved(decided)
    if shown is None:
        late = _span(journey, "push", decided.planned_at, journey.looked_at, told, root)
        late.sent_at, late.failure = decided.sent_at, f"not verified within {PATIENCE_S:g} s"
        root.failure = f"a listing was not verified within {PATIENCE_S:g} s"
        return [*parts, late]
    told = {**names, "oneshelf.units": shown.units, "oneshelf.version": shown.version}
    since = decided.planned_at
    # Where the channel's own sale has brought the figure about, nothing was written.
    if shown.accepted_at is not None and shown.sent_at != shown.accepted_at:
        pushed = _span(journey, "push", since, shown.accepted_at, told, root)
        pushed.sent_at, since = shown.sent_at, shown.accepted_at
        carried[leg.channel, leg.channel_sku, shown.version].append(pushed)
        parts.append(pushed)
    verified_at = shown.verified_at or since
    return [*parts, _span(journey, "confirm", since, verified_at, {**told, "oneshelf.verified": True}, root)]


def _span(
    journey: Journey, name: str, begin: datetime, end: datetime, attributes: Attributes, root: Span | None = None
) -> Span:
    trace_id = journey.trace_id
    where = (str(attributes.get("oneshelf.listing", "")), str(attributes.get("oneshelf.sku", "")))
    return Span(
        trace_id,
        _number(8, f"{trace_id:032x}", name, str(attributes.get("oneshelf.channel", "")), *where),
        root.span_id if root else None,
        name,
        begin,
        max(begin, end),
        attributes,
    )


def _number(size: int, *parts: str) -> int:
    """An id out of what it is of: the same each time. Never 0, which is no id."""
    return int.from_bytes(hashlib.sha256("\0".join(("oneshelf", *parts)).encode()).digest()[:size]) or 1
