"""A fake SQS on the simulated Amazon's address: one standard queue, its JSON protocol, its signatures checked.

Rule: API_ReceiveMessage, API_DeleteMessageBatch and "visibility timeout" of the SQS documentation (checked 2026-11-26).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import md5
from hmac import compare_digest
from random import Random
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oneshelf.clock import Clock
from oneshelf.connectors.amazon.sigv4 import ALGORITHM, AwsKeys, Signer, signature

REGION = "us-east-1"
QUEUE_PATH = "/123456789012/oneshelf"
QUEUE_ARN = f"arn:aws:sqs:{REGION}:123456789012:oneshelf"
# They open nothing but the simulator.
SIMULATED_KEYS = AwsKeys("AKIASIMULATED0000000", "simulated-secret-access-key")
BATCH_MAX, WAIT_S_MAX = 10, 20
VISIBILITY_S = 30.0
SKEW_S_MAX = 900.0
_LOOK_AGAIN_S = 0.5
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=(?P<id>[^/]+)/(?P<scope>\d{{8}}/[^/]+/[^/]+/aws4_request), "
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), Signature=(?P<proof>[0-9a-f]{64})"
)


@dataclass(slots=True)
class _Message:
    message_id: str
    body: str
    visible_at: float
    receipt: str = ""
    received_count: int = 0


class RefusedCallError(Exception):
    """SQS refuses the call: a status, the type of the error, and words."""

    def __init__(self, status: int, kind: str, words: str) -> None:
        super().__init__(words)
        self.status, self.kind = status, kind


class Queue:
    """What lies in the queue. `shuffle` draws what a standard queue leaves open: the order."""

    def __init__(self, *, clock: Clock, now: Callable[[], datetime], shuffle: Random, speed: float) -> None:
        self._clock = clock
        self._now = now
        self._shuffle = shuffle
        self._speed = speed
        self._messages: list[_Message] = []
        self.sent_count = 0
        self.received_count = 0
        # Another key than ours may be refused a right: the actions that are.
        self.denied: set[str] = set()
        # What every call is answered with.
        self.refusal: RefusedCallError | None = None

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def visible_count(self) -> int:
        """How many messages somebody would be given now."""
        return len(self._visible())

    def send(self, body: Mapping[str, Any]) -> None:
        """Put a message into the queue."""
        self.sent_count += 1
        message_id = f"{self._shuffle.getrandbits(128):032x}"
        self._messages.append(_Message(message_id, msgspec.json.encode(body).decode(), self._clock.monotonic()))

    def send_raw(self, text: str) -> None:
        """Put a text into the queue that no notification is, as anybody with the right to send may."""
        self.sent_count += 1
        message_id = f"{self._shuffle.getrandbits(128):032x}"
        self._messages.append(_Message(message_id, text, self._clock.monotonic()))

    async def respond(self, request: Request) -> Response:
        """Answer one call."""
        body = await request.body()
        try:
            return _answer(200, await self._acted(request, body))
        except RefusedCallError as refusal:
            document = {"__type": f"com.amazonaws.sqs#{refusal.kind}", "message": str(refusal)}
            return _answer(refusal.status, document)
        except msgspec.DecodeError:
            return _answer(400, {"__type": "com.amazon.coral.service#SerializationException"})

    async def _acted(self, request: Request, body: bytes) -> dict[str, Any]:
        action = request.headers.get("x-amz-target", "").removeprefix("AmazonSQS.")
        if self.refusal is not None:
            raise self.refusal
        self._admit(request, body, action)
        asked = msgspec.json.decode(body, type=dict[str, Any])
        if str(asked.get("QueueUrl", "")).rpartition(request.url.netloc)[2] != QUEUE_PATH:
            raise RefusedCallError(400, "QueueDoesNotExist", "The specified queue does not exist.")
        actions: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "ReceiveMessage": self._receive,
            "DeleteMessageBatch": self._delete,
            "GetQueueAttributes": self._attributes,
        }
        if action not in actions:
            raise RefusedCallError(400, "InvalidAction", f"the action {action} is not one of SQS")
        return await actions[action](asked)

    def _admit(self, request: Request, body: bytes, action: str) -> None:
        """Whoever signed holds the keys, and signed just now."""
        told = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if told is None:
            raise RefusedCallError(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
        if told["id"] != SIMULATED_KEYS.access_key_id:
            words = "The security token included in the request is invalid."
            raise RefusedCallError(403, "InvalidClientTokenId", words)
        try:
            at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except (KeyError, ValueError):
            raise RefusedCallError(400, "IncompleteSignature", "X-Amz-Date is missing or wrong") from None
        if abs(at - self._now()) > timedelta(seconds=SKEW_S_MAX):
            raise RefusedCallError(403, "SignatureDoesNotMatch", f"Signature expired: {at:%Y%m%dT%H%M%SZ}")
        signer, names = Signer(SIMULATED_KEYS, REGION, "sqs"), told["names"].split(";")
        headers = {name: request.headers.get(name, "") for name in names}
        proof = signature(request.method, str(request.url), headers, body, signer=signer, at=at)
        is_whole = {"host", "x-amz-date", "x-amz-target"} <= headers.keys()
        if not is_whole or told["scope"] != signer.scope(at) or not compare_digest(proof, told["proof"]):
            words = "The request signature we calculated does not match the signature you provided."
            raise RefusedCallError(403, "SignatureDoesNotMatch", words)
        if action in self.denied:
            raise RefusedCallError(403, "AccessDeniedException", f"not authorized to perform: sqs:{action}")

    async def _receive(self, asked: dict[str, Any]) -> dict[str, Any]:
        most, wait_s = asked.get("MaxNumberOfMessages", 1), asked.get("WaitTimeSeconds", 0)
        if not 1 <= most <= BATCH_MAX or not 0 <= wait_s <= WAIT_S_MAX:
            raise RefusedCallError(400, "InvalidParameterValue", "MaxNumberOfMessages or WaitTimeSeconds")
        give_up_at = self._clock.monotonic() + wait_s / self._speed
        while not (visible := self._visible()) and (left_s := give_up_at - self._clock.monotonic()) > 0:
            await self._clock.sleep(min(_LOOK_AGAIN_S, left_s))
        self._shuffle.shuffle(visible)
        hidden_s = float(asked.get("VisibilityTimeout", VISIBILITY_S)) / self._speed
        found = []
        for message in visible[:most]:
            message.visible_at = self._clock.monotonic() + hidden_s
            message.received_count += 1
            message.receipt = f"{message.message_id}#{message.received_count}"
            self.received_count += 1
            digest = md5(message.body.encode(), usedforsecurity=False).hexdigest()
            found.append(
                {
                    "MessageId": message.message_id,
                    "ReceiptHandle": message.receipt,
                    "MD5OfBody": digest,
                    "Body": message.body,
                }
            )
        return {"Messages": found} if found else {}

    def _visible(self) -> list[_Message]:
        now = self._clock.monotonic()
        return [message for message in self._messages if message.visible_at <= now]

    async def _delete(self, asked: dict[str, Any]) -> dict[str, Any]:
        entries = asked.get("Entries")
        if not isinstance(entries, list) or not 1 <= len(entries) <= BATCH_MAX:
            raise RefusedCallError(400, "TooManyEntriesInBatchRequest", "a batch has from one to ten entries")
        if len({entry["Id"] for entry in entries}) != len(entries):
            raise RefusedCallError(400, "BatchEntryIdsNotDistinct", "Id is not distinct")
        # An old receipt of a message that was received again since: SQS says yes, and the message may come again.
        receipts = {entry["ReceiptHandle"] for entry in entries}
        self._messages = [message for message in self._messages if message.receipt not in receipts]
        return {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}

    async def _attributes(self, _asked: dict[str, Any]) -> dict[str, Any]:
        return {"Attributes": {"ApproximateNumberOfMessages": str(len(self._visible()))}}


def _answer(status: int, document: Mapping[str, Any]) -> Response:
    return JSONResponse(document, status_code=status, media_type="application/x-amz-json-1.0")
