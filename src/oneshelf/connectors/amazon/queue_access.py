"""The queue into which Amazon puts its news for us, where a person has set one up. Without it orders are polled."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from oneshelf.connectors.amazon.sigv4 import AwsKeys
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.address import address_from
from oneshelf.sdk.contract import Setting

QUEUE_SETTINGS = (
    Setting(
        "queue_url",
        "The SQS queue of yours that Amazon's notifications go to; without it orders are polled alone",
        default="",
    ),
    Setting("queue_region", "The queue's AWS region; default: the one in its address", default=""),
)
QUEUE_SECRETS = (
    Setting(
        "queue_access_key_id",
        "The access key of an AWS user that may sqs:ReceiveMessage, sqs:DeleteMessage and sqs:GetQueueAttributes there",
        is_secret=True,
        default="",
    ),
    Setting("queue_secret_access_key", "The secret of that access key", is_secret=True, default=""),
)

_HOST = re.compile(r"sqs\.([a-z0-9-]+)\.amazonaws\.com")
_PATH = re.compile(r"/([0-9]{12})/([A-Za-z0-9_-]{1,80})")


@dataclass(frozen=True, slots=True)
class QueueAccess:
    """A queue, and the keys with which it is read."""

    url: str
    region: str
    keys: AwsKeys

    @property
    def endpoint(self) -> str:
        """Where the queue is asked: SQS takes its address in the body."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}/"

    @property
    def arn(self) -> str:
        """The queue's name, as the Notifications API wants it."""
        _, owner, name = urlsplit(self.url).path.split("/")
        return f"arn:aws:sqs:{self.region}:{owner}:{name}"


def queue_from(channel: str, public: dict[str, str], secret: dict[str, str]) -> QueueAccess | None:
    """The queue that a person configured; None where there is none. Raises ConfigurationError for half of one."""
    told = {name: text for name, text in {**public, **secret}.items() if name.startswith("queue_") and text}
    if not told:
        return None
    needed = ("queue_url", "queue_access_key_id", "queue_secret_access_key")
    missing = [name for name in needed if name not in told]
    if missing:
        raise ConfigurationError(
            f"channel {channel}: {' and '.join(missing)} must be set too, or no queue_ at all: then orders are polled"
        )
    url = address_from(told["queue_url"], what=f"channel {channel}: queue_url")
    parts = urlsplit(url)
    if _PATH.fullmatch(parts.path) is None:
        raise ConfigurationError(
            f"channel {channel}: queue_url must look like https://sqs.us-east-1.amazonaws.com/123456789012/my-queue"
        )
    in_host = _HOST.fullmatch(parts.hostname or "")
    region = told.get("queue_region") or (in_host.group(1) if in_host else "")
    if not region:
        raise ConfigurationError(f"channel {channel}: queue_region must be set, since {parts.netloc} does not tell it")
    keys = AwsKeys(told["queue_access_key_id"], told["queue_secret_access_key"])
    return QueueAccess(url=url, region=region, keys=keys)
