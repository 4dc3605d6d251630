"""`/webhooks/{channel}`: where channels tell us things (POST), and first ask whether the address is ours (GET).

Nothing is believed before the signature over the raw bytes is checked, and nothing is acknowledged before it is
stored. An authentic delivery that cannot be read is acknowledged all the same: an error would make the channel stop
sending, and it is parked with a reason when it is read.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.identity import Channel
from oneshelf.flow.channel import CHANNEL_FAILURES, OpenChannel, webhook_address
from oneshelf.flow.receive import receive_webhook
from oneshelf.sdk.contract import AnswersChallenge, LearnsKeys
from oneshelf.sdk.fault import SignatureError
from oneshelf.sdk.message import Request as Webhook
from oneshelf.telemetry import get_logger
from oneshelf.web.bodies import WEBHOOK_BYTES_MAX, read_capped
from oneshelf.web.engine import engine_of
from oneshelf.web.metrics import WEBHOOKS_REFUSED
from oneshelf.web.problems import ProblemError

log = get_logger(__name__)


async def receive(request: Request) -> Response:
    """200 once the delivery is stored, also when it was stored before; 401 and nothing else without a signature.

    412 where the channel's key for the signature cannot be had now: it sends the delivery again.
    """
    engine = engine_of(request)
    channel = _channel(request)
    body = await read_capped(request, bytes_max=WEBHOOK_BYTES_MAX)
    # Of a header that comes twice the first one counts, as in the signature check of every channel.
    headers = {name: request.headers[name] for name in request.headers}
    webhook = Webhook(headers=headers, body=body)
    try:
        if isinstance(channel.connector, LearnsKeys):
            await channel.connector.learn_key(webhook)
        is_new = await receive_webhook(engine.database, channel, webhook)
    except SignatureError:
        WEBHOOKS_REFUSED.labels(channel=channel.name).inc()
        return Response(status_code=401)
    except CHANNEL_FAILURES as fault:
        log.warning("webhook.key_unknown", channel=channel.name, fault=type(fault).__name__)
        return Response(status_code=412)
    if is_new:
        engine.wake(["interpret", "order"])
    return Response(status_code=200)


async def answer(request: Request) -> Response:
    """What the channel wants to hear before it sends anything here; 404 where it asks nothing that we know."""
    engine, channel = engine_of(request), _channel(request)
    if isinstance(channel.connector, AnswersChallenge):
        # As it was registered: behind a proxy the request itself shows another one.
        own = (
            webhook_address(engine.public_url, channel.name)
            if engine.public_url
            else str(request.url.replace(query=""))
        )
        said = channel.connector.answer_challenge(request.query_params, address=own)
        if said is not None:
            return Response(said, media_type="application/json")
    raise ProblemError(404, "deliveries are sent here with POST; there is nothing to read")


def _channel(request: Request) -> OpenChannel:
    channel = engine_of(request).channels.get(Channel(request.path_params["channel"]))
    if channel is None:
        raise ProblemError(404, "no such channel")
    return channel


ROUTES = [
    Route("/webhooks/{channel}", receive, methods=["POST"]),
    Route("/webhooks/{channel}", answer, methods=["GET"]),
]
