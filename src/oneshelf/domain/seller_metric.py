"""How many cancellations a channel lets a seller have, and how much of that is used up.

Nobody tells us who cancelled: a buyer's cancellation counts here too, so what is left is rather too little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor

DAY_S = 86_400.0
# From this share of it on, a budget is nearly used up.
TIGHT_SHARE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class SellerRule:
    """At most `rate_max` of the orders of the last `window_s` seconds may be cancelled.

    `run_max`: a listing whose newest so many orders of the last `run_window_s` were all cancelled may be taken down.
    """

    rate_max: float
    window_s: float
    run_max: int | None = None
    run_window_s: float = 0.0


RULES: Mapping[str, SellerRule] = {
    # Amazon Seller Central, help page 200285210 (https://sellercentral.amazon.com/help/hub/reference/200285210, as of
    # 2026-11): the cancellation rate stays below 2.5 % within 7 days; an offer may be removed after two consecutive
    # cancellations by the seller within 30 days.
    "amazon": SellerRule(rate_max=0.025, window_s=7 * DAY_S, run_max=2, run_window_s=30 * DAY_S),
    # eBay (https://export.ebay.com/en/customer-service/seller-level-and-sales/seller-performance-policy/, as of
    # 2026-11): a cancellation by the seller is a transaction defect, of which the best level takes 0.5 %. Judged over
    # three months from 400 sales on; with fewer sales eBay looks at twelve months, which is not done here.
    "ebay": SellerRule(rate_max=0.005, window_s=90 * DAY_S),
}


def budget_left(rule: SellerRule, *, order_count: int, cancelled_count: int) -> int:
    """How many more orders of the window may be cancelled; below zero: so many were too many."""
    return floor(rule.rate_max * order_count + 1e-9) - cancelled_count


def is_nearly_used_up(rule: SellerRule, *, order_count: int, cancelled_count: int) -> bool:
    """Whether one should sell no unit here that may not be there. With nothing cancelled there is no reason to."""
    return cancelled_count > 0 and cancelled_count + 1e-9 >= TIGHT_SHARE * rule.rate_max * order_count


def is_run_nearly_full(rule: SellerRule, run_count: int) -> bool:
    """Whether the next cancellation in a row may cost the listing."""
    return rule.run_max is not None and run_count > 0 and run_count >= rule.run_max - 1
