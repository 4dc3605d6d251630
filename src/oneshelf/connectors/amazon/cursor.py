"""Where a poll or a sweep of Amazon stands, as the text that the engine keeps for us."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, Self, TypeVar

import msgspec

from oneshelf.errors import MalformedError

# Both ends of Amazon's windows are inclusive and stamps are cut to the second; the rest is for comfort.
OVERLAP = timedelta(seconds=5)
# By how much Amazon's clock may be behind ours without an order being missed at the start.
CLOCKS_APART = timedelta(seconds=60)
# Amazon echoes the end of the window, which is two minutes ago. Where it ever does not, this much is left out.
LAG_WITHOUT_ECHO = timedelta(seconds=180)

Turn = Literal["created", "updated"]
Cursor = TypeVar("Cursor")


class OrderCursor(msgspec.Struct, frozen=True, kw_only=True):
    """Where the poll for orders stands.

    Amazon shows an order under its last change only, and the last two minutes are hidden. So an order that was
    placed before the window's end and changed after it is missing from a window of changes: such a window proves
    nothing of the orders placed in it. A window of creations does. One call in three minutes is all we have,
    therefore the two take turns. Each spans two polls, so that a new order shows in whichever comes first.
    """

    created_after: datetime
    updated_after: datetime
    turn: Turn = "created"
    token: str | None = None
    before: datetime | None = None
    # By our clock: when the window was opened, and when the last whole ones of each kind were.
    asked_at: datetime | None = None
    created_asked_at: datetime | None = None
    updated_asked_at: datetime | None = None

    @classmethod
    def starting(cls, now: datetime) -> Self:
        """What was before `now`, but for the last minute, is left out."""
        return cls(created_after=now - CLOCKS_APART, updated_after=now - CLOCKS_APART)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The cursor we gave out. Raises MalformedError for a text that is none."""
        return _decoded(text, cls)

    def text(self) -> str:
        return msgspec.json.encode(self).decode()

    @property
    def after(self) -> datetime:
        """The beginning of the window that is open now."""
        return self.created_after if self.turn == "created" else self.updated_after

    def covered_until(self, lag: timedelta) -> datetime | None:
        """Every order placed before this has been shown, and every change of one, but for those that changed since.

        By our clock, like the instants at which we asked: what Amazon echoes is by its own, which may be ahead.
        """
        if self.created_asked_at is None or self.updated_asked_at is None:
            return None
        return min(self.created_asked_at, self.updated_asked_at) - lag

    def turned(self, *, token: str | None, before: datetime | None, asked_at: datetime) -> Self:
        """The cursor after a page that ended with `token` and echoed `before` as the end of its window."""
        opened_at = self.asked_at or asked_at
        end = min(filter(None, (self.before, before)), default=opened_at - LAG_WITHOUT_ECHO)
        if token is not None:
            return msgspec.structs.replace(self, token=token, before=end, asked_at=opened_at)
        after = max(self.after, end - OVERLAP)
        closed = msgspec.structs.replace(self, token=None, before=None, asked_at=None)
        if self.turn == "updated":
            return msgspec.structs.replace(closed, turn="created", updated_after=after, updated_asked_at=opened_at)
        # Orders placed before the start were never asked for: a window that ends before it proves nothing.
        proved_at = opened_at if end > self.created_after else self.created_asked_at
        return msgspec.structs.replace(closed, turn="updated", created_after=after, created_asked_at=proved_at)

    def restarted(self) -> Self:
        """The same window from its first page, where Amazon no longer knows the page."""
        return msgspec.structs.replace(self, token=None, before=None, asked_at=None)


class StockCursor(msgspec.Struct, frozen=True, kw_only=True):
    """Where a walk over all listings stands.

    Amazon pages through 1000 results and no further, so the walk is cut into slices by the day of creation,
    which, unlike the last change, no write moves. `place`: of the marketplace among those of the account.
    """

    place: int = 0
    created_after: datetime | None = None
    token: str | None = None

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The cursor we gave out. Raises MalformedError for a text that is none."""
        return _decoded(text, cls)

    def text(self) -> str:
        return msgspec.json.encode(self).decode()

    def turned(self, token: str) -> Self:
        """The next page of the same slice."""
        return msgspec.structs.replace(self, token=token)

    def without_token(self) -> Self:
        """The same slice from its first page."""
        return msgspec.structs.replace(self, token=None)

    def sliced(self, newest_at: datetime) -> Self:
        """The slice that begins with the newest listing of the last one; it always moves on."""
        if self.created_after is not None and newest_at <= self.created_after:
            newest_at = self.created_after + timedelta(seconds=1)
        return msgspec.structs.replace(self, created_after=newest_at, token=None)


def _decoded(text: str, kind: type[Cursor]) -> Cursor:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as problem:
        raise MalformedError(f"not a cursor of an Amazon channel: {problem}") from None
