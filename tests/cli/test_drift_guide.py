"""The guide to drifts runs as it is written, and canaries are found by an engine that is a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from ports import free_ports

pytestmark = [pytest.mark.pg, pytest.mark.timeout(1300)]

# It takes half a minute; each of its commands is a process, which a busy machine makes slow.
TIME_S_MAX = 1200
PORTS = ("9801", "9802", "9803", "9806", "8080")
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "resolve-drift.md"


def script(guide: Path) -> str:
    """All that stands behind a `$` in the guide, with ports that are free. Only what it started itself is ended."""
    blocks = re.findall(r"```console\n(.*?)```", guide.read_text(), re.S)
    commands = "\n".join(re.sub(r"^\$ ", "", block, flags=re.M) for block in blocks)
    # On a busy machine the shop may take long to open.
    commands = commands.replace("--retry 30", "--retry 300")
    free = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    # In one go: a port that was drawn may hold the digits of one that is still to be replaced.
    commands = re.sub(rf"\b(?:{'|'.join(PORTS)})\b", lambda port: free[port[0]], commands)
    return f"set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n{commands}"


def run_guide(guide: Path, dsn: str, tmp_path: Path, *, packages: Path | None = None) -> str:
    """What the commands of a guide say. Fails where one of them does. `packages`: where more of them are installed."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("ONESHELF_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{mine['PATH']}"
    with subprocess.Popen(
        ["bash", "-c", script(guide)],
        env={**mine, "PATH": path, "ONESHELF_DATABASE_URL": dsn, **({"PYTHONPATH": str(packages)} if packages else {})},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            said, _ = shell.communicate(timeout=TIME_S_MAX)
        finally:
            # The simulator and the engine are of its session too.
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    print(said)  # shown when it fails
    assert shell.returncode == 0
    return said


@pytest.mark.long
def test_the_guide_runs_as_it_is_written(dsn: str, tmp_path: Path) -> None:
    said = run_guide(GUIDE, dsn, tmp_path)
    assert re.search(r"found after \d+\.\d s", said)
    assert re.search(r"every other listing proved after \d+\.\d s", said)
    assert "the ledger took -2 MUG-BLUE at BER from my-shop" in said
    with psycopg.connect(dsn) as connection:
        canaries = connection.execute("select act, corrected_at is not null from canaries order by injected_at")
        assert canaries.fetchall() == [("edit", False), ("move", True)]
        moved = connection.execute(
            "select units, from_account, to_account from movements where reason = 'moved' order by 1, 2"
        )
        there, back = ("available", "damaged"), ("damaged", "available")
        assert moved.fetchall() == [(1, *there), (1, *back), (2, *there), (2, *back)]
        assert connection.execute("select available from balances").fetchall() == [(3,)]
