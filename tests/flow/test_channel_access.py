"""Tokens that the shop hands out, in the database of the engine: shared, replaced by a person, and lost by no death."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from flow.one_shop import CREDENTIALS, OneShop, open_shop
from flow.world import CLOCK, SHOP, SHOP_ADDRESS
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID
from oneshelf.connectors.shopify.simulator_tokens import REFRESH_TOKEN
from oneshelf.domain.kept import Kept
from oneshelf.sdk.fault import ReauthenticateError
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.kinds import kind_named, load_kinds
from oneshelf.sdk.limits import Unlimited
from oneshelf.sdk.message import ChannelConfig
from oneshelf.storage.kept_secrets import StoredSecrets

OFFLINE = {**CREDENTIALS, "refresh_token": REFRESH_TOKEN}


async def let_the_token_end(shop: OneShop) -> None:
    """An hour passes for what was kept; the shop takes it no longer either."""
    shop.sim.installed.expire_tokens()
    await shop.rows("update kept_secrets set kept_at = kept_at - interval '1 hour' returning 1")


@pytest.mark.parametrize("secrets", [CREDENTIALS, OFFLINE])
async def test_nodes_share_one_token(dsn: str, secrets: Mapping[str, str]) -> None:
    async with open_shop(dsn, secrets) as shop:
        await shop.channel.connector.fetch_stock(None)
        await (await shop.another_node()).connector.fetch_stock(None)
        assert shop.sim.installed.granted_count == 1
        await let_the_token_end(shop)
        await (await shop.another_node()).connector.fetch_stock(None)
        await shop.channel.connector.fetch_stock(None)
        assert shop.sim.installed.granted_count == 2


async def test_the_secrets_of_a_person_are_not_mixed_with_what_was_handed_out(dsn: str) -> None:
    async with open_shop(dsn, OFFLINE) as shop:
        await shop.channel.connector.fetch_stock(None)
        [row] = await shop.rows("select secrets from channels")
        assert row["secrets"] == OFFLINE
        [kept] = await shop.rows("select kept from kept_secrets")
        assert REFRESH_TOKEN not in str(kept)
        assert {"access_token", "refresh_token"} <= set(kept["kept"])


async def test_connecting_again_with_the_same_secrets_keeps_what_was_handed_out(dsn: str) -> None:
    """A script that sets a shop up may run again long after its refresh token was used up."""
    async with open_shop(dsn, OFFLINE) as shop:
        await shop.channel.connector.fetch_stock(None)
        for _ in range(2):
            await let_the_token_end(shop)
            await (await shop.another_node()).connector.fetch_stock(None)
        await shop.type_in(OFFLINE)
        await let_the_token_end(shop)
        await (await shop.another_node()).connector.fetch_stock(None)
        # The first one is retired by now: only what was kept can have been used.
        assert shop.sim.installed.granted_count == 4


async def test_a_new_client_secret_of_the_same_app_keeps_what_was_handed_out(dsn: str) -> None:
    async with open_shop(dsn, OFFLINE) as shop:
        await shop.channel.connector.fetch_stock(None)
        await let_the_token_end(shop)
        await (await shop.another_node()).connector.fetch_stock(None)
        shop.sim.installed.rotate_secret("rotated")
        await shop.type_in({**OFFLINE, "client_secret": "rotated", "webhook_secret": CREDENTIALS["client_secret"]})
        shop.sim.installed.revoke_old_secret()
        await let_the_token_end(shop)
        await shop.channel.connector.fetch_stock(None)


async def test_a_refresh_token_that_a_person_sets_wins_over_what_was_kept(dsn: str) -> None:
    async with open_shop(dsn, OFFLINE) as shop:
        await shop.channel.connector.fetch_stock(None)
        shop.sim.installed.uninstall()
        with pytest.raises(ReauthenticateError):
            await shop.channel.connector.fetch_stock(None)
        shop.sim.installed.install("shprt_of_the_second_authorization")
        old = shop.channel
        with pytest.raises(ReauthenticateError, match="set the new refresh_token"):
            await old.connector.fetch_stock(None)
        await shop.type_in({**OFFLINE, "refresh_token": "shprt_of_the_second_authorization"})
        await shop.channel.connector.fetch_stock(None)
        await let_the_token_end(shop)
        await (await shop.another_node()).connector.fetch_stock(None)


@pytest.mark.long
async def test_a_client_secret_is_rotated_and_no_delivery_is_refused_meanwhile(dsn: str) -> None:
    """The shop signs with the old secret for up to an hour, and with the new one from then on."""
    async with open_shop(dsn) as shop:
        await shop.watchdog().keep()
        app, old = shop.sim.installed, CREDENTIALS["client_secret"]

        async def a_sale_is_told() -> None:
            order_id = shop.sim.place([(shop.sim.listings()[0].channel_sku, 1)])

            async def is_told() -> bool:
                return order_id in await shop.orders()

            await shop.until(is_told, what="the sale is announced and posted")

        app.rotate_secret("rotated")
        assert app.signing_secret == old
        await shop.type_in({**CREDENTIALS, "client_secret": "rotated", "webhook_secret": old})
        await a_sale_is_told()

        async def signs_with_the_new_one() -> bool:
            return app.signing_secret == "rotated"

        await shop.until(signs_with_the_new_one, what="the hour is over")
        await a_sale_is_told()
        app.revoke_old_secret()
        await shop.type_in({**CREDENTIALS, "client_secret": "rotated"})
        await a_sale_is_told()
        assert shop.sim.webhooks.failed == 0


class KilledError(BaseException):
    """The process is gone."""


class Mortal(StoredSecrets):
    """A node's store that is killed before its n-th step, and after: nothing that comes later has an effect."""

    steps = 0
    dies_at = 0

    def _step(self) -> None:
        self.steps += 1
        if self.steps >= self.dies_at > 0:
            raise KilledError

    async def latest(self) -> Kept:
        self._step()
        kept = await super().latest()
        self._step()
        return kept

    async def claim(self, *, for_s: float) -> bool:
        self._step()
        is_claimed = await super().claim(for_s=for_s)
        self._step()
        return is_claimed

    async def release(self) -> None:
        self._step()
        await super().release()

    async def replace(self, values: Mapping[str, str], *, read: Kept) -> bool:
        self._step()
        is_replaced = await super().replace(values, read=read)
        self._step()
        return is_replaced


@pytest.mark.long
async def test_no_kill_loses_the_access(dsn: str) -> None:
    """Killed before and after each of its steps, and once not at all; each time the next node goes on, and on."""
    async with open_shop(dsn, OFFLINE) as shop:
        await shop.channel.connector.fetch_stock(None)
        kind = kind_named(load_kinds(), "shopify")
        config = ChannelConfig(SHOP, {"base_url": SHOP_ADDRESS, "location_id": LOCATION_ID}, OFFLINE)
        http = ChannelHttp(shop.client, clock=CLOCK, limiter=Unlimited())
        kills = 0
        while True:
            await let_the_token_end(shop)
            store = Mortal(shop.database, SHOP, typed=OFFLINE, clock=CLOCK)
            store.dies_at = kills + 1
            node = kind.open(config, channel=SHOP, http=http, clock=CLOCK, store=store)
            try:
                await node.fetch_stock(None)
            except KilledError:
                kills += 1
            else:
                break
            # The claim of the dead ends by itself.
            await shop.rows("update kept_secrets set claimed_until = db_now() where claim is not null returning 1")
            await (await shop.another_node()).connector.fetch_stock(None)
        assert kills == 8
