"""What became of a file: for a person, for a program, and beside the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from oneshelf.files.kind import SCOPE
from oneshelf.storage.imports import ImportRow, Problem, Reason

# What a report repeats of a file of any size.
SHOWN_MAX = 1_000
# So many rows that are refused for the same reason show what it is about.
ALIKE_SHOWN = 5
_AGAIN = ". If it was taken back and is to count after all: --allow again"


class State(StrEnum):
    """How it ended."""

    APPLIED = "applied"
    APPLIED_BEFORE = "applied_before"
    PREVIEWED = "previewed"
    REFUSED = "refused"
    UNDER_WAY = "under_way"
    BROKEN_OFF = "broken_off"
    STOPPED = "stopped"


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What one row does, or would do."""

    line: int
    row: str
    effect: str


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """`applied_count` rows were applied now, `replayed_count` had been before, `problem_count` cannot be.

    `refusal`: why nothing at all was done, with the way out. `undo`: the command that takes it back. `stopped_by`: who
    wanted no more of it to be applied. Of `problems`, `reasons` and `effects` the first thousand are listed.
    """

    import_id: str
    kind: str
    file_name: str
    state: State
    row_count: int = 0
    applied_count: int = 0
    replayed_count: int = 0
    problem_count: int = 0
    zeroed_count: int = 0
    refusal: str = ""
    undo: str = ""
    stopped_by: str = ""
    problems: list[Problem] = msgspec.field(default_factory=list)
    reasons: list[Reason] = msgspec.field(default_factory=list)
    effects: list[Effect] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left that a person has to look at."""
        return self.state not in {State.REFUSED, State.STOPPED} and self.problem_count == 0

    @property
    def examples(self) -> list[Problem]:
        """The first rows that are refused, of those for the same reason a few."""
        shown: Counter[tuple[str, str]] = Counter()
        found = []
        for one in self.problems:
            shown[one.column, one.reason] += 1
            if shown[one.column, one.reason] <= ALIKE_SHOWN:
                found.append(one)
        return found

    def rest(self, listed: Sequence[Problem]) -> list[Reason]:
        """How many rows are refused besides these, by the reason."""
        shown = Counter((one.column, one.reason) for one in listed)
        return [
            msgspec.structs.replace(one, row_count=left)
            for one in self.reasons
            if (left := one.row_count - shown[one.column, one.reason]) > 0
        ]


def report_of(row: ImportRow) -> Report:
    """What is known of a file that was brought in before, or is being brought in."""
    under_way = State.BROKEN_OFF if row.is_broken_off else State.UNDER_WAY
    ended = State.STOPPED if row.stopped_by else State.APPLIED
    return Report(
        import_id=row.import_id,
        kind=row.kind,
        file_name=row.file_name,
        state=ended if row.ended_at else under_way,
        row_count=row.row_count,
        applied_count=row.applied_count,
        problem_count=row.problem_count,
        undo=undo_command(row.import_id, row.kind),
        stopped_by=row.stopped_by,
        problems=msgspec.convert(row.problems, list[Problem]),
        reasons=msgspec.convert(row.reasons, list[Reason]),
    )


def undo_command(import_id: str, kind: str) -> str:
    """What a person types to take a file back; empty for what says how things are, which is said anew."""
    if kind not in {"counts", "receipts"}:
        return ""
    of_file = f"oneshelf undo --scope {SCOPE} --command '{import_id}/*'"
    # A line of a delivery note comes in once, in whatever file, so no file has it for its own.
    return of_file if kind == "counts" else f"{of_file}; what has a receipt number, by that: {undo_receipt('NUMBER')}"


def undo_receipt(number: str) -> str:
    """What a person types to take the lines of a delivery note back."""
    return f"oneshelf undo --scope receipt --command '{number}/*'"


def in_words(report: Report) -> str:
    """The report in one sentence."""
    match report.state:
        case State.REFUSED:
            return f"refused, nothing was changed: {report.refusal}"
        case State.APPLIED_BEFORE:
            words = f"this file was applied before; nothing was changed ({report.row_count} rows)"
            return f"{words}{_AGAIN}" if report.undo else words
        case State.UNDER_WAY:
            words = f"under way: {report.applied_count} of {report.row_count} rows are applied"
            stops = f"{words}; {report.stopped_by} had it stopped: it ends within some thousand rows"
            return stops if report.stopped_by else words
        case State.BROKEN_OFF:
            return (
                f"broken off: of {report.row_count} rows {report.applied_count} or more are applied, and nobody goes "
                "on with it. Bring in the same file again: the rest is done, and nothing twice"
            )
        case State.STOPPED:
            return (
                f"stopped: of {report.row_count} rows {report.applied_count + report.replayed_count} or some more are "
                "applied. Bring in the same file again: the rest is done, and nothing twice"
            )
        case State.PREVIEWED:
            fit = report.row_count - report.problem_count
            return f"preview: {fit} of {report.row_count} rows would be applied, {report.problem_count} cannot be"
        case State.APPLIED:
            before = f", {report.replayed_count} had been before" if report.replayed_count else ""
            wrong = f", {report.problem_count} were refused" if report.problem_count else ""
            again = _AGAIN if report.replayed_count and report.undo else ""
            return f"{report.applied_count} of {report.row_count} rows applied{before}{wrong}{again}"
