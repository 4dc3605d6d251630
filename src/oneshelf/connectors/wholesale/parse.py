"""Purchase orders in our words: an X12 interchange with 850s, or JSON.

In JSON a delivery is an order as `POST /v1/wholesale/orders` takes it, without customer and location, or
`{"orders": [...]}`; `"cancelled": true` takes one back. CSV is not read here: a table has no end by which one that was
cut off is known, and half of it looks like a smaller order. Such files are brought in, where they are judged whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oneshelf.domain.identity import ChannelSku, day_from, name_from, printable, units_from
from oneshelf.domain.wholesale import LINES_MAX, version_from
from oneshelf.errors import MalformedError
from oneshelf.sdk import x12
from oneshelf.sdk.decoding import document_from
from oneshelf.sdk.message import Ignored
from oneshelf.sdk.purchase import PurchaseLine, PurchaseOrder, PurchaseOrders
from oneshelf.sdk.x12_order import Purpose, X12Order, is_order, order_in

ORDERS_MAX = 1_000
_ORDER = ("po_number", "version", "ship_by", "cancel_after", "cancelled", "lines")
_LINE = ("line_id", "sku", "units")


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who orders. `theirs`, `ours`: what they and we go by in X12 as QUALIFIER:ID; empty: they send none."""

    customer: str
    theirs: str = ""
    ours: str = ""


def is_x12(body: bytes) -> bool:
    """Whether this is an interchange, and not JSON."""
    return body.lstrip(b"\xef\xbb\xbf \r\n\t")[:3] == b"ISA"


def orders_from(body: bytes, buyer: Buyer) -> PurchaseOrders | Ignored:
    """What a delivery orders. Raises MalformedError: nothing of it is read then."""
    read = _of_interchange(x12.read(body), buyer) if is_x12(body) else _of_json(body)
    if isinstance(read, Ignored):
        return read
    numbers = [order.po_number for order in read]
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise MalformedError(f"order {twice[0]!r} stands in one delivery twice; nobody knows which counts")
    return PurchaseOrders(buyer.customer, tuple(read))


def _of_interchange(interchange: x12.Interchange, buyer: Buyer) -> list[PurchaseOrder] | Ignored:
    """Later control numbers state later: an order's version is the number of its interchange (ISA13)."""
    head = interchange.head
    if not buyer.theirs:
        raise head.error("this buyer sends no X12; set x12_theirs and x12_ours of the channel")
    if (interchange.sender, interchange.receiver) != (buyer.theirs, buyer.ours):
        between = f"{x12.shown(interchange.sender)} to {x12.shown(interchange.receiver)}"
        raise head.error(f"it is from {between}, and has to be from {buyer.theirs} to {buyer.ours}")
    said = [order_in(one) for one in interchange.sets if is_order(one)]
    if interchange.is_test:
        return Ignored("a test: ISA15 is T")
    if not said:
        return Ignored("acknowledgments only")
    version = max(1, head.whole(13))
    try:
        return [_of_x12(one, version) for one in said]
    except x12.X12Error:
        raise
    except MalformedError as problem:
        raise head.error(str(problem)) from None


def _of_x12(said: X12Order, version: int) -> PurchaseOrder:
    return PurchaseOrder(
        po_number=said.po_number,
        version=version,
        lines=tuple(_named(line) for line, _ in said.lines),
        is_cancelled=said.purpose is Purpose.CANCELLATION,
        ship_by=said.ship_by,
        cancel_after=said.cancel_after,
    )


def _named(line: PurchaseLine) -> PurchaseLine:
    numbers = tuple(ChannelSku(name_from(number, what="the number of an article")) for number in line.numbers)
    return PurchaseLine(line_id=line.line_id, numbers=numbers, units=line.units)


def _of_json(body: bytes) -> list[PurchaseOrder]:
    document = document_from(body, dict, what="a purchase order")
    raw = [document]
    if "orders" in document:
        _no_others(document, ("orders",), what="a delivery")
        raw = document["orders"]
    if not isinstance(raw, list) or not 1 <= len(raw) <= ORDERS_MAX:
        raise MalformedError(f"orders must be a list of 1 to {ORDERS_MAX} orders")
    return [_order(one) for one in raw]


def _order(raw: object) -> PurchaseOrder:
    if not isinstance(raw, dict):
        raise MalformedError("an order is an object")
    _no_others(raw, _ORDER, what="an order")
    is_cancelled = raw.get("cancelled", False)
    if not isinstance(is_cancelled, bool):
        raise MalformedError("cancelled must be true or false")
    lines = raw.get("lines", [] if is_cancelled else None)
    if not isinstance(lines, list) or len(lines) > LINES_MAX:
        raise MalformedError(f"lines must be a list of 1 to {LINES_MAX} lines")
    days = {
        name: None if raw.get(name) is None else day_from(raw[name], what=name) for name in ("ship_by", "cancel_after")
    }
    return PurchaseOrder(
        po_number=name_from(raw.get("po_number"), what="po_number"),
        version=version_from(raw.get("version", 1)),
        lines=tuple(_line(line) for line in lines),
        is_cancelled=is_cancelled,
        ship_by=days["ship_by"],
        cancel_after=days["cancel_after"],
    )


def _line(raw: object) -> PurchaseLine:
    if not isinstance(raw, dict):
        raise MalformedError("a line is an object")
    _no_others(raw, _LINE, what="a line")
    return PurchaseLine(
        line_id=name_from(raw.get("line_id"), what="line_id"),
        numbers=(ChannelSku(name_from(raw.get("sku"), what="sku")),),
        units=units_from(raw.get("units"), what="units", least=1),
    )


def _no_others(raw: Mapping[str, Any], known: tuple[str, ...], *, what: str) -> None:
    """A name that is mistyped would be taken for one that is left out."""
    for name in raw:
        if name not in known:
            raise MalformedError(f"unknown field {printable(name, length_max=40)!r}; {what} takes {', '.join(known)}")
