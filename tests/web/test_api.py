"""What programs may ask, and what they are told: answers per command, refusals with figures, nothing guessed."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
from structlog.testing import capture_logs

from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.probing import Ability, Check, Verdict
from oneshelf.flow import plan
from oneshelf.flow.audit import audit_new
from oneshelf.storage import probes
from web.bad_input.routes import NOTHING_TO_SAY
from web.paper import BERLIN, Shop, open_shop

MUG = ChannelSku("MUG")
PROBLEM = "application/problem+json"


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG", "PLATE")
        yield shop


def available(dsn: str, sku: str = "MUG") -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select coalesce(sum(available), 0) from balances where sku = %s", (sku,)).fetchone()
    assert row is not None
    return int(row[0])


async def send(shop: Shop, body: bytes, content_type: str = "application/json") -> httpx2.Response:
    return await shop.client.post("/v1/commands", content=body, headers={"content-type": content_type})


def receipt(**members: Any) -> dict[str, Any]:
    return {"type": "receive", "key": "k", "sku": "MUG", "location": BERLIN, "units": 5, **members}


# Commands ---------------------------------------------------------------------------------------------------------


async def test_a_receipt_is_posted_once_however_often_it_is_sent(shop: Shop, dsn: str) -> None:
    first = await shop.command("k1", type="receive", sku="MUG", units=5)
    again = await shop.command("k1", type="receive", sku="MUG", units=5)
    assert first.json() == {
        "answers": [
            {
                "outcome": "posted",
                "detail": "posted: 5 units moved, 5 available",
                "figures": {"units_moved": 5, "available": 5},
                "replayed": False,
            }
        ]
    }
    assert again.status_code == 200
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["answers"][0] == {**first.json()["answers"][0], "replayed": True}
    assert available(dsn) == 5


async def test_a_key_that_was_used_for_something_else_is_refused(shop: Shop, dsn: str) -> None:
    await shop.command("k1", type="receive", sku="MUG", units=5)
    answer = await shop.command("k1", type="receive", sku="MUG", units=6)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:oneshelf:problem:key-reused"
    assert available(dsn) == 5


async def test_the_same_key_at_the_same_time_moves_units_once(shop: Shop, dsn: str) -> None:
    answers = await asyncio.gather(*(shop.command("k1", type="receive", sku="MUG", units=5) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert sorted(answer.json()["answers"][0]["replayed"] for answer in answers) == [False, True, True, True, True]
    assert available(dsn) == 5


async def test_a_single_refusal_is_a_problem_that_names_its_figures(shop: Shop, dsn: str) -> None:
    await shop.command("k1", type="receive", sku="MUG", units=5)
    answer = await shop.command("k2", type="adjust", sku="MUG", delta_units=-6, reason="broken")
    assert (answer.status_code, answer.headers["content-type"]) == (409, PROBLEM)
    assert answer.json()["outcome"] == "short"
    assert answer.json()["figures"] == {"sku": "MUG", "location": "BERLIN", "asked": 6, "available": 5}
    assert "asked 6, available 5" in answer.json()["detail"]
    assert available(dsn) == 5


@pytest.mark.parametrize(
    ("members", "outcome"),
    [({"sku": "NOBODY"}, "unknown_sku"), ({"location": "NOWHERE"}, "unknown_location")],
)
async def test_a_name_that_nobody_gave_us_is_not_found(shop: Shop, members: dict[str, str], outcome: str) -> None:
    answer = await shop.client.post("/v1/commands", json={"commands": [receipt(**members)]})
    assert (answer.status_code, answer.json()["outcome"]) == (404, outcome)


async def test_of_several_commands_each_has_its_own_answer_in_the_same_order(shop: Shop) -> None:
    answer = await shop.client.post(
        "/v1/commands",
        json={
            "commands": [
                receipt(key="a", units=3),
                {"type": "adjust", "key": "b", "sku": "MUG", "location": BERLIN, "delta_units": -9},
                receipt(key="c", sku="NOBODY"),
                {"type": "count", "key": "d", "sku": "MUG", "location": BERLIN, "units": 7, "figure": "on_hand"},
                receipt(key="a", units=3),
            ]
        },
    )
    assert answer.status_code == 200
    answers = answer.json()["answers"]
    assert [one["outcome"] for one in answers] == ["posted", "short", "unknown_sku", "posted", "posted"]
    assert [one["replayed"] for one in answers] == [False, False, False, False, True]
    assert answers[3]["figures"] == {"units_moved": 4, "available": 7}


async def test_a_count_below_what_is_promised_is_taken_and_says_how_many_units_are_short(shop: Shop) -> None:
    await shop.connect("paper")
    shop.connectors["paper"].books[MUG] = 0
    await shop.command("k1", type="receive", sku="MUG", units=5)
    await shop.settle()
    await shop.order("paper", "1", MUG=3)
    await shop.settle()
    answer = await shop.command("k2", type="count", sku="MUG", units=2)
    assert answer.status_code == 200
    [only] = answer.json()["answers"]
    assert only["outcome"] == "counted_short"
    assert only["figures"] == {"units_moved": 3, "available": 0, "units_short": 1}


async def test_an_adjustment_by_nothing_is_refused(shop: Shop) -> None:
    answer = await shop.command("k1", type="adjust", sku="MUG", delta_units=0)
    assert answer.status_code == 422
    assert "changes nothing" in answer.json()["detail"]


async def test_one_command_may_carry_its_key_in_the_header(shop: Shop, dsn: str) -> None:
    body = {"commands": [{name: value for name, value in receipt().items() if name != "key"}]}
    for _ in range(2):
        answer = await shop.client.post("/v1/commands", json=body, headers={"Idempotency-Key": "h1"})
        assert answer.status_code == 200
    assert available(dsn) == 5


@pytest.mark.parametrize(
    ("commands", "header"),
    [
        pytest.param([receipt(key=None)], None, id="none"),
        pytest.param([receipt(key="")], None, id="empty"),
        pytest.param([receipt(key=7)], None, id="a number"),
        pytest.param([receipt(key="a b")], None, id="a blank"),
        pytest.param([receipt(key="é")], None, id="beyond ASCII"),
        pytest.param([receipt(key="a\nb")], None, id="a line break"),
        pytest.param([receipt(key="x" * 256)], None, id="256 characters"),
        pytest.param([receipt(key=None)], "ключ".encode(), id="header beyond ASCII"),
        pytest.param([receipt(key="a")], b"b", id="two that differ"),
        pytest.param([receipt(key=None), receipt(key=None)], b"b", id="one for two commands"),
    ],
)
async def test_without_a_proper_key_nothing_is_done(
    shop: Shop, dsn: str, commands: list[object], header: bytes | None
) -> None:
    headers = {} if header is None else {b"Idempotency-Key": header}
    answer = await shop.client.post("/v1/commands", json={"commands": commands}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)
    assert available(dsn) == 0


_RECEIPT = json.dumps({"commands": [receipt()]})


def with_units(text: str) -> bytes:
    return _RECEIPT.replace('"units": 5', f'"units": {text}').encode()


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 400, id="empty"),
        pytest.param(b"{", 400, id="cut"),
        pytest.param(_RECEIPT.encode() + b"{}", 400, id="something behind it"),
        pytest.param(with_units("NaN"), 400, id="NaN"),
        pytest.param(with_units("-Infinity"), 400, id="Infinity"),
        pytest.param(with_units("1e400"), 400, id="1e400"),
        pytest.param(with_units("9" * 4301), 400, id="4301 digits"),
        pytest.param(with_units('5, "units": 6'), 400, id="a name twice"),
        pytest.param(_RECEIPT.replace("MUG", "\\ud800").encode(), 400, id="half a surrogate pair"),
        pytest.param(b"\xef\xbb\xbf" + _RECEIPT.encode(), 400, id="byte order mark"),
        pytest.param(_RECEIPT.encode("utf-16"), 400, id="UTF-16"),
        pytest.param(_RECEIPT.encode().replace(b"MUG", b"\xff"), 400, id="not UTF-8"),
        pytest.param(nested(33), 400, id="depth 33"),
        pytest.param(nested(100_000), 400, id="depth 100000"),
        pytest.param(with_units("-1"), 422, id="-1"),
        pytest.param(with_units("0"), 422, id="0 received"),
        pytest.param(with_units("1.5"), 422, id="1.5"),
        pytest.param(with_units("1.0"), 422, id="1.0"),
        pytest.param(with_units("1e2"), 422, id="1e2"),
        pytest.param(with_units('"5"'), 422, id="text"),
        pytest.param(with_units("true"), 422, id="true"),
        pytest.param(with_units("null"), 422, id="null"),
        pytest.param(with_units("[5]"), 422, id="list"),
        pytest.param(with_units("1000000000000"), 422, id="10^12"),
        pytest.param(with_units("9223372036854775808"), 422, id="2^63"),
        pytest.param(with_units('5, "colour": "red"'), 422, id="an unknown member"),
        pytest.param(_RECEIPT.replace("receive", "steal").encode(), 422, id="an unknown type"),
        pytest.param(_RECEIPT.replace('"receive"', "[]").encode(), 422, id="a type that is a list"),
        pytest.param(_RECEIPT.replace("MUG", "M\\u0000G").encode(), 422, id="NUL in the SKU"),
        pytest.param(_RECEIPT.replace("MUG", "M\\u202eG").encode(), 422, id="text direction in the SKU"),
        pytest.param(_RECEIPT.replace("MUG", "M" * 121).encode(), 422, id="a SKU of 121 characters"),
        pytest.param(_RECEIPT.replace("MUG", "M" * 5000).encode(), 422, id="a text of 5000 characters"),
        pytest.param(b"[]", 422, id="a list"),
        pytest.param(b"7", 422, id="a number"),
        pytest.param(nested(32), 422, id="depth 32"),
        pytest.param(b'{"commands": []}', 422, id="no command"),
        pytest.param(b'{"commands": {}}', 422, id="commands are no list"),
        pytest.param(b'{"commands": [7]}', 422, id="a command that is a number"),
        pytest.param(b'{"commands": [%s]}' % b",".join([b"{}"] * 1001), 422, id="1001 commands"),
        pytest.param(b'{"commands": [%s]}' % b",".join([b"{}"] * 20_000), 422, id="20000 commands"),
        pytest.param(b" " * (5 * 1024 * 1024 + 1), 413, id="over 5 MiB"),
    ],
)
async def test_what_cannot_be_read_or_accepted_is_refused_and_never_guessed_at(
    shop: Shop, dsn: str, body: bytes, status: int
) -> None:
    answer = await send(shop, body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    assert answer.json()["status"] == status
    assert len(answer.json()["detail"]) > 10
    assert available(dsn) == 0


@pytest.mark.parametrize(
    "content_type", ["text/plain", "multipart/form-data", "", "application/json; charset=latin-1", "application/xml"]
)
async def test_another_content_type_is_refused(shop: Shop, content_type: str) -> None:
    assert (await send(shop, _RECEIPT.encode(), content_type)).status_code == 415


async def test_a_compressed_body_is_refused(shop: Shop) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert (await shop.client.post("/v1/commands", content=b"\x1f\x8b", headers=headers)).status_code == 415


async def test_units_that_would_add_up_past_the_limit_are_refused(shop: Shop, dsn: str) -> None:
    limit = 1_000_000_000
    assert (await shop.command("a", type="receive", sku="MUG", units=limit)).status_code == 200
    answer = await shop.command("b", type="receive", sku="MUG", units=1)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert answer.json()["figures"] == {"sku": "MUG", "location": BERLIN, "asked": 1, "there": limit}
    assert available(dsn) == limit


async def test_both_spellings_of_a_name_are_one_sku(shop: Shop, dsn: str) -> None:
    await shop.client.post("/v1/skus", json={"skus": [{"sku": "CAF\u00c9"}]})
    answer = await shop.command("k", type="receive", sku=" CAFE\u0301 ", units=2)
    assert answer.status_code == 200
    assert available(dsn, "CAF\u00c9") == 2


# Names and lists --------------------------------------------------------------------------------------------------


async def test_naming_skus_again_changes_nothing(shop: Shop) -> None:
    body = {"skus": [{"sku": "MUG", "title": "Another"}, {"sku": "VASE", "title": "A vase"}]}
    answer = await shop.client.post("/v1/skus", json=body)
    assert answer.json() == {"added": 1, "known": 1, "linked": 0}
    titles = {row["sku"]: row["title"] for row in (await shop.client.get("/v1/skus")).json()["skus"]}
    assert titles == {"MUG": "Mug of the shop", "PLATE": "Plate of the shop", "VASE": "A vase"}


async def test_locations_are_named_and_listed(shop: Shop) -> None:
    answer = await shop.client.post("/v1/locations", json={"locations": [{"location": "ROME"}, {"location": BERLIN}]})
    assert answer.json() == {"added": 1, "known": 1}
    listed = (await shop.client.get("/v1/locations")).json()["locations"]
    assert [one["location"] for one in listed] == ["BERLIN", "ROME"]


async def test_pages_of_skus_show_each_once(shop: Shop) -> None:
    await shop.name_skus(*(f"SKU/{number}" for number in range(5)))
    seen, after = [], ""
    for _ in range(10):
        page = (await shop.client.get("/v1/skus", params={"after": after, "limit": 2})).json()
        seen += [row["sku"] for row in page["skus"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert seen == ["MUG", "PLATE", *(f"SKU/{number}" for number in range(5))]


async def test_a_sku_tells_its_balances_and_the_four_figures_of_each_listing(shop: Shop) -> None:
    paper = await shop.connect("paper")
    paper.books[MUG] = 0
    await shop.command("k1", type="receive", sku="MUG", units=5)
    await shop.settle()
    told = (await shop.client.get("/v1/skus/MUG")).json()
    assert (told["on_hand"], told["available"], told["version"]) == (5, 5, 1)
    assert told["balances"][0] == {
        "location": "BERLIN", "on_hand": 5, "available": 5, "committed": 0, "reserved": 0, "damaged": 0,
        "quality_control": 0, "safety_stock": 0, "incoming": 0, "version": 1,
    }  # fmt: skip
    (listing,) = told["listings"]
    assert listing["state"] == "verified"
    assert listing["unverified_s"] is None
    for name in ("desired", "sent", "accepted", "verified"):
        assert (listing[name]["units"], listing[name]["version"]) == (5, 1)
        assert 0 <= listing[name]["age_s"] < 600
    assert told["drifts"] == []


async def test_a_figure_that_waits_for_its_proof_has_an_age(shop: Shop) -> None:
    await shop.connect("paper")
    shop.connectors["paper"].books[MUG] = 0
    await shop.command("k1", type="receive", sku="MUG", units=2)
    await shop.settle()
    await shop.command("k2", type="receive", sku="MUG", units=3)
    await plan.plan(shop.database)
    (listing,) = (await shop.client.get("/v1/listings", params={"state": "waiting"})).json()["listings"]
    assert (listing["desired"]["units"], listing["verified"]["units"]) == (5, 2)
    assert 0 <= listing["unverified_s"] < 600
    (row,) = (await shop.client.get("/v1/channels")).json()["channels"]
    assert (row["listing_count"], row["verified_count"], row["unverified_count"]) == (1, 0, 1)
    assert 0 <= row["oldest_unverified_s"] < 600
    assert 'oneshelf_listings_unverified{channel="paper"} 1.0' in (await shop.client.get("/metrics")).text


async def test_movements_come_newest_first_and_page_by_page(shop: Shop) -> None:
    for number in range(3):
        await shop.command(f"k{number}", type="receive", sku="MUG", units=number + 1)
    first = (await shop.client.get("/v1/skus/MUG/movements", params={"limit": 2})).json()
    assert [move["units"] for move in first["movements"]] == [3, 2]
    assert UUID(first["next"]).version == 7
    rest = (await shop.client.get("/v1/skus/MUG/movements", params={"before": first["next"]})).json()
    assert [(move["units"], move["source"]) for move in rest["movements"]] == [(1, "api k0")]
    assert rest["next"] is None


async def test_a_channel_never_tells_its_secrets(shop: Shop) -> None:
    await shop.connect("paper")
    answer = await shop.client.get("/v1/channels")
    (channel,) = answer.json()["channels"]
    assert (channel["channel"], channel["mode"], channel["last_fault"]) == ("paper", "live", "")
    assert "secret" not in answer.text
    assert "settings" not in channel


async def test_a_channel_tells_how_it_is_written_and_which_ability_it_was_shown_to_lack(shop: Shop) -> None:
    await shop.connect("paper")
    (channel,) = (await shop.client.get("/v1/channels")).json()["channels"]
    assert (channel["writes"], channel["fallbacks"]) == ("compare-and-set", {})
    seen = Check(what="compare", tried="a", seen="b", verdict=Verdict.FAILS, took_ms=1.0, ability=Ability.COMPARE)
    async with shop.database.transaction() as tx:
        key = (Channel("paper"), None)
        await probes.record(tx, shop.clock.new_id(), key, [seen], {Ability.COMPARE: seen}, has_written=True)
    (channel,) = (await shop.client.get("/v1/channels")).json()["channels"]
    assert list(channel["fallbacks"]) == ["compare"]
    assert channel["fallbacks"]["compare"]["reason"] == "b"
    assert datetime.fromisoformat(channel["fallbacks"]["compare"]["since"]).tzinfo is not None


async def test_orders_that_are_short_are_listed_with_the_skus_they_wait_for(shop: Shop) -> None:
    paper = await shop.connect("paper")
    paper.books |= {MUG: 0, ChannelSku("PLATE"): 0}
    await shop.command("k1", type="receive", sku="MUG", units=5)
    await shop.settle()
    await shop.order("paper", "o1", MUG=1)
    await shop.order("paper", "o2", MUG=1, PLATE=2)
    await shop.settle()
    every = (await shop.client.get("/v1/orders")).json()["orders"]
    assert [(order["order_id"], order["units_committed"], order["units_short"]) for order in every] == [
        ("o1", 1, 0),
        ("o2", 1, 2),
    ]
    (short,) = (await shop.client.get("/v1/orders", params={"short": "true"})).json()["orders"]
    assert (short["order_id"], short["skus_short"]) == ("o2", ["PLATE"])
    second = (await shop.client.get("/v1/orders", params={"limit": 1, "after": "paper/o1"})).json()
    assert [order["order_id"] for order in second["orders"]] == ["o2"]


async def test_what_waits_for_a_person_is_in_one_place(shop: Shop) -> None:
    paper = await shop.connect("paper")
    paper.books |= {MUG: 0, ChannelSku("VASE"): 4}
    paper.refuses.add(MUG)
    await shop.command("k1", type="receive", sku="MUG", units=5)
    await shop.settle()
    await shop.deliver("paper", b"nonsense", delivery_id="d1")
    await shop.order("paper", "o1", VASE=1)
    await shop.settle()
    told = (await shop.client.get("/v1/errors")).json()
    assert [one["topic"] for one in told["deliveries"]] == ["order"]
    assert [one["order_id"] for one in told["orders"]] == ["o1"]
    assert "VASE" in told["orders"][0]["reason"]
    assert [(one["channel_sku"], one["reason"]) for one in told["listings"]] == [
        ("MUG", "this entry was printed in ink")
    ]


async def test_a_drift_is_told_with_its_size_until_the_channel_shows_our_figure_again(shop: Shop) -> None:
    paper = await shop.connect("paper")
    paper.books[MUG] = 0
    await shop.command("k1", type="receive", sku="MUG", units=5)
    await shop.settle()
    paper.books[MUG] = 9
    await shop.sweep()
    await shop.settle()
    await shop.judge_suspicions()
    (drift,) = (await shop.client.get("/v1/drifts", params={"open": "true"})).json()["drifts"]
    assert (drift["cause"], drift["size"], drift["expected_units"]) == ("foreign edit", 4, 5)
    assert (await shop.client.get("/v1/skus/MUG")).json()["drifts"][0]["drift_id"] == drift["drift_id"]
    await shop.settle()
    assert (await shop.client.get("/v1/drifts", params={"open": "true"})).json()["drifts"] == []
    assert len((await shop.client.get("/v1/drifts")).json()["drifts"]) == 1
    assert paper.books[MUG] == 5


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/skus/NOBODY", 404),
        ("/v1/skus/NOBODY/movements", 404),
        ("/v1/skus/%00", 422),
        ("/v1/skus?after=%00", 422),
        ("/v1/skus?limit=0", 422),
        ("/v1/skus?limit=x", 422),
        ("/v1/skus/MUG/movements?before=x", 422),
        ("/v1/listings?state=asleep", 422),
        ("/v1/listings?after=%00/x", 422),
        ("/v1/listings?after=x", 422),
        ("/v1/listings?channel=%00", 422),
        ("/v1/orders?after=a/%00", 422),
        ("/v1/drifts?open=perhaps", 422),
        ("/v1/nothing", 404),
    ],
)
async def test_a_wrong_question_is_a_problem_and_no_failure(shop: Shop, path: str, status: int) -> None:
    answer = await shop.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)


async def test_a_command_is_never_a_get(shop: Shop) -> None:
    assert (await shop.client.get("/v1/commands")).status_code == 405


# The door, and the ways to fail -------------------------------------------------------------------------------------


@pytest.mark.long(but_one_in=4)
@pytest.mark.parametrize(
    ("presented", "status"),
    [
        (None, 401),
        (b"Bearer ", 401),
        (b"Bearer wrong", 401),
        (b"Basic token", 401),
        ("Bearer tökén".encode("latin-1"), 401),
        (b"bearer token", 200),
        (b"Bearer token", 200),
    ],
)
async def test_the_api_asks_for_the_bearer_token(dsn: str, presented: bytes | None, status: int) -> None:
    async with open_shop(dsn, api_token="token") as shop:
        headers = {} if presented is None else {b"Authorization": presented}
        for path in ("/v1/skus", "/metrics", "/openapi.json", "/static/oneshelf.css"):
            answer = await shop.client.get(path, headers=headers)
            assert answer.status_code == status
            assert (answer.headers["content-type"] == PROBLEM) is (status == 401)
        assert (await shop.client.get("/healthz")).status_code == 200
        assert (await shop.client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_site_cannot_make_a_browser_send_commands(shop: Shop, site: str) -> None:
    answer = await shop.client.post("/v1/commands", json={"commands": [receipt()]}, headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 403


async def test_a_database_that_is_gone_is_told_as_such_and_when_to_ask_again(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await shop.database._pool.close()
        for answer in (await shop.client.get("/v1/skus"), await shop.client.get("/readyz")):
            assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
            assert answer.headers["retry-after"] == "1"
        assert (await shop.client.get("/healthz")).status_code == 200


async def test_an_unexpected_failure_tells_nothing_of_the_inside_and_is_logged_once(shop: Shop, dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("alter table skus rename to hidden")
    with capture_logs() as lines:
        answer = await shop.client.get("/v1/skus")
    assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM)
    assert answer.json()["detail"] == "oneshelf failed; its log says why"
    assert "content-security-policy" in answer.headers
    assert [(line["event"], line["path"]) for line in lines] == [("request.failed", "/v1/skus")]


async def test_a_database_of_another_version_is_not_ready(shop: Shop, dsn: str) -> None:
    assert (await shop.client.get("/readyz")).json()["status"] == "ready"
    with psycopg.connect(dsn) as connection:
        connection.execute("delete from schema_migrations")
    answer = await shop.client.get("/readyz")
    assert answer.status_code == 503
    assert "oneshelf migrate" in answer.json()["detail"]


@pytest.mark.long
async def test_the_description_of_the_api_names_every_body_and_every_answer(shop: Shop) -> None:
    told = (await shop.client.get("/openapi.json")).json()
    schemas = told["components"]["schemas"]
    text = json.dumps(told)
    for reference in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert reference in schemas, reference
    operations = [(path, verb, one) for path, verbs in told["paths"].items() for verb, one in verbs.items()]
    assert {path for path, _, _ in operations} >= {"/v1/commands", "/v1/skus", "/v1/listings", "/v1/errors"}
    for path, verb, operation in operations:
        if (path, verb) not in {("/v1/events", "get"), ("/v1/exports/{kind}", "get")}:  # A stream, and files.
            done = operation["responses"].get("200") or operation["responses"]["204"]
            assert "204" in operation["responses"] or done["content"]["application/json"]["schema"], path
        is_said_by_address = (verb.upper(), path) in NOTHING_TO_SAY
        writes = verb in {"post", "put", "delete"} and not is_said_by_address
        assert ("requestBody" in operation) is writes, path
        assert operation["summary"], path
    assert schemas["ReceiveIn"]["properties"]["units"] == {
        "maximum": 1_000_000_000, "minimum": 1, "title": "Units", "type": "integer",
    }  # fmt: skip


async def test_a_sku_is_shown_as_it_was(shop: Shop) -> None:
    paper = await shop.connect("paper")
    paper.books[MUG] = 0
    await shop.command("k1", type="receive", sku="MUG", units=5)
    await shop.settle()
    (received,) = (await shop.client.get("/v1/skus/MUG/movements")).json()["movements"]
    then = received["posted_at"]
    await shop.command("k2", type="adjust", sku="MUG", delta_units=-1)
    await shop.settle()
    was = (await shop.client.get("/v1/skus/MUG", params={"at": then})).json()
    (balance,) = was["balances"]
    assert (balance["on_hand"], balance["available"], balance["version"]) == (5, 5, 1)
    assert was["outside"] == {"supplier": -5}
    assert (was["held"], was["listings"]) == ([], [])  # The figure was planned a moment later.
    at = (await shop.client.get("/v1/listings")).json()["listings"][0]["verified"]["at"]
    is_now = (await shop.client.get("/v1/skus/MUG", params={"at": at})).json()
    assert is_now["balances"] == (await shop.client.get("/v1/skus/MUG")).json()["balances"]
    assert [(one["units"], one["verified_at"]) for one in is_now["listings"]] == [(4, at)]
    moved = (await shop.client.get("/v1/skus/MUG/movements", params={"at": then})).json()["movements"]
    assert [move["units"] for move in moved] == [5]


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2026-01-01T12:00:00", "no zone"),
        ("yesterday", "ISO 8601"),
        ("", "ISO 8601"),
        ("2999-01-01T00:00:00Z", "not come yet"),
    ],
)
async def test_a_past_that_cannot_be_told_is_refused_in_words(shop: Shop, at: str, words: str) -> None:
    for path in ("/v1/skus/MUG", "/v1/skus/MUG/movements"):
        answer = await shop.client.get(path, params={"at": at})
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert words in answer.json()["detail"]
    assert (await shop.client.get("/v1/skus/NOBODY", params={"at": "2026-01-01T00:00:00Z"})).status_code == 404


async def test_the_metrics_tell_how_fresh_the_audit_is_and_what_it_found(shop: Shop) -> None:
    await shop.command("k1", type="receive", sku="MUG", units=5)
    told = (await shop.client.get("/metrics")).text
    assert "oneshelf_audit_violations 0.0" in told
    assert "oneshelf_audit_age_seconds" not in told
    await audit_new(shop.database)
    async with shop.database.transaction() as tx:
        await tx.execute("update balances set available = 6")
    await audit_new(shop.database)
    told = (await shop.client.get("/metrics")).text
    assert "oneshelf_audit_violations 1.0" in told
    assert re.search(r"^oneshelf_audit_age_seconds \d", told, re.M)
    assert "oneshelf_audit_lag_transactions" in told


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/v1/skus/MUG/movements?after=01", "no parameter 'after' in the address; there are: at, before, limit"),
        ("/v1/orders?chanel=paper", "no parameter 'chanel'"),
        ("/v1/skus?limit=1&limit=2", "'limit' is in the address 2 times"),
        ("/v1/locations?limit=1", "this address takes none"),
    ],
)
async def test_a_parameter_that_nobody_knows_or_that_comes_twice_is_refused(
    shop: Shop, address: str, words: str
) -> None:
    answer = await shop.client.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert words in answer.json()["detail"]


async def test_a_page_that_ends_at_a_name_with_an_unusual_blank_is_followed_by_the_next(shop: Shop) -> None:
    for number in ("1\u00a0A", "2"):
        held = await shop.client.post(
            "/v1/reservations",
            json={"kind": "lock", "lines": [{"sku": "MUG", "location": BERLIN, "units": 1}]},
            headers={"Idempotency-Key": f"r{number[0]}"},
        )
        assert held.status_code == 409  # Nothing is there yet.
        await shop.command(f"in{number[0]}", type="receive", sku="MUG", units=1)
        held = await shop.client.post(
            "/v1/reservations",
            json={"kind": "lock", "lines": [{"sku": "MUG", "location": BERLIN, "units": 1}]},
            headers={"Idempotency-Key": f"s{number[0]}"},
        )
        order = {"channel": "counter", "order_id": number}
        path = f"/v1/reservations/{held.json()['figures']['reservation_id']}/claim"
        await shop.client.post(path, json={"order": order}, headers={"Idempotency-Key": f"c{number[0]}"})
    first = (await shop.client.get("/v1/orders?limit=1")).json()
    second = await shop.client.get("/v1/orders", params={"limit": 1, "after": first["next"]})
    assert [one["order_id"] for one in second.json()["orders"]] == ["2"]
