"""Rows of `device_events` and `device_conflicts`: what devices told under each number, and what contradicts it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from psycopg.rows import class_row

from oneshelf.domain.device import DeviceEvent, Instants
from oneshelf.domain.identity import Channel
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction

EventKey = tuple[Channel, str, int]
ReceiptKey = tuple[Channel, str, str]  # channel, the device that made it, receipt


class Told(NamedTuple):
    """What a device told, and when that was by our clock."""

    channel: Channel
    event: DeviceEvent
    when: Instants
    received_at: datetime

    @property
    def key(self) -> EventKey:
        return (self.channel, self.event.device, self.event.sequence)

    @property
    def receipt(self) -> ReceiptKey:
        return (self.channel, self.event.receipt_device, self.event.receipt)


class Stored(NamedTuple):
    """An event that was told before. `voided_at`: of a sale that was taken back."""

    told: Told
    voided_at: datetime | None = None


class Standing(NamedTuple):
    """What becomes of an event: it is told, waits, or is refused for `reason`."""

    state: str = "told"
    reason: str = ""
    voided_at: datetime | None = None


class Question(NamedTuple):
    """Something of a device that moves nothing and waits for a person, and why."""

    device: str
    sequence: int
    what: str
    receipt: str
    received_at: datetime
    reason: str


_COLUMNS = "e.channel, e.event::text, e.placed_at, e.left_at, e.came_at, e.received_at, e.voided_at"


async def fingerprints(tx: Transaction, keys: Collection[EventKey]) -> dict[EventKey, bytes]:
    """Those of these numbers that were told before, with what makes their content. Their channels are locked."""
    ordered = sorted(keys)
    cursor = await tx.execute(
        """
        select e.channel, e.device, e.sequence, e.fingerprint
        from device_events e
        join unnest(%(channels)s::text[], %(devices)s::text[], %(sequences)s::bigint[])
            as wanted (channel, device, sequence)
          on e.channel = wanted.channel and e.device = wanted.device and e.sequence = wanted.sequence
        """,
        {
            "channels": arrays.texts([channel for channel, _, _ in ordered]),
            "devices": arrays.texts([device for _, device, _ in ordered]),
            "sequences": arrays.numbers([sequence for _, _, sequence in ordered]),
        },
    )
    return {(Channel(channel), device, sequence): bytes(is_it) async for channel, device, sequence, is_it in cursor}


async def with_receipts(tx: Transaction, receipts: Collection[ReceiptKey]) -> dict[ReceiptKey, Stored]:
    """The sales, returns and exchanges of these receipts that were told. Their channels are locked."""
    cursor = await tx.execute(
        f"""
        select {_COLUMNS} from device_events e
        join unnest(%(channels)s::text[], %(devices)s::text[], %(receipts)s::text[])
            as wanted (channel, device, receipt)
          on e.channel = wanted.channel and e.receipt_device = wanted.device and e.receipt = wanted.receipt
        where e.kind <> 'void' and e.state = 'told'
        """,
        _receipts(receipts),
    )
    return {one.told.receipt: one for one in [_stored(row) for row in await cursor.fetchall()]}


async def waiting_voids(tx: Transaction, receipts: Collection[ReceiptKey]) -> dict[ReceiptKey, Stored]:
    """The first void of each of these receipts that waits for its sale. Their channels are locked."""
    cursor = await tx.execute(
        f"""
        select {_COLUMNS} from device_events e
        join unnest(%(channels)s::text[], %(devices)s::text[], %(receipts)s::text[])
            as wanted (channel, device, receipt)
          on e.channel = wanted.channel and e.receipt_device = wanted.device and e.receipt = wanted.receipt
        where e.state = 'waiting' order by e.device desc, e.sequence desc
        """,
        _receipts(receipts),
    )
    return {one.told.receipt: one for one in [_stored(row) for row in await cursor.fetchall()]}


async def add(tx: Transaction, told: Sequence[tuple[Told, Standing]]) -> None:
    """Store events under their numbers. Their devices and channels are there, and locked."""
    if not told:
        return
    await tx.execute(
        """
        insert into device_events (channel, device, sequence, fingerprint, kind, receipt_device, receipt, placed_at,
                                   left_at, came_at, received_at, event, state, reason, voided_at)
        select * from unnest(
            %(channels)s::text[], %(devices)s::text[], %(sequences)s::bigint[], %(fingerprints)s::bytea[],
            %(kinds)s::text[], %(receipt_devices)s::text[], %(receipts)s::text[], %(placed)s::timestamptz[],
            %(left)s::timestamptz[], %(came)s::timestamptz[], %(received)s::timestamptz[], %(events)s::jsonb[],
            %(states)s::text[], %(reasons)s::text[], %(voided)s::timestamptz[])
        """,
        {
            "channels": [one.channel for one, _ in told],
            "devices": [one.event.device for one, _ in told],
            "sequences": [one.event.sequence for one, _ in told],
            "fingerprints": [one.event.fingerprint for one, _ in told],
            "kinds": [one.event.kind.value for one, _ in told],
            "receipt_devices": [one.event.receipt_device for one, _ in told],
            "receipts": [one.event.receipt for one, _ in told],
            "placed": [one.when.placed_at for one, _ in told],
            "left": [one.when.left_at for one, _ in told],
            "came": [one.when.came_at for one, _ in told],
            "received": [one.received_at for one, _ in told],
            "events": [msgspec.json.encode(one.event).decode() for one, _ in told],
            "states": [standing.state for _, standing in told],
            "reasons": [standing.reason for _, standing in told],
            "voided": [standing.voided_at for _, standing in told],
        },
    )


async def change(tx: Transaction, standings: Mapping[EventKey, Standing]) -> None:
    """What becomes of events that were told before."""
    ordered = sorted(standings.items())
    if ordered:
        await tx.execute(
            """
            update device_events e set state = new.state, reason = new.reason, voided_at = new.voided_at
            from unnest(%(channels)s::text[], %(devices)s::text[], %(sequences)s::bigint[], %(states)s::text[],
                        %(reasons)s::text[], %(voided)s::timestamptz[])
                as new (channel, device, sequence, state, reason, voided_at)
            where e.channel = new.channel and e.device = new.device and e.sequence = new.sequence
            """,
            {
                "channels": [channel for (channel, _, _), _ in ordered],
                "devices": [device for (_, device, _), _ in ordered],
                "sequences": [sequence for (_, _, sequence), _ in ordered],
                "states": [standing.state for _, standing in ordered],
                "reasons": [standing.reason for _, standing in ordered],
                "voided": [standing.voided_at for _, standing in ordered],
            },
        )


async def contradict(tx: Transaction, told: Sequence[Told]) -> int:
    """These numbers were told before with other content. Each other content is kept once. Returns how many are new."""
    if not told:
        return 0
    cursor = await tx.execute(
        """
        insert into device_conflicts (channel, device, sequence, fingerprint, event, received_at)
        select * from unnest(%(channels)s::text[], %(devices)s::text[], %(sequences)s::bigint[],
                             %(fingerprints)s::bytea[], %(events)s::jsonb[], %(received)s::timestamptz[])
        on conflict do nothing
        """,
        {
            "channels": [one.channel for one in told],
            "devices": [one.event.device for one in told],
            "sequences": [one.event.sequence for one in told],
            "fingerprints": [one.event.fingerprint for one in told],
            "events": [msgspec.json.encode(one.event).decode() for one in told],
            "received": [one.received_at for one in told],
        },
    )
    return cursor.rowcount


async def questions(tx: Transaction, channel: Channel, *, limit: int = 200) -> list[Question]:
    """What moves nothing and waits for a person or for a sale, the newest first."""
    cursor = tx.cursor(row_factory=class_row(Question))
    await cursor.execute(
        """
        select * from (
            select device, sequence, kind as what, receipt, received_at,
                   case when state = 'waiting' then 'its sale is not told yet' else reason end as reason
            from device_events where channel = %(channel)s and state <> 'told' and settled_at is null
            union all
            select device, sequence, event ->> 'kind', event ->> 'receipt', received_at,
                   'this number was told before with other content, which is what counts'
            from device_conflicts where channel = %(channel)s
        ) as asked order by received_at desc, device, sequence limit %(limit)s
        """,
        {"channel": channel, "limit": limit},
    )
    return await cursor.fetchall()


async def settle(tx: Transaction, channel: Channel, device: str) -> int:
    """A person has looked at what moves nothing of this device: it is shown no longer. Returns how many events.

    A void still takes its sale back when that is told.
    """
    names = {"channel": channel, "device": device}
    conflicts = await tx.execute(
        "delete from device_conflicts where channel = %(channel)s and device = %(device)s", names
    )
    contradicting = conflicts.rowcount
    events = await tx.execute(
        """
        update device_events set settled_at = db_now()
        where channel = %(channel)s and device = %(device)s and state <> 'told' and settled_at is null
        """,
        names,
    )
    return contradicting + events.rowcount


def _stored(row: Sequence[object]) -> Stored:
    channel, text, placed_at, left_at, came_at, received_at, voided_at = row
    event = msgspec.json.decode(str(text), type=DeviceEvent)
    when = msgspec.convert({"placed_at": placed_at, "left_at": left_at, "came_at": came_at}, type=Instants)
    return Stored(
        Told(Channel(str(channel)), event, when, msgspec.convert(received_at, datetime)),
        msgspec.convert(voided_at, datetime | None),
    )


def _receipts(receipts: Collection[ReceiptKey]) -> dict[str, str]:
    ordered = sorted(receipts)
    return {
        "channels": arrays.texts([channel for channel, _, _ in ordered]),
        "devices": arrays.texts([device for _, device, _ in ordered]),
        "receipts": arrays.texts([receipt for _, _, receipt in ordered]),
    }
