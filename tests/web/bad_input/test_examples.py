"""Every route has a right example, or these tests say which one is missing."""

from __future__ import annotations

from collections import defaultdict

import pytest

from web.bad_input.examples import EXAMPLES, Example
from web.bad_input.places import places, value_at
from web.bad_input.routes import body_of, described, document, undescribed, writing
from web.bad_input.shelf import Shelf

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_no_route_is_hidden_from_these_tests() -> None:
    assert list(undescribed()) == []


async def test_every_route_that_changes_something_has_an_example() -> None:
    examples = {example.route for example in EXAMPLES}
    for one in writing():
        assert one.body is not None, f"{one} does not say in /openapi.json what its body is"
        assert (one.method, one.path) in examples, f"{one} needs a right request in tests/web/bad_input/examples.py"
    gone = examples - {(one.method, one.path) for one in described()}
    assert not gone, f"tests/web/bad_input/examples.py has examples for {gone}, which is no route"


async def test_every_type_of_command_has_an_example() -> None:
    items = document()["components"]["schemas"]["CommandsIn"]["properties"]["commands"]["items"]
    types = set(items["discriminator"]["mapping"])
    there = {example.name for example in EXAMPLES if example.path == "/v1/commands"}
    assert types - there == set(), "these commands need a right request in tests/web/bad_input/examples.py"


async def test_every_member_of_every_body_is_in_some_example() -> None:
    said: dict[tuple[object, ...], set[str]] = defaultdict(set)
    there: dict[tuple[object, ...], set[str]] = {}
    for example in EXAMPLES:
        for place in places(example.body, body_of(example)):
            if place.kind == "object":
                where = (example.route, example.name, place.path)
                said[where] |= value_at(example.body, place.path).keys()
                there[where] = set(place.schema.get("properties", {}))
    # A cancellation has the members of a shipment, but nothing happens late in it.
    there[("POST", "/v1/commands"), "cancel", ("commands", 0)].discard("happened_at")
    # A rule is for a SKU or for a group, never for both.
    for (route, name, path), names in there.items():
        if (
            route in {("PUT", "/v1/policies"), ("DELETE", "/v1/policies"), ("POST", "/v1/policies/preview")}
            and not path
        ):
            names.discard("sku" if name == "of a group" else "sku_group")
    unsaid = {where: names - said[where] for where, names in there.items() if names - said[where]}
    assert unsaid == {}, "name these members in tests/web/bad_input/examples.py"


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
async def test_the_right_request_is_taken(shelf: Shelf, example: Example) -> None:
    filled = await shelf.filled(example)
    answer = await shelf.client.request(filled.method, filled.address, json=filled.body)
    assert answer.status_code == 200, answer.text
