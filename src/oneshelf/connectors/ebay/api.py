"""Calls to eBay: the token on each, one renewal where eBay rejects it, a day's quota that is spent.

The quotas are counted for each API and application, over a day: https://developer.ebay.com/develop/get-started/
api-call-limits (checked 2026-11-26). When a day ends only the Analytics API says, and what an application is granted
that has asked for more.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from xml.etree.ElementTree import Element  # a type

from oneshelf import __version__
from oneshelf.clock import Clock
from oneshelf.connectors.ebay import trading
from oneshelf.connectors.ebay.account import Account
from oneshelf.connectors.ebay.json_reading import error_words, errors_in, list_in
from oneshelf.domain.charge import Charge, Learned
from oneshelf.errors import MalformedError
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.decoding import an_instant, an_object
from oneshelf.sdk.fault import (
    BudgetSpentError,
    ChannelFault,
    OutcomeUnknownError,
    ReauthenticateError,
    RefusedError,
    RetryLaterError,
)
from oneshelf.sdk.http import ChannelHttp, Reply
from oneshelf.sdk.tokens import Tokens, called_with_token

DAY_S = 86_400.0
INVENTORY, FULFILLMENT, TRADING, FEED, NOTIFICATION, ANALYTICS, PUBLIC_KEY = (
    *("inventory", "fulfillment", "trading", "feed", "notification", "analytics", "public_key"),
)
# A tenth of a day's quota at once, and the rest evenly: so no day ever takes more than its quota.
_QUOTAS = {
    INVENTORY: 2_000_000,
    FULFILLMENT: 100_000,
    TRADING: 5_000,
    FEED: 100_000,
    NOTIFICATION: 9_000,
    ANALYTICS: 5_000,
}
_USED_SHARE = 0.9
LIMITS = (
    *(Limit(name, quota * _USED_SHARE / DAY_S, quota // 10) for name, quota in _QUOTAS.items()),
    # Of the Notification API's 10,000: whoever sends us forged deliveries must not spend the rest of them.
    Limit(PUBLIC_KEY, 900 / DAY_S, 100),
    # A token lives two hours, so this is only a brake, within what is granted: see `minting`.
    Limit("token", 900 / DAY_S, 100),
)
# What the Analytics API calls them.
_ANALYTICS_NAMES = {
    INVENTORY: ("sell", "inventory"),
    FULFILLMENT: ("sell", "fulfillment"),
    TRADING: ("tradingapi", "tradingapi"),
    FEED: ("sell", "feed"),
    NOTIFICATION: ("commerce", "notification"),
}
# Asked again after so long, where nobody says whether the quota is spent and when it comes back.
QUOTA_RETRY_S = 60.0
# Nor is it asked more often whether more is granted than is documented.
GRANT_ASKED_S = 3600.0
TRADING_PATH = "/ws/api.dll"
USER_AGENT = f"oneshelf/{__version__}"
_QUOTA_SPENT = re.compile(r'"errorId"\s*:\s*2001\b')
_CONCURRENT = re.compile(r'"errorId"\s*:\s*25025\b')

_Answer = TypeVar("_Answer")


class Quota(NamedTuple):
    """What eBay grants of an API: `limit` calls in `window_s` seconds, of which `left` are left until `ends_at`."""

    limit: int
    left: int
    window_s: float
    ends_at: datetime


class EbayApi:
    """One seller's API, one attempt per call. Raises what ChannelHttp and Tokens raise."""

    def __init__(
        self, account: Account, *, http: ChannelHttp, clock: Clock, user_tokens: Tokens, app_tokens: Tokens
    ) -> None:
        self.account = account
        self._http = http
        self._clock = clock
        self.user_tokens = user_tokens
        self.app_tokens = app_tokens
        # Budget -> the monotonic instant before which a call would be refused anyhow.
        self._spent_until: dict[str, float] = {}
        # Budget -> the monotonic instant before which it is not asked again how much is granted.
        self._granted_until: dict[str, float] = {}

    # REST ----------------------------------------------------------------------------------------------------

    async def read(
        self, operation: str, method: str, path: str, *, budget: str, is_app: bool = False, **request: Any
    ) -> Reply:
        """A call that changes nothing. `is_app`: it stands for the application, not for the seller."""
        return await self._rest(self._http.read, operation, method, path, budget=budget, is_app=is_app, **request)

    async def write(
        self, operation: str, method: str, path: str, *, budget: str, is_app: bool = False, **request: Any
    ) -> Reply:
        """A call that may change something. Raises OutcomeUnknownError too."""
        try:
            return await self._rest(self._http.write, operation, method, path, budget=budget, is_app=is_app, **request)
        except OutcomeUnknownError as lost:
            if _CONCURRENT.search(str(lost)):
                # "Concurrent access of the same Inventory or Inventory Item Group object is not allowed": not done.
                raise RetryLaterError(str(lost)) from None
            raise

    async def download(self, operation: str, path: str, *, budget: str) -> AsyncGenerator[bytes]:
        """A file, piece by piece; asked for again where eBay rejects the token. Raises as `ChannelHttp.download`."""
        await self._wait_for_quota(operation, budget)
        token = await self.user_tokens.access_token()
        try:
            async with aclosing(self._pieces(operation, path, token, budget=budget)) as pieces:
                async for piece in pieces:
                    yield piece
                return
        except ReauthenticateError:
            # It comes before the first piece.
            token = await self.user_tokens.renewed(token)
        async with aclosing(self._pieces(operation, path, token, budget=budget)) as pieces:
            async for piece in pieces:
                yield piece

    def _pieces(self, operation: str, path: str, token: str, *, budget: str) -> AsyncGenerator[bytes]:
        headers = {"authorization": f"Bearer {token}", "accept": "application/octet-stream", "user-agent": USER_AGENT}
        url = f"{self.account.base_url}{path}"
        return self._http.download(operation, url, headers=headers, charge=Charge(budget))

    async def _rest(
        self,
        call: Callable[..., Awaitable[Reply]],
        operation: str,
        method: str,
        path: str,
        *,
        budget: str,
        is_app: bool,
        **request: Any,
    ) -> Reply:
        await self._wait_for_quota(operation, budget)
        url = f"{self.account.base_url}{path}"

        async def call_with(token: str) -> Reply:
            headers = {
                "authorization": f"Bearer {token}",
                "accept": "application/json",
                "accept-language": self.account.language,
                "content-language": self.account.language,
                "user-agent": USER_AGENT,
                "x-ebay-c-marketplace-id": self.account.marketplace_id,
            }
            return await self._granted(
                budget, lambda: call(operation, method, url, charge=Charge(budget), headers=headers, **request)
            )

        try:
            return await called_with_token(
                self.app_tokens if is_app else self.user_tokens,
                call_with,
                is_about_token=lambda refusal: refusal.status == 401,
            )
        except RetryLaterError as busy:
            if _QUOTA_SPENT.search(str(busy)):
                await self._spent(operation, budget)
            raise

    # Trading -------------------------------------------------------------------------------------------------

    async def trading_read(self, name: str, body: bytes) -> Element:
        """The answer to a Trading call that changes nothing. Raises RefusedError in eBay's words."""
        answer = await self._trading(self._http.read, name, body)
        if trading.is_failure(answer):
            problem = trading.words_of(trading.errors_in(answer))
            if trading.is_systems_fault(answer):
                raise RetryLaterError(f"{name}: {problem}")
            raise RefusedError(f"{name}: {problem}")
        return answer

    async def trading_write(self, name: str, body: bytes) -> Element:
        """The answer to a Trading call that may change something, whatever it says of single listings.

        Raises OutcomeUnknownError too.
        """
        try:
            answer = await self._trading(self._http.write, name, body)
        except MalformedError as problem:
            raise OutcomeUnknownError(f"{name}: {problem}") from None
        if trading.is_failure(answer) and trading.is_systems_fault(answer):
            raise OutcomeUnknownError(f"{name}: {trading.words_of(trading.errors_in(answer))}")
        return answer

    async def _trading(self, call: Callable[..., Awaitable[Reply]], name: str, body: bytes) -> Element:
        await self._wait_for_quota(name, TRADING)
        answers: list[Element] = []

        async def call_with(token: str) -> Reply:
            headers = {
                "x-ebay-api-call-name": name,
                "x-ebay-api-siteid": str(self.account.site_id),
                "x-ebay-api-compatibility-level": trading.VERSION,
                "x-ebay-api-iaf-token": token,
                "content-type": "text/xml",
                "user-agent": USER_AGENT,
            }
            url = self.account.base_url + TRADING_PATH
            reply = await self._granted(
                TRADING, lambda: call(name, "POST", url, charge=Charge(TRADING), headers=headers, content=body)
            )
            if reply.status != 200:
                words = f"{name}: {reply.status} {reply.words()}"
                if reply.is_write and (reply.status < 400 or reply.status == 408):
                    raise OutcomeUnknownError(words)
                raise RefusedError(words)
            answer = trading.answer_from(reply.body, name)
            if trading.is_token_refused(answer):
                # The Trading API says so with status 200.
                raise ReauthenticateError(f"{name}: {trading.words_of(trading.errors_in(answer))}", status=401)
            answers.append(answer)
            return reply

        await called_with_token(self.user_tokens, call_with, is_about_token=lambda refusal: refusal.status == 401)
        answer = answers[-1]
        if trading.is_too_fast(answer):
            raise RetryLaterError(f"{name}: too many calls at once", retry_after_s=trading.TOO_FAST_S)
        if trading.is_quota_spent(answer):
            await self._spent(name, TRADING)
        return answer

    # Quotas --------------------------------------------------------------------------------------------------

    async def _wait_for_quota(self, operation: str, budget: str) -> None:
        wait_s = self._spent_until.get(budget, 0.0) - self._clock.monotonic()
        if wait_s > 0:
            raise RetryLaterError(f"{operation}: eBay's quota of calls for the day is spent", retry_after_s=wait_s)

    async def _spent(self, operation: str, budget: str) -> None:
        """Leave this API alone until its quota comes back. Raises RetryLaterError.

        Where eBay itself says that some of it is left, it was only busy.
        """
        reset_at: datetime | None = None
        if budget in _ANALYTICS_NAMES:
            quotas = await self._quotas_told(budget)
            if quotas and all(one.left > 0 for one in quotas):
                raise RetryLaterError(f"{operation}: too many calls at once")
            reset_at = min((one.ends_at for one in quotas if one.left <= 0), default=None)
        wait_s = QUOTA_RETRY_S if reset_at is None else (reset_at - self._clock.now()).total_seconds()
        wait_s = max(1.0, min(wait_s, DAY_S))
        self._spent_until[budget] = self._clock.monotonic() + wait_s
        words = f"{operation}: eBay's quota of calls for the day is spent; it comes back in {wait_s:.0f} s"
        raise RetryLaterError(words, retry_after_s=wait_s)

    async def _granted(self, budget: str, call: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """A call; once more where our own count has it that there are none left, and eBay grants more of them."""
        try:
            return await call()
        except BudgetSpentError:
            if not await self._is_granted_more(budget):
                raise
        return await call()

    async def _is_granted_more(self, budget: str) -> bool:
        """Whether eBay grants this application more of an API than is documented; from now on that is our pace."""
        now = self._clock.monotonic()
        if budget not in _ANALYTICS_NAMES or now < self._granted_until.get(budget, now):
            return False
        self._granted_until[budget] = now + GRANT_ASKED_S
        quotas = [one for one in await self._quotas_told(budget) if one.limit > 0 and one.window_s > 0]
        if not quotas:
            return False
        least = min(quotas, key=lambda one: one.limit / one.window_s)
        rate_per_s = least.limit * _USED_SHARE / least.window_s
        if rate_per_s <= _QUOTAS[budget] * _USED_SHARE / DAY_S:
            return False
        await self._http.limiter.learn(budget, Learned(rate_per_s, burst=max(1, least.limit // 10)))
        return True

    async def _quotas_told(self, budget: str) -> list[Quota]:
        """What eBay grants of an API; nothing where it does not say."""
        with suppress(ChannelFault, MalformedError):
            return await self.quotas(budget)
        return []

    async def quotas(self, budget: str) -> list[Quota]:
        """What eBay grants of an API. Raises MalformedError."""
        context, name = _ANALYTICS_NAMES[budget]
        reply = await self.read(
            "getRateLimits",
            "GET",
            "/developer/analytics/v1_beta/rate_limit/",
            budget=ANALYTICS,
            is_app=True,
            params={"api_context": context, "api_name": name},
        )
        if reply.status == 204:
            return []
        refuse("getRateLimits", reply)
        found = []
        for api in list_in(reply.document(), "rateLimits"):
            for resource in list_in(api, "resources"):
                for rate in errors_in(resource, "rates"):
                    limit, left, window_s = (rate.get(name) for name in ("limit", "remaining", "timeWindow"))
                    if isinstance(limit, int) and isinstance(left, int):
                        ends_at = an_instant(rate.get("reset"), "the end of a quota")
                        found.append(Quota(limit, left, window_s if isinstance(window_s, int) else DAY_S, ends_at))
        return found

    async def count(self, budget: str, left: int) -> None:
        """eBay says how many calls are left: where it counts fewer than we do, it is right."""
        await self._http.limiter.learn(budget, Learned(left=float(left)))


def refuse(operation: str, reply: Reply) -> None:
    """Raise RefusedError unless the answer is a success."""
    if not is_success(reply):
        raise RefusedError(f"{operation}: {reply.status} {error_words(reply.body)}")


def is_success(reply: Reply) -> bool:
    """Whether eBay says that it did what we asked; the body may still say otherwise."""
    return 200 <= reply.status < 300


def document_of(operation: str, reply: Reply) -> Any:
    """The JSON object in a good answer. Raises RefusedError, MalformedError."""
    refuse(operation, reply)
    return an_object(reply.document(), f"the answer to {operation}")
