"""Documents that are written to wholesale partners in X12: acknowledgments (855), inventory advice (846) and functional
acknowledgments (997). Purchase orders are read in `sdk.x12_order`.

Codes from the X12 data element dictionary, 004010 and 005010: 668 (ACK01), 587 (BAK02), 673 (QTY01).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from oneshelf.domain.identity import Sku
from oneshelf.sdk.x12 import Elements, Interchange, TransactionSet
from oneshelf.storage.wholesale import LineRow, OrderRow


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
