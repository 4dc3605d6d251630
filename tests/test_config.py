"""Where a setting comes from, and what is said of a wrong one."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from oneshelf.config import Settings, load_settings
from oneshelf.errors import ConfigurationError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and an environment without settings."""
    for name in list(os.environ):
        if name.startswith("ONESHELF_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "oneshelf.toml"


def test_without_any_setting_the_engine_listens_to_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/var/lib/somebody")
    settings = load_settings()
    assert (settings.host, settings.port, settings.database_url) == ("127.0.0.1", 8080, "")
    assert settings.api_token.get_secret_value() == ""
    assert settings.data_dir == Path("/var/lib/somebody/oneshelf")


def test_the_environment_is_over_the_file_and_the_file_over_the_default(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere.write_text('host = "10.0.0.1"\nport = 9000\nlog_json = true\n')
    assert (load_settings().host, load_settings().port) == ("10.0.0.1", 9000)
    monkeypatch.setenv("ONESHELF_PORT", "9001")
    settings = load_settings()
    assert (settings.host, settings.port, settings.log_json, settings.log_level) == ("10.0.0.1", 9001, True, "INFO")


def test_an_argument_is_over_everything(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere.write_text("port = 9000\n")
    monkeypatch.setenv("ONESHELF_PORT", "9001")
    assert Settings(port=9002).port == 9002


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ONESHELF_PORT", "many"),
        ("ONESHELF_PORT", "-1"),
        ("ONESHELF_PORT", "70000"),
        ("ONESHELF_PORT", ""),
        ("ONESHELF_LOG_LEVEL", "loud"),
        ("ONESHELF_LOG_JSON", "perhaps"),
    ],
)
def test_a_wrong_setting_is_named_with_its_variable(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"wrong settings: {variable}: "):
        load_settings()


def test_all_wrong_settings_are_named_at_once(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere.write_text('log_level = "loud"\nprot = 9000\n')
    monkeypatch.setenv("ONESHELF_PORT", "many")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    for variable in ("ONESHELF_PORT", "ONESHELF_LOG_LEVEL", "ONESHELF_PROT"):
        assert f"{variable}: " in str(caught.value)


@pytest.mark.parametrize("content", [b"port = \n", b"port 9000", b'host = "\xff"\n', b"port = 1\nport = 2\n"])
def test_a_file_that_cannot_be_read_is_named(elsewhere: Path, content: bytes) -> None:
    elsewhere.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"oneshelf\.toml"):
        load_settings()


def test_the_api_token_appears_in_no_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESHELF_API_TOKEN", "hush-9f8e7d6c")
    settings = load_settings()
    assert settings.api_token.get_secret_value() == "hush-9f8e7d6c"
    assert "hush" not in repr(settings) + str(settings)


def test_a_wrong_value_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may have put a secret into the wrong variable."""
    monkeypatch.setenv("ONESHELF_PORT", "hush-9f8e7d6c")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:hush@[bad/x",
        "hush",
        "   ",
        "mysql://u:hush@h/x",
        "postgresql://u:hush@h/x?colour=hush",
        "postgresql://u:hu%sh@h/x",
        "postgresql://u:hu/sh@h/x",
        "postgresql://u:5432/hush@h/x",
        "postgresql://u:p@hush@h/x",
        "postgresql://u:hush@h:99999/x",
        "postgresql://u:hush@h/x?connect_timeout=hush",
        "postgresql://u:hush\udcff@h/x",
    ],
)
def test_an_address_of_a_database_that_cannot_be_read_is_refused_and_not_repeated(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESHELF_DATABASE_URL", text)
    with pytest.raises(ConfigurationError, match="ONESHELF_DATABASE_URL: ") as caught:
        load_settings()
    told = "".join(traceback.format_exception(caught.value))
    assert "hu" not in told
    assert "sh@" not in told


@pytest.mark.parametrize("text", ["postgresql://u:hush@h,g:5433/x?sslmode=require", "host=h dbname=x", "service=shop"])
def test_connecting_to_a_database_is_given_up_after_ten_seconds(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    monkeypatch.setenv("ONESHELF_DATABASE_URL", text)
    parts = conninfo_to_dict(load_settings().database_url)
    assert parts == {**conninfo_to_dict(text), "connect_timeout": "10"}


def test_a_time_limit_that_somebody_chose_for_connecting_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = "postgresql://h/x?connect_timeout=3"
    monkeypatch.setenv("ONESHELF_DATABASE_URL", chosen)
    assert load_settings().database_url == chosen
    monkeypatch.setenv("ONESHELF_DATABASE_URL", "host=h")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "4")
    assert load_settings().database_url == "host=h"


def test_the_password_of_the_database_appears_in_no_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESHELF_DATABASE_URL", "postgresql://u:hush@h/x")
    settings = load_settings()
    assert "hush" not in repr(settings) + str(settings)


@pytest.mark.parametrize("name", ["", " ", "/tmp/\udcff"])
def test_a_data_directory_without_a_name_or_with_one_that_is_no_text_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESHELF_DATA_DIR", name)
    with pytest.raises(ConfigurationError, match="ONESHELF_DATA_DIR: "):
        load_settings()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://shelf.example", "https://shelf.example"),
        ("https://shelf.example:8443/stock/ ", "https://shelf.example:8443/stock"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
    ],
)
def test_channels_reach_the_engine_encrypted_or_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, text: str, address: str
) -> None:
    assert load_settings().public_url == ""
    monkeypatch.setenv("ONESHELF_PUBLIC_URL", text)
    assert load_settings().public_url == address


@pytest.mark.parametrize(
    "text",
    [
        "shelf.example",
        "http://shelf.example",
        "ftp://localhost",
        "https://",
        "https://shelf.example/?a=b",
        "https://me:hidden@shelf.example",
        "https://[::1",
        "https://shelf.example:port",
    ],
)
def test_an_address_to_which_nobody_may_send_orders_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ONESHELF_PUBLIC_URL", text)
    with pytest.raises(ConfigurationError, match="ONESHELF_PUBLIC_URL: must be https") as refused:
        load_settings()
    assert "hidden" not in str(refused.value)
