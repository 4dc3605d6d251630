"""One call to the Admin API: address, token, budget, and the two error layers above the mutation's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import msgspec

from oneshelf.connectors.shopify.answers import Budget, answer_from, budget_from
from oneshelf.connectors.shopify.json_reading import decoded
from oneshelf.domain.charge import Charge, Learned
from oneshelf.errors import MalformedError
from oneshelf.sdk.address import is_loopback
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.fault import (
    BudgetSpentError,
    ChannelFault,
    MisconfiguredError,
    OutcomeUnknownError,
    RefusedError,
    RetryLaterError,
)
from oneshelf.sdk.http import ChannelHttp, Reply
from oneshelf.sdk.tokens import FixedToken, Tokens, called_with_token

READ = "shopify.read"
WRITE = "shopify.write"
ORDERS = "shopify.orders"
FILE = "shopify.file"

# Shopify grants 100 points a second on the smallest plan, at most 2,000 at once, to all calls of an app together, and
# says with each answer what there is and what is left. The bucket must hold what a call may cost at most; what it did
# not cost is given back (https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits, checked 2026-11-23).
POINTS = "shopify.points"
LIMITS = (Limit(operation=POINTS, rate_per_s=100.0, burst=2000),)
# What a call of each operation leaves in the bucket. A page of orders may cost some 650 points and always finds them,
# however much is written; a cut finds enough for itself, however much is read.
_LEAVES = {ORDERS: 0.0, WRITE: 700.0, READ: 900.0}
# What a call is taken to cost at most until the shop has said it. A write costs 10 to 13 points, however many its rows.
_FIRST_COST = {ORDERS: 650.0, WRITE: 15.0, READ: 100.0}
# What a page of stock, or a reading of as many listings as one may have, costs.
READ_POINTS = 40.0
# A file comes from where Shopify keeps files, and takes nothing from the budget of the Admin API. No limit of that is
# known; nobody needs a file more often.
FILE_LIMIT = Limit(operation=FILE, rate_per_s=1.0, burst=5)
_UNAUTHORIZED = 401


class ShopifyApi:
    """The GraphQL Admin API of one shop. Its `repr` shows no token."""

    def __init__(self, http: ChannelHttp, *, base_url: str, api_version: str, tokens: Tokens | FixedToken) -> None:
        self._http = http
        self.api_version = api_version
        self.is_on_this_machine = is_loopback(urlsplit(base_url).hostname or "")
        self._url = f"{base_url}/admin/api/{api_version}/graphql.json"
        self._tokens = tokens
        # Document -> the most that a call with it was said to cost.
        self._costs: dict[str, float] = {}
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
        charge = Charge(POINTS, self._costs.get(document, _FIRST_COST[operation]), _LEAVES[operation])

        async def call_with(token: str) -> Reply:
            try:
                return await call(operation, "POST", self._url, charge=charge, headers=_headers(token), content=body)
            except BudgetSpentError:
                raise
            except ChannelFault:
                # What it cost, if anything, the next answer shows: it says what is left.
                await self._http.limiter.learn(POINTS, Learned(back=charge.cost))
                raise

        # 403 is about a right that the app lacks, and no other token has it.
        reply = await called_with_token(
            self._tokens, call_with, is_about_token=lambda refusal: refusal.status == _UNAUTHORIZED
        )
        return await self._answer(operation, reply, document, charge)

    async def _answer(self, operation: str, reply: Reply, document: str, charge: Charge) -> Mapping[str, object]:
        if reply.status == 404:
            # No shop has this host, or the version is none of its API: a statement about the address, not the request.
            raise MisconfiguredError(f"{operation}: 404 {reply.words()}; check base_url and api_version")
        if 300 <= reply.status < 500:
            raise RefusedError(f"{operation}: {reply.status} {reply.words()}")
        try:
            answer = decoded(reply.body)
        except MalformedError:
            words = f"{operation}: answered {reply.status} with something that is not JSON"
            raise (OutcomeUnknownError(words) if reply.is_write else RetryLaterError(words)) from None
        self.answered_version = reply.headers.get("x-shopify-api-version", "")
        await self._learn(document, charge, budget_from(answer))
        return answer_from(answer, operation=operation, is_write=reply.is_write)

    async def _learn(self, document: str, charge: Charge, budget: Budget | None) -> None:
        """The shop says what the call cost, and what is left."""
        if budget is None:
            return
        self._costs[document] = max(self._costs.get(document, 0.0), budget.requested)
        back = charge.cost - budget.actual
        told = Learned(budget.restore_rate, burst=budget.maximum, left=budget.available, back=back)
        await self._http.limiter.learn(POINTS, told)


def _headers(token: str) -> dict[str, str]:
    return {"Accept": "application/json", "Content-Type": "application/json", "X-Shopify-Access-Token": token}
