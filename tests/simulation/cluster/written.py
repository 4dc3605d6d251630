"""What engines write to the shops, seen on the wire, against the leases under which it was decided.

A trigger in the tests' database notes every change of a listing's lease and operation. A write is stale where its
lease was another's, or nobody's, by the time it reached the shop.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import unquote
from uuid import UUID

import httptools
import msgspec

from oneshelf.connectors.shopify import simulator_shop
from oneshelf.storage.database import Transaction
from simulation.cluster.proxy import Way

# Between the last look at the lease and the wire an engine only makes its request.
ON_ITS_WAY = timedelta(seconds=0.25)

NOTE_LEASES = """
    create table seen_leases (
        channel text, channel_sku text, lease uuid, op_id uuid, op_units bigint, phase text,
        at timestamptz default clock_timestamp()
    );
    create function note_lease() returns trigger language plpgsql as $$
    begin
        insert into seen_leases values (new.channel, new.channel_sku, new.lease, new.op_id, new.op_units, new.phase);
        return null;
    end $$;
    create trigger note_lease after update of lease, op_id, phase on listings for each row
        when ((old.lease, old.op_id, old.phase) is distinct from (new.lease, new.op_id, new.phase))
        execute function note_lease();
"""


class Write(NamedTuple):
    """A figure that reached a shop."""

    channel: str
    channel_sku: str
    units: int
    at: datetime


class Note(NamedTuple):
    """A listing's lease and operation from `at` on."""

    channel: str
    channel_sku: str
    lease: UUID | None
    op_id: UUID | None
    units: int | None
    phase: str
    at: datetime


async def notes(tx: Transaction) -> list[Note]:
    """All that the trigger noted, oldest first."""
    cursor = await tx.execute(
        "select channel, channel_sku, lease, op_id, op_units, phase, at from seen_leases order by at"
    )
    return [Note(*row) async for row in cursor]


@dataclass(frozen=True, slots=True)
class Judged:
    """`taken_over_count`: writes that were decided under a lease and still open when another took it over."""

    complaints: list[str]
    taken_over_count: int


def stale(writes: Iterable[Write], noted: Iterable[Note]) -> Judged:
    """Complains of each write whose lease had gone to another, and of each that no engine had decided."""
    by_listing: dict[tuple[str, str], list[Note]] = {}
    for note in noted:
        by_listing.setdefault((note.channel, note.channel_sku), []).append(note)
    complaints = []
    for write in writes:
        story = by_listing.get((write.channel, write.channel_sku), [])
        until = bisect_right(story, write.at, key=lambda note: note.at)
        decided = [at for at in range(until) if _decides(story, at) and story[at].units == write.units]
        if not decided:
            complaints.append(f"{write}: no engine had decided it")
            continue
        later = [note for note in story[decided[-1] + 1 : until] if note.at < write.at - ON_ITS_WAY]
        if any(note.lease != story[decided[-1]].lease for note in later):
            complaints.append(f"{write}: its lease was gone\n  {story[decided[-1]]}\n  " + "\n  ".join(map(str, later)))
    return Judged(complaints, sum(_taken_over(story) for story in by_listing.values()))


def _decides(story: Sequence[Note], at: int) -> bool:
    """Whether a write was decided at this place: not where another took over what had been."""
    before = story[at - 1] if at else None
    is_new = before is None or before.phase != "sending" or before.op_id != story[at].op_id
    return is_new and story[at].phase == "sending"


def _taken_over(story: Sequence[Note]) -> int:
    return sum(
        before.phase == "sending"
        and after.phase == "sending"
        and before.lease != after.lease
        and after.lease is not None
        for before, after in pairwise(story)
    )


class WireLog:
    """Listens to one shop's wire. `writes`: every figure that reached it."""

    def __init__(self, channel: str, now: Callable[[], datetime]) -> None:
        self.channel = channel
        self.writes: list[Write] = []
        self._now = now
        self._requests: dict[int, _Requests] = {}

    def hear(self, link: int, way: Way, chunk: bytes) -> None:
        if way is Way.ASKING:
            for path, body in self._requests.setdefault(link, _Requests()).feed(chunk):
                self.writes += [Write(self.channel, sku, units, self._now()) for sku, units in _figures(path, body)]


class _Requests:
    """Requests of one connection, cut out of its bytes."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._path, self._body = b"", b""
        self._whole: list[tuple[str, bytes]] = []

    def feed(self, chunk: bytes) -> list[tuple[str, bytes]]:
        self._parser.feed_data(chunk)
        whole, self._whole = self._whole, []
        return whole

    def on_message_begin(self) -> None:
        self._path, self._body = b"", b""

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        self._whole.append((f"{method} {self._path.decode()}", self._body))


def _figures(path: str, body: bytes) -> list[tuple[str, int]]:
    """Listing and units of each figure that a request writes."""
    if path.startswith("PATCH ") and "/listings/" in path and "VALIDATION_PREVIEW" not in path:
        [patch] = msgspec.json.decode(body)["patches"]
        return [(unquote(path.partition("?")[0].rpartition("/")[2]), patch["value"][0]["quantity"])]
    if b"inventorySetQuantities" in body:
        quantities = msgspec.json.decode(body)["variables"]["input"]["quantities"]
        return [(_variant(row["inventoryItemId"]), row["quantity"]) for row in quantities]
    return []


def _variant(item: str) -> str:
    """The simulated shop numbers variants and their inventory items alike."""
    number = int(item.rpartition("/")[2]) - simulator_shop._FIRST_ITEM
    return str(simulator_shop._FIRST_VARIANT + number)
