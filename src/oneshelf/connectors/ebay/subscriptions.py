"""What eBay announces to us, and that it goes on doing so.

A destination whose deliveries fail is marked down by eBay, and stays so until somebody enables it
(https://developer.ebay.com/api-docs/commerce/notification/overview.html, checked 2026-11-26).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oneshelf.connectors.ebay.account import Account
from oneshelf.connectors.ebay.api import NOTIFICATION, EbayApi, document_of, is_success, refuse
from oneshelf.connectors.ebay.json_reading import decoded, error_words, text_in
from oneshelf.errors import MalformedError
from oneshelf.sdk.decoding import a_list, an_object
from oneshelf.sdk.fault import ChannelFault, RefusedError, RetryLaterError
from oneshelf.sdk.http import Reply
from oneshelf.sdk.message import Subscriptions

PATH = "/commerce/notification/v1"
# Orders and the end of our access are read. The deletion of accounts has a place of its own in the developer portal.
TOPICS = ("ORDER_CONFIRMATION", "ORDER_CANCELLATION_ACTIVITY", "AUTHORIZATION_REVOCATION")
PAGES_MAX = 20
_NAME = "oneshelf"


@dataclass(frozen=True, slots=True)
class _Topic:
    """`is_app`: it is subscribed to for the application, not for the seller."""

    id: str
    is_app: bool
    schema_version: str


async def keep(api: EbayApi, address: str) -> Subscriptions:
    """See `sdk.contract.Subscribes`."""
    await _configured(api)
    destination_id, has_changed = await _destination(api, address)
    offered = {topic.id: topic for topic in await _topics(api)}
    present: list[str] = []
    created: list[str] = []
    refused: dict[str, str] = {}
    mine: dict[bool, dict[str, Mapping[str, Any]]] = {}
    for name in TOPICS:
        topic = offered.get(name)
        if topic is None:
            # Which topics there are differs between keysets. Without the others orders are found by polling alone.
            if name == TOPICS[0]:
                refused[name] = "eBay does not offer it to this keyset: new orders are found by polling alone"
            continue
        try:
            if topic.is_app not in mine:
                mine[topic.is_app] = await _subscriptions(api, destination_id, is_app=topic.is_app)
            one = mine[topic.is_app].get(name)
            if one is not None and one.get("status") == "ENABLED":
                present.append(name)
                continue
            words = await (_create(api, topic, destination_id) if one is None else _enable(api, topic, one))
        except ChannelFault as fault:
            if not (created or has_changed):
                raise
            # What was done is told; the next look goes on from there.
            refused[name] = str(fault)
            break
        if words:
            refused[name] = words
        else:
            created.append(name)
    return Subscriptions(tuple(present), tuple(created), (), refused)


async def _configured(api: EbayApi) -> None:
    """Without an alert address eBay makes no destination. Raises RefusedError with the way out."""
    reply = await api.read("getConfig", "GET", f"{PATH}/config", budget=NOTIFICATION, is_app=True)
    if is_success(reply) and _email(reply):
        return
    if not is_success(reply) and reply.status != 404:
        refuse("getConfig", reply)
    if not api.account.alert_email:
        raise RefusedError("eBay wants an e-mail address to which it can write when deliveries fail: set alert_email")
    asked = {"alertEmail": api.account.alert_email}
    reply = await api.write("updateConfig", "PUT", f"{PATH}/config", budget=NOTIFICATION, is_app=True, json=asked)
    refuse("updateConfig", reply)


def _email(reply: Reply) -> object:
    try:
        return an_object(decoded(reply.body), "the configuration").get("alertEmail")
    except MalformedError:
        return None


async def _destination(api: EbayApi, address: str) -> tuple[str, bool]:
    """The id of the destination with this address, and whether it was made or enabled just now."""
    for one in await _all(api, "getDestinations", "destination", "destinations", is_app=True):
        config = one.get("deliveryConfig")
        if not isinstance(config, Mapping) or config.get("endpoint") != address:
            continue
        destination_id = text_in(one, "destinationId")
        if one.get("status") == "ENABLED":
            return destination_id, False
        path = f"{PATH}/destination/{destination_id}"
        asked = _asked(api.account, address)
        reply = await api.write("updateDestination", "PUT", path, budget=NOTIFICATION, is_app=True, json=asked)
        refuse("updateDestination", reply)
        return destination_id, True
    # eBay calls the address at once, with a challenge.
    asked = _asked(api.account, address)
    path = f"{PATH}/destination"
    reply = await api.write("createDestination", "POST", path, budget=NOTIFICATION, is_app=True, json=asked)
    if not is_success(reply):
        raise RefusedError(f"eBay does not take {address} as a destination: {error_words(reply.body)}")
    return _id_in(reply), True


def _asked(account: Account, address: str) -> dict[str, Any]:
    delivery = {"endpoint": address, "verificationToken": account.verification_token}
    return {"name": _NAME, "status": "ENABLED", "deliveryConfig": delivery}


def _id_in(reply: Reply) -> str:
    """The id of what was created: it is the end of the Location header."""
    made = reply.headers.get("location", "").rstrip("/").rpartition("/")[2]
    if not made:
        raise RetryLaterError("eBay does not say under which id it made a destination")
    return made


async def _topics(api: EbayApi) -> list[_Topic]:
    found = []
    for one in await _all(api, "getTopics", "topic", "topics", is_app=True):
        versions = [payload for payload in a_list(one.get("supportedPayloads") or [], "supportedPayloads")]
        usable = [an_object(payload, "a payload") for payload in versions]
        current = [payload for payload in usable if not payload.get("deprecated")] or usable
        if current:
            found.append(
                _Topic(
                    text_in(one, "topicId"), one.get("scope") == "APPLICATION", text_in(current[-1], "schemaVersion")
                )
            )
    return found


async def _subscriptions(api: EbayApi, destination_id: str, *, is_app: bool) -> dict[str, Mapping[str, Any]]:
    """Topic -> our subscription that sends to this destination. Those of others are left alone."""
    found = await _all(api, "getSubscriptions", "subscription", "subscriptions", is_app=is_app)
    return {text_in(one, "topicId"): one for one in found if one.get("destinationId") == destination_id}


async def _create(api: EbayApi, topic: _Topic, destination_id: str) -> str:
    """eBay's words where it refuses; empty: it is made."""
    payload = {"format": "JSON", "schemaVersion": topic.schema_version, "deliveryProtocol": "HTTPS"}
    asked = {"topicId": topic.id, "status": "ENABLED", "destinationId": destination_id, "payload": payload}
    path = f"{PATH}/subscription"
    reply = await api.write("createSubscription", "POST", path, budget=NOTIFICATION, is_app=topic.is_app, json=asked)
    return "" if is_success(reply) else error_words(reply.body)


async def _enable(api: EbayApi, topic: _Topic, one: Mapping[str, Any]) -> str:
    path = f"{PATH}/subscription/{text_in(one, 'subscriptionId')}/enable"
    reply = await api.write("enableSubscription", "POST", path, budget=NOTIFICATION, is_app=topic.is_app, json={})
    return "" if is_success(reply) else error_words(reply.body)


async def _all(api: EbayApi, operation: str, resource: str, name: str, *, is_app: bool) -> list[Mapping[str, Any]]:
    """All entries of a list, page by page. Raises RetryLaterError where it cannot be read."""
    params = {"limit": "100"}
    found: list[Mapping[str, Any]] = []
    for _page in range(PAGES_MAX):
        reply = await api.read(
            operation, "GET", f"{PATH}/{resource}", budget=NOTIFICATION, is_app=is_app, params=params
        )
        try:
            answer = document_of(operation, reply)
            found.extend(an_object(one, name) for one in a_list(answer.get(name) or [], name))
            following = answer.get("next")
        except MalformedError as problem:
            raise RetryLaterError(f"{operation}: {problem}") from None
        if not isinstance(following, str) or "continuation_token=" not in following:
            break
        params["continuation_token"] = following.partition("continuation_token=")[2].partition("&")[0]
    return found
