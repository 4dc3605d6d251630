"""What a connector declares is tried at the account, and nothing is relied on that does not hold there."""

from __future__ import annotations

import pytest

from flow.world import CLOCK, MARKET, SHOP, World, open_world
from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.probing import Ability, Check, Verdict
from oneshelf.domain.rights import Mode
from oneshelf.errors import ConfigurationError
from oneshelf.flow import plan
from oneshelf.flow.probe import probe
from oneshelf.sdk.capability import WriteKind, effective
from oneshelf.storage import catalog, rights

pytestmark = pytest.mark.pg

HOLDS, FAILS, UNKNOWN = Verdict


async def tried(world: World, channel: Channel, sku: str, *, writes: bool = True) -> dict[str, Check]:
    """Probe with the listing that carries this SKU, and open the channel anew with what was found."""
    opened = world.channels.by_name[channel]
    listing = ChannelSku(world.listing(channel, sku))
    checks = await probe(world.database, opened, CLOCK, channel_sku=listing, writes=writes)
    await world.channels.refresh()
    return {check.what: check for check in checks}


def figures(world: World) -> dict[tuple[Channel, str], int]:
    return {(name, one.channel_sku): one.units for name, sim in world.simulators.items() for one in sim.listings()}


async def fallbacks(world: World) -> dict[str, dict[str, str]]:
    (row,) = await world.rows("select fallbacks from channels where channel = 'shop'")
    found: dict[str, dict[str, str]] = row["fallbacks"]
    return found


@pytest.mark.long
async def test_a_shop_that_keeps_its_word_is_relied_on_and_nothing_on_sale_changes(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        before = figures(world)
        checks = await tried(world, SHOP, "MUG")
        assert {what: check.verdict for what, check in checks.items() if check.verdict is not HOLDS} == {
            "clock": UNKNOWN  # Inside a process nobody dates an answer.
        }
        assert set(checks) >= {"answers", "scope write_inventory", "listing", "belief", "compare", "write", "key"}
        assert figures(world) == before
        assert await fallbacks(world) == {}
        assert world.channels.by_name[SHOP].capability.write_kind is WriteKind.COMPARE_AND_SET
        (kept,) = await world.rows("select channel_sku, has_written, checks from probes")
        assert kept["has_written"]
        assert [check["what"] for check in kept["checks"]] == list(checks)
        # The engine has its listing back.
        world.sell(SHOP, "MUG", 2)
        await world.until_verified()


async def test_without_the_wish_to_write_nothing_is_written(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        # Strikes at every write, and at nothing else.
        world.simulators[SHOP].switches.set({"reply_lost": 1.0})
        checks = await tried(world, SHOP, "MUG", writes=False)
        assert world.simulators[SHOP].switches.hits["reply_lost"] == 0
        assert checks["listing"].verdict is HOLDS
        assert "compare" not in checks
        (kept,) = await world.rows("select has_written from probes")
        assert not kept["has_written"]


@pytest.mark.long
async def test_a_shop_that_ignores_the_compared_figure_is_written_blindly_until_it_compares_again(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5, "CAP": 3}) as world:
        before = figures(world)
        world.simulators[SHOP].switches.set({"ignores_compare": 1.0})
        checks = await tried(world, SHOP, "MUG")
        assert (checks["compare"].verdict, checks["key"].verdict) == (FAILS, HOLDS)
        assert figures(world) == before
        lost = await fallbacks(world)
        assert list(lost) == ["compare"]
        assert "ignored" in lost["compare"]["reason"]
        opened = world.channels.by_name[SHOP]
        assert opened.declared is not None
        assert opened.capability == effective(opened.declared, {Ability.COMPARE})
        # It goes on selling, and is written as well as can be.
        world.sell(SHOP, "MUG")
        world.sell(MARKET, "MUG")
        await world.until_verified()
        assert await world.available("MUG") == 3
        # Once more says no more: since when it is known stays.
        await tried(world, SHOP, "CAP")
        assert (await fallbacks(world))["compare"]["since"] == lost["compare"]["since"]

        world.simulators[SHOP].switches.set({"ignores_compare": 0.0})
        assert (await tried(world, SHOP, "CAP"))["compare"].verdict is HOLDS
        assert await fallbacks(world) == {}
        assert world.channels.by_name[SHOP].capability == opened.declared
        world.sell(MARKET, "MUG")
        await world.until_verified()


@pytest.mark.long
async def test_a_shop_that_ignores_it_now_and_then_cannot_be_relied_on(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        world.simulators[SHOP].switches.set({"ignores_compare": {"next": 1}})
        assert (await tried(world, SHOP, "MUG"))["compare"].verdict is FAILS


@pytest.mark.long
async def test_a_shop_that_ignores_keys_is_relied_on_for_all_else(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        before = figures(world)
        world.simulators[SHOP].switches.set({"ignores_key": 1.0})
        checks = await tried(world, SHOP, "MUG")
        assert (checks["compare"].verdict, checks["key"].verdict) == (HOLDS, FAILS)
        assert figures(world) == before
        capability = world.channels.by_name[SHOP].capability
        assert (capability.write_kind, capability.key_life_s) == (WriteKind.COMPARE_AND_SET, 0.0)


@pytest.mark.long
async def test_what_could_not_be_tried_changes_nothing(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        world.simulators[SHOP].switches.set({"ignores_compare": 1.0})
        await tried(world, SHOP, "MUG")
        world.simulators[SHOP].switches.set({"ignores_compare": 0.0, "reply_lost": 1.0})
        checks = await tried(world, SHOP, "MUG")
        assert checks["compare"].verdict is UNKNOWN
        # Nothing more is written once nobody knows whether a copy is under way.
        assert "write" not in checks
        assert list(await fallbacks(world)) == ["compare"]


@pytest.mark.long
async def test_a_channel_that_declares_no_comparison_is_tried_with_what_it_shows(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        before = figures(world)
        checks = await tried(world, MARKET, "MUG")
        assert "compare" not in checks
        assert checks["write"].verdict is HOLDS
        assert checks["read back"].verdict is HOLDS
        assert figures(world) == before


@pytest.mark.long
async def test_a_sale_that_the_engine_has_not_heard_of_stops_the_probe(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        world.sell(SHOP, "MUG")
        checks = await tried(world, SHOP, "MUG")
        assert checks["belief"].verdict is UNKNOWN
        assert "compare" not in checks
        await world.until_verified()


@pytest.mark.long
async def test_other_settings_mean_another_account_of_which_nothing_is_known(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        world.simulators[SHOP].switches.set({"ignores_compare": 1.0})
        await tried(world, SHOP, "MUG")
        async with world.database.transaction() as tx:
            (row,) = [one for one in await catalog.channels(tx) if one.channel == SHOP]
            same = catalog.NewChannel(SHOP, row.kind, row.location, row.settings, row.secrets, row.timing)
            await catalog.add_channel(tx, same)
        assert list(await fallbacks(world)) == ["compare"]
        async with world.database.transaction() as tx:
            await catalog.add_channel(tx, same._replace(settings={**row.settings, "location_id": "1"}))
        assert await fallbacks(world) == {}


async def refused(world: World, sku: str) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        await tried(world, SHOP, sku)
    assert await world.rows("select 1 from listings where lease is not null and lease_until > db_now()") == []
    return str(refusal.value)


@pytest.mark.long
async def test_what_must_not_be_written_now_is_not_tried(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5, "CAP": 1}) as world:
        # Strikes at every write.
        world.simulators[SHOP].switches.set({"reply_lost": 1.0})
        async with world.database.transaction() as tx:
            await rights.set_mode(tx, [Sku("MUG"), Sku("CAP")], Mode.GUARDED)
        while await plan.plan(world.database):
            pass
        assert "guarded SKU" in await refused(world, "MUG")
        async with world.database.transaction() as tx:
            await catalog.set_mode(tx, SHOP, "paused")
        assert "oneshelf channel watch shop" in await refused(world, "MUG")
        async with world.database.transaction() as tx:
            await catalog.set_mode(tx, SHOP, "live")
        await world.rows(
            "update listings set lease_until = db_now() + interval '1 minute' where sku = 'CAP' returning 1"
        )
        with pytest.raises(ConfigurationError, match="just now"):
            await tried(world, SHOP, "CAP")
        with pytest.raises(ConfigurationError, match="no listing 4711"):
            await probe(
                world.database, world.channels.by_name[SHOP], CLOCK, channel_sku=ChannelSku("4711"), writes=True
            )
        assert world.simulators[SHOP].switches.hits["reply_lost"] == 0
        assert await world.rows("select 1 from probes") == []


@pytest.mark.long
async def test_a_guarded_listing_that_shows_nothing_may_be_tried(dsn: str) -> None:
    async with open_world(dsn, skus={"CAP": 1}) as world:
        world.sell(SHOP, "CAP")
        await world.until_verified()
        async with world.database.transaction() as tx:
            await rights.set_mode(tx, [Sku("CAP")], Mode.GUARDED)
        world.simulators[SHOP].switches.set({"ignores_compare": 1.0})
        assert (await tried(world, SHOP, "CAP"))["compare"].verdict is FAILS
