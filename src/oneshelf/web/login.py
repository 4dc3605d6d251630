"""Logging in and out, and setting a password by a link that is good once: plain forms, which need no script.

By an account elsewhere: see `oidc`.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from oneshelf.domain.access import Role, Via, needs_second_factor
from oneshelf.errors import MalformedError
from oneshelf.storage import second_factors, sessions, users
from oneshelf.web.audit_log import WHO
from oneshelf.web.auth import Door, principal_of, session_cookie, session_of
from oneshelf.web.bodies import read_capped
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import page
from oneshelf.web.passwords import Passwords, forget_tries, password_from, take_a_try, user_name_from

FORM_BYTES_MAX = 10_000
WRONG = "The name or the password is wrong."
ENDED = "This link is not good any more. Ask an admin for another one: oneshelf user reset NAME"
# Where logging in by an account at an issuer begins.
ENTRANCE = "/login/oidc"
STYLE = Path(__file__).parent / "static" / "oneshelf.css"


async def login_page(request: Request) -> Response:
    """The form."""
    return _asked(request, following=request.query_params.get("next", ""))


async def log_in(request: Request) -> Response:
    """A new session where name and password are right, or one that waits for the second factor.

    Wrong ones, whichever, are told the same after the same time.
    """
    form = await _form(request)
    engine, address = engine_of(request), address_of(request)
    name, following = form.get("name", ""), form.get("next", "")
    try:
        name = user_name_from(name)
    except MalformedError:
        name = "nobody"
    async with engine.database.transaction() as tx:
        wait_s = await take_a_try(tx, name=name, address=address)
        kept = await users.login(tx, name)
    if wait_s:
        words = f"Too many tries. Wait {wait_s / 60:.0f} min and try again."
        answer = _asked(request, following=following, name=name, words=words, status=429)
        answer.headers["Retry-After"] = str(int(wait_s) + 1)
        return answer
    password = form.get("password", "")[:FORM_BYTES_MAX]
    passwords: Passwords = request.app.state.passwords
    is_right = await passwords.is_right(password, kept=kept.password_hash if kept else "")
    if kept is None or not is_right:
        return _asked(request, following=following, name=name, words=WRONG, status=401)
    async with engine.database.transaction() as tx:
        # It may have been changed while the password was compared.
        if await users.login(tx, name) != kept:
            return _asked(request, following=following, name=name, words=WRONG, status=401)
        await forget_tries(tx, name=name, address=address)
        asks_more = await second_factors.is_confirmed(tx, name) or needs_second_factor(
            kept.role, rule=engine.second_factor
        )
        if not asks_more:
            await users.note_login(tx, kept.user_id)
        session = await sessions.begin(tx, kept.user_id, instead_of=session_of(request), waits_for_second=asks_more)
    request.scope[WHO] = name
    following = page_of_ours(following)
    if asks_more:
        following = "/login/second?" + urlencode({"next": following})
    answer = RedirectResponse(following, status_code=303)
    session_cookie(answer, request, session)
    return answer


async def log_out(request: Request) -> Response:
    """The session ends on all nodes, on this one at once."""
    session = session_of(request)
    async with engine_of(request).database.transaction() as tx:
        await sessions.end(tx, session)
    door: Door = request.app.state.door
    door.forget(session)
    answer = RedirectResponse("/login", status_code=303)
    session_cookie(answer, request, "")
    return answer


async def set_up_page(request: Request) -> Response:
    """The form for a new password, with the link that somebody was given."""
    link = request.query_params.get("link", "")
    async with engine_of(request).database.transaction() as tx:
        whose = await users.invited(tx, link)
    if whose is None:
        return page(request, "set_up.html", {"link": "", "name": "", "is_first": False, "words": ENDED}, status=410)
    return page(request, "set_up.html", {"link": link, "name": whose[1], "is_first": whose[0] is None, "words": ""})


async def set_up(request: Request) -> Response:
    """The password is set, and the link is good no more; the first person becomes an admin."""
    form, engine = await _form(request), engine_of(request)
    link = form.get("link", "")
    async with engine.database.transaction() as tx:
        whose = await users.invited(tx, link)
    if whose is None:
        return page(request, "set_up.html", {"link": "", "name": "", "is_first": False, "words": ENDED}, status=410)
    is_first = whose[0] is None
    try:
        name = user_name_from(form.get("name", "")) if is_first else whose[1]
        password = password_from(form.get("password", ""), again=form.get("again", ""), name=name)
    except MalformedError as problem:
        said = f"{problem}."
        return page(
            request, "set_up.html", {"link": link, "name": whose[1], "is_first": is_first, "words": said}, status=422
        )
    passwords: Passwords = request.app.state.passwords
    kept = await passwords.hashed(password)
    async with engine.database.transaction() as tx:
        # Locked, and read again: of two who use the link at once, one is too late.
        if await users.invited(tx, link) != whose:
            return page(request, "set_up.html", {"link": "", "name": "", "is_first": False, "words": ENDED}, status=410)
        user_id = whose[0] or engine.clock.new_id()
        if is_first:
            await users.add(tx, user_id, name=name, role=Role.ADMIN, created_by="the link of the first start")
        await users.set_password(tx, user_id, kept)
    request.scope[WHO] = name
    return RedirectResponse("/login", status_code=303)


async def account(request: Request) -> Response:
    """Who is logged in, with which role, and the way out."""
    principal = principal_of(request.scope)
    is_session = principal is not None and principal.via is Via.SESSION
    scopes = sorted(scope.value for scope in principal.scopes) if principal else []
    name = principal.name if principal else ""
    async with engine_of(request).database.transaction() as tx:
        has_second_factor = is_session and await second_factors.is_confirmed(tx, name)
    context = {"name": name, "is_session": is_session, "scopes": scopes, "has_second_factor": has_second_factor}
    return page(request, "account.html", context)


async def style(_request: Request) -> Response:
    """The style of the pages, for those who are not logged in yet."""
    return FileResponse(STYLE, media_type="text/css")


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form. Raises ProblemError for a body that is too long; what is no form has no fields."""
    body = await read_capped(request, bytes_max=FORM_BYTES_MAX)
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0].replace("\0", "") for name, values in fields.items()}


def _asked(request: Request, *, following: str, name: str = "", words: str = "", status: int = 200) -> Response:
    """The form, and the way by an account elsewhere, begun under the address to which the issuer sends people back."""
    issuer, following = engine_of(request).issuer, page_of_ours(following)
    elsewhere = issuer_name = ""
    if issuer is not None:
        elsewhere = f"{issuer.registration.public_url}{ENTRANCE}?{urlencode({'next': following})}"
        issuer_name = issuer.registration.name
    context = {"next": following, "name": name, "words": words, "elsewhere": elsewhere, "issuer_name": issuer_name}
    return page(request, "login.html", context, status=status)


def page_of_ours(text: str) -> str:
    """Where to go afterwards: a page of ours, never another site."""
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if is_ours else "/"


def address_of(request: Request) -> str:
    """Where a request comes from, by which tries are counted."""
    return request.client.host if request.client else ""


ROUTES = [
    Route("/login", login_page, methods=["GET"]),
    Route("/login", log_in, methods=["POST"]),
    Route("/login/style.css", style),
    Route("/logout", log_out, methods=["POST"]),
    Route("/set-up", set_up_page, methods=["GET"]),
    Route("/set-up", set_up, methods=["POST"]),
    Route("/account", account),
]
