"""The Notification API of the simulated eBay: where to send what, in the order in which eBay wants it set up.

https://developer.ebay.com/api-docs/commerce/notification/overview.html (contract v1.5.1, topics of v1.6.7, checked
2026-11-23): first the configuration, then a destination, which is challenged at once, then subscriptions.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from oneshelf.connectors.ebay import simulator_asked as asked
from oneshelf.connectors.ebay.simulator_asked import WrongError
from oneshelf.connectors.ebay.simulator_books import Books
from oneshelf.connectors.ebay.simulator_gate import APIS, NOTIFICATIONS, ORDERS, PUBLIC, EbayError, Gate
from oneshelf.connectors.ebay.simulator_sender import Destination, Sender, Subscription
from oneshelf.sdk.address import is_loopback

PATH = "/commerce/notification/v1"
NAME_LENGTH_MAX = 64
_API = APIS["notification"]
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,80}")
_PAGE = {"least": 10, "most": 100, "default": 20}

Act = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `is_user`: it is about a seller, and needs that seller's token; otherwise the application's."""

    topic_id: str
    description: str
    is_user: bool
    scope: str

    def document(self) -> dict[str, object]:
        payload = {"format": ["JSON"], "schemaVersion": "1.0", "deliveryProtocol": "HTTPS", "deprecated": False}
        return {
            "topicId": self.topic_id,
            "description": self.description,
            "scope": "USER" if self.is_user else "APPLICATION",
            "authorizationScopes": [self.scope],
            "context": "SELL" if self.is_user else "COMMERCE",
            "status": "ENABLED",
            "supportedPayloads": [payload],
        }


ORDER_CONFIRMATION = "ORDER_CONFIRMATION"
ACCOUNT_DELETION = "MARKETPLACE_ACCOUNT_DELETION"
REVOCATION = "AUTHORIZATION_REVOCATION"
TOPICS = {
    one.topic_id: one
    for one in (
        Topic(ORDER_CONFIRMATION, "A buyer has completed the checkout.", is_user=True, scope=ORDERS),
        Topic(ACCOUNT_DELETION, "A user's account is deleted.", is_user=False, scope=PUBLIC),
        Topic(REVOCATION, "A user withdraws the consent.", is_user=False, scope=PUBLIC),
    )
}


def refused(error_id: int, message: str, *, status: int = 400) -> EbayError:
    return EbayError(status, error_id, "API_NOTIFICATION", message)


def is_sendable(endpoint: str) -> bool:
    """eBay sends to https only. Only this machine may be told without encryption."""
    try:
        url = urlsplit(endpoint)
    except ValueError:
        return False
    return bool(url.hostname) and (url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname or "")))


class NotificationApi:
    """The routes, over what the sender sends by."""

    def __init__(self, books: Books, gate: Gate, sender: Sender) -> None:
        self._books = books
        self._gate = gate
        self._sender = sender
        self.alert_email = ""

    def routes(self) -> Sequence[BaseRoute]:
        one, of_subscription = "/destination/{one_id}", "/subscription/{one_id}"
        both = (PUBLIC, NOTIFICATIONS)
        table: tuple[tuple[str, str, Act, Sequence[str]], ...] = (
            ("GET", "/config", self._config, (PUBLIC,)),
            ("PUT", "/config", self._set_config, (PUBLIC,)),
            ("GET", "/public_key/{one_id}", self._public_key, (PUBLIC,)),
            ("GET", "/topic", self._topics, (PUBLIC,)),
            ("GET", "/topic/{one_id}", self._topic, (PUBLIC,)),
            ("GET", "/destination", self._destinations, (PUBLIC,)),
            ("POST", "/destination", self._create_destination, (PUBLIC,)),
            ("GET", one, self._destination, (PUBLIC,)),
            ("PUT", one, self._update_destination, (PUBLIC,)),
            ("DELETE", one, self._delete_destination, (PUBLIC,)),
            ("GET", "/subscription", self._subscriptions, both),
            ("POST", "/subscription", self._create_subscription, both),
            ("GET", of_subscription, self._subscription, both),
            ("PUT", of_subscription, self._update_subscription, both),
            ("DELETE", of_subscription, self._delete_subscription, both),
            ("POST", of_subscription + "/{act}", self._act, both),
        )
        return [
            Route(PATH + path, self._operation(act, scopes), methods=[method]) for method, path, act, scopes in table
        ]

    def _operation(self, act: Act, scopes: Sequence[str]) -> Act:
        async def respond(request: Request) -> Response:
            refusal = self._gate.admit(request, _API, scopes)
            if refusal is not None:
                return refusal
            try:
                return await act(request)
            except WrongError as problem:
                number = 195004 if problem.name == "limit" else 195005
                return refused(number, f"Invalid {problem.name}. {problem}").response()
            except EbayError as problem:
                return problem.response()

        return respond

    # Configuration, keys and topics ------------------------------------------------------------------------------

    async def _config(self, _request: Request) -> Response:
        if not self.alert_email:
            raise refused(195026, "Configuration Not Found.", status=404)
        return JSONResponse({"alertEmail": self.alert_email})

    async def _set_config(self, request: Request) -> Response:
        email = asked.body_of(await request.body()).get("alertEmail")
        if not isinstance(email, str) or "@" not in email:
            raise refused(195025, "Invalid or missing email.")
        self.alert_email = email
        return Response(status_code=204)

    async def _public_key(self, request: Request) -> Response:
        document = self._sender.keys.document(request.path_params["one_id"])
        if document is None:
            raise refused(195001, "The specified key id is invalid.", status=404)
        return JSONResponse(document)

    async def _topics(self, request: Request) -> Response:
        return self._page(request, "topics", [topic.document() for topic in TOPICS.values()])

    async def _topic(self, request: Request) -> Response:
        topic = TOPICS.get(request.path_params["one_id"])
        if topic is None:
            raise refused(195002, "Invalid or missing topic id.", status=404)
        return JSONResponse(topic.document())

    def _page(self, request: Request, name: str, documents: Sequence[Mapping[str, object]]) -> Response:
        limit = asked.whole(request, "limit", **_PAGE)
        text = request.query_params.get("continuation_token", "0")
        if not text.isdigit():
            raise WrongError("continuation_token", "it is none")
        start = int(text)
        here = f"{PATH}/{request.url.path.rpartition('/')[2]}?limit={limit}"
        answer: dict[str, object] = {"total": len(documents), "href": here, "limit": limit}
        if start + limit < len(documents):
            answer["next"] = f"{here}&continuation_token={start + limit}"
        return JSONResponse({**answer, name: documents[start : start + limit]})

    # Destinations ------------------------------------------------------------------------------------------------

    async def _destinations(self, request: Request) -> Response:
        return self._page(request, "destinations", [one.document() for one in self._sender.destinations.values()])

    def _destination_of(self, request: Request) -> Destination:
        found = self._sender.destinations.get(request.path_params["one_id"])
        if found is None:
            raise refused(195022, "Invalid or missing destination id.", status=404)
        return found

    async def _destination(self, request: Request) -> Response:
        return JSONResponse(self._destination_of(request).document())

    async def _create_destination(self, request: Request) -> Response:
        wanted = await self._wanted_destination(request)
        self._sender.destinations[wanted.destination_id] = wanted
        return _created("destination", wanted.destination_id)

    async def _update_destination(self, request: Request) -> Response:
        old = self._destination_of(request)
        wanted = await self._wanted_destination(request, old=old)
        self._sender.destinations[old.destination_id] = wanted
        return Response(status_code=204)

    async def _wanted_destination(self, request: Request, *, old: Destination | None = None) -> Destination:
        document = asked.body_of(await request.body())
        config = document.get("deliveryConfig") or {}
        name, endpoint, token = document.get("name"), config.get("endpoint"), config.get("verificationToken")
        if not self.alert_email:
            raise refused(195003, "Please provide configurations required for notifications.", status=409)
        if not isinstance(name, str) or not 1 <= len(name) <= NAME_LENGTH_MAX or "<" in name:
            raise refused(195016, "Invalid name. Markups or lengths greater than 64 not supported")
        if not isinstance(endpoint, str) or not is_sendable(endpoint):
            raise refused(195017, "Invalid or missing endpoint.")
        if document.get("status") not in {"ENABLED", "DISABLED"}:
            raise refused(195018, "Invalid or missing destination status. Supported values:[ENABLED,DISABLED]")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise refused(195019, "Invalid or missing verification token for this endpoint.")
        others = (one for one in self._sender.destinations.values() if one is not old)
        if any(one.endpoint == endpoint for one in others):
            raise refused(195021, "Destination exists for this endpoint", status=409)
        if not await self._sender.is_challenged(endpoint, token):
            raise refused(195020, "Challenge verification failed for requested endpoint", status=409)
        destination_id = old.destination_id if old else self._sender.new_id()
        return Destination(destination_id, name, endpoint, token, str(document["status"]))

    async def _delete_destination(self, request: Request) -> Response:
        destination = self._destination_of(request)
        used = {one.destination_id for one in self._sender.subscriptions.values()}
        if destination.destination_id in used:
            raise refused(195024, "Destination is in use and cannot be deleted.", status=409)
        del self._sender.destinations[destination.destination_id]
        return Response(status_code=204)

    # Subscriptions -----------------------------------------------------------------------------------------------

    async def _subscriptions(self, request: Request) -> Response:
        return self._page(request, "subscriptions", [one.document() for one in self._sender.subscriptions.values()])

    def _subscription_of(self, request: Request) -> Subscription:
        found = self._sender.subscriptions.get(request.path_params["one_id"])
        if found is None:
            raise refused(195013, "The subscription id does not exist.", status=404)
        return found

    async def _subscription(self, request: Request) -> Response:
        return JSONResponse(self._subscription_of(request).document())

    async def _create_subscription(self, request: Request) -> Response:
        document = asked.body_of(await request.body())
        topic = TOPICS.get(str(document.get("topicId")))
        if topic is None:
            raise refused(195027, "Invalid or missing topic id.")
        if topic.is_user is not self._gate.is_user(request):
            raise refused(195011, "Not authorized for this topic.", status=403)
        self._check(document)
        same = (one for one in self._sender.subscriptions.values() if one.topic_id == topic.topic_id)
        if any(one.destination_id == document["destinationId"] for one in same):
            raise refused(195012, "Subscription already exists", status=409)
        return _created(
            "subscription", self.subscribe(topic.topic_id, str(document["destinationId"]), document["status"])
        )

    def subscribe(self, topic_id: str, destination_id: str, status: str = "ENABLED") -> str:
        """The id of a new subscription."""
        one = Subscription(self._sender.new_id(), topic_id, destination_id, status, self._books.stamp())
        self._sender.subscriptions[one.subscription_id] = one
        return one.subscription_id

    def _check(self, document: Mapping[str, Any]) -> None:
        """Raises EbayError for what the contract does not allow in a subscription."""
        payload = document.get("payload") or {}
        destination = self._sender.destinations.get(str(document.get("destinationId")))
        if document.get("status") not in {"ENABLED", "DISABLED"}:
            raise refused(195006, "Invalid or missing subscription status.")
        if destination is None:
            raise refused(195007, "Invalid or missing destination id.")
        if payload.get("schemaVersion") != "1.0":
            raise refused(195008, "Invalid or missing schema version. Please refer to /topic/{topic_id}.")
        if payload.get("format") != "JSON":
            raise refused(195009, "Specified format is not supported for the topic.")
        if payload.get("deliveryProtocol") != "HTTPS":
            raise refused(195010, "Invalid or missing protocol")
        if document["status"] == "ENABLED" and destination.status != "ENABLED":
            words = "The subscription cannot be enabled since the destination is not enabled."
            raise refused(195015, words, status=409)

    async def _update_subscription(self, request: Request) -> Response:
        one = self._subscription_of(request)
        document = asked.body_of(await request.body())
        self._check(document)
        one.status, one.destination_id = str(document["status"]), str(document["destinationId"])
        return Response(status_code=204)

    async def _delete_subscription(self, request: Request) -> Response:
        del self._sender.subscriptions[self._subscription_of(request).subscription_id]
        return Response(status_code=204)

    async def _act(self, request: Request) -> Response:
        one = self._subscription_of(request)
        destination = self._sender.destinations[one.destination_id]
        act = request.path_params["act"]
        if act == "disable":
            one.status = "DISABLED"
        elif act == "enable" and destination.status != "ENABLED":
            words = "The subscription cannot be enabled since the destination is not enabled."
            raise refused(195015, words, status=409)
        elif act == "enable":
            one.status = "ENABLED"
        elif act == "test":
            self._sender.send(one.topic_id, destination, {"username": "test_user", "userId": "TestUserId1"})
            return Response(status_code=202)
        else:
            return Response(status_code=404)
        return Response(status_code=204)


def _created(name: str, one_id: str) -> Response:
    return JSONResponse({}, status_code=201, headers={"Location": f"{PATH}/{name}/{one_id}"})
