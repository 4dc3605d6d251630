"""What is said wrong at a place, by the row that it belongs to. Each is the text of some JSON, right or not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from web.bad_input.places import Place, value_at, with_text, without

UNITS_MAX = 1_000_000_000
INVISIBLE = {
    "NUL": "\x00",
    "tabulator": "\t",
    "line break": "\n",
    "escape": "\x1b",
    "group separator": "\x1d",
    "next line": "\x85",
    "zero-width space": "\u200b",
    "zero-width joiner": "\u200d",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "grapheme joiner": "\u034f",
    "Hangul filler": "\u3164",
    "right to left": "\u202e",
    "isolate": "\u2066",
    "line separator": "\u2028",
    "tag": "\U000e0041",
    "private": "\ue000",
    "unassigned": "\u0378",
}
# Instants that are none, by row: without a zone; and those that no calendar or no database knows.
ZONELESS = ("2026-11-23T10:00:00", "2026-11-23", "2026-11-23 10:00")
IMPOSSIBLE = (
    "2026-02-30T00:00:00Z",
    "2026-11-23T10:00:60Z",
    "2026-11-23T10:00:00+24:01",
    "9999-12-31T23:59:59-23:59",
    "0000-01-01T00:00:00Z",
    "1000000000000000000",
    "yesterday",
    "",
)


class Wrong(NamedTuple):
    """A whole body that is wrong in one way. `status`: the right answer to it."""

    row: str
    name: str
    body: str
    status: int


# What nothing can read is not read anywhere: it is said for the whole body, at numbers, and at the last place.
_READ_ALIKE = {"2", "4", "11", "15", "23"}


def wrongs_of(example: Any, found: Sequence[Place], row: str) -> list[Wrong]:
    """Everything wrong of this row that can be said at the places of an example."""
    if row in _READ_ALIKE:
        numbers = [place for place in found if place.kind == "integer" and row != "15"]
        found = [found[0], *numbers, found[-1]]
    return [wrong for place in found for wrong in _at(example, place, row)]


def _at(example: Any, place: Place, wanted: str) -> Iterator[Wrong]:
    for row, name, text, status in _said(example, place, wanted):
        if row != wanted:
            continue
        # A wrong key is unreadable: without a right one nothing can be made safe. No text at all may be so long.
        right_status = 400 if place.is_key and status == 422 and "5000" not in name else status
        yield Wrong(row, f"{place}: {name}", with_text(example, place.path, text), right_status)
    if wanted == "b" and place.is_required and place.path and isinstance(place.path[-1], str):
        yield Wrong("b", f"{place}: missing", without(example, place.path), 422)


# row, name, text, status
_Said = tuple[str, str, str, int]


def _said(example: Any, place: Place, wanted: str) -> Iterator[_Said]:
    # What is large is made only where it is wanted.
    if wanted == "15":
        yield from _deep(place)
    elif wanted == "16":
        if place.kind == "array":
            yield from _many(value_at(example, place.path)[0])
    else:
        yield from _unreadable(place)
        yield from _of_kind(example, place)


def _unreadable(place: Place) -> Iterator[_Said]:
    """What can stand nowhere in JSON, or nowhere in ours."""
    for text in ("NaN", "Infinity", "-Infinity", "1e400", "-1e400"):
        yield "4", text, text, 400
    yield "11", "4,301 digits", "9" * 4301, 400
    yield "11", "4,301 digits below zero", "-" + "9" * 4301, 400
    if not (place.path and isinstance(place.path[-1], int)):
        yield "2", "nothing", "", 400
    yield "2", "a word", "units", 400
    for half in ("\\ud800", "\\udfff", "a\\udc00b"):
        yield "23", half, f'"{half}"', 400


def _deep(place: Place) -> Iterator[_Said]:
    for deep in (33, 100_000):
        yield "15", f"{deep} deep", "[" * deep + "]" * deep, 400
        yield "15", f"{deep} objects deep", '{"a":' * deep + "1" + "}" * deep, 400


def _many(item: object) -> Iterator[_Said]:
    line = json.dumps(item, ensure_ascii=False)
    yield "16", "100,000 empty lines", "[" + ",".join(["{}"] * 100_000) + "]", 422
    yield "16", "10,001 lines", "[" + ",".join([line] * 10_001) + "]", 422
    yield "16", "100,000 lines", "[" + ",".join([line.ljust(60)] * 100_000) + "]", 413


def _of_kind(example: Any, place: Place) -> Iterator[_Said]:
    if not place.may_be_null:
        yield "d", "null", "null", 422
    match place.kind:
        case "integer":
            yield from _numbers(place)
        case "string" if place.schema.get("format") == "date-time":
            yield from _instants()
        case "string" | "word":
            yield from _texts(place)
        case "boolean":
            yield from _flags()
        case "array":
            yield from _lists(place)
        case "object":
            yield from _objects(value_at(example, place.path))
        case kind:
            raise AssertionError(f"{place}: nobody has said yet what is wrong for {kind}")


def _numbers(place: Place) -> Iterator[_Said]:
    least, most = place.schema.get("minimum", 0), place.schema.get("maximum", 0)
    wrong = {
        "5": [text for text in ("-1", "-0.5", "0") if float(text) < least],
        "6": ["1.5", "0.1", "1e-3"],
        "7": ["1.0", "1e2", "5E0"],
        "8": ['"5"', '""', '"five"'],
        "9": ["true", "false"],
        "10": ["1000000000000", "-1000000000000", str(UNITS_MAX + 1)],
        "12": [str(sign * 2**power) for power in (31, 53, 63, 64) if 2**power > most for sign in (1, -1)],
        "30": ['"\u0665"', '"7_0"', '" 7 "', '"\uff17"', '"+7"'],
        "d": ["[5]", "{}"],
    }
    for row, texts in wrong.items():
        for text in texts:
            yield row, ascii(text), text, 422
    for text in ("\u0665", "7_0", "+7", "07", "0x7", "7."):
        yield "30", ascii(text), text, 400


def _texts(place: Place) -> Iterator[_Said]:
    for text in ("5", "true", "[]", '["a"]', "{}", "1.5"):
        yield "d", text, text, 422
    if place.kind == "word":
        for text in ('"steal"', '""', '"__proto__"', '"<script>alert(1)</script>"', json.dumps("x" * 3_900)):
            yield "d", text[:30], text, 422
        return
    yield "24", "NUL", '"A\\u0000B"', 422
    yield "24", "NUL behind", '"A\\u0000"', 422
    yield "24", "NUL alone", '"\\u0000"', 422
    for name, character in INVISIBLE.items():
        yield "26", name, json.dumps(f"A{character}B"), 422
    longest = place.schema.get("maxLength", 36)
    yield "c", f"{longest + 1} characters", json.dumps("x" * (longest + 1)), 422
    yield "c", "5000 characters", json.dumps("x" * 5000), 422
    yield "c", "5000 characters of four bytes", json.dumps("\U0001f375" * 5000), 422
    if place.schema.get("minLength", 1) > 0:
        yield "c", "empty", '""', 422
        yield "c", "blank", '" "', 422
    if place.schema.get("format") == "uuid":
        for text in ("7", "\u0665" * 32, "0" * 31, "../../etc/passwd"):
            yield "c", ascii(text), json.dumps(text), 422


def _instants() -> Iterator[_Said]:
    for text in ZONELESS:
        yield "28", text, json.dumps(text), 422
    for text in IMPOSSIBLE:
        yield "29", text, json.dumps(text), 422
    for text in ("1000000000000000", "true", "[]", "1.5"):
        yield "29", text, text, 422


def _flags() -> Iterator[_Said]:
    for text in ('"true"', '"yes"', "1", "0", "[]", "{}", '""'):
        yield "d", text, text, 422


def _lists(place: Place) -> Iterator[_Said]:
    for text in ("{}", '"a"', "5", "true", "[[]]", "[null]", '["\\u0000"]', "[5]"):
        yield "d", text, text, 422
    if place.is_required:
        yield "d", "[]", "[]", 422


def _objects(value: dict[str, Any]) -> Iterator[_Said]:
    inside = json.dumps(value, ensure_ascii=False)[1:-1]
    for text in ("[]", '"a"', "5", "true", "[[]]"):
        yield "d", text, text, 422
    unknown = {
        "a word": "colour",
        "a number": "7",
        "script": "<script>alert(1)</script>",
        "turned": "a\u202eb",
        "a line break": "a\nlog line",
        "4000 characters": "x" * 4000,
        "the name of a type": "__proto__",
        "empty": "",
    }
    for name, member in unknown.items():
        yield "a", name, "{" + ", ".join(filter(None, (inside, f"{json.dumps(member)}: 1"))) + "}", 422
    many = ", ".join(f'"colour {number}": 1' for number in range(300))
    yield "a", "three hundred", "{" + ", ".join(filter(None, (inside, many))) + "}", 422
    for name, member in value.items():
        again = f"{json.dumps(name)}: {json.dumps(member, ensure_ascii=False)}"
        yield "14", f"{name} twice", "{" + f"{inside}, {again}" + "}", 400
    long = f'"{"x" * 3000}": 1'
    yield "14", "a long name twice", "{" + ", ".join(filter(None, (inside, long, long))) + "}", 400
