"""One right request for each route that changes something. The wrong ones are made of these.

A new route, or a new type of command, needs one more example here, with every member that its body may have. In texts
stand `{key}` for a fresh key, `{number}` for a fresh number, `{hold}` for the id of a fresh hold of 3 units, `{token}`
for a count that has begun, and `{now}` for this instant. Members that contradict each other are for two examples.
"""

from __future__ import annotations

from typing import Any, NamedTuple

SKU = "CAFÉ-MUG"
PART = "PLATE"
KIT = "SET"
BUNDLE = "BREAKFAST"
BERLIN = "BERLIN"
COLOGNE = "KÖLN"
# An open drift that nobody has decided upon.
DRIFT = "0199aaaa-0000-7000-8000-000000000000"
# An open conflict that nobody has decided upon.
CONFLICT = "0199aaaa-0000-7000-8000-000000000001"
# Counts that are open: one to be entered, one to be looked at.
COUNT, COUNT_TO_RULE = "C-1", "C-2"
Body = dict[str, Any]


class Example(NamedTuple):
    """`path`: as the application names it, `names`: what stands for the names in it. `before`: commands that have to be
    done first, so that this one is answered with 200."""

    method: str
    path: str
    body: Body
    name: str = ""
    before: tuple[Body, ...] = ()
    names: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.name}".strip()

    @property
    def route(self) -> tuple[str, str]:
        return self.method, self.path

    @property
    def address(self) -> str:
        path = self.path
        for name, value in self.names:
            path = path.replace(f"{{{name}}}", value)
        return path


def _lot(**members: Any) -> Body:
    return {"key": "{key}", "sku": SKU, "location": BERLIN, **members}


_LINES = [{"sku": SKU, "location": BERLIN, "units": 2}, {"sku": PART, "location": BERLIN, "units": 1}]
_ORDER = {"channel": "counter", "order_id": "{number}"}
_PARTS = [{"sku": SKU, "units": 1}, {"sku": PART, "units": 2}]
_CLAIM = {"type": "claim", "key": "{key}", "reservation_id": "{hold}", "order": _ORDER, "into": "committed"}
_SHIP = _lot(type="ship", order=_ORDER, units=2, happened_at="{now}")
_ASSEMBLE = _lot(type="assemble", sku=KIT, units=1, components=_PARTS, other_recipe=True)
_DISPATCH = {
    "type": "dispatch", "key": "{key}", "transfer_id": "{number}", "sku": SKU, "origin": BERLIN, "target": COLOGNE,
    "units": 2, "happened_at": "{now}",
}  # fmt: skip

_ANNOUNCE = _lot(type="announce", shipment_id="{number}", units=5, expected_on="2026-12-01", tolerance_percent=0)
_UNLOAD = {"type": "unload", "key": "{key}", "shipment_id": "{number}", "sku": SKU, "units": 7, "happened_at": "{now}"}

# type of command -> the command, and what has to be done first
_COMMANDS: list[tuple[Body, tuple[Body, ...]]] = [
    (_lot(type="receive", units=7, happened_at="{now}"), ()),
    (_lot(type="adjust", delta_units=-1, reason="broken", happened_at="{now}"), ()),
    (_lot(type="count", units=400_000, figure="on_hand", token="{token}"), ()),
    (_lot(type="count", units=400_000, figure="on_hand", as_of="{now}", error_s=5), ()),
    (_lot(type="move", units=1, origin="available", target="damaged", happened_at="{now}"), ()),
    (_lot(type="expect", delta_units=5), ()),
    (_DISPATCH, ()),
    ({"type": "arrive", "key": "{key}", "transfer_id": "{number}", "sku": SKU, "units": 2, "is_last": True,
      "happened_at": "{now}"},
     (_DISPATCH,)),
    (_ANNOUNCE, ()),
    (_UNLOAD, (_ANNOUNCE,)),
    ({"type": "close_shipment", "key": "{key}", "shipment_id": "{number}", "sku": SKU, "reason": "sold out"},
     (_ANNOUNCE,)),
    ({"type": "settle_over", "key": "{key}", "shipment_id": "{number}", "sku": SKU, "units": 2, "into": "damaged"},
     (_ANNOUNCE, {**_UNLOAD, "happened_at": None})),
    (_lot(type="write_off", units=1, origin="available", reason="broken"), ()),
    (_lot(type="return", order=_ORDER, units=1, into="damaged", line_id="", happened_at="{now}"), (_CLAIM, _SHIP)),
    (_SHIP, (_CLAIM,)),
    (_lot(type="cancel", order=_ORDER, units=1), (_CLAIM,)),
    (_ASSEMBLE, ()),
    (_lot(type="disassemble", sku=KIT, units=1, components=_PARTS, other_recipe=True), (_ASSEMBLE,)),
    ({"type": "reserve", "key": "{key}", "kind": "hold", "lines": _LINES, "ttl_s": 600, "holder": "cart 7",
      "allow_partial": True}, ()),
    ({"type": "extend", "key": "{key}", "reservation_id": "{hold}", "ttl_s": 900}, ()),
    (_CLAIM, ()),
    ({"type": "release", "key": "{key}", "reservation_id": "{hold}"}, ()),
]  # fmt: skip

_LOW = {
    "percent": 50, "buffer_units": 1, "computed_buffer": True, "allocation_units": 9, "stop_sell_at": 1,
    "backorder_units": 2, "preorder_units": 3, "min_units": 1, "cap_units": 7, "floor_units": 1, "may_oversell": True,
    "margin_weight": 4, "penalty_weight": 5,
}  # fmt: skip
_POLICY = {"terms": {**_LOW, "low_stock_at": 8}, "low": _LOW}
_WHOLESALE = {"wholesale_percent": 40, "wholesale_leaves_units": 6}
_OF_SKU, _OF_GROUP = {"sku": SKU, "channel": "paper"}, {"sku_group": "crockery", "channel": "paper"}

_ALLOCATION = {"overflow": "paper", "refill": "daily", "refill_at": "03:30", "rebalance_points": 5}
# An allocation plan is for one of these.
_PLANNED: Any = ({"sku": SKU}, {"sku_group": "crockery"}, {"pattern": "PL*"})
_POOLS = ({"channel": "paper", "percent": 80, "kind": "soft"}, {"channel": "paper", "units": 9, "kind": "hard"})

_TRUTH = {"strategy": "leader", "leader": "erp", "tolerance_units": 1, "conservative": True}
_DOCUMENT = {"source": "paper", "number": "o-1", "shipped": True}
_STATEMENTS: tuple[Body, ...] = (
    {
        "figure": "on_hand",
        "units": 400_000,
        "seen": {"documents": [_DOCUMENT], "as_of": "{now}", "error_s": 5},
        "epoch": 1,
        "sequence": 7,
    },
    {"figure": "on_hand", "units": 400_000, "seen": {"token": "{token}"}},
    {"figure": "delta", "units": 3, "happened_at": "{now}", "write_id": DRIFT},
)


def _stated(**members: Any) -> Body:
    return {"document": "{number}", "sku": SKU, "location": BERLIN, **members}


_HOLD = (("reservation_id", "{hold}"),)
# An order of which much is allocated.
_ACME = {"customer": "acme", "po_number": "PO-1"}
_PAPER = (("channel", "paper"),)
_RESERVATION = {
    "key": "{key}", "kind": "hold", "lines": _LINES, "ttl_s": 600, "holder": "cart 7", "allow_partial": True,
}  # fmt: skip

EXAMPLES = [
    *(Example("POST", "/v1/commands", {"commands": [told]}, told["type"], before) for told, before in _COMMANDS),
    Example("POST", "/v1/reservations", _RESERVATION),
    Example("POST", "/v1/reservations/{reservation_id}/extend", {"key": "{key}", "ttl_s": 900}, names=_HOLD),
    Example(
        "POST",
        "/v1/reservations/{reservation_id}/claim",
        {"key": "{key}", "order": _ORDER, "into": "committed"},
        names=_HOLD,
    ),
    Example("POST", "/v1/reservations/{reservation_id}/release", {"key": "{key}"}, names=_HOLD),
    Example("POST", "/v1/counts", {"location": BERLIN, "skus": [SKU, PART]}),
    *(
        Example(
            "POST",
            "/v1/count-tasks",
            {
                "task": "{number}",
                "location": BERLIN,
                **which,
                "limit": 20,
                "threshold_units": 1,
                "threshold_percent": 2,
                "by": "Ben",
            },
        )
        for which in (
            {"skus": [SKU]},
            {"pattern": "*", "sales_classes": ["A", "C"], "only_drifting": True},
        )
    ),
    Example(
        "POST",
        "/v1/count-tasks/{task}/entries",
        {"sku": SKU, "units": 400_000, "by": "Ada", "round": 1},
        names=(("task", COUNT),),
    ),
    Example(
        "POST",
        "/v1/count-tasks/{task}/decisions",
        {"sku": SKU, "ruling": "recount", "by": "Ben", "reason": "so", "round": 1},
        names=(("task", COUNT_TO_RULE),),
    ),
    *(
        Example("PUT", "/v1/reorder-rules", {**scope, **point, "by": "Ben"})
        for scope, point in (({"sku": SKU}, {"units": 5}), ({"sku_group": "crockery"}, {"cover_days": 14}))
    ),
    *(Example("DELETE", "/v1/reorder-rules", scope) for scope in ({"sku": SKU}, {"sku_group": "crockery"})),
    Example("PUT", "/v1/bundles/{sku}", {"components": _PARTS}, names=(("sku", BUNDLE),)),
    Example("PUT", "/v1/kits/{sku}", {"components": _PARTS}, names=(("sku", KIT),)),
    Example("PUT", "/v1/backorders", {"sku": SKU, "location": BERLIN, "cap_units": 4, "kind": "backorder"}),
    *(
        Example(method, path, {**scope, **more}, name)
        for method, path, more in (
            ("PUT", "/v1/policies", _POLICY),
            ("POST", "/v1/policies/preview", _POLICY),
            ("DELETE", "/v1/policies", {}),
        )
        for scope, name in ((_OF_SKU, "of a SKU"), (_OF_GROUP, "of a group"))
    ),
    *(
        Example(method, path, {**scope, "terms": _WHOLESALE, "low": _WHOLESALE}, name)
        for method, path in (("PUT", "/v1/policies"), ("POST", "/v1/policies/preview"))
        for scope, name in (({"sku": SKU}, "of a SKU"), ({"sku_group": "crockery"}, "of a group"))
    ),
    *(
        Example(method, "/v1/policies/allocations" + more, {**scope, **_ALLOCATION, "pools": [pool]})
        for method, more in (("PUT", ""), ("POST", "/preview"))
        for scope in _PLANNED
        for pool in _POOLS
    ),
    *(Example("DELETE", "/v1/policies/allocations", scope) for scope in _PLANNED),
    Example("POST", "/v1/policies/allocations/refill", {"sku": SKU}),
    Example("PUT", "/v1/policies/groups", {"sku": SKU, "sku_group": "crockery"}),
    Example("POST", "/v1/channels/{channel}/sign-off", {"by": "Ada", "listings": [SKU]}, names=_PAPER),
    Example("POST", "/v1/channels/{channel}/release", {"by": "Ada"}, names=_PAPER),
    Example(
        "PUT",
        "/v1/skus/{sku}/sharing",
        {"mode": "auto", "guard_at_units": 4, "allowance_units": 1},
        names=(("sku", SKU),),
    ),
    Example(
        "PUT",
        "/v1/sharing",
        {"mode": "auto", "guard_at_units": 3, "allowance_units": 1, "sku_group": "crockery"},
    ),
    Example(
        "PUT",
        "/v1/endpoints/{endpoint}",
        {"url": "https://erp.example/stock", "event_types": ["stock.changed"], "allow_http": False},
        names=(("endpoint", "erp"),),
    ),
    Example("POST", "/v1/endpoints/{endpoint}/replay", {"since": "2026-11-26T12:00:00Z"}, names=(("endpoint", "erp"),)),
    Example("PUT", "/v1/drifts/{drift_id}/resolution", {"how": "wait", "wait_s": 3600}, names=(("drift_id", DRIFT),)),
    Example("PUT", "/v1/sources", {"source": "erp", "title": "The ERP", "error_s": 30}),
    *(Example("POST", "/v1/statements", {"source": "erp", "statements": [_stated(**row)]}) for row in _STATEMENTS),
    *(
        Example(method, path, {**scope, "figure": "on_hand", "location": BERLIN, "reason": "so", **more})
        for method, path, more in (
            ("PUT", "/v1/truth-rules", _TRUTH),
            ("POST", "/v1/truth-rules/preview", _TRUTH),
            ("DELETE", "/v1/truth-rules", {}),
        )
        for scope in ({"sku": SKU}, {"sku_group": "crockery"}, {"pattern": "C*"})
    ),
    *(
        Example(method, path, {"sku": SKU, "strategy": "ranks", "ranks": ["erp"], "reason": "so"})
        for method, path in (("PUT", "/v1/truth-rules"), ("POST", "/v1/truth-rules/preview"))
    ),
    *(
        Example(method, path, {**shape, "reason": "so"})
        for method, path in (("PUT", "/v1/architecture"), ("POST", "/v1/architecture/preview"))
        for shape in (
            {"architecture": "hub", "leader": "paper"},
            {"architecture": "middleware", "ranks": ["erp", "paper"]},
        )
    ),
    Example(
        "PUT",
        "/v1/conflicts/{conflict_id}/ruling",
        {"by": "Ada", "reason": "I counted", "right": "beaten"},
        names=(("conflict_id", CONFLICT),),
    ),
    Example(
        "POST",
        "/v1/wholesale/orders",
        {
            "customer": "acme",
            "po_number": "{number}",
            "version": 1,
            "location": BERLIN,
            "ship_by": "2031-12-01",
            "cancel_after": "2031-12-15",
            "lines": [{"line_id": "1", "sku": SKU, "units": 2}, {"line_id": "2", "sku": PART, "units": 1}],
        },
    ),
    Example(
        "POST",
        "/v1/wholesale/shipments",
        {**_ACME, "shipment": "{number}", "lines": [{"line_id": "1", "units": 1}]},
    ),
    Example("POST", "/v1/wholesale/cancellations", {**_ACME, "lines": ["2"]}),
    *(Example("POST", f"/v1/wholesale/{what}", {**_ACME, "po_number": "PO-2"}) for what in ("releases", "resumptions")),
    Example("POST", "/v1/skus", {"skus": [{"sku": SKU, "title": "Blue mug"}]}),
    Example("POST", "/v1/locations", {"locations": [{"location": COLOGNE, "title": "Shop in Cologne"}]}),
]
