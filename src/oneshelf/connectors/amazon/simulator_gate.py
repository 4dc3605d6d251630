"""The way into the simulated Amazon: Login with Amazon, roles, token buckets, and faults on a switch."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.responses import JSONResponse, Response

from oneshelf.clock import Clock
from oneshelf.connectors.amazon.simulator_books import Habits
from oneshelf.sdk.switches import Switches

# operation -> (calls a second, burst), as the models of 2026-11-23 document them.
RATES = {
    "searchOrders": (0.0056, 20),
    "getOrder": (0.5, 30),
    "patchListingsItem": (5.0, 5),
    "searchListingsItems": (5.0, 5),
    "getListingsItem": (5.0, 10),
    "createReport": (0.0167, 15),
    "getReports": (0.0222, 10),
    "getReport": (2.0, 15),
    "getReportDocument": (0.0167, 15),
    "cancelReport": (0.0222, 10),
    "createFeedDocument": (0.5, 15),
    "createFeed": (0.0083, 15),
    "getFeed": (2.0, 15),
    "getFeeds": (0.0222, 10),
    "getFeedDocument": (0.0222, 10),
    "cancelFeed": (2.0, 15),
    "getInventorySummaries": (2.0, 2),
    "getDestinations": (1.0, 5),
    "createDestination": (1.0, 5),
    "getSubscription": (1.0, 5),
    "createSubscription": (1.0, 5),
}
# They take a token of the application alone, and no seller's
# (https://developer-docs.amazon.com/sp-api/docs/grantless-operations, checked 2026-11-26).
GRANTLESS = frozenset({"getDestinations", "createDestination"})
NOTIFICATIONS_SCOPE = "sellingpartnerapi::notifications"
QUOTA_WORDS = "You exceeded your quota for the requested resource."
# Beside the quota of an operation there are those of the application, over all sellers: of all its writes of listings,
# of those that touch relationships, of those that touch what a product is, and of previews. Sort -> (calls a second,
# what the words of a refusal end with), https://developer-docs.amazon.com/sp-api/docs/listings-items-api-rate-limits
# (checked 2026-11-26). No burst is stated: a second's worth is taken.
APPLICATION_RATES = {
    "any": (500.0, "the application"),
    "relationships": (5.0, "relationships"),
    "product data": (100.0, "product data"),
    "preview": (20.0, "the application"),
}
APPLICATION_QUOTA_WORDS = "The frequency of requests was greater than what is allowed for {what}."
HTML_BODY = "<html><head><title>503 Service Temporarily Unavailable</title></head><body></body></html>"


class BadRequestError(Exception):
    """The request breaks the model; the text becomes the message of a 400."""


def object_in(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises BadRequestError."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        raise BadRequestError("the body is not a JSON object") from None


@dataclass(slots=True)
class Bucket:
    """A token bucket that was full when it was made."""

    rate_per_s: float
    burst: int
    tokens: float
    filled_at: float

    def take(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate_per_s)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Gate:
    """Who may call, how often, and what goes wrong on the way."""

    def __init__(
        self,
        *,
        secrets: dict[str, str],
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
        # Whether this is another region's endpoint than the account's: tokens are granted, and not taken.
        self.is_other_region = False
        self._grants: dict[str, float] = {}
        self._grantless: set[str] = set()
        self._buckets: dict[str, Bucket] = {}
        self.denied: set[str] = set()
        self.granted_count = 0

    # Login with Amazon -----------------------------------------------------------------------------------------

    def grant(self, body: bytes) -> Response:
        """The answer to a token request."""
        if self.is_stormy():
            return self._server_error()
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        if form.get("grant_type") == "client_credentials":
            return self._grant_to_application(form)
        if form.get("grant_type") != "refresh_token":
            return _login_error(400, "unsupported_grant_type", "The authorization grant type is not supported")
        missing = [name for name in ("refresh_token", "client_id", "client_secret") if not form.get(name)]
        if missing:
            words = f"The request is missing a required parameter : {missing[0]}"
            return _login_error(400, "invalid_request", words)
        if any(form[name] != self._secrets[name] for name in ("client_id", "client_secret")):
            return _login_error(401, "invalid_client", "Client authentication failed")
        if form["refresh_token"] != self._secrets["refresh_token"] or self.is_revoked:
            self._count_revoked()
            return _login_error(400, "invalid_grant", "The request has an invalid grant parameter : refresh_token")
        answer = self._granted()
        return JSONResponse({**answer, "refresh_token": form["refresh_token"]})

    def _grant_to_application(self, form: dict[str, str]) -> Response:
        """A token without a seller, for what is the application's own."""
        if any(form.get(name) != self._secrets[name] for name in ("client_id", "client_secret")):
            return _login_error(401, "invalid_client", "Client authentication failed")
        if form.get("scope") != NOTIFICATIONS_SCOPE:
            return _login_error(400, "invalid_scope", "The requested scope is invalid")
        answer = self._granted()
        self._grantless.add(str(answer["access_token"]))
        return JSONResponse(answer)

    def _granted(self) -> dict[str, object]:
        life_s = max(1, int(self._habits.token_life_s / self._speed))
        token = f"Atza|{self._random.getrandbits(160):040x}"
        now = self._clock.monotonic()
        self._grants = {old: until for old, until in self._grants.items() if until > now}
        self._grantless &= self._grants.keys()
        self._grants[token] = now + life_s
        self.granted_count += 1
        return {"access_token": token, "token_type": "bearer", "expires_in": life_s}

    def expire_tokens(self) -> None:
        """Every access token dies now."""
        self._grants.clear()

    def _count_revoked(self) -> None:
        if self.is_revoked:
            self._switches.hits["token_revoked"] += 1

    # The API -----------------------------------------------------------------------------------------------------

    def refusal(self, operation: str, token: str | None) -> Response | None:
        """Why this call does not get through; None where it does."""
        if self.is_stormy() or self._switches.strikes("server_error"):
            return self._server_error()
        if token is None:
            return self.error(403, "Unauthorized", details="Access token is missing in the request header.")
        if self.is_revoked or self.is_other_region:
            self._count_revoked()
            words = "The access token you provided is revoked, malformed or invalid."
            return self.error(403, "Unauthorized", details=words)
        is_alive = self._grants.get(token, 0.0) > self._clock.monotonic()
        if is_alive and self._switches.strikes("token_expired"):
            # Nothing promises the whole hour: https://developer-docs.amazon.com/sp-api/docs/authorization-errors.
            del self._grants[token]
            is_alive = False
        if not is_alive:
            return self.error(403, "Unauthorized", details="The access token you provided has expired.")
        if operation in self.denied or (token in self._grantless) != (operation in GRANTLESS):
            return self.error(403, "Unauthorized")
        if self._switches.strikes("throttle") or not self._bucket(operation).take(self._clock.monotonic()):
            return self._over_operation()
        if self._switches.strikes("http_429_bare"):
            # Only writes of listings say whose quota it is.
            return self._over("any") if operation == "patchListingsItem" else self._over_operation()
        return None

    def application_refusal(self, sort: str) -> Response | None:
        """Why a write of this sort does not get through, although this seller asked seldom enough; None where it does.

        Every write counts as one of any sort too.
        """
        for one in dict.fromkeys(("any", sort)):
            if not self._application_bucket(one).take(self._clock.monotonic()):
                return self._over(one)
        return None

    def crowd(self, sort: str) -> None:
        """Other sellers of the application have used up what it may do of this sort."""
        bucket = self._application_bucket(sort)
        bucket.tokens, bucket.filled_at = 0.0, self._clock.monotonic()

    def _application_bucket(self, sort: str) -> Bucket:
        rate_per_s = APPLICATION_RATES[sort][0]
        fresh = Bucket(rate_per_s * self._speed, int(rate_per_s), rate_per_s, self._clock.monotonic())
        return self._buckets.setdefault(f"application: {sort}", fresh)

    def _over(self, sort: str) -> Response:
        words = APPLICATION_QUOTA_WORDS.format(what=APPLICATION_RATES[sort][1])
        return self.error(429, "QuotaExceeded", message=words)

    def _over_operation(self) -> Response:
        # Neither Retry-After nor the rate comes with a 429.
        return self.error(429, "QuotaExceeded", message=QUOTA_WORDS)

    def answer(self, operation: str, document: object, *, status: int = 200) -> Response:
        """A success with the rate that holds now."""
        headers = {**self._request_id(), "x-amzn-RateLimit-Limit": f"{self._bucket(operation).rate_per_s:g}"}
        return JSONResponse(document, status_code=status, headers=headers)

    def error(self, status: int, code: str, *, message: str = "", details: str = "") -> Response:
        """An error list as all operations answer it."""
        words = message or "Access to requested resource is denied."
        document = {"errors": [{"code": code, "message": words, "details": details}]}
        return JSONResponse(document, status_code=status, headers=self._request_id())

    def _server_error(self) -> Response:
        if self._random.random() < 0.5:
            return Response(HTML_BODY, status_code=503, media_type="text/html")
        return self.error(503, "ServiceUnavailable", message="Service is temporarily unavailable.")

    def _bucket(self, operation: str) -> Bucket:
        rate_per_s, burst = RATES[operation]
        fresh = Bucket(rate_per_s * self._speed, burst, float(burst), self._clock.monotonic())
        return self._buckets.setdefault(operation, fresh)

    def _request_id(self) -> dict[str, str]:
        return {"x-amzn-RequestId": f"{self._random.getrandbits(128):032x}"}


def _login_error(status: int, error: str, description: str) -> Response:
    body = json.dumps({"error": error, "error_description": description})
    return Response(body, status_code=status, media_type="application/json")
