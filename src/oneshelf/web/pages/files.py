"""Files: bring a table in, after a look at what each row would do; those that came before; and tables to take away."""

from __future__ import annotations

import tempfile
from datetime import datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from oneshelf.domain.identity import instant_from
from oneshelf.domain.outcome import Done, in_words
from oneshelf.domain.undo import opposites, to_undo
from oneshelf.errors import MalformedError
from oneshelf.files.exporting import EXPORTS
from oneshelf.files.importing import bring_in, stop
from oneshelf.files.kind import SCOPE
from oneshelf.files.kinds import KINDS
from oneshelf.files.report import Report, State, report_of, undo_receipt
from oneshelf.files.report import in_words as report_in_words
from oneshelf.storage import deeds, detail_views, imports
from oneshelf.storage.database import now
from oneshelf.storage.imports import ImportRow
from oneshelf.web import files as api
from oneshelf.web.bodies import spool
from oneshelf.web.engine import Engine, engine_of
from oneshelf.web.pages.frame import Form, Said, address, form_of, page, person_of, screen
from oneshelf.web.wording import sentence

ROWS_SHOWN = 200
# The form stands below them.
FILES_SHOWN = 10
UNDO_BATCH = 200
# What each kind of file says.
MEANINGS = {
    "skus": "SKUs and their titles",
    "locations": "locations and their titles",
    "listings": "which SKU a listing sells",
    "counts": "what lies where, as it was counted",
    "receipts": "what came in",
    "policies": "what listings may show",
    "wholesale-orders": "what wholesale customers order",
}


@screen
async def listed(request: Request) -> Response:
    """The form, the files that were brought in, and tables to take away."""
    after = request.query_params.get("after", "")
    before: datetime | None = instant_from(after, what="after") if after else None
    async with engine_of(request).database.transaction() as tx:
        at = await now(tx)
        rows = await imports.listed(tx, limit=FILES_SHOWN + 1, before=before)
        locations = [one.location for one in await detail_views.location_rows(tx)]
    following = rows[FILES_SHOWN - 1].began_at.isoformat() if len(rows) > FILES_SHOWN else ""
    context = {
        "is_live": True,
        "at": at,
        "imports": rows[:FILES_SHOWN],
        "locations": locations,
        "kinds": {kind: MEANINGS[kind] for kind in KINDS},
        "stock_kinds": [kind.name for kind in KINDS.values() if kind.is_stock],
        "exports": {kind: MEANINGS[kind] for kind in EXPORTS},
        "after": after,
        "next": address("/files", after=following) if following else "",
    }
    return page(request, "files.html", context)


@screen
async def bring(request: Request) -> Response:
    """Look at a file, or bring it in. The same file, sent twice, is applied once: its bytes are its key."""
    engine = engine_of(request)
    with tempfile.TemporaryFile() as body:
        await spool(request, body, bytes_max=api.FILE_BYTES_MAX, read_s_max=api.READ_S_MAX)
        async with api.sent(request, body) as sent:
            form = Form(sent.fields)
            act = form.text("act")
            if act not in {"preview", "apply"}:
                raise MalformedError("say what to do: preview or apply")
            if not sent.file_name:
                raise MalformedError("no file was chosen")
            words = api.Words(
                kind=form.text("kind"),
                name=sent.file_name,
                taken_at=form.text("instant") or form.text("taken_at"),
                location=form.text("location"),
                is_preview=act == "preview",
                atomic="row" if form.text("atomic") == "row" else "file",
                source=form.text("source"),
                allow=",".join(form.all("allow")),
                ignore=form.text("ignore"),
                actor=person_of(request) or "page",
            )
            wish = api.wish_of(words)
            report = await bring_in(engine.database, engine.clock.new_id, sent.file, wish)
    if report.state in {State.APPLIED, State.APPLIED_BEFORE, State.STOPPED}:
        engine.wake(["plan"])
        again = "1" if report.state is State.APPLIED_BEFORE else ""
        return RedirectResponse(address(f"/files/{report.import_id}", again=again), status_code=303)
    return _told(request, report, status=422 if report.state is State.REFUSED else 200)


def _told(request: Request, report: Report, *, status: int) -> Response:
    problems = report.examples[:ROWS_SHOWN]
    context = {
        "report": report,
        "words": sentence(report_in_words(report)),
        "refusal": sentence(_for_a_page(report.refusal)) if report.refusal else "",
        "problems": problems,
        "rest": report.rest(problems)[:ROWS_SHOWN],
        "effects": report.effects[:ROWS_SHOWN],
    }
    return page(request, "file_report.html", context, status=status)


def _for_a_page(refusal: str) -> str:
    """The way out as it is found on the page."""
    for option, field in (
        ("--atomic row", "\N{LEFT DOUBLE QUOTATION MARK}the good rows\N{RIGHT DOUBLE QUOTATION MARK}"),
        ("say --allow zeros", "tick that it may leave so many at nothing"),
        ("say --allow fewer", "tick that it may be so much shorter"),
        ("Look at it with --preview; if", "If"),
    ):
        refusal = refusal.replace(option, field)
    return refusal


@screen
async def one(request: Request) -> Response:
    """What became of one file."""
    again = request.query_params.get("again", "") == "1"
    said = Said("This very file was applied before: nothing was changed now.") if again else None
    return await _shown(request, said)


@screen
async def ask(request: Request) -> Response:
    """Stop the file, or take it back by the opposite of each of its rows, once however often it is asked."""
    act = (await form_of(request)).text("act")
    if act not in {"undo", "stop"}:
        raise MalformedError("say what to do: stop or undo")
    engine = engine_of(request)
    row = await _found(engine, request.path_params["import_id"])
    if row is None:
        return _missing(request)
    if act == "undo":
        return await _shown(request, await _taken_back(engine, row))
    report = await stop(engine.database, row.import_id, by=person_of(request) or "page")
    is_under_way = report is not None and report.state is State.UNDER_WAY
    words = "It stops within some thousand rows." if is_under_way else "It had ended before: nothing was to be stopped."
    return await _shown(request, Said(words))


async def _taken_back(engine: Engine, row: ImportRow) -> Said:
    async with engine.database.transaction() as tx:
        commands = opposites(to_undo(await deeds.of_commands(tx, f"{row.import_id}/*", scope=SCOPE)))
    refused: list[str] = []
    for start in range(0, len(commands), UNDO_BATCH):
        answers = await engine.post(commands[start : start + UNDO_BATCH])
        refused += [in_words(one.outcome) for one in answers if not isinstance(one.outcome, Done)]
    engine.wake(["plan"])
    if not commands:
        words = "Nothing is left to take back: it was taken back before, or moved no units."
        by_number = f" Lines with a receipt number are taken back by it: {undo_receipt('NUMBER')}"
        return Said(words + by_number * (row.kind == "receipts"))
    words = f"{len(commands) - len(refused)} of {len(commands)} changes are taken back."
    if refused:
        return Said(f"{words} {sentence(refused[0])} Units that were sold since are gone: count what is there.", "bad")
    return Said(words)


async def _shown(request: Request, said: Said | None = None) -> Response:
    row = await _found(engine_of(request), request.path_params["import_id"])
    if row is None:
        return _missing(request)
    report = report_of(row)
    problems = report.examples[:ROWS_SHOWN]
    context = {
        "is_live": row.ended_at is None,
        "row": row,
        "words": sentence(report_in_words(report)),
        "problems": problems,
        "rest": report.rest(problems)[:ROWS_SHOWN],
        "can_stop": row.ended_at is None and not row.is_broken_off,
        "can_undo": row.kind in KINDS and KINDS[row.kind].is_stock and row.applied_count > 0,
    }
    return page(request, "file.html", context, said=said)


async def _found(engine: Engine, import_id: str) -> ImportRow | None:
    if not api.IMPORT_ID.fullmatch(import_id):
        return None
    async with engine.database.transaction() as tx:
        return await imports.find(tx, import_id)


def _missing(request: Request) -> Response:
    named = request.path_params["import_id"]
    return page(request, "missing.html", {"what": "file", "named": named, "list": "/files"}, status=404)


ROUTES = [
    Route("/files", listed),
    Route("/files", bring, methods=["POST"]),
    Route("/files/{import_id}", one),
    Route("/files/{import_id}", ask, methods=["POST"]),
]
