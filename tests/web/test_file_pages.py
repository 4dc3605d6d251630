"""Files on the pages: what each row would do before it is done, the good rows or none, once, and taken back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape

import httpx2
import pytest

from oneshelf.storage import imports
from oneshelf.web.files import FILE_BYTES_MAX
from web.paper import Shop, open_shop

pytestmark = pytest.mark.pg

OWN = {"sec-fetch-site": "same-origin"}
GOOD = "sku,location,received\nMUG,BERLIN,7\nCAP,BERLIN,5\n"
MIXED = "sku,location,received\nMUG,BERLIN,7\nCAP,BERLIN,some\nNOBODY,BERLIN,1\n"


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG", "CAP")
        yield shop


async def send(shop: Shop, act: str, text: str, **said: str) -> httpx2.Response:
    """The form as a browser sends it from its own page."""
    return await sent(shop, text, {"act": act, **said})


async def sent(shop: Shop, text: str, said: dict[str, str], **headers: str) -> httpx2.Response:
    fields = {"kind": "receipts", "taken_at": "now", **said}
    files = {"file": ("delivery.csv", text.encode(), "text/csv")}
    return await shop.client.post("/files", data=fields, files=files, headers={**OWN, **headers})


async def units(shop: Shop, sku: str = "MUG") -> int:
    return int((await shop.client.get(f"/v1/skus/{sku}")).json()["available"])


async def test_a_preview_names_each_effect_and_each_wrong_cell_and_changes_nothing(shop: Shop) -> None:
    answer = await send(shop, "preview", MIXED, atomic="row")
    text = unescape(answer.text)
    assert re.search(r'data-effect="2".*?MUG.*?7', text, re.S)
    assert re.search(r'data-line="3".*?received.*?<code>some</code>.*?whole number', text, re.S)
    assert re.search(r'data-line="4".*?sku.*?<code>NOBODY</code>', text, re.S)
    assert await units(shop) == 0
    part = await sent(shop, MIXED, {"act": "preview", "atomic": "row"}, **{"hx-request": "true"})
    assert (part.status_code, "<html" in part.text) == (200, False)
    async with shop.database.transaction() as tx:
        assert await imports.listed(tx, limit=10) == []


async def test_a_file_with_a_wrong_row_is_refused_whole_or_its_good_rows_are_applied(shop: Shop) -> None:
    whole = await send(shop, "apply", MIXED)
    assert (whole.status_code, "nothing was changed" in whole.text) == (422, True)
    assert await units(shop) == 0
    answer = await send(shop, "apply", MIXED, atomic="row")
    assert answer.status_code == 303
    text = (await shop.client.get(answer.headers["location"])).text
    assert "1 of 3 rows applied" in text
    assert 'data-line="3"' in text
    assert await units(shop) == 7


async def test_refusals_of_one_kind_are_counted_on_the_page_and_over_http(shop: Shop) -> None:
    unknown = "sku,location,received\n" + "".join(f"NEW-{number},BERLIN,1\n" for number in range(30))
    for act, atomic in (("preview", "row"), ("apply", "file")):
        text = unescape((await send(shop, act, unknown, atomic=atomic)).text)
        assert text.count("<code>NEW-") == 5
        assert re.search(r'data-rest="25">25 more: sku: No such SKU', text)
    mixed = unknown + "MUG,BERLIN,7\n"
    kept = await shop.client.get((await send(shop, "apply", mixed, atomic="row")).headers["location"])
    assert 'data-rest="25"' in kept.text
    refused = await shop.client.post("/v1/imports?kind=receipts&taken_at=now", content=unknown)
    assert [(one["column"], one["row_count"], one["line"]) for one in refused.json()["reasons"]] == [("sku", 30, 2)]
    assert len(refused.json()["problems"]) == 30


async def test_a_file_that_was_broken_off_is_not_under_way_for_ever(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        named = {"import_id": "a" * 32, "kind": "counts", "source": "", "file_name": "night.csv"}
        await imports.begin(tx, **named, row_count=9)
        await imports.note(tx, "a" * 32, applied_count=4)
    assert "under way" in (await shop.client.get("/files")).text
    async with shop.database.transaction() as tx:
        await tx.execute("update imports set heard_at = db_now() - interval '3 minutes'")
    assert "broken off" in (await shop.client.get("/files")).text
    page = (await shop.client.get(f"/files/{'a' * 32}")).text
    assert "of 9 rows 4 or more are applied" in page
    assert "Bring in the same file again" in page
    assert "Take the whole file back" in page
    assert (await shop.client.get(f"/v1/imports/{'a' * 32}")).json()["state"] == "broken_off"


async def test_a_file_under_way_can_be_stopped_and_one_that_has_ended_cannot(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        named = {"import_id": "b" * 32, "kind": "counts", "source": "", "file_name": "night.csv"}
        await imports.begin(tx, **named, row_count=9)
    place = f"/files/{'b' * 32}"
    assert "Stop here" in (await shop.client.get(place)).text
    asked = (await shop.client.post(place, data={"act": "stop"}, headers=OWN)).text
    assert "It stops within" in asked
    assert "page had it stopped" in asked
    assert "Stop here" not in asked
    async with shop.database.transaction() as tx:
        assert await imports.note(tx, "b" * 32, applied_count=4)
        await imports.end(tx, "b" * 32, applied_count=4, problem_count=0, problems=[], reasons=[])
    page = (await shop.client.get(place)).text
    assert "Stopped: of 9 rows 4 or some more are applied" in page
    assert "Stop here" not in page
    assert "stopped" in (await shop.client.get("/files")).text
    assert "had ended before" in (await shop.client.post(place, data={"act": "stop"}, headers=OWN)).text


async def test_the_same_file_twice_moves_units_once_and_is_taken_back_once(shop: Shop) -> None:
    first = await send(shop, "apply", GOOD)
    again = await send(shop, "apply", GOOD)
    assert again.headers["location"] == first.headers["location"] + "?again=1"
    assert "applied before" in (await shop.client.get(again.headers["location"])).text
    assert (await units(shop), await units(shop, "CAP")) == (7, 5)
    place = first.headers["location"]
    for words in ("2 of 2 changes are taken back", "Nothing is left to take back"):
        answer = await shop.client.post(place, data={"act": "undo"}, headers=OWN)
        assert words in answer.text
        assert (await units(shop), await units(shop, "CAP")) == (0, 0)
    assert 'data-import="' in (await shop.client.get("/files")).text


async def test_what_was_sold_since_is_not_taken_back(shop: Shop) -> None:
    place = (await send(shop, "apply", GOOD)).headers["location"]
    sold = await shop.command("sold", type="adjust", sku="MUG", delta_units=-3)
    assert sold.status_code == 200
    answer = await shop.client.post(place, data={"act": "undo"}, headers=OWN)
    assert "1 of 2 changes are taken back" in answer.text
    assert "count what is there" in answer.text
    assert (await units(shop), await units(shop, "CAP")) == (4, 0)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"act": "burn"}, 422),
        ({"kind": "pigeons"}, 422),
        ({"taken_at": "yesterday"}, 422),
        ({"instant": "noon"}, 422),
        ({"location": "\x00"}, 422),
        ({"allow": "everything"}, 422),
    ],
)
async def test_what_is_said_wrongly_is_refused_on_a_page(shop: Shop, said: dict[str, str], status: int) -> None:
    answer = await sent(shop, GOOD, {"act": "apply", **said})
    assert (answer.status_code, answer.headers["content-type"][:9]) == (status, "text/html")
    assert await units(shop) == 0


async def test_what_is_no_form_with_a_file_is_refused(shop: Shop) -> None:
    no_file = await shop.client.post("/files", data={"act": "apply"}, headers=OWN)
    assert no_file.status_code == 415
    unnamed = await shop.client.post(
        "/files", data={"act": "apply", "kind": "receipts"}, files={"file": ("", b"")}, headers=OWN
    )
    assert unnamed.status_code == 422
    torn = {**OWN, "content-type": "multipart/form-data; boundary=x"}
    assert (await shop.client.post("/files", content=b"--y\r\n", headers=torn)).status_code in {400, 422}
    announced = {**torn, "content-length": str(FILE_BYTES_MAX + 1)}
    assert (await shop.client.post("/files", content=b"", headers=announced)).status_code == 413
    foreign = await sent(shop, GOOD, {"act": "apply"}, **{"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403
    assert await units(shop) == 0


async def test_a_file_that_nobody_brought_is_not_there(shop: Shop) -> None:
    for name in ("0" * 32, "nothing", "%00"):
        assert (await shop.client.get(f"/files/{name}")).status_code == 404
        assert (await shop.client.post(f"/files/{name}", data={"act": "undo"}, headers=OWN)).status_code == 404
