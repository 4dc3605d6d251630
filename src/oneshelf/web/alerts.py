"""`/v1/alerts`: what is wrong now, and what was."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from oneshelf.domain import alert_words
from oneshelf.storage import alerts
from oneshelf.web.api import Limit
from oneshelf.web.engine import EngineOf
from oneshelf.web.problems import DOCUMENTED
from oneshelf.web.questions import only_known_questions

router = APIRouter(prefix="/v1", tags=["events"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])


class AlertOut(BaseModel):
    """`kind`: the type of the event that tells of it. `what`: in words; `figures`: the same, as they were last seen."""

    alert_id: int
    kind: str
    state: str
    what: str
    figures: dict[str, Any]
    opened_at: datetime
    closed_at: datetime | None


class AlertsOut(BaseModel):
    """Newest first. `next`: give it as `before` for the next page."""

    alerts: list[AlertOut]
    next: str | None


@router.get("/alerts")
async def list_alerts(
    engine: EngineOf,
    only_open: Annotated[bool, Query(alias="open", description="Only what is wrong now.")] = False,
    before: Annotated[str | None, Query(pattern="^[1-9][0-9]{0,17}$", description="`next` of the page before.")] = None,
    limit: Limit = 100,
) -> AlertsOut:
    """What is wrong now, and what was in the last 30 days. Followers are told by the events `alert.…`."""
    async with engine.database.transaction() as tx:
        rows = await alerts.rows(tx, is_open=only_open, before=None if before is None else int(before), limit=limit + 1)
    return AlertsOut(
        alerts=[
            AlertOut(
                alert_id=row.alert_id,
                kind=row.kind,
                state=row.state,
                what=alert_words.sentence(row.kind, row.figures),
                figures=row.figures,
                opened_at=row.opened_at,
                closed_at=row.closed_at,
            )
            for row in rows[:limit]
        ],
        next=str(rows[limit - 1].alert_id) if len(rows) > limit else None,
    )
