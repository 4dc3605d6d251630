"""The day at eBay, in which a listing is changed so often and no more."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

# eBay documents no number for it.
_DAILY_LIMIT = re.compile(r"\b250\b|\blimit|\bmaximum")
_DAY_ENDS_AT_HOURS = (0, 7, 8)


def is_day_used_up(words: str) -> bool:
    """Whether the listing has been changed as often as eBay allows in a day."""
    said = words.lower()
    return "revis" in said and "selling limit" not in said and _DAILY_LIMIT.search(said) is not None


def seconds_to_the_next_day(now: datetime) -> float:
    """Until a day may end at eBay: which clock its calendar follows is not documented, UTC or that of California."""
    starts = (now.replace(hour=hour, minute=0, second=0, microsecond=0) for hour in _DAY_ENDS_AT_HOURS)
    following = min(start if start > now else start + timedelta(days=1) for start in starts)
    return (following - now).total_seconds() + 60.0
