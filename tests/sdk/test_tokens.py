"""Tokens that end: fetched once for all, kept before they are used, renewed before their end and after a rejection."""

from __future__ import annotations

import asyncio

import pytest

from connectors.shopify.conftest import TurnedClock
from oneshelf.sdk.fault import ReauthenticateError, RetryLaterError
from oneshelf.sdk.http import Reply
from oneshelf.sdk.secret_store import MemorySecretStore
from oneshelf.sdk.tokens import CLAIM_S, FixedToken, Grant, Tokens, called_with_token


class Office:
    """Hands out numbered pairs. `rotates`: each refresh token buys one pair, as the store must not lose it."""

    def __init__(self, *, life_s: float = 3600.0, rotates: bool = False) -> None:
        self.life_s = life_s
        self.rotates = rotates
        self.asked_with: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask(self, refresh_token: str) -> Grant:
        await self.gate.wait()
        self.asked_with.append(refresh_token)
        number = len(self.asked_with)
        return Grant(f"access-{number}", self.life_s, f"refresh-{number}" if self.rotates else "")


def a_node(office: Office, store: MemorySecretStore, clock: TurnedClock, *, typed: str = "typed") -> Tokens:
    return Tokens(office.ask, clock=clock, store=store, refresh_token=typed)


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def store(clock: TurnedClock) -> MemorySecretStore:
    return MemorySecretStore(clock)


async def test_callers_at_the_same_time_wait_for_one_fetch(clock: TurnedClock, store: MemorySecretStore) -> None:
    office = Office()
    tokens = a_node(office, store, clock)
    assert await asyncio.gather(*(tokens.access_token() for _ in range(5))) == ["access-1"] * 5
    assert len(office.asked_with) == 1


async def test_a_token_is_renewed_a_minute_before_its_end_and_a_short_one_a_tenth_before(
    clock: TurnedClock, store: MemorySecretStore
) -> None:
    office = Office(life_s=3600)
    tokens = a_node(office, store, clock)
    await tokens.access_token()
    clock.turn(3539)
    assert await tokens.access_token() == "access-1"
    clock.turn(1)
    office.life_s = 10
    assert await tokens.access_token() == "access-2"
    clock.turn(9)
    assert await tokens.access_token() == "access-3"


async def test_nodes_share_a_token_and_one_of_them_asks(clock: TurnedClock, store: MemorySecretStore) -> None:
    office = Office(rotates=True)
    one, other = (a_node(office, store, clock) for _ in range(2))
    office.gate.clear()
    first, second = asyncio.ensure_future(one.access_token()), asyncio.ensure_future(other.access_token())
    await clock.live(1)
    office.gate.set()
    await clock.live(1)
    assert (await first, await second) == ("access-1", "access-1")
    assert office.asked_with == ["typed"]
    clock.turn(3600)
    assert await other.access_token() == "access-2"
    assert await one.access_token() == "access-2"
    assert office.asked_with == ["typed", "refresh-1"]


async def test_a_node_that_died_while_it_asked_is_not_waited_for_for_ever(
    clock: TurnedClock, store: MemorySecretStore
) -> None:
    office = Office()
    assert await store.claim(for_s=CLAIM_S)
    waiting = asyncio.ensure_future(a_node(office, store, clock).access_token())
    await clock.live(CLAIM_S - 1)
    assert not waiting.done()
    await clock.live(2)
    assert await waiting == "access-1"


async def test_a_pair_is_kept_before_it_is_used_so_that_no_death_loses_it(
    clock: TurnedClock, store: MemorySecretStore
) -> None:
    office = Office(rotates=True)
    await a_node(office, store, clock).access_token()
    kept = await store.latest()
    assert (kept.values["access_token"], kept.values["refresh_token"]) == ("access-1", "refresh-1")
    assert "access-1" not in repr(kept)
    clock.turn(4000)
    assert await a_node(office, store, clock).access_token() == "access-2"
    assert office.asked_with == ["typed", "refresh-1"]


async def test_another_refresh_token_that_a_person_types_in_wins_over_the_kept_one(
    clock: TurnedClock, store: MemorySecretStore
) -> None:
    office = Office(rotates=True)
    await a_node(office, store, clock).access_token()
    assert await a_node(office, store, clock, typed="newer").access_token() == "access-2"
    assert office.asked_with == ["typed", "newer"]
    clock.turn(4000)
    assert await a_node(office, store, clock, typed="newer").access_token() == "access-3"
    assert office.asked_with[-1] == "refresh-2"


async def test_what_was_handed_out_for_secrets_that_were_changed_meanwhile_is_not_used(
    clock: TurnedClock, store: MemorySecretStore
) -> None:
    office = Office()
    tokens = a_node(office, store, clock)
    office.gate.clear()
    asking = asyncio.ensure_future(tokens.access_token())
    await clock.live(0)
    assert await store.replace({"origin": "somebody else"}, read=await store.latest())
    office.gate.set()
    with pytest.raises(RetryLaterError, match="were changed"):
        await asking


async def test_a_refusal_gives_the_claim_back(clock: TurnedClock, store: MemorySecretStore) -> None:
    async def refuse(_refresh_token: str) -> Grant:
        raise ReauthenticateError("invalid_grant")

    with pytest.raises(ReauthenticateError):
        await Tokens(refuse, clock=clock, store=store).access_token()
    assert await store.claim(for_s=1)


def a_reply() -> Reply:
    return Reply(status=200, headers={}, body=b"", is_write=True)


async def test_a_rejected_token_is_replaced_once_and_then_the_rejection_is_told(
    clock: TurnedClock, store: MemorySecretStore
) -> None:
    tried: list[str] = []

    async def call(token: str) -> Reply:
        tried.append(token)
        raise ReauthenticateError("401")

    tokens = a_node(Office(), store, clock)
    with pytest.raises(ReauthenticateError):
        await called_with_token(tokens, call, is_about_token=lambda _: True)
    assert tried == ["access-1", "access-2"]
    with pytest.raises(ReauthenticateError):
        await called_with_token(tokens, call, is_about_token=lambda _: False)
    assert tried == ["access-1", "access-2", "access-2"]
    with pytest.raises(ReauthenticateError):
        await called_with_token(FixedToken("fixed"), call, is_about_token=lambda _: True)
    assert tried[3:] == ["fixed"]


async def test_callers_who_were_rejected_together_get_one_new_token(
    clock: TurnedClock, store: MemorySecretStore
) -> None:
    office = Office()
    tokens = a_node(office, store, clock)
    dead = await tokens.access_token()

    async def call(token: str) -> Reply:
        await asyncio.sleep(0)
        if token == dead:
            raise ReauthenticateError("401")
        return a_reply()

    calls = [called_with_token(tokens, call, is_about_token=lambda _: True) for _ in range(4)]
    assert [reply.status for reply in await asyncio.gather(*calls)] == [200] * 4
    assert len(office.asked_with) == 2
