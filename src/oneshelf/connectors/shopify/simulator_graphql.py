"""One GraphQL request to the simulated Admin API, refused in Shopify's order and words, or executed.

The order: syntax, schema, variables, then the rules that Shopify checks at run time, each with the shape of error
that was recorded for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    execute_sync,
    get_argument_values,
    get_directive_values,
    get_variable_values,
    parse,
    print_ast,
    type_from_ast,
    validate,
)
from graphql.execution.values import VariableValues
from graphql.utilities import validate_input_value

from oneshelf.connectors.shopify.simulator_cost import MUTATION_COST, requested_cost
from oneshelf.connectors.shopify.simulator_schema import IDEMPOTENT, MUTATIONS, SCHEMA

ARRAY_LENGTH_MAX = 250

# The list in the input of a mutation, and the type that has to carry what is compared.
_LISTS = {
    "inventorySetQuantities": ("quantities", "InventoryQuantityInput"),
    "inventoryAdjustQuantities": ("changes", "InventoryChangeInput"),
    "inventoryMoveQuantities": ("changes", "InventoryMoveQuantityTerminalInput"),
}

_UNKNOWN_FIELD = re.compile(r"Cannot query field '(\w+)' on type '(\w+)'")
_GLOBAL_ID = re.compile(r"gid://[A-Za-z0-9-]+/[A-Za-z]+/[0-9]+(?:\?.*)?", re.ASCII)
_NOT_DEFINED = re.compile(r"Expected value of type '(\w+)!?' not to include unknown field '(\w+)'")


@dataclass(frozen=True, slots=True)
class MutationCall:
    """One mutating field with its arguments and its idempotency key; empty: it takes none."""

    root: str
    arguments: Mapping[str, Any]
    key: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that is ready to be executed, with the most that it can cost. `call` is None for a query."""

    document: DocumentNode
    raw_variables: Mapping[str, Any]
    cost: int
    call: MutationCall | None


class RefusedRequestError(Exception):
    """The answer to a request that is not executed."""

    def __init__(self, *errors: Mapping[str, Any], root: str | None = None) -> None:
        super().__init__(errors)
        self.answer: dict[str, Any] = {"errors": list(errors)}
        if root is not None:
            self.answer["data"] = {root: None}


@lru_cache(maxsize=64)
def _checked(text: str) -> tuple[DocumentNode, tuple[GraphQLError, ...]]:
    document = parse(text)
    return document, tuple(validate(SCHEMA, document))


def prepared(text: object, raw_variables: object) -> Prepared:
    """Raises RefusedRequestError with the answer to send."""
    if not isinstance(text, str) or not isinstance(raw_variables, dict | None):
        raise RefusedRequestError({"message": "query must be text and variables an object"})
    try:
        document, problems = _checked(text)
    except GraphQLSyntaxError as problem:
        raise RefusedRequestError(_error(problem.message, problem, None)) from None
    if problems:
        raise RefusedRequestError(*(_schema_error(problem) for problem in problems))
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    raw = raw_variables or {}
    variables = _coerced(operation, raw)
    fragments = {n.name.value: n for n in document.definitions if isinstance(n, FragmentDefinitionNode)}
    cost = requested_cost(operation.selection_set, fragments, raw)
    call = None
    if operation.operation is OperationType.MUTATION:
        fields = [node for node in operation.selection_set.selections if isinstance(node, FieldNode)]
        if len(fields) != 1:
            raise RefusedRequestError({"message": "this simulator takes one mutation per request"})
        call = _checked_call(fields[0], variables)
        cost += MUTATION_COST
    return Prepared(document, raw, cost, call)


def executed(request: Prepared, root: object) -> dict[str, Any]:
    """The answer. `root` has a member per root field, called with the field's arguments."""
    result = execute_sync(SCHEMA, request.document, root_value=root, variable_values=dict(request.raw_variables))
    answer: dict[str, Any] = {"data": result.data}
    if result.errors:
        answer["errors"] = [_error(e.message, e, "INTERNAL_SERVER_ERROR") for e in result.errors]
    return answer


# Refusals ------------------------------------------------------------------------------------------------------


def _error(message: str, where: GraphQLError, code: str | None) -> dict[str, Any]:
    error: dict[str, Any] = {"message": message}
    if where.locations:
        error["locations"] = [{"line": at.line, "column": at.column} for at in where.locations]
    if where.path:
        error["path"] = list(where.path)
    if code:
        error["extensions"] = {"code": code}
    return error


def _schema_error(problem: GraphQLError) -> dict[str, Any]:
    text = problem.message
    unknown = _UNKNOWN_FIELD.search(text)
    if unknown:
        message = f"Field '{unknown[1]}' doesn't exist on type '{unknown[2]}'"
        return _error(message, problem, "undefinedField")
    if "@idempotent" in text and "is required" in text:
        message = "Directive 'idempotent' is missing required arguments: key"
        return _error(message, problem, "missingRequiredArguments")
    if "@idempotent" in text and "may not be used" in text:
        message = "'@idempotent' can't be applied to mutations (allowed: fields)"
        return _error(message, problem, "directiveCannotBeApplied")
    return _error(text, problem, "argumentLiteralsIncompatible")


def _coerced(operation: OperationDefinitionNode, raw: Mapping[str, Any]) -> VariableValues:
    values = get_variable_values(SCHEMA, operation.variable_definitions or [], dict(raw))
    if isinstance(values, VariableValues):
        _check_ids(operation, raw)
        return values
    for definition in operation.variable_definitions or []:
        name = definition.variable.name.value
        type_ = type_from_ast(SCHEMA, definition.type)
        problems: list[dict[str, Any]] = []

        def note(error: GraphQLError, path: list[str | int], into: list[dict[str, Any]] = problems) -> None:
            into.append(_problem(error.message, path))

        validate_input_value(raw.get(name), type_, note)  # type: ignore[arg-type]  # typed too narrowly there
        if problems:
            places = ", ".join(f"{'.'.join(map(str, each['path']))} ({each['explanation']})" for each in problems)
            error = GraphQLError("", definition)
            refusal = _error(f"Variable ${name} of type {type_} was provided invalid value for {places}", error, None)
            refusal["extensions"] = {"code": "INVALID_VARIABLE", "value": raw.get(name), "problems": problems}
            raise RefusedRequestError(refusal)
    raise RefusedRequestError(*(_error(each.message, each, "INVALID_VARIABLE") for each in values))


def _check_ids(operation: OperationDefinitionNode, raw: Mapping[str, Any]) -> None:
    """One text that is no global id refuses the whole request."""
    for definition in operation.variable_definitions or []:
        name, type_text = definition.variable.name.value, print_ast(definition.type)
        if type_text.strip("[]!") != "ID":
            continue
        given = raw.get(name)
        listed = given if isinstance(given, list) else [given] if given is not None else []
        for index, value in enumerate(listed):
            if _GLOBAL_ID.fullmatch(str(value)) is None:
                problem = {"path": [index], "explanation": f"Invalid global id '{value}'"}
                words = f"Variable ${name} of type {type_text} was provided invalid value for {index}"
                error = _error(f"{words} ({problem['explanation']})", GraphQLError("", definition), None)
                error["extensions"] = {"code": "INVALID_VARIABLE", "value": given, "problems": [problem]}
                raise RefusedRequestError(error)


def _problem(message: str, path: list[str | int]) -> dict[str, Any]:
    undefined = _NOT_DEFINED.search(message)
    if undefined:
        return {"path": [*path, undefined[2]], "explanation": f"Field is not defined on {undefined[1]}"}
    is_missing = "non-null" in message or "required" in message
    return {"path": list(path), "explanation": "Expected value to not be null" if is_missing else message}


def _checked_call(field: FieldNode, variables: VariableValues) -> MutationCall:
    """What the schema lets pass and Shopify refuses since 2026-04, in the order in which it does."""
    root = field.name.value
    arguments = get_argument_values(MUTATIONS[root], field, variables)
    if root.startswith(("webhookSubscription", "bulkOperation")):
        return MutationCall(root, arguments, key="")
    where = GraphQLError("", field)
    list_name, type_name = _LISTS.get(root, ("", ""))
    rows = arguments["input"][list_name] if list_name else []
    compared = [each for row in rows for each in ((row["from"], row["to"]) if "from" in row else (row,))]
    if any("changeFromQuantity" not in each for each in compared):
        message = f"{type_name} must include the following argument: changeFromQuantity."
        error = _error(message, where, "INVALID_FIELD_ARGUMENTS")
        raise RefusedRequestError({**error, "path": [root]}, root=root)
    given = get_directive_values(IDEMPOTENT, field, variables)
    message = "The @idempotent directive is required for this mutation but was not provided."
    if given is not None:
        message = "The idempotency key cannot be an empty string or whitespace only."
    if given is None or not given["key"].strip():
        error = _error(message, where, "BAD_REQUEST")
        raise RefusedRequestError({**error, "path": [root]}, root=root)
    if len(rows) > ARRAY_LENGTH_MAX:
        found = f"The input array size of {len(rows)}"
        message = f"{found} is greater than the maximum allowed of {ARRAY_LENGTH_MAX}."
        error = _error(message, where, "MAX_INPUT_SIZE_EXCEEDED")
        raise RefusedRequestError({**error, "path": [root, "input", list_name]})
    return MutationCall(root, arguments, given["key"])
