"""What the engine tells its followers: kinds of events, and how an event is written and signed.

Form and signature are those of Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks,
spec/standard-webhooks.md as of 2026-08-17): `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,…`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from oneshelf.domain.identity import printable
from oneshelf.errors import MalformedError

SECRET_PREFIX = "whsec_"  # noqa: S105  # what a secret begins with, none itself
# As the specification bounds a symmetric key.
SECRET_BYTES_LEAST, SECRET_BYTES_MOST = 24, 64


class EventType(StrEnum):
    """What an event is about."""

    STOCK_CHANGED = "stock.changed"  # a SKU's figures; a level: the newest is told
    STOCK_OVERSOLD = "stock.oversold"  # units of a SKU that were sold and are not there; a level
    STOCK_LOW = "stock.low"  # a SKU fell to its reorder point, or is well above it again; a level
    ORDER_POSTED = "order.posted"  # the ledger has taken an order
    ORDER_CHANGED = "order.changed"  # the channel told something else of an order, and the ledger took that
    ORDER_SHORT = "order.short"  # an order misses units, or does not any more
    LISTING_VERIFIED = "listing.verified"  # a reading proved what a listing shows; a level
    LISTING_PARKED = "listing.parked"  # the channel refuses a listing's figure; a level
    DRIFT_OPENED = "drift.opened"
    DRIFT_RESOLVED = "drift.resolved"
    BREAKER_OPENED = "breaker.opened"  # the writes to a channel are held until somebody has looked
    BREAKER_CLOSED = "breaker.closed"
    # What is wrong now: once when it opens and once when it is over, see `domain.alert`.
    ALERT_LOW_STOCK = "alert.low_stock"
    ALERT_OVERSOLD = "alert.oversold"
    ALERT_EXPOSED = "alert.exposed"  # units of a SKU that is shared unit by unit could be sold twice
    ALERT_STALE_CHANNEL = "alert.stale_channel"
    ALERT_HELD_CHANNEL = "alert.held_channel"
    ALERT_DRIFT = "alert.drift"
    ALERT_ZERO_FAILED = "alert.zero_failed"  # a listing that is to show 0 may still sell
    ALERT_ACCESS_ENDS = "alert.access_ends"  # a credential of a channel ends within so many days
    TEST = "endpoint.test"  # somebody asked for it


ALERTS = frozenset(kind for kind in EventType if kind.value.startswith("alert."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. `position`: its number among all; greater is later. `event_id` never names another one.

    `channels`, `skus`: what it is about, for those who follow only some.
    """

    position: int
    event_id: str
    event_type: str
    happened_at: datetime
    figures: Mapping[str, Any]
    channels: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()

    def body(self) -> bytes:
        """The JSON that is sent and signed: the same bytes each time."""
        document = {
            "id": self.event_id,
            "position": self.position,
            "type": self.event_type,
            "timestamp": self.happened_at.isoformat().replace("+00:00", "Z"),
            "data": self.figures,
        }
        return json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events somebody follows. What is empty leaves nothing out."""

    event_types: frozenset[str] = field(default_factory=frozenset)
    skus: frozenset[str] = field(default_factory=frozenset)
    channels: frozenset[str] = field(default_factory=frozenset)

    def takes(self, event: Event) -> bool:
        """Whether this event is among them."""
        return (
            (not self.event_types or event.event_type in self.event_types)
            and (not self.skus or not self.skus.isdisjoint(event.skus))
            and (not self.channels or not self.channels.isdisjoint(event.channels))
        )


def event_types_from(names: Iterable[str], *, only: Collection[EventType] | None = None) -> list[str]:
    """The types with these names, each once, in their order. Raises MalformedError, which names those there are."""
    known = [kind.value for kind in EventType if kind is not EventType.TEST and (only is None or kind in only)]
    wanted = set(names)
    if unknown := sorted(wanted - set(known)):
        raise MalformedError(f"no event type {printable(unknown[0], length_max=40)!r}; there are: {', '.join(known)}")
    return [kind for kind in known if kind in wanted]


def secret_of(key: bytes) -> str:
    """A key as it is shown, once."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def key_of(secret: str) -> bytes:
    """The key in a secret that begins with `whsec_`. Raises MalformedError, which does not repeat it."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not SECRET_BYTES_LEAST <= len(key) <= SECRET_BYTES_MOST:
        raise MalformedError(
            f"a secret is {SECRET_PREFIX} and the base64 of {SECRET_BYTES_LEAST} to {SECRET_BYTES_MOST} bytes"
        )
    return key


def signed(event_id: str, body: bytes, *, secrets: Iterable[str], at: datetime) -> dict[str, str]:
    """The headers of one attempt at `at`, signed with each secret: whoever has one of them can verify it."""
    seconds = str(int(at.timestamp()))
    content = b".".join((event_id.encode(), seconds.encode(), body))
    signatures = [
        "v1," + base64.b64encode(hmac.new(key_of(secret), content, hashlib.sha256).digest()).decode()
        for secret in secrets
    ]
    return {"webhook-id": event_id, "webhook-timestamp": seconds, "webhook-signature": " ".join(signatures)}
