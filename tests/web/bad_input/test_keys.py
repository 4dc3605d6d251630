"""Keys make a command happen once: none, a wrong one, the same again, for each route that takes one."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from typing import Any

import pytest

from web.bad_input.examples import EXAMPLES, Body, Example
from web.bad_input.routes import writing
from web.bad_input.rows import of_rows
from web.bad_input.shelf import JSON, Shelf, complaints

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long(but_one_in=5)]

# Naming a thing again changes nothing, a definition replaces itself, and one more beginning of a count counts nothing,
# so these routes need no key; nor do a sign-off and a release, which say that something is so.
REPEATABLE = {
    ("PUT", "/v1/drifts/{drift_id}/resolution"),
    ("POST", "/v1/skus"), ("POST", "/v1/locations"), ("POST", "/v1/counts"), ("PUT", "/v1/bundles/{sku}"),
    ("PUT", "/v1/kits/{sku}"),
    ("PUT", "/v1/backorders"), ("PUT", "/v1/skus/{sku}/sharing"), ("PUT", "/v1/sharing"),
    ("PUT", "/v1/policies"), ("DELETE", "/v1/policies"),
    ("PUT", "/v1/policies/allocations"), ("DELETE", "/v1/policies/allocations"),
    ("POST", "/v1/policies/allocations/preview"), ("POST", "/v1/policies/allocations/refill"),
    ("PUT", "/v1/policies/groups"), ("POST", "/v1/policies/preview"),
    ("POST", "/v1/channels/{channel}/sign-off"),
    ("POST", "/v1/channels/{channel}/release"),
    # A document number is the key of a statement.
    ("PUT", "/v1/sources"), ("POST", "/v1/statements"), ("PUT", "/v1/truth-rules"), ("DELETE", "/v1/truth-rules"),
    ("POST", "/v1/truth-rules/preview"), ("PUT", "/v1/architecture"), ("POST", "/v1/architecture/preview"),
    ("PUT", "/v1/conflicts/{conflict_id}/ruling"),
    # Customer, purchase order number and version are the key of an order, its own number that of a shipment.
    ("POST", "/v1/wholesale/orders"), ("POST", "/v1/wholesale/shipments"), ("POST", "/v1/wholesale/cancellations"),
    ("POST", "/v1/wholesale/releases"), ("POST", "/v1/wholesale/resumptions"),
    # A count has a number, and what is said of it a round.
    ("POST", "/v1/count-tasks"), ("POST", "/v1/count-tasks/{task}/entries"),
    ("POST", "/v1/count-tasks/{task}/decisions"), ("PUT", "/v1/reorder-rules"), ("DELETE", "/v1/reorder-rules"),
    ("PUT", "/v1/endpoints/{endpoint}"), ("POST", "/v1/endpoints/{endpoint}/replay"),
}  # fmt: skip
KEYED = [one for one in EXAMPLES if one.route not in REPEATABLE]
WRONG_KEYS = {
    "256 characters": "k" * 256,
    "CR LF": "a\r\nX-Evil: 1",
    "a line feed": "a\nb",
    "NUL": "a\x00b",
    "a blank": "a b",
    "a tabulator": "a\tb",
    "nothing": "",
    "beyond ASCII": "ключ",
    "latin-1": "clé",
    "delete": "a\x7f",
    "zero width": "a\u200bb",
}
_numbers = count(1)
HEADER = "Idempotency-Key"
Headers = list[tuple[str, str | bytes]]


def without_key(body: Body) -> Body:
    """The body without the key of the command in it."""
    return _with_member(body, None)


def _with_member(body: Body, key: object) -> Body:
    if "commands" in body:
        return {"commands": [_with_member(body["commands"][0], key)]}
    bare = {name: value for name, value in body.items() if name != "key"}
    return bare if key is None else {**bare, "key": key}


def _changed(body: Body) -> Body:
    """The body with another first number in it. One without any says something else by the hold that it names."""

    def change(value: Any) -> tuple[Any, bool]:
        if isinstance(value, bool):
            return not value, True
        if isinstance(value, int):
            return (value - 1 if value < 0 else value + 1), True
        if isinstance(value, dict | list):
            steps = list(value) if isinstance(value, dict) else list(range(len(value)))
            for step in steps:
                new, is_changed = change(value[step])
                if is_changed:
                    value[step] = new
                    return value, True
        return value, False

    return dict(change(json.loads(json.dumps(body)))[0])


async def test_every_route_that_changes_something_takes_a_key_or_can_be_repeated() -> None:
    assert {(one.method, one.path) for one in writing() if not one.takes_key} == REPEATABLE


@of_rows(31)
@pytest.mark.parametrize("example", KEYED, ids=str)
async def test_without_a_key_nothing_is_done_and_it_is_said_where_to_read(
    shelf: Shelf, example: Example, row: str
) -> None:
    filled = await shelf.filled(example)
    before = shelf.fingerprint()
    answer = await shelf.send(filled, json.dumps(without_key(filled.body)))
    assert complaints(answer, 400) == []
    assert "docs/reference/bad-input.md" in answer.json()["detail"]
    assert shelf.fingerprint() == before


@of_rows(32)
@pytest.mark.parametrize("is_in_header", [False, True], ids=["in the body", "in the header"])
@pytest.mark.parametrize("example", KEYED, ids=str)
async def test_the_same_again_gets_the_first_answer_and_changes_nothing(
    shelf: Shelf, example: Example, row: str, is_in_header: bool
) -> None:
    filled = await shelf.filled(example)
    bare = without_key(filled.body)
    key = f"again-{next(_numbers)}"
    body = json.dumps(bare if is_in_header else _with_member(filled.body, key))
    headers = {**JSON, HEADER: key} if is_in_header else JSON
    first = await shelf.send(filled, body, headers)
    after = shelf.fingerprint()
    again = await shelf.send(filled, body, headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.text.replace('"replayed":true', '"replayed":false') == first.text
    assert shelf.fingerprint() == after


@of_rows(33)
@pytest.mark.parametrize("example", KEYED, ids=str)
async def test_the_same_key_for_something_else_is_refused(shelf: Shelf, example: Example, row: str) -> None:
    filled, other = await shelf.filled(example), await shelf.filled(example)
    key = f"twice-{next(_numbers)}"
    first = await shelf.send(filled, json.dumps(_with_member(filled.body, key)))
    assert first.status_code == 200, first.text
    after = shelf.fingerprint()
    answer = await shelf.send(other, json.dumps(_changed(_with_member(other.body, key))))
    assert complaints(answer, 422) == []
    assert answer.json()["type"] == "urn:oneshelf:problem:key-reused"
    assert shelf.fingerprint() == after


@of_rows(34)
@pytest.mark.parametrize("example", KEYED, ids=str)
async def test_the_same_at_the_same_time_is_done_once_and_told_to_all(shelf: Shelf, example: Example, row: str) -> None:
    filled = await shelf.filled(example)
    body = json.dumps(filled.body)
    answers = await asyncio.gather(*(shelf.send(filled, body) for _ in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert sorted(answer.headers.get("idempotent-replayed", "false") for answer in answers) == ["false", *["true"] * 3]
    assert len({answer.text.replace('"replayed":true', '"replayed":false') for answer in answers}) == 1


@of_rows(35)
@pytest.mark.parametrize("example", KEYED, ids=str)
async def test_a_key_that_is_none_is_refused(shelf: Shelf, example: Example, row: str) -> None:
    filled = await shelf.filled(example)
    bare = json.dumps(without_key(filled.body))
    before, failed = shelf.fingerprint(), []
    for name, key in WRONG_KEYS.items():
        answers = [await shelf.send(filled, json.dumps(_with_member(filled.body, key)))]
        # What has a line break in it never is a header on the wire; the tests of the wire say what becomes of it.
        if not {"\r", "\n", "\x00"} & set(key):
            headers: Headers = [*JSON.items(), (HEADER, key.encode())]
            answers.append(await shelf.send(filled, bare, headers))
        for answer in answers:
            failed += [f"{name}: {words}" for words in complaints(answer, 400)]
    twice: Headers = [*JSON.items(), (HEADER, b"one"), (HEADER, b"two")]
    failed += [f"two keys: {words}" for words in complaints(await shelf.send(filled, bare, twice), 400)]
    differing = await shelf.send(filled, json.dumps(filled.body), {**JSON, HEADER: "another"})
    failed += [f"another in the header: {words}" for words in complaints(differing, 400)]
    assert failed == []
    assert shelf.fingerprint() == before
