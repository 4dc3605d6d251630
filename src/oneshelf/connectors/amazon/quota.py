"""Whose quota a 429 is about: the seller's, of the one operation, or the application's, over all its sellers.

https://developer-docs.amazon.com/sp-api/docs/listings-items-api-rate-limits (checked 2026-11-26) has three messages for
writes of listings: too frequent "for the application", "for relationships" and "for product data". A quantity is
neither of the latter two; whoever else uses the application may send those. All other 429 are about the operation and
the seller (`QuotaExceeded`, https://developer-docs.amazon.com/sp-api/docs/usage-plans-and-rate-limits).
"""

from __future__ import annotations

import re

from oneshelf.sdk.fault import RetryLaterError

# None of them comes with a time to wait; the application's buckets fill with 5 to 500 a second.
APPLICATION_S = 1.0
# Without it some machine in between has had enough.
_CODE = '"QuotaExceeded"'
_APPLICATION = re.compile(r"greater than what is allowed for (the application|relationships|product data)", re.I)


def is_throttled(operation: str, busy: RetryLaterError) -> bool:
    """Whether Amazon itself said that there were too many calls; else it was not reached, or our budget is spent."""
    words = str(busy)
    return words.startswith(f"{operation}: 429 ") and _CODE in words


def is_of_application(busy: RetryLaterError) -> bool:
    """Whether the application asked too often, for whichever seller: this one's own budget may be untouched."""
    return _APPLICATION.search(str(busy)) is not None
