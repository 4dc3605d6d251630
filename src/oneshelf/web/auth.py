"""Who may ask, and for what: a token, or the cookie that a browser got for one."""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope as AsgiScope

from oneshelf.clock import Clock
from oneshelf.domain.access import ANYBODY, Principal, Scope, Via
from oneshelf.sdk.address import is_address
from oneshelf.storage import access, access_limits, api_tokens, sessions, users
from oneshelf.storage.database import Database
from oneshelf.web import audit_log
from oneshelf.web.needs import OPEN, Needs
from oneshelf.web.problems import problem

COOKIE = "oneshelf"
COOKIE_S = 12 * 3600
# So long a node takes what it has read of a token, or of there being none at all, for true.
REMEMBERED_S = 1.0
REMEMBERED_MAX = 1000
BURST_S = 5.0
NOTED_EVERY_S = 60.0
# What channels send: they show a signature or a password of their own, and nothing of it is an act of a person.
_BY_CHANNELS = ("/webhooks/", "/checkout/")
_NO_PAGES = ("/v1/", "/static/", "/metrics", "/openapi.json")
_SAYS_WHERE_FROM = frozenset({"origin", "sec-fetch-site"})
SESSION_COOKIE = "oneshelf_session"
# Taken by browsers only over TLS, for this host alone and every path (RFC 6265bis, section 4.1.3.2).
_SAFE_PREFIX = "__Host-"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PRINCIPAL, _ROUTE = "oneshelf.principal", "oneshelf.route"


@dataclass(slots=True)
class _Seen:
    """A token that was shown: whose it is, until when that is believed, and how many requests it has in store here.

    `noted_at`: when this node last wrote down that a session is used.
    """

    principal: Principal
    until: float
    in_store: float = 0.0
    noted_at: float = -math.inf


class Door:
    """Lets requests in. Without any token and user everybody may: then only this machine should reach the port."""

    def __init__(self, api_token: str, database: Database, clock: Clock) -> None:
        self._token = api_token.encode()
        # The cookie is made of the token and does not tell it; a new token ends all cookies.
        self._cookie = hmac.new(self._token, b"oneshelf page", hashlib.sha256).hexdigest()
        self._database = database
        self._clock = clock
        self._needs = Needs(())
        self._seen: dict[bytes, _Seen] = {}
        self._is_open_until = -math.inf

    def guard(self, needs: Needs) -> None:
        """From now on requests need what these routes ask for."""
        self._needs = needs

    async def refusal(self, request: Request) -> Response | None:
        """The answer to a request that may not come in, or that has just shown the token; None for the others.

        Raises DatabaseUnavailableError.
        """
        path: str = request.scope["path"]
        route, needed = self._needs.of(request.method, path)
        request.scope[_ROUTE] = route
        is_safe = request.method in _SAFE_METHODS
        if needed is OPEN and (is_safe or path.startswith(_BY_CHANNELS)):
            return None
        if not is_safe and _is_from_elsewhere(request):
            return problem(
                403,
                "another site may not send this; a program sends neither Origin nor Sec-Fetch-Site",
                kind="foreign-origin",
            )
        if needed is OPEN:
            return None
        principal = await self._identified(request, is_safe=is_safe, is_act=not _refreshes_itself(request))
        if principal is None:
            if request.method == "GET" and is_page(path) and self._token:
                shown = request.query_params.get("token", "")
                if _same(shown.encode(), self._token):
                    return self._welcome(request)
            return await self._turned_away(request)
        request.scope[_PRINCIPAL] = principal
        if not principal.may(needed):
            return _too_little(principal, needed)
        return await self._too_fast(request, principal)

    def lets_send(self, request: Request) -> bool:
        """Whether who is looking at this page may send its forms; what somebody unknown is shown, they may."""
        _, needed = self._needs.of("POST", request.scope["path"])
        principal = principal_of(request.scope)
        return needed is OPEN or principal is None or principal.may(needed)

    async def still_lets_in(self, request: Request) -> bool:
        """Whether who asked could ask the same again: what goes on being answered ends when a person or token does."""
        _, needed = self._needs.of(request.method, request.scope["path"])
        principal = await self._identified(request, is_safe=request.method in _SAFE_METHODS, is_act=False)
        return needed is OPEN or (principal is not None and principal.may(needed))

    async def _identified(self, request: Request, *, is_safe: bool, is_act: bool) -> Principal | None:
        if self._token:
            if self._has_token(request):
                return Principal(Via.SETTING, "ONESHELF_API_TOKEN", frozenset(Scope))
            if is_safe and _same(request.cookies.get(COOKIE, "").encode(), self._cookie.encode()):
                return Principal(Via.SETTING, "ONESHELF_API_TOKEN (page)", frozenset({Scope.READ}))
        elif self._is_open_until > self._clock.monotonic() and _is_for_this_machine(request):
            return ANYBODY
        presented = _presented(request)
        if presented:
            if seen := self._remembered(presented):
                return seen.principal
            async with self._database.transaction() as tx:
                principal = await api_tokens.presented(tx, presented)
            if principal is not None:
                self._remember(presented, principal)
                return principal
        if session := session_of(request):
            is_told = is_safe or not _SAYS_WHERE_FROM.isdisjoint(request.headers.keys())
            principal = await self._logged_in(session, is_act=is_act) if is_told else None
            if principal is not None:
                return principal
        return await self._anybody() if not self._token and _is_for_this_machine(request) else None

    async def _logged_in(self, session: str, *, is_act: bool) -> Principal | None:
        """Whose session this is. A page that refreshes itself keeps nobody logged in who has gone away."""
        now = self._clock.monotonic()
        seen = self._remembered(session)
        if seen is not None and (not is_act or seen.noted_at + NOTED_EVERY_S > now):
            return seen.principal
        async with self._database.transaction() as tx:
            principal = await sessions.found(tx, session, is_act=is_act)
        if principal is not None:
            self._remember(session, principal, is_noted=is_act)
        return principal

    async def note(self, scope: AsgiScope, status: int) -> None:
        """Write down a request that may have changed something, before it is answered."""
        if scope["method"] not in _SAFE_METHODS and _ROUTE in scope and not scope["path"].startswith(_BY_CHANNELS):
            principal = principal_of(scope)
            await audit_log.note(self._database, scope, principal, route=scope[_ROUTE], status=status)

    def forget(self, shown: str) -> None:
        """A session has ended: this node asks again at once."""
        self._seen.pop(_key(shown), None)

    async def _turned_away(self, request: Request) -> Response:
        """A person with a browser is led to the log-in, everybody else is told what to send."""
        if not self._token and not _is_for_this_machine(request):
            async with self._database.transaction() as tx:
                is_known = await access.is_anybody_known(tx)
            if not is_known:
                return _not_this_machine()
        # A page that refreshes itself stays as it is, with what is typed into it: it says that nobody is logged in.
        is_opened = request.method == "GET" and not _refreshes_itself(request)
        if is_opened and "text/html" in request.headers.get("accept", ""):
            async with self._database.transaction() as tx:
                has_users = await users.is_any(tx)
            if has_users:
                query = f"?{request.url.query}" if request.url.query else ""
                return RedirectResponse("/login?" + urlencode({"next": request.url.path + query}), status_code=303)
        return _unknown()

    async def _anybody(self) -> Principal | None:
        """Whoever it is, as long as there is neither a token nor a user."""
        async with self._database.transaction() as tx:
            is_known = await access.is_anybody_known(tx)
        if is_known:
            return None
        self._is_open_until = self._clock.monotonic() + REMEMBERED_S
        return ANYBODY

    def _remembered(self, presented: str) -> _Seen | None:
        seen = self._seen.get(_key(presented))
        return seen if seen is not None and seen.until > self._clock.monotonic() else None

    def _remember(self, presented: str, principal: Principal, *, is_noted: bool = False) -> None:
        now = self._clock.monotonic()
        if len(self._seen) >= REMEMBERED_MAX:
            self._seen = {key: seen for key, seen in self._seen.items() if seen.until > now}
        former = self._seen.get(_key(presented))
        in_store, noted_at = (former.in_store, former.noted_at) if former else (0.0, -math.inf)
        noted_at = now if is_noted else noted_at
        self._seen[_key(presented)] = _Seen(principal, now + REMEMBERED_S, in_store, noted_at)

    async def _too_fast(self, request: Request, principal: Principal) -> Response | None:
        """429 where a token asks more often than it may. A node takes half a second's worth at once from the bucket."""
        if principal.rate_per_s is None:
            return None
        seen = self._seen[_key(_presented(request))]
        if seen.in_store < 1.0:
            at_once = max(1.0, math.floor(principal.rate_per_s / 2))
            burst = max(at_once, math.floor(principal.rate_per_s * BURST_S))
            bucket = access_limits.Bucket(f"token/{principal.credential}", principal.rate_per_s, burst)
            async with self._database.transaction() as tx:
                wait_s = await access_limits.take(tx, bucket, cost=at_once)
            if wait_s:
                return problem(
                    429,
                    f"the token {principal.name} may ask {principal.rate_per_s:g} times a second; wait {wait_s:.1f} s",
                    kind="too-many-requests",
                    headers={"Retry-After": str(math.ceil(wait_s))},
                )
            seen.in_store += at_once
        seen.in_store -= 1.0
        return None

    def _has_token(self, request: Request) -> bool:
        return _same(_presented(request).encode("latin-1"), self._token)

    def _welcome(self, request: Request) -> Response:
        """Put the token out of the address and into a cookie."""
        others = [(name, value) for name, value in parse_qsl(request.url.query) if name != "token"]
        address = quote(request.url.path) + (f"?{urlencode(others)}" if others else "")
        answer = RedirectResponse(address, status_code=303)
        answer.set_cookie(
            COOKIE,
            self._cookie,
            max_age=COOKIE_S,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer


def principal_of(scope: AsgiScope) -> Principal | None:
    """Who asks, as the door has found it; None where the route is open to all."""
    return cast("Principal | None", scope.get(_PRINCIPAL))


def actor_of(request: Request) -> str:
    """Who is put down as having changed a rule: the person or the program by name; "api" where nobody is told apart."""
    principal = principal_of(request.scope)
    return principal.name if principal is not None and principal.via in (Via.SESSION, Via.TOKEN) else "api"


def session_of(request: Request) -> str:
    """The id of the session in the cookie; "" without one."""
    return cookie_of(request, SESSION_COOKIE)


def session_cookie(answer: Response, request: Request, session: str) -> None:
    """Let the browser keep a session, or forget it where it is ""."""
    set_cookie(answer, request, SESSION_COOKIE, session, lives_s=sessions.WHOLE_S)


def cookie_of(request: Request, name: str) -> str:
    """What the browser keeps by this name for this host alone; "" for nothing."""
    return request.cookies.get(_SAFE_PREFIX + name if _is_safe_wire(request) else name, "")


def set_cookie(answer: Response, request: Request, name: str, value: str, *, lives_s: int) -> None:
    """Let the browser keep something that no script reads and no other site sends, or forget it where it is ""."""
    is_safe_wire = _is_safe_wire(request)
    answer.set_cookie(
        _SAFE_PREFIX + name if is_safe_wire else name,
        value,
        max_age=lives_s if value else 0,
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_safe_wire,
    )


def _is_safe_wire(request: Request) -> bool:
    return request.url.scheme == "https"


def _unknown() -> Response:
    return problem(
        401,
        "send the header Authorization: Bearer … with a token (oneshelf token add) or the one in ONESHELF_API_TOKEN; "
        "in a browser open /?token=… with the latter once",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _not_this_machine() -> Response:
    return problem(
        403,
        "nobody is known here yet, so only this machine is answered, as http://127.0.0.1 or http://localhost. Under "
        "another name make the first user: oneshelf user add NAME --role admin, or set ONESHELF_API_TOKEN",
        kind="not-this-machine",
    )


def _too_little(principal: Principal, needed: Scope) -> Response:
    has = sorted(scope.value for scope in principal.scopes)
    return problem(
        403,
        f"this needs the scope {needed.value}, and {principal.name} has {', '.join(has)}; an admin can give a token or "
        "a role that has it",
        kind="not-allowed",
        members={"needs": needed.value, "has": has},
    )


def _presented(request: Request) -> str:
    """The bearer token of the request; "" without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _key(presented: str) -> bytes:
    # Not the token itself: whoever reads the memory of the process finds no list of them.
    return hashlib.sha256(presented.encode("latin-1")).digest()


def _refreshes_itself(request: Request) -> bool:
    """Whether a page asks for its own newest state, and nobody does: nothing else on the pages asks by htmx."""
    return request.scope["method"] == "GET" and request.headers.get("hx-request") == "true"


def _is_from_elsewhere(request: Request) -> bool:
    """Whether a browser sends this for another site. An older one has no Sec-Fetch-Site and tells the origin alone."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"none", "same-origin"}
    host = request.headers.get("host")
    return any(origin.partition("://")[2] != host for origin in request.headers.getlist("origin"))


def _is_for_this_machine(request: Request) -> bool:
    """Whether it was asked for by an address, or by a name that is always this machine.

    A site may have its own name lead to 127.0.0.1: then its pages ask us from the browser of whoever sits here, and to
    the browser that is one site (DNS rebinding). What they cannot do is to call us by another name than theirs.
    """
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return False
    return not host or host == "localhost" or host.endswith(".localhost") or is_address(host)


def is_page(path: str) -> bool:
    """Whether a person may look at this address, and not only a program or a page itself."""
    return not path.startswith(_NO_PAGES)


def _same(presented: bytes, expected: bytes) -> bool:
    # On bytes: comparing text raises for a character beyond ASCII, and an attacker's header would be a 500.
    return hmac.compare_digest(presented, expected)
