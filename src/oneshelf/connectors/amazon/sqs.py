"""A queue of Amazon SQS, read by its JSON protocol. One attempt per call.

Rule: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html and
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-json.html (checked
2026-11-26): a message that was received and not deleted is given out again after the queue's visibility timeout; a
standard queue gives out in any order, and now and then twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from oneshelf.clock import Clock
from oneshelf.connectors.amazon.queue_access import QueueAccess
from oneshelf.connectors.amazon.sigv4 import Signer, signed
from oneshelf.domain.charge import Charge
from oneshelf.errors import MalformedError
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.decoding import document_from
from oneshelf.sdk.fault import MisconfiguredError, RefusedError, RetryLaterError
from oneshelf.sdk.http import ChannelHttp, Reply

# A standard queue takes nearly any number of calls (SQS quotas, checked 2026-11-26): a brake, and no rule of AWS.
SQS_LIMIT = Limit("sqs", 10.0, 20)
BATCH_MAX = 10
# SQS holds a call for at most 20 s; ours have a deadline of 20 s, connection and answer included.
WAIT_S = 10
WORDS_LENGTH_MAX = 300


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message as it lies in the queue. `receipt`: what deletes it, as long as this receiving of it is the last."""

    message_id: str
    body: bytes
    receipt: str


class Sqs:
    """The queue of one account."""

    def __init__(self, access: QueueAccess, *, http: ChannelHttp, clock: Clock) -> None:
        self._access = access
        self._http = http
        self._clock = clock

    async def receive(self) -> tuple[QueueMessage, ...]:
        """Up to ten messages; waits some seconds where there is none. Raises a ChannelFault."""
        asked = {"MaxNumberOfMessages": BATCH_MAX, "WaitTimeSeconds": WAIT_S}
        answer = _answer(await self._call("ReceiveMessage", asked))
        found = answer.get("Messages") or []
        if not isinstance(found, list):
            raise MalformedError("ReceiveMessage: Messages is no list")
        return tuple(_message(one) for one in found)

    async def delete(self, receipts: Sequence[str]) -> None:
        """These messages need not come again. Raises a ChannelFault where one of them will."""
        for start in range(0, len(receipts), BATCH_MAX):
            entries = [
                {"Id": str(number), "ReceiptHandle": receipt}
                for number, receipt in enumerate(receipts[start : start + BATCH_MAX])
            ]
            answer = _answer(await self._call("DeleteMessageBatch", {"Entries": entries}))
            failed = answer.get("Failed")
            if failed:
                raise RetryLaterError(
                    f"DeleteMessageBatch: {len(failed)} of {len(entries)} failed: {str(failed)[:200]}"
                )

    async def message_count(self) -> int:
        """About how many messages wait. Raises a ChannelFault."""
        name = "ApproximateNumberOfMessages"
        answer = _answer(await self._call("GetQueueAttributes", {"AttributeNames": [name]}))
        told = answer.get("Attributes")
        count = told.get(name) if isinstance(told, Mapping) else None
        if not isinstance(count, str) or not count.isascii() or not count.isdigit():
            raise MalformedError(f"GetQueueAttributes: {name} is no number")
        return int(count)

    async def _call(self, action: str, asked: Mapping[str, object]) -> Reply:
        body = msgspec.json.encode({"QueueUrl": self._access.url, **asked})
        headers = signed(
            "POST",
            self._access.endpoint,
            {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AmazonSQS.{action}"},
            body,
            signer=Signer(self._access.keys, self._access.region, "sqs"),
            at=self._clock.now(),
        )
        reply = await self._http.read(
            action, "POST", self._access.endpoint, charge=Charge(SQS_LIMIT.operation), headers=headers, content=body
        )
        if reply.status != 200:
            _refuse(action, reply)
        return reply


def _refuse(action: str, reply: Reply) -> None:
    """Raise the fault in an error of SQS: `{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": ...}`."""
    words = f"{action}: {reply.status} {reply.words()}"
    try:
        told = document_from(reply.body, dict[str, Any], what="the error")
    except MalformedError:
        raise RefusedError(words) from None
    kind = str(told.get("__type", "")).rpartition("#")[2]
    if kind in {"ThrottlingException", "RequestThrottled", "OverLimit", "KmsThrottled"}:
        raise RetryLaterError(words, retry_after_s=5.0)
    if kind in {"QueueDoesNotExist", "InvalidAddress", "InvalidSecurity", "AccessDeniedException"}:
        raise MisconfiguredError(f"{words[:WORDS_LENGTH_MAX]}; see queue_url, and what the access key may do")
    raise RefusedError(words)


def _answer(reply: Reply) -> Mapping[str, Any]:
    answer = reply.document()
    if not isinstance(answer, Mapping):
        raise MalformedError("SQS answered something that is not an object")
    return answer


def _message(one: Any) -> QueueMessage:
    named = one if isinstance(one, Mapping) else {}
    message_id, body, receipt = named.get("MessageId"), named.get("Body"), named.get("ReceiptHandle")
    if not isinstance(message_id, str) or not isinstance(body, str) or not isinstance(receipt, str):
        raise MalformedError("ReceiveMessage: a message without id, body or receipt")
    return QueueMessage(message_id, body.encode("utf-8", "surrogatepass"), receipt)
