"""What stands behind the question mark of an address: names that the route knows, each once."""

from __future__ import annotations

from collections import Counter

from fastapi.routing import APIRoute
from starlette.requests import Request

from oneshelf.domain.identity import printable
from oneshelf.errors import MalformedError

NAME_SHOWN_MAX = 40


async def only_known_questions(request: Request) -> None:
    """Raise MalformedError for a name that this route does not know, or that is there twice.

    Overlooked, a mistyped filter would answer with everything, and a mistyped cursor with the first page for ever.
    """
    route = request.scope["route"]
    known = {field.alias for field in route.dependant.query_params} if isinstance(route, APIRoute) else set()
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        shown = printable(name, length_max=NAME_SHOWN_MAX)
        if name not in known:
            there = f"there are: {', '.join(sorted(known))}" if known else "this address takes none"
            raise MalformedError(f"no parameter {shown!r} in the address; {there}")
        if count > 1:
            raise MalformedError(f"the parameter {shown!r} is in the address {count} times; send it once")
