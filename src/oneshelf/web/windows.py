"""`/v1/channels/{channel}/windows`: how long a channel's sales stay unseen, and how its objective stands."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from oneshelf.domain.blind_window import budget_left
from oneshelf.domain.identity import channel_from
from oneshelf.storage import blind_windows, views
from oneshelf.storage.blind_windows import ChannelWindow
from oneshelf.web.engine import EngineOf
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions

router = APIRouter(prefix="/v1", tags=["shelf"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])


class _Output(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class WindowOut(_Output):
    """A part of the way over the last `window_s`, in seconds. Percentiles are up to 10 % too long, never too short."""

    part: str = Field(examples=["ingested"])
    what: str = Field(examples=["tau in: order placed -> in the ledger"])
    window_s: int = Field(examples=[604_800])
    sample_count: int = Field(examples=[1_204])
    p50_s: float = Field(examples=[1.1])
    p95_s: float = Field(examples=[2.59])
    p99_s: float = Field(examples=[4.59])


class ObjectiveOut(_Output):
    """So large a `share` of the sales is to be proved at all other listings within `seen_s`; every listing is to be
    proved anew within `detect_s`. `budget_left`: of the misses that the objective allows; null without any sale."""

    share: float = Field(examples=[0.99])
    seen_s: float = Field(examples=[910.0])
    sale_count: int = Field(examples=[1_204])
    seen_count: int = Field(examples=[1_200])
    budget_left: float | None = Field(examples=[0.667])
    detect_s: float = Field(examples=[1800.0])
    listing_count: int = Field(examples=[400])
    fresh_count: int = Field(examples=[400])


class WindowsOut(_Output):
    """What the engine reckons with: `tau_in_s` and `tau_out_s`, measured, or as the connector declares it."""

    channel: str = Field(examples=["my-shop"])
    tau_in_s: float = Field(examples=[4.59])
    is_in_measured: bool
    tau_out_s: float = Field(examples=[1.33])
    is_out_measured: bool
    round_s: float = Field(examples=[0.29])
    measured_at: datetime
    objective: ObjectiveOut
    windows: list[WindowOut]


@router.get("/channels/{channel}/windows")
async def show_windows(engine: EngineOf, channel: str) -> WindowsOut:
    """The blind window of a channel, part by part, over the last hour and the last 7 days."""
    name = channel_from(channel)
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        reckoned = await blind_windows.reckoned(tx, channel=name)
        found = await blind_windows.windows(tx, channel=name)
    if not reckoned:
        words = f"nothing is measured of a channel {name}: it is not connected, or the engine has not run for a minute"
        raise ProblemError(404, words, kind="unknown-channel")
    [one] = reckoned
    return WindowsOut(
        **{key: value for key, value in one._asdict().items() if key in WindowsOut.model_fields},
        objective=_objective(one),
        windows=[WindowOut(**row._asdict(), what=blind_windows.PARTS[row.part]) for row in found],
    )


def _objective(one: ChannelWindow) -> ObjectiveOut:
    figures = {key: value for key, value in one._asdict().items() if key in ObjectiveOut.model_fields}
    return ObjectiveOut(**figures, budget_left=budget_left(one.share, count=one.sale_count, met_count=one.seen_count))
