"""An answer is kept for a while, and that it was given is never forgotten."""

from __future__ import annotations

import pytest

from domain.shop import BERLIN, MUG, demand, hold, key
from flow.shelf_world import Ledger, open_ledger
from oneshelf.domain.command import Command, Receive
from oneshelf.domain.outcome import AnsweredBefore, KeyReused, Posted, Reserved
from oneshelf.flow import post

pytestmark = pytest.mark.pg


async def forget(ledger: Ledger, *, kept_s: float) -> int:
    return await post.forget_answers(ledger.database, kept_s=kept_s)


async def test_a_forgotten_answer_still_keeps_the_command_from_happening_twice(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        receipt = Receive(key=key(), sku=MUG, location=BERLIN, units=5)
        reserving = hold(demand(MUG, 1))
        assert await ledger.ask_one(receipt) == Posted(5, 5)
        assert isinstance(await ledger.ask_one(reserving), Reserved)
        assert await forget(ledger, kept_s=3600) == 0
        assert await forget(ledger, kept_s=0) >= 2
        asked: list[Command] = [receipt, reserving]
        assert await ledger.ask(*asked) == [
            AnsweredBefore(receipt.key.key, "Posted"),
            AnsweredBefore(reserving.key.key, "Reserved"),
        ]
        assert await ledger.figures() == {"available": 4, "reserved": 1}
        await ledger.assert_sound()


async def test_a_forgotten_key_is_refused_for_another_command_as_before(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        receipt = Receive(key=key(), sku=MUG, location=BERLIN, units=5)
        await ledger.ask_one(receipt)
        await forget(ledger, kept_s=0)
        other = Receive(key=receipt.key, sku=MUG, location=BERLIN, units=6)
        assert await ledger.ask_one(other) == KeyReused(receipt.key.key)


async def test_housekeeping_goes_on_where_it_was_and_looks_at_nothing_twice(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        for _ in range(3):
            await ledger.ask_one(Receive(key=key(), sku=MUG, location=BERLIN, units=1))
        assert await forget(ledger, kept_s=0) == 3
        assert await forget(ledger, kept_s=0) == 0
        await ledger.ask_one(Receive(key=key(), sku=MUG, location=BERLIN, units=1))
        assert await forget(ledger, kept_s=0) == 1
