"""The query of a bulk operation: what Shopify refuses of it, and the lines that it comes to.

The words of the refusals are recorded of a real shop with the Admin API 2026-04, April to July 2026.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    execute_sync,
    get_named_type,
    parse,
    validate,
    visit,
)

from oneshelf.connectors.shopify.simulator_schema import SCHEMA

CONNECTIONS_MOST = 5
DEPTH_MOST = 2
QUERY_BYTES_MOST = 65_535


class RefusedQueryError(Exception):
    """`words`: one line for each thing that is wrong with the query."""

    def __init__(self, *words: str) -> None:
        super().__init__("; ".join(words))
        self.words = words


def checked(text: str) -> DocumentNode:
    """The query, fit to be run. Raises RefusedQueryError."""
    try:
        document = parse(text)
    except GraphQLSyntaxError as problem:
        words = "syntax error, unexpected end of file" if not text.strip() else problem.message
        raise RefusedQueryError(f"Invalid bulk query: {words}") from None
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if any(operation.operation is not OperationType.QUERY for operation in operations):
        raise RefusedQueryError("Invalid operation type. Only `query` operations are supported.")
    roots = [node.name.value for node in operations[0].selection_set.selections if isinstance(node, FieldNode)]
    problems = validate(SCHEMA, document) if roots != ["node"] else []
    if problems:
        raise RefusedQueryError(f"Invalid bulk query: {problems[0].message}")
    found = _Connections()
    info = TypeInfo(SCHEMA)
    found.info = info
    visit(document, TypeInfoVisitor(info, found))
    refusals = list(_refusals(found, roots, size=len(text.encode())))
    if refusals:
        raise RefusedQueryError(*refusals)
    return document


def _refusals(found: _Connections, roots: list[str], *, size: int) -> Iterator[str]:
    if roots and roots[0] in {"node", "nodes"}:
        yield f"Bulk queries cannot contain a top level `{roots[0]}` field."
    if found.without_edges:
        yield (
            "All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: 'products { "
            "edges { node {'. Selecting via 'nodes' is not supported. Invalid connection fields: "
            f"'{', '.join(found.without_edges)}'."
        )
    if found.depth_most > DEPTH_MOST:
        yield f"Bulk queries cannot contain connections with a nesting depth greater than {DEPTH_MOST}."
    if found.count > CONNECTIONS_MOST:
        yield f"Bulk queries cannot contain more than {CONNECTIONS_MOST} connections."
    if found.without_id:
        yield (
            "The parent 'node' field for a nested connection must select the 'id' field without an alias and must be "
            f"of 'ID' return type. Connection fields without 'id': {', '.join(found.without_id)}."
        )
    if not found.count:
        yield "Bulk queries must contain at least one connection."
    if size > QUERY_BYTES_MOST:
        yield "Query is too large"


class _Connections(Visitor):
    """Walks through a query, and notes its connections."""

    info: TypeInfo

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.depth_most = 0
        self.without_edges: list[str] = []
        self.without_id: list[str] = []
        self._open: list[FieldNode] = []

    def enter_field(self, node: FieldNode, *_place: object) -> None:
        if not self._is_connection():
            return
        self.count += 1
        if self._open:
            parent = self._open[-1]
            if "id" not in _names(parent, "edges", "node") and parent.name.value not in self.without_id:
                self.without_id.append(parent.name.value)
        self._open.append(node)
        self.depth_most = max(self.depth_most, len(self._open))
        if "edges" not in _names(node):
            self.without_edges.append(node.name.value)

    def leave_field(self, node: FieldNode, *_place: object) -> None:
        if self._open and self._open[-1] is node:
            self._open.pop()

    def _is_connection(self) -> bool:
        kind = self.info.get_type()
        return kind is not None and get_named_type(kind).name.endswith("Connection")


def _names(node: FieldNode, *path: str) -> list[str]:
    """The names of the fields that are selected at the end of a path below this one."""
    selections = node.selection_set.selections if node.selection_set else ()
    fields = [each for each in selections if isinstance(each, FieldNode)]
    if not path:
        return [each.name.value for each in fields]
    return next((_names(each, *path[1:]) for each in fields if each.name.value == path[0]), [])


def lines_of(document: DocumentNode, roots: Mapping[str, Any]) -> list[list[bytes]]:
    """The lines of each root object, its own first: what is behind a connection has lines of its own, which name it.

    `roots`: root field -> its connection, as far as it is to be written now.
    """
    result = execute_sync(SCHEMA, document, root_value=roots)
    if result.errors or result.data is None:
        raise ValueError(f"a bulk query that was checked cannot be run: {result.errors}")
    return [
        [_line(each) for each in _objects(edge["node"], None)]
        for connection in result.data.values()
        for edge in connection["edges"]
    ]


def _objects(node: dict[str, Any], parent: str | None) -> Iterator[dict[str, Any]]:
    children = {name: value for name, value in node.items() if isinstance(value, dict) and "edges" in value}
    own = {name: value for name, value in node.items() if name not in children}
    yield own if parent is None else {**own, "__parentId": parent}
    for connection in children.values():
        for edge in connection["edges"]:
            yield from _objects(edge["node"], node["id"])


def _line(written: Mapping[str, Any]) -> bytes:
    """Recorded: slashes are escaped, and every line ends."""
    return msgspec.json.encode(written).replace(b"/", b"\\/") + b"\n"
