"""`POST /v1/counts`: somebody begins to count."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.requests import Request

from oneshelf.domain.outcome import UnknownSku, in_words
from oneshelf.flow.count import CountBegun, begin_count
from oneshelf.web import described
from oneshelf.web.bodies import read_json
from oneshelf.web.engine import EngineOf
from oneshelf.web.inputs import count_begin_from
from oneshelf.web.outputs import CountBegunOut
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions

router = APIRouter(prefix="/v1", tags=["commands"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])


@router.post("/counts", openapi_extra=described.body("CountBeginIn"))
async def begin(request: Request, engine: EngineOf) -> CountBegunOut:
    """A token for counting these SKUs, or all, at one location. The command `count` quotes it, once for each SKU.

    What moves between this answer and the count is not overwritten by it.
    """
    wanted = count_begin_from(await read_json(request))
    begun = await begin_count(engine.database, engine.clock.new_id, wanted.location, wanted.skus)
    if not isinstance(begun, CountBegun):
        kind = "unknown-sku" if isinstance(begun, UnknownSku) else "unknown-location"
        raise ProblemError(404, in_words(begun), kind=kind)
    return CountBegunOut.model_validate(begun)
