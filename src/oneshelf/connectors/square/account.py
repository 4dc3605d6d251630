"""What a person tells us to connect a Square account, checked, and the access tokens that follow from it.

Two kinds of access. A personal access token of one's own application has no end. OAuth: access tokens end after 30
days, "call ObtainToken ... well before"; Square advises to renew every seven days or sooner. With the code flow the
refresh token is good for ever; with PKCE, which has no client secret, each is used once and lives 90 days, and the
answer has the next one (ObtainTokenResponse,
https://developer.squareup.com/docs/oauth-api/refresh-revoke-limit-scope, version 2026-09-16, checked 2026-11-26).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from oneshelf.clock import Clock
from oneshelf.connectors.square.documents import Error, Errors, Granted, instant, is_id, read_as
from oneshelf.errors import ConfigurationError, MalformedError
from oneshelf.sdk.address import address_from
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.contract import Setting
from oneshelf.sdk.fault import ReauthenticateError, RetryLaterError
from oneshelf.sdk.http import ChannelHttp, Reply
from oneshelf.sdk.message import ChannelConfig
from oneshelf.sdk.secret_store import SecretStore
from oneshelf.sdk.settings import filled, seconds_from
from oneshelf.sdk.tokens import FixedToken, Grant, Tokens

TOKEN = "square.token"  # noqa: S105  # the name of an operation
TOKEN_PATH = "/oauth2/token"  # noqa: S105  # an address
# A brake only: a token is renewed once in days.
TOKEN_LIMIT = Limit(TOKEN, rate_per_s=1.0, burst=5)
RENEW_AFTER_S = 7 * 86_400.0
API_VERSION = "2026-09-16"
ORDERS_LAG_S, ORDERS_LAG_S_MAX = 30.0, 3600.0
_SECRETS_MAX = 2
_VERSION = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", re.ASCII)

KINDS = (
    "give access_token (the personal access token of an application of your own), or client_id and refresh_token (a "
    "seller's consent), with client_secret unless the consent was given by PKCE"
)

SETTINGS = (
    Setting("location_id", "The location whose stock this channel publishes, as Square's Locations page names it"),
    Setting(
        "base_url",
        "Square's API; https://connect.squareupsandbox.com for a sandbox",
        default="https://connect.squareup.com",
    ),
    Setting("api_version", "The version of Square's API, a date", default=API_VERSION),
    Setting(
        "orders_lag_s",
        "Seconds that an order may stay invisible to a search of the orders; Square states none",
        default=str(ORDERS_LAG_S),
    ),
    Setting(
        "notification_url",
        "The address of the webhook subscription, letter by letter as it stands at Square: it is part of the signature",
        default="",
    ),
    Setting("access_token", "A personal access token, which has no end", is_secret=True, default=""),
    Setting("client_id", "The application id, where there is no access_token", is_secret=True, default=""),
    Setting("client_secret", "The application secret; none with PKCE", is_secret=True, default=""),
    Setting("refresh_token", "What the seller's consent gave", is_secret=True, default=""),
    Setting(
        "webhook_signature_key",
        "The signature key of the webhook subscription; during a rotation both, with a comma",
        is_secret=True,
        default="",
    ),
)


@dataclass(frozen=True, slots=True)
class Account:
    """One location of one seller. No `repr` shows the secrets."""

    location_id: str
    base_url: str
    api_version: str
    orders_lag_s: float
    notification_url: str
    access_token: str = field(repr=False)
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    signature_keys: tuple[str, ...] = field(repr=False)

    @property
    def way_out(self) -> str:
        """What a person does where Square does not let us in."""
        if self.access_token:
            return "take the access token of the application from Square's Developer Console and set it as access_token"
        return "have the seller authorize the application again, and set the new refresh_token"


def account_from(config: ChannelConfig) -> Account:
    """The account a person configured. Raises ConfigurationError naming a missing, unknown or unusable setting."""
    name = config.channel
    told = filled(SETTINGS, config.settings, channel=name, title="Square", is_secret=False)
    hidden = filled(SETTINGS, config.secrets, channel=name, title="Square", is_secret=True)
    if not is_id(told["location_id"]):
        raise ConfigurationError(f"channel {name}: location_id is an id such as L88917AVBK2S5")
    if _VERSION.fullmatch(told["api_version"]) is None:
        raise ConfigurationError(f"channel {name}: api_version is a date such as {API_VERSION}")
    for secret in ("access_token", "client_id", "client_secret", "refresh_token"):
        if not (hidden[secret].isascii() and hidden[secret].isprintable()) or " " in hidden[secret]:
            raise ConfigurationError(f"channel {name}: the secret {secret} holds a character that no such secret has")
    keys = tuple(key.strip() for key in hidden.pop("webhook_signature_key").split(",") if key.strip())
    if len(keys) > _SECRETS_MAX:
        raise ConfigurationError(f"channel {name}: webhook_signature_key takes one key, or two with a comma")
    if bool(keys) != bool(told["notification_url"]):
        missing = "notification_url" if keys else "webhook_signature_key"
        raise ConfigurationError(f"channel {name}: {missing} is missing: webhooks are signed over address and body")
    if told["notification_url"]:
        address_from(told["notification_url"], what=f"channel {name}: notification_url")
    _one_kind(name, hidden)
    return Account(
        location_id=told["location_id"],
        base_url=address_from(told["base_url"], what=f"channel {name}: base_url"),
        api_version=told["api_version"],
        orders_lag_s=seconds_from(told["orders_lag_s"], channel=name, name="orders_lag_s", most=ORDERS_LAG_S_MAX),
        notification_url=told["notification_url"],
        **hidden,
        signature_keys=keys,
    )


def _one_kind(name: str, hidden: dict[str, str]) -> None:
    of_seller = [secret for secret in ("client_id", "client_secret", "refresh_token") if hidden[secret]]
    if hidden["access_token"] and of_seller:
        raise ConfigurationError(f"channel {name}: access_token and {of_seller[0]} are two kinds of access: {KINDS}")
    if not hidden["access_token"]:
        for secret in ("client_id", "refresh_token"):
            if not hidden[secret]:
                raise ConfigurationError(f"channel {name}: the secret {secret} is missing: {KINDS}")


def tokens_of(account: Account, *, http: ChannelHttp, clock: Clock, store: SecretStore) -> Tokens | FixedToken:
    """The access tokens of one account."""
    if account.access_token:
        return FixedToken(account.access_token)

    async def ask(refresh_token: str) -> Grant:
        asked = {
            "client_id": account.client_id,
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            **({"client_secret": account.client_secret} if account.client_secret else {}),
        }
        # A grant changes nothing that matters at the shop: an answer that was lost is asked for again.
        headers = {"Square-Version": account.api_version, "Content-Type": "application/json"}
        try:
            reply = await http.read(
                TOKEN, "POST", f"{account.base_url}{TOKEN_PATH}", headers=headers, content=msgspec.json.encode(asked)
            )
        except ReauthenticateError as refusal:
            raise ReauthenticateError(
                f"Square grants no token (status {refusal.status}): {account.way_out}", status=refusal.status
            ) from None
        except RetryLaterError as busy:
            # Not its words: an answer that repeats the request holds the secrets in its body.
            raise RetryLaterError(f"{TOKEN}: not granted now", retry_after_s=busy.retry_after_s) from None
        return _grant(reply, account, clock)

    typed = (account.base_url, account.client_id)
    return Tokens(ask, clock=clock, store=store, refresh_token=account.refresh_token, typed=typed)


def _grant(reply: Reply, account: Account, clock: Clock) -> Grant:
    """What the token request gave. Raises ReauthenticateError with the way out, RetryLaterError."""
    if 400 <= reply.status < 500:
        raise ReauthenticateError(f"Square grants no token ({_code(reply)}): {account.way_out}")
    if reply.status != 200:
        raise RetryLaterError(f"{TOKEN}: answered {reply.status}")
    try:
        granted = read_as(reply.body, Granted, "the grant")
        life = timedelta(seconds=RENEW_AFTER_S)
        if granted.expires_at:
            life = min(life, instant(granted.expires_at, "expires_at") - clock.now())
    except MalformedError:
        # Nothing of it is repeated: it may be half a token.
        raise RetryLaterError(f"{TOKEN}: the answer cannot be read") from None
    return Grant(granted.access_token, life_s=max(1.0, life.total_seconds()), refresh_token=granted.refresh_token or "")


def _code(reply: Reply) -> str:
    """Square's word for the refusal, and nothing that was sent."""
    try:
        found = read_as(reply.body, Errors, "the refusal").errors or [Error()]
    except MalformedError:
        found = [Error()]
    code = found[0].code
    return code if re.fullmatch("[A-Z_]{1,60}", code) else f"status {reply.status}"
