"""Documents of wholesale in X12: purchase orders (850) read; acknowledgments (855), inventory advice (846) and
functional acknowledgments (997) written.

Codes from the X12 data element dictionary, 004010 and 005010: 353 (BEG01), 374 (DTM01), 235 (PO106 …), 668 (ACK01),
587 (BAK02), 673 (QTY01).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from oneshelf.domain.identity import UNITS_MAX, Location, Sku, day_from, name_from
from oneshelf.domain.wholesale import WantedLine, WholesaleWish
from oneshelf.errors import MalformedError
from oneshelf.files.x12 import Elements, Interchange, Segment, TransactionSet, X12Error, shown
from oneshelf.storage.wholesale import LineRow, OrderRow

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
class PurchaseOrder:
    """An 850. `wish`: what it states, as version 1; of a cancellation there may be no line, so it is none."""

    purpose: Purpose
    customer: str
    po_number: str
    head: Segment
    wish: WholesaleWish | None


def purchase_order(
    document: TransactionSet, *, customer: str, location: Location, known: Collection[Sku]
) -> PurchaseOrder:
    """What an 850 says. `known`: those of the numbers in it that are SKUs. Raises X12Error."""
    first = document.segments[0] if document.segments else document.head
    if first.tag != "BEG":
        raise first.error("a purchase order (850) begins with BEG")
    try:
        purpose = Purpose(first.need(1))
    except ValueError:
        allowed = ", ".join(f"{one.value} {one.name.lower()}" for one in Purpose)
        raise first.error(f"BEG01 {shown(first.get(1))} is not understood; there are: {allowed}") from None
    po_number = _named(first, 3, "purchase order number")
    of_order = document.segments[: _first(document.segments, "PO1")]
    lines = tuple(_lines(document.segments, known))
    if purpose is Purpose.CANCELLATION:
        return PurchaseOrder(purpose=purpose, customer=customer, po_number=po_number, head=first, wish=None)
    _totals(document, lines)
    try:
        wish = WholesaleWish(
            customer=customer,
            po_number=po_number,
            location=location,
            lines=lines,
            ship_by=_day(of_order, _SHIP_BY),
            cancel_after=_day(of_order, _CANCEL_AFTER),
        )
    except X12Error:
        raise
    except MalformedError as failure:
        raise first.error(str(failure)) from None
    return PurchaseOrder(purpose=purpose, customer=customer, po_number=po_number, head=first, wish=wish)


def numbers_in(interchange: Interchange) -> set[str]:
    """All that could name a SKU in the purchase orders of an interchange."""
    return {
        number
        for document in interchange.sets
        for segment in document.segments
        if segment.tag == "PO1"
        for _, number in _numbers(segment)
    }


def _first(segments: Sequence[Segment], tag: str) -> int:
    return next((at for at, segment in enumerate(segments) if segment.tag == tag), len(segments))


def _lines(segments: Iterable[Segment], known: Collection[Sku]) -> Iterator[WantedLine]:
    for count, segment in enumerate((one for one in segments if one.tag == "PO1"), 1):
        unit = segment.get(3) or "EA"
        if unit not in _EACH:
            raise segment.error(
                f"PO103 {shown(unit)} is no single unit, and nobody here knows how many are in one; "
                f"ask for the order in {', '.join(sorted(_EACH))}"
            )
        yield WantedLine(line_id=_line_id(segment, count), sku=_sku(segment, known), units=_units(segment))


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


def _numbers(segment: Segment) -> list[tuple[str, str]]:
    """(qualifier, number) of the pairs PO106/PO107, PO108/PO109 and so on."""
    return [(segment.get(at), segment.get(at + 1)) for at in range(6, 26, 2) if segment.get(at) and segment.get(at + 1)]


def _sku(segment: Segment, known: Collection[Sku]) -> Sku:
    numbers = _numbers(segment)
    ordered = sorted((one for one in numbers if one[0] in _NUMBERS), key=lambda one: _NUMBERS.index(one[0]))
    for _, number in ordered:
        if number in known:
            return Sku(number)
    said = ", ".join(f"{kind} {shown(number)}" for kind, number in numbers[:5]) or "nothing"
    raise segment.error(
        f"PO106 and what follows names no SKU, but {said}. Way out: oneshelf stock add-sku, or the partner sends our "
        "number as VN"
    )


def _totals(document: TransactionSet, lines: Sequence[WantedLine]) -> None:
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


def acknowledgment(order: OrderRow, lines: Sequence[LineRow]) -> list[Elements]:
    """The segments of an 855 between ST and SE: what of each line is accepted, waits for units, or is refused."""
    statuses = {status for line in lines for status, _ in _statuses(line)}
    kind = "RD" if statuses == {"IR"} else "AD" if statuses == {"IA"} else "AC"
    said: list[Elements] = [("BAK", "00", kind, order.po_number, f"{order.placed_at:%Y%m%d}")]
    for line in lines:
        said.append(("PO1", line.line_id, line.units_ordered, "EA", "", "", "VN", line.sku))
        for status, units in _statuses(line):
            ack: Elements = ("ACK", status, units, "EA")
            if status in {"IA", "IQ"} and order.ship_by:
                ack = (*ack, "068", f"{order.ship_by:%Y%m%d}")
            said.append(ack)
    said.append(("CTT", len(lines)))
    return said


def _statuses(line: LineRow) -> list[tuple[str, int]]:
    """IA accepted, IQ accepted with another quantity, IB backordered, IR rejected; with the units of each."""
    accepted = line.units_allocated + line.units_shipped
    parts = [
        ("IA" if accepted == line.units_ordered else "IQ", accepted),
        ("IB", line.units_backordered),
        ("IR", line.units_cancelled),
    ]
    return [(status, units) for status, units in parts if units]


def advice(reference: str, units_of: Iterable[tuple[Sku, int]], at: datetime) -> list[Elements]:
    """The segments of an 846 between ST and SE: what of each SKU is available to this customer."""
    said: list[Elements] = [("BIA", "00", "SI", reference, f"{at:%Y%m%d}", f"{at:%H%M}")]
    count = 0
    for count, (sku, units) in enumerate(units_of, 1):
        said += [("LIN", count, "VN", sku), ("QTY", "33", units, "EA")]
    said.append(("CTT", count))
    return said


def receipt(interchange: Interchange) -> list[tuple[str, list[Elements]]]:
    """A 997 for each group of an interchange: all of its sets are accepted, or nothing of it would have been read.

    Nobody acknowledges an acknowledgment (group FA).
    """
    found: list[tuple[str, list[Elements]]] = []
    sets_of: dict[str, list[TransactionSet]] = {}
    for one in interchange.sets:
        sets_of.setdefault(one.group, []).append(one)
    for code, control in interchange.groups:
        if code == "FA":
            continue
        sets = sets_of.get(control, [])
        said: list[Elements] = [("AK1", code, control)]
        for one in sets:
            said += [("AK2", one.code, one.control), ("AK5", "A")]
        found.append(("997", [*said, ("AK9", "A", len(sets), len(sets), len(sets))]))
    return found
