"""What a channel hands out is kept for all nodes: whole, one version after the other, and one asks at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from oneshelf.clock import SystemClock
from oneshelf.domain.identity import Channel, Location
from oneshelf.domain.kept import Kept
from oneshelf.sdk.secret_store import SecretStore
from oneshelf.storage import catalog
from oneshelf.storage.database import Database
from oneshelf.storage.kept_secrets import StoredSecrets

SHOP, BERLIN = Channel("shop"), Location("BER")
TYPED = {"client_id": "one", "client_secret": "hush"}


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    async with Database.open(dsn) as opened:
        async with opened.transaction() as tx:
            await catalog.add_location(tx, BERLIN)
        await type_in(opened, TYPED)
        yield opened


async def type_in(database: Database, secrets: dict[str, str]) -> None:
    async with database.transaction() as tx:
        await catalog.add_channel(tx, catalog.NewChannel(SHOP, "shopify", BERLIN, {}, secrets, {}))


def a_node(database: Database, *, typed: dict[str, str] = TYPED) -> SecretStore:
    return StoredSecrets(database, SHOP, typed=typed, clock=SystemClock())


async def test_values_are_kept_together_and_read_by_every_node(database: Database) -> None:
    one, other = a_node(database), a_node(database)
    assert await one.latest() == Kept()
    assert await one.replace({"access_token": "a1", "refresh_token": "r1"}, read=Kept())
    kept = await other.latest()
    assert (kept.version, kept.values) == (1, {"access_token": "a1", "refresh_token": "r1"})
    assert 0 <= kept.age_s < 60
    assert "a1" not in f"{kept!r} {one!r}"


async def test_who_read_an_older_version_replaces_nothing(database: Database) -> None:
    one, other = a_node(database), a_node(database)
    old = await other.latest()
    assert await one.replace({"access_token": "a1"}, read=old)
    assert not await other.replace({"access_token": "a2"}, read=old)
    assert (await other.latest()).values == {"access_token": "a1"}
    assert await other.replace({"access_token": "a2"}, read=await other.latest())


async def test_one_node_asks_at_a_time_until_it_is_done_or_its_claim_is_over(database: Database) -> None:
    one, other = a_node(database), a_node(database)
    assert await one.claim(for_s=3600)
    assert not await other.claim(for_s=3600)
    # Only who holds the claim gives it back.
    await other.release()
    assert not await other.claim(for_s=3600)
    await one.release()
    assert await other.claim(for_s=3600)
    assert await other.replace({}, read=await other.latest())
    assert await one.claim(for_s=0)
    assert await other.claim(for_s=3600)


async def test_a_node_that_still_has_the_former_secrets_replaces_nothing(database: Database) -> None:
    late = a_node(database)
    await type_in(database, {**TYPED, "client_secret": "new"})
    assert not await late.replace({"access_token": "of the former"}, read=Kept())
    assert await a_node(database, typed={**TYPED, "client_secret": "new"}).replace({}, read=Kept())


async def test_what_was_kept_goes_with_its_channel(database: Database) -> None:
    assert await a_node(database).replace({"access_token": "a1"}, read=Kept())
    async with database.transaction() as tx:
        await tx.execute("delete from channels")
    assert await a_node(database).latest() == Kept()
