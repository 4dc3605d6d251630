"""What stands in an address is read as strictly as a body: absent names, numbers, instants, bytes that are no name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx2
import pytest

from web.bad_input.examples import EXAMPLES, SKU
from web.bad_input.routes import Operation, described, document, operations
from web.bad_input.rows import of_rows
from web.bad_input.shelf import Shelf, complaints
from web.bad_input.test_door import address
from web.bad_input.wrongs import IMPOSSIBLE, INVISIBLE, ZONELESS

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long(but_one_in=5)]

LONG = "x" * 10_000
_keys = count(1)
_BODIES = {one.route: one.body for one in EXAMPLES}
# What the forms of pages send.
_FORMS = {
    "/skus/{sku}": "mode=guarded",
    "/drifts/{drift_id}": "how=wait&wait_s=1",
    "/go-live/{channel}": "which=all&by=Ada",
    "/channels/{channel}": "act=release&by=Ada",
    "/stock/counts/{task}": "act=enter&sku=PLATE&units=1&by=Ada&round=1",
    "/conflicts/{conflict_id}": "by=Ada",
    "/files/{import_id}": "act=undo",
    "/connect/{kind}": "name=corner&location=BERLIN",
    "/settings/people/{name}": "act=disable",
    "/settings/tokens/{name}": "act=revoke",
    "/settings/events/{endpoint}": "act=pause",
}
PAGE_LENGTH_MAX, ANSWER_LENGTH_MAX = 8_000, 4_000
# An endpoint is made by its name.
NAMED = [
    one for one in operations() if "{" in one.path and (one.method, one.path) != ("PUT", "/v1/endpoints/{endpoint}")
]
# Every question with a parameter, and that parameter.
ASKED = [(one, parameter) for one in described() for parameter in one.parameters if parameter["in"] == "query"]


async def ask(shelf: Shelf, one: Operation, path: str) -> httpx2.Response:
    """Send a right body, if the route takes one, to this address as it is spelled."""
    if form := _FORMS.get(one.path) if one.method == "POST" else None:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return await shelf.client.post(f"http://shelf.localhost{path}", content=form, headers=headers)
    body = _BODIES.get((one.method, one.path))
    content = None if body is None else json.dumps(body).replace("{key}", f"a{next(_keys)}")
    headers = {"content-type": "application/json"}
    return await shelf.client.request(one.method, f"http://shelf.localhost{path}", content=content, headers=headers)


def spelled(one: Operation, text: str) -> str:
    """The address of a route, with this text for the first name in it."""
    before, _, rest = one.path.partition("{")
    return address(one._replace(path=before + text + rest.partition("}")[2]))


@of_rows(56)
@pytest.mark.parametrize("one", NAMED, ids=str)
async def test_a_name_that_is_nobodys_is_not_found(shelf: Shelf, one: Operation, row: str) -> None:
    before = shelf.fingerprint(without=["commands"])
    nobody = str(UUID(int=7)) if "_id}" in one.path else "NOBODY"
    answer = await ask(shelf, one, spelled(one, nobody))
    assert answer.status_code == 404
    if answer.headers["content-type"].startswith("text/html"):
        assert 'href="/">' in answer.text  # The way out.
    else:
        assert complaints(answer, 404) == []
    assert shelf.fingerprint(without=["commands"]) == before


@of_rows("e")
@pytest.mark.parametrize("one", NAMED, ids=str)
async def test_an_address_that_names_nothing_is_refused(shelf: Shelf, one: Operation, row: str) -> None:
    before, failed = shelf.fingerprint(), []
    unreadable = ("%ff", "%c0%af", "%ed%a0%80", "A%C3", "%f8%88%80%80%80")
    texts = (LONG, *(quote(f"A{one}B") for one in INVISIBLE.values()), "%00", "%20", "%25", "%2e%2e", "%0d%0aX:1")
    for text in (*unreadable, *texts, quote("'; drop table skus; --"), quote("<script>alert(1)</script>"), "*", "%27"):
        answer = await ask(shelf, one, spelled(one, text))
        right = {400} if text in unreadable else {404, 405, 422}
        is_page = answer.headers["content-type"].startswith("text/html")
        is_long = len(answer.text) > (PAGE_LENGTH_MAX if is_page else ANSWER_LENGTH_MAX)
        if answer.status_code not in right or is_long or (is_page and "<script>alert" in answer.text):
            failed.append(f"{text[:30]}: {answer.status_code} {answer.text[:200]}")
        if not is_page:
            failed += [f"{text[:30]}: {words}" for words in complaints(answer, answer.status_code, sent=text)]
    assert failed == []
    assert shelf.fingerprint() == before


def _wrong_values(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Row, and the text of a parameter as it stands in the address. All of them mean nothing."""
    [schema] = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    if "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("format") == "date-time":
        yield from (("28", quote(text, safe="")) for text in ZONELESS)
        yield from (("29", quote(text, safe="")) for text in IMPOSSIBLE)
    elif "enum" in schema or schema.get("format") == "uuid" or schema["type"] == "boolean":
        yield from (("d", text) for text in ("steal", "", "%00", "7", "%D9%A5", LONG, "%E2%80%AE", "null", "[]"))
    elif schema["type"] == "integer":
        numbers = (
            "-1",
            "0",
            "1001",
            "1.5",
            "1.0",
            "1e2",
            "",
            "five",
            "true",
            "null",
            "NaN",
            "Infinity",
            "1e400",
            "0x7",
        )
        yield from (("d", text) for text in numbers)
        yield from (("12", text) for text in ("1000000000000", str(2**63), "9" * 4301, "-" + "9" * 4301))
        digits = ("%D9%A5", "7_0", "%207%20", "+7", "%2B7", "%EF%BC%97", "7%00", "7%0A")
        yield from (("30", text) for text in digits)
    else:
        assert schema["type"] == "string", f"nobody has said yet what is wrong for {schema}"
        yield from (("26", quote(f"A{one}B/A{one}B", safe="")) for one in INVISIBLE.values())
        yield from (("24", text) for text in ("%00", "A%00", "%00/%00"))
        yield from (("e", text) for text in (LONG, "x" * 501 + "/x"))


@of_rows("f")
@pytest.mark.parametrize("one", [one for one in described() if one.method == "GET"], ids=str)
async def test_a_question_that_nobody_knows_or_that_comes_twice_is_refused(
    shelf: Shelf, one: Operation, row: str
) -> None:
    asked = [parameter["name"] for parameter in one.parameters if parameter["in"] == "query"]
    questions = ["nobody=1", "%E2%80%AE=1", f"{LONG[:5_000]}=1", *(f"{name}=1&{name}=1" for name in asked)]
    failed = []
    for question in questions:
        answer = await ask(shelf, one, f"{address(one)}?{question}")
        failed += [f"{question[:40]}: {words}" for words in complaints(answer, 422, sent=question)]
    assert failed == []


@pytest.mark.long
@of_rows("d", "e", 12, 24, 26, 28, 29, 30)
async def test_a_question_that_means_nothing_is_refused(shelf: Shelf, row: str) -> None:
    failed = []
    for one, parameter in ASKED:
        for said, text in _wrong_values(parameter["schema"]):
            if said == row:
                answer = await ask(shelf, one, f"{address(one)}?{parameter['name']}={text}")
                wrong = complaints(answer, 422, sent=text)
                failed += [f"{one} {parameter['name']}={text[:40]}: {words}" for words in wrong]
    assert failed == []


@of_rows(22)
async def test_a_question_that_is_no_utf8_is_refused(shelf: Shelf, row: str) -> None:
    assert len(ASKED) > 10
    for one, parameter in ASKED:
        for text in ("%ff", "%c0%80", "a%ed%a0%80"):
            answer = await ask(shelf, one, f"{address(one)}?{parameter['name']}={text}")
            assert complaints(answer, 400) == [], one


@of_rows(26)
@pytest.mark.parametrize("path", ["/v1/skus/{}", "/v1/skus/{}/movements", "/skus/{}"])
async def test_an_address_finds_a_sku_in_either_spelling_and_in_its_own_case_alone(
    shelf: Shelf, path: str, row: str
) -> None:
    for name in (SKU, "CAFE\u0301-MUG", f" {SKU} ", f"{SKU}\u00a0"):
        assert (await shelf.client.get(path.format(quote(name)))).status_code == 200, name
    for name in (SKU.lower(), "CAFE-MUG", "CAF\u00c9-MUG\u200b", SKU.replace("M", "\u041c")):
        assert (await shelf.client.get(path.format(quote(name)))).status_code in {404, 422}, name


@of_rows(27)
async def test_what_is_typed_on_a_page_is_only_text(shelf: Shelf, row: str) -> None:
    for typed in (
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "=cmd()",
        "'; drop table skus; --",
        LONG,
    ):
        for path in ("/skus", "/skus?location=x"):
            answer = await shelf.client.get(path, params={"q": typed, "after": typed})
            assert answer.status_code == 200
            assert "<script>alert" not in answer.text
            assert "<img" not in answer.text
