"""Who follows the engine, as a person says it: add, pause, replay, try.

Reads: the log of events. Writes: endpoints, their secrets, and what they are to be sent again. Next: deliver.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from oneshelf.domain.delivery import EndpointKind, Reply
from oneshelf.domain.destination import destination_from
from oneshelf.domain.event import Event, EventType, event_types_from, secret_of
from oneshelf.errors import MalformedError, UnknownEndpointError
from oneshelf.flow import people
from oneshelf.flow.outgoing import Outgoing
from oneshelf.storage import deliveries, endpoints, events
from oneshelf.storage.database import Database, now

KEY_BYTES = 32
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}", re.ASCII)
OVERLAP_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointWish:
    """An endpoint as somebody wants it. Empty `event_types`: all of them, also those of later versions."""

    endpoint: str
    url: str
    event_types: tuple[str, ...] = ()
    allows_http: bool = False


def endpoint_from(text: str) -> str:
    """The name of an endpoint, fit for an address: no slash, and none of the characters that mean something there.

    Raises MalformedError.
    """
    if not _NAME.fullmatch(text):
        raise MalformedError(
            "the name of an endpoint is made of letters, digits, dots, dashes and underscores, such as erp"
        )
    return text


def wish_from(endpoint: str, url: str, *, event_types: Iterable[str], allows_http: bool) -> EndpointWish:
    """The wish, looked through. Raises MalformedError, which never repeats the URL."""
    destination_from(url, allows_http=allows_http)
    return EndpointWish(
        endpoint=endpoint_from(endpoint),
        url=url,
        event_types=tuple(event_types_from(event_types)),
        allows_http=allows_http,
    )


async def define(database: Database, wish: EndpointWish) -> str | None:
    """Tell it what happens from now on. Returns its secret, which is shown this once.

    None: there is one of this name, which keeps its secrets and what waits for it, and is called there from now on.
    Raises MalformedError where that is a mailbox or a chat.
    """
    secret = secret_of(secrets.token_bytes(KEY_BYTES))
    async with database.transaction() as tx:
        is_new = await endpoints.define(
            tx, wish.endpoint, wish.url, event_types=wish.event_types, allows_http=wish.allows_http
        )
        if is_new is None:
            raise another_kind(wish.endpoint)
        if is_new:
            await endpoints.add_secret(tx, database.keyring, wish.endpoint, secret, overlap_s=0)
    return secret if is_new else None


def another_kind(endpoint: str) -> MalformedError:
    """The refusal to make of one endpoint what it is not."""
    return MalformedError(
        f"{endpoint} is told in another way already; choose another name, or end it first: oneshelf endpoint remove "
        f"{endpoint}"
    )


async def rotate(database: Database, endpoint: str, *, overlap_s: float = OVERLAP_S) -> str:
    """Give it another secret; the old one signs too for `overlap_s`. Returns the new one, shown this once.

    Raises UnknownEndpointError, and MalformedError for a mailbox or a chat.
    """
    secret = secret_of(secrets.token_bytes(KEY_BYTES))
    if (await find(database, endpoint)).kind != EndpointKind.WEBHOOK:
        raise MalformedError(f"{endpoint} is told in words, and nothing is signed; there is no secret to change")
    async with database.transaction() as tx:
        await endpoints.add_secret(tx, database.keyring, endpoint, secret, overlap_s=overlap_s)
    return secret


async def find(database: Database, endpoint: str) -> endpoints.EndpointRow:
    """How an endpoint does. Raises UnknownEndpointError, which names those there are."""
    async with database.transaction() as tx:
        rows = await endpoints.listed(tx)
    for row in rows:
        if row.endpoint == endpoint:
            return row
    there = ", ".join(row.endpoint for row in rows) or "none"
    raise UnknownEndpointError(f"no endpoint {endpoint!r}; there are: {there}")


async def remove(database: Database, endpoint: str) -> None:
    """Tell it nothing any more. Raises UnknownEndpointError."""
    await find(database, endpoint)
    async with database.transaction() as tx:
        await endpoints.remove(tx, endpoint)


async def pause(database: Database, endpoint: str) -> None:
    """Keep what is to be sent until it is called again: facts for a week, levels for ever. UnknownEndpointError."""
    await find(database, endpoint)
    async with database.transaction() as tx:
        await endpoints.set_state(tx, endpoint, "paused")


async def resume(database: Database, endpoint: str) -> None:
    """Call it again, whatever it was. All that waits is due. Raises UnknownEndpointError."""
    await find(database, endpoint)
    async with database.transaction() as tx:
        await endpoints.set_state(tx, endpoint, "active")


async def replay(database: Database, endpoint: str, *, since: datetime | int) -> int:
    """Send again what was told since an instant, or after a position. Returns how many events that are.

    Of a level only the newest figure is there. Raises UnknownEndpointError.
    """
    await find(database, endpoint)
    async with database.transaction() as tx:
        after = since if isinstance(since, int) else await events.position_before(tx, since)
        return await deliveries.replay(tx, endpoint, after=after)


def position_in(text: str) -> int | None:
    """The position in the id of an event, or by itself; None for anything else, which may be an instant."""
    number = text.split("_")[1] if text.startswith("evt_") and text.count("_") == 2 else text
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 18 else None


def place_from(text: str, *, instant: datetime | None) -> datetime | int:
    """Where to replay from: an event's id, all after it; or an instant. Raises MalformedError."""
    position = position_in(text)
    if position is not None:
        return position
    if instant is None:
        raise MalformedError("say since when: an instant such as 2026-11-26T12:00:00Z, or the id of an event")
    return instant


async def attempt(database: Database, outgoing: Outgoing, endpoint: str, *, new_id: UUID) -> Reply:
    """Send a test event at once, whatever its state, and say what came of it. Raises UnknownEndpointError."""
    row = await find(database, endpoint)
    async with database.transaction() as tx:
        at = await now(tx)
        keys = await endpoints.secrets_of(tx, endpoint)
        kind, settings, sealed = await endpoints.reached(tx, endpoint)
    held = endpoints.Claimed(
        endpoint, row.url, row.allows_http, 0, None, keys, new_id, at, kind.value, settings, sealed
    )
    event = Event(
        position=0,
        event_id=f"evt_test_{new_id.hex}",
        event_type=EventType.TEST.value,
        happened_at=at,
        figures={"endpoint": endpoint},
    )
    if kind is EndpointKind.WEBHOOK:
        return await outgoing.send(database.keyring, held, event)
    return await people.told(database.keyring, outgoing, held, [event])
