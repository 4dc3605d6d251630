"""`/v1/drifts`: figures at channels that nothing in flight explains, why, and what a person says of them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from starlette.requests import Request

from oneshelf.domain.attribution import attribute
from oneshelf.domain.command import Adopt
from oneshelf.domain.outcome import Outcome
from oneshelf.errors import CannotResolveError, UnknownDriftError
from oneshelf.flow.post import post_moves
from oneshelf.flow.resolve import by_hand
from oneshelf.storage import canaries, drifts, evidence, views
from oneshelf.storage.database import now
from oneshelf.web import described, outputs
from oneshelf.web.api import Limit
from oneshelf.web.bodies import read_json
from oneshelf.web.engine import Engine, EngineOf
from oneshelf.web.fields import drift_id_from
from oneshelf.web.inputs import DriftResolutionIn, drift_resolution_from
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions

router = APIRouter(prefix="/v1", tags=["drifts"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])


class DriftDetailOut(outputs.DriftOut):
    """A drift and why it is thought to be what it is.

    `evidence`: `why` in words; the `readings`, `writes` and late `orders` that were looked at, the `parts` of bundles.
    Of a drift that nobody has decided upon it is what is known now.
    """

    evidence: dict[str, Any]


class DriftResolvedOut(BaseModel):
    """What was done, in words."""

    drift_id: UUID
    how: str
    detail: str


class DetectionOut(BaseModel):
    """How long edits made on purpose stayed hidden at a channel, in seconds, and what its schedule can promise.

    `act`: `edit` of the figure, or `move` of a unit to another stock state. `missed`: injected, and no drift until
    whoever measured gave up. `corrected_p50_s`, `corrected_p95_s`: until every other listing was proved to show the
    corrected figure. Null where nothing was measured.
    """

    channel: str
    act: str
    measured: int
    missed: int
    p50_s: float | None
    p95_s: float | None
    objective_s: float | None
    corrected_p50_s: float | None
    corrected_p95_s: float | None


class DetectionsOut(BaseModel):
    detections: list[DetectionOut]


@router.get("/drifts")
async def list_drifts(
    engine: EngineOf, only_open: Annotated[bool, Query(alias="open")] = False, limit: Limit = 100
) -> outputs.DriftsOut:
    """Readings that nothing in flight explained: open ones first, then the newest."""
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        rows = await drifts.newest(tx, only_open=only_open, limit=limit)
    return outputs.DriftsOut(drifts=[outputs.drift_out(row, now=at) for row in rows])


@router.get("/drift-detection")
async def show_detection(engine: EngineOf) -> DetectionsOut:
    """How fast drifts are found, measured with edits on purpose (`oneshelf drift canary`)."""
    async with engine.database.transaction() as tx:
        rows = await canaries.detections(tx)
    return DetectionsOut(detections=[DetectionOut.model_validate(row._asdict()) for row in rows])


@router.get("/drifts/{drift_id}")
async def show_drift(engine: EngineOf, drift_id: str) -> DriftDetailOut:
    """One drift with its evidence."""
    wanted = drift_id_from(drift_id)
    silent = {name: channel.capability.silent_states for name, channel in engine.channels.items()}
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        row = await drifts.find(tx, wanted)
        if row is None:
            raise ProblemError(404, f"no drift {wanted}; those there are: GET /v1/drifts", kind="no-such-drift")
        kept = await drifts.evidence_kept(tx, wanted)
        if not kept:
            known = (await evidence.gather(tx, [row], silent_states=silent))[wanted]
            kept = drifts.as_told(drifts.Decision(attribute(known), known))
    return DriftDetailOut(**outputs.drift_out(row, now=at).model_dump(), evidence=kept)


@router.put("/drifts/{drift_id}/resolution", openapi_extra=described.body("DriftResolutionIn"))
async def put_resolution(request: Request, engine: EngineOf, drift_id: str) -> DriftResolvedOut:
    """Publish our figure again, have the ledger adopt the channel's, or wait. Asked twice, units move once."""
    return await resolved(engine, drift_id, drift_resolution_from(await read_json(request)))


async def resolved(engine: Engine, drift_id: str, wish: DriftResolutionIn) -> DriftResolvedOut:
    """Do what a person wishes with a drift, over the API or on its page. Raises ProblemError 404 and 409."""
    wanted = drift_id_from(drift_id)

    async def post(adjustment: Adopt) -> Outcome:
        [answered] = await engine.post([adjustment])
        return answered.outcome

    async def book() -> int:
        return await post_moves(engine.database, engine.clock.new_id)

    try:
        words = await by_hand(engine.database, wanted, wish.how, post=post, book=book, wait_s=wish.wait_s)
    except UnknownDriftError as refusal:
        raise ProblemError(404, str(refusal), kind="no-such-drift") from None
    except CannotResolveError as refusal:
        raise ProblemError(409, str(refusal), kind="cannot-resolve") from None
    engine.wake(["plan", "push", "resolve"])
    return DriftResolvedOut(drift_id=wanted, how=wish.how.value, detail=words)
