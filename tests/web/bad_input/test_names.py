"""Names as people and their tools write them: two spellings of one, blanks around, and what looks like an attack."""

from __future__ import annotations

import json
import unicodedata
from html import escape
from typing import Any
from urllib.parse import quote

import pytest

from web.bad_input.examples import BERLIN, COLOGNE, EXAMPLES, PART, SKU, Body, Example
from web.bad_input.rows import of_rows
from web.bad_input.shelf import Shelf, complaints

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long(but_one_in=5)]

# One names SKUs, the other answers row by row that there is none (tests/flow/test_statements.py).
ONE_BY_ONE = ("/v1/skus", "/v1/statements")

NAMES = {SKU, COLOGNE, BERLIN, PART}
HOSTILE = (
    "=cmd()", "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "../../etc/passwd", "..\\..\\boot.ini", "/v1/skus",
    "'; drop table skus; --", "\" or 1=1", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "${7919*7907}",
    "{{7919*7907}}", "%00", "%s%n", "null", "undefined", "NaN", "true", "0x7", "__proto__", "$(reboot)", "`reboot`",
    "--help",
    "a;b,c\"d'e", "\u00a1\u20ac\U0001f375", "e\u0301\u0323" * 10,
)  # fmt: skip


def _written_otherwise(value: Any, rewrite: Any) -> Any:
    if isinstance(value, dict):
        return {name: _written_otherwise(member, rewrite) for name, member in value.items()}
    if isinstance(value, list):
        return [_written_otherwise(item, rewrite) for item in value]
    return rewrite(value) if value in NAMES else value


async def _is_taken(shelf: Shelf, example: Example, rewrite: Any) -> None:
    filled = await shelf.filled(example)
    body = _written_otherwise(filled.body, rewrite)
    if example.path in {"/v1/skus", "/v1/locations"} or NAMES & set(
        json.dumps(filled.body, ensure_ascii=False).split('"')
    ):
        assert body != filled.body
    names = [(await shelf.client.get(path)).json() for path in ("/v1/skus?limit=1000", "/v1/locations")]
    answer = await shelf.send(filled, json.dumps(body))
    assert answer.status_code == 200, answer.text
    again = [(await shelf.client.get(path)).json() for path in ("/v1/skus?limit=1000", "/v1/locations")]
    assert [len(one.get("skus", one.get("locations"))) for one in names] == [
        len(one.get("skus", one.get("locations"))) for one in again
    ]


@of_rows(25)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("example", EXAMPLES, ids=str)
async def test_both_spellings_of_an_accent_reach_one_name(shelf: Shelf, example: Example, form: Any, row: str) -> None:
    await _is_taken(shelf, example, lambda name: f" {unicodedata.normalize(form, name)}")
    stored = shelf.connection.execute("select sku from skus union all select location from locations").fetchall()
    assert [name for (name,) in stored if unicodedata.normalize("NFC", name) != name] == []


@of_rows(26)
@pytest.mark.parametrize("around", ["{}  ", "\u00a0{}\u3000", "\t{}\r\n", "\u2009{}\u202f"], ids=ascii)
@pytest.mark.parametrize("example", EXAMPLES, ids=str)
async def test_blanks_around_a_name_do_not_count(shelf: Shelf, example: Example, around: str, row: str) -> None:
    await _is_taken(shelf, example, around.format)


@of_rows(26)
@pytest.mark.parametrize(
    "example", [one for one in EXAMPLES if SKU in str(one.body) and one.path not in ONE_BY_ONE], ids=str
)
async def test_case_counts(shelf: Shelf, example: Example, row: str) -> None:
    filled = await shelf.filled(example)
    before = shelf.fingerprint(without=["commands"])
    body = json.dumps(filled.body, ensure_ascii=False).replace(SKU, SKU.lower())
    answer = await shelf.send(filled, body)
    assert complaints(answer, 404) == []
    assert shelf.fingerprint(without=["commands"]) == before


@of_rows(27)
@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
async def test_a_name_that_looks_like_an_attack_is_text_everywhere(shelf: Shelf, name: str, row: str) -> None:
    kept = unicodedata.normalize("NFC", name)
    await shelf.done("/v1/skus", {"skus": [{"sku": name, "title": name}]})
    await shelf.done("/v1/locations", {"locations": [{"location": name, "title": name}]})
    lot: Body = {"sku": name, "location": name}
    keys = [f"{kind}-{HOSTILE.index(name)}" for kind in ("in", "out", "hold")]
    await shelf.done("/v1/commands", {"commands": [{"type": "receive", "key": keys[0], **lot, "units": 5}]})
    off = {"type": "adjust", "key": keys[1], **lot, "delta_units": -1, "reason": name}
    await shelf.done("/v1/commands", {"commands": [off]})
    await shelf.done("/v1/reservations", {"key": keys[2], "ttl_s": 60, "holder": name, "lines": [{**lot, "units": 1}]})
    told = (await shelf.client.get(f"/v1/skus/{quote(name, safe='')}")).json()
    assert (told["sku"], told["title"], told["available"]) == (kept, kept, 3)
    assert [one["location"] for one in told["balances"]] == [kept]
    for path in (f"/skus/{quote(name, safe='')}", f"/skus?q={quote(name, safe='')}"):
        page = await shelf.client.get(path)
        assert page.status_code == 200
        assert not {"<script>alert(1)", "<img", "62615533"} & set(page.text.split())
        assert "<script>alert" not in page.text
        assert "<img" not in page.text
        assert escape(kept, quote=False).split("'")[0].split('"')[0] in page.text
    metrics = await shelf.client.get("/metrics")
    assert "alert(1)" not in metrics.text


@of_rows(13)
async def test_lines_that_add_up_to_too_much_move_nothing(shelf: Shelf, row: str) -> None:
    most = 1_000_000_000
    room = {"key": "sum", "kind": "hold", "ttl_s": 60}
    lines = [{"sku": PART, "location": BERLIN, "units": most}] * 200
    before = shelf.fingerprint(without=["commands"])
    short = await shelf.client.post("/v1/reservations", json={**room, "lines": lines})
    assert complaints(short, 409) == []
    assert short.json()["figures"]["asked"] == 200 * most
    too_many = await shelf.client.post(
        "/v1/commands",
        json={"commands": [{"type": "receive", "key": "most", "sku": PART, "location": BERLIN, "units": most}]},
    )
    assert complaints(too_many, 422) == []
    parts = [{"sku": SKU, "units": most}, {"sku": PART, "units": most}]
    kits = {"type": "assemble", "key": "kits", "sku": "SET", "location": BERLIN, "units": most, "components": parts}
    assert (await shelf.client.post("/v1/commands", json={"commands": [kits]})).status_code in {409, 422}
    assert shelf.fingerprint(without=["commands"]) == before
