"""Who may ask: the bearer token, or the cookie that a browser got for it."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from oneshelf.web.problems import problem

COOKIE = "oneshelf"
COOKIE_S = 12 * 3600
_OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_OPEN_PREFIX = "/webhooks/"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Door:
    """Lets requests in. Without a token everybody may come in: then only this machine should reach the port."""

    def __init__(self, api_token: str) -> None:
        self._token = api_token.encode()
        # The cookie is made of the token and does not tell it; a new token ends all cookies.
        self._cookie = hmac.new(self._token, b"oneshelf page", hashlib.sha256).hexdigest()

    def refusal(self, request: Request) -> Response | None:
        """The answer to a request that may not come in, or that has just shown the token; None for the others."""
        path: str = request.scope["path"]
        if path in _OPEN_PATHS or path.startswith(_OPEN_PREFIX):
            return None
        is_safe = request.method in _SAFE_METHODS
        if not is_safe and _is_from_elsewhere(request):
            return problem(
                403,
                "another site may not send this; a program sends neither Origin nor Sec-Fetch-Site",
                kind="foreign-origin",
            )
        if not self._token or self._has_token(request):
            return None
        if is_safe and _same(request.cookies.get(COOKIE, "").encode(), self._cookie.encode()):
            return None
        if request.method == "GET" and _is_page(path):
            shown = request.query_params.get("token", "")
            if _same(shown.encode(), self._token):
                return self._welcome(request)
        return problem(
            401,
            "send the header Authorization: Bearer … with the token in ONESHELF_API_TOKEN; "
            "in a browser open /?token=… once",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _has_token(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and _same(token.strip().encode("latin-1"), self._token)

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


def _is_from_elsewhere(request: Request) -> bool:
    """Whether a browser sends this for another site. An older one has no Sec-Fetch-Site and tells the origin alone."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"none", "same-origin"}
    host = request.headers.get("host")
    return any(origin.partition("://")[2] != host for origin in request.headers.getlist("origin"))


def _is_page(path: str) -> bool:
    return path == "/" or path.startswith("/skus/")


def _same(presented: bytes, expected: bytes) -> bool:
    # On bytes: comparing text raises for a character beyond ASCII, and an attacker's header would be a 500.
    return hmac.compare_digest(presented, expected)
