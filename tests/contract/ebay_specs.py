"""eBay's own contracts, and whether a request or an answer obeys them.

The contracts are not part of the project. Point ONESHELF_SPECS at a folder with `ebay/*` to use this.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import jsonschema
import msgspec
import yaml
from lxml import etree
from starlette.routing import BaseRoute, Route

from connectors.amazon.harness import Exchange
from oneshelf.connectors import ebay

NAMESPACE = "urn:ebay:apis:eBLBaseComponents"
TRADING = "trading_v1379_subset.xsd"
OPENAPI = (
    "sell_inventory_v1_oas3.json",
    "sell_fulfillment_v1_oas3.json",
    "sell_feed_v1_oas3.json",
    "developer_analytics_v1_beta_oas3.json",
    "commerce_notification_v1.5.1_oas3.yml",
)
TOPICS = {
    "MARKETPLACE_ACCOUNT_DELETION": "ebay-market-account-deletion-asyncapi-original.yml",
    "AUTHORIZATION_REVOCATION": "ebay-authorization-revocation-asyncapi-original.yml",
}
VECTORS = "notification_signature_vectors.json"


def folder() -> Path:
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "specs"
    return Path(os.environ.get("ONESHELF_SPECS", beside)) / "ebay"


def are_here() -> bool:
    names = (*OPENAPI, TRADING, VECTORS, *(f"asyncapi/{name}" for name in TOPICS.values()))
    return all((folder() / name).is_file() for name in names)


ABSENT = "eBay's contracts are not here: set ONESHELF_SPECS to a folder that holds ebay/*"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a REST contract. `pattern` matches the whole path."""

    name: str
    method: str
    pattern: re.Pattern[str]
    schemas: dict[str, Any] = field(repr=False)
    contract: dict[str, Any] = field(repr=False)

    def success(self) -> dict[str, Any] | None:
        """The schema of the one success that has any; None: none has, though the contract may have forgotten it."""
        for status in ("200", "201", "202"):
            found = self.schema_of(status)
            if found is not None:
                return found
        return None

    def schema_of(self, status: str) -> dict[str, Any] | None:
        content = self.contract["responses"].get(status, {}).get("content") or {}
        schema: dict[str, Any] | None = content.get("application/json", {}).get("schema")
        return schema

    def check(self, schema: dict[str, Any], document: object) -> None:
        """Raises where the document breaks the schema, or has a member that the schema does not know."""
        bare = {name: value for name, value in schema.items() if name != "description"}
        jsonschema.Draft202012Validator({**bare, "components": {"schemas": self.schemas}}).validate(document)


@cache
def operations() -> tuple[Operation, ...]:
    return tuple(operation for name in OPENAPI for operation in _read(folder() / name))


def _read(path: Path) -> Iterator[Operation]:
    model = yaml.safe_load(path.read_bytes()) if path.suffix == ".yml" else msgspec.json.decode(path.read_bytes())
    base = model["servers"][0]["variables"]["basePath"]["default"]
    schemas = closed(model["components"]["schemas"])
    for template, methods in model["paths"].items():
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", base + template) + "$")
        for method, contract in methods.items():
            if method in {"get", "put", "post", "delete"}:
                yield Operation(contract["operationId"], method.upper(), pattern, schemas, contract)


def closed(node: Any) -> Any:
    """Schemas with every object closed, so that a member that eBay does not know is found."""
    if isinstance(node, list):
        return [closed(member) for member in node]
    if not isinstance(node, dict):
        return node
    inner = {name: closed(member) for name, member in node.items()}
    if isinstance(inner.get("properties"), dict) and inner.get("type") == "object":
        inner.setdefault("additionalProperties", False)
    return inner


def operation_of(exchange: Exchange) -> Operation:
    """Raises where eBay has no such operation."""
    return operation_at(exchange.request.method, exchange.request.url.raw_path.split(b"?")[0].decode())


def operation_at(method: str, path: str) -> Operation:
    """Raises where eBay has no such operation. Of two that match, the one with fewer places to fill."""
    matching = [one for one in operations() if one.method == method and one.pattern.match(path)]
    if not matching:
        raise AssertionError(f"eBay has no operation {method} {path}")
    return min(matching, key=lambda one: one.pattern.groups)


def called_by_the_connector() -> set[str]:
    """Operations and Trading calls that the connector names in its code, simulator apart."""
    modules = Path(ebay.__file__).parent.glob("*.py")
    code = "\n".join(one.read_text() for one in modules if not one.name.startswith("simulator"))
    named = set(re.findall(r'"([A-Za-z]+)"', code))
    return named & ({one.name for one in operations()} | trading()[1])


def answered_by(routes: Iterable[BaseRoute]) -> set[str]:
    """Operations that these routes serve."""
    templates = [(method, one.path) for one in routes if isinstance(one, Route) for method in one.methods or ()]
    served = [(method, re.sub(r"\{[^}]+\}", "x", path)) for method, path in templates if method != "HEAD"]
    return {operation_at(*one).name for one in served if any(known.pattern.match(one[1]) for known in operations())}


# REST -------------------------------------------------------------------------------------------------------------


def check_request(exchange: Exchange) -> str:
    """The operation's name. Raises where the request breaks its contract."""
    operation, request = operation_of(exchange), exchange.request
    told = parse_qsl(request.url.query.decode(), keep_blank_values=True)
    assert len(dict(told)) == len(told), "a parameter is given twice"
    known = {one["name"]: one for one in operation.contract.get("parameters", [])}
    names = {name for name, one in known.items() if one["in"] == "query"}
    assert {name for name, _value in told} <= names, f"{operation.name} takes {names}"
    for name, one in known.items():
        if one["in"] == "header" and one.get("required"):
            assert request.headers.get(name), f"the header {name} is required"
    body = operation.contract.get("requestBody", {}).get("content", {}).get("application/json")
    if body is None:
        assert exchange.sent in {b"", b"{}"}, "no body is known"
    else:
        operation.check(body["schema"], msgspec.json.decode(exchange.sent))
    match = operation.pattern.match(request.url.raw_path.split(b"?")[0].decode())
    assert match is not None
    assert all(unquote(value) for value in match.groupdict().values())
    assert request.headers["authorization"].startswith("Bearer ")
    return operation.name


# What no contract lists, because it is the same for all APIs, or was observed: no token, no scope, no length, too many.
OF_ALL = frozenset({401, 403, 411, 429})
# Calls whose 207 has the document of their 200, as their guides show.
MULTI_STATUS = frozenset({"bulkUpdatePriceQuantity", "bulkGetInventoryItem"})


def check_answer(exchange: Exchange) -> int:
    """The status. Raises where the answer breaks its contract; errors have one shape at all APIs."""
    operation, status = operation_of(exchange), exchange.response.status_code
    assert status in OF_ALL or str(status) in operation.contract["responses"], f"{operation.name} answers no {status}"
    if status >= 400:
        document = msgspec.json.decode(exchange.received)
        assert set(document) == {"errors"}
        assert document["errors"]
        for error in document["errors"]:
            operation.check({"$ref": "#/components/schemas/Error"}, error)
            assert {"errorId", "domain", "category", "message"} <= set(error)
        return status
    declared = operation.schema_of(str(status))
    schema = operation.success() if status == 207 and operation.name in MULTI_STATUS else declared
    if schema is None:
        is_file = exchange.response.headers.get("content-type") == "application/octet-stream"
        assert is_file or exchange.received == b"", f"{operation.name} answers {status} with nothing"
        return status
    operation.check(schema, msgspec.json.decode(exchange.received))
    return status


# Trading ----------------------------------------------------------------------------------------------------------


@cache
def trading() -> tuple[etree.XMLSchema, frozenset[str]]:
    """The schema, and the calls of which it knows request and answer."""
    tree = etree.parse(str(folder() / TRADING))
    names = {one.get("name", "") for one in tree.getroot() if one.tag.endswith("}element")}
    calls = {name.removesuffix("Request") for name in names if name.endswith("Request")}
    return etree.XMLSchema(tree), frozenset(call for call in calls if f"{call}Response" in names)


def check_xml(content: bytes, *, root: str) -> bool:
    """Whether the schema knows this element; raises where it breaks the schema."""
    schema, calls = trading()
    document = etree.fromstring(content)
    assert document.tag == f"{{{NAMESPACE}}}{root}"
    if root.removesuffix("Request").removesuffix("Response") not in calls:
        return False
    schema.assertValid(document)
    return True


# Notifications ----------------------------------------------------------------------------------------------------


@cache
def topic(name: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The schema of a topic's payload and all schemas beside it; None: there is none for this topic."""
    if name not in TOPICS:
        return None
    # "false" in quotes is no boolean, and stands as a default only.
    model = yaml.safe_load((folder() / "asyncapi" / TOPICS[name]).read_bytes())
    return closed(model["components"]["messages"]["message"]["payload"]), closed(model["components"]["schemas"])


def check_notification(body: bytes) -> bool:
    """Whether there is a contract of this topic; raises where the notification breaks it."""
    document = msgspec.json.decode(body)
    found = topic(document["metadata"]["topic"])
    if found is None:
        return False
    payload, schemas = found
    jsonschema.Draft202012Validator({**payload, "components": {"schemas": schemas}}).validate(document)
    return True
