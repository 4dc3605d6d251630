"""Alerts: what stands wrong is told once when it opens, and once when it is over. Pure rules.

What comes and goes within its patience is told to nobody, and what is away for a moment is not over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from oneshelf.domain.event import EventType

# How long it has to stand before it is told. A figure is on its way for a while before it can be late.
PATIENCE_S: Mapping[EventType, float] = {
    EventType.ALERT_LOW_STOCK: 0,
    EventType.ALERT_OVERSOLD: 0,
    EventType.ALERT_EXPOSED: 120,
    EventType.ALERT_STALE_CHANNEL: 60,
    EventType.ALERT_HELD_CHANNEL: 0,
    EventType.ALERT_DRIFT: 0,
    EventType.ALERT_ZERO_FAILED: 300,
    EventType.ALERT_ACCESS_ENDS: 0,
}
# A credential that ends in so many days is told of, each time anew.
ACCESS_ENDS_DAYS = (30, 7, 1)
# How long it has to be away before it is over.
REST_S = 60.0
# A channel that fails or is silent for less than this is told of nowhere, however often it is asked; and it has to be
# heard for as long before it counts as back. What guards the last units waits for neither.
TOLD_S = 60.0

# Kind, channel, name.
Key = tuple[EventType, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that is wrong at this moment. `name`: of a SKU, a listing, a credential; '' for a whole channel."""

    kind: EventType
    channel: str
    name: str
    figures: Mapping[str, Any]

    @property
    def key(self) -> Key:
        return (self.kind, self.channel, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert that is not closed. `opened_at` None: it is waited whether it stays; `gone_at` None: it stands."""

    alert_id: int
    kind: EventType
    channel: str
    name: str
    figures: Mapping[str, Any]
    seen_at: datetime
    opened_at: datetime | None = None
    gone_at: datetime | None = None

    @property
    def key(self) -> Key:
        return (self.kind, self.channel, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What has to be written. `begun`: new; of those with no patience it is told at once. `stands`: with its figures of
    now. `opened`, `closed` are told. `forgotten`: never told, and over.
    """

    begun: tuple[Condition, ...]
    stands: tuple[tuple[Alert, Condition], ...]
    opened: tuple[tuple[Alert, Condition], ...]
    gone: tuple[Alert, ...]
    closed: tuple[Alert, ...]
    forgotten: tuple[Alert, ...]

    @property
    def told_count(self) -> int:
        return sum(not PATIENCE_S[one.kind] for one in self.begun) + len(self.opened) + len(self.closed)


def follow(standing: Collection[Condition], known: Collection[Alert], *, now: datetime) -> Turn:
    """Compare what is wrong now with the alerts that are not closed."""
    wrong = {one.key: one for one in standing}
    keys = {one.key for one in known}
    pairs = [(one, wrong[one.key]) for one in known if one.key in wrong]
    over = [one for one in known if one.key not in wrong]
    opened = tuple(
        (one, condition)
        for one, condition in pairs
        if one.opened_at is None and now - one.seen_at >= timedelta(seconds=PATIENCE_S[one.kind])
    )
    return Turn(
        begun=tuple(condition for key, condition in sorted(wrong.items()) if key not in keys),
        stands=tuple(
            (one, condition) for one, condition in pairs if one.gone_at is not None or one.figures != condition.figures
        ),
        opened=opened,
        gone=tuple(one for one in over if one.opened_at is not None and one.gone_at is None),
        closed=tuple(one for one in over if one.gone_at is not None and now - one.gone_at >= timedelta(seconds=REST_S)),
        forgotten=tuple(one for one in over if one.opened_at is None),
    )
