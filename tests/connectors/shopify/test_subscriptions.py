"""What the shop announces, to whom, and what it forgets: subscriptions of the app and of the Admin API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from oneshelf.connectors.shopify.documents import CREATE_SUBSCRIPTION
from oneshelf.connectors.shopify.simulator_tokens import OLD_SECRET_S
from oneshelf.connectors.shopify.simulator_webhooks import RETRIES
from oneshelf.connectors.shopify.subscriptions import TOPICS, name_of
from oneshelf.sdk.contract import Subscribes
from oneshelf.sdk.fault import RetryLaterError, SignatureError
from oneshelf.sdk.message import AccessLost, Delivery, Ignored, OrderHint, Request

if TYPE_CHECKING:
    from connectors.shopify.conftest import Bench

ADDRESS = "http://localhost/webhooks/shop"
ELSEWHERE = "https://others.example/hooks"
# Of all topics, those for which the app of these tests has the right.
ALLOWED = [topic for topic in TOPICS if not topic.startswith("fulfillment_orders/")]


@pytest.fixture(autouse=True)
def _less_is_granted(bench: Bench, fast_bench: Bench) -> None:
    for one in (bench, fast_bench):
        one.sim.installed.scopes = tuple(scope for scope in one.sim.installed.scopes if "fulfillment" not in scope)


async def subscribe(bench: Bench, topic: str, uri: str, **more: Any) -> list[dict[str, Any]]:
    """Somebody subscribes; the errors."""
    variables = {"topic": name_of(topic), "subscription": {"uri": uri, "format": "JSON", **more}}
    answer = await bench.post(CREATE_SUBSCRIPTION, variables)
    errors: list[dict[str, Any]] = answer["data"]["webhookSubscriptionCreate"]["userErrors"]
    return errors


# What the connector does ---------------------------------------------------------------------------------------


async def test_everything_that_is_allowed_is_subscribed_to_once(bench: Bench) -> None:
    assert isinstance(bench.connector, Subscribes)
    first = await bench.connector.keep_subscriptions(ADDRESS)
    assert (list(first.created), first.present, first.removed, first.refused) == (ALLOWED, (), (), {})
    again = await bench.connector.keep_subscriptions(ADDRESS)
    assert (list(again.present), again.created) == (ALLOWED, ())
    assert bench.sim.webhooks.subscriptions.topics == ALLOWED


async def test_with_another_right_more_is_subscribed_to(bench: Bench) -> None:
    await bench.connector.keep_subscriptions(ADDRESS)
    bench.sim.installed.leave_scopes((*bench.sim.installed.scopes, "write_assigned_fulfillment_orders"))
    added = await bench.connector.keep_subscriptions(ADDRESS)
    assert set(added.created) == set(TOPICS) - set(ALLOWED)


async def test_what_is_missing_is_made_anew_and_what_others_made_is_left_alone(bench: Bench) -> None:
    assert await subscribe(bench, "orders/create", ELSEWHERE) == []
    await bench.connector.keep_subscriptions(ADDRESS)
    bench.sim.switches.set({"subscription_dropped": {"next": 2}})
    bench.sim.webhooks.subscriptions.to("orders/create")
    assert bench.sim.switches.hits["subscription_dropped"] == 2
    await subscribe(bench, "orders/create", ELSEWHERE)
    kept = await bench.connector.keep_subscriptions(ADDRESS)
    assert kept.created == ("orders/create",)
    assert len(kept.present) == len(ALLOWED) - 1
    assert bench.sim.webhooks.subscriptions.topics.count("orders/create") == 2


@pytest.mark.parametrize("hiding", [{"includeFields": ["id"]}, {"filter": "id:1"}, {"format": "XML"}])
async def test_one_at_our_address_that_hides_something_is_replaced(bench: Bench, hiding: dict[str, Any]) -> None:
    await subscribe(bench, "orders/create", ADDRESS, **hiding)
    kept = await bench.connector.keep_subscriptions(ADDRESS)
    assert kept.removed == ("orders/create",)
    assert list(kept.created) == ALLOWED
    assert (await bench.connector.keep_subscriptions(ADDRESS)).created == ()


async def test_an_address_that_the_shop_refuses_is_told_for_each_topic_in_its_words(bench: Bench) -> None:
    kept = await bench.connector.keep_subscriptions("http://shelf.example/webhooks/shop")
    assert list(kept.refused) == ALLOWED
    assert set(kept.refused.values()) == {"Address protocol http:// is not supported"}


async def test_a_shop_that_gives_up_in_the_middle_is_gone_on_with_at_the_next_look(bench: Bench) -> None:
    bench.sim.switches.set({"throttle": {"next": 1}})
    with pytest.raises(RetryLaterError):
        await bench.connector.keep_subscriptions(ADDRESS)
    heard = 0

    async def break_down(scope: Any, receive: Any, send: Any) -> None:
        nonlocal heard
        heard += 1
        if heard == 4:
            bench.sim.switches.set({"throttle": {"next": 1}})
        await bench.sim.app()(scope, receive, send)

    kept = await bench.open(app=break_down).keep_subscriptions(ADDRESS)
    assert list(kept.created) == ALLOWED[:2]
    assert list(kept.refused) == ALLOWED[2:3]
    assert list((await bench.connector.keep_subscriptions(ADDRESS)).created) == ALLOWED[2:]


def test_an_uninstalled_app_and_a_lost_right_are_access_that_was_lost(bench: Bench) -> None:
    def told(topic: str, body: object) -> object:
        (message,) = bench.connector.parse(Delivery(key="1", topic=topic, body=json.dumps(body).encode()))
        return message

    scopes = ["write_inventory", "read_locations", "write_products", "read_orders"]
    assert isinstance(told("app/scopes_update", {"current": scopes}), Ignored)
    lost = told("app/scopes_update", {"current": scopes[1:]})
    assert isinstance(lost, AccessLost)
    assert "write_inventory" in lost.reason
    gone = told("app/uninstalled", {"id": 1})
    assert isinstance(gone, AccessLost)
    assert "install it again" in gone.reason


def test_every_topic_that_is_subscribed_to_is_one_that_is_known(bench: Bench) -> None:
    for topic in TOPICS:
        if topic.startswith(("orders/", "inventory_levels/", "app/")) and topic != "orders/edited":
            continue
        (message,) = bench.connector.parse(Delivery(key="1", topic=topic, body=b"{}"))
        if topic.startswith("fulfillment_orders/"):
            assert isinstance(message, OrderHint)
            continue
        assert isinstance(message, Ignored)
        assert "not one that we read" not in message.reason


# What the shop does --------------------------------------------------------------------------------------------


async def test_the_shop_refuses_an_address_in_the_recorded_words(bench: Bench) -> None:
    assert await subscribe(bench, "orders/create", ADDRESS) == []
    [taken] = await subscribe(bench, "orders/create", ADDRESS)
    assert taken["message"] == "Address for this topic has already been taken"
    [plain] = await subscribe(bench, "orders/create", "http://shelf.example/")
    assert plain["message"] == "Address protocol http:// is not supported"
    assert await subscribe(bench, "orders/updated", ADDRESS) == []


async def test_several_subscriptions_to_one_event_share_its_id_and_have_ids_of_their_own(bench: Bench) -> None:
    async with bench.living():
        await subscribe(bench, "orders/create", ADDRESS)
        bench.sim.place([(bench.skus[0], 1)])
        await bench.clock.live(5)
    got = [headers for headers, _ in bench.receiver.got if headers["x-shopify-topic"] == "orders/create"]
    assert len(got) == 2
    assert len({headers["x-shopify-event-id"] for headers in got}) == 1
    assert len({headers["x-shopify-webhook-id"] for headers in got}) == 2


async def test_a_subscription_of_the_admin_api_is_dropped_after_four_hours_of_failures_and_made_anew(
    fast_bench: Bench,
) -> None:
    bench = fast_bench
    async with bench.living():
        bench.sim.webhooks.subscriptions.forget()
        await bench.connector.keep_subscriptions(ADDRESS)
        bench.receiver.statuses = [503] * (RETRIES + 1)
        bench.sim.edit_by_hand(bench.skus[0], 3)
        await bench.clock.live(4.2 * 3600 / bench.sim.speed)
        assert len(bench.receiver.got) == RETRIES + 1
        bench.sim.edit_by_hand(bench.skus[0], 4)
        await bench.clock.live(5)
        assert len(bench.receiver.got) == RETRIES + 1
        kept = await bench.connector.keep_subscriptions(ADDRESS)
        assert kept.created == ("inventory_levels/update",)
        bench.sim.edit_by_hand(bench.skus[0], 5)
        await bench.clock.live(5)
    assert json.loads(bench.receiver.got[-1][1])["available"] == 5


async def test_one_success_between_the_failures_keeps_a_subscription(fast_bench: Bench) -> None:
    bench = fast_bench
    async with bench.living():
        bench.sim.webhooks.subscriptions.forget()
        await bench.connector.keep_subscriptions(ADDRESS)
        bench.receiver.statuses = [503] * RETRIES
        bench.sim.edit_by_hand(bench.skus[0], 3)
        await bench.clock.live(4.2 * 3600 / bench.sim.speed)
    assert bench.sim.webhooks.delivered == 1
    assert (await bench.connector.keep_subscriptions(ADDRESS)).created == ()


async def test_a_rotated_secret_signs_within_the_hour_and_both_are_accepted_until_then(bench: Bench) -> None:
    """From the old secret to the new one without one delivery refused."""
    old, new = "test-client-secret", "rotated"
    during, after = bench.open(secret=f"{new},{old}"), bench.open(secret=new)
    async with bench.living():
        bench.sim.installed.rotate_secret(new)
        bench.sim.edit_by_hand(bench.skus[0], 1)
        await bench.clock.live(OLD_SECRET_S)
        bench.sim.edit_by_hand(bench.skus[0], 2)
        await bench.clock.live(5)
    first, second = (Request(headers=headers, body=body) for headers, body in bench.receiver.got)
    for request in (first, second):
        assert during.verify(request).topic == "inventory_levels/update"
    with pytest.raises(SignatureError):
        after.verify(first)
    after.verify(second)
    bench.sim.installed.revoke_old_secret()
    assert bench.sim.installed.signing_secret == new


async def test_a_delivery_may_come_up_to_a_day_late_with_what_was_true_then(bench: Bench) -> None:
    async with bench.living():
        bench.sim.switches.set({"webhook_day_late": {"next": 1}})
        bench.sim.edit_by_hand(bench.skus[0], 1)
        bench.sim.edit_by_hand(bench.skus[0], 2)
        await bench.clock.live(3600)
        assert [json.loads(body)["available"] for _, body in bench.receiver.got] == [2]
        await bench.clock.live(86_400)
    assert [json.loads(body)["available"] for _, body in bench.receiver.got] == [2, 1]


async def test_two_changes_may_look_like_the_second_one_twice(bench: Bench) -> None:
    async with bench.living():
        bench.sim.switches.set({"webhook_assembled_late": {"next": 2}})
        bench.sim.edit_by_hand(bench.skus[0], 0)
        bench.sim.edit_by_hand(bench.skus[0], 10)
        await bench.clock.live(5)
    assert [json.loads(body)["available"] for _, body in bench.receiver.got] == [10, 10]


async def test_the_same_fields_within_a_moment_are_told_once(bench: Bench) -> None:
    async with bench.living():
        bench.sim.webhooks.subscriptions.forget()
        await subscribe(bench, "inventory_levels/update", ADDRESS, includeFields=["inventory_item_id"])
        bench.sim.edit_by_hand(bench.skus[0], 1)
        bench.sim.edit_by_hand(bench.skus[0], 2)
        await bench.clock.live(10)
        bench.sim.edit_by_hand(bench.skus[0], 3)
        await bench.clock.live(10)
    assert [list(json.loads(body)) for _, body in bench.receiver.got] == [["inventory_item_id"]] * 2


async def test_a_filter_on_a_field_that_there_is_not_lets_nothing_through(bench: Bench) -> None:
    async with bench.living():
        bench.sim.webhooks.subscriptions.forget()
        await subscribe(bench, "inventory_levels/update", ADDRESS, filter="colour:red")
        bench.sim.edit_by_hand(bench.skus[0], 1)
        await bench.clock.live(10)
    assert bench.receiver.got == []


async def test_an_app_that_is_uninstalled_is_told_so_and_nothing_else(bench: Bench) -> None:
    async with bench.living():
        assert (await bench.client.post("http://localhost/_sim/uninstall", json={})).status_code == 200
        bench.sim.edit_by_hand(bench.skus[0], 1)
        await bench.clock.live(10)
    assert bench.receiver.topics() == ["app/uninstalled"]
    assert (await bench.connector.preflight())[0].is_good is False


async def test_a_change_of_the_apps_rights_is_told(bench: Bench) -> None:
    async with bench.living():
        asked = {"scopes": ["read_orders"]}
        assert (await bench.client.post("http://localhost/_sim/scopes", json=asked)).status_code == 200
        assert (await bench.client.post("http://localhost/_sim/scopes", json={"scopes": "all"})).status_code == 400
        await bench.clock.live(10)
    [(headers, body)] = bench.receiver.got
    assert headers["x-shopify-topic"] == "app/scopes_update"
    assert json.loads(body)["current"] == ["read_orders"]
    assert [one.what for one in await bench.connector.preflight() if not one.is_good] == [
        *("scope write_inventory", "scope read_locations", "scope read_products", "from where units leave")
    ]
