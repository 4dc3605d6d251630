"""The engine as a process: how it starts, what it refuses, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx2
import psycopg
import pytest
from typer.testing import CliRunner

from oneshelf.cli import app
from oneshelf.storage.embedded import EmbeddedPostgres, running_dsn

pytestmark = pytest.mark.pg

COMMAND = [sys.executable, "-m", "oneshelf.cli"]
# A loaded machine takes long for everything; what never ends is ended by the test's own timeout.
STOP_S_MAX = 90.0
ANSWER_S_MAX = 60.0


def environment(dsn: str) -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("ONESHELF_")}
    return {**mine, "ONESHELF_DATABASE_URL": dsn, "ONESHELF_LOG_JSON": "true"}


@contextmanager
def started(dsn: str, *arguments: str, data_dir: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """An engine; its log is its standard error. `data_dir`: on the embedded database there."""
    mine = environment(dsn) | ({"ONESHELF_DATA_DIR": str(data_dir)} if data_dir else {})
    with subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", *arguments], env=mine, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until_said(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    """The first line of the log with this event."""
    assert process.stderr is not None
    for line in process.stderr:
        said: dict[str, Any] = json.loads(line)
        if said["event"] == event:
            return said
    pytest.fail(f"the engine ended with {process.wait()} and never said {event}")


def end_of(process: subprocess.Popen[str]) -> int:
    """The exit code."""
    process.communicate(timeout=STOP_S_MAX)
    return process.returncode


@pytest.mark.long
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_told_engine_ends_with_0(dsn: str, told: signal.Signals) -> None:
    with started(dsn) as process:
        address = until_said(process, "engine.ready")["address"]
        with httpx2.Client(trust_env=False, timeout=ANSWER_S_MAX) as client:
            assert client.get(f"{address}/healthz").is_success
            process.send_signal(told)
            assert end_of(process) == 0


@pytest.mark.long
def test_a_told_engine_does_not_wait_for_ever_for_somebody_halfway_through_a_request(dsn: str) -> None:
    with started(dsn) as process:
        port = int(until_said(process, "engine.ready")["address"].rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(b"POST /webhooks/shop HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nhalf")
            process.send_signal(signal.SIGTERM)
            assert end_of(process) == 0


@pytest.mark.long
def test_a_bug_in_a_step_stops_the_engine_with_70(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("insert into skus (sku) values ('MUG')")
        connection.execute("insert into locations (location) values ('BER')")
        # An order line that holds a unit which the balance does not: whatever gives it back has met a bug.
        connection.execute("insert into balances (sku, location, available) values ('MUG', 'BER', 5)")
        connection.execute("insert into channels (channel, kind, location) values ('shop', 'shopify', 'BER')")
        connection.execute("insert into listings (channel, channel_sku, sku) values ('shop', '1', 'MUG')")
        connection.execute(
            "insert into order_lines (sku, channel, order_id, line_id, location, channel_sku, placed_at, is_pending,"
            " pack_units, units_pending, units_committed, units_shipped, units_short, units_off_listing) values"
            " ('MUG', 'shop', '1001', '1', 'BER', '1', now(), false, 1, 0, 1, 0, 0, 1)"
        )
        snapshot = {
            "channel": "shop",
            "order_id": "1001",
            "version": "2026-11-23T12:00:00Z",
            "placed_at": "2026-11-23T12:00:00Z",
            "is_pending": False,
            "lines": [{"line_id": "1", "channel_sku": "1", "units_ordered": 1, "units_cancelled": 1}],
        }
        connection.execute(
            "insert into facts (channel, order_id, snapshot, received_at) values ('shop', '1001', %s, now())",
            (json.dumps(snapshot),),
        )
    with started(dsn) as process:
        assert "MUG" in until_said(process, "engine.bug")["words"]
        assert end_of(process) == 70


def test_an_engine_that_was_killed_gives_its_claims_back_at_the_next_start(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("insert into locations (location) values ('BER')")
        connection.execute("insert into channels (channel, kind, location) values ('shop', 'shopify', 'BER')")
        connection.execute(
            "insert into listings (channel, channel_sku, lease, lease_until) "
            "values ('shop', '1', gen_random_uuid(), now() + interval '1 hour')"
        )
    with started(dsn) as first:
        assert until_said(first, "leases.freed")["count"] == 1
        until_said(first, "engine.ready")
        with psycopg.connect(dsn) as connection:
            connection.execute("update listings set lease = gen_random_uuid()")
        # A second engine beside a living one leaves its claims alone.
        with started(dsn) as second:
            until_said(second, "engine.ready")
        with psycopg.connect(dsn) as connection:
            assert connection.execute("select lease is not null from listings").fetchone() == (True,)


@pytest.mark.long
def test_an_engine_outlives_a_restart_of_its_database(open_directory: Path) -> None:
    server = EmbeddedPostgres(open_directory / "postgres", durable=False)
    server.start()
    # The socket moves with each start; the link to it stays where it is.
    dsn = f"postgresql://oneshelf@/oneshelf?host={open_directory}/postgres/socket&port=5432"
    try:
        with started(dsn) as process:
            address = until_said(process, "engine.ready")["address"]
            server.stop()
            until_said(process, "database.unavailable")
            server.start()
            give_up_at = monotonic() + STOP_S_MAX
            with httpx2.Client(trust_env=False, timeout=ANSWER_S_MAX) as client:
                while not client.get(f"{address}/readyz").is_success:
                    assert monotonic() < give_up_at
                    sleep(0.05)
                assert process.poll() is None
                process.send_signal(signal.SIGTERM)
            assert end_of(process) == 0
    finally:
        server.stop()


def refusal_of(process: subprocess.Popen[str]) -> str:
    """The last line of an engine that ended with 2."""
    _, log = process.communicate(timeout=STOP_S_MAX)
    assert process.returncode == 2, log
    assert "Traceback" not in log
    return log.splitlines()[-1]


@pytest.mark.long
def test_an_engine_ends_with_the_command_whose_database_it_shares(open_directory: Path) -> None:
    pipe = open_directory / "slow.csv"
    os.mkfifo(pipe)
    with (
        subprocess.Popen(
            [*COMMAND, "stock", "import", str(pipe), "--as", "skus"],
            env=environment("") | {"ONESHELF_DATA_DIR": str(open_directory)},
            stdout=subprocess.DEVNULL,
        ) as command,
        pipe.open("w") as slow,
    ):
        slow.write("sku,title\nMUG,mug\n")
        slow.flush()
        give_up_at = monotonic() + ANSWER_S_MAX
        while running_dsn(open_directory / "postgres") is None:
            assert monotonic() < give_up_at
            sleep(0.1)
        with started("", data_dir=open_directory) as engine:
            until_said(engine, "engine.ready")
            assert command.poll() is None
            slow.close()
            assert command.wait(timeout=STOP_S_MAX) == 0
            assert "Start the engine again" in refusal_of(engine)


@pytest.mark.long
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGKILL])
def test_of_two_engines_on_one_embedded_database_the_other_does_not_go_on_without_it(
    told: signal.Signals, open_directory: Path
) -> None:
    with started("", data_dir=open_directory) as first:
        until_said(first, "engine.ready")
        with started("", data_dir=open_directory) as second:
            until_said(second, "engine.ready")
            first.send_signal(told)
            assert "Start the engine again" in refusal_of(second)
        # What systemd does then.
        first.communicate(timeout=STOP_S_MAX)
        with started("", data_dir=open_directory) as again:
            address = until_said(again, "engine.ready")["address"]
            with httpx2.Client(trust_env=False, timeout=ANSWER_S_MAX) as client:
                assert client.get(f"{address}/readyz").is_success
            again.send_signal(signal.SIGTERM)
            assert end_of(again) == 0


@pytest.mark.long
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104  # that is what must be refused
def test_an_engine_open_to_strangers_needs_a_token(dsn: str, host: str) -> None:
    refused = subprocess.run(
        [*COMMAND, "serve", "--host", host, "--port", "0"],
        env=environment(dsn),
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "ONESHELF_API_TOKEN" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.long
def test_a_taken_port_is_one_clear_line(dsn: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = subprocess.run(
            [*COMMAND, "serve", "--port", str(taken.getsockname()[1])],
            env=environment(dsn),
            capture_output=True,
            text=True,
            check=False,
        )
    assert refused.returncode == 2
    assert "--port" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("etsy", "--port", "0"), "no connector for 'etsy'"),
        (("shopify", "--port", "0", "--faults", "{"), "--faults is no JSON"),
        (("shopify", "--port", "0", "--faults", '{"fire": 1}'), "unknown fault 'fire'"),
    ],
)
def test_a_simulator_that_cannot_be_started_says_why(arguments: tuple[str, ...], words: str) -> None:
    refused = CliRunner().invoke(app, ["channel", "simulate", *arguments], catch_exceptions=False)
    assert refused.exit_code == 2
    assert words in refused.stderr


@pytest.mark.long
def test_a_simulator_serves_its_channel_until_it_is_told_to_stop() -> None:
    with subprocess.Popen(
        [*COMMAND, "channel", "simulate", "amazon", "--port", "0", "--seed", "7", "--speed", "60"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split(" on ")[1].split(",")[0]
        with httpx2.Client(trust_env=False, timeout=ANSWER_S_MAX) as client:
            told = client.get(f"{address}/_sim/health").json()
        process.terminate()
        process.communicate(timeout=STOP_S_MAX)
    assert (told["kind"], told["seed"], told["speed"]) == ("amazon", 7, 60)
