"""Rows of `deliveries`: what each endpoint has still to be sent. A row is gone when the endpoint took the event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from oneshelf.domain.event import Event
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction
from oneshelf.storage.endpoints import Claimed
from oneshelf.storage.events import COLUMNS, event_from


class Due(NamedTuple):
    """An event to be sent, and how often that has failed."""

    slot: str
    tries: int
    event: Event


class Failed(NamedTuple):
    """A failed attempt. `after_s`: when to try again; None: not any more."""

    due: Due
    words: str
    after_s: float | None


_QUEUE = """
    insert into deliveries as d (endpoint, slot, position, subject, queued)
    select p.endpoint, e.slot, e.position, e.subject, e.position
    from events e join endpoints p on (
        e.event_type = any(p.event_types)
        or p.event_types = '{}' and (p.kind = 'webhook' or e.event_type like 'alert.%%')
    )
"""
# A level that waits already keeps its place. The row is locked by this: whoever is about to take it out as sent finds
# that it is not what was sent.
_AGAIN = """
    order by p.endpoint, e.slot
    on conflict (endpoint, slot) do update set position = excluded.position, tries = 0, next_at = db_now(),
        given_up_at = null, queued = case when d.given_up_at is null then d.queued else excluded.queued end,
        queued_at = case when d.given_up_at is null then d.queued_at else db_now() end
"""


async def queue(tx: Transaction, *, after: int) -> None:
    """Have every endpoint sent the events beyond this position that it follows."""
    await tx.execute(f"{_QUEUE} where e.position > %(after)s {_AGAIN}", {"after": after})


async def replay(tx: Transaction, endpoint: str, *, after: int) -> int:
    """Have one endpoint sent again all that the log holds beyond this position. Returns how many events."""
    cursor = await tx.execute(
        f"{_QUEUE} where e.position > %(after)s and p.endpoint = %(endpoint)s {_AGAIN}",
        {"after": after, "endpoint": endpoint},
    )
    return cursor.rowcount


async def due(tx: Transaction, endpoint: str, *, limit: int) -> list[Due]:
    """What waits longest for an endpoint, and of each subject only the first: the next one has to come after it."""
    cursor = await tx.execute(
        f"""
        select d.slot, d.tries, {COLUMNS} from deliveries d join events e on e.slot = d.slot
        where d.endpoint = %(endpoint)s and d.given_up_at is null and d.next_at <= db_now()
          and not exists (select from deliveries b where b.endpoint = d.endpoint and b.subject = d.subject
                          and b.given_up_at is null and b.position < d.position)
        order by d.queued limit %(limit)s
        """,
        {"endpoint": endpoint, "limit": limit},
    )
    return [Due(slot, tries, event_from(event)) async for slot, tries, *event in cursor]


async def done(tx: Transaction, held: Claimed, sent: Sequence[Due]) -> None:
    """The endpoint took these. Where there is a newer figure by now, that is still to be sent."""
    await tx.execute(
        """
        delete from deliveries d using unnest(%(slots)s::text[], %(positions)s::bigint[]) as sent (slot, position)
        where d.endpoint = %(endpoint)s and d.slot = sent.slot and d.position = sent.position
        """,
        {
            "endpoint": held.endpoint,
            "slots": arrays.texts([one.slot for one in sent]),
            "positions": arrays.numbers(one.event.position for one in sent),
        },
    )


async def failed(tx: Transaction, held: Claimed, tried: Sequence[Failed]) -> None:
    """Try these again later, or not any more. A newer figure that has come meanwhile begins anew."""
    await tx.execute(
        """
        update deliveries d set tries = d.tries + 1, last_words = new.words,
            next_at = db_now() + make_interval(secs => coalesce(new.after_s, 0)),
            given_up_at = case when new.after_s is null then db_now() end
        from unnest(%(slots)s::text[], %(positions)s::bigint[], %(words)s::text[], %(after_s)s::float8[])
            as new (slot, position, words, after_s)
        where d.endpoint = %(endpoint)s and d.slot = new.slot and d.position = new.position
        """,
        {
            "endpoint": held.endpoint,
            "slots": [one.due.slot for one in tried],
            "positions": [one.due.event.position for one in tried],
            "words": [one.words for one in tried],
            "after_s": [one.after_s for one in tried],
        },
    )
