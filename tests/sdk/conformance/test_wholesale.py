"""Wholesale buyers pass the suite that every connector has to pass; what cannot be asked of them is printed as such."""

from __future__ import annotations

from oneshelf.sdk.conformance import suite
from oneshelf.sdk.conformance.run import checks_of
from oneshelf.sdk.kinds import load_kinds

TestWholesale = suite("wholesale")


def test_what_is_asked_of_a_buyer_is_asked_of_nobody_else() -> None:
    kinds = load_kinds()
    asked = {check.name for check in checks_of("purchase-orders")}
    assert all(not check.exemption(kinds["wholesale"].capability) for check in checks_of("purchase-orders"))
    for name in ("shopify", "till", "square"):
        exempt = {one.name for one in checks_of("purchase-orders") if one.exemption(kinds[name].capability)}
        assert exempt == asked
    devices = [check.exemption(kinds["wholesale"].capability) for check in checks_of("devices")]
    assert devices.count("takes_purchase_orders is true") == len(devices) - 1
