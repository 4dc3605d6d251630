"""The guides on ERPs and sources of truth run as they are written: each command answers what stands below it."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from oneshelf.cli import app

pytestmark = [pytest.mark.pg, pytest.mark.timeout(600)]

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
ERP = """
insert into locations (location) values ('BER');
insert into skus (sku) values ('MUG-BLUE');
"""
TRUTH = """
insert into locations (location) values ('BER');
insert into skus (sku) values ('MUG-BLUE'), ('CAP');
insert into sources (source, added_by) values ('erp', 'test'), ('wms', 'test');
insert into channels (channel, kind, location, mode) values
    ('my-shop', 'shopify', 'BER', 'live'), ('my-amz', 'amazon', 'BER', 'live');
"""


def examples(page: str) -> list[tuple[str, str]]:
    """The commands of the page, each with what it says below it."""
    return [
        (command, said)
        for block in re.findall(r"```console\n(.*?)```", (HOW_TO / page).read_text(), re.S)
        for command, _, said in (one.partition("\n") for one in re.split(r"^\$ ", block, flags=re.M)[1:])
    ]


def pattern(said: str) -> str:
    """Blanks are any blanks; … stands for whatever stands there."""
    parts = (r"\s+".join(map(re.escape, part.split())) for part in said.split("…"))
    return r"\s*" + r".*".join(rf"\s*{part}\s*" for part in parts) + r"\s*"


@pytest.mark.long
@pytest.mark.parametrize(
    ("page", "shop", "least"), [("connect-an-erp.md", ERP, 12), ("choose-a-source-of-truth.md", TRUTH, 9)]
)
def test_every_command_of_the_page_answers_what_it_says(
    dsn: str, tmp_path: Path, page: str, shop: str, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESHELF_DATABASE_URL", dsn)
    monkeypatch.chdir(tmp_path)
    with psycopg.connect(dsn) as connection:
        connection.execute(shop)
    found = examples(page)
    assert len(found) >= least
    for command, said in found:
        program, *arguments = shlex.split(command)
        if program != "oneshelf":  # It makes a file.
            subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
            continue
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, f"{command}: {done.output}"
        answer = done.output.replace("_", " ")
        assert re.fullmatch(pattern(said.replace("_", " ")), answer, re.S), f"{command} says\n{done.output}"
