"""A day on which the channels share every SKU by an allocation plan, and what has to hold of its pools.

Written from the meaning of the tables and from the truth of the channels; no rule of the engine is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from psycopg import Connection

# Of the days of which nobody has said how their SKUs are shared.
POOLS_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Shares:
    """What each channel gets of every SKU, in percent. `overflow`: sells the rest; "": it is a buffer."""

    percents: Mapping[str, int]
    is_hard: bool
    overflow: str

    @property
    def sells_all(self) -> bool:
        """Whether no unit is kept back."""
        return bool(self.overflow) or sum(self.percents.values()) == 100  # percent

    def stated(self) -> dict[str, Any]:
        """The plan as a person states it."""
        kind = "hard" if self.is_hard else "soft"
        pools = [{"channel": name, "percent": part, "kind": kind} for name, part in self.percents.items()]
        return {"pools": pools, **({"overflow": self.overflow} if self.overflow else {})}


def drawn_shares(seed: int, channels: Sequence[str]) -> Shares | None:
    """How this day shares its SKUs; None: each channel shows all."""
    chance = Random(f"{seed}:pools")  # noqa: S311  # repeatable, not a secret
    if chance.random() >= POOLS_SHARE:
        return None
    rest = chance.choice((0, 0, 20))
    cuts = sorted(chance.randint(0, 100 - rest) for _ in channels[1:])
    ends = zip([0, *cuts], [*cuts, 100 - rest], strict=True)
    percents = {name: upper - lower for name, (lower, upper) in zip(channels, ends, strict=True)}
    return Shares(percents, chance.random() < 0.6, chance.choice(["", channels[0]]) if rest else "")


# What must be empty after every commit.
_BROKEN = """
    with pool as (
        select p.sku, p.location, p.version, p.rest_units, one ->> 'channel' as channel,
               (one ->> 'percent')::bigint as percent, (one ->> 'left')::bigint as units
        from pools p, jsonb_array_elements(p.pools) as one
    ), came as (
        select sku, to_location as location, sum(units) as units from movements
        where to_account = 'available' group by sku, to_location
    )
    select 'the pools and the rest are what is available', row_to_json(q)::text from (
        select sku, location, b.available, sum(units) + min(rest_units) as held from pool join balances b
        using (sku, location) where b.version = pool.version group by sku, location, b.available
        having sum(units) + min(rest_units) <> b.available) as q
    union all
    select 'no hard pool has more than its share of all that ever came', row_to_json(q)::text from (
        select pool.*, came.units as came, whole from pool join came using (sku, location)
        join (select sku, location, sum(percent) + %(rest)s as whole from pool group by sku, location) as w
        using (sku, location)
        where %(is_hard)s and whole * pool.units > percent * came.units + whole) as q
    union all
    select 'no listing is to show more than its pool', row_to_json(q)::text from (
        select l.channel, l.channel_sku, l.desired_units, pool.units, pool.rest_units from listings l
        join channels c on c.channel = l.channel
        join pool on pool.sku = l.sku and pool.location = c.location and pool.channel = l.channel
        where l.desired_units * l.pack_units
              > pool.units + case when l.channel = %(overflow)s then pool.rest_units else 0 end) as q
"""


def broken(session: Connection[tuple[Any, ...]], shares: Shares) -> Iterator[str]:
    """What does not hold of the pools."""
    rest = 100 - sum(shares.percents.values())
    asked = {"is_hard": shares.is_hard, "overflow": shares.overflow, "rest": rest}
    yield from (f"{rule}: {found}" for rule, found in session.execute(_BROKEN, asked, prepare=True))


def unshared(shares: Shares, *, sku: str, offered: int, free: int) -> Iterator[str]:
    """What is wrong with what the channels show of a SKU in the end: each unit is on sale once."""
    if offered > free or (shares.sells_all and offered < free):
        yield f"{sku} is shared by {shares}: {offered} are offered, {free} are free"
