"""The events of tills in our words.

A delivery is one event, a list of events, or `{"sent_at": …, "events": […]}`. One event that cannot be read is told
with its place and the way out, and keeps none of the others from counting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from oneshelf.domain.command import ReturnInto
from oneshelf.domain.device import SEQUENCE_MAX, DeviceAlive, DeviceEvent, DeviceEventKind, DeviceLine
from oneshelf.domain.identity import ChannelSku, channel_from, instant_from, name_from, printable, units_from
from oneshelf.errors import MalformedError
from oneshelf.sdk.decoding import document_from
from oneshelf.sdk.message import DeviceNews, Ignored

EVENTS_MAX = 5_000
LINES_MAX = 500
HEARTBEAT = "heartbeat"
_UNREAD_MAX = 20
_KINDS = (*(kind.value for kind in DeviceEventKind), HEARTBEAT)
# What each type takes besides what all events have.
_ALL = ("type", "device", "sequence", "at")
_TAKES: Mapping[str, tuple[str, ...]] = {
    "sale": ("receipt", "lines"),
    "return": ("receipt", "of_receipt", "returned"),
    "exchange": ("receipt", "of_receipt", "lines", "returned"),
    "void": ("receipt", "receipt_device"),
    HEARTBEAT: (),
}


def news_from(body: bytes, *, clock_error_s: int) -> DeviceNews | Ignored:
    """What a delivery says. Raises MalformedError where nothing of it can be read."""
    raw, sent_at = _events_in(document_from(body, object, what="a delivery of a till"))
    if not raw:
        return Ignored("no events")
    if len(raw) > EVENTS_MAX:
        raise MalformedError(f"{len(raw)} events in one delivery; send at most {EVENTS_MAX} at once")
    events: list[DeviceEvent] = []
    alive: list[DeviceAlive] = []
    unread: list[str] = []
    for place, one in enumerate(raw):
        try:
            read = _event(one)
        except MalformedError as problem:
            unread.append(f"event {place + 1}: {printable(str(problem), length_max=200)}")
            continue
        if isinstance(read, DeviceAlive):
            alive.append(read)
        else:
            events.append(read)
    if not events and not alive:
        raise MalformedError("; ".join(unread[:_UNREAD_MAX]))
    return DeviceNews(tuple(events), tuple(alive), sent_at, clock_error_s, tuple(unread))


def _events_in(document: object) -> tuple[list[Any], datetime | None]:
    if isinstance(document, list):
        return document, None
    if not isinstance(document, dict):
        raise MalformedError("a delivery is an event, a list of events, or an object with sent_at and events")
    if "events" not in document:
        return [document], None
    _no_others(document, ("sent_at", "events"), what="a delivery")
    events = document["events"]
    if not isinstance(events, list):
        raise MalformedError("events must be a list of events")
    sent_at = document.get("sent_at")
    return events, None if sent_at is None else instant_from(sent_at, what="sent_at")


def _event(raw: object) -> DeviceEvent | DeviceAlive:
    if not isinstance(raw, dict):
        raise MalformedError("an event is an object")
    kind = raw.get("type")
    if not isinstance(kind, str) or kind not in _TAKES:
        raise MalformedError(f"type must be one of {', '.join(_KINDS)}")
    _no_others(raw, (*_ALL, *_TAKES[kind]), what=f"a {kind}")
    device = _device(raw, "device")
    sequence = _sequence(raw.get("sequence"), least=0 if kind == HEARTBEAT else 1)
    at = instant_from(raw.get("at"), what="at")
    if kind == HEARTBEAT:
        return DeviceAlive(device=device, sequence=sequence)
    if raw.get("of_receipt") is not None:
        name_from(raw["of_receipt"], what="of_receipt")
    sold = _lines(raw, "lines", _line) if "lines" in _TAKES[kind] else ()
    back = _lines(raw, "returned", _returned) if "returned" in _TAKES[kind] else ()
    return DeviceEvent(
        device=device,
        sequence=sequence,
        kind=DeviceEventKind(kind),
        at=at,
        receipt=name_from(raw.get("receipt"), what="receipt"),
        receipt_device=_device(raw, "receipt_device") if raw.get("receipt_device") is not None else device,
        lines=(*sold, *back),
    )


def _device(raw: Mapping[str, Any], name: str) -> str:
    """A device's name stands before its receipts, with a slash between."""
    device = name_from(raw.get(name), what=name)
    if "/" in device:
        raise MalformedError(f"{name} {device!r} holds a slash; name the device without one")
    return str(channel_from(device))


def _sequence(value: object, *, least: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= SEQUENCE_MAX:
        return value
    raise MalformedError(f"sequence must be a whole number from {least} on: each event of a device has the next one")


def _lines(raw: Mapping[str, Any], name: str, read: Callable[[Any], DeviceLine]) -> tuple[DeviceLine, ...]:
    lines = raw.get(name)
    if not isinstance(lines, list) or not 1 <= len(lines) <= LINES_MAX:
        raise MalformedError(f"{name} must be a list of 1 to {LINES_MAX} lines")
    read_lines = []
    for place, line in enumerate(lines):
        try:
            read_lines.append(read(line))
        except MalformedError as problem:
            raise MalformedError(f"{name}[{place}]: {problem}") from None
    return tuple(read_lines)


def _line(raw: object) -> DeviceLine:
    return _read_line(raw, ("sku", "barcode", "units", "pack"), into=None)


def _returned(raw: object) -> DeviceLine:
    into = raw.get("disposition") if isinstance(raw, dict) else None
    if not isinstance(into, str) or into not in {one.value for one in ReturnInto}:
        raise MalformedError(f"disposition must be one of {', '.join(ReturnInto)}: where the units went")
    return _read_line(raw, ("sku", "barcode", "units", "pack", "disposition"), into=ReturnInto(into))


def _read_line(raw: object, takes: tuple[str, ...], *, into: ReturnInto | None) -> DeviceLine:
    if not isinstance(raw, dict):
        raise MalformedError("a line is an object")
    _no_others(raw, takes, what="a line")
    is_barcode = raw.get("sku") is None
    if is_barcode is (raw.get("barcode") is None):
        raise MalformedError("a line names its sku or its barcode, one of them")
    name = name_from(raw["barcode" if is_barcode else "sku"], what="barcode" if is_barcode else "sku")
    units = units_from(raw.get("units"), what="units", least=1)
    pack = 1 if raw.get("pack") is None else units_from(raw["pack"], what="pack", least=1)
    return DeviceLine(
        channel_sku=ChannelSku(name),
        units=units_from(units * pack, what="units times pack", least=1),
        into=into,
        is_barcode=is_barcode,
    )


def _no_others(raw: Mapping[str, Any], known: tuple[str, ...], *, what: str) -> None:
    """A name that is mistyped would be taken for one that is left out."""
    for name in raw:
        if name not in known:
            shown = printable(name, length_max=40)
            raise MalformedError(f"unknown field {shown!r}; {what} takes {', '.join(known)}")
