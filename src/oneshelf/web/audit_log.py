"""Writes down what is asked of us that changes something, and shows it: `/v1/audit-log`."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Scope

from oneshelf.domain.access import Principal, Via
from oneshelf.domain.identity import name_from
from oneshelf.errors import OneshelfError
from oneshelf.storage import audit_log
from oneshelf.storage.audit_log import Entry
from oneshelf.storage.database import Database
from oneshelf.telemetry import get_logger
from oneshelf.web.api import Limit
from oneshelf.web.engine import EngineOf
from oneshelf.web.problems import DOCUMENTED
from oneshelf.web.questions import only_known_questions

router = APIRouter(prefix="/v1", tags=["access"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])

# Who has logged in with this request.
WHO = "oneshelf.who"
FORMS = frozenset({"/login", "/login/second", "/set-up"})

log = get_logger(__name__)


class EntryOut(BaseModel):
    """Who did what. `object`: the address of what it was done to. `result`: the status that was answered."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    entry_id: int = Field(examples=[17])
    at: datetime
    via: str = Field(examples=["token"])
    who: str = Field(examples=["till"])
    credential: str = Field(examples=["0a1b2c3d4e5f"])
    address: str = Field(examples=["192.0.2.7"])
    act: str = Field(examples=["POST /v1/reservations/{reservation_id}/claim"])
    object: str = Field(examples=["/v1/reservations/0199c000-0000-7000-8000-000000000000/claim"])
    result: str = Field(examples=["200"])


class AuditLogOut(BaseModel):
    """Newest first. `next`: give it as `before` for the next page."""

    entries: list[EntryOut]
    next: str | None = Field(examples=["17"])


@router.get("/audit-log")
async def list_entries(
    engine: EngineOf,
    who: Annotated[
        str | None, Query(max_length=500, description="Of this user, token or operating system user.")
    ] = None,
    before: Annotated[str | None, Query(pattern="^[1-9][0-9]{0,17}$", description="`next` of the page before.")] = None,
    limit: Limit = 100,
) -> AuditLogOut:
    """Who did what, by HTTP or by command: everything that changes something, and what was refused."""
    whose = None if who is None else name_from(who, what="who")
    async with engine.database.transaction() as tx:
        sought = audit_log.Sought(who=whose, before=None if before is None else int(before))
        rows = await audit_log.newest(tx, sought, limit=limit + 1)
    return AuditLogOut(
        entries=[EntryOut.model_validate(row) for row in rows[:limit]],
        next=str(rows[limit - 1].entry_id) if len(rows) > limit else None,
    )


async def note(database: Database, scope: Scope, principal: Principal | None, *, route: str, status: int) -> None:
    """Write a request down, before it is answered. A database that does not answer is logged; the act stays done.

    Not written down are those whom nobody let in, and everybody where nobody is told apart.
    """
    path: str = scope["path"]
    via = principal.via.value if principal else "form"
    if principal is None and (path not in FORMS or status == HTTPStatus.TOO_MANY_REQUESTS):
        return
    if principal is not None and principal.via is Via.OPEN:
        return
    client = scope.get("client")
    entry = Entry(
        via=via,
        who=principal.name if principal else scope.get(WHO, ""),
        credential=principal.credential if principal else "",
        address=client[0] if client else "",
        act=f"{scope['method']} {route}",
        object="" if path == route else path,
        result=str(status),
    )
    await write(database, entry)


async def write(database: Database, entry: Entry) -> None:
    """Write an act down; a database that does not answer is logged."""
    try:
        async with database.transaction() as tx:
            await audit_log.add(tx, entry)
    except OneshelfError as failure:
        log.error("audit_log.unwritten", act=entry.act, who=entry.who, words=str(failure))  # noqa: TRY400  # no bug
