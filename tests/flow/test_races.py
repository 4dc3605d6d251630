"""Several engines, one SKU: exactly the units that are there are given away, each key is answered in one way."""

from __future__ import annotations

from collections import Counter

import pytest

from domain.shop import BERLIN, key
from flow.racer import BATCH_MAX, Racer, started_racers
from flow.shelf_world import Ledger, open_ledger
from oneshelf.domain.command import Receive
from oneshelf.domain.identity import Sku
from oneshelf.storage import catalog

pytestmark = [pytest.mark.pg, pytest.mark.timeout(300)]

UNITS, PROCESSES, RUNS, FIRST_SEED = 500, 4, 4, 20261125  # `make simulate` races fifty times.


async def test_four_engines_that_race_for_five_hundred_units_give_away_exactly_those(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        with started_racers(dsn, PROCESSES) as racers:
            winners = [await run(ledger, racers, seed) for seed in range(FIRST_SEED, FIRST_SEED + RUNS)]
        await ledger.assert_sound()
    # How many of them a busy machine lets run at once is up to it.
    assert max(winners) > 1, "they were races"


async def run(ledger: Ledger, racers: list[Racer], seed: int) -> int:
    """One race. How many racers won something."""
    sku = Sku(f"RACE-{seed}")
    async with ledger.database.transaction() as tx:
        await catalog.add_skus(tx, {sku: ""})
    await ledger.ask_one(Receive(key=key(), sku=sku, location=BERLIN, units=UNITS))
    for racer in racers:
        racer.start(seed, sku)
    told = [racer.result() for racer in racers]
    answers: dict[str, set[str]] = {}
    firsts: Counter[str] = Counter()
    for name, said in [pair for of_one in told for pair in of_one.items()]:
        answers.setdefault(name, set()).update(word.removesuffix(" again") for word in said)
        firsts[name] += sum(not word.endswith(" again") for word in said)
    # However many ask with a key, wherever they ask: one answer, given for the first time once.
    assert {name: words for name, words in answers.items() if len(words) != 1} == {}, f"seed {seed}"
    assert set(firsts.values()) == {1}, f"seed {seed}"
    outcomes = [word.split() for (word,) in answers.values()]
    granted = [int(units) for kind, units, *_ in outcomes if kind == "reserved"]
    refused = [(int(asked), int(there)) for kind, asked, _, there in (o for o in outcomes if o[0] == "short")]
    assert len(granted) + len(refused) == len(outcomes), f"seed {seed}"
    assert sum(granted) == UNITS, f"seed {seed}: {sum(granted)} of {UNITS} granted"
    assert all(there < asked for asked, there in refused), f"seed {seed}"
    assert await ledger.figures(sku) == {"reserved": UNITS}, f"seed {seed}"
    repeats = sum(len(said) for of_one in told for said in of_one.values()) - len(answers)
    print(  # shown when it fails
        f"seed {seed}: {len(granted)} reservations of {sum(granted)} units granted, {len(refused)} refused, "
        f"{repeats} repeats"
    )
    # Keys met across processes.
    assert len({name for of_one in told for name in of_one}) < sum(map(len, told)) - BATCH_MAX
    assert refused
    assert {1, 2, 3} <= set(granted), f"seed {seed}: no reservation with several lines of the SKU was granted"
    return sum(
        any(word.startswith("reserved") and not word.endswith("again") for said in of_one.values() for word in said)
        for of_one in told
    )
