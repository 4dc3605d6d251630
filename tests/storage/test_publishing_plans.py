"""With hundreds of thousands of listings, each statement of publishing finds its rows by an index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from domain.shop import key
from flow.shelf_world import CLOCK
from oneshelf.domain.command import Demand, ReservationKind, Reserve
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.flow import confirm, plan, post, push, reconcile
from oneshelf.flow.channel import OpenChannel
from oneshelf.storage.database import Database
from storage.statements import Statement, caught_statements, largest_of_each, plans, whole_scans
from web.paper import CAPABILITY, PaperConnector

pytestmark = [pytest.mark.pg, pytest.mark.timeout(400)]

CHANNELS = (Channel("first"), Channel("second"))
LISTINGS = 120_000
# So many of the second channel wait to be written; the SKUs beyond are guarded.
WAITING = 100_000
SOLD, READ = 100, 600
TABLES = ("listings", "publications", "skus", "balances", "bundle_components")

FILL = """
    set local session_replication_role = replica;
    insert into locations (location) values ('BER');
    insert into channels (channel, kind, mode, location) values ('first', 'paper', 'live', 'BER'),
        ('second', 'paper', 'live', 'BER');
    insert into schedules (channel, task, every_s)
    select channel, task, 3600 from channels, unnest(array['orders', 'stock']) as task;
    insert into skus (sku, mode, is_guarded)
    select 'SKU-' || lpad(n::text, 7, '0'), case when n > {waiting} then 'guarded' else 'pooled' end, n > {waiting}
    from generate_series(1, {listings}) as n;
    insert into balances (sku, location, available, version)
    select sku, 'BER', 20, 1 from skus;
    insert into bundle_components (sku, component, units)
    select 'SKU-' || lpad(n::text, 7, '0'), 'SKU-' || lpad((n - 1)::text, 7, '0'), 1
    from generate_series({listings} * 95 / 100, {listings}) as n;
    insert into listings (channel, channel_sku, merchant_sku, sku, desired_units, desired_version, desired_at,
        sent_units, sent_version, sent_at, accepted_version, accepted_at, verified_units, verified_version, verified_at,
        base_units, next_at, look_at)
    select channel, sku, sku, sku, case when is_waiting then 30 else 20 end, 1 + is_waiting::int, now(), 20, 1, now(),
        1, now(), 20, 1, now(), 20, now(), case when n % 2 = 0 then now() + interval '1 hour' end
    from channels, generate_series(1, {listings}) as n,
        lateral (select 'SKU-' || lpad(n::text, 7, '0') as sku, channel = 'second' and n <= {waiting} as is_waiting) s;
    insert into publications (channel, channel_sku, version, sku, units, derivation, planned_at, sent_at)
    select channel, channel_sku, 1, sku, 20, '{{"available": {{"BER": 20}}, "ledger_versions": {{"BER": 1}}}}', now(),
        now() from listings;
"""


def fill(connection: psycopg.Connection[Any]) -> None:
    """Every SKU is listed at both channels; a few are bundles. Nothing is analysed by itself."""
    for table in TABLES:
        connection.execute(f"alter table {table} set (autovacuum_enabled = false)".encode())
    connection.execute(FILL.format(listings=LISTINGS, waiting=WAITING).encode())


def name(number: int) -> str:
    return f"SKU-{number:07}"


def opened(channel: Channel) -> OpenChannel:
    connector = PaperConnector(channel)
    connector.books = {ChannelSku(name(number)): 20 + (number % 100 == 0) for number in range(1, READ + 1)}
    return OpenChannel(name=channel, kind="paper", connector=connector, capability=CAPABILITY)


async def published(dsn: str) -> list[Statement]:
    """The statements that a round of publishing sends after sales."""
    caught: list[Statement] = []
    async with Database.open(dsn) as database:
        sold = [
            Reserve(
                key=key(),
                kind=ReservationKind.HOLD,
                lines=(Demand(sku=Sku(name(number)), location=Location("BER"), units=1),),
                ttl_s=900,
            )
            for number in range(1, SOLD + 1)
        ]
        await post.post_commands(database, CLOCK.new_id, sold)
        with caught_statements(caught):
            assert await plan.plan(database) == SOLD
            for channel in map(opened, CHANNELS):
                assert await push.push(database, channel, CLOCK) == CAPABILITY.batch_writes
                assert await reconcile.sweep(database, channel, CLOCK) == READ
                assert await confirm.confirm(database, channel, CLOCK) > 0
    return caught


@pytest.mark.long
async def test_publishing_never_reads_the_listings_from_end_to_end(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        fill(connection)
    statements = largest_of_each(await published(dsn))
    with psycopg.connect(dsn) as connection:
        connection.execute("analyze")
        found = whole_scans(connection, statements, tables=TABLES)
        connection.rollback()
    texts = {one.text for one in statements}
    for part in ("update of l skip locked", "insert into publications", "from touched", "as seen", "with saved as"):
        assert any(part in text for text in texts), f"nothing with {part!r} was sent"
    assert [(scan.name, scan.how, " ".join(scan.text.split())) for scan in found] == []


@pytest.mark.long
async def test_a_batch_is_claimed_from_the_front_however_much_waits(dsn: str) -> None:
    """Not sorted out of all that waits: that would take the longer the more there is, for every batch again."""
    with psycopg.connect(dsn) as connection:
        fill(connection)
    caught: list[Statement] = []
    async with Database.open(dsn) as database:
        with caught_statements(caught):
            assert await push.claim(database, opened(CHANNELS[1]), CLOCK.new_id())
    [claim] = [one for one in caught if "skip locked" in one.text]
    with psycopg.connect(dsn) as connection:
        connection.execute("analyze")
        found = {how: list(nodes(planned)) for how, planned in plans(connection, claim).items()}
    for parts in found.values():
        assert {"Index Scan", "Limit"} <= {part["Node Type"] for part in parts}
        assert "listings_to_push" in {part.get("Index Name") for part in parts}
        assert not [part for part in parts if "Sort" in part["Node Type"]]


def nodes(planned: Any) -> Iterator[dict[str, Any]]:
    """All parts of a plan."""
    if isinstance(planned, list):
        for part in planned:
            yield from nodes(part)
    elif isinstance(planned, dict):
        if "Node Type" in planned:
            yield planned
        for part in planned.values():
            yield from nodes(part)
