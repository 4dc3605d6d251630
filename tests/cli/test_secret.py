"""The keys of secrets by command, and that no output of ours has a secret in it."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import psycopg
import pytest
from psycopg import sql
from typer.testing import Result

from cli.test_serve import environment
from oneshelf.config import load_settings
from oneshelf.storage.keyring import new_key

pytestmark = pytest.mark.pg

CANARY, OTHER = "shpat_canary-77aa", "hush_canary-88bb"
SHOP = (
    *("channel", "add", "shopify", "shop", "--location", "BER", "--set", "base_url=http://127.0.0.1:9"),
    *("--set", "location_id=75596366001", "--secret", f"access_token={CANARY}", "--secret", f"webhook_secret={OTHER}"),
)
EVERYTHING = sql.SQL("select t::text from {} t")
COMMANDS = (
    ("channel", "list"),
    ("channel", "list", "--json"),
    ("secrets", "list"),
    ("secrets", "list", "--json"),
    ("secrets", "seal", "--json"),
    ("secrets", "rotate"),
    ("secrets", "rotate", "--json"),
    ("status",),
    ("errors", "list", "--json"),
    ("token", "list", "--json"),
)


@pytest.fixture
def shop(run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("ONESHELF_DATA_DIR", str(tmp_path / "data"))
    run("stock", "add-location", "BER")
    run(*SHOP)
    return run


def test_the_key_is_made_beside_the_data_and_changed(shop: Callable[..., Result], tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "data" / "secrets.key").stat().st_mode) == 0o600
    listed = json.loads(shop("secrets", "list", "--json").output)
    assert [(row["channel"], row["secret"], row["state"]) for row in listed] == [
        ("shop", "access_token", "sealed"),
        ("shop", "webhook_secret", "sealed"),
    ]
    rotated = json.loads(shop("secrets", "rotate", "--json").output)
    assert rotated == {"key": rotated["key"], "is_new": True, "rows_sealed": 1, "secrets": 2}
    assert rotated["key"] != listed[0]["key"]
    assert json.loads(shop("secrets", "seal", "--json").output)["rows_sealed"] == 0


@pytest.mark.long
def test_a_key_that_is_gone_is_one_clear_line_for_every_command_that_needs_it(
    shop: Callable[..., Result], tmp_path: Path, dsn: str
) -> None:
    key_file = tmp_path / "data" / "secrets.key"
    key = key_file.read_bytes()
    key_file.unlink()
    for command in (SHOP, ("secrets", "rotate"), ("secrets", "seal")):
        refused = shop(*command, exits=2)
        assert "Nothing is lost" in refused.output
    served = subprocess.run(
        [sys.executable, "-m", "oneshelf.cli", "serve", "--port", "0"],
        env={**environment(dsn), "ONESHELF_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert served.returncode == 2
    assert "Nothing is lost" in served.stderr
    assert CANARY not in served.stderr
    assert not key_file.exists()
    key_file.write_bytes(key)
    assert json.loads(shop("secrets", "seal", "--json").output)["secrets"] == 2


@pytest.mark.long
def test_no_output_has_a_secret_in_it(shop: Callable[..., Result], tmp_path: Path, dsn: str) -> None:
    said = [shop(*command).output for command in COMMANDS]
    for command in (("doctor",), ("doctor", "--json"), ("channel", "check", "shop")):
        said.append(shop(*command, exits=1).output)
    said.append(shop("channel", "add", "shopify", "shop", "--location", "BER", "--secret", CANARY, exits=2).output)
    keys = (tmp_path / "data" / "secrets.key").read_text().splitlines()[1:]
    made = {**environment(dsn), "ONESHELF_DATA_DIR": str(tmp_path / "data"), "ONESHELF_LOG_LEVEL": "DEBUG"}
    serve = [sys.executable, "-m", "oneshelf.cli", "serve", "--port", "0"]
    log = tmp_path / "engine.log"
    with log.open("w") as file, subprocess.Popen(serve, env=made, stderr=file, stdout=file) as engine:
        try:
            with log.open() as lines:
                address = _address(engine, lines.readline)
            with httpx2.Client(trust_env=False, timeout=60) as client:
                for path in ("/", "/v1/channels", "/metrics", "/openapi.json", "/v1/errors", "/webhooks/shop"):
                    said.append(client.get(f"{address}{path}").text)
        finally:
            engine.send_signal(signal.SIGTERM)
            engine.wait(90)
    said.append(log.read_text())
    with psycopg.connect(dsn) as connection:
        for (table,) in connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall():
            said += [str(row) for row in connection.execute(EVERYTHING.format(sql.Identifier(table))).fetchall()]
    assert "engine.ready" in log.read_text()
    assert any('"shop"' in text for text in said)
    for secret in (CANARY, OTHER, *keys):
        assert [text[:200] for text in said if secret in text] == []


def _address(engine: subprocess.Popen[bytes], next_line: Callable[[], str]) -> str:
    while engine.poll() is None:
        line = next_line()
        if '"engine.ready"' in line:
            address: str = json.loads(line)["address"]
            return address
    pytest.fail(f"the engine ended with {engine.returncode}")


def test_the_settings_do_not_show_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key()
    monkeypatch.setenv("ONESHELF_SECRETS_KEY", key)
    settings = load_settings()
    assert key not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.secrets_key.get_secret_value() == key
