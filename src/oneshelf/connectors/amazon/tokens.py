"""How Login with Amazon grants access tokens; see `sdk.tokens` for how one is kept in use.

Rule: https://developer-docs.amazon.com/sp-api/docs/connect-to-the-selling-partner-api (checked 2026-11-23): a
refresh token buys an access token that lives 3600 s; no request is signed. The refresh token stays the same, so that
there is nothing to keep: each node buys access tokens of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from oneshelf.clock import Clock
from oneshelf.connectors.amazon import parse
from oneshelf.connectors.amazon.account import Account
from oneshelf.sdk.fault import ReauthenticateError, RetryLaterError
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.secret_store import MemorySecretStore
from oneshelf.sdk.tokens import Grant, Tokens

NOTIFICATIONS_SCOPE = "sellingpartnerapi::notifications"


def tokens_of(account: Account, *, http: ChannelHttp, clock: Clock) -> Tokens:
    """The access tokens of one account."""

    def form(refresh_token: str) -> dict[str, str]:
        return {"grant_type": "refresh_token", "refresh_token": refresh_token}

    return _tokens(account, form, http=http, clock=clock, refresh_token=account.credentials.refresh_token)


def grantless_tokens_of(account: Account, *, http: ChannelHttp, clock: Clock) -> Tokens:
    """The access tokens of the application alone: where notifications go is its affair, and not a seller's.

    https://developer-docs.amazon.com/sp-api/docs/grantless-operations (checked 2026-11-26).
    """

    def form(_refresh_token: str) -> dict[str, str]:
        return {"grant_type": "client_credentials", "scope": NOTIFICATIONS_SCOPE}

    return _tokens(account, form, http=http, clock=clock, refresh_token="")


def _tokens(
    account: Account, form: Callable[[str], dict[str, str]], *, http: ChannelHttp, clock: Clock, refresh_token: str
) -> Tokens:
    async def ask(refresh_token: str) -> Grant:
        credentials = account.credentials
        reply = await http.read(
            "token",
            "POST",
            account.token_url,
            data={
                **form(refresh_token),
                "client_id": credentials.client_id,
                "client_secret": credentials.client_secret,
            },
        )
        if 400 <= reply.status < 500:
            raise ReauthenticateError(f"Login with Amazon refuses: {parse.token_refusal(reply.body)}")
        if reply.status != 200:
            raise RetryLaterError(f"Login with Amazon answered {reply.status}")
        return parse.token_grant(reply.document())

    store = MemorySecretStore(clock)
    return Tokens(ask, clock=clock, store=store, refresh_token=refresh_token)
