"""The way into the simulated eBay: OAuth, scopes, daily quotas, errors in eBay's shapes, and faults on a switch."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oneshelf.clock import Clock
from oneshelf.connectors.ebay.simulator_habits import DAY_S, Habits, day_of
from oneshelf.sdk.switches import Switches

# https://developer.ebay.com/api-docs/static/oauth-scopes.html (checked 2026-11-23).
_SCOPE = "https://api.ebay.com/oauth/api_scope"
PUBLIC = _SCOPE
INVENTORY, INVENTORY_READ = f"{_SCOPE}/sell.inventory", f"{_SCOPE}/sell.inventory.readonly"
ORDERS, ORDERS_READ = f"{_SCOPE}/sell.fulfillment", f"{_SCOPE}/sell.fulfillment.readonly"
NOTIFICATIONS = f"{_SCOPE}/commerce.notification.subscription"
# What the seller consented to. A refresh may ask for fewer, never for others.
CONSENTED = (PUBLIC, INVENTORY, ORDERS, f"{_SCOPE}/sell.account.readonly", NOTIFICATIONS)


@dataclass(frozen=True, slots=True)
class Api:
    """One API. `quota`: calls of the application in a day (https://developer.ebay.com/develop/get-started/
    api-call-limits, checked 2026-11-23). `system`: the id and the domain of its errors when eBay itself is at fault."""

    name: str
    context: str
    version: str
    quota: int
    system: tuple[int, str]


APIS = {
    one.name: one
    for one in (
        Api("inventory", "sell", "v1", 2_000_000, (25001, "API_INVENTORY")),
        Api("fulfillment", "sell", "v1", 100_000, (30500, "API_FULFILLMENT")),
        Api("feed", "sell", "v1", 100_000, (160001, "API_FEED")),
        Api("account", "sell", "v1", 25_000, (20500, "API_ACCOUNT")),
        Api("notification", "commerce", "v1", 10_000, (195000, "API_NOTIFICATION")),
        Api("analytics", "developer", "v1_beta", 5_000, (50000, "API_DEVELOPER_ANALYTICS")),
        Api("TradingAPI", "tradingapi", "v1", 5_000, (10007, "TRADING")),
    )
}
# Requests for tokens in a day (https://developer.ebay.com/api-docs/static/oauth-rate-limits.html, checked 2026-11-27).
MINTS = {"client_credentials": 1_000, "refresh_token": 50_000}
TOO_MANY = "The request limit has been reached for the resource."
HTML_BODY = "<html><head><title>503 Service Unavailable</title></head><body>Zero size object</body></html>"


class EbayError(Exception):
    """A REST call that is refused, as eBay says it. `parameters`: name -> value."""

    def __init__(
        self,
        status: int,
        error_id: int,
        domain: str,
        message: str,
        *,
        category: str = "REQUEST",
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.document = error(error_id, domain, message, category=category, parameters=parameters)

    def response(self) -> Response:
        return JSONResponse({"errors": [self.document]}, status_code=self.status)


def error(
    error_id: int,
    domain: str,
    message: str,
    *,
    category: str = "REQUEST",
    parameters: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """One entry of `errors`, as every REST API writes it."""
    document: dict[str, object] = {"errorId": error_id, "domain": domain, "category": category, "message": message}
    document["longMessage"] = message
    if parameters:
        document["parameters"] = [{"name": name, "value": value} for name, value in parameters.items()]
    return document


@dataclass(frozen=True, slots=True)
class Grant:
    """One access token. `is_user`: it stands for the seller, and not for the application alone."""

    until: float
    is_user: bool
    scopes: frozenset[str]


class Gate:
    """Who may call, how often, and what goes wrong on the way."""

    def __init__(
        self,
        *,
        secrets: Mapping[str, str],
        clock: Clock,
        random: Random,
        speed: float,
        habits: Habits,
        switches: Switches,
    ) -> None:
        self._secrets = secrets
        self._clock = clock
        self._random = random
        self._speed = speed
        self._habits = habits
        self._switches = switches
        self.is_stormy: Callable[[], bool] = lambda: False
        self.is_revoked = False
        self.quotas = {one.name: one.quota for one in APIS.values()}
        # Requests for tokens in a day, for each sort of grant, whether they are granted or not: of the application.
        self.mints = {**MINTS}
        self._used: Counter[str] = Counter()
        self._used_on = 0
        self._grants: dict[str, Grant] = {}
        self.granted_count = 0
        self._consented_at = clock.monotonic()

    # OAuth ---------------------------------------------------------------------------------------------------

    def grant(self, request: Request, body: bytes) -> Response:
        """The answer to a token request (https://developer.ebay.com/api-docs/static/oauth-refresh-token-request.html,
        checked 2026-11-23)."""
        if self.is_stormy():
            return self._server_error(APIS["account"])
        if request.headers.get("authorization") != self._basic():
            return _login_error(401, "invalid_client", "client authentication failed")
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        asked = frozenset(form.get("scope", "").split())
        if not self._is_minted(form.get("grant_type", "")):
            return EbayError(429, 2001, "ACCESS", TOO_MANY).response()
        if form.get("grant_type") == "client_credentials":
            if not asked or not asked <= {PUBLIC}:
                return _login_error(400, "invalid_scope", "The requested scope is invalid, unknown, or malformed")
            return self._granted(asked, is_user=False)
        if form.get("grant_type") != "refresh_token":
            return _login_error(400, "unsupported_grant_type", "grant type in request is not supported by server")
        if form.get("refresh_token") != self._secrets["refresh_token"] or not self._is_consented():
            self._count_revoked()
            words = "the provided authorization refresh token is invalid or was issued to another client"
            return _login_error(400, "invalid_grant", words)
        if not asked <= set(CONSENTED):
            words = "The requested scope is invalid, unknown, malformed, or exceeds the scope granted to the client"
            return _login_error(400, "invalid_scope", words)
        return self._granted(asked or frozenset(CONSENTED), is_user=True)

    def consent(self) -> None:
        """The seller consents, for so long as a refresh token lives."""
        self.is_revoked, self._consented_at = False, self._clock.monotonic()

    def _is_consented(self) -> bool:
        life_s = self._habits.refresh_life_s / self._speed
        return not self.is_revoked and self._clock.monotonic() < self._consented_at + life_s

    def _is_minted(self, grant_type: str) -> bool:
        """Count a request for a token. False: today's are used up."""
        if grant_type not in self.mints:
            return True
        return self._is_within(f"mint:{grant_type}", self.mints[grant_type])

    def _basic(self) -> str:
        both = f"{self._secrets['client_id']}:{self._secrets['client_secret']}"
        return "Basic " + base64.b64encode(both.encode()).decode()

    def _granted(self, scopes: frozenset[str], *, is_user: bool) -> Response:
        life_s = max(1, int(self._habits.token_life_s / self._speed))
        now = self._clock.monotonic()
        token = f"v^1.1#i^1#{self._random.getrandbits(160):040x}"
        self._grants = {old: grant for old, grant in self._grants.items() if grant.until > now}
        self._grants[token] = Grant(now + life_s, is_user, scopes)
        self.granted_count += 1
        kind = "User Access Token" if is_user else "Application Access Token"
        return JSONResponse({"access_token": token, "expires_in": life_s, "token_type": kind})

    def expire_tokens(self) -> None:
        """Every access token dies now."""
        self._grants.clear()

    def grant_of(self, token: str) -> Grant | None:
        """What a token allows; None where it is unknown, expired or revoked."""
        found = self._grants.get(token)
        if found is None or found.until <= self._clock.monotonic():
            return None
        if self.is_revoked and found.is_user:
            self._count_revoked()
            return None
        if self._switches.strikes("token_expired"):
            # A token may be revoked before its time: a password is changed, for one
            # (https://developer.ebay.com/api-docs/static/oauth-refresh-token-request.html, checked 2026-11-23).
            del self._grants[token]
            return None
        return found

    def _count_revoked(self) -> None:
        if self.is_revoked:
            self._switches.hits["token_revoked"] += 1

    # REST ----------------------------------------------------------------------------------------------------

    def admit(self, request: Request, api: Api, scopes: Sequence[str]) -> Response | None:
        """Why this call does not get through; None where it does. `scopes`: any one of these is enough."""
        if self.is_stormy() or self._switches.strikes("server_error"):
            return self._server_error(api)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self.grant_of(token) if scheme == "Bearer" else None
        if grant is None:
            words = "Invalid access token. Check the value of the Authorization HTTP request header."
            return EbayError(401, 1001, "OAuth", words).response()
        if not grant.scopes & set(scopes):
            words = "Insufficient permissions to fulfill the request."
            return EbayError(403, 1100, "ACCESS", words).response()
        if self._switches.strikes("throttle") or not self.is_counted(api):
            return EbayError(429, 2001, "ACCESS", TOO_MANY).response()
        return None

    def is_user(self, request: Request) -> bool:
        """Whether an admitted call comes with the seller's token."""
        grant = self._grants.get(request.headers.get("authorization", "").partition(" ")[2])
        return grant is not None and grant.is_user

    def _server_error(self, api: Api) -> Response:
        if self._random.random() < 0.5:
            return Response(HTML_BODY, status_code=503, media_type="text/html")
        return self.system_error(api)

    def system_error(self, api: Api) -> Response:
        error_id, domain = api.system
        words = "A system error has occurred."
        return EbayError(500, error_id, domain, words, category="APPLICATION").response()

    # Quotas --------------------------------------------------------------------------------------------------

    def is_counted(self, api: Api) -> bool:
        """Count a call of today. False: today's are used up."""
        return self._is_within(api.name, self.quotas[api.name])

    def _is_within(self, what: str, limit: int) -> bool:
        self._turn_the_day()
        if self._used[what] >= limit:
            return False
        self._used[what] += 1
        return True

    def rates(self, *, name: str, context: str) -> list[dict[str, object]]:
        """What getRateLimits says: the same counters. Empty `name` and `context`: all APIs."""
        self._turn_the_day()
        _today, reset_at = day_of(self._clock.now(), self._speed)
        rates: list[dict[str, object]] = []
        for api in APIS.values():
            is_asked = name.casefold() in {"", api.name.casefold()} and context.casefold() in {"", api.context}
            if not is_asked:
                continue
            rate = {
                "limit": self.quotas[api.name],
                "remaining": self.quotas[api.name] - self._used[api.name],
                "reset": reset_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "timeWindow": max(1, int(DAY_S / self._speed)),
            }
            resource = {"name": f"{api.context}.{api.name}", "rates": [rate]}
            version = {"apiContext": api.context, "apiName": api.name, "apiVersion": api.version}
            rates.append({**version, "resources": [resource]})
        return rates

    def _turn_the_day(self) -> None:
        today, _next = day_of(self._clock.now(), self._speed)
        if today != self._used_on:
            self._used_on = today
            self._used.clear()


def _login_error(status: int, name: str, description: str) -> Response:
    return JSONResponse({"error": name, "error_description": description}, status_code=status)
