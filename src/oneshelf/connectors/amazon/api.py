"""Calls to the Selling Partner API: the token on each, one renewal where Amazon rejects it, rates learned."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from oneshelf import __version__
from oneshelf.connectors.amazon import parse
from oneshelf.connectors.amazon.account import Account
from oneshelf.connectors.amazon.quota import APPLICATION_S, is_of_application, is_throttled
from oneshelf.domain.charge import Learned
from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.address import is_loopback, may_download
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.fault import ReauthenticateError, RefusedError, RetryLaterError
from oneshelf.sdk.http import ChannelHttp, Reply
from oneshelf.sdk.tokens import Tokens, called_with_token

LISTINGS_PATH = "/listings/2021-08-01/items"
ORDERS_PATH = "/orders/2026-01-01/orders"
# Documents lie at another place, which counts no calls of ours; nobody needs one more often than `DOCUMENT_LIMIT`.
DOCUMENT = "document"
DOCUMENT_LIMIT = Limit(DOCUMENT, 1.0, 5)
USER_AGENT = f"oneshelf/{__version__} (Language=Python)"


class SellingPartnerApi:
    """The account's API, one attempt per call. Raises what ChannelHttp and Tokens raise."""

    def __init__(self, account: Account, *, http: ChannelHttp, tokens: Tokens) -> None:
        self._account = account
        self._http = http
        self._tokens = tokens
        self._learned: dict[str, float] = {}

    def items_path(self) -> str:
        """The path of the seller's listings."""
        return f"{LISTINGS_PATH}/{quote(self._account.seller_id, safe='')}"

    def item_path(self, channel_sku: ChannelSku) -> str:
        """The path of one listing. A SKU may hold a slash, a hash or a percent sign: nothing is safe in it."""
        segment = quote(channel_sku, safe="")
        if segment in {".", ".."}:
            # Unreserved, and yet a client or a gateway would walk up the path.
            segment = segment.replace(".", "%2E")
        return f"{self.items_path()}/{segment}"

    async def read(self, operation: str, path: str, params: dict[str, str]) -> Reply:
        """A GET."""
        return await self._call(self._http.read, operation, "GET", path, is_retried=True, params=params)

    async def ask(self, operation: str, path: str, json: object) -> Reply:
        """A POST that changes nothing."""
        return await self._call(self._http.read, operation, "POST", path, is_retried=True, json=json)

    async def preview(self, operation: str, path: str, params: dict[str, str], json: object) -> Reply:
        """A PATCH of which Amazon only says what it would do."""
        call = self._http.read
        return await self._call(call, operation, "PATCH", path, is_retried=False, params=params, json=json)

    async def upload(self, url: str, content: bytes, *, content_type: str) -> None:
        """Put a document at a presigned address, without our token. Nothing comes of it before it is named elsewhere.

        Raises RetryLaterError, and RefusedError for an address that must not be used.
        """
        self._check(url)
        try:
            reply = await self._http.read(DOCUMENT, "PUT", url, content=content, headers={"content-type": content_type})
        except ReauthenticateError as refusal:
            # The address has died; nobody's rights are in question.
            raise RetryLaterError(f"{DOCUMENT}: {refusal.status}, the address is not good any more") from None
        if not is_success(reply):
            raise RetryLaterError(f"{DOCUMENT}: {reply.status}, the document was not taken")

    def _check(self, url: str) -> None:
        if not may_download(url, is_on_this_machine=is_loopback(urlsplit(self._account.base_url).hostname or "")):
            raise RefusedError(f"{DOCUMENT}: the address of the file is not https")

    async def write(
        self, operation: str, path: str, params: dict[str, str], json: object, *, method: str = "PATCH"
    ) -> Reply:
        """A call that changes something. Raises OutcomeUnknownError too."""
        call = self._http.write
        return await self._call(call, operation, method, path, is_retried=False, params=params, json=json)

    def download(self, url: str, *, told: Callable[[Mapping[str, str]], None] | None = None) -> AsyncGenerator[bytes]:
        """What lies at a presigned address, without our token. Raises as `ChannelHttp.download`, and RefusedError."""
        self._check(url)
        return self._http.download(DOCUMENT, url, told=told)

    async def _call(
        self,
        call: Callable[..., Awaitable[Reply]],
        operation: str,
        method: str,
        path: str,
        *,
        is_retried: bool,
        **request: Any,
    ) -> Reply:
        url = f"{self._account.base_url}{path}"

        async def call_with(token: str) -> Reply:
            return await call(operation, method, url, headers=_headers(token), **request)

        # A role that was missing when the seller authorised us is missing in every new token too: only the seller can
        # add it.
        try:
            reply = await called_with_token(
                self._tokens,
                call_with,
                is_about_token=lambda refusal: is_retried or parse.is_token_rejected(str(refusal)),
            )
        except RetryLaterError as busy:
            if not is_throttled(operation, busy):
                raise
            raise await self._throttled(operation, busy) from None
        await self._learn(operation, reply)
        return reply

    async def _throttled(self, operation: str, busy: RetryLaterError) -> RetryLaterError:
        """What it means that Amazon refused a call for its quota: whose it is, and when it comes back.

        The seller's comes back at the rate of the operation: what we thought was left of it is not there, and all
        nodes wait for the next call that is granted. The application's says nothing of that.
        """
        if is_of_application(busy):
            words = f"{busy}: others who use this application have used up what it may do over all its sellers"
            return RetryLaterError(words, retry_after_s=APPLICATION_S)
        await self._http.limiter.learn(operation, Learned(left=0.0))
        return busy

    async def _learn(self, operation: str, reply: Reply) -> None:
        rate_per_s = parse.rate_from(reply.headers.get("x-amzn-ratelimit-limit"))
        if not is_success(reply) or rate_per_s is None or self._learned.get(operation) == rate_per_s:
            return
        self._learned[operation] = rate_per_s
        await self._http.limiter.learn(operation, Learned(rate_per_s))


def refuse(operation: str, reply: Reply) -> None:
    """Raise RefusedError unless the answer is a success."""
    if not is_success(reply):
        raise RefusedError(f"{operation}: {reply.status} {parse.error_words(reply.body)}")


def is_success(reply: Reply) -> bool:
    """Whether Amazon says that it did what we asked; the body may still say otherwise."""
    return 200 <= reply.status < 300


def _headers(token: str) -> dict[str, str]:
    return {"x-amz-access-token": token, "user-agent": USER_AGENT, "accept": "application/json"}
