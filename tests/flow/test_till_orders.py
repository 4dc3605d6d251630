"""Whatever the order, repetition and batches in which devices tell their events, the ledger ends the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import event as note
from hypothesis import strategies as st

from flow.till_world import Event, Tills, ago, back, event, line, open_tills, sale

pytestmark = pytest.mark.pg

SKUS = ("MUG", "CAP", "DUO")
Plan = list[tuple[str, str, int]]
# What a device does: a sale of so many, a return of some, an exchange, or a void of its latest sale.
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["sale", "sale", "return", "exchange", "void"]), st.sampled_from(SKUS), st.integers(1, 4)
    ),
    min_size=1,
    max_size=7,
)


def events_of(device: str, acts: Plan) -> list[Event]:
    """The events of a device under the numbers 1, 2, 3, …"""
    told: list[Event] = []
    open_sales: list[str] = []
    for kind, sku, units in acts:
        number, at = len(told) + 1, ago(200 - len(told))
        if kind == "sale" or (kind == "void" and not open_sales):
            open_sales.append(f"R-{number}")
            told.append(sale(number, lines=[line(sku, units)], device=device, at=at))
        elif kind == "void":
            told.append(event("void", number, device=device, receipt=open_sales.pop(), at=at))
        elif kind == "return":
            into = ("available", "damaged")[units % 2]
            told.append(event("return", number, device=device, returned=[back(units, into, "MUG")], at=at))
        else:
            told.append(
                event("exchange", number, device=device, lines=[line(sku, 1)], returned=[back(units, sku="CAP")], at=at)
            )
    return told


@st.composite
def deliveries(draw: st.DrawFn, events: list[Event]) -> list[list[Event]]:
    """All the events at least once, in any order, some again, in batches of any size."""
    again = draw(st.lists(st.sampled_from(events), max_size=4))
    shuffled = draw(st.permutations([*events, *again]))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(shuffled) - 1)), max_size=4)))
    return [shuffled[start:end] for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]


@st.composite
def stories(draw: st.DrawFn) -> tuple[int, list[Event], list[list[Event]]]:
    events = [one for device in ("till-1", "till-2") for one in events_of(device, draw(ACTS))]
    return draw(st.sampled_from([0, 2, 30])), events, draw(deliveries(events))


@pytest.mark.long
@settings(max_examples=16, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stories())
def test_any_order_of_arrival_gives_the_same_ledger(
    dsn: str, story: tuple[int, list[Event], list[list[Event]]]
) -> None:
    units, events, batches = story
    note("short" if units < 30 else "plenty")
    in_order = asyncio.run(_ledger_after(dsn, units, [events]))
    assert asyncio.run(_ledger_after(dsn, units, batches)) == in_order


async def _ledger_after(dsn: str, units: int, batches: list[list[Event]]) -> dict[str, Any]:
    async with open_tills(dsn, {sku: units for sku in SKUS[:2] if units}) as tills:
        await tills.ledger.define_duo()
        for batch in batches:
            await tills.tell(*batch)
        assert await tills.gaps() == []
        assert await tills.parked() == []
        await tills.ledger.assert_sound()
        state = await _state(tills)
        await tills.forget()
        return state


async def _state(tills: Tills) -> dict[str, Any]:
    """Balances, what is owed, what each receipt sold and brought, and how far the devices are."""
    return {
        "balances": await tills.ledger.rows("select sku, available, committed, damaged from balances order by sku"),
        "short": await tills.ledger.rows(
            "select sku, sum(units_short) as units from order_lines group by sku order by sku"
        ),
        "receipts": await tills.ledger.rows(
            "select order_id, line_id, sku, units_shipped + units_short as sold, units_brought from order_lines "
            "order by order_id, line_id, sku"
        ),
        "devices": await tills.ledger.rows("select device, highest, told_count from devices order by device"),
    }
