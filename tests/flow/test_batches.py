"""A batch of commands costs a constant number of statements, and is decided first come, first served."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from psycopg import AsyncCursor

from domain.shop import BERLIN, CAP, HAMBURG, MUG, demand, hold, key
from flow.shelf_world import open_ledger
from oneshelf.domain.command import Adjust, Command, Receive, Reserve
from oneshelf.domain.identity import UNITS_MAX
from oneshelf.domain.outcome import KeyReused, NoRoom, Posted, Reserved, Short
from oneshelf.errors import DatabaseUnavailableError
from oneshelf.flow.post import SLICE
from oneshelf.storage import balances

pytestmark = pytest.mark.pg


@contextmanager
def counted_statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every statement that is sent; it is sent all the same."""
    sent: list[str] = []
    execute = AsyncCursor.execute

    async def noted(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        sent.append(str(query))
        return await execute(self, query, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(AsyncCursor, "execute", noted)
        yield sent


async def test_many_commands_cost_as_many_statements_as_one_and_two_for_each_slice(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_ledger(dsn, {"MUG": 500, "CAP": 500}) as ledger:
        counts = []
        for size in (1, 100):
            commands: list[Command] = []
            for _ in range(size):
                commands.append(hold(demand(MUG, 1), demand(CAP, 1)))
                commands.append(Receive(key=key(), sku=CAP, location=HAMBURG, units=1))
            with counted_statements(monkeypatch) as sent:
                outcomes = await ledger.ask(*commands)
            assert {type(outcome) for outcome in outcomes} == {Reserved, Posted}
            counts.append(len(sent))
        assert counts[0] <= 13
        assert SLICE < 200 // 5
        # Five of them, of which one is written for a single command too.
        assert counts[1] == counts[0] + 2 * 4
        await ledger.assert_sound()


@dataclass
class Oracle:
    """The plainest thing that could be right: one command after the other, answers in a dictionary."""

    free: dict[tuple[str, str], int]
    answers: dict[str, tuple[dict[str, object], str]]

    def decide(self, command: Reserve | Receive | Adjust) -> str:
        wish = {**msgspec.to_builtins(command), "key": None}
        if command.key.key in self.answers:
            first, answer = self.answers[command.key.key]
            return answer if first == wish else "reused"
        answer = self._fresh(command)
        self.answers[command.key.key] = (wish, answer)
        return answer

    def _fresh(self, command: Reserve | Receive | Adjust) -> str:
        changes: dict[tuple[str, str], int] = {}
        if isinstance(command, Reserve):
            for line in command.lines:
                changes[line.sku, line.location] = changes.get((line.sku, line.location), 0) - line.units
        else:
            delta = command.units if isinstance(command, Receive) else command.delta_units
            changes[command.sku, command.location] = delta
        if any(self.free[place] + change < 0 for place, change in changes.items()):
            return "short"
        for place, change in changes.items():
            self.free[place] += change
        return "done"


WORDS: dict[type, str] = {Posted: "done", Reserved: "done", Short: "short", KeyReused: "reused"}


def a_command(chance: random.Random, past: list[Reserve | Receive | Adjust]) -> Reserve | Receive | Adjust:
    sku, place = chance.choice([MUG, CAP]), chance.choice([BERLIN, HAMBURG])
    kind = chance.random()
    if past and kind < 0.15:
        return chance.choice(past)
    wanted_key = chance.choice(past).key if past and kind < 0.2 else key()
    if kind < 0.35:
        return Receive(key=wanted_key, sku=sku, location=place, units=chance.randint(1, 4))
    if kind < 0.5:
        return Adjust(key=wanted_key, sku=sku, location=place, delta_units=chance.choice([-3, -2, -1, 1, 2]))
    lines = [
        demand(chance.choice([MUG, CAP]), chance.randint(1, 3), chance.choice([BERLIN, HAMBURG]))
        for _ in range(chance.randint(1, 3))
    ]
    return msgspec.structs.replace(hold(*lines, ttl_s=86_400), key=wanted_key)


@pytest.mark.parametrize("seed", range(4))
async def test_a_batch_decides_as_if_each_command_came_alone(dsn: str, seed: int) -> None:
    chance = random.Random(seed)
    oracle = Oracle({(sku, place): 0 for sku in (MUG, CAP) for place in (BERLIN, HAMBURG)}, {})
    past: list[Reserve | Receive | Adjust] = []
    seen: dict[str, int] = {}
    async with open_ledger(dsn) as ledger:
        for _ in range(12):
            batch: list[Reserve | Receive | Adjust] = []
            for _ in range(chance.randint(1, 40)):
                batch.append(a_command(chance, past))
                past.append(batch[-1])
            outcomes = [WORDS[type(outcome)] for outcome in await ledger.ask(*batch)]
            assert outcomes == [oracle.decide(command) for command in batch], f"seed {seed}"
            for outcome in outcomes:
                seen[outcome] = seen.get(outcome, 0) + 1
            note_what_was_met(seen, batch, past[: -len(batch)], outcomes)
        for (sku, place), free in oracle.free.items():
            rows = await ledger.rows(f"select available from balances where sku = '{sku}' and location = '{place}'")
            assert (rows[0]["available"] if rows else 0) == free, f"seed {seed}"
        await ledger.assert_sound()
    assert {word for word in MUST_BE_MET if not seen.get(word)} == set(), f"seed {seed} met too little: {seen}"


MUST_BE_MET = (
    "done", "short", "reused", "repeated in its batch", "repeated in a later batch", "lines of one SKU granted",
    "lines of one SKU refused", "granted after a refusal",
)  # fmt: skip


def note_what_was_met(
    seen: dict[str, int],
    batch: Sequence[Reserve | Receive | Adjust],
    before: Sequence[Reserve | Receive | Adjust],
    outcomes: Sequence[str],
) -> None:
    """Whether this batch was one of those that could go wrong."""
    earlier = {command.key for command in before}
    refused: set[tuple[str, str]] = set()
    for at, (command, outcome) in enumerate(zip(batch, outcomes, strict=True)):
        met = {
            "repeated in its batch": any(command is other for other in batch[:at]),
            "repeated in a later batch": command.key in earlier and outcome != "reused",
        }
        if isinstance(command, Reserve):
            places = [(line.sku, line.location) for line in command.lines]
            has_several = len(set(places)) < len(places)
            met["lines of one SKU granted"] = has_several and outcome == "done"
            met["lines of one SKU refused"] = has_several and outcome == "short"
            # Who asks for less may still be served after somebody who asked for too much.
            met["granted after a refusal"] = outcome == "done" and bool(refused & set(places))
            refused |= set(places) if outcome == "short" else set()
        for word, is_met in met.items():
            seen[word] = seen.get(word, 0) + is_met


async def test_one_refused_command_of_a_batch_spoils_no_other(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        too_many = Receive(key=key(), sku=MUG, location=BERLIN, units=UNITS_MAX)
        reserved, refused = await ledger.ask(hold(demand(MUG, 1)), too_many)
        assert isinstance(reserved, Reserved)
        assert refused == NoRoom(MUG, BERLIN, asked=UNITS_MAX, there=5)
        assert await ledger.figures() == {"available": 4, "reserved": 1}
        await ledger.assert_sound()


async def test_a_batch_that_waits_too_long_for_a_shelf_is_to_be_tried_again(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger, ledger.database.transaction() as blocking:
        await blocking.execute("select * from balances for update")
        monkeypatch.setattr(balances, "ask_lock", impatient(balances.ask_lock))
        with pytest.raises(DatabaseUnavailableError):
            await ledger.ask_one(hold(demand(MUG, 1)))
    async with open_ledger(dsn) as ledger:
        assert await ledger.figures() == {"available": 5}


def impatient(lock: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Lock, but give up soon."""

    async def locked(tx: Any, keys: Any) -> Any:
        await tx.execute("set local lock_timeout = '50ms'")
        return await lock(tx, keys)

    return locked
