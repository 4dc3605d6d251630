"""What a log line says, and what it never says."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from oneshelf.sdk.kinds import load_kinds
from oneshelf.telemetry import configure_logging, get_logger, is_inside_transaction, transaction_open

SECRET = "hush-9f8e7d6c"


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


SECRET_KEYS = sorted(
    {
        *("secret", "token", "password", "authorization", "Authorization", "body", "api_token", "X-Access-Token"),
        *(
            setting.name
            for kind in load_kinds().values()
            for setting in kind.settings
            if setting.is_secret and setting.name != "client_id"
        ),
    }
)


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("key", SECRET_KEYS)
def test_the_value_of_a_secret_key_is_redacted(capsys: pytest.CaptureFixture[str], key: str, as_json: bool) -> None:
    configure_logging(as_json=as_json)
    get_logger("test").info("channel.opened", **{key: SECRET}, channel="shop")
    text = capsys.readouterr().err
    assert SECRET not in text
    assert "[redacted]" in text
    assert "channel.opened" in text
    assert "shop" in text


def test_everything_else_is_said_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(as_json=True)
    get_logger("test").warning("listing.pushed", listing="L1", units=7, token_url="https://a.test/token")
    (line,) = logged(capsys)
    at = line.pop("timestamp")
    assert at.endswith("Z")
    assert line == {
        "event": "listing.pushed",
        "level": "warning",
        "listing": "L1",
        "units": 7,
        "token_url": "https://a.test/token",
    }


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(as_json=True, level="warning")
    log = get_logger("test")
    log.info("poll.done")
    log.error("step.failed")
    assert [line["event"] for line in logged(capsys)] == ["step.failed"]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_failure_is_told_with_its_cause_and_without_what_the_code_had_in_hand(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    configure_logging(as_json=as_json)
    try:
        _fail_with_a_secret_in_hand({"Authorization": SECRET})
    except RuntimeError:
        get_logger("test").exception("step.failed", step="push")
    text = capsys.readouterr().err
    assert "RuntimeError: out of luck" in text
    assert "_fail_with_a_secret_in_hand" in text
    assert SECRET not in text


def _fail_with_a_secret_in_hand(headers: dict[str, str]) -> None:
    raise RuntimeError(f"out of luck with {len(headers)} header" if len(headers) > 1 else "out of luck")


def test_the_mark_of_an_open_transaction_is_set_and_taken_back() -> None:
    assert not is_inside_transaction()
    with transaction_open():
        with transaction_open():
            assert is_inside_transaction()
        assert is_inside_transaction()
    assert not is_inside_transaction()
    with pytest.raises(KeyError), transaction_open():
        raise KeyError
    assert not is_inside_transaction()


def test_the_connection_pool_says_nothing_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Its lines name the address of the database, with the password where that cannot be read."""
    configure_logging()
    logging.getLogger("psycopg.pool").warning("error connecting in 'pool-1': %s", SECRET)
    assert capsys.readouterr().err == ""
    assert not logging.getLogger("psycopg.pool").isEnabledFor(logging.ERROR)
