"""Who may call the simulated Square, how often, and what goes wrong on the way; and Square's words for each refusal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oneshelf.connectors.square.account import API_VERSION
from oneshelf.connectors.square.simulator_documents import MERCHANT_ID, stamp
from oneshelf.sdk.cut_reply import CutReply

if TYPE_CHECKING:
    from oneshelf.connectors.square.simulator import SquareSimulator

# They open this simulator only.
ACCESS_TOKEN = "EAAAsimulated-personal"  # noqa: S105  # of the simulator: opens nothing else
CLIENT_ID = "sq0idp-simulated"
CLIENT_SECRET = "sq0csp-simulated"  # noqa: S105  # as above
REFRESH_TOKEN = "EQAAsimulated-refresh"  # noqa: S105  # as above
# "OAuth access tokens expire in 30 days": ObtainTokenResponse.
TOKEN_LIFE_S = 30 * 86_400.0
SCOPES = (
    *("ITEMS_READ", "INVENTORY_READ", "INVENTORY_WRITE", "ORDERS_READ", "MERCHANT_PROFILE_READ"),
    "PAYMENTS_READ",
)

Asked = dict[str, Any]
Handler = Callable[[Request, Asked], dict[str, Any]]


class RefusalError(Exception):
    """What Square says in the place of an answer."""

    def __init__(self, status: int, category: str, code: str, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.status = status
        error = {"category": category, "code": code, "detail": detail, **({"field": field} if field else {})}
        self.document = {"errors": [error]}


def invalid(code: str, detail: str, field: str = "", *, status: int = 400) -> RefusalError:
    return RefusalError(status, "INVALID_REQUEST_ERROR", code, detail, field)


class Gate:
    """The door to every call. `scopes`: what the seller has granted."""

    def __init__(self, simulator: SquareSimulator) -> None:
        self._simulator = simulator
        self._tokens: dict[str, float] = {}
        self.scopes: tuple[str, ...] = SCOPES
        self.granted_count = 0

    def behind(
        self, handler: Handler, *scopes: str, is_write: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """The handler for whoever is let in with these permissions."""

        async def respond(request: Request) -> Response:
            simulator = self._simulator
            try:
                self._admit(request, scopes)
                answer = self._said(handler(request, await self._asked(request)), 200)
            except RefusalError as refusal:
                return self._said(refusal.document, refusal.status)
            if is_write and simulator.switches.strikes("reply_lost"):
                return CutReply(b'{"counts":')
            return answer

        return respond

    def _said(self, document: dict[str, Any], status: int) -> Response:
        date = format_datetime(self._simulator.channel_now().replace(microsecond=0), usegmt=True)
        return JSONResponse(document, status, headers={"square-version": API_VERSION, "date": date})

    def _admit(self, request: Request, scopes: tuple[str, ...]) -> None:
        simulator = self._simulator
        if simulator.switches.strikes("throttle") or not simulator.is_granted():
            raise RefusalError(429, "RATE_LIMIT_ERROR", "RATE_LIMITED", "Your request reached a rate limit.")
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if simulator.is_revoked:
            raise RefusalError(401, "AUTHENTICATION_ERROR", "ACCESS_TOKEN_REVOKED", "The access token was revoked.")
        if not self._is_good(token):
            raise RefusalError(401, "AUTHENTICATION_ERROR", "UNAUTHORIZED", "This request could not be authorized.")
        version = request.headers.get("square-version", API_VERSION)
        if version > API_VERSION:
            raise invalid("INVALID_VALUE", f"There is no version {version[:20]}.", "Square-Version")
        if simulator.is_stormy() or simulator.switches.strikes("server_error"):
            raise RefusalError(500, "API_ERROR", "INTERNAL_SERVER_ERROR", "An internal error has occurred.")
        missing = [scope for scope in scopes if scope not in self.scopes]
        if missing:
            raise RefusalError(403, "AUTHENTICATION_ERROR", "INSUFFICIENT_SCOPES", f"Needs {missing[0]}.")

    def _is_good(self, token: str) -> bool:
        if token == ACCESS_TOKEN:
            return True
        now = self._simulator.clock.monotonic()
        is_alive = self._tokens.get(token, 0.0) > now
        if is_alive and self._simulator.switches.strikes("token_expired"):
            is_alive = False
        if not is_alive:
            self._tokens.pop(token, None)
        return is_alive

    @staticmethod
    async def _asked(request: Request) -> Asked:
        body = await request.body()
        if not body:
            return {}
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise invalid("EXPECTED_JSON_BODY", "Expected a JSON body.") from None

    # OAuth ---------------------------------------------------------------------------------------------------

    async def grant(self, request: Request) -> Response:
        """The code flow: the refresh token is the same for ever."""
        try:
            asked = await self._asked(request)
        except RefusalError as refusal:
            return self._said(refusal.document, refusal.status)
        known = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
        is_known = all(asked.get(name) == value for name, value in known.items())
        if self._simulator.is_revoked or not is_known or asked.get("grant_type") != "refresh_token":
            document = RefusalError(401, "AUTHENTICATION_ERROR", "UNAUTHORIZED", "Not authorized.").document
            return self._said(document, 401)
        self.granted_count += 1
        token = f"EAAAsimulated-{self._simulator.seed}-{self.granted_count}"
        life_s = TOKEN_LIFE_S / self._simulator.speed
        self._tokens[token] = self._simulator.clock.monotonic() + life_s
        expires_at = stamp(self._simulator.channel_now() + timedelta(seconds=life_s))
        granted = {"access_token": token, "token_type": "bearer", "expires_at": expires_at}
        return self._said({**granted, "merchant_id": MERCHANT_ID, "refresh_token": REFRESH_TOKEN}, 200)

    def expire_tokens(self) -> None:
        """Every granted access token dies now."""
        self._tokens.clear()

    def token_status(self, _request: Request, _asked: Asked) -> dict[str, Any]:
        return {"scopes": list(self.scopes), "client_id": CLIENT_ID, "merchant_id": MERCHANT_ID}
