"""Access tokens of Login with Amazon: one in use, one fetch in flight.

Rule: https://developer-docs.amazon.com/sp-api/docs/connect-to-the-selling-partner-api (checked 2026-11-23): a
refresh token buys an access token that lives 3600 s; no request is signed.
"""

from __future__ import annotations

import asyncio

from oneshelf.clock import Clock
from oneshelf.connectors.amazon import parse
from oneshelf.connectors.amazon.account import Account
from oneshelf.sdk.fault import ReauthenticateError, RetryLaterError
from oneshelf.sdk.http import ChannelHttp

# A token this close to its end is not used any more; for short-lived ones a tenth of the life is enough.
MARGIN_S = 60.0
MARGIN_SHARE = 0.1


class Tokens:
    """The access token of one account. Callers that come while it is being fetched wait for that one fetch."""

    def __init__(self, account: Account, *, http: ChannelHttp, clock: Clock) -> None:
        self._account = account
        self._http = http
        self._clock = clock
        self._flight = asyncio.Lock()
        self._token: str | None = None
        self._usable_until = 0.0

    async def access_token(self) -> str:
        """A token that is good as far as we know. Raises ReauthenticateError, RetryLaterError."""
        if self._token is not None and self._clock.monotonic() < self._usable_until:
            return self._token
        async with self._flight:
            if self._token is not None and self._clock.monotonic() < self._usable_until:
                return self._token
            return await self._fetch()

    async def renewed(self, rejected: str) -> str:
        """Another token than the `rejected` one, which Amazon did not take."""
        async with self._flight:
            if self._token is not None and self._token != rejected:
                return self._token
            return await self._fetch()

    async def _fetch(self) -> str:
        credentials = self._account.credentials
        asked_at = self._clock.monotonic()
        reply = await self._http.read(
            "token",
            "POST",
            self._account.token_url,
            data={
                "grant_type": "refresh_token",
                "refresh_token": credentials.refresh_token,
                "client_id": credentials.client_id,
                "client_secret": credentials.client_secret,
            },
        )
        if 400 <= reply.status < 500:
            raise ReauthenticateError(f"Login with Amazon refuses: {parse.token_refusal(reply.body)}")
        if reply.status != 200:
            raise RetryLaterError(f"Login with Amazon answered {reply.status}")
        grant = parse.token_grant(reply.document())
        self._token = grant.access_token
        self._usable_until = asked_at + grant.life_s - min(MARGIN_S, grant.life_s * MARGIN_SHARE)
        return grant.access_token
