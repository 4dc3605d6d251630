"""`POST /webhooks/{channel}`: where channels tell us things.

Nothing is believed before the signature over the raw bytes is checked, and nothing is acknowledged before it is
stored. An authentic delivery that cannot be read is acknowledged all the same: an error would make the channel stop
sending, and it is parked with a reason when it is read.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.identity import Channel
from oneshelf.flow.receive import receive_webhook
from oneshelf.sdk.fault import SignatureError
from oneshelf.sdk.message import Request as Webhook
from oneshelf.web.bodies import WEBHOOK_BYTES_MAX, read_capped
from oneshelf.web.engine import engine_of
from oneshelf.web.metrics import WEBHOOKS_REFUSED
from oneshelf.web.problems import ProblemError


async def receive(request: Request) -> Response:
    """200 once the delivery is stored, also when it was stored before; 401 and nothing else without a signature."""
    engine = engine_of(request)
    channel = engine.channels.get(Channel(request.path_params["channel"]))
    if channel is None:
        raise ProblemError(404, "no such channel")
    body = await read_capped(request, bytes_max=WEBHOOK_BYTES_MAX)
    # Of a header that comes twice the first one counts, as in the signature check of every channel.
    headers = {name: request.headers[name] for name in request.headers}
    try:
        is_new = await receive_webhook(engine.database, channel, Webhook(headers=headers, body=body))
    except SignatureError:
        WEBHOOKS_REFUSED.labels(channel=channel.name).inc()
        return Response(status_code=401)
    if is_new:
        engine.wake(["interpret"])
    return Response(status_code=200)


ROUTES = [Route("/webhooks/{channel}", receive, methods=["POST"])]
