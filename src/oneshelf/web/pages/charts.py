"""Figures over time, as `static/oneshelf.js` draws them: instants in seconds, and a line or bars for each series."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from oneshelf.domain.account import StockState
from oneshelf.domain.identity import Location
from oneshelf.domain.ledger import Balance
from oneshelf.storage.home_views import HourOfOrders
from oneshelf.storage.movements import MovementRow

# Lines are drawn for these, and for others where they ever had a unit.
_ALWAYS = ("on hand", "available", "committed")


def hours(counted: Sequence[HourOfOrders]) -> str:
    """Orders of each hour as bars."""
    return _drawn("bars", [hour.hour_at for hour in counted], {"orders": [hour.order_count for hour in counted]})


class OverTime:
    """The units of a SKU after each of its latest movements, at one location or over all.

    Told backwards from what is there now, so that it needs no more than the movements it shows. `is_whole`: these are
    all there ever were.
    """

    def __init__(
        self,
        balances: Mapping[Location, Balance],
        moved: Sequence[MovementRow],
        *,
        at: datetime,
        location: Location | None,
        is_whole: bool,
    ) -> None:
        units = dict.fromkeys(StockState, 0)
        for counted_at, balance in balances.items():
            if location in (None, counted_at):
                for state, there in balance.units.items():
                    units[state] += there
        self.instants: list[datetime] = [at]
        self._states: list[dict[StockState, int]] = [dict(units)]
        for one in moved:
            if one.posted_at != self.instants[-1]:
                self.instants.append(one.posted_at)
                self._states.append(dict(units))
            for account, place, sign in (
                (one.to_account, one.to_location, -1),
                (one.from_account, one.from_location, 1),
            ):
                if place is not None and location in (None, place):
                    units[StockState(account)] += sign * one.units
        self.is_whole = is_whole
        self.instants.reverse()
        self._states.reverse()

    def lines(self) -> dict[str, list[int]]:
        """Name of a state, or `on hand` -> units at each instant."""
        told = {"on hand": [sum(at.values()) - at[StockState.INCOMING] for at in self._states]}
        for state in StockState:
            line = [at[state] for at in self._states]
            name = state.value.replace("_", " ")
            if name in _ALWAYS or any(line):
                told[name] = line
        return told

    def drawn(self) -> str:
        """As a chart."""
        return _drawn("steps", self.instants, self.lines())


def _drawn(kind: str, instants: Sequence[datetime], lines: Mapping[str, Sequence[int]]) -> str:
    series = [{"label": name, "values": list(values)} for name, values in lines.items()]
    return json.dumps({"kind": kind, "x": [at.timestamp() for at in instants], "series": series})
