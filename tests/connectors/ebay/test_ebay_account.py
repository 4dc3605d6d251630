"""What a person tells us of an eBay account, how we get in, what is left of the day, and what a preflight finds."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta

import pytest

from connectors.amazon.harness import START, TurnedClock
from connectors.ebay.desk import CAP, INVENTORY, MUG, TRADING, calls, ebay_of, played, pushed
from oneshelf.clock import SystemClock
from oneshelf.connectors.ebay.account import CONSENT_LIFE, SITES, account_from
from oneshelf.connectors.ebay.minting import REFRESH, RETRY_S, MintQuota
from oneshelf.domain.charge import Learned
from oneshelf.errors import ConfigurationError
from oneshelf.flow.connect import checked_channel
from oneshelf.sdk.conformance.bench import CHANNEL, Bench
from oneshelf.sdk.fault import BudgetSpentError, ReauthenticateError, RetryLaterError
from oneshelf.sdk.kinds import load_kinds
from oneshelf.sdk.message import ChannelConfig, Finding, Throttled
from oneshelf.storage.catalog import NewChannel

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


def test_who_is_granted_more_than_is_documented_goes_on_where_that_would_be_used_up() -> None:
    async def story(bench: Bench) -> None:
        await bench.read(CAP)
        ebay_of(bench).gate.quotas["TradingAPI"] = 1_500_000
        await bench.limiter.learn("trading", Learned(left=0.0))
        for _ in range(100):
            await bench.read(CAP)
        assert calls(bench, "rate_limit") == 1
        assert bench.limiter.learned["trading"].rate_per_s == pytest.approx(0.9 * 1_500_000 / 86_400)

    played(story, lanes=[TRADING])


def test_who_is_granted_what_is_documented_waits_and_asks_once_an_hour() -> None:
    async def story(bench: Bench) -> None:
        await bench.read(CAP)
        for hour in (1, 2):
            await bench.limiter.learn("trading", Learned(left=0.0))
            for _ in range(3):
                with pytest.raises(BudgetSpentError):
                    await bench.connector.read_stock([CAP])
            assert calls(bench, "rate_limit") == hour
            await bench.live(3600.0)
        assert len(await bench.read(CAP)) == 1

    played(story, lanes=[TRADING])


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


# Tokens that are not granted, and a consent that ends -----------------------------------------------------------


def tokens_asked(bench: Bench) -> int:
    return calls(bench, "/oauth2/token")


def test_when_the_days_tokens_are_used_up_nobody_asks_again_before_they_may_be_back() -> None:
    async def story(bench: Bench) -> None:
        gate = ebay_of(bench).gate
        await bench.read(MUG)
        gate.mints["refresh_token"] = 0
        await bench.live(7_200)
        before = tokens_asked(bench)

        async def refused() -> RetryLaterError:
            with pytest.raises(RetryLaterError) as told:
                await bench.connector.read_stock([MUG])
            return told.value

        together = await asyncio.gather(*(refused() for _ in range(20)))
        assert tokens_asked(bench) == before + 1, "one asks for all, and the others are told without asking"
        for fault in together:
            assert "50,000 requests a day, counted over all who use this keyset" in str(fault)
            assert "a keyset of its own" in str(fault)
            assert 0 < fault.retry_after_s <= RETRY_S
        outcomes = await bench.connector.push([bench.write(MUG, 4), bench.write(CAP, 4)])
        assert all(isinstance(outcome, Throttled) for outcome in outcomes), "nothing was sent, and nothing is in doubt"
        for _ in range(90):
            await bench.live(10)
            with suppress(RetryLaterError):
                await bench.connector.read_stock([MUG])
        assert tokens_asked(bench) == before + 2, "a quarter of an hour later it is tried once"
        gate.mints["refresh_token"] = 50_000
        await bench.live(RETRY_S)
        assert len(await bench.read(MUG)) == 1

    played(story)


def test_the_applications_tokens_are_counted_by_themselves() -> None:
    async def story(bench: Bench) -> None:
        ebay_of(bench).gate.mints["client_credentials"] = 0
        assert len(await bench.read(MUG)) == 1
        told = {finding.what: finding for finding in await bench.connector.preflight()}
        assert not told["the keyset"].is_good
        assert "stand for the application today: 1,000 requests a day" in told["the keyset"].detail
        assert "try again in 900 s" in told["the keyset"].detail

    played(story)


def test_a_wait_for_tokens_never_goes_beyond_the_instant_at_which_a_day_may_begin() -> None:
    clock = TurnedClock()
    quota = MintQuota(clock, REFRESH)
    quota.wait()
    at_noon = quota.fault_of(RetryLaterError("token: 429 busy", retry_after_s=1.0))
    assert (at_noon.retry_after_s, START.hour) == (RETRY_S, 12)
    with pytest.raises(RetryLaterError, match="asked again in 900 s"):
        quota.wait()
    told = quota.fault_of(RetryLaterError("token: 429 busy", retry_after_s=7_200.0))
    assert told.retry_after_s == 7_200.0, "eBay itself said when"
    asyncio.run(clock.advance(12 * 3600 - 120))
    quota.wait()
    late = quota.fault_of(RetryLaterError("token: 429 busy", retry_after_s=1.0))
    assert late.retry_after_s == 180.0, "two minutes before midnight, and a minute for clocks that differ"
    unreached = RetryLaterError("token: not reached (ConnectError)")
    assert quota.fault_of(unreached) is unreached


def test_a_consent_that_has_run_out_is_told_with_the_way_to_a_new_one() -> None:
    async def story(bench: Bench) -> None:
        ebay_of(bench).habits.refresh_life_s = 600.0
        assert len(await bench.read(MUG)) == 1
        await bench.live(600)
        assert len(await bench.read(MUG)) == 1, "what was granted lives on"
        ebay_of(bench).gate.expire_tokens()
        with pytest.raises(ReauthenticateError) as told:
            await bench.connector.read_stock([MUG])
        for words in ("invalid_grant", "18 months are over", "docs/how-to/connect-ebay.md", "consented_on"):
            assert words in str(told.value)
        (finding,) = await bench.another_connector().preflight()
        assert (finding.what, finding.is_good) == ("the seller's consent", False)
        assert "have the seller authorize the application again" in finding.detail
        ebay_of(bench).grant()
        assert len(await bench.read(MUG)) == 1

    played(story)


@pytest.mark.parametrize(
    ("left", "is_good", "words"),
    [
        (None, True, "set consented_on"),
        (31, True, "good until"),
        (30, True, "within 30 days"),
        (7, False, "within 7 days"),
        (1, False, "today"),
        (0, False, "it ended on"),
        (900, False, "yet to come"),
    ],
)
def test_the_end_of_the_consent_is_told_where_somebody_said_when_it_was_given(
    left: int | None, is_good: bool, words: str
) -> None:
    async def story(bench: Bench) -> None:
        given_on = None if left is None else bench.clock.now().date() + timedelta(days=left) - CONSENT_LIFE
        settings = {**bench.config.settings, "consented_on": "" if given_on is None else given_on.isoformat()}
        told = bench.kind.open(
            replace(bench.config, settings=settings), channel=CHANNEL, http=bench.http, clock=bench.clock
        )
        finding = next(one for one in await told.preflight() if one.what == "the seller's consent")
        assert (finding.is_good, words in finding.detail) == (is_good, True), finding

    played(story)


def test_a_day_of_consent_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="consented_on must be a day such as 2026-11-26"):
        account_from(config({"consented_on": "last spring"}, {}))


@pytest.mark.parametrize("kind", ["ebay", "amazon"])
def test_a_channel_is_not_connected_with_a_day_that_is_yet_to_come(kind: str) -> None:
    """Nor with one so far away that no calendar has its end."""
    account = load_kinds()[kind].simulator(seed=7, speed=1.0, clock=SystemClock()).account(address="http://127.0.0.1:1")
    name = "consented_on" if kind == "ebay" else "secret_renewed_on"

    def connected(day: str) -> NewChannel:
        settings = {**account.settings, name: day}
        return checked_channel(
            kind=kind, name="my-shop", location="BER", settings=settings, secrets=account.secrets, timing={}
        )

    today = SystemClock().now().date()
    for far in (today + timedelta(days=3), date(9998, 12, 31), date.max):
        with pytest.raises(ConfigurationError, match=f"{name} is {far}, which is yet to come; set the day"):
            connected(far.isoformat())
    assert len(connected(today.isoformat()).access_ends) == 1
