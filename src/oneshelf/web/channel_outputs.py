"""What the API says of channels: how fresh we are with them, what they announce, what they lack."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict


class _Output(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class WebhooksOut(_Output):
    """What the channel announces to `address`, looked at `age_s` ago; of it `lost_count` were lost and made anew."""

    address: str
    topics: list[str]
    refused: dict[str, str]
    age_s: float
    lost_count: int
    lost_topics: list[str]
    lost_at: datetime | None


class FallbackOut(_Output):
    """Why a declared ability is not relied on, and since when."""

    reason: str
    since: datetime


class AccessEndOut(_Output):
    """A credential, the day on which it ends, and how a person renews it."""

    what: str
    ends_on: date
    way_out: str


class ChannelOut(_Output):
    """A channel. Ages: since its orders were last asked for, since its whole stock was last read. `is_poll_late`: its
    orders have not been asked for in three turns of the poll, and in a minute.

    `held_s`: since the breaker stopped its writes, for `held_reason`; null usually. What was sold is written even so.
    `detection_p95_s`: how long drifts stay hidden, measured with canaries; `corrected_p95_s`: until every other listing
    follows a move to another stock state. `cancellation_rate`: share of the orders of its window that were cancelled,
    and `cancellations_left` of those it forgives; null where its kind has no rule.
    `writes`: how it is written, `compare-and-set` or `blind-set`; null while it cannot be opened. `fallbacks`: declared
    ability, `compare` or `key`, that `oneshelf channel check` has shown to be lost. `webhooks`: null where nobody keeps
    its subscriptions, since it has none or ONESHELF_PUBLIC_URL is not set.
    `feed_age_s`: of the feed of many figures that the channel works through; null where there is none. `feed_stuck_s`:
    since it has taken longer than it may; `feed_listing_count`: listings that it still carries; `feed_words`: what the
    channel says of it. `access_ends`: credentials that end on a day that the settings tell.
    """

    channel: str
    kind: str
    mode: str
    location: str
    writes: str | None
    fallbacks: dict[str, FallbackOut]
    access_ends: list[AccessEndOut]
    webhooks: WebhooksOut | None
    paused_s: float | None
    held_s: float | None
    held_reason: str
    held_figures: dict[str, int]
    fail_streak: int
    last_fault: str
    poll_age_s: float | None
    sweep_age_s: float | None
    covered_age_s: float | None
    is_poll_late: bool
    feed_age_s: float | None
    feed_stuck_s: float | None
    feed_listing_count: int
    feed_words: str
    listing_count: int
    verified_count: int
    unverified_count: int
    parked_count: int
    held_count: int
    unlinked_count: int
    oldest_unverified_s: float | None
    drift_count: int
    detection_p95_s: float | None
    corrected_p95_s: float | None
    cancellation_rate: float | None
    cancellations_left: int | None


class ChannelsOut(_Output):
    channels: list[ChannelOut]
