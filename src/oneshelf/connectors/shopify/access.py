"""How the shop lets us in: a fixed token, one for each day by the app's credentials, or one for each hour.

Which of them is told by the secrets that a person gives. Sources, checked 2026-11-26: client credentials
https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/client-credentials-grant (86399 s, asked
anew), offline tokens …/access-tokens/offline-access-tokens (3600 s, with a refresh token of 90 days that rotates),
https://shopify.dev/changelog/more-resilient-refreshes-for-expiring-offline-access-tokens (a used refresh token is good
until the one that it bought is used, for 30 days: what was handed out and not kept is asked for again).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from oneshelf.clock import Clock
from oneshelf.connectors.shopify.json_reading import a_text, an_object, decoded, part
from oneshelf.domain.identity import units_from
from oneshelf.errors import ConfigurationError, MalformedError
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.contract import Setting
from oneshelf.sdk.fault import MisconfiguredError, ReauthenticateError, RetryLaterError
from oneshelf.sdk.http import ChannelHttp, Reply
from oneshelf.sdk.secret_store import SecretStore
from oneshelf.sdk.tokens import FixedToken, Grant, Tokens

TOKEN = "shopify.token"  # noqa: S105  # the name of an operation
TOKEN_PATH = "/admin/oauth/access_token"  # noqa: S105  # an address
# Shopify documents none for tokens; the shortest-lived one lives an hour, so this is only a brake.
TOKEN_LIMIT = Limit(operation=TOKEN, rate_per_s=1.0, burst=5)
# What the engine cannot do without.
SCOPES = ("write_inventory", "read_locations", "read_products", "read_orders")
# Any of these lets us read from where units will leave; without them each unit is held at the channel's location.
ROUTE_SCOPES = (
    "read_merchant_managed_fulfillment_orders",
    "read_assigned_fulfillment_orders",
    "read_third_party_fulfillment_orders",
)
_LIFE_S_MAX = 10 * 365 * 86_400
_SECRETS_MAX = 2

KINDS = (
    "give access_token, or client_id and client_secret (an app of your own organisation), or client_id, client_secret "
    "and refresh_token (an app that a shop authorized)"
)

SECRETS = (
    Setting("access_token", "An Admin API access token without an end (shpat_...)", is_secret=True, default=""),
    Setting("client_id", "The app's client id, where there is no access_token", is_secret=True, default=""),
    Setting("client_secret", "The app's client secret, which signs webhooks too", is_secret=True, default=""),
    Setting("refresh_token", "The refresh token of the app's offline token for this shop", is_secret=True, default=""),
    Setting(
        "webhook_secret",
        "What signs webhooks besides client_secret; during a rotation of it the other one, or two with a comma",
        is_secret=True,
        default="",
    ),
)


def is_granted(scope: str, granted: Collection[str]) -> bool:
    """Whether the app may do this; a right to write includes the right to read."""
    return scope in granted or scope.replace("read_", "write_", 1) in granted


@dataclass(frozen=True, slots=True)
class Access:
    """The secrets of one shop. They never appear in a `repr`."""

    access_token: str = field(repr=False)
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)

    @property
    def way_out(self) -> str:
        """What a person does where the shop does not let us in."""
        if self.access_token:
            return "create a new access token and set it as access_token"
        if self.refresh_token:
            return "authorize the app for this shop again, and set the new refresh_token"
        return "check client_id and client_secret, and that the app is installed in this shop"


def access_from(secrets: Mapping[str, str]) -> Access:
    """What a person gave, one of the three kinds. `secrets`: every name of SECRETS. Raises ConfigurationError."""
    named = {name: _printable(name, secrets[name]) for name in ("access_token", "client_id", "client_secret")}
    refresh_token = _printable("refresh_token", secrets["refresh_token"])
    of_app = {"client_id": named["client_id"], "client_secret": named["client_secret"], "refresh_token": refresh_token}
    given = [name for name, value in of_app.items() if value]
    if named["access_token"] and given:
        raise ConfigurationError(f"shopify: access_token and {given[0]} are two kinds of access: {KINDS}")
    if not named["access_token"] and not given:
        raise ConfigurationError(f"shopify: the secret that lets us in is missing: {KINDS}")
    missing = [name for name in ("client_id", "client_secret") if not of_app[name]]
    if given and missing:
        raise ConfigurationError(f"shopify: the secret {missing[0]!r} is missing beside {given[0]}: {KINDS}")
    webhook_secrets = tuple(secret.strip() for secret in secrets["webhook_secret"].split(",") if secret.strip())
    if len(webhook_secrets) > _SECRETS_MAX:
        raise ConfigurationError("shopify: the secret 'webhook_secret' takes one secret, or two with a comma")
    if not webhook_secrets and not given:
        raise ConfigurationError("shopify: the secret 'webhook_secret' is missing: the app's client secret")
    signing = dict.fromkeys((*([named["client_secret"]] if given else []), *webhook_secrets))
    return Access(**named, refresh_token=refresh_token, webhook_secrets=tuple(signing))


def _printable(name: str, text: str) -> str:
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ConfigurationError(f"shopify: the secret {name!r} holds a character that no such secret has")
    return text


def tokens_of(
    access: Access, *, base_url: str, http: ChannelHttp, clock: Clock, store: SecretStore
) -> Tokens | FixedToken:
    """The access tokens of one shop."""
    if access.access_token:
        return FixedToken(access.access_token)

    async def ask(refresh_token: str) -> Grant:
        form = {"client_id": access.client_id, "client_secret": access.client_secret}
        if refresh_token:
            form |= {"grant_type": "refresh_token", "refresh_token": refresh_token}
        else:
            form["grant_type"] = "client_credentials"
        # A grant changes nothing that matters at the shop: an answer that was lost is asked for again.
        try:
            reply = await http.read(TOKEN, "POST", f"{base_url}{TOKEN_PATH}", data=form)
        except ReauthenticateError as refusal:
            raise ReauthenticateError(f"{refusal}; {access.way_out}") from None
        return _grant(reply, access)

    # Not the client secret: a new one for the same app leaves what was handed out as good as it was.
    typed = (base_url, access.client_id)
    return Tokens(ask, clock=clock, store=store, refresh_token=access.refresh_token, typed=typed)


def _grant(reply: Reply, access: Access) -> Grant:
    """What the token request gave. Raises ReauthenticateError with the way out, MisconfiguredError, RetryLaterError."""
    if reply.status == 404:
        raise MisconfiguredError(f"{TOKEN}: 404 {reply.words()}; check base_url")
    if 400 <= reply.status < 500:
        raise ReauthenticateError(f"{TOKEN}: {reply.status} {reply.words()}; {access.way_out}")
    if reply.status != 200:
        raise RetryLaterError(f"{TOKEN}: answered {reply.status}")
    try:
        answer = an_object(decoded(reply.body), "the grant")
        life_s = units_from(part(answer, "expires_in", "the grant"), what="expires_in", least=1)
        return Grant(
            access_token=a_text(part(answer, "access_token", "the grant"), "access_token"),
            life_s=float(min(life_s, _LIFE_S_MAX)),
            refresh_token=a_text(answer.get("refresh_token", ""), "refresh_token"),
        )
    except MalformedError as problem:
        # What it holds is not repeated: it may be half a token.
        raise RetryLaterError(f"{TOKEN}: the answer cannot be read: {problem}") from None
