"""The simulated app: its credentials, the tokens that it was granted, its rights, and what signs its webhooks.

Sources as in `access`. Not documented, and decided here as whoever depends on it least would wish: a used refresh token
buys another pair each time, the access tokens of earlier pairs live to their end, and the status of a refusal is the
one of RFC 6749.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oneshelf.connectors.shopify.simulator_payloads import stamp
from oneshelf.connectors.shopify.simulator_shop import SHOP_DOMAIN
from oneshelf.errors import MalformedError
from oneshelf.sdk.simulator_controls import Control

if TYPE_CHECKING:
    from oneshelf.connectors.shopify.simulator import ShopifySimulator

# They open this simulator only.
ACCESS_TOKEN = "shpat_simulated"  # noqa: S105  # the simulator's own
CLIENT_ID = "simulated-app"
CLIENT_SECRET = "shpss_simulated"  # noqa: S105  # the simulator's own
REFRESH_TOKEN = "shprt_simulated"  # noqa: S105  # the simulator's own
SCOPES = (
    *("write_inventory", "read_inventory", "read_locations", "read_products", "read_orders"),
    "read_merchant_managed_fulfillment_orders",
)

DAY_S = 86_400.0
CREDENTIALS_LIFE_S = 86_399
OFFLINE_LIFE_S = 3_600
REFRESH_LIFE_S = 90 * DAY_S
# For how long a used refresh token may be used again, as long as none that it bought was used.
AGAIN_S = 30 * DAY_S
# "it can take up to an hour until" digests use a new secret: https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
# (checked 2026-11-26).
OLD_SECRET_S = 3_600.0


@dataclass(slots=True)
class _Refresh:
    """A refresh token. `parent`: the one that bought it."""

    until: float
    parent: str
    used_at: float | None = None


class App:
    """The app, as the shop knows it. All times are the shop's, which pass `speed` times as fast as ours."""

    def __init__(self, simulator: ShopifySimulator) -> None:
        self._simulator = simulator
        self.scopes: tuple[str, ...] = SCOPES
        self.secret = CLIENT_SECRET
        self._old_secret = ""
        self._signs_old_until = float("-inf")
        self._tokens: dict[str, float] = {}
        self._refresh = {REFRESH_TOKEN: _Refresh(self._now() + REFRESH_LIFE_S, "")}
        self.granted_count = 0

    # Secrets ---------------------------------------------------------------------------------------------------

    def set_secret(self, secret: str) -> None:
        """The app has this client secret, and no other."""
        self.secret, self._old_secret = secret, ""

    def rotate_secret(self, secret: str) -> None:
        """A new client secret. The old one is good until `revoke_old_secret`, and signs for up to an hour."""
        self._old_secret, self.secret = self.secret, secret
        self._signs_old_until = self._now() + self._simulator.chance.uniform(OLD_SECRET_S / 2, OLD_SECRET_S)

    def revoke_old_secret(self) -> None:
        self._old_secret = ""

    @property
    def signing_secret(self) -> str:
        """What a webhook is signed with now."""
        is_old = self._old_secret and self._now() < self._signs_old_until
        return self._old_secret if is_old else self.secret

    # Tokens ----------------------------------------------------------------------------------------------------

    def admits(self, token: str | None) -> bool:
        """Whether this token opens the shop now."""
        if token == ACCESS_TOKEN:
            return True
        is_alive = self._tokens.get(token or "", 0.0) > self._now()
        if is_alive and self._simulator.switches.strikes("token_expired"):
            is_alive = False
        if not is_alive:
            self._tokens.pop(token or "", None)
        return is_alive

    def expire_tokens(self) -> None:
        """Every granted access token dies now."""
        self._tokens.clear()

    # What a person does with the app in the shop -------------------------------------------------------------------

    def uninstall(self) -> None:
        """Nothing that was granted is good any more, and nobody is told of anything but this."""
        simulator = self._simulator
        shop = {"id": 1, "myshopify_domain": SHOP_DOMAIN}
        simulator.webhooks.send("app/uninstalled", shop, event_id=simulator.webhooks.new_event())
        simulator.webhooks.subscriptions.forget()
        self._tokens.clear()
        self._refresh.clear()
        simulator.revoke()

    def install(self, refresh_token: str = REFRESH_TOKEN) -> None:
        """Somebody authorizes the app again, which is told this refresh token."""
        self._refresh = {refresh_token: _Refresh(self._now() + REFRESH_LIFE_S, "")}
        self._simulator.grant()

    def leave_scopes(self, scopes: tuple[str, ...]) -> None:
        """The app may do this from now on, no more and no less."""
        simulator, previous, self.scopes = self._simulator, self.scopes, scopes
        told = {
            "id": "gid://shopify/App/1",
            "previous": list(previous),
            "current": list(scopes),
            "updated_at": stamp(simulator.channel_now()),
        }
        simulator.webhooks.send("app/scopes_update", told, event_id=simulator.webhooks.new_event())

    def controls(self) -> Sequence[tuple[str, Control]]:
        """The name of each control below `/_sim/`, and what it does."""
        return (
            ("rotate-secret", lambda asked: self.rotate_secret(str(asked["secret"]))),
            ("revoke-old-secret", lambda _asked: self.revoke_old_secret()),
            ("expire-tokens", lambda _asked: self.expire_tokens()),
            ("uninstall", lambda _asked: self.uninstall()),
            ("install", lambda asked: self.install(str(asked.get("refresh_token", REFRESH_TOKEN)))),
            ("scopes", lambda asked: self.leave_scopes(_scopes_in(asked))),
        )

    # The wire ------------------------------------------------------------------------------------------------------

    async def grant(self, request: Request) -> Response:
        """The answer to a token request, in JSON or as a form."""
        simulator = self._simulator
        if simulator.is_stormy() or simulator.switches.strikes("server_error"):
            return Response("<html><body>502 Bad Gateway</body></html>", status_code=502, media_type="text/html")
        try:
            asked = _fields(request.headers.get("content-type", ""), await request.body())
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _refusal("invalid_request", "The request cannot be read.")
        secrets = {self.secret, self._old_secret} - {""}
        if asked.get("client_id") != CLIENT_ID or asked.get("client_secret") not in secrets or simulator.is_revoked:
            return _refusal("invalid_client", "The client is unknown, or the app is not installed.", status=401)
        match asked.get("grant_type"):
            case "client_credentials":
                return JSONResponse(self._granted(CREDENTIALS_LIFE_S))
            case "refresh_token":
                return self._refreshed(str(asked.get("refresh_token", "")))
            case _:
                return _refusal("unsupported_grant_type", "The grant type is not one of this app.")

    def _refreshed(self, used: str) -> Response:
        now, token = self._now(), self._refresh.get(used)
        if token is None or now >= token.until or (token.used_at is not None and now >= token.used_at + AGAIN_S):
            return _refusal("invalid_grant", "The refresh token is expired, revoked or was replaced.")
        if token.used_at is None:
            token.used_at = now
            # From its first use on, what bought it is retired, and what else that bought too.
            self._refresh = {
                name: one
                for name, one in self._refresh.items()
                if name == used or not token.parent or token.parent not in (name, one.parent)
            }
        new = f"shprt_{self._random_hex()}"
        self._refresh[new] = _Refresh(now + REFRESH_LIFE_S, used)
        granted = self._granted(OFFLINE_LIFE_S)
        life_s = max(1, int(REFRESH_LIFE_S / self._simulator.speed))
        return JSONResponse({**granted, "refresh_token": new, "refresh_token_expires_in": life_s})

    def _granted(self, life_s: float) -> dict[str, Any]:
        token = f"shpat_{self._random_hex()}"
        self._tokens[token] = self._now() + life_s
        self.granted_count += 1
        self._simulator.counted("token_granted", True)
        told_s = max(1, int(life_s / self._simulator.speed))
        return {"access_token": token, "scope": ",".join(self.scopes), "expires_in": told_s}

    def _random_hex(self) -> str:
        return f"{self._simulator.chance.getrandbits(128):032x}"

    def _now(self) -> float:
        """Seconds of the shop's time."""
        return self._simulator.clock.monotonic() * self._simulator.speed


def _fields(content_type: str, body: bytes) -> Mapping[str, object]:
    if content_type.startswith("application/json"):
        return msgspec.json.decode(body, type=dict[str, Any])
    return {name: values[0] for name, values in parse_qs(body.decode()).items()}


def _refusal(error: str, words: str, *, status: int = 400) -> Response:
    return JSONResponse({"error": error, "error_description": words}, status_code=status)


def _scopes_in(asked: Mapping[str, Any]) -> tuple[str, ...]:
    """The scopes that somebody leaves the app. Raises MalformedError."""
    scopes = asked["scopes"]
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise MalformedError("scopes must be a list of texts")
    return tuple(scopes)
