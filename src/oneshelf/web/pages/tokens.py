"""Tokens: which programs may ask, for what, and how often. A token is shown once, when it is made."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.access import Scope, scopes_from
from oneshelf.domain.identity import name_from
from oneshelf.errors import MalformedError
from oneshelf.storage import api_tokens
from oneshelf.storage.database import now
from oneshelf.web.auth import principal_of
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import Form, Said, Told, form_of, not_done, page, screen, status_of

DAY_S, DAYS_MAX = 86_400, 3_660
RATE_MAX = 100_000
MAY = {
    Scope.READ: "see everything but Settings",
    Scope.STOCK_WRITE: "move, count and reserve units",
    Scope.PUBLISH_WRITE: "say what listings show, bring in files",
    Scope.ADMIN: "everything",
}


@screen
async def listed(request: Request) -> Response:
    """All tokens, the ended ones too."""
    return await _shown(request)


@screen
async def add(request: Request) -> Response:
    """Make a token, and show it for the only time. A name is used once, so twice makes no second one."""
    form, engine = await form_of(request), engine_of(request)
    principal = principal_of(request.scope)
    try:
        new = api_tokens.NewToken(
            name_from(form.text("name"), what="name"),
            scopes_from(form.all("scope")),
            principal.name if principal else "",
            _whole(form, "days", most=DAYS_MAX, least=0) * DAY_S or None,
            _whole(form, "rate", most=RATE_MAX, least=1),
        )
    except MalformedError as failure:
        told = not_done("token", form, str(failure))
        return await _shown(request, form=form, told=told, status=status_of(failure))
    async with engine.database.transaction() as tx:
        token = await api_tokens.add(tx, new)
    if not token:
        words = f"There is, or was, a token {new.name}: a name is used once."
        return await _shown(request, form=form, told=not_done("token", form, words), status=409)
    return await _shown(request, Said(f"The token {new.name} is made."), token=token)


@screen
async def end(request: Request) -> Response:
    """Revoke a token for good."""
    name = request.path_params["name"]
    if (await form_of(request)).text("act") != "revoke":
        raise MalformedError("say what to do: revoke")
    async with engine_of(request).database.transaction() as tx:
        is_ended = await api_tokens.revoke(tx, name)
    said = Said(f"{name} is revoked; engines turn it away within a second.") if is_ended else None
    return await _shown(
        request, said or Said(f"There is no good token {name:.80}.", "bad"), status=200 if is_ended else 404
    )


def _whole(form: Form, name: str, *, most: int, least: int) -> int:
    value = form.number(name)
    if isinstance(value, str) or not least <= value <= most:
        raise MalformedError(f"{name} must be a whole number from {least} to {most}")
    return value


async def _shown(  # all that the page may be shown with
    request: Request,
    said: Said | None = None,
    *,
    status: int = 200,
    token: str = "",
    form: Form | None = None,
    told: Told | None = None,
) -> Response:
    async with engine_of(request).database.transaction() as tx:
        at = await now(tx)
        rows = await api_tokens.listed(tx)
    context = {
        "at": at,
        "tokens": sorted(rows, key=lambda row: row.state != "good"),
        "token": token,
        "scopes": {scope.value: words for scope, words in MAY.items()},
        "ticked": form.all("scope") if form else ["read"],
    }
    return page(request, "tokens.html", context, said=said, told=told, status=status)


ROUTES = [
    Route("/settings/tokens", listed),
    Route("/settings/tokens", add, methods=["POST"]),
    Route("/settings/tokens/{name:path}", end, methods=["POST"]),
]
