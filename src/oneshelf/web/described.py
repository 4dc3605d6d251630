"""How /openapi.json describes the body of a route that reads it by itself: its schema, and one that works.

The examples follow each other as in an evening: what one names, the next one moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ORDER = {"channel": "till", "order_id": "T-1001"}
_MUG = {"sku": "MUG-BLUE", "location": "BER"}

EXAMPLES: Mapping[str, dict[str, Any]] = {
    "LocationsIn": {"locations": [{"location": "BER", "title": "Shop in Berlin"}]},
    "SkusIn": {"skus": [{"sku": "MUG-BLUE", "title": "Blue mug"}, {"sku": "CAP"}, {"sku": "DUO"}]},
    "CommandsIn": {
        "commands": [
            {"type": "receive", "key": "delivery-88-1", **_MUG, "units": 12},
            {"type": "count", "key": "count-7-1", "sku": "CAP", "location": "BER", "units": 5, "figure": "on_hand"},
        ]
    },
    "CountBeginIn": {"location": "BER", "skus": ["MUG-BLUE"]},
    "CountTaskIn": {"task": "week-48", "location": "BER", "limit": 20, "threshold_units": 1, "by": "Ben"},
    "CountEntryIn": {"sku": "MUG-BLUE", "units": 11, "by": "Ada", "round": 1},
    "CountDecisionIn": {"sku": "MUG-BLUE", "ruling": "recount", "by": "Ben", "reason": "look behind it", "round": 1},
    "ReorderRuleIn": {"sku": "MUG-BLUE", "units": 12, "by": "Ben"},
    "ReorderScopeIn": {"sku": "CAP"},
    "BundleIn": {"components": [{"sku": "MUG-BLUE", "units": 2}, {"sku": "CAP", "units": 1}]},
    "KitIn": {"components": [{"sku": "MUG-BLUE", "units": 4}, {"sku": "TRAY", "units": 1}]},
    "BackorderIn": {**_MUG, "cap_units": 20, "kind": "backorder"},
    "DriftResolutionIn": {"how": "wait", "wait_s": 3600},
    "SignOffIn": {"by": "Ada", "listings": ["MUG-BLUE"]},
    "LetGoIn": {"by": "Ada"},
    "SharingIn": {"mode": "auto", "guard_at_units": 10, "allowance_units": 2},
    "SharingOfManyIn": {"mode": "auto", "sku_group": "mugs"},
    "PolicyIn": {"terms": {"buffer_units": 1, "low_stock_at": 5}, "low": {"cap_units": 2}},
    "ScopeIn": {"sku": "MUG-BLUE"},
    "AllocationIn": {
        "sku": "MUG-BLUE",
        "pools": [{"channel": "my-shop", "percent": 80}, {"channel": "my-amz", "percent": 15}],
        "refill": "daily",
        "refill_at": "03:00",
    },
    "RefillIn": {"sku": "BOWL"},
    "PlanScopeIn": {"sku_group": "mugs"},
    "GroupingIn": {"sku": "MUG-BLUE", "sku_group": "mugs"},
    "SourceIn": {"source": "erp", "title": "The ERP in the office", "error_s": 30},
    "StatementsIn": {
        "source": "erp",
        "statements": [
            {"document": "GR-1", **_MUG, "figure": "delta", "units": 20},
            {
                "document": "INV-7",
                **_MUG,
                "figure": "on_hand",
                "units": 31,
                "seen": {"documents": [{"source": "erp", "number": "GR-1"}]},
            },
        ],
    },
    "WholesaleOrderIn": {
        "customer": "ACME",
        "po_number": "PO-4711",
        "location": "BER",
        "ship_by": "2031-12-01",
        "cancel_after": "2031-12-15",
        "lines": [{"line_id": "1", "sku": "MUG-BLUE", "units": 4}],
    },
    "WholesaleNameIn": {"customer": "ACME", "po_number": "PO-4711"},
    "WholesaleShipmentIn": {
        "customer": "ACME",
        "po_number": "PO-4711",
        "shipment": "DN-1",
        "lines": [{"line_id": "1", "units": 1}],
    },
    "WholesaleCancelIn": {"customer": "ACME", "po_number": "PO-4711", "lines": ["1"]},
    "TruthRuleIn": {"pattern": "MUG-*", "strategy": "leader", "leader": "erp", "reason": "the ERP counts mugs"},
    "TruthScopeIn": {"pattern": "MUG-*", "reason": "the ERP went"},
    "ArchitectureIn": {"architecture": "hub", "leader": "my-shop", "reason": "the shop's admin is where we work"},
    "RulingIn": {"by": "Ada", "reason": "I counted them myself"},
    "EndpointIn": {"url": "https://erp.example/stock", "event_types": ["stock.changed"]},
    "ReplayIn": {"since": "2026-11-26T12:00:00Z"},
    "ReservationIn": {"key": "cart-7", "kind": "hold", "ttl_s": 600, "lines": [{**_MUG, "units": 1}]},
    "ExtensionIn": {"key": "cart-7-longer", "ttl_s": 900},
    "ClaimingIn": {"key": "cart-7-paid", "order": _ORDER},
    "ReleasingIn": {"key": "cart-7-left"},
}


def body(name: str) -> dict[str, Any]:
    """The `openapi_extra` of a route whose body is this model."""
    content = {"schema": {"$ref": f"#/components/schemas/{name}"}, "example": EXAMPLES[name]}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}
