"""How often eBay grants tokens: a day's requests for each sort of grant, counted over all who use the keyset.

https://developer.ebay.com/api-docs/static/oauth-rate-limits.html (checked 2026-11-27). When the day ends it does not
say, and `getRateLimits` does not count these. An answer has been seen to be 429 with the errors of the REST APIs
(https://github.com/davidtsadler/ebay-sdk-php/issues/234).
"""

from __future__ import annotations

from collections.abc import Mapping

from oneshelf.clock import Clock
from oneshelf.connectors.ebay.day import seconds_to_the_next_day
from oneshelf.sdk.fault import RetryLaterError

REFRESH, OF_APPLICATION = "refresh_token", "client_credentials"
# Grant type -> requests in a day.
GRANTS_A_DAY: Mapping[str, int] = {OF_APPLICATION: 1_000, REFRESH: 50_000}
# Asked again after so long: at most a tenth of what a day grants to the application goes into asking.
RETRY_S = 900.0
_REFUSED = "token: 429 "


class MintQuota:
    """What is left alone once eBay has refused it: requests of one sort, of this process."""

    def __init__(self, clock: Clock, grant_type: str) -> None:
        self._clock = clock
        self._grant_type = grant_type
        self._spent_until = float("-inf")

    def wait(self) -> None:
        """Raises RetryLaterError while a request would be refused."""
        left_s = self._spent_until - self._clock.monotonic()
        if left_s > 0:
            raise RetryLaterError(self._words(left_s), retry_after_s=left_s)

    def fault_of(self, busy: RetryLaterError) -> RetryLaterError:
        """What it means that a token could not be had: the day's requests are used up, or anything else."""
        if not str(busy).startswith(_REFUSED):
            return busy
        wait_s = min(max(RETRY_S, busy.retry_after_s), seconds_to_the_next_day(self._clock.now()))
        self._spent_until = self._clock.monotonic() + wait_s
        return RetryLaterError(self._words(wait_s), retry_after_s=wait_s)

    def _words(self, wait_s: float) -> str:
        who = "the application" if self._grant_type == OF_APPLICATION else "the seller"
        limit = f"{GRANTS_A_DAY[self._grant_type]:,} requests a day"
        return (
            f"eBay grants no more tokens that stand for {who} today: {limit}, "
            f"counted over all who use this keyset; asked again in {wait_s:.0f} s. Where other software uses it, give "
            f"the engine a keyset of its own"
        )
