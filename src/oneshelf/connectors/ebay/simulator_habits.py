"""How the simulated eBay behaves: what the documents leave open, and what each account sets for itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# A day of quotas ends at seven in the morning, UTC: the `reset` of the samples of getRateLimits
# (https://developer.ebay.com/api-docs/developer/analytics/resources/rate_limit/methods/getRateLimits, 2026-11-26).
_FIRST_DAY = datetime(2020, 1, 1, 7, tzinfo=UTC)
DAY_S = 86_400.0


@dataclass(slots=True)
class Habits:
    """Seconds are of eBay's own time, shares are of 1.

    What is unknown of the real channel is a habit here, so that both ways can be tried: whether getOrders shows an
    order before it is paid (`hides_unpaid`), and how long an accepted quantity takes to show (`apply_s`).
    """

    # Of what is put on sale: the share that is listed through the Inventory API; that of listings with variations.
    inventory_share: float = 0.5
    group_share: float = 0.3
    has_out_of_stock_control: bool = True
    # An accepted quantity shows after this. Of one listing they show in the order in which they were accepted.
    apply_s: tuple[float, float] = (0.2, 5.0)
    # For so long after a write another one to the same SKU or group is refused as concurrent; 0: never.
    busy_s: float = 0.0
    # Buyers: a payment is confirmed within these, or never; `commitment_share` commit first and check out only then.
    confirm_s: tuple[float, float] = (60.0, 1800.0)
    unpaid_share: float = 0.04
    payment_fails_share: float = 0.05
    commitment_share: float = 0.0
    hides_unpaid: bool = False
    order_lag_s: tuple[float, float] = (0.0, 10.0)
    late_s: tuple[float, float] = (300.0, 840.0)
    stale_s_max: float = 30.0
    no_control_s: tuple[float, float] = (60.0, 600.0)
    token_life_s: float = 7200.0
    # Of the consent: 18 months (https://developer.ebay.com/api-docs/static/oauth-rate-limits.html, 2026-11-27).
    refresh_life_s: float = 47_304_000.0
    # The figures of https://developer.ebay.com/develop/guides-v2/listing-management (checked 2026-11-26).
    revisions_a_day: int = 250
    # Of ReviseInventoryStatus "no more than 6000 calls within any 15-second interval", for each seller
    # (https://developer.ebay.com/devzone/xml/docs/reference/ebay/ReviseInventoryStatus.html, checked 2026-11-26).
    burst: int = 6000
    burst_s: float = 15.0
    report_s: tuple[float, float] = (30.0, 240.0)


def day_of(now: datetime, speed: float) -> tuple[int, datetime]:
    """The number of eBay's day, and when the next one begins. A faster simulation has shorter days."""
    length = timedelta(seconds=DAY_S / speed)
    number = (now - _FIRST_DAY) // length
    return number, _FIRST_DAY + (number + 1) * length
