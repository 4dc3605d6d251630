"""What whoever is on call is told of: zeros that do not take, units that are shared too much, the database itself.

These statements only read.
"""

from __future__ import annotations

from typing import NamedTuple

from oneshelf.storage.database import Transaction, only_row

# A listing that is to show 0 where something can still be bought: what it showed, what a write on its way may have made
# of it, or a reading that nobody has explained. What fell off it and is in suspense is bought already. Held by the
# breaker it counts too, for it sells. `l`, `c`.
ZERO_FAILS = """
    l.desired_units = 0 and l.rights_units > l.suspense_units and l.sku is not null and l.note = '' and c.mode = 'live'
    and c.shows_figures and (c.signs_off = 'channel' or l.signed_off_at is not null)
"""
# SKU, location -> units that its listings may sell beyond what is there, though they are to share its units. Rights are
# checked before each write, so this is what somebody else did: an edit by hand, a count, a sale in the shop.
SHARED_TOO_MUCH = """
    select s.sku, g.location, g.units - coalesce(b.available, 0) as units
    from skus s cross join lateral (
        select location, units from granted where granted.sku = s.sku and not has_unread
    ) as g
    left join balances b on b.sku = s.sku and b.location = g.location
    where s.is_guarded and g.units > greatest(0, coalesce(b.available, 0))
"""


class Size(NamedTuple):
    """The database. `connections`: of all programs to it; `connections_max`: what its server allows to all."""

    byte_count: int
    connections: int
    connections_max: int


async def shared_too_much(tx: Transaction) -> int:
    """How many units of SKUs that are shared among their listings could be sold twice now."""
    (units,) = await only_row(
        await tx.execute(f"select coalesce(sum(units), 0)::bigint from ({SHARED_TOO_MUCH}) as beyond")
    )
    return int(units)


async def size(tx: Transaction) -> Size:
    """How large the database is, and how many connections to it there are."""
    cursor = await tx.execute(
        """
        select pg_database_size(current_database()),
               (select count(*) from pg_stat_activity where datname = current_database()),
               current_setting('max_connections')::int
        """
    )
    return Size(*await only_row(cursor))
