"""Tills pass the suite that every connector has to pass; what cannot be asked of them is printed as such."""

from __future__ import annotations

from oneshelf.sdk.conformance import suite
from oneshelf.sdk.conformance.run import checks_of
from oneshelf.sdk.kinds import load_kinds

TestTill = suite("till")


def test_what_is_not_asked_of_a_till_is_asked_of_all_others() -> None:
    kinds = load_kinds()
    excused = {
        check.name for check in checks_of() if check.exemption(kinds["till"].capability) == "shows_figures is false"
    }
    asked = {check.name for check in checks_of() if not check.exemption(kinds["till"].capability)}
    assert {"zero_is_zero", "a_sale_is_read", "every_order_is_told_once_time_has_passed"} <= excused
    assert {"an_altered_body_is_refused", "every_sale_at_a_device_is_told_once_by_number"} <= asked
    for name in ("shopify", "amazon", "ebay"):
        exemptions = [check.exemption(kinds[name].capability) for check in checks_of() if check.rule != "devices"]
        assert "shows_figures is false" not in exemptions
