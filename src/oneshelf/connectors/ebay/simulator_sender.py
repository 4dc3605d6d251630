"""What the simulated eBay sends: notifications with a real signature, again where nobody took them, or wrong ones."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx2
import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from oneshelf.connectors.ebay.simulator_order_documents import instant
from oneshelf.sdk.simulated_sender import Caller

if TYPE_CHECKING:
    from oneshelf.connectors.ebay.simulator import EbaySimulator

# "Up to three attempts"; how far apart is not published. A destination that took nothing for a day is marked down
# (https://developer.ebay.com/marketplace-account-deletion, checked 2026-11-23).
ATTEMPTS = 3
_AGAIN_S = 300.0
_DAY_S = 86_400.0
_TIMEOUT = httpx2.Timeout(5.0, connect=2.0)
# How long a notification takes, and one that others overtake.
_SOONEST_S, _LATEST_S = 0.5, 8.0
_OVERTAKEN_S = 45.0
OTHER_USER_ID = "AnotherSellersId"


@dataclass(slots=True)
class Destination:
    """An address that eBay may send to. `marked_at`: since when it has taken nothing; None: the last was taken."""

    destination_id: str
    name: str
    endpoint: str
    token: str
    status: str
    marked_at: float | None = None

    def document(self) -> dict[str, object]:
        config = {"endpoint": self.endpoint, "verificationToken": self.token}
        return {
            "destinationId": self.destination_id,
            "name": self.name,
            "status": self.status,
            "deliveryConfig": config,
        }


@dataclass(slots=True)
class Subscription:
    """One topic to one destination."""

    subscription_id: str
    topic_id: str
    destination_id: str
    status: str
    created_at: datetime
    schema_version: str = "1.0"

    def document(self) -> dict[str, object]:
        payload = {"format": "JSON", "schemaVersion": self.schema_version, "deliveryProtocol": "HTTPS"}
        return {
            "subscriptionId": self.subscription_id,
            "topicId": self.topic_id,
            "destinationId": self.destination_id,
            "status": self.status,
            "creationDate": instant(self.created_at),
            "payload": payload,
        }


@dataclass(slots=True)
class Keys:
    """The keys with which eBay signs, the newest last: the same for all sellers, and each found by its id."""

    random: Random
    made: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)

    def renew(self) -> str:
        """From now on another key signs. The old ones can still be fetched."""
        key_id = str(UUID(int=self.random.getrandbits(128), version=4))
        self.made[key_id] = ec.derive_private_key(self.random.getrandbits(250) + 1, ec.SECP256R1())
        return key_id

    def document(self, key_id: str) -> dict[str, str] | None:
        """What getPublicKey answers: a PEM without line breaks. None: there is no such key."""
        key = self.made.get(key_id)
        if key is None:
            return None
        pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return {"algorithm": "ECDSA", "digest": "SHA1", "key": pem.decode().replace("\n", "")}

    def signature(self, body: bytes) -> str:
        """The header `x-ebay-signature` of these bytes. Of the same bytes always the same."""
        key_id, key = next(reversed(self.made.items()))
        signed = key.sign(body, ec.ECDSA(hashes.SHA1(), deterministic_signing=True))  # noqa: S303  # as eBay signs
        signature = base64.b64encode(signed).decode()
        parts = {"alg": "ecdsa", "kid": key_id, "signature": signature, "digest": "SHA1"}
        return base64.b64encode(msgspec.json.encode(parts)).decode()


@dataclass(slots=True)
class _Parcel:
    """One notification to one destination."""

    destination: Destination
    topic_id: str
    notification_id: str
    event_at: datetime
    told: Mapping[str, object]
    is_tampered: bool = False


class Sender(Caller):
    """Sends to whoever has subscribed. `destinations`, `subscriptions`: by their ids."""

    def __init__(self, simulator: EbaySimulator, client: httpx2.AsyncClient | None) -> None:
        super().__init__(client)
        self._simulator = simulator
        # Keys of its own in every run that is the same: they sign nothing but what the simulator says.
        self._random = Random(f"ebay:{simulator.seed}:sender")  # noqa: S311  # a seed's chance
        self.keys = Keys(self._random)
        self.keys.renew()
        self.destinations: dict[str, Destination] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.delivered = 0
        self.failed = 0

    def new_id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def tell(self, topic_id: str, told: Mapping[str, object]) -> None:
        """Send this to everybody who subscribed to the topic, once, twice, late or not at all."""
        for subscription in list(self.subscriptions.values()):
            destination = self.destinations.get(subscription.destination_id)
            is_on = subscription.topic_id == topic_id and subscription.status == "ENABLED"
            if is_on and destination is not None:
                self.send(topic_id, destination, told)

    def send(self, topic_id: str, destination: Destination, told: Mapping[str, object]) -> None:
        """Send one notification to one destination, as the switches say."""
        strikes = self._simulator.switches.strikes
        notification_id = f"{self.new_id()}_{self.new_id()}"
        parcel = _Parcel(destination, topic_id, notification_id, self._simulator.channel_now(), told)
        delay_s = self._random.uniform(_SOONEST_S, _LATEST_S)
        if strikes("webhook_lost"):
            return
        if strikes("webhook_reorder"):
            delay_s += _OVERTAKEN_S
        self._after(delay_s, parcel, attempt=1)
        if strikes("webhook_duplicate"):
            self._after(delay_s + self._random.uniform(0.0, _LATEST_S), parcel, attempt=1)
        if strikes("webhook_wrong_seller"):
            # One key signs for all sellers: of somebody else's order it is as true as of ours.
            foreign = _Parcel(destination, topic_id, self.new_id(), parcel.event_at, _of_another(told))
            self._after(delay_s, foreign, attempt=1)
        if strikes("webhook_tampered"):
            forged = _Parcel(destination, topic_id, self.new_id(), parcel.event_at, told, is_tampered=True)
            self._after(delay_s, forged, attempt=1)

    def _after(self, seconds: float, parcel: _Parcel, *, attempt: int) -> None:
        async def deliver() -> None:
            destination = parcel.destination
            if destination.status != "ENABLED" or destination.destination_id not in self.destinations:
                return
            if await self._is_taken(parcel, attempt):
                self.delivered += 1
                destination.marked_at = None
                return
            now = self._simulator.clock.monotonic()
            destination.marked_at = now if destination.marked_at is None else destination.marked_at
            if now - destination.marked_at >= _DAY_S / self._simulator.speed:
                destination.status = "MARKED_DOWN"
            if attempt < ATTEMPTS and not parcel.is_tampered:
                self._after(_AGAIN_S * attempt, parcel, attempt=attempt + 1)
                return
            self.failed += 1

        self._simulator.after(seconds, deliver)

    async def _is_taken(self, parcel: _Parcel, attempt: int) -> bool:
        notification = {
            "notificationId": parcel.notification_id,
            "eventDate": instant(parcel.event_at),
            "publishDate": instant(self._simulator.channel_now()),
            "publishAttemptCount": attempt,
            "data": parcel.told,
        }
        metadata = {"topic": parcel.topic_id, "schemaVersion": "1.0", "deprecated": False}
        body = msgspec.json.encode({"metadata": metadata, "notification": notification})
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "eBayNotificationService/1.0",
            "X-EBAY-SIGNATURE": self.keys.signature(body),
        }
        if parcel.is_tampered:
            body = body.replace(b'"schemaVersion":"1.0"', b'"schemaVersion":"1.1"')
        try:
            reply = await self.client().post(
                parcel.destination.endpoint, content=body, headers=headers, timeout=_TIMEOUT
            )
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return False
        return reply.is_success

    async def is_challenged(self, endpoint: str, token: str) -> bool:
        """Whether whoever answers at the address knows the token.

        https://developer.ebay.com/marketplace-account-deletion (checked 2026-11-23): the hash is of code, token and
        address, in this order.
        """
        code = f"{self._random.getrandbits(128):032x}"
        try:
            reply = await self.client().get(endpoint, params={"challenge_code": code}, timeout=_TIMEOUT)
            told: Any = msgspec.json.decode(reply.content)
        except (httpx2.HTTPError, httpx2.InvalidURL, msgspec.DecodeError):
            return False
        is_json = reply.headers.get("content-type", "").startswith("application/json")
        expected = hashlib.sha256(f"{code}{token}{endpoint}".encode()).hexdigest()
        is_answered = isinstance(told, dict) and told.get("challengeResponse") == expected
        return reply.status_code == 200 and is_json and is_answered


def _of_another(told: Mapping[str, object]) -> dict[str, object]:
    user = told.get("user")
    if isinstance(user, Mapping):
        return {**told, "user": {**user, "userId": OTHER_USER_ID}}
    return {**told, "userId": OTHER_USER_ID}
