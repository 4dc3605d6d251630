"""Rows of `counts` and `ruling_counts`: counts that have begun, and the last count of each balance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

import msgspec

from oneshelf.clock import first_id
from oneshelf.domain.account import Outside, StockState
from oneshelf.domain.command import CLOCK_ERROR_S, CommandKey, Count, CountedFigure
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.seen import Begun, Context, LookedBack, Moved, Ruling
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction, only_row

# Ids are made by the clock of a node and instants by that of the database: no two clocks are further apart than this.
_CLOCKS_APART_AT_MOST = timedelta(days=1)
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_STATES = tuple(StockState)
_ACCOUNTS: dict[str, StockState | Outside] = {account.value: account for account in (*StockState, *Outside)}

Found = dict[int, list[Moved]]


async def begin(tx: Transaction, token: UUID, location: Location, skus: Collection[Sku] | None) -> int:
    """Note where the balances of these SKUs (None: of all that are no bundles) stand here. Returns how many.

    One statement reads them all as they were committed at one instant: what commits later is later, whatever its id
    or its time says.
    """
    cursor = await tx.execute(
        """
        insert into counts (sku, token, location, version,
                            available, committed, reserved, damaged, quality_control, safety_stock, incoming)
        select s.sku, %(token)s, %(location)s, coalesce(b.version, 0),
               coalesce(b.available, 0), coalesce(b.committed, 0), coalesce(b.reserved, 0), coalesce(b.damaged, 0),
               coalesce(b.quality_control, 0), coalesce(b.safety_stock, 0), coalesce(b.incoming, 0)
        from skus s left join balances b on b.sku = s.sku and b.location = %(location)s
        where (%(skus)s::text[] is null or s.sku = any(%(skus)s::text[]))
          and not exists (select from bundle_components p where p.sku = s.sku)
        """,
        {"token": token, "location": location, "skus": None if skus is None else sorted(skus)},
    )
    return cursor.rowcount


async def has_begun(tx: Transaction, token: UUID, key: BalanceKey) -> bool:
    """Whether somebody has begun to count this SKU there with this token."""
    cursor = await tx.execute(
        """
        select exists (select from counts where sku = %(sku)s and token = %(token)s and location = %(location)s)
        """,
        {"sku": key[0], "token": token, "location": key[1]},
    )
    (has,) = await only_row(cursor)
    return bool(has)


async def note_seen(tx: Transaction, token: UUID, key: BalanceKey, *, version: int, begun: Begun) -> None:
    """Note what a figure had seen that was stated from outside, as if its counting had begun with this token.

    `begun.units`: what it had seen, by state; `version`: of the balance, which must be locked.
    """
    await tx.execute(
        """
        insert into counts (sku, token, location, version, begun_at, documents, error_s,
                            available, committed, reserved, damaged, quality_control, safety_stock, incoming)
        values (%(sku)s, %(token)s, %(location)s, %(version)s, %(begun_at)s, %(documents)s, %(error_s)s,
                %(available)s, %(committed)s, %(reserved)s, %(damaged)s, %(quality_control)s, %(safety_stock)s,
                %(incoming)s)
        """,
        {
            "sku": key[0],
            "token": token,
            "location": key[1],
            "version": version,
            "begun_at": begun.begun_at,
            "documents": list(begun.documents),
            "error_s": begun.error_s,
            **{state.value: begun.units[state] for state in _STATES},
        },
    )


async def end_old(tx: Transaction, *, kept_s: float, every_s: float, limit: int) -> int:
    """Delete the notes of counts that began longer ago than `kept_s`; their tokens are unknown from now on. How many.

    Looks at the whole table, so not again within `every_s` of the time that it found no more than `limit`.
    """
    await tx.execute("insert into housekeeping (task) values ('counts') on conflict do nothing")
    cursor = await tx.execute(
        """
        with begun as (
            select from housekeeping
            where task = 'counts' and done_until <= db_now() - make_interval(secs => %(every_s)s)
            for update skip locked
        ), due as (
            select c.sku, c.token from counts c, begun
            where c.begun_at < db_now() - make_interval(secs => %(kept_s)s) limit %(limit)s
        ), ended as (
            delete from counts c using due where c.sku = due.sku and c.token = due.token returning c.token
        ), noted as (
            update housekeeping set done_until = db_now()
            where task = 'counts' and exists (select from begun) and (select count(*) from ended) < %(limit)s
        )
        select count(*) from ended
        """,
        {"kept_s": kept_s, "every_s": every_s, "limit": limit},
    )
    (count,) = await only_row(cursor)
    return int(count)


async def contexts(tx: Transaction, counts: Sequence[Count]) -> dict[CommandKey, Context]:
    """What these counts had seen, those of unknown tokens left out. Their balances must be locked."""
    with_token = [count for count in counts if count.token is not None]
    dated = [count for count in counts if count.as_of is not None]
    found: dict[CommandKey, Context] = {}
    if with_token:
        found.update(await _begun(tx, with_token))
    if dated:
        found.update(await _looked_back(tx, dated))
    return found


async def _begun(tx: Transaction, wanted: Sequence[Count]) -> dict[CommandKey, Begun]:
    names = {
        "numbers": list(range(len(wanted))),
        "skus": [count.sku for count in wanted],
        "tokens": [count.token for count in wanted],
    }
    cursor = await tx.execute(
        """
        select w.number, m.from_account, m.to_account, m.is_ambiguous, m.units
        from unnest(%(numbers)s::int[], %(skus)s::text[], %(tokens)s::uuid[]) as w (number, sku, token)
        join counts c on c.sku = w.sku and c.token = w.token
        cross join lateral (
            select from_account, to_account, sum(units)::bigint as units,
                   reason not in ('counted', 'seen_by_count', 'shipped_uncounted') and not exists (
                       select from unnest(c.documents) as d (document) where starts_with(source, d.document))
                   and happened_at > c.begun_at - make_interval(secs => c.error_s) as is_ambiguous
            from movements
            where sku = c.sku and version > c.version and c.location in (from_location, to_location)
              and (reason in ('counted', 'seen_by_count', 'shipped_uncounted') or happened_at is not null)
              and (reason in ('counted', 'seen_by_count', 'shipped_uncounted')
                   or happened_at <= c.begun_at + make_interval(secs => c.error_s)
                   or exists (select from unnest(c.documents) as d (document) where starts_with(source, d.document)))
            group by 1, 2, 4
        ) as m
        """,
        names,
    )
    seen_anyway = _moved([row async for row in cursor])
    cursor = await tx.execute(
        """
        select w.number, c.location, c.begun_at, c.documents, c.error_s,
               c.available, c.committed, c.reserved, c.damaged, c.quality_control, c.safety_stock, c.incoming
        from unnest(%(numbers)s::int[], %(skus)s::text[], %(tokens)s::uuid[]) as w (number, sku, token)
        join counts c on c.sku = w.sku and c.token = w.token
        """,
        names,
    )
    return {
        wanted[number].key: Begun(
            location=Location(location),
            begun_at=begun_at,
            units=dict(zip(_STATES, states, strict=True)),
            seen_anyway=tuple(seen_anyway.get(number, ())),
            documents=tuple(documents),
            error_s=error_s,
        )
        async for number, location, begun_at, documents, error_s, *states in cursor
    }


async def _looked_back(tx: Transaction, wanted: Sequence[Count]) -> dict[CommandKey, LookedBack]:
    bands = [_band_of(count) for count in wanted]
    names = {
        "numbers": arrays.numbers(range(len(wanted))),
        "skus": arrays.texts([count.sku for count in wanted]),
        "locations": arrays.texts([count.location for count in wanted]),
        "seen_until": arrays.instants(seen_until for seen_until, _ in bands),
        "missed_from": arrays.instants(missed_from for _, missed_from in bands),
        "first_ids": arrays.uuids(first_id(seen_until - _CLOCKS_APART_AT_MOST) for seen_until, _ in bands),
    }
    cursor = await tx.execute(
        """
        select w.number, m.from_account, m.to_account, m.is_ambiguous, m.units
        from unnest(
            %(numbers)s::int[], %(skus)s::text[], %(locations)s::text[], %(seen_until)s::timestamptz[],
            %(missed_from)s::timestamptz[], %(first_ids)s::uuid[]
        ) as w (number, sku, location, seen_until, missed_from, first_id)
        cross join lateral (
            select from_account, to_account, coalesce(happened_at, posted_at) <= w.missed_from as is_ambiguous,
                   sum(units)::bigint as units
            from movements
            where sku = w.sku and movement_id >= w.first_id and w.location in (from_location, to_location)
              and reason not in ('counted', 'seen_by_count', 'shipped_uncounted')
              and coalesce(happened_at, posted_at) > w.seen_until
            group by 1, 2, 3
        ) as m
        """,
        names,
    )
    moved = _moved([row async for row in cursor])
    cursor = await tx.execute(
        """
        select w.number,
               (select posted_at from movements m where m.sku = w.sku order by m.movement_id limit 1) as first_at
        from unnest(%(numbers)s::int[], %(skus)s::text[]) as w (number, sku)
        """,
        names,
    )
    return {
        wanted[number].key: LookedBack(moved=tuple(moved.get(number, ())), first_at=first_at)
        async for number, first_at in cursor
    }


def seen_until(looking_back: Sequence[Count], contexts: Mapping[CommandKey, Context]) -> dict[BalanceKey, datetime]:
    """Until when these counts had surely seen what happened at their balances; of several the earliest."""
    found: dict[BalanceKey, datetime] = {}
    for count in looking_back:
        context, key = contexts.get(count.key), (count.sku, count.location)
        if isinstance(context, Begun):
            until = context.begun_at - timedelta(seconds=context.error_s)
        elif count.as_of is not None:
            until, _ = _band_of(count)
        else:
            continue
        found[key] = min(until, found.get(key, until))
    return found


def _band_of(count: Count) -> tuple[datetime, datetime]:
    return _band(count.as_of or _EARLIEST, CLOCK_ERROR_S if count.error_s is None else count.error_s)


# Counts that come together were mostly taken together.
@lru_cache(maxsize=1_024)
def _band(as_of: datetime, error_s: int) -> tuple[datetime, datetime]:
    """What happened until the first instant was seen, what happened after the second was not."""
    error = timedelta(seconds=error_s)
    return max(as_of, _EARLIEST) - error, max(as_of, _EARLIEST) + error


def _as_json(documents: Sequence[str]) -> str:
    return msgspec.json.encode(documents).decode() if documents else "[]"


def _moved(rows: Sequence[tuple[int, str, str, bool, int]]) -> Found:
    found: Found = {}
    for number, origin, target, is_ambiguous, units in rows:
        found.setdefault(number, []).append(Moved(units, _ACCOUNTS[origin], _ACCOUNTS[target], is_ambiguous))
    return found


async def rulings(
    tx: Transaction, keys: Collection[BalanceKey], *, only_quoting: bool = False
) -> dict[BalanceKey, Ruling]:
    """The last count of each of these balances that was ever counted. They must be locked.

    `only_quoting`: only what quotes documents.
    """
    ordered = sorted(keys)
    cursor = await tx.execute(
        """
        select r.sku, r.location, r.figure, r.units, r.counted_at, r.error_s, r.source, r.documents
        from unnest(%(skus)s::text[], %(locations)s::text[]) as wanted (sku, location)
        join ruling_counts r on r.sku = wanted.sku and r.location = wanted.location
        where not %(only_quoting)s or r.documents <> '{}'
        """,
        {**arrays.places(ordered), "only_quoting": only_quoting},
    )
    return {
        (Sku(sku), Location(location)): Ruling(
            figure=CountedFigure(figure),
            units=units,
            counted_at=counted_at,
            error_s=error_s,
            source=source,
            documents=tuple(documents),
        )
        async for sku, location, figure, units, counted_at, error_s, source, documents in cursor
    }


async def rule(tx: Transaction, ruling: Mapping[BalanceKey, Ruling]) -> None:
    """Store the counts that rule from now on. Their balances must be locked."""
    if not ruling:
        return
    ordered = sorted(ruling.items(), key=lambda item: item[0])
    await tx.execute(
        """
        insert into ruling_counts (sku, location, figure, units, counted_at, error_s, source, documents)
        select sku, location, figure, units, counted_at, error_s, source,
               case documents when '[]' then '{}' else array(select jsonb_array_elements_text(documents)) end
        from unnest(
            %(skus)s::text[], %(locations)s::text[], %(figures)s::text[], %(units)s::bigint[],
            %(counted_at)s::timestamptz[], %(error_s)s::int[], %(sources)s::text[], %(documents)s::jsonb[])
            as new (sku, location, figure, units, counted_at, error_s, source, documents)
        on conflict (sku, location) do update set
            figure = excluded.figure, units = excluded.units, counted_at = excluded.counted_at,
            error_s = excluded.error_s, source = excluded.source, documents = excluded.documents
        """,
        {
            "skus": arrays.texts([sku for (sku, _), _ in ordered]),
            "locations": arrays.texts([location for (_, location), _ in ordered]),
            "figures": arrays.texts([one.figure.value for _, one in ordered]),
            "units": arrays.numbers(one.units for _, one in ordered),
            "counted_at": arrays.instants(one.counted_at for _, one in ordered),
            "error_s": arrays.numbers(one.error_s for _, one in ordered),
            "sources": arrays.texts([one.source for _, one in ordered]),
            # Lists of lists of different lengths are no array to PostgreSQL.
            "documents": arrays.texts([_as_json(one.documents) for _, one in ordered]),
        },
    )
