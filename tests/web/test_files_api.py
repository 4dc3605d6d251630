"""Files over HTTP: as a body or in a form, once however often, and out again."""

from __future__ import annotations

import io
import threading
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request

from oneshelf.storage import imports
from oneshelf.web.files import FILE_BYTES_MAX, sent
from web.paper import BERLIN, Shop, open_shop

pytestmark = pytest.mark.pg

FILE = f"sku,location,on_hand\nMUG,{BERLIN},7\nPLATE,{BERLIN},4\n"
CSV = {"Content-Type": "text/csv"}


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG", "PLATE")
        yield shop


async def on_hand(shop: Shop) -> str:
    text = (await shop.client.get("/v1/exports/counts")).text
    return " ".join(",".join(line.split(",")[:3]) for line in text.splitlines()[1:])


async def test_a_file_is_looked_at_and_applied_once(shop: Shop) -> None:
    seen = await shop.client.post("/v1/imports?taken_at=now&preview=true", content=FILE, headers=CSV)
    assert [one["line"] for one in seen.json()["effects"]] == [2, 3]
    assert await on_hand(shop) == ""
    first = await shop.client.post("/v1/imports?taken_at=now&name=night.csv", content=FILE, headers=CSV)
    assert (first.status_code, first.json()["state"], first.json()["applied_count"]) == (200, "applied", 2)
    assert await on_hand(shop) == f"MUG,{BERLIN},7 PLATE,{BERLIN},4"
    again = await shop.client.post("/v1/imports?taken_at=now", content=FILE, headers=CSV)
    assert again.json()["state"] == "applied_before"
    kept = await shop.client.get(f"/v1/imports/{first.json()['import_id']}")
    assert (kept.json()["file_name"], kept.json()["row_count"]) == ("night.csv", 2)
    assert (await shop.client.get("/v1/imports/nobody")).status_code == 404


async def test_a_file_under_way_is_stopped_once_and_one_that_has_ended_stays_as_it_is(shop: Shop) -> None:
    file = "c" * 32
    async with shop.database.transaction() as tx:
        await imports.begin(tx, import_id=file, kind="counts", source="", file_name="night.csv", row_count=9)
    asked = [(await shop.client.post(f"/v1/imports/{file}/stop")).json() for _ in range(2)]
    assert [(one["state"], one["stopped_by"]) for one in asked] == [("under_way", "api")] * 2
    assert "api had it stopped: it ends within" in asked[0]["detail"]
    async with shop.database.transaction() as tx:
        assert await imports.note(tx, file, applied_count=4)
        await imports.end(tx, file, applied_count=4, problem_count=0, problems=[], reasons=[])
    [listed] = (await shop.client.get("/v1/imports")).json()["imports"]
    assert (listed["state"], listed["applied_count"], listed["stopped_by"]) == ("stopped", 4, "api")
    again = await shop.client.post(f"/v1/imports/{file}/stop")
    assert (again.status_code, again.json()["state"]) == (200, "stopped")
    for nobody in ("d" * 32, "nobody"):
        refused = await shop.client.post(f"/v1/imports/{nobody}/stop")
        assert (refused.status_code, refused.json()["type"]) == (404, "urn:oneshelf:problem:no-import")


async def test_files_are_listed_the_newest_first_and_page_by_page(shop: Shop) -> None:
    for number in range(5):
        content = f"sku\nMUG-{number}\n"
        answer = await shop.client.post(f"/v1/imports?kind=skus&name={number}.csv", content=content, headers=CSV)
        assert answer.json()["state"] == "applied"
    found, after = [], ""
    while after is not None:
        answer = await shop.client.get("/v1/imports", params={"limit": 2, **({"after": after} if after else {})})
        found += [one["file_name"] for one in answer.json()["imports"]]
        after = answer.json()["next"]
    assert found == [f"{number}.csv" for number in (4, 3, 2, 1, 0)]
    assert (await shop.client.get("/v1/imports?after=yesterday")).status_code == 422


async def test_a_form_brings_the_same_file(shop: Shop) -> None:
    sent = await shop.client.post("/v1/imports?taken_at=now", files={"file": ("a.csv", FILE.encode(), "text/csv")})
    assert sent.json()["state"] == "applied"
    raw = await shop.client.post("/v1/imports?taken_at=now", content=FILE, headers=CSV)
    assert (raw.json()["state"], raw.json()["import_id"]) == ("applied_before", sent.json()["import_id"])
    other = await shop.client.post("/v1/imports?taken_at=now", files={"other": ("a.csv", b"x", "text/csv")})
    assert (other.status_code, "0 parts" in other.json()["detail"]) == (422, True)
    torn = await shop.client.post(
        "/v1/imports", content=b"--x", headers={"Content-Type": "multipart/form-data; boundary=y"}
    )
    assert torn.status_code in {400, 422}


async def test_what_is_refused_is_a_problem_with_its_rows(shop: Shop) -> None:
    sent = await shop.client.post("/v1/imports?taken_at=now", content=FILE.replace("7", "1e3"), headers=CSV)
    assert (sent.status_code, sent.json()["type"]) == (422, "urn:oneshelf:problem:file-refused")
    [row] = sent.json()["problems"]
    assert (row["line"], row["column"], row["value"]) == (2, "on_hand", "1e3")
    assert await on_hand(shop) == ""


async def test_a_file_that_is_too_large_is_not_read(shop: Shop) -> None:
    sent = await shop.client.post("/v1/imports?taken_at=now", content=b"x" * (FILE_BYTES_MAX + 1), headers=CSV)
    assert sent.status_code == 413


async def test_what_nobody_knows_is_refused(shop: Shop) -> None:
    for question in ("kind=sales", "taken_at=soon", "atomic=table", "allow=all", "what=1", "preview=perhaps"):
        assert (await shop.client.post(f"/v1/imports?{question}", content=FILE, headers=CSV)).status_code == 422
    assert (await shop.client.get("/v1/exports/skus?format=pdf")).status_code == 422
    assert "there are: skus" in (await shop.client.get("/v1/exports/sales")).json()["detail"]


async def test_an_export_is_a_workbook_too(shop: Shop) -> None:
    given = await shop.client.get("/v1/exports/skus?format=xlsx")
    assert given.headers["content-disposition"] == 'attachment; filename="skus.xlsx"'
    sent = await shop.client.post("/v1/imports?kind=skus", content=given.content)
    assert (sent.json()["row_count"], sent.json()["replayed_count"]) == (2, 2)


class Body(io.BytesIO):
    """Knows which threads have read it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.threads: set[int] = set()

    def read(self, size: int | None = -1, /) -> bytes:
        self.threads.add(threading.get_ident())
        return super().read(size)


async def test_a_form_is_taken_apart_while_the_shop_goes_on_selling() -> None:
    """A form of 50 MiB takes longer than a check at the checkout may wait."""
    part = '--cut\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    body = Body(f"{part}{FILE}\r\n--cut--\r\n".encode())
    headers = [(b"content-type", b"multipart/form-data; boundary=cut")]
    async with sent(Request({"type": "http", "headers": headers}), body) as form:
        assert (form.file.read(), form.file_name) == (FILE.encode(), "a.csv")
    assert body.threads
    assert threading.get_ident() not in body.threads
