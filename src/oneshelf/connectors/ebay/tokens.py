"""How eBay grants access tokens; see `sdk.tokens` for how one is kept in use.

Rules: https://developer.ebay.com/api-docs/static/oauth-refresh-token-request.html and
.../oauth-client-credentials-grant.html (checked 2026-11-27). An access token lives 7200 s. The refresh token stays the
same for 18 months, so that there is nothing to keep: each node asks for tokens of its own. How long it has to live only
the answer to the consent says (`refresh_token_expires_in`), which the engine never sees; that to a refresh has no such
member. No scope is named when a token is refreshed: the new one has those of the consent, and a scope that the consent
lacks would make it fail.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

from oneshelf.clock import Clock
from oneshelf.connectors.ebay.account import Account
from oneshelf.connectors.ebay.json_reading import decoded, life_in, text_in
from oneshelf.connectors.ebay.minting import OF_APPLICATION, REFRESH, MintQuota
from oneshelf.domain.charge import Charge
from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import ReauthenticateError, RetryLaterError
from oneshelf.sdk.http import ChannelHttp, Reply
from oneshelf.sdk.secret_store import MemorySecretStore
from oneshelf.sdk.tokens import Grant, Tokens

TOKEN_PATH = "/identity/v1/oauth2/token"  # noqa: S105  # a path
TOKEN_BUDGET = "token"  # noqa: S105  # a budget of calls
APP_SCOPE = "https://api.ebay.com/oauth/api_scope"
WAY_OUT = (
    "have the seller authorize the application again (docs/how-to/connect-ebay.md), set the new refresh_token, and "
    "consented_on to that day"
)
CONSENT_ENDED = (
    "the seller's consent has ended: its 18 months are over, it was withdrawn, or the password or login changed"
)


def user_tokens(account: Account, *, http: ChannelHttp, clock: Clock) -> Tokens:
    """The access tokens that stand for the seller."""

    quota = MintQuota(clock, REFRESH)

    async def ask(refresh_token: str) -> Grant:
        form = {"grant_type": REFRESH, "refresh_token": refresh_token}
        return await _granted(account, http, form, quota, way_out=WAY_OUT)

    return _tokens(ask, clock=clock, refresh_token=account.credentials.refresh_token)


def app_tokens(account: Account, *, http: ChannelHttp, clock: Clock) -> Tokens:
    """The access tokens that stand for the application: for keys, destinations and quotas."""

    quota = MintQuota(clock, OF_APPLICATION)

    async def ask(_refresh_token: str) -> Grant:
        form = {"grant_type": OF_APPLICATION, "scope": APP_SCOPE}
        return await _granted(account, http, form, quota, way_out="correct client_id and client_secret")

    return _tokens(ask, clock=clock, refresh_token="")


def _tokens(ask: Callable[[str], Awaitable[Grant]], *, clock: Clock, refresh_token: str) -> Tokens:
    return Tokens(ask, clock=clock, store=MemorySecretStore(clock), refresh_token=refresh_token)


async def _granted(
    account: Account, http: ChannelHttp, form: dict[str, str], quota: MintQuota, *, way_out: str
) -> Grant:
    quota.wait()
    credentials = account.credentials
    basic = base64.b64encode(f"{credentials.client_id}:{credentials.client_secret}".encode()).decode()
    try:
        reply = await http.read(
            "token",
            "POST",
            account.base_url + TOKEN_PATH,
            charge=Charge(TOKEN_BUDGET),
            headers={"authorization": f"Basic {basic}", "accept": "application/json"},
            data=form,
        )
    except ReauthenticateError:
        raise ReauthenticateError(f"eBay refuses the keyset: {way_out}", status=401) from None
    except RetryLaterError as busy:
        raise quota.fault_of(busy) from None
    if 400 <= reply.status < 500:
        refusal = _refusal(reply)
        why = f"; {CONSENT_ENDED}" if refusal == "invalid_grant" else ""
        raise ReauthenticateError(f"eBay grants no token ({refusal}){why}: {way_out}")
    if reply.status != 200:
        raise RetryLaterError(f"eBay answered {reply.status} when it was asked for a token")
    document = reply.document()
    return Grant(access_token=text_in(document, "access_token"), life_s=life_in(document, "expires_in"))


def _refusal(reply: Reply) -> str:
    """The error code of OAuth, such as `invalid_grant`; its description may repeat what was sent."""
    try:
        return text_in(decoded(reply.body), "error")[:60]
    except MalformedError:
        return f"status {reply.status}"
