"""What was taken off sale for want of units comes back, whichever instruction was the last of whoever did it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from connectors.ebay.desk import CAP, INVENTORY, MUG, TRADING, Kind, ebay_of, played, pushed
from oneshelf.connectors.ebay.aside import Aside
from oneshelf.connectors.ebay.connector import EbayConnector
from oneshelf.connectors.ebay.simulator_books import Lane
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.kept import Kept
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.message import Accepted, Refused
from oneshelf.sdk.secret_store import MemorySecretStore, SecretStore

BOTH = pytest.mark.parametrize("lane", [INVENTORY, TRADING], ids=str)
# More than any of the stories here has steps.
STEPS_MAX = 60


class KilledError(BaseException):
    """The process is gone."""


class Life:
    """Counts what a process does to others, and ends it before the n-th of these steps, or right after it."""

    def __init__(self, dies_at: int = 0) -> None:
        self.dies_at = dies_at
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps >= self.dies_at > 0:
            raise KilledError


class Mortal:
    """The store as a process sees it that is killed at some step."""

    def __init__(self, store: SecretStore, life: Life) -> None:
        self.store, self._life = store, life

    async def latest(self) -> Kept:
        return await self.store.latest()

    async def claim(self, *, for_s: float) -> bool:
        return await self.store.claim(for_s=for_s)

    async def release(self) -> None:
        await self.store.release()

    async def replace(self, values: Mapping[str, str], *, read: Kept) -> bool:
        self._life.step()
        is_replaced = await self.store.replace(values, read=read)
        self._life.step()
        return is_replaced


def a_node(bench: Bench, life: Life) -> None:
    """From now on another process works at the bench, which knows nothing, and lives so long."""
    assert isinstance(bench.kind, Kind)
    if isinstance(bench.kind.store, Mortal):
        bench.kind.store = bench.kind.store.store
    store = bench.kind.store
    assert store is not None
    bench.kind.store = Mortal(store, life)
    bench.connector = bench.another_connector()
    assert isinstance(bench.connector, EbayConnector)
    api = bench.connector._api
    for name in ("write", "trading_write"):
        setattr(api, name, _mortal(getattr(api, name), life))


def _mortal(call: Callable[..., Awaitable[Any]], life: Life) -> Callable[..., Awaitable[Any]]:
    async def called(*arguments: Any, **named: Any) -> Any:
        life.step()
        answer = await call(*arguments, **named)
        life.step()
        return answer

    return called


async def until_accepted(bench: Bench, units: int) -> None:
    """Push until eBay took it: it accepts a quantity some seconds before it goes by it."""
    for _ in range(8):
        outcome = await pushed(bench, MUG, units)
        await bench.applied()
        if outcome == Accepted():
            return
    raise AssertionError(f"{units} units were not taken: {outcome}")


@pytest.mark.long
@BOTH
def test_what_we_ended_comes_back_wherever_we_were_killed(lane: Lane) -> None:
    kills: list[int] = []

    async def story(bench: Bench) -> None:
        for at in range(1, STEPS_MAX):
            life = Life(dies_at=at)
            await until_accepted(bench, 7)
            a_node(bench, life)
            try:
                await pushed(bench, MUG, 0)
                await bench.applied()
                await bench.read(MUG)
                await until_accepted(bench, 3)
                await bench.read(MUG)
            except KilledError:
                kills.append(at)
            a_node(bench, Life())
            await bench.applied()
            if (await bench.units_read(MUG)) != 0:
                await until_accepted(bench, 0)
            assert bench.shown()[MUG] == 0
            a_node(bench, Life())
            assert await bench.units_read(MUG) == 0
            await until_accepted(bench, 5)
            assert await bench.units_read(MUG) == bench.shown()[MUG] == 5
            if life.steps < at:
                return

    played(story, lanes=[lane], items=1, has_control=False)
    assert len(kills) >= 8


@BOTH
def test_what_a_person_ends_stays_ended_also_where_we_had_ended_one_before(lane: Lane) -> None:
    async def story(bench: Bench) -> None:
        await until_accepted(bench, 0)
        await until_accepted(bench, 5)
        assert await bench.units_read(MUG) == 5
        books = ebay_of(bench).ebay
        books.end(books.catalogue[MUG].listing)
        for _ in range(2):
            assert (await bench.read(MUG)).get(MUG) is None or (await bench.read(MUG))[MUG].units is None
            assert isinstance(await pushed(bench, MUG, 7), Refused)
            a_node(bench, Life())
        assert bench.shown()[MUG] == 0

    played(story, lanes=[lane], items=1, has_control=False)


async def brought_back_by_another(bench: Bench) -> None:
    """An engine goes on that has seen the mug off sale; another one has put 7 of it on sale since."""
    await until_accepted(bench, 0)
    one, other = bench.connector, bench.another_connector()
    for bench.connector in (one, other):
        assert await bench.units_read(MUG) == 0
    bench.connector = one
    await until_accepted(bench, 7)
    assert bench.shown()[MUG] == 7
    bench.connector = other


@BOTH
def test_what_another_process_has_put_on_sale_again_is_found_and_not_said_to_be_refused(lane: Lane) -> None:
    async def story(bench: Bench) -> None:
        await brought_back_by_another(bench)
        outcomes = []
        for _ in range(3):
            outcomes.append(await pushed(bench, MUG, 5))
            await bench.applied()
        assert not [outcome for outcome in outcomes if isinstance(outcome, Refused)], outcomes
        assert (outcomes[-1], bench.shown()[MUG], await bench.units_read(MUG)) == (Accepted(), 5, 5)

    played(story, lanes=[lane], items=1, has_control=False)


@BOTH
def test_a_zero_of_what_another_process_has_put_on_sale_again_is_written(lane: Lane) -> None:
    async def story(bench: Bench) -> None:
        await brought_back_by_another(bench)
        await until_accepted(bench, 0)
        assert bench.shown()[MUG] == 0

    played(story, lanes=[lane], items=1, has_control=False)


@BOTH
def test_what_sold_out_and_so_ended_by_itself_comes_back(lane: Lane) -> None:
    async def story(bench: Bench) -> None:
        await bench.read(MUG)
        bench.placed((MUG, 10))
        assert ebay_of(bench).ebay.catalogue[MUG].listing.ended_at is not None
        assert await bench.units_read(MUG) == 0
        a_node(bench, Life())
        await until_accepted(bench, 5)
        assert await bench.units_read(MUG) == bench.shown()[MUG] == 5

    played(story, lanes=[lane], items=1, has_control=False)


def test_variations_that_ended_by_themselves_are_left_to_a_person() -> None:
    """Listed anew by the quantity of one, the others would come back with an old one, or not at all."""

    async def story(bench: Bench) -> None:
        await bench.read(MUG, CAP)
        bench.placed((MUG, 10), (CAP, 10))
        assert await bench.units_read(MUG) == 0
        outcome = await pushed(bench, MUG, 5)
        assert isinstance(outcome, Refused)
        assert "with all its variations" in outcome.words
        assert bench.shown()[MUG] == bench.shown()[CAP] == 0

    played(story, lanes=[TRADING, TRADING], has_control=False, group_share=1.0)


def test_a_variation_that_ebay_deletes_with_its_zero_is_proved_to_show_none() -> None:
    """It has sold nothing, and out-of-stock control is off: afterwards its listing has the others alone."""

    async def story(bench: Bench) -> None:
        await bench.read(MUG, CAP)
        await until_accepted(bench, 0)
        told = await bench.read(MUG, CAP)
        assert (told[MUG].units, told[CAP].units) == (0, 10)
        assert "deleted" in told[MUG].note
        assert isinstance(await pushed(bench, MUG, 5), Refused)
        a_node(bench, Life())
        assert MUG not in await bench.read(MUG, CAP), "another process cannot tell it from one that a person took away"

    played(story, lanes=[TRADING, TRADING], has_control=False, group_share=1.0)


def test_a_listing_is_not_listed_anew_twice() -> None:
    async def story(bench: Bench) -> None:
        await until_accepted(bench, 0)
        bench.simulator.switches.set({"reply_lost": {"next": 1}})
        await pushed(bench, MUG, 4)
        a_node(bench, Life())
        assert await bench.units_read(MUG) == 4
        listings = ebay_of(bench).ebay.listings.values()
        assert [one.is_live for one in listings] == [False, True]

    played(story, lanes=[TRADING], items=1, has_control=False)


def test_two_nodes_that_note_at_the_same_time_lose_nothing() -> None:
    async def story(bench: Bench) -> None:
        store = MemorySecretStore(bench.clock)
        one, other = Aside(store, clock=bench.clock), Aside(store, clock=bench.clock)
        await one.note(ChannelSku("A"), "1")
        await other.note(ChannelSku("B"), "2")
        await one.note(ChannelSku("C"), "3")
        await other.drop([ChannelSku("B")])
        await one.look()
        assert [one.item_id(ChannelSku(sku)) for sku in "ABC"] == ["1", None, "3"]

    played(story)


def test_a_variation_is_published_with_its_group_and_the_others_show_nothing() -> None:
    async def story(bench: Bench) -> None:
        await bench.read(MUG, CAP)
        bench.placed((MUG, 10))
        bench.placed((CAP, 10))
        a_node(bench, Life())
        assert (await bench.units_read(MUG), await bench.units_read(CAP)) == (0, 0)
        await until_accepted(bench, 5)
        assert {sku: bench.shown()[sku] for sku in (MUG, CAP)} == {MUG: 5, CAP: 0}
        assert await pushed(bench, CAP, 2) == Accepted()
        await bench.applied()
        assert {sku: bench.shown()[sku] for sku in (MUG, CAP)} == {MUG: 5, CAP: 2}
        assert [one.is_live for one in ebay_of(bench).ebay.listings.values()] == [False, True]

    played(story, lanes=[INVENTORY, INVENTORY], has_control=False, group_share=1.0)


def test_a_group_that_a_person_withdrew_is_not_published_for_one_of_its_variations() -> None:
    async def story(bench: Bench) -> None:
        await bench.read(MUG, CAP)
        bench.placed((MUG, 10))
        books = ebay_of(bench).ebay
        books.end(books.catalogue[CAP].listing)
        outcome = await pushed(bench, MUG, 5)
        for _ in range(5):
            await bench.applied()
            outcome = await pushed(bench, MUG, 5)
        assert isinstance(outcome, Refused)
        assert CAP in outcome.words
        assert (bench.shown()[MUG], bench.shown()[CAP]) == (0, 0)

    played(story, lanes=[INVENTORY, INVENTORY], has_control=False, group_share=1.0)


def test_a_figure_that_arrives_after_everything_sold_out_is_no_persons_withdrawal() -> None:
    async def story(bench: Bench) -> None:
        await bench.read(MUG, CAP)
        bench.placed((MUG, 10))
        bench.placed((CAP, 10))
        assert (await bench.units_read(MUG), await bench.units_read(CAP)) == (0, 0)
        ebay_of(bench).ebay.catalogue[CAP].figures.item_units = 3
        assert await bench.units_read(CAP) == 0
        await until_accepted(bench, 5)
        assert {sku: bench.shown()[sku] for sku in (MUG, CAP)} == {MUG: 5, CAP: 0}

    played(story, lanes=[INVENTORY, INVENTORY], has_control=False, group_share=1.0)
