"""Judges a run with a small model of its own: it shares no rule, type or statement with the engine.

`look` is for every committed change, `settled` for the end, when the faults have stopped: then nothing may be missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from psycopg import Connection

from oneshelf.simulation.counting import look_at_typed, untold
from oneshelf.simulation.pool_auditor import broken, unshared
from oneshelf.simulation.world import Known, World, sku_of


class ViolationError(Exception):
    """An invariant does not hold."""


# What must be empty after every commit. Written from the meaning of the tables, not from the engine's own audit.
_EMPTY = {
    "a balance is what its movements make it": """
        with moved as (
            select sku, to_location as location, to_account as state, units from movements where to_location is not null
            union all
            select sku, from_location, from_account, -units from movements where from_location is not null
        ), summed as (
            select sku, location,
                   sum(units) filter (where state = 'available') as a,
                   sum(units) filter (where state = 'committed') as c,
                   sum(units) filter (where state = 'reserved') as r, sum(units) filter (where state = 'damaged') as d,
                   sum(units) filter (where state in ('quality_control', 'safety_stock')) as k
            from moved group by sku, location
        )
        select sku, location, b.available, s.a, b.committed, s.c, b.reserved, s.r, b.damaged, s.d
        from balances b left join summed s using (sku, location)
        where (b.available, b.committed, b.reserved, b.damaged, b.quality_control + b.safety_stock) is distinct from
              (coalesce(s.a, 0), coalesce(s.c, 0), coalesce(s.r, 0), coalesce(s.d, 0), coalesce(s.k, 0))
    """,
    "committed units belong to order lines": """
        select sku, location, committed, held from balances
        left join (select sku, location, sum(units_committed) as held from order_lines group by 1, 2) as l
        using (sku, location) where committed <> coalesce(held, 0)
    """,
    "reserved units belong to reservations and unpaid lines": """
        select b.sku, b.location, b.reserved from balances b where b.reserved <>
            coalesce((select sum(units - units_short) from reservations r
                      where r.state = 'held' and r.sku = b.sku and r.location = b.location), 0)
          + coalesce((select sum(units_pending) from order_lines l where l.sku = b.sku and l.location = b.location), 0)
    """,
    "nothing is short while units are free": """
        select b.sku, b.location, b.available, l.units_short from balances b join order_lines l using (sku, location)
        where b.available > 0 and l.units_short > 0
    """,
    "no hold ends before its time": """
        select sku, reservation_id, expires_at from reservations where state = 'expired' and expires_at > db_now()
    """,
    "a version counts each change once": """
        select sku, version, count(*) from movements group by sku, coalesce(from_location, to_location), version
        having count(*) > 1
    """,
}
_LOOK = " union all ".join(
    f"select '{rule}', t.found::text from (select row_to_json(q) as found from ({statement}) as q limit 3) as t"  # noqa: S608  # statements of this file
    for rule, statement in _EMPTY.items()
)

# A figure that was ever to be shown, and is not what it says it follows from: so many were not available at the version
# of the ledger that it names, or it is another one than they allow.
_UNEXPLAINED = """
    with stated as (
        select p.*, place.key as location, place.value::bigint as there,
               (p.derivation -> 'ledger_versions' ->> place.key)::bigint as ledger_version
        from publications p, jsonb_each_text(p.derivation -> 'available') as place
    ), told as (
        select stated.*, coalesce((
            select sum(case when m.to_account = 'available' then m.units else 0 end
                     - case when m.from_account = 'available' then m.units else 0 end)
            from movements m where m.sku = stated.sku and m.version <= ledger_version
              and coalesce(m.from_location, m.to_location) = stated.location), 0) as was
        from stated
    ), summed as (
        select channel, channel_sku, version, units, sum(there) as there, sum(was) as was,
               min((derivation ->> 'in_suspense')::bigint) as in_suspense,
               bool_and(derivation ? 'guarded_from') as is_guarded, bool_and(derivation ? 'pool') as is_shared
        from told group by 1, 2, 3, 4
    )
    select channel, channel_sku, version, units, there, was, in_suspense from summed
    where there <> was
       or case when is_guarded then units > greatest(0, there)
               when is_shared then units > greatest(0, there - in_suspense)
               else units <> greatest(0, there - in_suspense) end
"""


class Auditor:
    """`session` sees what is committed, and nothing else."""

    def __init__(self, session: Connection[tuple[Any, ...]], world: World) -> None:
        self._session = session
        self._world = world
        self.look_count = 0
        # What channels show of guarded SKUs is ours to answer for once they were brought into order.
        self.are_in_order = False
        # Line -> the most units that it ever had.
        self._most: dict[tuple[str, str, str], int] = {}

    def known(self, channel: str, channel_sku: str) -> Known:
        """What the engine knows of a listing by now."""
        row = self._session.execute(
            """
            select l.verified_version > 0 and l.suspense_units = 0, coalesce(b.available, 0),
                   coalesce((select shown = accounted and accounted_at < db_now() - interval '10 seconds'
                             from stock_states s where s.channel = l.channel and s.channel_sku = l.channel_sku), false),
                   l.verified_version > 0 and l.doubt_net is null
            from listings l left join balances b on b.sku = l.sku and b.location = 'BER'
            where l.channel = %s and l.channel_sku = %s
            """,
            (channel, channel_sku),
            prepare=True,
        ).fetchone()
        return Known(*row) if row else Known(is_proved=False, available=0, is_accounted=False, was_proved=False)

    def look(self) -> None:
        """After a change of the ledger. Raises ViolationError."""
        self.look_count += 1
        for rule, found in self._session.execute(_LOOK, prepare=True):
            raise ViolationError(f"{rule}: {found}")
        for found in broken(self._session, self._world.shares) if self._world.shares else ():
            raise ViolationError(found)
        self._refuse_invented_orders()
        look_at_typed(self._world, self._session)
        if self._world.is_guarded:
            self.look_at_channels()

    def look_at_channels(self) -> None:
        """What channels show of a guarded SKU, and have sold and nobody knows, is there: after anything that happens.

        So no unit is sold twice. An order may be short for want of news alone: its unit came back to the shop, and
        nobody has told us yet. Raises ViolationError.
        """
        if not self._world.is_guarded or not self.are_in_order:
            return
        there = dict(
            self._session.execute(
                """
                select b.sku, (b.available - coalesce(sum(l.units_short), 0))::bigint from balances b
                left join order_lines l using (sku, location)
                where b.location = 'BER' group by b.sku, b.location, b.available
                """,
                prepare=True,
            )
        )
        known = {(channel, order, line): figures for channel, order, line, *figures in self._lines()}
        asked: Counter[str] = Counter()
        for channel, simulator in self._world.channels.items():
            sold = {}
            for listing in simulator.listings():
                sold[listing.channel_sku] = sku_of(listing.merchant_sku)
                asked[sku_of(listing.merchant_sku)] += listing.units
            for order in simulator.orders():
                for line in order.lines:
                    held, returned = known.get((channel, order.order_id, line.line_id), (0, 0))
                    # What came back to the shop and was put on sale there is a unit that lies there, whoever knows.
                    ours = line.units - line.units_cancelled - line.units_elsewhere
                    unheard = (ours - held) - (line.units_returned - returned)
                    asked[sold[line.channel_sku]] += unheard
        for sku, units in asked.items():
            if units > there.get(sku, 0):
                raise ViolationError(
                    f"no unit of a guarded SKU is shown or sold that is not there: {sku}, {units} are shown or sold "
                    f"unheard, less what came back unheard; {there.get(sku, 0)} are available, less what is short"
                )

    def _refuse_invented_orders(self) -> None:
        """Each order line that the ledger holds was sold, and is counted once; and so is what came back of it."""
        sold = self._sold()
        for place, (units, _) in sold.items():
            self._most[place] = max(self._most.get(place, 0), units)
        for channel, order, line, units, returned in self._lines():
            if channel != "till" and units > self._most.get((channel, order, line), 0):
                raise ViolationError(
                    f"no sale is counted twice, none is invented: {channel}/{order}/{line} holds {units}, "
                    f"{self._most.get((channel, order, line), 0)} were sold"
                )
            if channel != "till" and returned > (came_back := sold[channel, order, line][1]):
                raise ViolationError(
                    f"no return is counted twice, none is invented: {returned} of {channel}/{order}/{line} are back, "
                    f"{came_back} came back"
                )

    def _sold(self) -> dict[tuple[str, str, str], tuple[int, int]]:
        """Line -> units that were ever sold on it, and those of them that came back and are on sale again."""
        return {
            (channel, order.order_id, line.line_id): (line.units, line.units_returned)
            for channel in self._world.channels
            for order in self._world.orders(channel)
            for line in order.lines
        }

    def _lines(self) -> list[tuple[str, str, str, int, int]]:
        """Of each line, beside its names: the units that it has or had, and those of them that are back."""
        return self._session.execute(
            """
            select channel, order_id, line_id, (units_pending + units_committed + units_short + units_shipped)::bigint,
                   greatest(units_returned, units_restocked)::bigint
            from order_lines
            """,
            prepare=True,
        ).fetchall()

    def _slander(self) -> Iterator[str]:
        """In the end nobody is said to have edited a figure who has not: late news puts right what was said before it.

        Of guarded days alone: on the others goods are sold while the first reading is taken, and an order of before it
        that is told after it looks like somebody's edit.
        """
        if not self._world.is_guarded or not self._world.is_honest:
            return
        for channel, channel_sku, expected, observed in self._session.execute(
            "select channel, channel_sku, expected_units, observed_units from drifts where cause = 'foreign edit'"
        ):
            if (channel, channel_sku) not in self._world.edited:
                yield (
                    f"nobody is said to have edited a figure who has not: {channel} {channel_sku}, {expected} were "
                    f"expected, {observed} shown"
                )

    def _refuse_unexplained(self) -> None:
        """Every figure that a listing was ever to show follows from what it says it does."""
        for channel, channel_sku, version, units, there, was, held in self._session.execute(_UNEXPLAINED):
            raise ViolationError(
                f"every figure can be explained: {channel} {channel_sku} was to show {units} in plan {version}, from "
                f"{there} available ({was} by the movements) and {held} in suspense"
            )

    # The end ---------------------------------------------------------------------------------------------------

    def unsettled(self) -> Iterator[str]:
        """What is still missing; nothing once everything has come to rest and agrees with the truth.

        To ask for the first of it costs little, as long as there is any.
        """
        self._refuse_unexplained()
        for missing in (
            *(self._queues, self._orders, self._payments, self._commands, self._stock, self._listings),
            *(self._slander, self._stated),
        ):
            yield from missing()

    def _queues(self) -> Iterator[str]:
        for name, count in self._session.execute(
            """
            select 'deliveries', count(*) from inbox where state = 'new' union all
            select 'facts', count(*) from facts where state = 'new' union all
            select 'touched', count(*) from touched union all
            select 'parked deliveries', count(*) from inbox where state = 'parked' union all
            select 'parked facts', count(*) from facts where state = 'parked' union all
            select 'open drifts', count(*) from drifts where resolved_at is null union all
            select 'holds past their time', count(*) from reservations
            where state = 'held' and expires_at < db_now() - interval '1 minute'
            """
        ):
            if count:
                yield f"{count} {name} wait"

    def _stated(self) -> Iterator[str]:
        if self._world.peers is not None:
            yield from self._world.peers.unsettled()

    def _orders(self) -> Iterator[str]:
        known = {(channel, order, line): figures for channel, order, line, *figures in self._lines()}
        for channel in self._world.channels:
            for order in self._world.orders(channel):
                for line in order.lines:
                    units, returned = known.get((channel, order.order_id, line.line_id), (0, 0))
                    place = f"{channel}/{order.order_id}/{line.line_id}"
                    wanted = line.units - line.units_cancelled - line.units_elsewhere
                    if units != wanted:
                        yield f"{place} holds {units}, should hold {wanted}"
                    if returned != line.units_returned:
                        yield f"of {place} {returned} are back, {line.units_returned} came back"

    def _payments(self) -> Iterator[str]:
        """Units of an order that nobody has paid are set aside, those of a paid one are promised."""
        pending, committed = (
            {(channel, order) for channel, order in self._session.execute(statement)}
            for statement in (
                "select distinct channel, order_id from order_lines where units_pending > 0",
                "select distinct channel, order_id from order_lines where units_committed > 0",
            )
        )
        for channel in self._world.channels:
            for order in self._world.orders(channel):
                is_pending = order.status == "pending"
                if (channel, order.order_id) in (committed if is_pending else pending):
                    yield f"{channel}/{order.order_id} is {order.status}, and its units are not"

    def _commands(self) -> Iterator[str]:
        """A command that was answered was done once; one that was refused was not. A reservation ends once."""
        ends = Counter(
            asked.body["reservation_id"]
            for asked in self._world.asked.values()
            if asked.is_done and asked.body["type"] in {"release", "claim"} and asked.body.get("into") != "lock"
        )
        yield from (f"reservation {name} was ended {count} times" for name, count in ends.items() if count > 1)
        sources = Counter(dict(self._session.execute("select source, count(*) from movements group by source")))
        keys = {row[0] for row in self._session.execute("select key from commands where scope = 'api'")}
        for asked in self._world.asked.values():
            if asked.status is None:
                yield f"{asked.key} has no answer"
            elif asked.key not in keys:
                yield f"{asked.key} was answered with {asked.status} and is not known"
            elif asked.body["type"] in {"receive", "adjust", "move"}:
                moved = sources[f"api {asked.key}"]
                if moved != int(asked.is_done):
                    yield f"{asked.key} {asked.body['type']} was answered with {asked.status} and moved {moved} times"

    def _stock(self) -> Iterator[str]:
        """Every unit that came in is where the truth says it is: free, promised, damaged, or gone with a customer."""
        came: Counter[str] = Counter()
        damaged: Counter[str] = Counter()
        for asked in self._world.asked.values():
            if asked.is_done:
                kind, sku = asked.body["type"], asked.body.get("sku", "")
                came[sku] += {"receive": asked.body.get("units", 0), "adjust": asked.body.get("delta_units", 0)}.get(
                    kind, 0
                )
                damaged[sku] += asked.body["units"] if kind in {"move", "return"} else 0
        came.update(self._world.shape.typed.came(self._session, untold=untold(self._world)))
        came.update(self._world.peers.came() if self._world.peers else {})
        shipped: Counter[str] = Counter()
        for sku, units, uncounted in self._session.execute(
            """
            select sku, coalesce(sum(units) filter (where to_account = 'customer'), 0)
                        - coalesce(sum(units) filter (where from_account = 'customer'), 0),
                   sum(units) filter (where reason = 'shipped_uncounted' and from_account = 'found')
            from movements group by sku
            """
        ):
            shipped[sku] += units or 0
            came[sku] += uncounted or 0
        for sku, there, *kept in self._session.execute(
            """
            select sku, sum(available + committed + reserved + damaged + quality_control + safety_stock)::bigint,
                   sum(damaged)::bigint, sum(quality_control)::bigint, sum(safety_stock)::bigint
            from balances group by sku
            """
        ):
            if there != came[sku] - shipped[sku]:
                yield f"{sku}: {there} are there, {came[sku]} came, {shipped[sku]} were shipped"
            moved = self._world.kept
            wanted = [
                moved[sku, "damaged"] + damaged[sku],
                moved[sku, "quality_control"],
                # Nobody's reservation stands behind what a shop reserves.
                moved[sku, "safety_stock"] + moved[sku, "reserved"],
            ]
            if kept != wanted:
                yield f"{sku}: damaged, quality control and safety stock are {kept}, should be {wanted}"

    def _listings(self) -> Iterator[str]:
        truth = {
            (channel, listing.channel_sku): (listing.merchant_sku, listing.units)
            for channel, simulator in self._world.channels.items()
            for listing in simulator.listings()
        }
        free = dict(self._session.execute("select sku, available from balances where location = 'BER' and version > 0"))
        guarded = {sku for (sku,) in self._session.execute("select sku from skus where is_guarded")}
        offered: Counter[str] = Counter()
        idle: Counter[str] = Counter()
        for channel, channel_sku, sku, desired, verified, phase in self._session.execute(
            "select channel, channel_sku, sku, desired_units, verified_units, phase from listings"
        ):
            _, shown = truth.pop((channel, channel_sku), ("", None))
            if sku not in free:
                continue  # Nothing of it was ever counted, so nothing is said of it.
            offered[sku] += shown or 0
            # Who has to be emptied first, for a unit or two on top of many, is not.
            idle[sku] += 0 if channel == "shopify" and self._world.is_compared else max(1, (shown or 0) // 4)
            wanted = desired if sku in guarded or self._world.shares else free.get(sku, 0)
            if not shown == desired == verified == wanted or phase not in {"idle", "accepted"}:
                yield (
                    f"{channel} {channel_sku} shows {shown}, should show {desired}, proved {verified}, "
                    f"{free.get(sku, 0)} are free, {phase}"
                )
        yield from (f"{channel} {channel_sku} is not known" for channel, channel_sku in truth)
        if self._world.shares:
            for sku in free.keys() - guarded:
                yield from unshared(self._world.shares, sku=sku, offered=offered[sku], free=free[sku])
            guarded &= free.keys() if self._world.shares.sells_all else set()
        for sku in guarded & free.keys():
            left = free[sku] - offered[sku]
            most = 0 if self._world.is_compared else max(1, offered[sku] // 4)
            # Where each has a pool, nobody else takes what one leaves.
            if left < 0 or left > (idle[sku] if self._world.shares else most):
                yield f"{sku} is guarded: {offered[sku]} are offered, {free[sku]} are free"
