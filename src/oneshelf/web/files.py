"""`/v1/imports` and `/v1/exports`: files in, as `oneshelf stock import` takes them, and out."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, NamedTuple, cast

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict
from python_multipart import parse_form
from python_multipart.exceptions import FormParserError
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse

from oneshelf.domain.file_breaker import Allowance
from oneshelf.domain.identity import instant_from, location_from, name_from, printable
from oneshelf.files.exporting import EXPORTS, Format, write_out
from oneshelf.files.importing import Atomic, Wish, bring_in, stop
from oneshelf.files.kind import Told
from oneshelf.files.kinds import KINDS, kind_named
from oneshelf.files.report import Report, State, in_words, report_of
from oneshelf.files.table import Reading
from oneshelf.storage import imports
from oneshelf.storage.imports import ImportRow
from oneshelf.web.api import Limit
from oneshelf.web.auth import actor_of
from oneshelf.web.bodies import spool
from oneshelf.web.cursor import CURSOR_LENGTH_MAX, cursor_of, names_from
from oneshelf.web.engine import EngineOf
from oneshelf.web.problems import DOCUMENTED, ProblemError, UnreadableError
from oneshelf.web.questions import only_known_questions

FILE_BYTES_MAX = 50 * 1024 * 1024
READ_S_MAX = 300.0
NAME_LENGTH_MAX = 200
IMPORT_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_EXAMPLE = "sku,location,on_hand,taken_at\nMUG-BLUE,BER,12,2026-11-25T09:00:00Z\n"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string", "format": "binary"}, "example": _EXAMPLE},
            Format.XLSX.media_type: {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}
_FILES = {form.media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}} for form in Format}

router = APIRouter(prefix="/v1", tags=["files"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])

Kind = Annotated[str, Query(description=f"One of: {', '.join(KINDS)}.")]
TakenAt = Annotated[str, Query(description="When the figures were taken, for rows that do not say it; or now.")]


class ProblemRowOut(BaseModel):
    """Why one row is not applied. `line`: as the file numbers them."""

    model_config = ConfigDict(from_attributes=True)

    line: int
    column: str
    value: str
    reason: str


class ReasonOut(BaseModel):
    """Why so many rows are not applied. `line`: of the first of them."""

    model_config = ConfigDict(from_attributes=True)

    column: str
    reason: str
    row_count: int
    line: int


class EffectOut(BaseModel):
    """What one row would do."""

    model_config = ConfigDict(from_attributes=True)

    line: int
    row: str
    effect: str


class ImportOut(BaseModel):
    """What became of a file. `state`: applied, applied_before (nothing was changed), previewed, under_way, broken_off
    (whoever did it has died), stopped (`stopped_by` wanted no more of it). Of these two: bring it in again, and the
    rest is done. A file under way that has a `stopped_by` ends within some thousand rows.

    `undo`: the command that takes it back. Of `problems`, `reasons` and `effects` the first thousand are listed;
    `reasons` has each reason once.
    """

    model_config = ConfigDict(from_attributes=True)

    import_id: str
    kind: str
    file_name: str
    state: str
    detail: str
    row_count: int
    applied_count: int
    replayed_count: int
    problem_count: int
    zeroed_count: int
    undo: str
    stopped_by: str
    problems: list[ProblemRowOut]
    reasons: list[ReasonOut]
    effects: list[EffectOut]


class FileOut(BaseModel):
    """A file that was brought in. `state`: as of one file. `source`: who sends such files; empty: a person."""

    import_id: str
    kind: str
    file_name: str
    source: str
    state: str
    row_count: int
    applied_count: int
    problem_count: int
    began_at: datetime
    ended_at: datetime | None
    stopped_by: str

    @classmethod
    def of(cls, row: ImportRow) -> FileOut:
        """As a list has it."""
        fields = {name: getattr(row, name) for name in cls.model_fields if name != "state"}
        return cls(**fields, state=report_of(row).state)


class FilesOut(BaseModel):
    """The newest first. `next`: give it as `after` for the next page; null on the last one."""

    imports: list[FileOut]
    next: str | None


@router.get("/imports")
async def list_files(
    engine: EngineOf,
    after: Annotated[str, Query(max_length=CURSOR_LENGTH_MAX, description="`next` of the page before.")] = "",
    limit: Limit = 100,
) -> FilesOut:
    """Files that were brought in, also those under way; one that was refused changed nothing, and is not known."""
    before = instant_from(*names_from(after, count=1), what="after") if after else None
    async with engine.database.transaction() as tx:
        rows = await imports.listed(tx, limit=limit + 1, before=before)
    following = cursor_of(rows[limit - 1].began_at.isoformat()) if len(rows) > limit else None
    return FilesOut(imports=[FileOut.of(row) for row in rows[:limit]], next=following)


@router.post("/imports", openapi_extra=_BODY)
async def bring(  # noqa: PLR0913  # Its questions are its arguments.
    request: Request,
    engine: EngineOf,
    kind: Kind = "counts",
    taken_at: TakenAt = "",
    location: Annotated[str, Query(description="Where, for rows that do not say it.")] = "",
    preview: Annotated[bool, Query(description="Say what each row would do, and change nothing.")] = False,
    atomic: Annotated[
        Literal["file", "row"], Query(description="If a row is wrong: nothing, or all but that row.")
    ] = "file",
    source: Annotated[str, Query(description="Who sends such files, such as erp.")] = "",
    allow: Annotated[str, Query(description="zeros, fewer, again, with commas: it is meant so.")] = "",
    ignore: Annotated[str, Query(description="Columns that nobody reads, with commas; * for all unknown.")] = "",
    name: Annotated[str, Query(description="What the file is called, for the report.")] = "",
) -> ImportOut:
    """Bring in a CSV file or an .xlsx workbook: the body, or the part `file` of a form. At most 50 MiB.

    All rows are read and judged before one is applied. The answer comes when all is done; asking again with the same
    file changes nothing and gives the report, also after an answer that was lost. Refused is a problem (422) with the
    rows that are wrong.
    """
    wish = wish_of(Words(kind, name or "request", taken_at, location, preview, atomic, source, allow, ignore))
    with tempfile.TemporaryFile() as body:
        await spool(request, body, bytes_max=FILE_BYTES_MAX, read_s_max=READ_S_MAX)
        async with _file_in(request, body) as file:
            report = await bring_in(engine.database, engine.clock.new_id, file, wish)
    engine.wake(["plan"])
    if report.state is State.REFUSED:
        rows = [ProblemRowOut.model_validate(one).model_dump() for one in report.problems]
        reasons = [ReasonOut.model_validate(one).model_dump() for one in report.reasons]
        members = {"problems": rows, "reasons": reasons}
        raise ProblemError(422, in_words(report), kind="file-refused", members=members)
    return _out(report)


@router.get("/imports/{import_id}")
async def show(engine: EngineOf, import_id: str) -> ImportOut:
    """A file that was brought in, or how far it is. One that was refused changed nothing, and is not known."""
    row = None
    if IMPORT_ID.fullmatch(import_id):
        async with engine.database.transaction() as tx:
            row = await imports.find(tx, import_id)
    return _out(report_of(row) if row else None)


@router.post("/imports/{import_id}/stop")
async def stop_file(request: Request, engine: EngineOf, import_id: str) -> ImportOut:
    """Have a file stopped that is under way: within some thousand rows. What it did stays; brought in again it goes on.

    Asking again changes nothing, and one that had ended stays as it is. One that is applied whole is never under way.
    """
    report = await stop(engine.database, import_id, by=actor_of(request)) if IMPORT_ID.fullmatch(import_id) else None
    return _out(report)


@router.get(
    "/exports/{kind}",
    response_class=FileResponse,
    responses={200: {"description": "The file.", "content": _FILES}},
)
async def give(
    engine: EngineOf,
    kind: str,
    written_as: Annotated[Literal["csv", "xlsx"], Query(alias="format", description="How it is written.")] = "csv",
) -> FileResponse:
    """All there is of a kind, as of one instant, in the columns that an import reads. No cell is a formula."""
    if kind not in EXPORTS:
        raise ProblemError(
            404, f"there is no kind of file of this name; there are: {', '.join(EXPORTS)}", kind="no-kind"
        )
    form, directory = Format(written_as), tempfile.TemporaryDirectory(prefix="oneshelf-file-")
    try:
        path = Path(directory.name) / "export"
        await write_out(engine.database, kind, path, form)
    except BaseException:
        directory.cleanup()
        raise
    return FileResponse(
        path, media_type=form.media_type, filename=f"{kind}.{form}", background=BackgroundTask(directory.cleanup)
    )


def _allowed(text: str) -> frozenset[Allowance]:
    words = set(filter(None, text.split(",")))
    if strange := sorted(words - set(Allowance)):
        raise ProblemError(422, f"allow: there is no {strange[0][:40]!r}; there are: {', '.join(Allowance)}")
    return frozenset(map(Allowance, words))


def _out(report: Report | None) -> ImportOut:
    if report is None:
        raise ProblemError(404, "no file with this id was brought in; see GET /v1/imports", kind="no-import")
    fields: dict[str, Any] = {name: getattr(report, name) for name in ImportOut.model_fields if name != "detail"}
    return ImportOut.model_validate({**fields, "detail": in_words(report)})


@contextlib.asynccontextmanager
async def _file_in(request: Request, body: BinaryIO) -> AsyncIterator[BinaryIO]:
    """The body, or the part `file` of it where it is a form. Raises ProblemError."""
    if not _is_form(request):
        yield body
        return
    async with sent(request, body) as form:
        yield form.file


class Sent(NamedTuple):
    """A form with one file. `fields`: name -> all that was sent under it."""

    fields: Mapping[str, list[str]]
    file: BinaryIO
    file_name: str


@contextlib.asynccontextmanager
async def sent(request: Request, body: BinaryIO) -> AsyncIterator[Sent]:
    """The form in a body that was read already. Raises ProblemError, and UnreadableError for what is no such form.

    It is taken apart in a thread: a large one takes longer than a check at a checkout may wait.
    """
    if not _is_form(request):
        raise ProblemError(415, "this address takes the form of its page; a program sends to /v1/imports")
    found: list[Any] = []
    fields: dict[str, list[str]] = {}

    def note(field: Any) -> None:
        fields.setdefault(field.field_name.decode(), []).append((field.value or b"").decode())

    headers = {"Content-Type": request.headers["content-type"].encode()}
    try:
        try:
            await asyncio.to_thread(parse_form, headers, body, note, found.append)
        except (FormParserError, ValueError):
            raise UnreadableError("the body is no form: its parts cannot be told apart") from None
        files = [one for one in found if one.field_name == b"file"]
        if len(files) != 1:
            raise ProblemError(422, f"the form has {len(files)} parts with the name 'file'; send one")
        files[0].file_object.seek(0)
        called = (files[0].file_name or b"").decode(errors="replace")
        yield Sent(fields, cast(BinaryIO, files[0].file_object), called)
    finally:
        for one in found:
            one.close()


def _is_form(request: Request) -> bool:
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ProblemError(415, "send the body without Content-Encoding")
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"


class Words(NamedTuple):
    """What is said about a file, as it was typed. `allow`, `ignore`: with commas."""

    kind: str
    name: str
    taken_at: str = ""
    location: str = ""
    is_preview: bool = False
    atomic: str = "file"
    source: str = ""
    allow: str = ""
    ignore: str = ""
    actor: str = "api"


def wish_of(words: Words) -> Wish:
    """How a file is to be brought in. Raises MalformedError and ProblemError."""
    return Wish(
        kind=kind_named(words.kind),
        file_name=printable(words.name, length_max=NAME_LENGTH_MAX) or "request",
        told=Told(
            taken_at=instant_from(words.taken_at, what="taken_at") if words.taken_at not in {"", "now"} else None,
            says_taken_at=bool(words.taken_at),
            location=location_from(words.location) if words.location else None,
            actor=words.actor,
        ),
        reading=Reading(ignored=frozenset(filter(None, words.ignore.split(",")))),
        atomic=Atomic(words.atomic),
        source=name_from(words.source, what="source") if words.source else "",
        is_preview=words.is_preview,
        allowed=_allowed(words.allow),
    )
