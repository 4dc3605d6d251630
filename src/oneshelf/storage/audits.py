"""Questions of the auditor: statements that must find nothing."""

from __future__ import annotations

from typing import NamedTuple

from oneshelf.storage.database import Transaction


class Violation(NamedTuple):
    """A rule that does not hold, where, and the figures."""

    rule: str
    where: str
    figures: str


_STATES = ("available", "committed", "reserved", "damaged", "quality_control", "safety_stock", "incoming")
_BALANCE_ROWS = " union all ".join(
    f"select sku, location, '{state}' as account, {state}::bigint as units from balances" for state in _STATES
)

_RULES = {
    "a balance is the sum of its movements": f"""
        with legs as (
            select sku, to_location as location, to_account as account, units::bigint as units
            from movements where to_location is not null
            union all
            select sku, from_location, from_account, -units::bigint from movements where from_location is not null
        ), summed as (
            select sku, location, account, sum(units) as units from legs group by 1, 2, 3
        ), kept as (
            select * from ({_BALANCE_ROWS}) as all_states where units <> 0
        )
        select concat_ws(' ', coalesce(k.sku, s.sku), coalesce(k.location, s.location), coalesce(k.account, s.account)),
               format('balance %%s, movements %%s', coalesce(k.units, 0), coalesce(s.units, 0))
        from kept k full join summed s using (sku, location, account)
        where coalesce(k.units, 0) <> coalesce(s.units, 0)
    """,
    "committed units are those that order lines hold": """
        select concat_ws(' ', sku, location), format('balance %%s, order lines %%s', committed, coalesce(held, 0))
        from balances
        left join (select sku, location, sum(units_committed) as held from order_lines group by 1, 2) as lines
            using (sku, location)
        where committed <> coalesce(held, 0)
    """,
    "reserved units are those that reservations and unpaid order lines hold": """
        with held as (
            select sku, location, units_pending as units from order_lines where units_pending > 0
            union all
            select sku, location, units - units_short from reservations where state = 'held'
        ), summed as (
            select sku, location, sum(units) as units from held group by 1, 2
        )
        select concat_ws(' ', sku, location),
               format('reserved %%s, reservations and lines %%s', coalesce(b.reserved, 0), coalesce(s.units, 0))
        from balances b full join summed s using (sku, location)
        where coalesce(b.reserved, 0) <> coalesce(s.units, 0)
    """,
    "a reservation ended once, and its units went in and out": """
        with moved as (
            select sku, substr(source, 13)::uuid as reservation_id,
                   sum(case when to_account = 'reserved' then units else 0 end) as units_in,
                   sum(case when from_account = 'reserved' then units else 0 end) as units_out
            from movements where source like 'reservation %%' group by 1, 2
        ), kept as (
            select sku, reservation_id, sum(units - units_short + units_lost) as units,
                   bool_or(state = 'claimed') as is_claimed,
                   sum(case when state in ('released', 'expired') then units - units_short else 0 end) as units_back
            from reservations group by 1, 2
        )
        select concat_ws(' ', sku, reservation_id),
               format('reserved %%s, movements in %%s, out %%s', k.units, m.units_in, m.units_out)
        from kept k full join moved m using (sku, reservation_id)
        where k.units is null or coalesce(m.units_in, 0) <> k.units
           or m.units_out > k.units or not k.is_claimed and coalesce(m.units_out, 0) <> k.units_back
    """,
    "units in transit are those that transfers have under way": """
        with moved as (
            select sku, sum(case when to_account = 'in_transit' then units else -units end) as units
            from movements where 'in_transit' in (to_account, from_account) group by 1
        ), kept as (
            select sku, sum(units_sent - units_arrived - units_lost) as units from transfers group by 1
        )
        select coalesce(m.sku, k.sku),
               format('in transit %%s, transfers %%s', coalesce(m.units, 0), coalesce(k.units, 0))
        from moved m full join kept k using (sku) where coalesce(m.units, 0) <> coalesce(k.units, 0)
    """,
    "what customers have is what was shipped and has not come back": """
        with moved as (
            select sku, sum(case when to_account = 'customer' then units else -units end) as units
            from movements where 'customer' in (to_account, from_account) group by 1
        ), kept as (
            select sku, sum(units_shipped - units_returned) as units from order_lines group by 1
        )
        select coalesce(m.sku, k.sku),
               format('with customers %%s, order lines %%s', coalesce(m.units, 0), coalesce(k.units, 0))
        from moved m full join kept k using (sku) where coalesce(m.units, 0) <> coalesce(k.units, 0)
    """,
    "no order waits for units that are free": """
        select concat_ws(' ', l.channel, l.order_id, l.line_id),
               format('%%s short of %%s, %%s available', l.units_short, l.sku, b.available)
        from order_lines l join balances b using (sku, location)
        where l.units_short > 0 and b.available > 0
        union all
        select concat_ws(' ', r.sku, 'reservation', r.reservation_id),
               format('%%s short of %%s, %%s available', r.units_short, r.sku, b.available)
        from reservations r join balances b using (sku, location)
        where r.state = 'held' and r.units_short > 0 and b.available > 0
    """,
    "what a line holds adds up to what its order says": """
        select concat_ws(' ', l.channel, l.order_id, l.line_id),
               format('line holds %%s, order says %%s', l.held, s.units_said)
        from (
            select channel, order_id, line_id, pack_units,
                   units_pending + units_committed + units_shipped + units_short as held
            from order_lines
        ) as l
        join (
            select o.channel, o.order_id, line ->> 'line_id' as line_id,
                   (line ->> 'units_ordered')::int - (line ->> 'units_cancelled')::int as units_said
            from orders o, jsonb_array_elements(o.snapshot -> 'lines') as line
        ) as s using (channel, order_id, line_id)
        where l.held <> s.units_said * l.pack_units
    """,
    "a bundle has no units of its own": """
        select moved.sku, 'units of it have moved'
        from (select distinct sku from bundle_components) as b
        cross join lateral (select sku from movements m where m.sku = b.sku limit 1) as moved
    """,
}


async def hold_still(tx: Transaction) -> None:
    """Let every statement of this transaction see the same instant. To be called first."""
    await tx.execute("set transaction isolation level repeatable read, read only")


async def violations(tx: Transaction) -> list[Violation]:
    """Every rule of the ledger that does not hold, over the whole history."""
    found: list[Violation] = []
    for rule, statement in _RULES.items():
        cursor = await tx.execute(statement, {})
        found += [Violation(rule, where, figures) async for where, figures in cursor]
    return found


async def movement_count(tx: Transaction) -> int:
    """How many movements there are."""
    cursor = await tx.execute("select count(*) from movements")
    row = await cursor.fetchone()
    return row[0] if row else 0
