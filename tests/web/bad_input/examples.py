"""One right request for each route that changes something. The wrong ones are made of these.

A new route, or a new type of command, needs one more example here, with every member that its body may have. In texts
stand `{key}` for a fresh key, `{number}` for a fresh number, and `{hold}` for the id of a fresh hold of 3 units.
"""

from __future__ import annotations

from typing import Any, NamedTuple

SKU = "CAFÉ-MUG"
PART = "PLATE"
KIT = "SET"
BERLIN = "BERLIN"
COLOGNE = "KÖLN"
Body = dict[str, Any]


class Example(NamedTuple):
    """`before`: commands that have to be done first, so that this one is answered with 200."""

    method: str
    path: str
    body: Body
    name: str = ""
    before: tuple[Body, ...] = ()
    # What `{hold}` stands for in this path.
    hold: str = "{hold}"

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.name}".strip()

    @property
    def route(self) -> tuple[str, str]:
        """Its method, and its path as the application names it."""
        return self.method, self.path.replace(self.hold, "{reservation_id}")


def _lot(**members: Any) -> Body:
    return {"key": "{key}", "sku": SKU, "location": BERLIN, **members}


_LINES = [{"sku": SKU, "location": BERLIN, "units": 2}, {"sku": PART, "location": BERLIN, "units": 1}]
_ORDER = {"channel": "counter", "order_id": "{number}"}
_PARTS = [{"sku": SKU, "units": 1}, {"sku": PART, "units": 2}]
_CLAIM = {"type": "claim", "key": "{key}", "reservation_id": "{hold}", "order": _ORDER, "into": "committed"}
_SHIP = _lot(type="ship", order=_ORDER, units=2)
_ASSEMBLE = _lot(type="assemble", sku=KIT, units=1, components=_PARTS)
_DISPATCH = {
    "type": "dispatch", "key": "{key}", "transfer_id": "{number}", "sku": SKU, "origin": BERLIN, "target": COLOGNE,
    "units": 2,
}  # fmt: skip

# type of command -> the command, and what has to be done first
_COMMANDS: list[tuple[Body, tuple[Body, ...]]] = [
    (_lot(type="receive", units=7), ()),
    (_lot(type="adjust", delta_units=-1, reason="broken"), ()),
    (_lot(type="count", units=400_000, figure="on_hand"), ()),
    (_lot(type="move", units=1, origin="available", target="damaged"), ()),
    (_lot(type="expect", delta_units=5), ()),
    (_DISPATCH, ()),
    ({"type": "arrive", "key": "{key}", "transfer_id": "{number}", "sku": SKU, "units": 2, "is_last": True},
     (_DISPATCH,)),
    (_lot(type="return", order=_ORDER, units=1, into="damaged", line_id=""), (_CLAIM, _SHIP)),
    (_SHIP, (_CLAIM,)),
    (_lot(type="cancel", order=_ORDER, units=1), (_CLAIM,)),
    (_ASSEMBLE, ()),
    (_lot(type="disassemble", sku=KIT, units=1, components=_PARTS), (_ASSEMBLE,)),
    ({"type": "reserve", "key": "{key}", "kind": "hold", "lines": _LINES, "ttl_s": 600, "holder": "cart 7"}, ()),
    ({"type": "extend", "key": "{key}", "reservation_id": "{hold}", "ttl_s": 900}, ()),
    (_CLAIM, ()),
    ({"type": "release", "key": "{key}", "reservation_id": "{hold}"}, ()),
]  # fmt: skip

EXAMPLES = [
    *(Example("POST", "/v1/commands", {"commands": [told]}, told["type"], before) for told, before in _COMMANDS),
    Example(
        "POST",
        "/v1/reservations",
        {"key": "{key}", "kind": "hold", "lines": _LINES, "ttl_s": 600, "holder": "cart 7"},
    ),
    Example("POST", "/v1/reservations/{hold}/extend", {"key": "{key}", "ttl_s": 900}),
    Example("POST", "/v1/reservations/{hold}/claim", {"key": "{key}", "order": _ORDER, "into": "committed"}),
    Example("POST", "/v1/reservations/{hold}/release", {"key": "{key}"}),
    Example("POST", "/v1/skus", {"skus": [{"sku": SKU, "title": "Blue mug"}]}),
    Example("POST", "/v1/locations", {"locations": [{"location": COLOGNE, "title": "Shop in Cologne"}]}),
]
