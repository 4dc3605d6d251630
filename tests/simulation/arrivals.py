"""Histories of one SKU each, told in the order in which they happened and in others: the ledger has to end the same.

Orders are told as snapshots, commands with the instant at which they happened, counts with the instant at which they
were taken, and two systems state what came by document, and figures with the instant that they are of; one of the two
ranks first. Told otherwise means: in any order, some of it twice, and however many together in one batch. It goes
through PostgreSQL. Many histories are told side by side, as SKUs that do not touch each other.

Where arrival has to matter it is left out: the shelf is never empty (who comes first gets the last unit, see
`domain.last_unit` for what follows), the first receipt is told first (nobody can count back beyond the first
movement), and nothing ships in a history with counts or figures (an order has no instant, decision 0009). No history
has both: a count is not held against what others state, it is the ledger's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from domain.shop import BERLIN, SHOP
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.account import StockState
from oneshelf.domain.architecture import Architecture, Wish
from oneshelf.domain.command import Adjust, Command, CommandKey, Count, CountedFigure, Move, Receive
from oneshelf.domain.identity import ChannelSku, Sku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.outcome import Outcome
from oneshelf.domain.statement import Statement
from oneshelf.flow import post, state
from oneshelf.flow.entrust import add_source, arrange
from oneshelf.storage import catalog, facts
from simulation.engine import database

Say = Callable[[str], None]
# What a message makes of a SKU of its own, so that a history can be told several times.
Told = Receive | Adjust | Move | Count
Said = Told | OrderSnapshot | Statement
Message = Callable[[Sku, datetime], Said]
# What systems state rules by rank: the first of these before the second.
WAREHOUSE, ERP = "wms", "erp"
FIRST_UNITS = 100
TICKS = 6
# Each history is told once as it happened, and so many times otherwise.
OTHERWISE = 2
AT_ONCE = 250

_FIGURES = """
    select b.sku, b.available, b.committed, b.reserved, b.damaged, b.quality_control, b.safety_stock, b.incoming,
        (select jsonb_agg(jsonb_build_array(split_part(l.order_id, '/', 2), l.units_pending, l.units_committed,
            l.units_shipped, l.units_short, l.is_pending, l.units_off_listing) order by l.order_id)
         from order_lines l where l.sku = b.sku) as lines
    from balances b where b.location = 'BER'
"""


@dataclass(frozen=True, slots=True)
class Event:
    """What is told, and in words."""

    words: str
    message: Message


@dataclass(frozen=True, slots=True)
class Disagreement:
    """The shortest history that was found, the order in which it was told, and what each order ended in."""

    seed: int
    happened: tuple[str, ...]
    told: tuple[tuple[str, ...], ...]
    as_happened: Any
    otherwise: Any

    def __str__(self) -> str:
        told = "; then ".join(" + ".join(tick) for tick in self.told if tick)
        return (
            f"seed {self.seed}: {'; '.join(self.happened)}\n  as it happened: {self.as_happened}\n"
            f"  told as {told}: {self.otherwise}"
        )


def history(seed: int) -> list[Event]:
    """What happens to one SKU, in its order, minutes apart: a receipt and up to ten things."""
    random = Random(f"arrivals:{seed}")
    chance = random.random()
    has_counts, has_figures = chance < 0.4, chance > 0.7
    events = [_dated(0, f"receive {FIRST_UNITS}", lambda **told: Receive(units=FIRST_UNITS, **told))]
    orders: dict[str, OrderLine] = {}
    for number in range(1, random.randint(2, 11)):
        figures = "count" if has_counts else "figure" if has_figures else "order"
        stated = "delta" if has_figures else "receive"
        what = random.choice(("receive", "adjust", "move", "order", "order", stated, figures))
        units = random.randint(1, 4)
        match what:
            case "receive":
                event = _dated(number, f"receive {units}", lambda units=units, **told: Receive(units=units, **told))
            case "adjust":
                delta = random.choice((-units, units))
                event = _dated(
                    number, f"adjust {delta:+}", lambda delta=delta, **told: Adjust(delta_units=delta, **told)
                )
            case "move":
                event = _dated(number, f"damage {units}", lambda units=units, **told: _damage(units, **told))
            case "count":
                event = _count(number, random.randint(85, 105), random.choice(("on_hand", "unshipped")))
            case "figure":
                event = _figure(number, random.randint(85, 105), random.choice((WAREHOUSE, ERP)))
            case "delta":
                event = _delta(number, random.choice((-units, units)), random.choice((WAREHOUSE, ERP)))
            case _:
                event = _order(number, orders, random, ships=not (has_counts or has_figures))
        events.append(event)
    return events


def _dated(number: int, words: str, make: Callable[..., Told]) -> Event:
    def message(sku: Sku, begin: datetime) -> Told:
        happened_at = begin + timedelta(minutes=number)
        return make(key=_key(sku, number), sku=sku, location=BERLIN, happened_at=happened_at)

    return Event(f"{number}: {words}", message)


def _damage(units: int, **told: Any) -> Move:
    return Move(units=units, origin=StockState.AVAILABLE, target=StockState.DAMAGED, **told)


def _count(number: int, units: int, figure: str) -> Event:
    def message(sku: Sku, begin: datetime) -> Told:
        as_of = begin + timedelta(minutes=number)
        return Count(
            key=_key(sku, number), sku=sku, location=BERLIN, units=units, figure=CountedFigure(figure), as_of=as_of
        )

    return Event(f"{number}: count {units} {figure}", message)


def _figure(number: int, units: int, source: str) -> Event:
    def message(sku: Sku, begin: datetime) -> Statement:
        as_of = begin + timedelta(minutes=number)
        return _statement(source, number, sku, units, figure=CountedFigure.ON_HAND, as_of=as_of)

    return Event(f"{number}: {source} states {units} on hand", message)


def _delta(number: int, units: int, source: str) -> Event:
    def message(sku: Sku, begin: datetime) -> Statement:
        return _statement(source, number, sku, units, happened_at=begin + timedelta(minutes=number))

    return Event(f"{number}: {source} states {units:+}", message)


def _statement(source: str, number: int, sku: Sku, units: int, **more: Any) -> Statement:
    return Statement(source=source, document=f"D{number}", sku=sku, location=BERLIN, units=units, **more)


def _order(number: int, orders: dict[str, OrderLine], random: Random, *, ships: bool) -> Event:
    """A new order, or the next version of one: more of it is paid, cancelled or shipped."""
    name = random.choice(("a", "b"))
    line = orders.get(name)
    if line is None or not line.units_open:
        name = name if line is None else f"{name}{number}"
        line = OrderLine("1", ChannelSku(""), units_ordered=random.randint(1, 4))
        is_pending = random.random() < 0.3
    else:
        units, is_pending = random.randint(1, line.units_open), False
        is_shipment = ships and random.random() < 0.5
        cancelled = line.units_cancelled + units * (not is_shipment)
        line = OrderLine(
            "1",
            ChannelSku(""),
            units_ordered=line.units_ordered,
            units_cancelled=cancelled,
            units_relisted=cancelled,
            units_shipped=line.units_shipped + units * is_shipment,
        )
    orders[name] = line

    def message(sku: Sku, begin: datetime) -> OrderSnapshot:
        told = OrderLine(
            "1", ChannelSku(sku), line.units_ordered, line.units_cancelled, line.units_relisted, line.units_shipped
        )
        at = begin + timedelta(hours=3)
        return OrderSnapshot(SHOP, f"{sku}/{name}", f"{number:03}", at, is_pending, (told,))

    state = f"{line.units_ordered} ordered, {line.units_cancelled} cancelled, {line.units_shipped} shipped"
    return Event(f"{number}: order {name}: {'pending, ' * is_pending}{state}", message)


def _key(sku: Sku, number: int) -> CommandKey:
    return CommandKey(scope="arrivals", key=f"{sku}-{number}")


Ticks = Sequence[Sequence[Event]]


def as_it_happened(events: Sequence[Event]) -> Ticks:
    """One after the other."""
    return [[event] for event in events]


def otherwise(events: Sequence[Event], random: Random) -> Ticks:
    """The first one first, then any order, some of it twice, in a few batches."""
    ticks: list[list[Event]] = [[events[0]], *([] for _ in range(TICKS))]
    for event in events[1:]:
        for _ in range(1 + (random.random() < 0.3)):
            ticks[random.randint(1, TICKS)].append(event)
    for tick in ticks[1:]:
        random.shuffle(tick)
    return ticks


class Teller:
    """Tells histories side by side on one database; each telling has a SKU of its own.

    `says_when`: false for one that leaves out when things happened, whom the order of arrival has to matter to.
    """

    def __init__(self, ledger: Ledger, *, says_when: bool = True) -> None:
        self._ledger = ledger
        self._says_when = says_when
        self._told = 0
        self._begin = CLOCK.now() - timedelta(hours=2)

    async def tell(self, tellings: Sequence[Ticks]) -> list[Any]:
        """What the ledger ends in, for each telling."""
        skus = [Sku(f"T{self._told + number}") for number in range(len(tellings))]
        self._told += len(skus)
        async with self._ledger.database.transaction() as tx:
            await catalog.add_skus(tx, dict.fromkeys(skus, ""))
            await tx.execute(
                "insert into listings (channel, channel_sku, sku)"
                " select %(channel)s, sku, sku from unnest(%(skus)s::text[]) sku",
                {"channel": SHOP, "skus": list(skus)},
            )
        for number in range(max(len(ticks) for ticks in tellings)):
            told = [
                event.message(sku, self._begin)
                for sku, ticks in zip(skus, tellings, strict=True)
                for event in (ticks[number] if number < len(ticks) else ())
            ]
            await self._post(told)
        found = {row.pop("sku"): row for row in await self._ledger.rows(_FIGURES)}
        return [found.get(sku) for sku in skus]

    async def _post(self, told: Iterable[Said]) -> None:
        snapshots, commands, statements = [], [], []
        for one in told:
            if isinstance(one, OrderSnapshot):
                snapshots.append((one, CLOCK.now()))
            elif isinstance(one, Statement):
                statements.append(one)
            else:
                commands.append(one if self._says_when else _undated(one))
        async with self._ledger.database.transaction() as tx:
            await facts.add(tx, snapshots)
        while await post.post_facts(self._ledger.database, CLOCK.new_id):
            pass
        await post.post_commands(self._ledger.database, CLOCK.new_id, commands)
        await state.take(self._ledger.database, CLOCK.new_id, self._ask, statements)
        while await state.state(self._ledger.database, CLOCK.new_id, self._ask):
            pass

    async def _ask(self, command: Command) -> tuple[Outcome, bool]:
        [answered] = await post.post_commands(self._ledger.database, CLOCK.new_id, [command])
        return answered.outcome, answered.was_replayed


def _undated(command: Told) -> Told:
    return replace(command, as_of=None) if isinstance(command, Count) else replace(command, happened_at=None)


async def disagreements(teller: Teller, seeds: Sequence[int]) -> list[Disagreement]:
    """The histories that end otherwise when they are told otherwise, each made as short as it can be."""
    histories = {seed: history(seed) for seed in seeds}
    ways = {seed: [as_it_happened(events), *_ways(seed, events)] for seed, events in histories.items()}
    ends = iter(await teller.tell([ticks for each in ways.values() for ticks in each]))
    found = []
    for seed, each in ways.items():
        expected, *others = [next(ends) for _ in each]
        if any(other != expected for other in others):
            found.append(await _shortest(teller, seed, histories[seed]))
    return found


def _ways(seed: int, events: Sequence[Event], count: int = OTHERWISE) -> list[Ticks]:
    random = Random(f"otherwise:{seed}")
    return [otherwise(events, random) for _ in range(count)]


async def _shortest(teller: Teller, seed: int, events: list[Event]) -> Disagreement:
    """Leave out one event after the other as long as two orders disagree."""
    at, shown = len(events) - 1, None
    while at > 0:
        shorter = events[:at] + events[at + 1 :]
        less = await _shown(teller, seed, shorter)
        if less is not None:
            events, shown = shorter, less
        at -= 1
    shown = shown or await _shown(teller, seed, events)
    assert shown is not None, f"seed {seed} disagreed once, and does not any more"
    return shown


async def _shown(teller: Teller, seed: int, events: Sequence[Event]) -> Disagreement | None:
    ways = _ways(seed, events, 12)
    expected, *others = await teller.tell([as_it_happened(events), *ways])
    for ticks, end in zip(ways, others, strict=True):
        if end != expected:
            told = tuple(tuple(event.words for event in tick) for tick in ticks)
            return Disagreement(seed, tuple(event.words for event in events), told, expected, end)
    return None


@asynccontextmanager
async def teller_on(dsn: str, *, says_when: bool = True) -> AsyncIterator[Teller]:
    """A teller on this migrated, empty database. In the end the auditor finds nothing, and no fact was left out."""
    async with open_ledger(dsn) as ledger:
        for source in (WAREHOUSE, ERP):
            await add_source(ledger.database, source, title="", error_s=5, actor="arrivals")
        wish = Wish(architecture=Architecture.MIDDLEWARE, ranks=(WAREHOUSE, ERP))
        await arrange(ledger.database, wish, actor="arrivals", reason="")
        yield Teller(ledger, says_when=says_when)
        await ledger.assert_sound()
        assert await ledger.rows("select distinct state from facts") == [{"state": "posted"}]


def simulate(histories: int, *, first_seed: int, say: Say) -> None:
    """Tell so many histories; AssertionError with the shortest of each kind where orders disagree."""
    with database() as dsn:
        asyncio.run(_simulate(dsn, range(first_seed, first_seed + histories), say))


async def _simulate(dsn: str, seeds: range, say: Say) -> None:
    async with teller_on(dsn) as teller:
        for start in range(0, len(seeds), AT_ONCE):
            block = seeds[start : start + AT_ONCE]
            found = await disagreements(teller, block)
            say(f"  {start + len(block):,} of {len(seeds):,} histories, each told {OTHERWISE + 1} times")
            assert not found, "\n".join(str(one) for one in found[:5])
