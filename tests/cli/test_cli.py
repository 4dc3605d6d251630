"""The command line on a real database: what it does, and what it says to somebody who got it wrong."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from oneshelf.app import keyring_of
from oneshelf.cli import app
from oneshelf.clock import SystemClock
from oneshelf.config import load_settings
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.flow.post import post_facts
from oneshelf.storage import facts, inbox
from oneshelf.storage.database import Database, Transaction
from oneshelf.storage.keyring import is_sealed

pytestmark = pytest.mark.pg

Cli = Callable[..., Result]
AN_INSTANT = datetime(2026, 11, 23, 12, tzinfo=UTC)
SHOP = (
    *("channel", "add", "shopify", "shop", "--location", "BER", "--set", "base_url=https://a-shop.example"),
    *("--set", "location_id=75596366001", "--secret", "access_token=shpat_hidden", "--secret", "webhook_secret=hush"),
)


@pytest.fixture
def cli(run: Cli) -> Cli:
    """Runs a command on a fresh database."""
    return run


@pytest.fixture
def shelf(cli: Cli) -> Cli:
    """A database with the SKU MUG at BER."""
    cli("stock", "add-sku", "MUG", "--title", "A mug")
    cli("stock", "add-location", "BER")
    return cli


def access_token(dsn: str) -> str:
    """What the shop is called with; it is sealed in the database."""
    [(sealed,)] = rows(dsn, "select secrets ->> 'access_token' from channels")
    assert is_sealed(sealed)
    return keyring_of(load_settings()).open(sealed, place=("channels", "shop", "access_token"))


def in_database(dsn: str, work: Callable[[Transaction], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with Database.open(dsn) as database, database.transaction() as tx:
            return await work(tx)

    return asyncio.run(run())


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchall()


def an_order(channel_sku: str, units: int = 1) -> OrderSnapshot:
    line = OrderLine(line_id="1", channel_sku=ChannelSku(channel_sku), units_ordered=units)
    return OrderSnapshot(Channel("shop"), "1001", "2026-11-23T12:00:00Z", AN_INSTANT, False, (line,))


def posted(dsn: str, snapshot: OrderSnapshot) -> None:
    """The engine takes this order in."""

    async def run() -> None:
        async with Database.open(dsn) as database:
            async with database.transaction() as tx:
                await facts.add(tx, [(snapshot, AN_INSTANT)])
            await post_facts(database, SystemClock().new_id)

    asyncio.run(run())


def test_help_imports_nothing_but_typer() -> None:
    heavy = {"psycopg", "fastapi", "uvicorn", "httpx2", "msgspec", "structlog", "pydantic", "oneshelf.app"}
    program = f"import sys, oneshelf.cli; print(sorted({heavy!r} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_every_command_explains_itself(cli: Cli) -> None:
    for group in ("channel", "listing", "stock", "drift", "errors"):
        assert "--help" in cli(group, "--help").output
    listed = cli("--help").output
    for command in ("serve", "demo", "migrate", "doctor", "status", "sku", "audit", "reconcile"):
        assert re.search(rf"^\s+{command} ", listed, re.M)


@pytest.mark.parametrize(
    "units", ["-1", "1.5", "1.0", "nan", "inf", "1e3", "٣", "", "0x10", "1000000001", "9" * 30, "9" * 5000]
)
@pytest.mark.parametrize("command", ["receive", "count"])
def test_units_that_are_no_whole_number_in_range_are_refused_in_one_line(
    shelf: Cli, dsn: str, command: str, units: str
) -> None:
    refused = shelf("stock", command, "MUG", "BER", units, exits=2)
    assert len(refused.stderr.splitlines()) == 1
    assert "units" in refused.stderr
    assert rows(dsn, "select 1 from movements union all select 1 from commands") == []


def test_a_receipt_of_nothing_is_refused(shelf: Cli) -> None:
    assert "between 1 and" in shelf("stock", "receive", "MUG", "BER", "0", exits=2).stderr


def test_a_command_with_the_same_key_happens_once(shelf: Cli, dsn: str) -> None:
    first = shelf("stock", "receive", "MUG", "BER", "5", "--key", "slip-1")
    again = shelf("stock", "receive", "MUG", "BER", "5", "--key", "slip-1")
    assert "5 available" in first.output
    assert "idempotency key: slip-1" in first.output
    assert "nothing was done again" in again.output
    assert rows(dsn, "select available from balances") == [(5,)]


def test_a_command_without_a_key_says_the_one_it_made(shelf: Cli, dsn: str) -> None:
    said = shelf("stock", "receive", "MUG", "BER", "5").output
    assert [(said.split("idempotency key: ")[1].strip(),)] == rows(dsn, "select key from commands")


def test_a_correction_below_zero_is_refused_with_the_figures(shelf: Cli, dsn: str) -> None:
    shelf("stock", "receive", "MUG", "BER", "2")
    assert "asked 3, available 2" in shelf("stock", "adjust", "MUG", "BER", "-3", exits=1).stderr
    assert "1 available" in shelf("stock", "adjust", "MUG", "BER", "-1").output
    assert "6 units moved, 7 available" in shelf("stock", "count", "MUG", "BER", "7").output
    assert rows(dsn, "select available from balances") == [(7,)]


def test_an_unknown_sku_or_location_is_refused(shelf: Cli) -> None:
    assert "no SKU CAP" in shelf("stock", "receive", "CAP", "BER", "2", exits=1).stderr
    assert "no location ROM" in shelf("stock", "receive", "MUG", "ROM", "2", exits=1).stderr


def test_a_channel_is_connected_in_mode_watch_and_its_secrets_are_never_shown(shelf: Cli) -> None:
    added = shelf(*SHOP, "--timing", "poll_orders_s=5")
    listed = shelf("channel", "list", "--json")
    assert "hush" not in added.output + listed.output
    assert "shpat_hidden" not in added.output + listed.output
    [row] = json.loads(listed.stdout)
    assert (row["channel"], row["mode"], row["timing"]) == ("shop", "watch", {"poll_orders_s": 5.0})
    for word, mode in (("live", "live"), ("pause", "paused"), ("watch", "watch")):
        shelf("channel", word, "shop", *(("--yes",) if word == "live" else ()))
        assert json.loads(shelf("channel", "list", "--json").stdout)[0]["mode"] == mode


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (("channel", "add", "etsy", "shop", "--location", "BER"), "no connector for 'etsy'"),
        (SHOP[:-4], "access_token"),
        ((*SHOP, "--set", "colour=blue"), "colour"),
        ((*SHOP, "--timing", "poll_orders_s=nan"), "seconds above 0"),
        ((*SHOP, "--timing", "nap_s=1"), "unknown timing"),
        ((*SHOP, "--secret", "shpat_typed_without_a_name"), "an equals sign"),
        ((*SHOP, "--secret-env", "access_token=ONESHELF_TEST_NOT_SET"), "ONESHELF_TEST_NOT_SET"),
        ((*SHOP[:5], "ROM", *SHOP[6:]), "oneshelf stock add-location ROM"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_channel_is_refused_before_it_is_stored(
    shelf: Cli, dsn: str, changed: tuple[str, ...], words: str
) -> None:
    refused = shelf(*changed, exits=2)
    assert words in refused.stderr
    assert "shpat_" not in refused.stderr.replace("(shpat_...)", "")
    assert rows(dsn, "select 1 from channels") == []


def test_a_secret_can_come_from_the_environment(shelf: Cli, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "shpat_from_outside")
    shelf(*SHOP, "--secret-env", "access_token=A_TOKEN")
    assert access_token(dsn) == "shpat_from_outside"


def test_a_shop_that_writes_to_nobody_is_told_what_comes_next(shelf: Cli) -> None:
    for command in (("architecture", "show"), ("channel", "list"), ("status",), ("listing", "plan")):
        assert "no channel is connected. Next: oneshelf channel add --help" in shelf(*command).output
    shelf("channel", "add", "till", "corner", "--location", "BER", "--secret", "webhook_secret=hush")
    assert "its channels only tell what they sold" in shelf("architecture", "show").output
    shelf(*SHOP)
    shown = shelf("architecture", "show").output
    assert "none\nnobody is written: the engine watches" in shown
    assert "once a channel is live: everything: engine. Next: oneshelf listing plan shop" in shown


def test_linking_a_listing_posts_the_order_that_waited_for_it(shelf: Cli, dsn: str) -> None:
    shelf(*SHOP)
    shelf("stock", "receive", "MUG", "BER", "5")
    posted(dsn, an_order("44800000000001", 2))
    [waiting] = json.loads(shelf("errors", "list", "--json").stdout)
    assert "oneshelf listing link shop 44800000000001 SKU" in waiting["reason"]
    linked = shelf("listing", "link", "shop", "44800000000001", "MUG", "--pack", "1")
    assert "1 waiting orders are posted now" in linked.output
    assert rows(dsn, "select state from facts") == [("new",)]
    assert rows(dsn, "select sku from touched order by touch_id desc limit 1") == [("MUG",)]
    assert json.loads(shelf("listing", "list", "--json").stdout)[0]["sku"] == "MUG"


def test_an_order_that_was_told_of_again_is_parked_once_and_tried_again_as_a_whole(shelf: Cli, dsn: str) -> None:
    shelf(*SHOP)
    for version in ("2026-11-23T12:00:00Z", "2026-11-23T12:00:05Z", "2026-11-23T12:00:09Z"):
        posted(dsn, replace(an_order("44800000000001", 2), version=version))
    posted(dsn, replace(an_order("44800000000001"), order_id="1002"))
    listed = json.loads(shelf("errors", "list", "--json").stdout)
    assert [(row["what"], row["snapshot_count"]) for row in listed] == [("order 1002", 1), ("order 1001", 3)]
    assert "parked: 0 deliveries, 2 orders" in shelf("status").output
    assert "1 are tried again" in shelf("errors", "retry", listed[1]["id"]).output
    assert rows(dsn, "select order_id, state from facts order by fact_id") == [("1001", "new")] * 3 + [
        ("1002", "parked")
    ]
    assert "1 are dismissed" in shelf("errors", "dismiss", "--all").output
    assert json.loads(shelf("errors", "list", "--json").stdout) == []


def test_a_listing_that_nobody_has_seen_is_not_linked(shelf: Cli, dsn: str) -> None:
    shelf(*SHOP)
    assert "oneshelf reconcile shop" in shelf("listing", "link", "shop", "TYPO", "MUG", exits=2).stderr
    assert "no channel" in shelf("listing", "link", "stall", "TYPO", "MUG", exits=2).stderr
    assert rows(dsn, "select 1 from listings") == []


def test_a_sellers_sku_that_two_listings_carry_has_to_be_named_by_id(shelf: Cli, dsn: str) -> None:
    shelf(*SHOP)
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into listings (channel, channel_sku, merchant_sku) values ('shop', '1', 'M'), ('shop', '2', 'M')"
        )
    assert "1, 2" in shelf("listing", "link", "shop", "M", "MUG", exits=2).stderr
    assert [row["channel_sku"] for row in json.loads(shelf("listing", "unlinked", "--json").stdout)] == ["1", "2"]
    shelf("listing", "link", "shop", "2", "MUG")
    assert rows(dsn, "select channel_sku from listings where sku = 'MUG'") == [("2",)]


def test_a_parked_listing_is_written_again_when_a_person_says_so(shelf: Cli, dsn: str) -> None:
    shelf(*SHOP)
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into listings (channel, channel_sku, sku, phase, parked_reason) "
            "values ('shop', '1', 'MUG', 'parked', 'not stocked here')"
        )
    shelf("listing", "retry", "shop", "1")
    assert rows(dsn, "select phase, parked_reason from listings") == [("idle", "")]
    assert "not parked" in shelf("listing", "retry", "shop", "1", exits=2).stderr


def test_a_delivery_that_cannot_be_read_waits_until_somebody_decides(shelf: Cli, dsn: str) -> None:
    shelf(*SHOP)

    async def park(tx: Transaction) -> None:
        deliveries = [inbox.NewDelivery(key, "orders/create", b"{") for key in ("a", "b")]
        await inbox.store(tx, Channel("shop"), deliveries)
        cursor = await tx.execute("select inbox_id from inbox")
        await inbox.park(tx, {inbox_id: "no order" async for (inbox_id,) in cursor})

    in_database(dsn, park)
    ids = [row["id"] for row in json.loads(shelf("errors", "list", "--json").stdout)]
    assert len(ids) == 2
    assert "name ids" in shelf("errors", "retry", exits=2).stderr
    assert "no id" in shelf("errors", "retry", "x1", exits=2).stderr
    assert "1 are dismissed" in shelf("errors", "dismiss", ids[0]).output
    assert "1 are tried again" in shelf("errors", "retry", "--all").output
    assert sorted(rows(dsn, "select state from inbox")) == [("dismissed",), ("new",)]


def test_reconcile_makes_the_sweep_due_now(shelf: Cli, dsn: str) -> None:
    shelf(*SHOP)
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into schedules (channel, task, every_s, next_at) "
            "values ('shop', 'stock', 900, now() + interval '1 hour')"
        )
    assert "there are: shop" in shelf("reconcile", "stall", exits=2).stderr
    assert "due now" in shelf("reconcile", "shop").output
    assert rows(dsn, "select next_at <= clock_timestamp() from schedules") == [(True,)]


def test_the_audit_ends_with_1_when_the_ledger_does_not_balance(shelf: Cli, dsn: str) -> None:
    shelf("stock", "receive", "MUG", "BER", "5")
    assert "the ledger balances; 1 movements read" in shelf("audit").output
    with psycopg.connect(dsn) as connection:
        connection.execute("update balances set available = 6")
    assert "balance 6, movements 5" in shelf("audit", exits=1).output
    assert len(json.loads(shelf("audit", "--json", exits=1).stdout)["violations"]) == 1


def test_status_and_sku_show_the_same_units(shelf: Cli) -> None:
    shelf("stock", "receive", "MUG", "BER", "5")
    assert "1 SKUs: 5 on hand, 5 available" in shelf("status").output
    assert json.loads(shelf("status", "--json").stdout)["overview"]["units_available"] == 5
    shown = json.loads(shelf("sku", "MUG", "--json").stdout)
    assert shown["balances"][0]["available"] == 5
    assert [(row["units"], row["reason"]) for row in shown["movements"]] == [(5, "received")]
    assert "received" in shelf("sku", "MUG").output
    assert "oneshelf stock add-sku CAP" in shelf("sku", "CAP", exits=2).stderr


def test_an_open_drift_is_listed_until_it_is_resolved(shelf: Cli, dsn: str) -> None:
    assert "no open drift" in shelf("drift", "list").output
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into drifts (drift_id, channel, channel_sku, sku, cause, expected_units, observed_units) "
            "values (gen_random_uuid(), 'shop', '1', 'MUG', 'foreign edit', 5, 9)"
        )
    assert json.loads(shelf("drift", "list", "--json").stdout)[0]["observed_units"] == 9
    with psycopg.connect(dsn) as connection:
        connection.execute("update drifts set resolved_at = now(), resolution = 'republished'")
    assert json.loads(shelf("drift", "list", "--json").stdout) == []
    assert len(json.loads(shelf("drift", "list", "--all", "--json").stdout)) == 1


def test_the_doctor_says_what_to_do(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESHELF_DATABASE_URL", empty_dsn)
    sick = CliRunner().invoke(app, ["doctor"])
    assert sick.exit_code == 1
    assert "Run: oneshelf migrate" in sick.output
    assert "applied 0001" in CliRunner().invoke(app, ["migrate"]).output
    assert "up to date" in CliRunner().invoke(app, ["migrate"]).output
    found = {row["what"]: row["is_good"] for row in json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)}
    assert found["schema"]
    assert found["clock of the database"]


@pytest.mark.long
def test_a_database_that_does_not_answer_is_one_clear_line() -> None:
    environment = {**os.environ, "ONESHELF_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2"}
    said = subprocess.run(
        [sys.executable, "-m", "oneshelf.cli", "status"], env=environment, capture_output=True, text=True, check=False
    )
    assert said.returncode == 2
    assert said.stderr.startswith("oneshelf: ")
    assert "Traceback" not in said.stderr


@pytest.mark.long
@pytest.mark.parametrize("command", ["status", "doctor", "migrate"])
def test_an_address_that_cannot_be_read_never_shows_its_password(command: str) -> None:
    environment = {**os.environ, "ONESHELF_DATABASE_URL": "postgresql://u:hush@[bad/x"}
    said = subprocess.run(
        [sys.executable, "-m", "oneshelf.cli", command], env=environment, capture_output=True, text=True, check=False
    )
    assert said.returncode == 2
    assert "ONESHELF_DATABASE_URL" in said.stderr
    assert len(said.stderr.splitlines()) == 1
    assert "hush" not in said.stdout + said.stderr


@pytest.mark.long
def test_the_doctor_repeats_what_the_server_says() -> None:
    environment = {**os.environ, "ONESHELF_DATABASE_URL": "postgresql://nobody:hush@127.0.0.1:1/none"}
    said = subprocess.run(
        [sys.executable, "-m", "oneshelf.cli", "doctor"], env=environment, capture_output=True, text=True, check=False
    )
    assert said.returncode == 1
    assert "WRONG database: " in said.stdout
    assert "refused" in said.stdout
    assert said.stderr == ""
    assert "hush" not in said.stdout


NOT_UTF_8 = "caf\udce9"
ADD_MUG = ("stock", "add-sku", "CUP", "--title")
ADJUST = ("stock", "adjust", "MUG", "BER", "1", "--reason")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((*ADD_MUG, NOT_UTF_8), "title"),
        ((*ADD_MUG, "x" * 100_000), "title"),
        (("stock", "add-location", "ROM", "--title", NOT_UTF_8), "title"),
        ((*ADJUST, NOT_UTF_8), "reason"),
        ((*ADJUST[:4], "-1", "--reason", NOT_UTF_8), "reason"),
        ((*ADJUST, "x" * 100_000), "reason"),
        (("listing", "link", "shop", NOT_UTF_8, "MUG"), "LISTING"),
        (("listing", "link", "shop", "x" * 100_000, "MUG"), "LISTING"),
        (("listing", "retry", "shop", NOT_UTF_8), "LISTING"),
        ((*SHOP, "--set", f"base_url={NOT_UTF_8}"), "--set"),
        ((*SHOP, "--secret", f"access_token=hush{NOT_UTF_8}"), "--secret"),
        ((*SHOP, "--secret-env", "access_token=A_TOKEN"), "A_TOKEN"),
        (("channel", "simulate", "shopify", "--port", "0", "--faults", NOT_UTF_8), "--faults"),
        (("serve", "--port", "0", "--host", NOT_UTF_8), "--host"),
        (("serve", "--port", "0", "--host", "x" * 70), "--host"),
        (("demo", "--data-dir", NOT_UTF_8), "--data-dir"),
        (("demo", "--data-dir", ""), "--data-dir"),
        (("reconcile", NOT_UTF_8), "CHANNEL"),
        (("listing", "apply", "shop", "MUG", NOT_UTF_8), "LISTING"),
        (("token", "revoke", NOT_UTF_8), "NAME"),
        (("alert", "test", NOT_UTF_8), "ENDPOINT"),
        *((("endpoint", act, NOT_UTF_8), "ENDPOINT") for act in ("pause", "resume", "rotate", "test", "remove")),
        (("source", "state", "erp", NOT_UTF_8, "MUG", "BER", "1"), "DOCUMENT"),
        (("source", "statements", "--source", NOT_UTF_8), "--source"),
        (("undo", "--command", NOT_UTF_8), "--command"),
        (("undo", "--command", "x*", f"--scope={NOT_UTF_8}"), "--scope"),
        (("audit-log", "--who", NOT_UTF_8), "--who"),
        (("channel", "matrix", "--write", NOT_UTF_8), "--write"),
        (("stock", "export", "counts", f"{NOT_UTF_8}.csv", "--json"), "FILE"),
    ],
)
def test_what_is_no_text_or_far_too_long_is_refused_in_one_line(
    shelf: Cli, dsn: str, arguments: tuple[str, ...], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", f"hush{NOT_UTF_8}")
    monkeypatch.setenv("ONESHELF_API_TOKEN", "hush")
    refused = shelf(*arguments, exits=2)
    assert what in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert "hush" not in refused.stderr
    assert rows(dsn, "select sku from skus union all select channel from channels") == [("MUG",)]
    assert rows(dsn, "select location from locations") == [("BER",)]
    assert rows(dsn, "select 1 from movements") == []


@pytest.mark.parametrize("user", [f"a{NOT_UTF_8}", "a\0b"])
def test_a_user_whose_name_is_no_text_is_written_down_all_the_same(
    shelf: Cli, dsn: str, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: user)
    shelf("stock", "add-location", "ROM")
    assert rows(dsn, "select who from audit_log order by entry_id desc limit 1") == [
        (user.replace("\0", "").replace("\udce9", "?"),)
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
@pytest.mark.parametrize("typed", [("stock", "imports"), ("stock", "imports", "--json"), ("stock", "--help")])
def test_an_output_that_takes_no_more_is_one_line_and_no_traceback(dsn: str, typed: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        said = subprocess.run(
            [sys.executable, "-m", "oneshelf.cli", *typed],
            env={**os.environ, "ONESHELF_DATABASE_URL": dsn},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert said.returncode == 2
    assert said.stderr.splitlines() == [said.stderr.strip()]
    assert "No space left on device" in said.stderr


def test_a_long_table_is_not_fitted_and_has_a_line_for_each_row(shelf: Cli, dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into skus (sku) select repeat('X', 90) || number from generate_series(1001, 3500) number"
        )
        connection.execute("insert into locations (location) values (repeat('L', 90))")
        connection.execute(
            "insert into balances (sku, location, available)"
            " select sku, repeat('L', 90), 7 from skus where sku like 'X%'"
        )
    head, *told = shelf("stock", "list").output.splitlines()
    assert head.split()[:4] == ["sku", "location", "on", "hand"]
    assert len(told) == 2_500
    assert told[0].split()[:4] == [f"{'X' * 90}1001", "L" * 90, "7", "7"]
    assert {len(line) for line in told} == {len(head)}


def test_the_listings_of_a_channel_that_is_not_there_are_not_an_empty_list(shelf: Cli) -> None:
    shelf(*SHOP)
    assert "no channel 'nope'; there are: shop" in shelf("listing", "list", "nope", exits=2).stderr
    assert "no channel 'nope'; there are: shop" in shelf("listing", "retry", "nope", "1", exits=2).stderr
    assert "no channel has shown a listing yet" in shelf("listing", "list", "shop").output


def state_of_shop(dsn: str) -> tuple[Any, ...]:
    [row] = rows(dsn, "select kind, mode, location, settings ->> 'base_url' from channels")
    return (*row, access_token(dsn))


def test_a_channel_never_becomes_one_of_another_kind(shelf: Cli, dsn: str) -> None:
    shelf(*SHOP)
    shelf("channel", "live", "shop", "--yes")
    before = state_of_shop(dsn)
    amazon = ("--set", "seller_id=A1EXAMPLE", "--set", "marketplace_id=A1PA6795UKMFR9")
    secrets = ("client_id=c", "client_secret=hush", "refresh_token=hush")
    secret_options = [part for secret in secrets for part in ("--secret", secret)]
    refused = shelf("channel", "add", "amazon", "shop", "--location", "BER", *amazon, *secret_options, exits=2)
    assert "kind shopify" in refused.stderr
    assert "oneshelf channel add amazon NAME" in refused.stderr
    assert state_of_shop(dsn) == before
    assert before[:2] == ("shopify", "live")


@pytest.mark.parametrize(
    "changed",
    [
        (*SHOP, "--set", "base_url=https://b-shop.example"),
        (*SHOP, "--set", "location_id=7"),
        (*SHOP[:5], "ROM", *SHOP[6:]),
    ],
    ids=["address", "setting", "location"],
)
@pytest.mark.parametrize(("word", "mode"), [("live", "live"), ("pause", "paused")])
def test_a_channel_that_may_be_another_shop_now_is_only_watched_until_somebody_says_so(
    shelf: Cli, dsn: str, changed: tuple[str, ...], word: str, mode: str
) -> None:
    shelf("stock", "add-location", "ROM")
    shelf(*SHOP)
    shelf("channel", word, "shop", *(("--yes",) if word == "live" else ()))
    assert f"was {mode} and is back in mode watch" in shelf(*changed).output
    assert state_of_shop(dsn)[1] == "watch"


def test_a_channel_with_a_new_secret_stays_live(shelf: Cli, dsn: str) -> None:
    shelf(*SHOP)
    shelf("channel", "live", "shop", "--yes")
    said = shelf(*SHOP, "--secret", "access_token=shpat_new", "--timing", "poll_orders_s=7")
    assert "watch" not in said.output
    assert state_of_shop(dsn)[1] == "live"
    assert state_of_shop(dsn)[4] == "shpat_new"


def test_a_channel_that_is_told_of_a_new_secret_stays_live_and_knows_when_it_ends(shelf: Cli, dsn: str) -> None:
    amazon = (
        *("channel", "add", "amazon", "amz", "--location", "BER", "--set", "seller_id=A1"),
        *("--secret", "client_id=id", "--secret", "client_secret=hush", "--secret", "refresh_token=t"),
    )

    def kept() -> tuple[object, object]:
        [(mode, ends)] = rows(dsn, "select mode, access_ends from channels where channel = 'amz'")
        return mode, [(one["what"], one["ends_on"]) for one in ends]

    shelf(*amazon, "--set", "secret_renewed_on=2026-05-01")
    shelf("channel", "live", "amz", "--yes")
    assert kept() == ("live", [("client secret", "2026-10-28")])
    assert "watch" not in shelf(*amazon, "--set", "secret_renewed_on=2026-10-01").output
    assert kept() == ("live", [("client secret", "2027-03-30")])
    assert "watch" not in shelf(*amazon).output, "nobody says any more"
    assert kept() == ("live", [])
    assert "back in mode watch" in shelf(*amazon, "--set", "seller_id=A2").output


def test_an_audit_shows_the_movements_behind_a_violation(shelf: Cli, dsn: str) -> None:
    shelf("stock", "receive", "MUG", "BER", "5")
    assert "audit: not yet" in shelf("status").output
    assert "the ledger balances; 1 movements read" in shelf("audit", "--new").output
    assert "the ledger balances; 0 movements read" in shelf("audit", "--new").output
    assert "audit: no violation" in shelf("status").output
    with psycopg.connect(dsn) as connection:
        connection.execute("update balances set available = 6")
    assert "5 supplier → BER available  received" in shelf("audit", exits=1).output
    assert "5 supplier → BER available  received" in shelf("audit", "--new", exits=1).output
    assert "audit: 1 violations, see oneshelf audit" in shelf("status").output
    assert "WRONG ledger: 1 violations" in shelf("doctor", exits=1).output
    (found,) = json.loads(shelf("audit", "--json", exits=1).stdout)["violations"]
    assert (found["sku"], found["movement_count"], found["movements"][0]["units"]) == ("MUG", 1, 5)
    with psycopg.connect(dsn) as connection:
        connection.execute("update balances set available = 5")
    assert "the ledger balances" in shelf("audit", "--from-the-first").output


def test_a_sku_is_shown_as_it_was(shelf: Cli, dsn: str) -> None:
    shelf("stock", "receive", "MUG", "BER", "5")
    ((then,),) = rows(dsn, "select posted_at from movements")
    shelf("stock", "adjust", "MUG", "BER", "-2")
    was = json.loads(shelf("sku", "MUG", "--at", then.isoformat(), "--json").stdout)
    assert [(balance["location"], balance["available"]) for balance in was["balances"]] == [("BER", 5)]
    assert [(moved["units"], moved["available_after"]) for moved in was["movements"]] == [(5, 5)]
    assert "received" in shelf("sku", "MUG", "--at", then.isoformat()).output
    assert "no zone" in shelf("sku", "MUG", "--at", "2026-01-01T12:00", exits=2).stderr
    assert "not come yet" in shelf("sku", "MUG", "--at", "2999-01-01T12:00Z", exits=2).stderr
    assert "nothing had moved by then" in shelf("sku", "MUG", "--at", "2020-01-01T12:00Z").output


@pytest.mark.long
def test_a_command_that_serves_nobody_does_not_load_what_serves() -> None:
    loading = "import sys, oneshelf.app; print(sorted({'fastapi', 'oneshelf.web.server', 'jinja2'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", loading], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_an_instant_in_a_table_can_be_given_back_as_it_stands(shelf: Cli) -> None:
    shelf("stock", "receive", "MUG", "BER", "2")
    told = re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shelf("sku", "MUG").output)
    assert told is not None
    shelf("sku", "MUG", "--at", told.group())


def test_it_says_its_version_and_completes_what_is_typed() -> None:
    command = [str(Path(sys.executable).parent / "oneshelf")]
    said = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"oneshelf {metadata.version('oneshelf')}\n"
    typed = {"_ONESHELF_COMPLETE": "complete_bash", "COMP_WORDS": "oneshelf stock fr", "COMP_CWORD": "2"}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **typed})
    assert said.stdout.split() == ["freeze"]
