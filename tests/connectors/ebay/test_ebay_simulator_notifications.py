"""The simulated eBay asks, signs and sends as its documents say; its report of all listings comes by the same wire."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree as Xml

import httpx2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.ebay.stall import Stall, errors, every, stall, text
from oneshelf.connectors.ebay.simulator import USER_ID
from oneshelf.connectors.ebay.simulator_feed import REPORT
from oneshelf.connectors.ebay.simulator_sender import ATTEMPTS, OTHER_USER_ID
from oneshelf.errors import MalformedError

PATH = "/commerce/notification/v1"
HOOK = "https://shelf.example/webhooks/ebay"
TOKEN = "a-token_that-is-32-characters-long"
FEED = "/sell/feed/v1"
PAYLOAD = {"format": "JSON", "schemaVersion": "1.0", "deliveryProtocol": "HTTPS"}


class Receiver(httpx2.AsyncBaseTransport):
    """Whoever is behind the webhook address. `token`: with which it answers a challenge; `status`: of all else."""

    def __init__(self) -> None:
        self.token = TOKEN
        self.status = 204
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.challenges = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            self.challenges += 1
            code = request.url.params["challenge_code"]
            told = hashlib.sha256(f"{code}{self.token}{HOOK}".encode()).hexdigest()
            return httpx2.Response(200, json={"challengeResponse": told})
        self.got.append((dict(request.headers), await request.aread()))
        return httpx2.Response(self.status)

    def told(self, topic: str = "ORDER_CONFIRMATION") -> list[dict[str, Any]]:
        """The notifications of a topic that came."""
        messages = [json.loads(body) for _headers, body in self.got]
        return [one["notification"] for one in messages if one["metadata"]["topic"] == topic]


@asynccontextmanager
async def desk_and_receiver(**world: Any) -> AsyncIterator[tuple[Stall, Receiver]]:
    receiver = Receiver()
    async with httpx2.AsyncClient(transport=receiver) as client, stall(webhook_client=client, **world) as desk:
        yield desk, receiver


async def application(desk: Stall, method: str, path: str, document: object = None) -> httpx2.Response:
    body = {} if document is None else {"json": document}
    return await desk.call(method, PATH + path, is_user=False, **body)


def wanted(**changed: Any) -> dict[str, Any]:
    config = {"endpoint": HOOK, "verificationToken": TOKEN}
    config.update({name: changed.pop(name) for name in list(changed) if name in config})
    return {"name": "oneshelf", "status": "ENABLED", "deliveryConfig": config, **changed}


async def a_destination(desk: Stall) -> str:
    assert (await application(desk, "PUT", "/config", {"alertEmail": "me@shelf.example"})).status_code == 204
    created = await application(desk, "POST", "/destination", wanted())
    assert created.status_code == 201, created.text
    return created.headers["location"].rpartition("/")[2]


async def is_authentic(desk: Stall, headers: dict[str, str], body: bytes) -> bool:
    """Whether the key that the header names has signed these bytes, as eBay's own kits find out."""
    parts = json.loads(base64.b64decode(headers["x-ebay-signature"]))
    assert (parts["alg"], parts["digest"]) == ("ecdsa", "SHA1")
    told = (await application(desk, "GET", f"/public_key/{parts['kid']}")).json()
    middle = told["key"].removeprefix("-----BEGIN PUBLIC KEY-----").removesuffix("-----END PUBLIC KEY-----")
    assert "\n" not in told["key"]
    key = serialization.load_der_public_key(base64.b64decode(middle))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        key.verify(base64.b64decode(parts["signature"]), body, ec.ECDSA(hashes.SHA1()))  # noqa: S303  # eBay signs so
    except InvalidSignature:
        return False
    return True


# Setting up -------------------------------------------------------------------------------------------------------


async def test_a_destination_needs_a_configuration_first_and_is_challenged_at_once() -> None:
    async with desk_and_receiver() as (desk, receiver):
        assert errors(await application(desk, "GET", "/config")) == [195026]
        early = await application(desk, "POST", "/destination", wanted())
        assert (early.status_code, errors(early), receiver.challenges) == (409, [195003], 0)
        destination_id = await a_destination(desk)
        assert receiver.challenges == 1
        shown = (await application(desk, "GET", f"/destination/{destination_id}")).json()
        assert (shown["status"], shown["deliveryConfig"]["endpoint"]) == ("ENABLED", HOOK)
        assert errors(await application(desk, "POST", "/destination", wanted())) == [195021]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": "x" * 65}, 195016),
        ({"endpoint": "http://shelf.example/"}, 195017),
        ({"endpoint": "shelf.example"}, 195017),
        ({"status": "ON"}, 195018),
        ({"verificationToken": "too-short"}, 195019),
        ({"verificationToken": "x" * 81}, 195019),
        ({"verificationToken": "no spaces allowed in this token!!"}, 195019),
        ({"verificationToken": "another-token-of-more-than-32-signs"}, 195020),
    ],
)
async def test_a_destination_that_breaks_the_rules_is_refused(change: dict[str, str], error: int) -> None:
    async with desk_and_receiver() as (desk, _receiver):
        await application(desk, "PUT", "/config", {"alertEmail": "me@shelf.example"})
        assert errors(await application(desk, "POST", "/destination", wanted(**change))) == [error]
        assert (await application(desk, "GET", "/destination")).json()["total"] == 0


async def test_a_topic_of_a_seller_needs_that_sellers_token_and_the_others_the_applications() -> None:
    async with desk_and_receiver() as (desk, _receiver):
        destination_id = await a_destination(desk)
        topics = (await application(desk, "GET", "/topic")).json()["topics"]
        for topic in topics:
            body = {"topicId": topic["topicId"], "destinationId": destination_id, "status": "ENABLED"}
            asked = {**body, "payload": PAYLOAD}
            is_user = topic["scope"] == "USER"
            wrong = await desk.call("POST", f"{PATH}/subscription", is_user=not is_user, json=asked)
            right = await desk.call("POST", f"{PATH}/subscription", is_user=is_user, json=asked)
            again = await desk.call("POST", f"{PATH}/subscription", is_user=is_user, json=asked)
            assert (errors(wrong), right.status_code, errors(again)) == ([195011], 201, [195012])
        listed = (await application(desk, "GET", "/subscription")).json()["subscriptions"]
        assert {one["topicId"] for one in listed} == {topic["topicId"] for topic in topics}
        assert errors(await application(desk, "DELETE", f"/destination/{destination_id}")) == [195024]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"topicId": "ORDERS"}, 195027),
        ({"status": "ON"}, 195006),
        ({"destinationId": "none"}, 195007),
        ({"payload": {**PAYLOAD, "schemaVersion": "9.0"}}, 195008),
        ({"payload": {**PAYLOAD, "format": "XML"}}, 195009),
        ({"payload": {**PAYLOAD, "deliveryProtocol": "FTP"}}, 195010),
    ],
)
async def test_a_subscription_that_breaks_the_rules_is_refused(change: dict[str, Any], error: int) -> None:
    async with desk_and_receiver() as (desk, _receiver):
        body = {"topicId": "ORDER_CONFIRMATION", "destinationId": await a_destination(desk), "status": "ENABLED"}
        answer = await desk.call("POST", f"{PATH}/subscription", json={**body, "payload": PAYLOAD, **change})
        assert errors(answer) == [error]


async def test_a_subscription_is_switched_off_and_on_changed_and_removed() -> None:
    async with desk_and_receiver(inventory={"MUG": 9}) as (desk, receiver):
        destination_id = await a_destination(desk)
        body = {"topicId": "ORDER_CONFIRMATION", "destinationId": destination_id, "status": "ENABLED"}
        created = await desk.call("POST", f"{PATH}/subscription", json={**body, "payload": PAYLOAD})
        one = "/subscription/" + created.headers["location"].rpartition("/")[2]
        assert (await application(desk, "POST", f"{one}/disable")).status_code == 204
        desk.simulator.place([("MUG", 1)])
        await desk.clock.advance(60)
        assert receiver.told() == []
        assert (await application(desk, "POST", f"{one}/enable")).status_code == 204
        assert (await application(desk, "POST", f"{one}/test")).status_code == 202
        await desk.clock.advance(60)
        assert len(receiver.told()) == 1
        change = {"status": "DISABLED", "destinationId": destination_id, "payload": PAYLOAD}
        assert (await application(desk, "PUT", one, change)).status_code == 204
        assert (await application(desk, "GET", one)).json()["status"] == "DISABLED"
        assert (await application(desk, "DELETE", one)).status_code == 204
        assert errors(await application(desk, "GET", one)) == [195013]
        assert (await application(desk, "DELETE", f"/destination/{destination_id}")).status_code == 204


# Sending ----------------------------------------------------------------------------------------------------------


async def test_a_sale_is_told_once_for_each_line_and_signed_by_a_key_that_can_be_fetched() -> None:
    async with desk_and_receiver(inventory={"MUG": 9}, trading={"JUG": 9}) as (desk, receiver):
        desk.simulator.connect(address=HOOK, secret="hush")
        order_id = desk.simulator.place([("MUG", 2), ("JUG", 1)])
        await desk.clock.advance(60)
        told = [one["data"]["order"] for one in receiver.told()]
        assert {one["orderId"] for one in told} == {order_id}
        lines = sorted((one["orderLineItems"][0] for one in told), key=lambda line: line["quantity"])
        assert [(line["listingId"], line["quantity"]) for line in lines] == [
            (desk.item_id("JUG"), 1),
            (desk.item_id("MUG"), 2),
        ]
        assert {one["data"]["user"]["userId"] for one in receiver.told()} == {USER_ID}
        for headers, body in receiver.got:
            assert await is_authentic(desk, headers, body)
            assert not await is_authentic(desk, headers, body + b" ")
        assert errors(await application(desk, "GET", "/public_key/none")) == [195001]


async def test_after_a_change_of_keys_the_old_ones_are_still_to_be_had() -> None:
    async with desk_and_receiver(inventory={"MUG": 9}) as (desk, receiver):
        desk.simulator.connect(address=HOOK, secret="hush")
        for _ in range(2):
            desk.simulator.place([("MUG", 1)])
            await desk.clock.advance(60)
            desk.simulator.sender.keys.renew()
        key_ids = {json.loads(base64.b64decode(headers["x-ebay-signature"]))["kid"] for headers, _body in receiver.got}
        assert len(key_ids) == 2
        assert [await is_authentic(desk, headers, body) for headers, body in receiver.got] == [True, True]


async def test_nobody_is_told_of_a_commitment_before_its_checkout() -> None:
    async with desk_and_receiver(inventory={"MUG": 9}) as (desk, receiver):
        desk.simulator.habits.commitment_share = 1.0
        desk.simulator.connect(address=HOOK, secret="hush")
        first = desk.simulator.place([("MUG", 1)])
        await desk.clock.advance(59)
        assert receiver.told() == []
        await desk.clock.advance(1900)
        (told,) = receiver.told()
        assert told["data"]["order"]["orderId"] not in {first, ""}


async def test_a_payment_that_failed_and_then_succeeds_is_told_again() -> None:
    async with desk_and_receiver(inventory={"MUG": 9}) as (desk, receiver):
        desk.simulator.habits.payment_fails_share = 1.0
        desk.simulator.connect(address=HOOK, secret="hush")
        desk.simulator.place([("MUG", 1)])
        await desk.clock.advance(1900)
        assert len({one["notificationId"] for one in receiver.told()}) == 2
        assert len({one["data"]["order"]["orderId"] for one in receiver.told()}) == 1


async def test_what_is_not_taken_comes_three_times_and_after_a_day_no_more() -> None:
    async with desk_and_receiver(inventory={"MUG": 9}) as (desk, receiver):
        desk.simulator.connect(address=HOOK, secret="hush")
        receiver.status = 503
        desk.simulator.place([("MUG", 1)])
        await desk.clock.advance(3600)
        assert [one["publishAttemptCount"] for one in receiver.told()] == [1, 2, ATTEMPTS]
        assert len({one["notificationId"] for one in receiver.told()}) == 1
        (destination,) = desk.simulator.sender.destinations.values()
        assert destination.status == "ENABLED"
        await desk.clock.advance(86_400)
        desk.simulator.place([("MUG", 1)])
        await desk.clock.advance(3600)
        assert destination.status == "MARKED_DOWN"
        count, receiver.status = len(receiver.told()), 204
        desk.simulator.place([("MUG", 1)])
        await desk.clock.advance(3600)
        assert len(receiver.told()) == count


async def test_a_withdrawn_consent_and_a_deleted_account_are_told() -> None:
    async with desk_and_receiver() as (desk, receiver):
        desk.simulator.connect(address=HOOK, secret="hush")
        desk.simulator.delete_account("SomebodyElse")
        desk.simulator.revoke()
        await desk.clock.advance(60)
        (deleted,) = receiver.told("MARKETPLACE_ACCOUNT_DELETION")
        (revoked,) = receiver.told("AUTHORIZATION_REVOCATION")
        assert deleted["data"]["userId"] == "SomebodyElse"
        assert (revoked["data"]["userId"], revoked["data"]["revokeReason"]) == (USER_ID, "REVOKED_BY_USER")


@pytest.mark.parametrize(
    ("fault", "count"),
    [
        ("webhook_lost", 0),
        ("webhook_duplicate", 2),
        ("webhook_reorder", 1),
        ("webhook_wrong_seller", 2),
        ("webhook_tampered", 2),
    ],
)
async def test_notifications_are_lost_repeated_late_foreign_or_forged(fault: str, count: int) -> None:
    async with desk_and_receiver(inventory={"MUG": 9}) as (desk, receiver):
        desk.simulator.connect(address=HOOK, secret="hush")
        desk.simulator.switches.set({fault: {"next": 1}})
        desk.simulator.place([("MUG", 1)])
        await desk.clock.advance(8.1)
        if fault == "webhook_reorder":
            assert receiver.got == []
        await desk.clock.advance(60)
        assert len(receiver.got) == count
        authentic = sorted([await is_authentic(desk, headers, body) for headers, body in receiver.got])
        assert authentic == ([False, True] if fault == "webhook_tampered" else [True] * count)
        sellers = sorted(one["data"]["user"]["userId"] for one in receiver.told())
        assert sellers == ([OTHER_USER_ID, USER_ID] if fault == "webhook_wrong_seller" else [USER_ID] * count)
        assert len({one["notificationId"] for one in receiver.told()}) == (1 if fault == "webhook_duplicate" else count)


@pytest.mark.parametrize("address", ["http://shelf.example/hook", "ftp://127.0.0.1/", "shelf", ""])
async def test_notifications_go_to_no_address_that_ebay_would_not_send_to(address: str) -> None:
    async with stall() as desk:
        with pytest.raises(MalformedError, match="notifications go to https"):
            desk.simulator.connect(address=address, secret="hush")


@pytest.mark.parametrize("secret", ["hush", "x" * 32, "x" * 80, "x" * 81])
async def test_the_account_has_the_token_of_its_connection_which_is_as_long_as_ebay_asks_for(secret: str) -> None:
    async with stall() as desk:
        desk.simulator.connect(address=HOOK, secret=secret)
        account = desk.simulator.account(address="http://127.0.0.1:1", webhook_secrets=[secret])
        (destination,) = desk.simulator.sender.destinations.values()
        assert account.secrets["verification_token"] == destination.token
        assert 32 <= len(destination.token) <= 80
        assert set(account.settings) == {"user_id", "marketplace_id", "base_url"}
        assert set(account.secrets) == {"client_id", "client_secret", "refresh_token", "verification_token"}


# The report of all listings ---------------------------------------------------------------------------------------


async def asked_for(desk: Stall, **changed: object) -> httpx2.Response:
    body = {"feedType": REPORT, "schemaVersion": "1.0", **changed}
    return await desk.call("POST", f"{FEED}/inventory_task", json=body)


async def test_a_report_is_written_for_a_while_and_then_holds_the_listings_of_both_worlds() -> None:
    async with desk_and_receiver(inventory={"MUG": 9}, trading={"JUG-1": 4, "JUG-2": 5}, group_share=1.0) as (desk, _):
        desk.simulator.place([("JUG-1", 1)])
        created = await asked_for(desk)
        task_id = created.headers["location"].rpartition("/")[2]
        early = await desk.call("GET", f"{FEED}/task/{task_id}/download_result_file")
        assert (created.status_code, early.status_code, errors(early)) == (202, 404, [160014])
        seen = []
        for _ in range(250):
            seen.append((await desk.read(f"{FEED}/inventory_task/{task_id}"))["status"])
            await desk.clock.advance(1)
        assert list(dict.fromkeys(seen)) == ["CREATED", "IN_PROCESS", "COMPLETED"]
        file = await desk.call("GET", f"{FEED}/task/{task_id}/download_result_file")
        archive = zipfile.ZipFile(io.BytesIO(file.content))
        root = Xml.fromstring(archive.read(archive.namelist()[0]))  # noqa: S314  # what the simulator wrote
        single, group = every(root, "ActiveInventoryReport/SKUDetails")
        assert (text(single, "SKU"), text(single, "Quantity"), text(single, "ItemID")) == (
            "MUG",
            "9",
            desk.item_id("MUG"),
        )
        each = [(text(one, "SKU"), text(one, "Quantity")) for one in every(group, "Variations/Variation")]
        assert each == [("JUG-1", "3"), ("JUG-2", "5")]


async def test_reports_are_refused_beyond_ten_at_once_and_25_a_day() -> None:
    async with desk_and_receiver(inventory={"MUG": 9}) as (desk, _receiver):
        answers = [await asked_for(desk) for _ in range(11)]
        assert [answer.status_code for answer in answers] == [202] * 10 + [409]
        assert errors(answers[10]) == [160024]
        await desk.clock.advance(300)
        assert [(await asked_for(desk)).status_code for _ in range(10)] == [202] * 10
        await desk.clock.advance(300)
        assert [(await asked_for(desk)).status_code for _ in range(6)] == [202] * 5 + [409]
        assert errors(await asked_for(desk)) == [160025]
        await desk.clock.advance(86_400)
        assert (await asked_for(desk)).status_code == 202
        listed = await desk.read(f"{FEED}/inventory_task", feed_type=REPORT, limit=20)
        assert (listed["total"], len(listed["tasks"]), "next" in listed) == (26, 20, True)


@pytest.mark.parametrize(
    ("change", "error"), [({"feedType": "LMS_ORDER_REPORT"}, 160017), ({"schemaVersion": "new"}, 160018)]
)
async def test_a_report_of_another_sort_is_refused(change: dict[str, str], error: int) -> None:
    async with desk_and_receiver() as (desk, _receiver):
        assert errors(await asked_for(desk, **change)) == [error]
        assert errors(await desk.call("GET", f"{FEED}/inventory_task/none")) == [160003]
        assert errors(await desk.call("GET", f"{FEED}/inventory_task")) == [160004]
