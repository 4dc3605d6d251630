"""Questions of the auditor: statements that must find nothing, and the movements behind what they find.

Each rule is one statement over `summed_accounts`, which `audit_scopes` has filled, and over the rows that its scope
names: all there are, or those of the SKUs that are to be checked. Each gives the place and the figures for a person,
and for `_EVIDENCE` the SKU with the location and account, or the source, whose movements tell the story.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from oneshelf.storage.audit_scopes import ALL, CHECKED, Scope
from oneshelf.storage.database import Transaction, only_row
from oneshelf.storage.movements import MovementRow

VIOLATIONS_MAX = 1_000
MOVEMENTS_SHOWN = 20
# How many violations are given their movements. Somebody who has more than so many wants the first ones.
EXPLAINED_MAX = 200


class Violation(NamedTuple):
    """A rule that does not hold, where, and the figures. `movements`: the newest of `movement_count` behind it."""

    rule: str
    where: str
    figures: str
    sku: str
    location: str | None = None
    account: str | None = None
    source: str | None = None
    movements: tuple[MovementRow, ...] = ()
    movement_count: int = 0


_RULES = {
    "a balance is the sum of its movements": """
        with kept as (
            select b.sku, b.location, state.account, state.units
            from {balances} b cross join lateral (values
                ('available', b.available), ('committed', b.committed), ('reserved', b.reserved),
                ('damaged', b.damaged), ('quality_control', b.quality_control), ('safety_stock', b.safety_stock),
                ('incoming', b.incoming)
            ) as state (account, units)
            where state.units <> 0
        ), summed as (
            select sku, location, account, units from summed_accounts where location <> '' and units <> 0
        )
        select concat_ws(' ', sku, location, account) as place,
               format('balance %%s, movements %%s', coalesce(k.units, 0), coalesce(s.units, 0)) as figures,
               sku, location, account, null as source
        from kept k full join summed s using (sku, location, account)
        where coalesce(k.units, 0) <> coalesce(s.units, 0)
    """,
    "committed units are those that order lines hold": """
        select concat_ws(' ', sku, location) as place,
               format('balance %%s, order lines %%s', committed, coalesce(held, 0)) as figures,
               sku, location, 'committed' as account, null as source
        from {balances} b
        left join (
            select sku, location, sum(units_committed) as held
            from {lines} l where units_committed + units_pending > 0 group by 1, 2
        ) as lines using (sku, location)
        where committed <> coalesce(held, 0)
    """,
    "reserved units are those that reservations and unpaid order lines hold": """
        with held as (
            select sku, location, units_pending as units
            from {lines} l where units_committed + units_pending > 0 and units_pending > 0
            union all
            select sku, location, units - units_short from {reservations} r where state = 'held'
        ), summed as (
            select sku, location, sum(units) as units from held group by 1, 2
        )
        select concat_ws(' ', sku, location) as place,
               format('reserved %%s, reservations and lines %%s', coalesce(b.reserved, 0), coalesce(s.units, 0))
                   as figures,
               sku, location, 'reserved' as account, null as source
        from {balances} b full join summed s using (sku, location)
        where coalesce(b.reserved, 0) <> coalesce(s.units, 0)
    """,
    "a reservation ended once, and its units went in and out": """
        with moved as (
            {moved_reservations}
        ), kept as (
            select sku, 'reservation ' || reservation_id as source, sum(units - units_short + units_lost) as units,
                   bool_or(state = 'claimed') as is_claimed,
                   sum(case when state in ('released', 'expired') then units - units_short else 0 end) as units_back
            from {moved_of} r group by sku, reservation_id
        )
        select concat_ws(' ', sku, substr(source, 13)) as place,
               format('reserved %%s, movements in %%s, out %%s', k.units, m.units_in, m.units_out) as figures,
               sku, null as location, null as account, source
        from kept k full join moved m using (sku, source)
        where k.units is null or coalesce(m.units_in, 0) <> k.units
           or m.units_out > k.units or not k.is_claimed and coalesce(m.units_out, 0) <> k.units_back
    """,
    "units in transit are those that transfers have under way": """
        with moved as (
            select sku, units from summed_accounts where location = '' and account = 'in_transit' and units <> 0
        ), kept as (
            select sku, sum(units_sent - units_arrived - units_lost) as units from {transfers} t
            where units_arrived + units_lost < units_sent group by 1
        )
        select sku as place,
               format('in transit %%s, transfers %%s', coalesce(m.units, 0), coalesce(k.units, 0)) as figures,
               sku, '' as location, 'in_transit' as account, null as source
        from moved m full join kept k using (sku) where coalesce(m.units, 0) <> coalesce(k.units, 0)
    """,
    "incoming units are there for all that shipments announce": """
        with kept as (
            select sku, location, sum(units_announced - units_received - units_cancelled) as units
            from {shipments} s where units_received + units_cancelled < units_announced group by 1, 2
        )
        select concat_ws(' ', k.sku, k.location) as place,
               format('incoming %%s, shipments %%s', coalesce(b.incoming, 0), k.units) as figures,
               k.sku, k.location, 'incoming' as account, null as source
        from kept k left join {balances} b on b.sku = k.sku and b.location = k.location
        where coalesce(b.incoming, 0) < k.units
    """,
    "what customers have is what was shipped and has not come back": """
        with moved as (
            select sku, units from summed_accounts where location = '' and account = 'customer' and units <> 0
        ), kept as (
            select sku, sum(units_shipped - greatest(units_returned, units_restocked)) as units
            from {lines} l group by 1
        )
        select sku as place,
               format('with customers %%s, order lines %%s', coalesce(m.units, 0), coalesce(k.units, 0)) as figures,
               sku, '' as location, 'customer' as account, null as source
        from moved m full join kept k using (sku) where coalesce(m.units, 0) <> coalesce(k.units, 0)
    """,
    "no order waits for units that are free": """
        select concat_ws(' ', l.channel, l.order_id, l.line_id) as place,
               format('%%s short of %%s, %%s available', l.units_short, l.sku, b.available) as figures,
               l.sku, l.location, 'available' as account, null as source
        from {lines} l join balances b on b.sku = l.sku and b.location = l.location
        where l.units_short > 0 and b.available > 0
        union all
        select concat_ws(' ', r.sku, 'reservation', r.reservation_id),
               format('%%s short of %%s, %%s available', r.units_short, r.sku, b.available),
               r.sku, r.location, 'available', null
        from {reservations} r join balances b on b.sku = r.sku and b.location = r.location
        where r.state = 'held' and r.units_short > 0 and b.available > 0
    """,
    "what a line holds adds up to what its order says": """
        with said as (
            -- What leaves from elsewhere is on no shelf of ours. Snapshots of earlier versions say nothing of it.
            select o.channel, o.order_id, line.line_id, line.units_ordered - line.units_cancelled
                   - coalesce(line.units_elsewhere, 0) - coalesce(line.units_shipped_elsewhere, 0) as units
            from {orders} o
            cross join lateral jsonb_to_recordset(o.snapshot -> 'lines') as line (
                line_id text, units_ordered bigint, units_cancelled bigint,
                units_elsewhere bigint, units_shipped_elsewhere bigint)
        ), held as (
            select channel, order_id, line_id, sku, pack_units,
                   units_pending + units_committed + units_shipped + units_short as units
            from {lines_of_orders} l
        )
        select concat_ws(' ', channel, order_id, line_id) as place,
               format('line holds %%s, order says %%s', h.units, s.units * h.pack_units) as figures,
               h.sku, null as location, null as account,
               concat('order ', channel, '/', order_id, '/', line_id) as source
        from held h join said s using (channel, order_id, line_id)
        where h.units <> s.units * h.pack_units
    """,
    "a bundle has no units of its own": """
        select moved.sku as place, 'units of it have moved' as figures, moved.sku, null as location, null as account,
               null as source
        from (select distinct sku from {bundles} b) as b
        cross join lateral (select sku from movements m where m.sku = b.sku limit 1) as moved
    """,
    # A sale from before its channel was connected had left the listing when we first read it. What such a line takes
    # off or puts back later counts, and nothing tells the two apart: it lowers the listing at most by what it says.
    # The seconds are those by which the clocks may differ, see `flow.post`.
    "what orders took off a listing is what their lines say": """
        with of_skus as (
            select l.channel, l.channel_sku, l.sku, sum(l.units_off_listing) as units,
                   bool_or(l.placed_at < c.created_at - interval '5 s') as has_earlier
            from {lines_of_listings} l join channels c on c.channel = l.channel
            group by 1, 2, 3
        ), several as (
            select channel, channel_sku from of_skus group by 1, 2 having count(*) > 1
        ), said as (
            select channel, channel_sku, min(sku) as sku, sum(units) as units, bool_or(has_earlier) as has_earlier
            from of_skus group by 1, 2 having count(*) = 1
            union all
            -- A line of a bundle has a row for each component, and all of them say what the line took off.
            select channel, channel_sku, min(sku), sum(units), bool_or(has_earlier)
            from (
                select l.channel, l.channel_sku, min(l.sku) as sku, max(l.units_off_listing) as units,
                       bool_or(l.placed_at < c.created_at - interval '5 s') as has_earlier
                from several join {lines_of_listings} l using (channel, channel_sku) join channels c using (channel)
                group by l.channel, l.channel_sku, l.order_id, l.line_id
            ) as lines group by 1, 2
        )
        select concat_ws(' ', channel, channel_sku) as place,
               format('listing %%s, order lines %%s', g.net_units, coalesce(s.units, 0)) as figures,
               coalesce(g.sku, s.sku, '') as sku, null as location, null as account,
               concat('order ', channel, '/') as source
        from {listings} g left join said s using (channel, channel_sku)
        where g.net_units <> coalesce(s.units, 0)
          and not (coalesce(s.has_earlier, false) and g.net_units < s.units)
    """,
}

# Of the auditor's own memory; only a pass over all movements can tell.
_RULES_OF_THE_WHOLE = {
    "what was audited is the sum of the movements before the auditor's position": """
        select concat_ws(' ', sku, location, account) as place,
               format('audited %%s, movements %%s', coalesce(a.units, 0), coalesce(s.units_audited, 0)) as figures,
               sku, location, account, null as source
        from audited_accounts a full join summed_accounts s using (sku, location, account)
        where coalesce(a.units, 0) <> coalesce(s.units_audited, 0)
    """,
}


def rules_of(scope: Scope) -> dict[str, str]:
    """Every rule that can be checked in this scope, with its statement."""
    rules = {**_RULES, **_RULES_OF_THE_WHOLE} if scope is ALL else _RULES
    return {rule: _bounded(statement, scope) for rule, statement in rules.items()}


def _bounded(statement: str, scope: Scope) -> str:
    return f"""
        select place, figures, sku, location, account, source, count(*) over () as found_count
        from ({statement.format(**scope.rows)}) as found
        order by sku, place limit %(limit)s
    """


_STATEMENTS = {scope.name: rules_of(scope) for scope in (ALL, CHECKED)}


def rules(scope: Scope) -> Sequence[str]:
    """The names of the rules that hold in this scope, in the order in which they are checked."""
    return tuple(_STATEMENTS[scope.name])


async def broken(tx: Transaction, rule: str, scope: Scope) -> tuple[list[Violation], int]:
    """Where a rule does not hold, the first `VIOLATIONS_MAX` places by SKU; and how many there are in all."""
    cursor = await tx.execute(_STATEMENTS[scope.name][rule].encode(), {"limit": VIOLATIONS_MAX})
    found, count = [], 0
    async for place, figures, sku, location, account, source, found_count in cursor:
        found.append(Violation(rule, place, figures, sku, location, account, source))
        count = found_count
    return found, count


_EVIDENCE = """
    select v.number, m.posted_at, m.units, m.from_account, m.from_location, m.to_account, m.to_location, m.reason,
           m.source, m.movement_id, m.count
    from unnest(%(skus)s::text[], %(locations)s::text[], %(accounts)s::text[], %(sources)s::text[])
        with ordinality as v (sku, location, account, source, number)
    cross join lateral (
        select posted_at, units, from_account, from_location, to_account, to_location, reason, source, movement_id,
               count(*) over () as count
        from movements
        where sku = v.sku
          and (v.source is null or source = v.source or v.source like '%%/' and starts_with(source, v.source))
          and (v.account is null
               or from_account = v.account and coalesce(from_location, '') = v.location
               or to_account = v.account and coalesce(to_location, '') = v.location)
        order by movement_id desc limit %(shown)s
    ) as m
    order by v.number, m.movement_id desc
"""


async def explained(tx: Transaction, violations: Sequence[Violation]) -> list[Violation]:
    """The same violations, the first `EXPLAINED_MAX` of them with their newest movements."""
    first = violations[:EXPLAINED_MAX]
    if not first:
        return []
    cursor = await tx.execute(
        _EVIDENCE,
        {
            "skus": [violation.sku for violation in first],
            "locations": [violation.location for violation in first],
            "accounts": [violation.account for violation in first],
            "sources": [violation.source for violation in first],
            "shown": MOVEMENTS_SHOWN,
        },
    )
    told = [([], 0) for _ in first]  # type: list[tuple[list[MovementRow], int]]
    async for number, *columns, count in cursor:
        told[number - 1] = ([*told[number - 1][0], MovementRow(*columns)], count)
    return [*_with_movements(first, told), *violations[EXPLAINED_MAX:]]


def _with_movements(
    violations: Sequence[Violation], told: Sequence[tuple[list[MovementRow], int]]
) -> Iterator[Violation]:
    for violation, (moved, count) in zip(violations, told, strict=True):
        yield violation._replace(movements=tuple(moved), movement_count=count)


async def movement_count(tx: Transaction) -> int:
    """How many movements were added up into `summed_accounts`."""
    (count,) = await only_row(await tx.execute("select coalesce(sum(movement_count), 0)::bigint from summed_accounts"))
    return int(count)
