"""What the routes need of the engine, and how they reach it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from oneshelf.clock import Clock
from oneshelf.domain.command import Command
from oneshelf.domain.identity import Channel
from oneshelf.flow.channel import OpenChannel
from oneshelf.flow.outgoing import Outgoing
from oneshelf.flow.post import Answered
from oneshelf.storage.database import Database
from oneshelf.web.event_feed import EventFeed

if TYPE_CHECKING:
    from oneshelf.web.issuer import Issuer


@dataclass(frozen=True, slots=True)
class StepFigures:
    """The steps of this process, live, see `workers.runner.Pulse`. `ages_s` is called on the event loop."""

    failing: Mapping[str, int] = field(default_factory=dict)
    done: Mapping[str, int] = field(default_factory=dict)
    ages_s: Callable[[], Mapping[str, float]] = dict


@dataclass(frozen=True, slots=True)
class Engine:
    """`channels` is the live mapping: channels come and go while the server runs. `wake` names steps with work.

    `steps`: how those of this process do.

    `post` posts commands together with those of other requests, see `workers.poster`. `public_url`: where channels
    reach the engine; empty: nobody said. `feed`: the newest events. `outgoing`: calls endpoints; None: nobody does.
    `refresh`: has channels that were connected just now opened; None: nothing opens them here.
    `issuer`: whose accounts let people in beside passwords; None: nobody's. `second_factor`: who has to show one, see
    `domain.access`. `shows_tour`: this is the demo, see `pages.tour`.
    """

    database: Database
    channels: Mapping[Channel, OpenChannel]
    clock: Clock
    wake: Callable[[Iterable[str]], None]
    post: Callable[[Sequence[Command]], Awaitable[list[Answered]]]
    feed: EventFeed
    steps: StepFigures = field(default_factory=StepFigures)
    public_url: str = ""
    outgoing: Outgoing | None = None
    refresh: Callable[[], Awaitable[None]] | None = None
    issuer: Issuer | None = None
    second_factor: str = "nobody"
    shows_tour: bool = False


def engine_of(request: Request) -> Engine:
    """The engine behind this request."""
    return cast(Engine, request.app.state.engine)


async def _engine(request: Request) -> Engine:
    # Async, because a plain function would be called in a thread for each request.
    return engine_of(request)


EngineOf = Annotated[Engine, Depends(_engine)]
