"""What a person tells us of an eBay account, how we get in, what is left of the day, and what a preflight finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.ebay.desk import CAP, INVENTORY, MUG, TRADING, calls, ebay_of, played, pushed
from oneshelf.connectors.ebay.account import SITES, account_from
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.fault import ReauthenticateError, RetryLaterError
from oneshelf.sdk.message import ChannelConfig, Finding, Throttled

SETTINGS = {"user_id": "Ab1"}
SECRETS = {"client_id": "app", "client_secret": "cert", "refresh_token": "v^1", "verification_token": "t" * 32}


def config(settings: dict[str, str] | None = None, secrets: dict[str, str] | None = None) -> ChannelConfig:
    return ChannelConfig("my-ebay", {**SETTINGS, **(settings or {})}, {**SECRETS, **(secrets or {})})


def test_what_is_left_out_has_its_documented_value() -> None:
    account = account_from(config())
    assert (account.base_url, account.site_id, account.language) == ("https://api.ebay.com", 0, "en-US")
    assert account.orders_lag_s == 900.0
    german = account_from(config({"marketplace_id": "EBAY_DE"}))
    assert (german.site_id, german.language) == SITES["EBAY_DE"]


@pytest.mark.parametrize(
    ("settings", "secrets", "said"),
    [
        ({"marketplace_id": "EBAY_MOON"}, {}, "marketplace_id must be one of EBAY_US"),
        ({"orders_lag_s": "soon"}, {}, "orders_lag_s must lie between"),
        ({"base_url": "http://api.ebay.com"}, {}, "base_url must begin with https"),
        ({}, {"verification_token": "t" * 31}, "verification_token takes 32 to 80"),
        ({}, {"verification_token": "t" * 81}, "verification_token takes 32 to 80"),
        ({}, {"verification_token": "t" * 31 + "!"}, "verification_token takes 32 to 80"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(settings: dict[str, str], secrets: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        account_from(config(settings, secrets))


def test_no_secret_is_in_a_repr() -> None:
    said = repr(account_from(config({}, {"client_secret": "cert-hidden", "refresh_token": "refresh-hidden"})))
    assert not {word for word in ("cert-hidden", "refresh-hidden", "t" * 32) if word in said}


# Getting in ---------------------------------------------------------------------------------------------------


def test_tokens_are_asked_for_without_naming_scopes_and_once_for_all_who_wait() -> None:
    async def story(bench: Bench) -> None:
        await bench.read(MUG)
        await bench.live(7200.0)
        await bench.poll(None)
        await bench.read(MUG)
        asked = [sent.body.decode() for sent in bench.wire.sent if sent.url.endswith("/oauth2/token")]
        assert [text.count("grant_type=refresh_token") for text in asked] == [1, 1]
        assert not [text for text in asked if "scope" in text]

    played(story, lanes=[INVENTORY])


def test_a_token_that_died_early_is_replaced_in_both_worlds() -> None:
    async def story(bench: Bench) -> None:
        for _ in range(3):
            ebay_of(bench).gate.expire_tokens()
            assert {reading.units for reading in (await bench.read(MUG, CAP)).values()} == {10}
            ebay_of(bench).gate.expire_tokens()
            assert type(await pushed(bench, CAP, 10)).__name__ == "Accepted"

    played(story, lanes=[INVENTORY, TRADING])


def test_a_consent_that_ended_says_the_way_out() -> None:
    async def story(bench: Bench) -> None:
        bench.simulator.revoke()
        with pytest.raises(ReauthenticateError, match=r"invalid_grant.*authorize the application again"):
            await bench.connector.read_stock([MUG])

    played(story)


# Quotas -------------------------------------------------------------------------------------------------------


def test_a_quota_that_is_spent_is_left_alone_until_ebay_says_it_comes_back() -> None:
    async def story(bench: Bench) -> None:
        await bench.read(MUG, CAP)
        ebay_of(bench).gate.quotas.update(inventory=0, TradingAPI=0)
        for sku, name in ((MUG, "bulk_get_inventory_item"), (CAP, "GetItem")):
            with pytest.raises(RetryLaterError, match="quota of calls for the day is spent") as told:
                await bench.connector.read_stock([sku])
            # The simulated day ends at seven in the morning; it is eight now.
            assert told.value.retry_after_s == pytest.approx(23 * 3600, abs=60)
            before = calls(bench, name)
            with pytest.raises(RetryLaterError):
                await bench.connector.read_stock([sku])
            assert calls(bench, name) == before, "nobody asks again what will be refused"
        outcomes = await bench.connector.push([bench.write(MUG, 4), bench.write(CAP, 4)])
        assert all(isinstance(outcome, Throttled) for outcome in outcomes)
        ebay_of(bench).gate.quotas.update(inventory=1000, TradingAPI=1000)
        await bench.live(86_400)
        assert len(await bench.read(MUG, CAP)) == 2

    played(story, lanes=[INVENTORY, TRADING])


# Preflight ----------------------------------------------------------------------------------------------------


async def bad(bench: Bench) -> list[Finding]:
    return [finding for finding in await bench.connector.preflight() if not finding.is_good]


def test_a_preflight_says_that_out_of_stock_control_is_off_and_where_it_is_switched_on() -> None:
    async def story(bench: Bench) -> None:
        (finding,) = await bad(bench)
        assert finding.what == "out-of-stock control"
        assert "Site preferences" in finding.detail

    played(story, has_control=False)


def test_a_preflight_names_the_scope_that_is_missing() -> None:
    async def story(bench: Bench) -> None:
        await bench.read(MUG)
        grants = ebay_of(bench).gate._grants
        for token, grant in list(grants.items()):
            grants[token] = replace(grant, scopes=frozenset(s for s in grant.scopes if "fulfillment" not in s))
        (finding,) = await bad(bench)
        assert finding.what == "orders can be read"
        assert "sell.fulfillment" in finding.detail
        assert "authorize the application again" in finding.detail

    played(story)


def test_a_preflight_says_how_many_calls_are_left_and_when_there_are_too_few() -> None:
    async def story(bench: Bench) -> None:
        told = {finding.what: finding for finding in await bench.connector.preflight()}
        assert told["calls left today: trading"].is_good
        assert " of 5000, until " in told["calls left today: trading"].detail
        gate = ebay_of(bench).gate
        gate._used["TradingAPI"] = 4_900
        (finding,) = await bad(bench)
        assert finding.what == "calls left today: trading"
        assert "wait until then" in finding.detail

    played(story)
