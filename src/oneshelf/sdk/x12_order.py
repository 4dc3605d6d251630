"""Purchase orders in X12 (850): what they say, segment by segment.

Codes from the X12 data element dictionary, 004010 and 005010: 353 (BEG01), 374 (DTM01), 235 (PO106 …).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from oneshelf.domain.identity import UNITS_MAX, ChannelSku, day_from, name_from
from oneshelf.errors import MalformedError
from oneshelf.sdk.purchase import PurchaseLine
from oneshelf.sdk.x12 import Segment, TransactionSet, shown

# Units of one each. Cases and packs hold as many as nobody says here.
_EACH = {"EA", "PC", "PCS", "UN"}
# Whose number it is, the first that names a SKU of ours: the seller's, then those of the trade, then the buyer's.
_NUMBERS = ("VN", "VP", "SK", "VC", "UP", "UK", "EN", "UA", "BP", "IN", "PI")
# When it has to leave, the first that is said: ship no later, requested ship, delivery requested.
_SHIP_BY = ("038", "010", "002")
# Cancel after, cancel if not delivered by.
_CANCEL_AFTER = ("001", "061")


class Purpose(StrEnum):
    """What a purchase order does to one of the same number (BEG01)."""

    ORIGINAL = "00"
    CANCELLATION = "01"
    REPLACE = "05"
    CONFIRMATION = "06"
    DUPLICATE = "07"


@dataclass(frozen=True, slots=True, kw_only=True)
class X12Order:
    """An 850. `lines`: each with its segment; of a cancellation there may be none."""

    purpose: Purpose
    po_number: str
    head: Segment
    lines: tuple[tuple[PurchaseLine, Segment], ...]
    ship_by: date | None
    cancel_after: date | None


def is_order(document: TransactionSet) -> bool:
    """Whether a set is a purchase order. Their receipts of what we wrote (997, 999) say nothing about units.

    Raises X12Error for anything else.
    """
    if document.code in {"997", "999"}:
        return False
    if document.code != "850":
        raise document.head.error(
            f"ST01 {shown(document.code)} is not read; there are 850 (purchase order) and 997. A changed order is an "
            "850 with BEG01 05"
        )
    return True


def order_in(document: TransactionSet) -> X12Order:
    """What an 850 says. Raises X12Error."""
    first = document.segments[0] if document.segments else document.head
    if first.tag != "BEG":
        raise first.error("a purchase order (850) begins with BEG")
    try:
        purpose = Purpose(first.need(1))
    except ValueError:
        allowed = ", ".join(f"{one.value} {one.name.lower()}" for one in Purpose)
        raise first.error(f"BEG01 {shown(first.get(1))} is not understood; there are: {allowed}") from None
    of_order = document.segments[: _first(document.segments, "PO1")]
    lines = tuple(_lines(document.segments))
    if purpose is not Purpose.CANCELLATION:
        _totals(document, [line for line, _ in lines])
    return X12Order(
        purpose=purpose,
        po_number=_named(first, 3, "purchase order number"),
        head=first,
        lines=lines,
        ship_by=_day(of_order, _SHIP_BY),
        cancel_after=_day(of_order, _CANCEL_AFTER),
    )


def _first(segments: Sequence[Segment], tag: str) -> int:
    return next((at for at, segment in enumerate(segments) if segment.tag == tag), len(segments))


def _lines(segments: Iterable[Segment]) -> Iterator[tuple[PurchaseLine, Segment]]:
    for count, segment in enumerate((one for one in segments if one.tag == "PO1"), 1):
        unit = segment.get(3) or "EA"
        if unit not in _EACH:
            raise segment.error(
                f"PO103 {shown(unit)} is no single unit, and nobody here knows how many are in one; "
                f"ask for the order in {', '.join(sorted(_EACH))}"
            )
        yield PurchaseLine(line_id=_line_id(segment, count), numbers=_numbers(segment), units=_units(segment)), segment


def _line_id(segment: Segment, count: int) -> str:
    return _named(segment, 1, "line number") if segment.get(1) else str(count)


def _units(segment: Segment) -> int:
    """PO102, which may have a fraction of zero."""
    text = segment.need(2)
    whole, _, fraction = text.partition(".")
    if not whole.isascii() or not whole.isdecimal() or len(whole) > 12 or fraction.strip("0"):
        raise segment.error(f"PO102 is {shown(text)}, and has to be a whole number of units")
    if not 1 <= int(whole) <= UNITS_MAX:
        raise segment.error(f"PO102 is {int(whole)}; it must lie between 1 and {UNITS_MAX}")
    return int(whole)


def _numbers(segment: Segment) -> tuple[ChannelSku, ...]:
    """The numbers of the pairs PO106/PO107, PO108/PO109 and so on, the likeliest to be ours first."""
    pairs = [
        (segment.get(at), segment.get(at + 1)) for at in range(6, 26, 2) if segment.get(at) and segment.get(at + 1)
    ]
    known = sorted((pair for pair in pairs if pair[0] in _NUMBERS), key=lambda pair: _NUMBERS.index(pair[0]))
    if not known:
        words = ", ".join(f"{kind} {shown(number)}" for kind, number in pairs[:5]) or "nothing"
        raise segment.error(f"PO106 and what follows names no SKU, but {words}; our number is sent as VN")
    return tuple(ChannelSku(number) for _, number in known)


def _totals(document: TransactionSet, lines: Sequence[PurchaseLine]) -> None:
    """CTT says how many lines there are, and may say how many units."""
    totals = next((one for one in document.segments if one.tag == "CTT"), None)
    if totals is None:
        return
    if totals.whole(1) != len(lines):
        raise totals.error(f"CTT01 says {totals.whole(1)} lines, and there are {len(lines)}")
    units = sum(line.units for line in lines)
    said = totals.get(2)
    if said and said.partition(".")[0] != str(units):
        raise totals.error(f"CTT02 says {shown(said)} units, and there are {units}")


def _day(segments: Iterable[Segment], kinds: Sequence[str]) -> date | None:
    said = {one.get(1): one for one in segments if one.tag == "DTM"}
    for kind in kinds:
        if kind in said:
            text = said[kind].need(2)
            try:
                return day_from(f"{text[:4]}-{text[4:6]}-{text[6:]}", what="it")
            except MalformedError:
                raise said[kind].error(f"DTM02 is {shown(text)}, and has to be a day such as 20261201") from None
    return None


def _named(segment: Segment, at: int, what: str) -> str:
    try:
        return name_from(segment.need(at), what=what)
    except MalformedError as failure:
        raise segment.error(f"{segment.tag}{at:02}: {failure}") from None
