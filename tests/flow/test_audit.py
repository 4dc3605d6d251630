"""The auditor finds what does not hold, with the movements behind it: over everything, and over what is new."""

from __future__ import annotations

import asyncio
import time
from datetime import date, timedelta

import psycopg
import pytest
from structlog.testing import capture_logs

from domain.shop import BERLIN, CAP, HAMBURG, MUG, SHOP, key
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.command import (
    Arrive,
    Claim,
    Demand,
    Dispatch,
    OrderRef,
    Receive,
    Release,
    ReservationKind,
    Reserve,
)
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.outcome import Reserved
from oneshelf.domain.warehouse_command import Announce, Unload
from oneshelf.errors import AnotherAuditError, DatabaseUnavailableError
from oneshelf.flow import plan
from oneshelf.flow.audit import Audit, audit, audit_if_due, audit_new
from oneshelf.storage import audit_positions
from oneshelf.storage.database import STANDSTILL_S, Database

pytestmark = pytest.mark.pg

BALANCE = "a balance is the sum of its movements"
COMMITTED = "committed units are those that order lines hold"
RESERVED = "reserved units are those that reservations and unpaid order lines hold"
ENDED = "a reservation ended once, and its units went in and out"
INCOMING = "incoming units are there for all that shipments announce"
TRANSIT = "units in transit are those that transfers have under way"
CUSTOMERS = "what customers have is what was shipped and has not come back"
WAITS = "no order waits for units that are free"
SAYS = "what a line holds adds up to what its order says"
BUNDLE = "a bundle has no units of its own"
LISTING = "what orders took off a listing is what their lines say"
MEMORY = "what was audited is the sum of the movements before the auditor's position"

RECEIVED_BEHIND = """
    with moved as (
        insert into movements (sku, movement_id, units, from_account, to_location, to_account, reason, source, version)
        values ('CAP', '019b0000-0000-7000-8000-000000000001', 1, 'supplier', 'BER', 'available', 'received', 'me', 9)
    )
    update balances set available = available + 1 where sku = 'CAP' and location = 'BER' returning 1
"""
# What somebody does in the database -> what no longer holds, and the source of a movement behind it.
PLANTED = [
    (
        "update balances set available = available + 1 where sku = 'MUG' and location = 'BER' returning 1",
        [BALANCE],
        "te",
    ),
    ("update balances set damaged = 1 where sku = 'MUG' and location = 'HAM' returning 1", [BALANCE], None),
    (
        "delete from movements where reason = 'received' and sku = 'MUG' and to_location = 'BER' returning 1",
        [BALANCE],
        "order",
    ),
    (
        "update order_lines set units_committed = units_committed + 1 where order_id = 'o1' returning 1",
        [COMMITTED, SAYS],
        "order shop/o1/l1",
    ),
    ("update reservations set location = 'HAM' where state = 'held' returning 1", [RESERVED], "reservation"),
    ("update reservations set units = units + 1 where state = 'released' returning 1", [ENDED], "reservation"),
    ("update reservations set units = units + 1 where state = 'claimed' returning 1", [ENDED], "reservation"),
    ("delete from reservations where state = 'claimed' returning 1", [ENDED], "reservation"),
    ("update transfers set units_arrived = units_arrived + 1 returning 1", [TRANSIT], "transfer"),
    ("update shipments set units_announced = units_announced + 1 returning 1", [INCOMING], "shipment"),
    (
        "update order_lines set units_returned = 1 where units_shipped > 0 and channel_sku <> '' returning 1",
        [CUSTOMERS],
        "order shop/o1/l1",
    ),
    (RECEIVED_BEHIND, [WAITS], "me"),
    ("insert into bundle_components (sku, component, units) values ('MUG', 'CAP', 1) returning 1", [BUNDLE], "te"),
    (
        "update orders set snapshot = jsonb_set(snapshot, '{lines,0,units_ordered}', '9') where order_id = 'o1' "
        "returning 1",
        [SAYS],
        "order shop/o1/l1",
    ),
    ("update listings set net_units = net_units - 1 where channel_sku = 'mug' returning 1", [LISTING], "order shop/o1"),
    ("update order_lines set units_off_listing = 9 where order_id = 'o1' returning 1", [LISTING], "order shop/o1/l1"),
]


def told(order_id: str, channel_sku: str, units: int, *, version: int = 1, shipped: int = 0) -> OrderSnapshot:
    line = OrderLine("l1", ChannelSku(channel_sku), units, 0, 0, shipped)
    return OrderSnapshot(SHOP, order_id, f"{version:06}", CLOCK.now(), False, (line,))


async def link(ledger: Ledger) -> None:
    await ledger.rows(
        "insert into listings (channel, channel_sku, sku) values ('shop', 'mug', 'MUG'), ('shop', 'cap', 'CAP') "
        "returning 1"
    )


async def trade(ledger: Ledger) -> None:
    """A little of everything: an order half shipped, one that is short, units held, claimed, released, under way."""
    await ledger.ask(
        Receive(key=key(), sku=MUG, location=BERLIN, units=20), Receive(key=key(), sku=MUG, location=HAMBURG, units=2)
    )
    await ledger.tell(told("o1", "mug", 3))
    await ledger.tell(told("o1", "mug", 3, version=2, shipped=2))
    await ledger.tell(told("o2", "cap", 1))
    for _ in range(3):
        wanted = (Demand(sku=MUG, location=BERLIN, units=2),)
        outcome = await ledger.ask_one(Reserve(key=key(), kind=ReservationKind.HOLD, lines=wanted, ttl_s=900))
        assert isinstance(outcome, Reserved)
    first, second, _ = [row["reservation_id"] for row in await ledger.rows("select reservation_id from reservations")]
    await ledger.ask(
        Claim(key=key(), reservation_id=first, order=OrderRef(SHOP, "a/b")), Release(key=key(), reservation_id=second)
    )
    await ledger.ask(Dispatch(key=key(), transfer_id="t", sku=MUG, origin=BERLIN, target=HAMBURG, units=3))
    await ledger.ask(Arrive(key=key(), transfer_id="t", sku=MUG, units=1, is_last=False))
    await ledger.ask(
        Announce(key=key(), shipment_id="PO-7", sku=MUG, location=HAMBURG, units=3, expected_on=date(2026, 12, 1))
    )
    await ledger.ask(Unload(key=key(), shipment_id="PO-7", sku=MUG, units=1))


def rules_of(found: Audit) -> list[str]:
    return sorted({violation.rule for violation in found.violations})


async def position(ledger: Ledger) -> dict[str, int]:
    [row] = await ledger.rows("select xid, movement_count from audit_position")
    return row


@pytest.mark.long(but_one_in=4)
@pytest.mark.parametrize(("planted", "rules", "source"), PLANTED)
async def test_what_somebody_broke_is_found_with_its_movements(
    dsn: str, planted: str, rules: list[str], source: str | None
) -> None:
    async with open_ledger(dsn) as ledger:
        await link(ledger)
        assert (await audit_new(ledger.database)).violations == ()
        await trade(ledger)
        await ledger.assert_sound()
        assert await ledger.rows(planted) == [{"?column?": 1}]
        whole = await audit(ledger.database)
        assert [rule for rule in rules_of(whole) if rule != MEMORY] == sorted(rules)
        new = await audit_new(ledger.database, patrol=0)
        assert rules_of(new) == sorted(rules)
        for found in (whole, new):
            for rule in rules:
                shown = [moved for one in found.violations if one.rule == rule for moved in one.movements]
                assert any(moved.source.startswith(source) for moved in shown) if source else not shown
                assert all(moved.units > 0 and moved.posted_at for moved in shown)


@pytest.mark.long(but_one_in=4)
@pytest.mark.parametrize(("planted", "rules", "source"), PLANTED)
async def test_the_patrol_comes_by_where_nothing_moves(
    dsn: str, planted: str, rules: list[str], source: str | None
) -> None:
    async with open_ledger(dsn) as ledger:
        await link(ledger)
        await trade(ledger)
        assert (await audit_new(ledger.database)).violations == ()
        await ledger.rows(planted)
        removed = planted.startswith("delete from movements")  # What was added up once is remembered.
        if source != "me":  # A movement is news; nothing else is.
            assert (await audit_new(ledger.database, patrol=0)).violations == ()
        assert rules_of(await audit_new(ledger.database, patrol=10)) == ([] if removed else sorted(rules))
        assert rules_of(await audit(ledger.database)) == sorted([*rules, MEMORY] if removed else rules)


async def test_the_patrol_goes_round(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        passed = []
        for _ in range(6):
            await audit_new(ledger.database, patrol=1)
            passed.append((await ledger.rows("select patrolled_sku from audit_position"))[0]["patrolled_sku"])
        # The first run reads all; then one after the other.
        assert passed == ["", "CAP", "DUO", "MUG", "SET", ""]


async def test_a_violation_stays_until_it_is_mended_and_is_logged_once(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await audit_new(ledger.database)
        await ledger.rows("update balances set available = available + 1 where sku = 'MUG' returning 1")
        await ledger.ask_one(Receive(key=key(), sku=MUG, location=BERLIN, units=1))
        with capture_logs() as logs:
            assert rules_of(await audit_new(ledger.database, patrol=0)) == [BALANCE]
            assert rules_of(await audit_new(ledger.database, patrol=0)) == [BALANCE]
        [line] = logs
        assert (line["event"], line["log_level"], line["where"]) == ("ledger.violation", "error", "MUG BER available")
        assert line["figures"] == "balance 7, movements 6"
        assert len(line["movements"]) == line["movement_count"] == 2
        async with ledger.database.transaction() as tx:
            assert (await audit_positions.status(tx)).violation_count == 1
        await ledger.rows("update balances set available = available - 1 where sku = 'MUG' returning 1")
        with capture_logs() as logs:
            assert rules_of(await audit_new(ledger.database, patrol=0)) == []
        assert [line["event"] for line in logs] == ["ledger.balances"]
        assert await ledger.rows("select 1 from audit_violations") == []


async def test_only_the_newest_movements_are_shown_with_a_count_of_all(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await ledger.ask(*(Receive(key=key(), sku=MUG, location=BERLIN, units=units) for units in range(1, 31)))
        await ledger.rows("update balances set available = available - 1 returning 1")
        [violation] = (await audit(ledger.database)).violations
        assert violation.movement_count == 30
        assert len(violation.movements) == 20
        ids = [moved.movement_id for moved in violation.movements]
        assert ids == sorted(ids, reverse=True)


async def test_a_transaction_that_commits_late_is_audited(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5, "CAP": 5}) as ledger:
        with psycopg.connect(dsn) as late:
            late.execute(
                "insert into movements (sku, movement_id, units, from_account, to_location, to_account, reason, "
                "source, version) values ('MUG', gen_random_uuid(), 1, 'supplier', 'BER', 'available', 'received', "
                "'late', 2)"
            )
            [(xid,)] = late.execute("select pg_current_xact_id()::text::bigint").fetchall()
            for _ in range(3):
                await ledger.ask_one(Receive(key=key(), sku=CAP, location=BERLIN, units=1))
                assert (await audit_new(ledger.database, patrol=0)).violations == ()
            # The movements of later transactions were checked, and will be again: the position waits.
            assert (await position(ledger)) == {"xid": xid, "movement_count": 2}
        [violation] = (await audit_new(ledger.database, patrol=0)).violations
        assert (violation.rule, violation.figures) == (BALANCE, "balance 5, movements 6")
        assert (await position(ledger))["movement_count"] == 6
        await ledger.rows("update balances set available = available + 1 where sku = 'MUG' returning 1")
        assert (await audit_new(ledger.database, patrol=0)).violations == ()
        await ledger.assert_sound()


@pytest.mark.long
async def test_audits_between_many_writers_never_miss_or_double_a_movement(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 1}) as ledger:
        is_over = asyncio.Event()

        async def write() -> None:
            for _ in range(25):
                await ledger.ask_one(Receive(key=key(), sku=MUG, location=BERLIN, units=1))
                await ledger.ask_one(Receive(key=key(), sku=CAP, location=HAMBURG, units=2))

        async def watch() -> int:
            read = 0
            while not is_over.is_set():
                found = await audit_new(ledger.database, patrol=0)
                assert found.violations == ()
                read += found.movement_count > 0
            return read

        async def write_all() -> None:
            await asyncio.gather(*(write() for _ in range(6)))
            is_over.set()

        _, runs = await asyncio.gather(write_all(), watch())
        assert runs > 0  # How many audits fit between the writers is up to the machine.
        await audit_new(ledger.database, patrol=0)
        assert (await position(ledger))["movement_count"] == 301
        await ledger.assert_sound()


async def test_one_auditor_at_a_time(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        async with ledger.database.transaction() as other:
            assert await audit_positions.try_lock(other, of_all=False)
            with pytest.raises(AnotherAuditError, match="another audit"):
                await audit_new(ledger.database)
            assert await audit_if_due(ledger.database) == 0
            assert await audit_positions.try_lock(other, of_all=True)
            with pytest.raises(AnotherAuditError, match="another audit"):
                await audit(ledger.database)
        done = await asyncio.gather(*(audit_new(ledger.database) for _ in range(4)), return_exceptions=True)
        assert sum(isinstance(one, Audit) for one in done) >= 1
        assert all(isinstance(one, Audit | AnotherAuditError) for one in done)
        await ledger.assert_sound()


async def test_nodes_share_the_minute(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        assert [await audit_if_due(ledger.database) for _ in range(3)] == [1, 0, 0]
        await ledger.rows("update audit_position set audited_at = audited_at - interval '1 minute' returning 1")
        assert [await audit_if_due(ledger.database) for _ in range(3)] == [1, 0, 0]


async def test_an_audit_that_dies_has_not_happened(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await audit_new(ledger.database)
        before = await position(ledger)
        await ledger.ask_one(Receive(key=key(), sku=MUG, location=BERLIN, units=1))

        def kill(what: str) -> None:
            if what == WAITS:  # Everything is added up and half of it is checked.
                with psycopg.connect(dsn, application_name="killer") as killer:
                    killer.execute(
                        "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                        "where datname = current_database() and state = 'idle in transaction'"
                    )

        async with Database.open(dsn) as doomed:
            with pytest.raises(DatabaseUnavailableError):
                await audit_new(doomed, progress=kill)
        assert await position(ledger) == before
        assert (await audit_new(ledger.database)).violations == ()
        assert (await position(ledger))["movement_count"] == 2
        await ledger.assert_sound()


async def test_the_full_audit_checks_what_the_auditor_remembers_and_mends_nothing(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await audit_new(ledger.database)
        await ledger.rows("update audited_accounts set units = units + 1 where account = 'available' returning 1")
        for _ in range(2):
            [violation] = (await audit(ledger.database)).violations
            assert (violation.rule, violation.figures) == (MEMORY, "audited 6, movements 5")
        assert rules_of(await audit_new(ledger.database)) == [BALANCE]
        assert (await audit_new(ledger.database, from_the_first=True)).violations == ()
        await ledger.assert_sound()
        assert await ledger.rows("select 1 from audit_violations") == []


async def test_a_database_that_was_restored_elsewhere_is_audited_from_its_beginning(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await audit_new(ledger.database)
        for moved in ("cluster = 1", "xid = 9000000000000000"):
            await ledger.rows(f"update audit_position set {moved}, movement_count = 7 returning 1")
            assert (await audit_new(ledger.database)).violations == ()
            assert (await position(ledger))["movement_count"] == 1
        await ledger.assert_sound()


async def test_a_sale_from_before_the_channel_was_connected_took_nothing_off_its_listing(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9}) as ledger:
        await link(ledger)
        await audit_new(ledger.database)
        old = told("old", "mug", 2)
        placed_at = old.placed_at - timedelta(days=1)
        for snapshot in (old, told("old", "mug", 3, version=2)):
            await ledger.tell(
                OrderSnapshot(SHOP, "old", snapshot.version, placed_at, snapshot.is_pending, snapshot.lines)
            )
        await ledger.tell(told("new", "mug", 1))
        assert await ledger.rows("select net_units from listings where channel_sku = 'mug'") == [{"net_units": 2}]
        assert (await audit_new(ledger.database, patrol=0)).violations == ()
        await ledger.assert_sound()
        await ledger.rows("update listings set net_units = 5 where channel_sku = 'mug' returning 1")
        assert rules_of(await audit(ledger.database)) == [LISTING]


async def test_a_listing_that_was_linked_anew_keeps_the_sales_of_its_former_sku(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9, "CAP": 9}) as ledger:
        await link(ledger)
        await ledger.tell(told("o1", "mug", 2))
        await plan.plan(ledger.database)
        await ledger.rows("update listings set sku = 'CAP' where channel_sku = 'mug' returning 1")
        await audit_new(ledger.database)
        await ledger.tell(told("o2", "mug", 1))
        found = await audit_new(ledger.database, patrol=0)
        assert (found.movement_count, found.violations) == (1, ())
        await ledger.assert_sound()


@pytest.mark.long
async def test_an_audit_may_take_longer_than_a_transaction_may_stand_still(dsn: str) -> None:
    """What keeps a second auditor out stands still meanwhile: the answer of a long audit was lost at its end."""
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        began = CLOCK.monotonic()
        done = await audit(ledger.database, progress=lambda _: time.sleep(1.5 * STANDSTILL_S / 10))
        assert CLOCK.monotonic() - began > STANDSTILL_S
        assert done.violations == ()
