"""Which tests run: `make test` leaves the long ones out and says so, `make test-long` runs those, `make test-all` all.

`@pytest.mark.long` stands over what takes about a second of a core or more. `@pytest.mark.long(but_one_in=5)`
stands over many cases of one rule: the first, the sixth and so on are not long.

A plug-in of conftest.py. What is left out is counted in the workers and told by the process that prints.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from typing import Any

import pytest

from oneshelf.errors import ConfigurationError
from oneshelf.storage.binaries import find_binaries

REQUIRED_TIERS = set(filter(None, os.environ.get("ONESHELF_REQUIRE_TIERS", "").split(",")))
_LEFT_OUT = pytest.StashKey[int]()
_KEY = "long_tests_left_out"


def skip_tier(tier: str, reason: str) -> None:
    """Skip with a printed reason; fail where this machine is expected to have the tier."""
    if tier in REQUIRED_TIERS:
        pytest.fail(f"the {tier} tests must run here, and cannot: {reason}")
    pytest.skip(f"{tier} tests left out: {reason}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("pg") is not None:
        try:
            find_binaries()
        except ConfigurationError as lack:
            skip_tier("pg", str(lack))
    if item.get_closest_marker("browser") is not None and shutil.which("chromium") is None:
        skip_tier("browser", "no chromium on PATH")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--leave-out", choices=["long", "short"], help="these tests are not run")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of what was asked for, one tier goes; of the rest, what may take minutes begins first, so that no worker is left
    alone with it at the end. Each worker begins with a part of the list, so each part has its share of that."""
    tier = config.getoption("leave_out")
    if tier is not None:
        long = _long_ones(items)
        left_out = [item for item in items if (item in long) == (tier == "long")]
        config.stash[_LEFT_OUT] = len(left_out) if tier == "long" else 0
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if (item in long) != (tier == "long")]
    items.sort(key=_timeout_s, reverse=True)
    parts = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = [item for part in range(parts) for item in items[part::parts]]


def _long_ones(items: list[pytest.Item]) -> set[pytest.Item]:
    found = set()
    numbers = Counter[str]()
    for item in items:
        mark = item.get_closest_marker("long")
        if mark is not None:
            function = item.nodeid.partition("[")[0]
            one_in = mark.kwargs.get("but_one_in")
            if one_in is None or numbers[function] % one_in:
                found.add(item)
            numbers[function] += 1
    return found


def _timeout_s(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark else 0.0


def pytest_sessionfinish(session: pytest.Session) -> None:
    told: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if told is not None:
        told[_KEY] = session.config.stash.get(_LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended: all of them have collected the same tests."""
    node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get(_KEY, 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    number = config.stash.get(_LEFT_OUT, 0)
    if number:
        terminalreporter.write_line(
            f"LEFT OUT: {number} long tests. `make test-long` runs them, `make test-all` runs everything.", yellow=True
        )
