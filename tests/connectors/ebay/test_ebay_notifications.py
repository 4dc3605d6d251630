"""What eBay announces: that it is asked to, whose signature counts, and what is made of it."""

from __future__ import annotations

import base64
import hashlib
import json
from random import Random

import httpx2
import msgspec
import pytest

from connectors.ebay.desk import MUG, calls, ebay_of, played
from oneshelf.connectors.ebay.connector import EbayConnector
from oneshelf.connectors.ebay.signature import UNKNOWN_MAX, Keys
from oneshelf.connectors.ebay.simulator_sender import Keys as SimulatedKeys
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.fault import RefusedError, RetryLaterError, SignatureError
from oneshelf.sdk.message import AccessLost, Delivery, Ignored, OrderHint, Request
from oneshelf.sdk.virtual_time import VirtualClock, run_virtually

ADDRESS = "http://127.0.0.1:8700/webhooks/my-ebay"
TOPICS = ("ORDER_CONFIRMATION", "AUTHORIZATION_REVOCATION")


def connector_of(bench: Bench) -> EbayConnector:
    assert isinstance(bench.connector, EbayConnector)
    return bench.connector


def answering(bench: Bench) -> None:
    """Whoever is called with a challenge answers as our own web server does."""
    wire = bench.hooks
    plain = wire.handle_async_request

    async def handle(request: httpx2.Request) -> httpx2.Response:
        if request.method != "GET":
            return await plain(request)
        address = str(request.url.copy_with(query=None))
        said = connector_of(bench).answer_challenge(dict(request.url.params), address=address)
        headers = {"content-type": "application/json"}
        return httpx2.Response(200, content=said, headers=headers, request=request)

    wire.handle_async_request = handle  # type: ignore[method-assign]  # replaced on purpose


# Subscriptions ------------------------------------------------------------------------------------------------


def test_what_is_missing_is_made_and_what_is_there_is_left_alone() -> None:
    async def story(bench: Bench) -> None:
        answering(bench)
        made = await connector_of(bench).keep_subscriptions(ADDRESS)
        assert (made.created, made.present, made.refused) == (TOPICS, (), {})
        again = await connector_of(bench).keep_subscriptions(ADDRESS)
        assert (again.created, again.present, again.refused) == ((), TOPICS, {})
        assert len(ebay_of(bench).sender.destinations) == 2, "that of somebody else is still there"
        bench.hooks.got.clear()
        bench.placed((MUG, 1))
        await bench.live(60.0)
        delivery = await bench.verified(bench.hooks.got[-1])
        assert delivery.topic == "ORDER_CONFIRMATION"

    played(story)


def test_a_destination_that_ebay_marked_down_and_a_subscription_that_is_off_are_switched_on_again() -> None:
    async def story(bench: Bench) -> None:
        answering(bench)
        await connector_of(bench).keep_subscriptions(ADDRESS)
        sender = ebay_of(bench).sender
        (ours,) = [one for one in sender.destinations.values() if one.endpoint == ADDRESS]
        ours.status = "MARKED_DOWN"
        for one in sender.subscriptions.values():
            if one.destination_id == ours.destination_id and one.topic_id == TOPICS[0]:
                one.status = "DISABLED"
        kept = await connector_of(bench).keep_subscriptions(ADDRESS)
        assert (kept.created, kept.present) == (TOPICS[:1], TOPICS[1:])
        (ours,) = [one for one in sender.destinations.values() if one.endpoint == ADDRESS]
        assert ours.status == "ENABLED"

    played(story)


def test_without_an_alert_address_the_way_out_is_named() -> None:
    async def story(bench: Bench) -> None:
        ebay_of(bench)._notifications.alert_email = ""
        with pytest.raises(RefusedError, match="set alert_email"):
            await connector_of(bench).keep_subscriptions(ADDRESS)

    played(story)


def test_an_address_that_does_not_answer_the_challenge_is_named() -> None:
    async def story(bench: Bench) -> None:
        with pytest.raises(RefusedError, match=f"does not take {ADDRESS} .*Challenge"):
            await connector_of(bench).keep_subscriptions(ADDRESS)

    played(story)


def test_the_challenge_is_answered_with_the_hash_of_code_token_and_address() -> None:
    async def story(bench: Bench) -> None:
        token = bench.config.secrets["verification_token"]
        said = connector_of(bench).answer_challenge({"challenge_code": "abc"}, address=ADDRESS)
        expected = hashlib.sha256(f"abc{token}{ADDRESS}".encode()).hexdigest()
        assert said is not None
        assert msgspec.json.decode(said) == {"challengeResponse": expected}
        for query in ({}, {"challenge_code": ""}, {"code": "abc"}):
            assert connector_of(bench).answer_challenge(query, address=ADDRESS) is None

    played(story)


# Keys ---------------------------------------------------------------------------------------------------------


def signed_with(key_id: object, *, digest: str = "SHA1", alg: str = "ecdsa") -> Request:
    parts = {"alg": alg, "kid": key_id, "signature": base64.b64encode(b"no").decode(), "digest": digest}
    return Request({"x-ebay-signature": base64.b64encode(json.dumps(parts).encode()).decode()}, b"{}")


def test_a_key_is_fetched_once_and_again_after_an_hour() -> None:
    async def story(bench: Bench) -> None:
        bench.placed((MUG, 1))
        await bench.live(60.0)
        (request,) = bench.hooks.got
        for _ in range(5):
            await bench.verified(request)
        assert calls(bench, "public_key") == 1
        await bench.live(3600.0)
        await bench.verified(request)
        assert calls(bench, "public_key") == 2

    played(story)


def test_a_key_that_ebay_does_not_have_is_asked_for_once() -> None:
    async def story(bench: Bench) -> None:
        for _ in range(5):
            with pytest.raises(SignatureError):
                await bench.verified(signed_with("00000000-0000-4000-8000-000000000000"))
        assert calls(bench, "public_key") == 1

    played(story)


@pytest.mark.parametrize("key_id", ["", "../config", "a b", "x" * 65, 7, None])
def test_what_is_no_id_of_a_key_is_not_asked_for(key_id: object) -> None:
    async def story(bench: Bench) -> None:
        with pytest.raises(SignatureError):
            await bench.verified(signed_with(key_id))
        assert calls(bench, "public_key") == 0

    played(story)


@pytest.mark.parametrize("changed", [{"digest": "MD5"}, {"alg": "none"}])
def test_another_way_of_signing_is_refused(changed: dict[str, str]) -> None:
    async def story(bench: Bench) -> None:
        with pytest.raises(SignatureError):
            await bench.verified(signed_with("00000000-0000-4000-8000-000000000000", **changed))

    played(story)


def test_made_up_keys_neither_fill_the_memory_nor_push_out_the_true_one() -> None:
    async def story() -> None:
        simulated = SimulatedKeys(random=Random(7))
        true_id, asked = simulated.renew(), []

        async def fetch(key_id: str) -> str | None:
            asked.append(key_id)
            document = simulated.document(key_id)
            return document["key"] if document else None

        keys = Keys(fetch, clock=VirtualClock("keys"))
        await keys.learn(true_id)
        for number in range(3 * UNKNOWN_MAX):
            await keys.learn(f"made-up-{number:04}")
        assert len(keys._unknown) == UNKNOWN_MAX
        await keys.learn(true_id)
        assert asked.count(true_id) == 1
        assert keys.key(true_id) is not None

    run_virtually(VirtualClock("keys"), story())


def test_a_key_that_cannot_be_had_now_is_no_wrong_signature() -> None:
    async def story(bench: Bench) -> None:
        bench.placed((MUG, 1))
        await bench.live(60.0)
        bench.simulator.switches.set({"server_error": 1.0})
        with pytest.raises(RetryLaterError):
            await connector_of(bench).learn_key(bench.hooks.got[0])

    played(story)


def test_a_key_that_cannot_be_looked_at_again_goes_on_being_good() -> None:
    async def story(bench: Bench) -> None:
        bench.placed((MUG, 1))
        await bench.live(60.0)
        await bench.verified(bench.hooks.got[0])
        await bench.live(3600.0)
        bench.simulator.switches.set({"server_error": 1.0})
        assert (await bench.verified(bench.hooks.got[0])).topic == "ORDER_CONFIRMATION"
        assert calls(bench, "public_key") == 2

    played(story)


# What is said -------------------------------------------------------------------------------------------------


def said(bench: Bench, topic: str, **content: object) -> object:
    body = msgspec.json.encode({"metadata": {"topic": topic}, "notification": {"data": content}})
    (message,) = bench.connector.parse(Delivery("1", topic, body))
    return message


def test_each_topic_says_what_it_says() -> None:
    async def story(bench: Bench) -> None:
        user_id = bench.config.settings["user_id"]
        order = {"orderId": "12-34567-89012", "orderLineItems": "whatever"}
        assert said(bench, "ORDER_CONFIRMATION", order=order) == OrderHint("12-34567-89012")
        assert said(bench, "ORDER_CONFIRMATION", order=None) == OrderHint("")
        assert said(bench, "ORDER_CANCELLATION_ACTIVITY", orderId="1-2") == OrderHint("1-2")
        lost = said(bench, "AUTHORIZATION_REVOCATION", userId=user_id, revokeReason="PASSWORD_CHANGE")
        assert isinstance(lost, AccessLost)
        assert "PASSWORD_CHANGE" in lost.reason
        assert "authorize the application again" in lost.reason
        assert isinstance(said(bench, "AUTHORIZATION_REVOCATION", userId="another"), Ignored)
        assert isinstance(said(bench, "MARKETPLACE_ACCOUNT_DELETION", userId=user_id), Ignored)
        assert isinstance(said(bench, "ITEM_AVAILABILITY", whatever=1), Ignored)

    played(story)


def test_a_withdrawn_consent_is_told_by_ebay() -> None:
    async def story(bench: Bench) -> None:
        bench.simulator.revoke()
        await bench.live(60.0)
        requests = [one for one in bench.hooks.got if b"AUTHORIZATION_REVOCATION" in one.body]
        for request in requests:
            (message,) = bench.parsed(await bench.verified(request))
            assert isinstance(message, AccessLost)
        assert requests

    played(story)
