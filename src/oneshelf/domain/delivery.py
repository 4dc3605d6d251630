"""When an event is sent again, and when an endpoint is no longer called.

The schedule is the example of Standard Webhooks 1.0.0, "Deliverability and reliability" (2026-08-17): ten attempts in
75 hours. Svix, who wrote it down, ends an endpoint after five days without one success (docs.svix.com/retries).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# Seconds to wait after the first, second, ... attempt that failed.
RETRY_S = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
ATTEMPTS_MAX = len(RETRY_S) + 1
# Each wait is longer by up to this share, so that what failed together does not come back together.
JITTER_SHARE = 0.2
# New events knock at a failing endpoint too, but not more often than this.
ENDPOINT_REST_S_MAX = 300.0
# What an endpoint may ask for by `retry-after`.
RETRY_AFTER_S_MAX = 3_600.0
DISABLED_AFTER = timedelta(days=5)
GONE = 410


class EndpointKind(StrEnum):
    """What an endpoint is: a program, which gets signed events; or people, who are told of alerts in words."""

    WEBHOOK = "webhook"
    CHAT = "chat"  # an incoming webhook as Slack has it
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one attempt. `status`: None where no answer came. `words`: for a person, nothing secret in it."""

    status: int | None
    words: str
    retry_after_s: float = 0.0

    @property
    def is_delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        return self.status == GONE


def retry_after_s(failed_count: int, *, chance: float, asked_s: float = 0.0) -> float | None:
    """How long to wait after so many failed attempts; None: the event is given up.

    `chance`: from 0 to 1, thrown by whoever asks. `asked_s`: what the endpoint asked for; it is waited at least.
    """
    if failed_count >= ATTEMPTS_MAX:
        return None
    return max(RETRY_S[failed_count - 1] * (1 + JITTER_SHARE * chance), min(asked_s, RETRY_AFTER_S_MAX))


def rest_s(fail_streak: int, *, chance: float, asked_s: float = 0.0) -> float:
    """How long an endpoint is not called at all after so many failures in a row."""
    usual_s = min(RETRY_S[min(fail_streak, len(RETRY_S)) - 1], ENDPOINT_REST_S_MAX)
    return max(usual_s * (1 + JITTER_SHARE * chance), min(asked_s, RETRY_AFTER_S_MAX))


def is_hopeless(failing_since: datetime | None, *, now: datetime) -> bool:
    """Whether an endpoint has failed for so long that it is not called any more until a person says so."""
    return failing_since is not None and now - failing_since >= DISABLED_AFTER
