"""One call to the Admin API: address, token, budget, and the two error layers above the mutation's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import msgspec

from oneshelf.connectors.shopify.answers import answer_from, budget_from
from oneshelf.connectors.shopify.json_reading import decoded
from oneshelf.errors import MalformedError
from oneshelf.sdk.address import is_loopback
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.fault import MisconfiguredError, OutcomeUnknownError, RefusedError, RetryLaterError
from oneshelf.sdk.http import ChannelHttp, Reply
from oneshelf.sdk.tokens import FixedToken, Tokens, called_with_token

READ = "shopify.read"
WRITE = "shopify.write"
ORDERS = "shopify.orders"
FILE = "shopify.file"

# Shopify grants 100 points a second on the smallest plan, at most 2,000 at once, to all calls together
# (https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits, checked 2026-11-23). A write costs 10 to 13
# points however many rows it has. Each operation has a share of that in calls; a richer plan multiplies the rates.
LIMITS = (
    Limit(operation=WRITE, rate_per_s=3.0, burst=50),
    Limit(operation=READ, rate_per_s=1.0, burst=20),
    Limit(operation=ORDERS, rate_per_s=0.5, burst=5),
)
# A file comes from where Shopify keeps files, and takes nothing from the budget of the Admin API. No limit of that is
# known; nobody needs a file more often.
FILE_LIMIT = Limit(operation=FILE, rate_per_s=1.0, burst=5)
_DECLARED_RESTORE_RATE = 100.0
_UNAUTHORIZED = 401


class ShopifyApi:
    """The GraphQL Admin API of one shop. Its `repr` shows no token."""

    def __init__(self, http: ChannelHttp, *, base_url: str, api_version: str, tokens: Tokens | FixedToken) -> None:
        self._http = http
        self.api_version = api_version
        self.is_on_this_machine = is_loopback(urlsplit(base_url).hostname or "")
        self._url = f"{base_url}/admin/api/{api_version}/graphql.json"
        self._tokens = tokens
        self._restore_rate = _DECLARED_RESTORE_RATE
        # The version that answered last. Shopify answers a version that it no longer serves with its oldest one.
        self.answered_version = ""

    async def read(
        self, document: str, variables: Mapping[str, object], *, operation: str = READ
    ) -> Mapping[str, object]:
        """The `data` of a query. Raises RetryLaterError, ReauthenticateError, MisconfiguredError, RefusedError."""
        return await self._call(self._http.read, operation, document, variables)

    async def write(self, document: str, variables: Mapping[str, object]) -> Mapping[str, object]:
        """The `data` of a mutation, whose own refusals are in it.

        Raises as `read`, then certainly not applied, and OutcomeUnknownError.
        """
        return await self._call(self._http.write, WRITE, document, variables)

    def file(self, address: str) -> AsyncGenerator[bytes]:
        """What lies at an address that the API has told. No token goes along. Raises as `ChannelHttp.download`."""
        return self._http.download(FILE, address)

    async def _call(
        self, call: Callable[..., Awaitable[Reply]], operation: str, document: str, variables: Mapping[str, object]
    ) -> Mapping[str, object]:
        body = msgspec.json.encode({"query": document, "variables": variables})

        async def call_with(token: str) -> Reply:
            return await call(operation, "POST", self._url, headers=_headers(token), content=body)

        # 403 is about a right that the app lacks, and no other token has it.
        reply = await called_with_token(
            self._tokens, call_with, is_about_token=lambda refusal: refusal.status == _UNAUTHORIZED
        )
        return await self._answer(operation, reply)

    async def _answer(self, operation: str, reply: Reply) -> Mapping[str, object]:
        if reply.status == 404:
            # No shop has this host, or the version is none of its API: a statement about the address, not the request.
            raise MisconfiguredError(f"{operation}: 404 {reply.words()}; check base_url and api_version")
        if 300 <= reply.status < 500:
            raise RefusedError(f"{operation}: {reply.status} {reply.words()}")
        try:
            document = decoded(reply.body)
        except MalformedError:
            words = f"{operation}: answered {reply.status} with something that is not JSON"
            raise (OutcomeUnknownError(words) if reply.is_write else RetryLaterError(words)) from None
        self.answered_version = reply.headers.get("x-shopify-api-version", "")
        await self._learn(document)
        return answer_from(document, operation=operation, is_write=reply.is_write)

    async def _learn(self, document: object) -> None:
        budget = budget_from(document)
        if budget is None or budget.restore_rate == self._restore_rate:
            return
        self._restore_rate = budget.restore_rate
        for limit in LIMITS:
            rate_per_s = limit.rate_per_s * budget.restore_rate / _DECLARED_RESTORE_RATE
            await self._http.limiter.learn(limit.operation, rate_per_s)


def _headers(token: str) -> dict[str, str]:
    return {"Accept": "application/json", "Content-Type": "application/json", "X-Shopify-Access-Token": token}
