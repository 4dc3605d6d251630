"""What every page has: the frame around it, the part that refreshes itself, and a page for what goes wrong.

A page and its refreshed part are one template and one address: htmx asks with a header of its own for the part alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeGuard, cast
from urllib.parse import parse_qs, quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from oneshelf.domain.access import Scope, Via
from oneshelf.domain.identity import name_from
from oneshelf.errors import MalformedError, OneshelfError
from oneshelf.web import problems, wording
from oneshelf.web.auth import Door, is_page, principal_of, session_of
from oneshelf.web.bodies import read_capped
from oneshelf.web.pages.tour import remember, tour_of
from oneshelf.web.problems import ProblemError

Page = Callable[[Request], Awaitable[Response]]

# So much is shown of a list before it goes on at the next page.
PAGE_ROWS = 50
FORM_BYTES_MAX = 256 * 1024
FORM_FIELDS_MAX = 2_000
# `commands.0: …`, `body: …`, or `commands.0.announce.expected_on: …`: of these the field is kept.
_IN_BODY = re.compile(r"^(?:[a-z]+\.\d+|body)(?:\.\w+)*?(?:\.([a-z_]+))?: ", re.IGNORECASE)
_UNSEEN_FIELDS = frozenset({"type", "key", "token", "act", "round"})
_NUMBER = re.compile(r"-?[0-9]{1,15}", re.ASCII)
_LAYOUTS = {True: "part.html", False: "page.html"}


class Link(NamedTuple):
    """A page in the navigation."""

    address: str
    label: str
    also: str = "-"  # Addresses that begin so are of this page too.


NAVIGATION = (
    Link("/", "Home"),
    Link("/skus", "SKUs"),
    Link("/drifts", "Drift"),
    Link("/conflicts", "Conflicts"),
    Link("/errors", "Errors"),
    Link("/short", "Short list"),
    Link("/orders", "Orders"),
    Link("/wholesale", "Wholesale"),
    Link("/stock", "Stock"),
    Link("/go-live", "Go live"),
    Link("/rules", "Rules"),
    Link("/channels", "Channels", "/connect"),
    Link("/files", "Files"),
    Link("/settings", "Settings"),
)

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {
    "units": wording.units,
    "shown": wording.shown_units,
    "signed": wording.signed,
    "age": wording.age,
    "instant": wording.instant,
    "why_held": wording.why_held,
    "of_feed": wording.of_feed,
    "fault": wording.last_fault,
    "count": wording.counted,
    "clock": wording.clock,
    "address": lambda name: quote(name, safe=""),
    "sentence": wording.sentence,
    "headings": wording.headings,
    "evident": wording.evident,
    "plain": lambda word: str(word).replace("_", " "),
}
_environment.globals |= {
    "STATES": wording.STATES,
    "MODES": wording.MODES,
    "RESOLUTIONS": wording.RESOLUTIONS,
    "NAVIGATION": NAVIGATION,
}


class Said(NamedTuple):
    """What became of what a person just asked for. `tone`: good, or bad where nothing was done."""

    words: str
    tone: str = "good"


class Told(NamedTuple):
    """What became of one of several forms of a page, to be said in it. `form`: its id.

    `typed`: what stood in its fields, where it is to stand there again; `wrong`: the field to be looked at.
    """

    form: str
    said: Said
    typed: Mapping[str, str] = MappingProxyType({})
    wrong: str = ""


def page(  # all that a page says beside its own
    request: Request,
    template: str,
    context: Mapping[str, object],
    *,
    status: int = 200,
    said: Said | None = None,
    told: Told | None = None,
) -> Response:
    """The page, or its refreshed part alone where htmx asks for that.

    A form that htmx sent is answered with 200 whatever it says: it puts nothing else onto the page.
    """
    place, is_part = request.url.path, request.headers.get("hx-request") == "true"
    tour = None if is_part else tour_of(request)
    whole = {
        "said": said,
        "tour": tour,
        "told": told,
        "is_live": False,
        "searched": "",
        "is_admin": _is_admin(request),
        "may_send": cast("Door", request.app.state.door).lets_send(request),
        "layout": _LAYOUTS[is_part],
        "place": quote(place) + (f"?{request.url.query}" if request.url.query else ""),
        "section": next(
            (link.address for link in NAVIGATION[1:] if place.startswith((link.address, link.also))),
            "/" if place == "/" else "",
        ),
        **context,
    }
    shown = _environment.get_template(template).render(whole)
    response = HTMLResponse(shown, status_code=200 if is_part and request.method == "POST" else status)
    if tour is not None:
        remember(tour, request, response)
    return response


def _is_admin(request: Request) -> bool:
    principal = principal_of(request.scope)
    return principal is not None and principal.may(Scope.ADMIN)


def screen(asked: Page) -> Page:
    """This page; where it cannot be shown, a page that says why and where to go on."""

    @wraps(asked)
    async def answer(request: Request) -> Response:
        try:
            return await asked(request)
        except OneshelfError as failure:
            refused = await problems.answer_to(request, failure)
            if refused is None:
                raise
            return shown_problem(request, refused)

    return answer


def is_for_a_person(answer: Response | None, request: Request) -> TypeGuard[Response]:
    """Whether this is a problem that a browser would show as it stands, to somebody known who opened or sent a page."""
    return (
        answer is not None
        and answer.media_type == problems.MEDIA_TYPE
        and is_page(request.url.path)
        and bool(principal_of(request.scope) or session_of(request))
        and "text/html" in request.headers.get("accept", "")
        and request.headers.get("hx-request") != "true"
    )


def shown_problem(request: Request, refused: Response) -> Response:
    """The page that says why, and where to go on; without the frame for whoever is not logged in any more."""
    told, status = json.loads(bytes(refused.body)), refused.status_code
    if status == HTTPStatus.UNAUTHORIZED and session_of(request):
        shown = page(request, "logged_out.html", {"next": request.url.path}, status=status)
    else:
        title = _TITLES.get(status, told["title"])
        way_out = _WAYS_OUT.get(status, "Go back, change what was asked, and try again.")
        words = plain_words(told["detail"])
        context = {"title": title, "detail": words, "way_out": way_out, "may_send": True}
        shown = page(request, "problem.html", context, status=status)
    for name in ("retry-after", "www-authenticate", "allow"):
        if name in refused.headers:
            shown.headers[name] = refused.headers[name]
    return shown


def plain_words(detail: str) -> str:
    """What is wrong, without the place in a body that only a program has sent."""
    return _IN_BODY.sub(lambda place: f"{place[1].replace('_', ' ')}: " if place[1] else "", detail)


_TITLES = {403: "Not allowed", 404: "Not found", 409: "Not done", 422: "Not done", 503: "Not now"}
_WAYS_OUT = {
    401: "Log in, and try again.",
    403: "Nothing was done. An admin gives the role that may.",
    404: "Look for it by its beginning above, or go back to the list.",
    503: "Nothing was lost: load the page again in a moment. If it stays so, run oneshelf doctor.",
}


class Form:
    """What a person sent with a form: names, each with one text or, where several were ticked, with all of them."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        """What stands in a field, trimmed; empty where nothing does."""
        return self._fields.get(name, [""])[-1].strip()

    def all(self, name: str) -> list[str]:
        """All that was ticked."""
        return self._fields.get(name, [])

    def number(self, name: str) -> int | str:
        """A whole number in plain digits; whatever else stands there goes on as it is, to be refused with its name."""
        text = self.text(name)
        return int(text) if _NUMBER.fullmatch(text) else text

    def typed(self) -> dict[str, str]:
        """All that stands in fields."""
        return {name: self.text(name) for name in self._fields}

    def filled(self, *names: str) -> dict[str, str]:
        """Those of these fields in which something stands."""
        return {name: self.text(name) for name in names if self.text(name)}


def not_done(form_id: str, form: Form, words: str) -> Told:
    """The form as it was sent, to be sent again, and why nothing was done. The field that is named first is marked."""
    said, named = plain_words(words), {}
    for name in form.typed().keys() - _UNSEEN_FIELDS:
        if found := re.search(rf"\b{re.escape(name).replace('_', '[_ ]')}\b", said, re.IGNORECASE):
            named[found.start()] = name
    return Told(form_id, Said(wording.sentence(said), "bad"), form.typed(), named[min(named)] if named else "")


def status_of(failure: MalformedError | ProblemError) -> int:
    """The status of the page that shows a form again."""
    return failure.status if isinstance(failure, ProblemError) else HTTPStatus.UNPROCESSABLE_ENTITY


async def form_of(request: Request) -> Form:
    """The form in the body. Raises ProblemError and MalformedError as for other bodies."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise ProblemError(415, "this address takes the form of its page; a program sends to /v1")
    body = await read_capped(request, bytes_max=FORM_BYTES_MAX)
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS_MAX)
    except ValueError:
        raise problems.UnreadableError("the form cannot be read: it is not UTF-8, or has too many fields") from None
    return Form(fields)


def person_of(request: Request) -> str:
    """Who is logged in; empty where nobody is told apart, or a program asks."""
    principal = principal_of(request.scope)
    return principal.name if principal is not None and principal.via is Via.SESSION else ""


def typed(request: Request, name: str, *, what: str) -> str:
    """What a person typed into a field of the address, as a name; what can be no name is as if it were not there."""
    try:
        return name_from(request.query_params.get(name, ""), what=what)
    except MalformedError:
        return ""


def address(path: str, **asked: str) -> str:
    """An address with those questions that say something."""
    query = urlencode({name: value for name, value in asked.items() if value})
    return f"{path}?{query}" if query else path
