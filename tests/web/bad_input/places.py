"""Every place of an example at which something wrong can be said, found by its JSON schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from web.bad_input.routes import document

Step = str | int
_HERE = "wrong goes here"


class Place(NamedTuple):
    """A member or item of an example. `schema` is resolved and without null; `may_be_null`: null is right there."""

    path: tuple[Step, ...]
    schema: dict[str, Any]
    is_required: bool = True
    may_be_null: bool = False

    def __str__(self) -> str:
        return ".".join(str(step) for step in self.path) or "the body"

    @property
    def kind(self) -> str:
        """`integer`, `string`, `boolean`, `array`, `object`; or `word` for one of some words."""
        if "enum" in self.schema or "const" in self.schema:
            return "word"
        return str(self.schema["type"])

    @property
    def is_key(self) -> bool:
        return bool(self.path) and self.path[-1] == "key"


def places(example: object, schema: dict[str, Any]) -> list[Place]:
    """All places, the whole body first."""
    return list(_walk(example, schema, (), is_required=True))


def _walk(value: object, schema: dict[str, Any], path: tuple[Step, ...], *, is_required: bool) -> Iterator[Place]:
    schema, may_be_null = _resolved(value, schema)
    yield Place(path, schema, is_required, may_be_null)
    if isinstance(value, dict):
        members, needed = schema.get("properties", {}), schema.get("required", ())
        unknown = value.keys() - members.keys()
        assert not unknown, f"{path}: the example says {unknown}, which no body has"
        for name, member in value.items():
            yield from _walk(member, members[name], (*path, name), is_required=name in needed)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _walk(item, schema["items"], (*path, at), is_required=True)


def _resolved(value: object, schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The schema itself behind references and choices, and whether null is one of the choices."""
    may_be_null = False
    while True:
        if "$ref" in schema:
            referred = document()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
            schema = {**referred, **{name: one for name, one in schema.items() if name != "$ref"}}
        elif "discriminator" in schema and isinstance(value, dict):
            mapping = schema["discriminator"]["mapping"]
            schema = {"$ref": mapping[value[schema["discriminator"]["propertyName"]]]}
        elif "anyOf" in schema:
            [chosen] = [one for one in schema["anyOf"] if one.get("type") != "null"]
            schema, may_be_null = chosen, True
        else:
            return schema, may_be_null


def with_text(example: object, path: Sequence[Step], text: str) -> str:
    """The JSON of the example, with this text in place of the value at `path`."""
    return json.dumps(_replaced(example, list(path), _HERE), ensure_ascii=False).replace(json.dumps(_HERE), text, 1)


def without(example: object, path: Sequence[Step]) -> str:
    """The JSON of the example without the member at `path`."""
    *above, name = path
    container = value_at(example, above)
    assert isinstance(container, dict)
    rest = {member: value for member, value in container.items() if member != name}
    return json.dumps(_replaced(example, above, rest), ensure_ascii=False)


def value_at(example: Any, path: Sequence[Step]) -> Any:
    for step in path:
        example = example[step]
    return example


def _replaced(value: Any, path: list[Step], new: object) -> Any:
    if not path:
        return new
    step, *rest = path
    if isinstance(value, dict):
        return {name: _replaced(member, rest, new) if name == step else member for name, member in value.items()}
    return [_replaced(item, rest, new) if at == step else item for at, item in enumerate(value)]
