"""A short guided tour of the demo: what is happening there, page by page. Nowhere else is anything of it seen.

It is links and one cookie, which holds where somebody is; so it needs no script, and a keyboard will do.
"""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from oneshelf.web.engine import engine_of

COOKIE, ASKED, OVER = "oneshelf_tour", "tour", "off"
COOKIE_S = 7 * 86_400
# Pages on which nobody is led about.
WITHOUT = frozenset({"/login", "/login/second", "/set-up"})


class Stop(NamedTuple):
    """A page of the tour, and what is to be seen there."""

    address: str
    title: str
    words: str


STOPS = (
    Stop(
        "/",
        "One count, many shops",
        "Simulated shops, Shopify, Amazon and eBay among them, sell the same SKUs to buyers of their own, and the "
        "engine keeps one count behind them. This page is for whoever is on call: first what loses money now, "
        "then what is stale. It refreshes itself every two seconds, so watch the figures move.",
    ),
    Stop(
        "/channels",
        "Shops that misbehave",
        "Webhooks are doubled, lost and reordered here, calls are throttled, and one feed gets stuck. A "
        "channel says how fresh it is, how long a sale takes to its proof, and what went wrong in its own "
        "words. Orders that no webhook told of are found by asking.",
    ),
    Stop(
        "/skus",
        "What each listing shows, and whether that is proved",
        "Choose a SKU: where its units are, what each shop should show and what it was last seen to show. A "
        "figure is verified only after it was read back; “accepted” alone proves nothing. The name of "
        "a shop beside a figure leads to how that came about.",
    ),
    Stop(
        "/drifts",
        "Somebody edits a figure by hand",
        "Once in a while somebody here changes a quantity at a shop, and one write is accepted and never "
        "applied. What no sale of ours explains becomes a drift, with its cause, its evidence and its age. "
        "The engine puts right what it may, and asks about the rest.",
    ),
    Stop(
        "/short",
        "Orders that nothing is there for",
        "Where two shops sold the last unit within the same seconds, the order is short and not hidden: it is "
        'here, with who is filled first when units come. make demo ARGS="--mode guarded" shares the '
        "units, so that no two shops can sell the same one.",
    ),
    Stop(
        "/rules",
        "Who may sell how much",
        "Buffers, caps and pools decide what a shop is shown of what is there; each rule can be previewed "
        "before it holds. That is the tour. Ctrl-C in the terminal closes the shops: the engine catches up, "
        "and a report says whether every sale was counted once.",
    ),
)  # fmt: skip


class Tour(NamedTuple):
    """Where somebody is on the tour. `stop` None: it was ended, and can be begun anew.

    `is_here`: the page is that of the stop, so its words are of what is seen.
    """

    number: int
    stop: Stop | None
    is_here: bool = False

    @property
    def stop_count(self) -> int:
        return len(STOPS)

    @property
    def place(self) -> str:
        """The address of the page at which somebody is on the tour."""
        return _address(self.number)

    @property
    def back(self) -> str:
        """The address of the page before this one; empty at the first."""
        return _address(self.number - 1) if self.number > 1 else ""

    @property
    def onward(self) -> str:
        """The address of the next page; empty at the last."""
        return _address(self.number + 1) if self.number < len(STOPS) else ""


def tour_of(request: Request) -> Tour | None:
    """The tour as it is to be shown on this page; None outside the demo."""
    if not engine_of(request).shows_tour or request.url.path in WITHOUT:
        return None
    asked = request.query_params.get(ASKED, "") or request.cookies.get(COOKIE, "")
    if asked == OVER:
        return Tour(0, None)
    number = int(asked) if asked in _NUMBERS else 1
    return Tour(number, STOPS[number - 1], request.url.path == STOPS[number - 1].address)


def remember(tour: Tour, request: Request, response: Response) -> None:
    """Keep where somebody is, also on pages that are not of the tour."""
    if ASKED in request.query_params:
        place = OVER if tour.stop is None else str(tour.number)
        response.set_cookie(COOKIE, place, max_age=COOKIE_S, httponly=True, samesite="lax")


_NUMBERS = {str(number) for number in range(1, len(STOPS) + 1)}


def _address(number: int) -> str:
    return f"{STOPS[number - 1].address}?{ASKED}={number}"
