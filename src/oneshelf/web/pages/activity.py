"""Activity: who did what, from where, and what came of it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.identity import printable
from oneshelf.errors import MalformedError
from oneshelf.storage import audit_log
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import PAGE_ROWS, address, page, screen, typed

WAYS_IN = {
    "session": "a person who is logged in",
    "cli": "a command on the machine",
    "token": "a program with a token",
    "setting": "whoever has ONESHELF_API_TOKEN",
    "form": "logging in, or setting a password",
    "issuer": "logging in by an account elsewhere",
}
ENTRY_MAX = 2**63 - 1
ENTRY_DIGITS_MAX = len(str(ENTRY_MAX))
ABOUT_LENGTH_MAX = 120


@screen
async def listed(request: Request) -> Response:
    """The last acts first; of somebody, of one way in, about something, or only what was refused."""
    asked = request.query_params
    who, via, after = typed(request, "who", what="who"), asked.get("via", ""), asked.get("after", "")
    about = printable(asked.get("about", "").strip(), length_max=ABOUT_LENGTH_MAX)
    only_refused = asked.get("refused", "") == "1"
    if via and via not in WAYS_IN:
        raise MalformedError(f"nobody comes in that way; there are: {', '.join(WAYS_IN)}")
    is_number = after.isascii() and after.isdecimal() and len(after) <= ENTRY_DIGITS_MAX
    if after and not (is_number and int(after) <= ENTRY_MAX):
        raise MalformedError("after must be what the link to the next page says")
    async with engine_of(request).database.transaction() as tx:
        sought = audit_log.Sought(who or None, via or None, about, only_refused, int(after) if after else None)
        rows = await audit_log.newest(tx, sought, limit=PAGE_ROWS + 1)
    said = {"who": who, "via": via, "about": about, "refused": "1" if only_refused else ""}
    following = ""
    if len(rows) > PAGE_ROWS:
        following = address("/settings/activity", **said, after=str(rows[PAGE_ROWS - 1].entry_id))
    context = {
        "entries": rows[:PAGE_ROWS],
        **said,
        "ways_in": WAYS_IN,
        "after": after,
        "first": address("/settings/activity", **said),
        "next": following,
    }
    return page(request, "activity.html", context)


ROUTES = [Route("/settings/activity", listed)]
