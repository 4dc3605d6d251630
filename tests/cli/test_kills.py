"""Pull the plug under load: what was acknowledged is there once, and nothing is half there."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from cli.kills import WAYS, Books, Engine, round_of, set_up

pytestmark = [pytest.mark.pg, pytest.mark.timeout(300)]

SEED = 5
ROUNDS = WAYS  # `make simulate` pulls it many times.


@pytest.mark.long
async def test_whatever_is_killed_under_load_each_acknowledged_command_is_there_once(open_directory: Path) -> None:
    engine, books = Engine(open_directory), Books()
    engine.start()
    try:
        await set_up(engine)
        ways = list(ROUNDS)
        Random(SEED).shuffle(ways)
        for number, way in enumerate(ways):
            await round_of(engine, books, seed=SEED * 1000 + number, way=way)
            print(f"seed {SEED * 1000 + number}, {way} killed: {len(books.answered)} commands acknowledged")
    finally:
        engine.kill()
    words = {word for word, _ in books.answered.values()}
    assert {"posted", "reserved", "released", "claimed", "short", "reservation_ended"} <= words
    assert set(books.kills) == set(WAYS)
    assert len(books.answered) > 30 * len(ROUNDS)
