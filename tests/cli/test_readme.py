"""The README's commands run one after the other as they are printed, where its shop is a simulated one."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from cli.test_drift_guide import TIME_S_MAX, run_guide

README = Path(__file__).parents[2] / "README.md"
SHOP = """
$ export SHOPIFY_TOKEN=shpat_simulated SHOPIFY_SECRET=hush ONESHELF_PORT=8080
$ oneshelf channel simulate shopify --port 9801 &
$ curl -s --retry 30 --retry-delay 1 --retry-connrefused http://127.0.0.1:9801/_sim/catalogue \\
      -d '{"items":[{"sku":"MUG-BLUE","title":"Blue mug","units":3},{"sku":"DUO-LISTING","title":"Two","units":1}]}'
"""
WAIT = "$ until curl -s http://127.0.0.1:8080/v1/channels/my-shop/plan | grep -q '\"raise\":1'; do sleep 1; done\n"
# What is another machine's, or takes a person's time.
STANDS_FOR = {
    '$ make demo ARGS="--seconds 1"': "$ true",
    "$ . .venv/bin/activate": "$ true",
    "https://my-shop.myshopify.com": "http://127.0.0.1:9801",
    # The database of the tests is not durable, and says so.
    "$ oneshelf doctor": "$ oneshelf doctor || true",
    "$ oneshelf listing list": f"{WAIT}$ oneshelf listing list",
    "$ oneshelf stock count MUG-BLUE BER 12 --figure": "$ sleep 2; oneshelf stock count MUG-BLUE BER 12 --figure",
}


@pytest.mark.long
@pytest.mark.pg
@pytest.mark.timeout(TIME_S_MAX + 60)
def test_the_commands_run_one_after_the_other_as_they_are_printed(dsn: str, tmp_path: Path) -> None:
    _, mark, text = README.read_text(encoding="utf-8").partition("## Connect real channels\n")
    assert mark
    blocks = re.findall(r"```console\n(.*?)```", text, re.S)
    commands = "".join(blocks)
    for printed, instead in STANDS_FOR.items():
        assert printed in commands, printed
        commands = commands.replace(printed, instead)
    guide = tmp_path / "guide.md"
    guide.write_text(f"```console{SHOP}{commands}```\n")
    said = run_guide(guide, dsn, tmp_path)
    assert "reservation_id" in said
    with psycopg.connect(dsn) as connection:
        linked = connection.execute("select merchant_sku, sku from listings order by 1").fetchall()
        assert linked == [("DUO-LISTING", "DUO"), ("MUG-BLUE", "MUG-BLUE")]
        assert connection.execute("select count(*) from allocation_plans").fetchone() == (1,)
