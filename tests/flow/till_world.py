"""A ledger with tills: their deliveries come through the door's own steps, as they were signed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import httpx2

from domain.shop import BERLIN
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.connectors.till import CONNECTOR
from oneshelf.domain.identity import Channel
from oneshelf.flow import interpret, post, receive
from oneshelf.flow.channel import OpenChannel
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.limits import Unlimited
from oneshelf.sdk.message import ChannelConfig, Request
from oneshelf.sdk.simulated_sender import signed_headers
from oneshelf.storage import catalog, device_events, devices

TILL = Channel("till")
SECRET = "hush-hush-little-till-of-mine"  # opens nothing
_numbers = count(1)
_TABLES = (
    *("device_conflicts", "device_events", "device_gaps", "devices", "facts", "inbox", "order_lines", "orders"),
    *("movements", "ruling_counts", "commands", "balances", "bundle_components", "listings", "touched", "untold"),
    "channels",
)

Event = dict[str, Any]


def opened_till(settings: Mapping[str, str] | None = None) -> OpenChannel:
    """A channel of tills, as the engine opens it."""
    config = ChannelConfig(TILL, settings or {}, {"webhook_secret": SECRET})
    http = ChannelHttp(httpx2.AsyncClient(), clock=CLOCK, limiter=Unlimited())
    connector = CONNECTOR.open(config, channel=TILL, http=http, clock=CLOCK)
    return OpenChannel(TILL, "till", connector, CONNECTOR.capability, connected_at=CLOCK.now() - timedelta(days=30))


@dataclass
class Tills:
    """What a test does at tills. `ledger` is what it asks of the engine."""

    ledger: Ledger
    channel: OpenChannel

    async def store(self, document: object) -> None:
        """A delivery comes in at the door, and nobody has read it yet."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        headers = signed_headers(body, delivery_id=f"d-{next(_numbers)}", timestamp=1, secret=SECRET)
        request = Request({name.lower(): value for name, value in headers.items()}, body)
        await receive.receive_webhook(self.ledger.database, self.channel, request)

    async def post(self, document: object) -> None:
        """A delivery comes in at the door and is read; nothing is posted yet."""
        await self.store(document)
        while await interpret.interpret(self.ledger.database, {TILL: self.channel}):
            pass

    async def tell(self, *events: Event, sent_at: datetime | None = None) -> None:
        """Devices tell these events in one delivery, and they are posted."""
        document: object = list(events)
        if sent_at is not None:
            document = {"sent_at": sent_at.isoformat(), "events": list(events)}
        await self.post(document)
        while await post.post_facts(self.ledger.database, CLOCK.new_id):
            pass

    async def device(self, name: str = "till-1") -> devices.DeviceRow:
        async with self.ledger.database.transaction() as tx:
            return next(row for row in await devices.listed(tx, TILL) if row.device == name)

    async def gaps(self) -> list[tuple[int, int]]:
        async with self.ledger.database.transaction() as tx:
            return [(gap.first, gap.last) for gap in await devices.gaps_of(tx, TILL)]

    async def questions(self) -> list[device_events.Question]:
        async with self.ledger.database.transaction() as tx:
            return await device_events.questions(tx, TILL)

    async def lines(self) -> list[dict[str, Any]]:
        return await self.ledger.rows(
            "select order_id, sku, units_shipped, units_short, units_brought from order_lines order by 1, 2, line_id"
        )

    async def parked(self) -> list[str]:
        rows = await self.ledger.rows(
            "select reason from inbox where state = 'parked' union all select reason from facts where state = 'parked'"
        )
        return [row["reason"] for row in rows]

    async def forget(self) -> None:
        """The next world on this database begins with nothing."""
        for table in _TABLES:
            await self.ledger.rows(f"delete from {table} returning 1")


@asynccontextmanager
async def open_tills(
    dsn: str, available: Mapping[str, int] | None = None, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Tills]:
    """Tills in Berlin, on an hour-old ledger; `available`: SKU -> units."""
    async with open_ledger(dsn, available) as ledger:
        await ledger.rows("update movements set posted_at = posted_at - interval '1 day' returning 1")
        async with ledger.database.transaction() as tx:
            await catalog.add_channel(
                tx,
                catalog.NewChannel(TILL, "till", BERLIN, settings or {}, {"webhook_secret": SECRET}, {}, False),
            )
        yield Tills(ledger, opened_till(settings))


def ago(minutes: float) -> datetime:
    return CLOCK.now() - timedelta(minutes=minutes)


def event(kind: str, sequence: int, *, at: datetime | None = None, device: str = "till-1", **content: Any) -> Event:
    receipt = {} if "receipt" in content else {"receipt": f"R-{sequence}"}
    at = at or ago(30)
    return {"type": kind, "device": device, "sequence": sequence, "at": at.isoformat(), **receipt, **content}


def line(sku: str = "MUG", units: int = 1, **more: Any) -> Event:
    return {"sku": sku, "units": units, **more}


def back(units: int = 1, disposition: str = "available", sku: str = "MUG") -> Event:
    return {"sku": sku, "units": units, "disposition": disposition}


def sale(sequence: int, units: int = 1, *, lines: Sequence[Event] = (), **more: Any) -> Event:
    return event("sale", sequence, lines=list(lines) or [line(units=units)], **more)
