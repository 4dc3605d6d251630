"""What can be done to a simulator from outside, under `/_sim/`: to orders, to listings, to our access, to its clock.

Each takes a JSON object and answers with `{"result": …}`; a wrong value is refused and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from oneshelf.domain.identity import units_from
from oneshelf.errors import MalformedError

SKEW_S_MOST = 86_400.0

Control = Callable[[dict[str, Any]], Any]


class Controlled(Protocol):
    """The part of a simulator that is turned here."""

    def ship_units(self, order_id: str, line_id: str, units: int) -> bool: ...

    def cancel_units(self, order_id: str, line_id: str, units: int) -> bool: ...

    def edit_line(self, order_id: str, line_id: str, units: int) -> bool: ...

    def add_line(self, order_id: str, channel_sku: str, units: int) -> bool: ...

    def refund(self, order_id: str, line_id: str, units: int, *, restock: bool) -> bool: ...

    def ships_elsewhere(self, order_id: str, line_id: str, units: int) -> bool: ...

    def end_listing(self, channel_sku: str) -> bool: ...

    def remap(self, channel_sku: str, merchant_sku: str) -> bool: ...

    def untrack(self, channel_sku: str) -> bool: ...

    def revoke(self) -> None: ...

    def grant(self) -> None: ...

    def skew_clock(self, seconds: float | None = None) -> float: ...


def controls_of(simulator: Controlled) -> Mapping[str, Control]:
    """The name of each control below `/_sim/`, and what it does."""

    def revoke(_asked: dict[str, Any]) -> None:
        simulator.revoke()

    def grant(_asked: dict[str, Any]) -> None:
        simulator.grant()

    def clock(asked: dict[str, Any]) -> float:
        return simulator.skew_clock(_seconds(asked["skew_s"]) if "skew_s" in asked else None)

    return {
        "ship-units": lambda asked: simulator.ship_units(*_part(asked)),
        "cancel-units": lambda asked: simulator.cancel_units(*_part(asked)),
        "edit-line": lambda asked: simulator.edit_line(*_part(asked, least=0)),
        "add-line": lambda asked: simulator.add_line(
            _text(asked, "order_id"), _text(asked, "channel_sku"), units_from(asked["units"], what="units", least=1)
        ),
        "refund": lambda asked: simulator.refund(*_part(asked), restock=_flag(asked, "restock")),
        "ships-elsewhere": lambda asked: simulator.ships_elsewhere(*_part(asked, least=0)),
        "end-listing": lambda asked: simulator.end_listing(_text(asked, "channel_sku")),
        "remap": lambda asked: simulator.remap(_text(asked, "channel_sku"), _text(asked, "merchant_sku")),
        "untrack": lambda asked: simulator.untrack(_text(asked, "channel_sku")),
        "revoke": revoke,
        "grant": grant,
        "clock": clock,
    }


def _part(asked: Mapping[str, Any], *, least: int = 1) -> tuple[str, str, int]:
    units = units_from(asked["units"], what="units", least=least)
    return _text(asked, "order_id"), _text(asked, "line_id"), units


def _text(asked: Mapping[str, Any], name: str) -> str:
    if not isinstance(asked[name], str) or not asked[name]:
        raise MalformedError(f"{name} must be text")
    return str(asked[name])


def _flag(asked: Mapping[str, Any], name: str) -> bool:
    if not isinstance(asked[name], bool):
        raise MalformedError(f"{name} must be true or false")
    return bool(asked[name])


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not -SKEW_S_MOST <= value <= SKEW_S_MOST:
        raise MalformedError(f"skew_s must be a number of seconds, at most {SKEW_S_MOST:g} either way")
    return float(value)
