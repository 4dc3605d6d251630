"""`GET /v1/reservations/{reservation_id}`: what has become of a reservation."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from oneshelf.domain.ledger import ReservationState
from oneshelf.storage import reservations, views
from oneshelf.storage.database import now
from oneshelf.web.engine import EngineOf
from oneshelf.web.fields import reservation_id_from
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions

router = APIRouter(prefix="/v1", tags=["commands"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])


class ReservationLineOut(BaseModel):
    """Units of one SKU at one location. `units_short` of them wait for units; counts have taken `units_lost`."""

    sku: str
    location: str
    state: str
    units: int
    units_short: int
    units_lost: int


class ReservationOut(BaseModel):
    """A reservation, in components where it is of a bundle. `holder`: what was said, or the order that claimed it."""

    reservation_id: UUID
    kind: str
    holder: str
    created_at: datetime
    expires_at: datetime | None
    lines: list[ReservationLineOut]


@router.get("/reservations/{reservation_id}")
async def show_reservation(engine: EngineOf, reservation_id: str) -> ReservationOut:
    """A reservation and what each of its lines holds. A hold past its time is `expired`, swept or not."""
    wanted = reservation_id_from(reservation_id)
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        present = await now(tx)
        parts = await reservations.told(await reservations.ask_named(tx, [wanted]))
    if not parts:
        raise ProblemError(404, f"no reservation {wanted}; reserve again", kind="no-such-reservation")
    first = parts[0]
    return ReservationOut(
        reservation_id=wanted,
        kind=first.kind,
        holder=first.holder,
        created_at=first.created_at,
        expires_at=first.expires_at,
        lines=[
            ReservationLineOut(
                sku=part.sku,
                location=part.location,
                state=ReservationState.EXPIRED if part.has_expired(now=present) else part.state,
                units=part.units,
                units_short=part.units_short,
                units_lost=part.units_lost,
            )
            for part in sorted(parts, key=lambda part: (part.sku, part.location))
        ],
    )
