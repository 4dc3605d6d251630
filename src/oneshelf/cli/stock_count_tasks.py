"""Cycle counts: open one, enter what was counted without seeing the figure, and look at the differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from oneshelf.cli.common import EXIT_REFUSED, choice_in, on_database, os_user, show_json, show_rows, units_in, words_in
from oneshelf.cli.posting import NEGATIVE, Json, Location_, Sku_

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from oneshelf.domain.command import Command
    from oneshelf.domain.identity import Sku
    from oneshelf.domain.outcome import Outcome
    from oneshelf.storage.count_tasks import LineRow, TaskRow
    from oneshelf.storage.database import Database

T = TypeVar("T")
Task_ = Annotated[str, typer.Argument(metavar="COUNT", help="The number of the count, yours to choose.")]
By = Annotated[str, typer.Option(help="Who says so. Default: the user of this computer.")]
Round = Annotated[str, typer.Option("--round", help="Which round is meant. Default: the present one.")]
_TASKS = (
    *("task", "location", "opened_at", "opened_by", "threshold_units", "threshold_percent", "line_count"),
    *("open_count", "review_count", "refused_count", "posted_count"),
)
_LINES = (
    *("sku", "title", "round", "state", "units_counted", "units_expected", "variance_units", "is_doubtful"),
    *("counted_by", "decided_by", "reason", "answer"),
)
ROWS_MAX = 1_000


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (count_open, count_enter, count_rule, count_tasks, count_lines):
        app.command(command.__name__.replace("_", "-"), context_settings=NEGATIVE)(command)


def count_open(
    task: Task_,
    location: Location_,
    skus: Annotated[list[str] | None, typer.Argument(metavar="[SKU]…", help="Which; all if none is named.")] = None,
    pattern: Annotated[str, typer.Option(help="SKUs like this: * any letters, ? one.")] = "",
    sales_class: Annotated[
        list[str] | None,
        typer.Option(help="By what was sold in a week: A the first 80 percent, B the next 15, C the rest."),
    ] = None,
    drifting: Annotated[bool, typer.Option("--drifting", help="Of which a channel shows something else.")] = False,
    limit: Annotated[str, typer.Option(help="At most so many, those that were counted the longest ago.")] = "10000",
    threshold_units: Annotated[str, typer.Option(help="A difference of so many units needs no look.")] = "0",
    threshold_percent: Annotated[str, typer.Option(help="Nor does one of this share of the figure.")] = "0",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Open a count, of which nobody is told the figures before: oneshelf stock count-open C7 BER --limit 20."""
    from oneshelf.clock import SystemClock
    from oneshelf.domain.count_task import CountWish, SalesClass, Threshold
    from oneshelf.domain.identity import location_from, name_from, sku_from
    from oneshelf.flow import count

    wish = CountWish(
        task=name_from(task, what="the number of the count"),
        location=location_from(location),
        skus=tuple(sku_from(sku) for sku in skus or ()),
        pattern=words_in(pattern, what="--pattern"),
        sales_classes=tuple(choice_in(one, SalesClass, what="--sales-class") for one in sales_class or ()),
        only_drifting=drifting,
        limit=units_in(limit, what="--limit", least=1),
        threshold=Threshold(
            units=units_in(threshold_units, what="--threshold-units"),
            percent=units_in(threshold_percent, what="--threshold-percent"),
        ),
    )
    who = _who(by)
    opened = _asked(lambda database: count.open_task(database, SystemClock().new_id, wish, by=who))
    if as_json:
        show_json({"task": wish.task, "location": wish.location, "sku_count": opened})
        return
    typer.echo(f"{wish.task}: {opened} SKUs are to be counted at {wish.location}")
    typer.echo(f"then: oneshelf stock count-enter {wish.task} SKU UNITS")


def count_enter(
    task: Task_,
    sku: Sku_,
    units: Annotated[str, typer.Argument(metavar="UNITS", help="Units that were counted, all that lie there.")],
    round_: Round = "",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Enter what you have counted. The ledger follows at once, or a person looks at the difference first."""
    from oneshelf.clock import SystemClock
    from oneshelf.domain.count_task import Entry
    from oneshelf.domain.identity import name_from, sku_from
    from oneshelf.flow import count

    entry = Entry(
        task=name_from(task, what="the number of the count"),
        sku=sku_from(sku),
        units=units_in(units),
        by=_who(by),
        round=units_in(round_, what="--round", least=1) if round_ else None,
    )
    _asked(lambda database: count.enter(database, SystemClock().new_id, entry))
    _show_line(entry.task, entry.sku, as_json=as_json)


def count_rule(
    task: Task_,
    sku: Sku_,
    ruling: Annotated[str, typer.Argument(metavar="RULING", help="accept, recount or drop.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    round_: Round = "",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Say what becomes of a difference: the ledger follows it, it is counted again, or nothing is done."""
    from oneshelf.clock import SystemClock
    from oneshelf.domain.count_task import Decision, Ruling
    from oneshelf.domain.identity import name_from, sku_from
    from oneshelf.flow import count

    decision = Decision(
        task=name_from(task, what="the number of the count"),
        sku=sku_from(sku),
        ruling=choice_in(ruling, Ruling, what="RULING"),
        by=_who(by),
        reason=name_from(reason, what="--reason"),
        round=units_in(round_, what="--round", least=1) if round_ else None,
    )
    _asked(lambda database: count.decide(database, SystemClock().new_id, decision))
    _show_line(decision.task, decision.sku, as_json=as_json)


def count_tasks(
    shows_all: Annotated[bool, typer.Option("--all", help="Those too that are done.")] = False, as_json: Json = False
) -> None:
    """Counts of which something is to be counted, or to be looked at."""
    from oneshelf.storage import count_tasks as stored

    async def read(database: Database) -> list[TaskRow]:
        async with database.transaction() as tx:
            return await stored.tasks(tx, only_to_do=not shows_all, limit=ROWS_MAX)

    show_rows(on_database(read), _TASKS, as_json=as_json, empty="nothing is to be counted")


def count_lines(
    task: Task_,
    review: Annotated[bool, typer.Option("--review", help="Only what a person has to look at.")] = False,
    as_json: Json = False,
) -> None:
    """The SKUs of a count. What the ledger had is told once a figure is entered."""
    from oneshelf.domain.identity import name_from

    name = name_from(task, what="the number of the count")
    rows = [row for row in _lines(name) if not review or row.state in ("review", "refused")]
    show_rows(rows, _LINES, as_json=as_json, empty="nothing is to be looked at" if review else f"no count {name}")


def _lines(task: str) -> list[LineRow]:
    from oneshelf.domain.count_task import SKUS_MAX
    from oneshelf.storage import count_tasks as stored

    async def read(database: Database) -> list[LineRow]:
        async with database.transaction() as tx:
            return await stored.lines(tx, task, limit=SKUS_MAX)

    return on_database(read)


def _asked(ask: Callable[[Database], Awaitable[T]]) -> T:
    """What was answered; and what is accepted is posted. Exits with 1 on a refusal."""
    from oneshelf.clock import SystemClock
    from oneshelf.domain.count_task import CountTaskRefusal, task_in_words
    from oneshelf.domain.outcome import UnknownLocation, UnknownSku, in_words
    from oneshelf.flow import count, post

    async def work(database: Database) -> T:
        answer = await ask(database)

        async def posted(commands: Sequence[Command]) -> list[Outcome]:
            return [one.outcome for one in await post.post_commands(database, SystemClock().new_id, commands)]

        await count.post_accepted(database, posted)
        return answer

    answer = on_database(work)
    if isinstance(answer, CountTaskRefusal | UnknownSku | UnknownLocation):
        words = in_words(answer) if isinstance(answer, UnknownSku | UnknownLocation) else task_in_words(answer)
        typer.echo(words, err=True)
        raise typer.Exit(EXIT_REFUSED)
    return answer


def _show_line(task: str, sku: Sku, *, as_json: bool) -> None:
    [row] = [row for row in _lines(task) if row.sku == sku]
    if as_json:
        show_json({column: getattr(row, column) for column in _LINES})
        return
    words = f"{row.sku}: {row.state}, round {row.round}"
    if row.variance_units is not None:
        words += f"; counted {row.units_counted}, the ledger had {row.units_expected} ({row.variance_units:+})"
    typer.echo(words + (f"; {row.answer}" if row.answer else ""))
    if row.state == "review":
        moved = "units moved meanwhile; " if row.is_doubtful else ""
        typer.echo(f"{moved}somebody has to look at it: oneshelf stock count-rule {task} {sku} accept|recount|drop")


def _who(by: str) -> str:
    from oneshelf.domain.identity import name_from

    return name_from(by or os_user(), what="--by")
