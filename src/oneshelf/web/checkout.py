"""`/checkout/{channel}`: where a channel asks, before a buyer pays, whether the units are there.

It has a user name and a password of its own. Where the channel has none this address is not there.
"""

from __future__ import annotations

import asyncio
import math
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from oneshelf.domain.identity import Channel
from oneshelf.errors import DatabaseUnavailableError, MalformedError
from oneshelf.flow.vouch import vouch
from oneshelf.sdk.contract import AnswersCheckout
from oneshelf.storage import access_limits
from oneshelf.storage.access_limits import Bucket
from oneshelf.web.bodies import read_json
from oneshelf.web.engine import Engine, engine_of
from oneshelf.web.metrics import CHECKOUT_ANSWERS, CHECKOUT_REFUSED, CHECKOUT_SECONDS
from oneshelf.web.problems import ProblemError, UnreadableError, problem

BYTES_MAX = 64 * 1024
# eBay waits for 500 ms, the way there and back included.
ANSWER_S_MAX = 0.4
# Wrong passwords from one address, for each channel. The right one is never kept waiting for them.
TRIES, TRIES_IN_S = 20, 15 * 60


async def ask(request: Request) -> Response:
    """How many can be sold now, in the channel's words. Not there: 404; who does not show the password: 401, 429.

    400 for what is no question. 503 where the database does not answer in time: what follows is the channel's affair.
    """
    engine, name = engine_of(request), Channel(request.path_params["channel"])
    channel = engine.channels.get(name)
    connector = channel.connector if channel is not None else None
    may_ask = None
    if isinstance(connector, AnswersCheckout):
        may_ask = connector.lets_ask(request.headers.get("authorization", ""))
    if not isinstance(connector, AnswersCheckout) or may_ask is None:
        raise ProblemError(404, "no channel asks here")
    if not may_ask:
        CHECKOUT_REFUSED.labels(channel=name, why="password").inc()
        return await _turned_away(engine, name, request.client.host if request.client else "")
    begun = engine.clock.monotonic()
    try:
        document = await read_json(request, bytes_max=BYTES_MAX)
        questions = connector.checkout_questions(document)
    except (ProblemError, MalformedError) as wrong:
        CHECKOUT_REFUSED.labels(channel=name, why="body").inc()
        if isinstance(wrong, MalformedError):
            raise UnreadableError(str(wrong)) from None
        raise
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            vouched = await vouch(engine.database, name, questions)
    except (DatabaseUnavailableError, TimeoutError):
        CHECKOUT_REFUSED.labels(channel=name, why="late").inc()
        raise DatabaseUnavailableError(f"the database did not answer within {ANSWER_S_MAX:g} s") from None
    for answer in vouched.answers:
        CHECKOUT_ANSWERS.labels(channel=name, answer=answer.outcome.value).inc()
    told = JSONResponse(connector.checkout_answer(document, vouched.answers, at=vouched.at))
    CHECKOUT_SECONDS.labels(channel=name).observe(engine.clock.monotonic() - begun)
    return told


async def _turned_away(engine: Engine, channel: Channel, address: str) -> Response:
    bucket = Bucket(f"checkout/{channel}/{address}", TRIES / TRIES_IN_S, TRIES)
    async with engine.database.transaction() as tx:
        wait_s = await access_limits.take(tx, bucket)
    if wait_s:
        raise ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"too many wrong passwords came from here; the next one is looked at in {math.ceil(wait_s)} s",
            kind="too-many-requests",
            headers={"Retry-After": str(math.ceil(wait_s))},
        )
    return problem(
        HTTPStatus.UNAUTHORIZED,
        "send checkout_user and checkout_password of this channel as HTTP Basic",
        headers={"WWW-Authenticate": 'Basic realm="checkout", charset="UTF-8"'},
    )


ROUTES = [Route("/checkout/{channel}", ask, methods=["POST"])]
