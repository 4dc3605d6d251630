"""What a simulated buyer writes and reads: purchase orders by X12 and JSON, and the answers in their mailbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from oneshelf.sdk import x12

THEIRS, OURS = "ZZ:ACME", "ZZ:SHELF"
_TO_US = x12.Address(sender=THEIRS, receiver=OURS, version="004010")


@dataclass(slots=True)
class Order:
    """A purchase order as the buyer wants it now. `lines`: line -> article and units."""

    number: str
    placed_at: datetime
    lines: dict[str, tuple[str, int]]
    is_x12: bool
    is_cancelled: bool = False
    statement_count: int = 0


def document_of(order: Order, control: int, at: datetime) -> bytes:
    """The document that states the order as it is now. `control`: counts all documents, so a later one has a higher."""
    order.statement_count += 1
    if not order.is_x12:
        lines = [{"line_id": name, "sku": sku, "units": units} for name, (sku, units) in order.lines.items()]
        document: dict[str, Any] = {"po_number": order.number, "version": control, "lines": lines}
        return msgspec.json.encode(document | ({"cancelled": True} if order.is_cancelled else {}))
    purpose = "01" if order.is_cancelled else "00" if order.statement_count == 1 else "05"
    segments: list[x12.Elements] = [("BEG", purpose, "SA", order.number, "", f"{order.placed_at:%Y%m%d}")]
    segments += [("PO1", name, units, "EA", "", "", "VN", sku) for name, (sku, units) in order.lines.items()]
    segments.append(("CTT", len(order.lines)))
    return x12.written(_TO_US, control, at, [("850", segments)]).encode()


@dataclass(slots=True)
class Mailbox:
    """What we answered. `acknowledged`: order -> line -> status -> units; `advised`: article -> units."""

    orders: Mapping[str, Order]
    acknowledged: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    advised: dict[str, int] = field(default_factory=dict)
    receipt_count: int = 0

    def take(self, body: bytes) -> None:
        """Raises MalformedError for what is no answer to this buyer, and keeps nothing of it then."""
        interchange = x12.read(body)
        if (interchange.sender, interchange.receiver) != (OURS, THEIRS):
            raise interchange.head.error(f"it has to be from {OURS} to {THEIRS}")
        acknowledged: dict[str, dict[str, dict[str, int]]] = {}
        advised = dict(self.advised)
        receipts = 0
        for document in interchange.sets:
            if document.code == "855":
                number, lines = self._acknowledgment(document)
                acknowledged[number] = lines
            elif document.code == "846":
                advised = _advice(document)
            elif document.code == "997":
                receipts += 1
            else:
                raise document.head.error("is none of 855, 846 and 997")
        self.acknowledged |= acknowledged
        self.advised = advised
        self.receipt_count += receipts

    def shown(self) -> dict[str, Any]:
        """For whoever looks into the books."""
        return {"acknowledged": self.acknowledged, "advised": self.advised, "receipt_count": self.receipt_count}

    def _acknowledgment(self, document: x12.TransactionSet) -> tuple[str, dict[str, dict[str, int]]]:
        number, lines, line_id = "", dict[str, dict[str, int]](), ""
        for segment in document.segments:
            if segment.tag == "BAK":
                number = segment.need(3)
            elif segment.tag == "PO1":
                line_id = segment.need(1)
                lines[line_id] = {}
            elif segment.tag == "ACK":
                lines[line_id][segment.need(1)] = segment.whole(2)
        order = self.orders.get(number)
        if order is None:
            raise document.head.error(f"order {x12.shown(number)} was never sent")
        if not order.is_cancelled and lines.keys() != order.lines.keys():
            raise document.head.error(f"order {number} has the lines {', '.join(order.lines)}, not {', '.join(lines)}")
        for name, statuses in lines.items():
            if sum(statuses.values()) != order.lines[name][1]:
                raise document.head.error(f"line {name} of {number} is of {order.lines[name][1]}, not {statuses}")
        return number, lines


def _advice(document: x12.TransactionSet) -> dict[str, int]:
    found: dict[str, int] = {}
    sku = ""
    for segment in document.segments:
        if segment.tag == "LIN":
            sku = segment.need(3)
        elif segment.tag == "QTY":
            found[sku] = segment.whole(2)
    return found
