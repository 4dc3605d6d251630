"""Which sell-outs are played, and what is reported of them: `python -m simulation --only sellouts` calls this.

The report grows by a market at a time, so that it can be stopped and gone on with: what it has is not played again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from time import monotonic
from typing import Any

from simulation.engine import database, read, stored
from simulation.sellout_picture import Line, lines
from simulation.sellout_terms import PLACES, UNITS, Played, Size, Terms
from simulation.sellouts import play

Say = Callable[[str], None]
PICTURE = Path(__file__).parents[2] / "docs" / "explanation" / "sellouts.svg"
LOADS = (0.2, 1.0, 2.0, 4.0, 8.0)
# Oversold units per sell-out of 40 units at four channels, by load: of models without any engine, with fixed delays.
# Published with the analysis that this engine's design follows; not measured here.
PUBLISHED: Mapping[str, Mapping[float, float]] = {
    "keyed delta": {0.2: 0.16, 1.0: 0.77, 2.0: 1.52, 4.0: 3.07, 8.0: 6.08},
    "blind set": {0.2: 0.25, 1.0: 1.14, 2.0: 2.32, 4.0: 4.74, 8.0: 9.54},
}
# Of mode auto: in no more sell-outs than this may a unit be sold twice.
AUTO_SHARE_MAX = 0.003
# A market.
SIZE = Size(at_once=4, waves=6)

ROWS = (
    *(Terms("pooled", "4 Shopify", load) for load in LOADS),
    *(Terms("auto", "4 Shopify", load) for load in LOADS),
    *(Terms("guarded", "4 Shopify", load) for load in LOADS),
    *(Terms("buffered", "4 Shopify", load) for load in LOADS),
    *(Terms(manner, "4 Shopify", 2.0, 3.0) for manner in ("pooled", "auto", "guarded", "buffered")),
    *(Terms("auto, unknown", "4 Shopify", load) for load in (1.0, 4.0)),
    *(Terms(manner, "3 Shopify, 1 Amazon", 1.0) for manner in ("pooled", "auto", "guarded", "buffered")),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of all sell-outs of the same terms. Seconds are virtual."""

    terms: Terms
    tau_s: float
    tau_busy_s: float | None
    oversold: Sequence[int]
    stranded: Sequence[int]
    refused: int
    refused_early: int
    threshold_units: float | None
    buffer_units: float | None

    @property
    def count(self) -> int:
        return len(self.oversold)

    @property
    def oversold_mean(self) -> float:
        return sum(self.oversold) / self.count

    @property
    def oversold_error(self) -> float:
        """Half of the 95 % interval of the mean."""
        spread = sum((units - self.oversold_mean) ** 2 for units in self.oversold) / max(1, self.count - 1)
        return 1.96 * sqrt(spread / self.count)

    @property
    def bad_count(self) -> int:
        return sum(units > 0 for units in self.oversold)

    @property
    def stranded_mean(self) -> float:
        return sum(self.stranded) / self.count


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share, by Wilson's score: it says something at no hits as well."""
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def rows_of(report: Mapping[str, Any]) -> list[Row]:
    """The rows of a report, in the order of `ROWS`."""
    return [row for terms in ROWS if (row := _row(terms, report["markets"])) is not None]


def _row(terms: Terms, markets: Iterable[Mapping[str, Any]]) -> Row | None:
    mine = [one for one in markets if one["terms"] == _named(terms)]
    if not mine:
        return None
    busy = [(one["tau_busy_s"], one["busy_count"]) for one in mine if one["busy_count"]]
    return Row(
        terms,
        tau_s=_mean([one["tau_s"] for one in mine]) or 0.0,
        tau_busy_s=sum(tau * count for tau, count in busy) / sum(count for _, count in busy) if busy else None,
        oversold=[units for one in mine for units in one["oversold"]],
        stranded=[units for one in mine for units in one["stranded"]],
        refused=sum(one["refused"] for one in mine),
        refused_early=sum(one["refused_early"] for one in mine),
        threshold_units=_mean([units for one in mine for units in one["thresholds"]]),
        buffer_units=_mean([units for one in mine for units in one["buffers"]]),
    )


def _mean(figures: Sequence[float]) -> float | None:
    return sum(figures) / len(figures) if figures else None


def _named(terms: Terms) -> dict[str, Any]:
    return {"manner": terms.manner, "place": terms.place, "load": terms.load, "clump": terms.clump}


def simulate(count: int, *, machine: str, say: Say) -> None:
    """Play until each row has `count` sell-outs, a market of each row in turn. What the report has stays."""
    report = read("sellouts") or {"machine": machine, "units": UNITS, "seconds": 0.0, "markets": []}
    with database() as dsn:
        while left := [terms for terms in ROWS if (_count(terms, report) < count)]:
            fewest = min(_count(terms, report) for terms in left)
            terms = next(terms for terms in sorted(left, key=_turn) if _count(terms, report) == fewest)
            seed = 1 + sum(one["terms"] == _named(terms) for one in report["markets"])
            began = monotonic()
            played = play(dsn, terms, seed, SIZE)
            report["markets"].append(as_document(played))
            report["seconds"] = round(report["seconds"] + monotonic() - began, 1)
            stored("sellouts", report)
            row = _row(terms, report["markets"])
            assert row is not None
            say(f"  {terms.manner}, {terms.place}, load {terms.load:g}, clump {terms.clump:g}: {row.count} sell-outs,")
            said = (
                f"{row.bad_count} of them oversold, {row.oversold_mean:.2f} and left {row.stranded_mean:.2f} on average"
            )
            say(f"    {said}, {monotonic() - began:.0f} s")
    PICTURE.write_text(picture(rows_of(report)))
    _judge(rows_of(report))


def _turn(terms: Terms) -> int:
    """The loads in the middle first: of those that are the quickest to play."""
    return (2.0, 8.0, 4.0, 1.0, 0.2).index(terms.load)


def _count(terms: Terms, report: Mapping[str, Any]) -> int:
    return sum(len(one["oversold"]) for one in report["markets"] if one["terms"] == _named(terms))


def _judge(rows: Sequence[Row]) -> None:
    """Of a guarded SKU nothing is ever sold twice, and nothing is left that somebody wanted."""
    for row in rows:
        if row.terms.manner == "guarded":
            assert row.bad_count == 0, f"{row.terms}: sold twice in {row.bad_count} of {row.count} sell-outs"
            assert not any(row.stranded), f"{row.terms}: {sum(row.stranded)} units were left"


def as_document(played: Played) -> dict[str, Any]:
    """One market, for the report."""
    sellouts = played.sellouts
    delays = [delay for one in sellouts for delay in one.delays_s] if played.terms.is_pooled else []
    return {
        "terms": _named(played.terms),
        "seed": played.seed,
        "at_once": SIZE.at_once,
        "tau_s": round(played.tau_s, 4),
        "tau_busy_s": round(sum(delays) / len(delays), 4) if delays else None,
        "busy_count": len(delays),
        "oversold": [one.oversold for one in sellouts],
        "stranded": [one.stranded for one in sellouts],
        "refused": sum(one.refused for one in sellouts),
        "refused_early": sum(one.refused_early for one in sellouts),
        "thresholds": played.thresholds if played.terms.manner == "auto" else [],
        "buffers": played.buffers if played.terms.manner == "buffered" else [],
    }


# The page -----------------------------------------------------------------------------------------------------------


def section(report: Mapping[str, Any]) -> Iterator[str]:
    """The part of the page of evidence; nothing where nothing was played."""
    if not report:
        return
    rows = rows_of(report)
    played = sum(row.count for row in rows)
    yield "## What each mode costs, sell-out by sell-out"
    yield ""
    yield f"{played:,} sell-outs of {UNITS} units, without faults, {report['machine']},"
    yield f"{report['seconds'] / 60:,.0f} minutes."
    yield '`make simulate ARGS="--only sellouts"`; continued until each row has `--sellouts` of them.'
    yield ""
    yield "Buyers come by chance, each to one of four channels, until nothing can be bought anywhere. **λτ** is how"
    yield "many come in a blind window; τ is measured at the channels' own books in the same run, from a sale at one"
    yield "until another shows it, while all sells slowly. *Busy* is the same in the first half of the sell-out itself."
    yield "*Published* are model figures for the same λτ, not measured here. *Left* are units that nobody could buy"
    yield "although there were buyers; *turned away* are buyers, per sell-out, that found nothing before the last unit"
    yield "was sold."
    yield ""
    at_once = " or ".join(str(units) for units in sorted({one["at_once"] for one in report["markets"]}))
    yield f"So many goods were sold out at once, by the same shops: {at_once}. They share each shop's budget of calls:"
    yield "a figure is read before it is written and after it, and of the smallest plan the connector takes one"
    yield "reading a second once a burst of twenty is used up. So τ grows with every good that sells at the same time,"
    yield "and where *busy* is longer than τ the test is harder than its λτ says. A threshold above the units of a"
    yield "sell-out means that the good was guarded from its first sale on."
    yield ""
    yield (
        "| mode | λτ | sell-outs | **oversold units per sell-out** | published: keyed delta | published: blind set "
        "| sell-outs oversold (95 %) | left | turned away | threshold or buffer | τ, s (busy) |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    yield from map(_line, rows)
    yield ""
    yield f"![Oversold units per sell-out, by λτ]({PICTURE.name})"
    yield ""
    yield from _said(rows)
    yield ""


def _line(row: Row) -> str:
    terms, (low, high) = row.terms, wilson(row.bad_count, row.count)
    name = (
        terms.manner
        if terms.clump == 1.0
        else f"{terms.manner}, buyers in groups (variance {terms.clump:g} times the mean)"
    )
    if terms.place != next(iter(PLACES)):
        name += f", {terms.place}"
    known = [_published(kind, terms) for kind in PUBLISHED]
    kept = row.threshold_units if row.threshold_units is not None else row.buffer_units
    cells = [
        name,
        f"{terms.load:g}",
        f"{row.count}",
        f"**{row.oversold_mean:.2f}** ± {row.oversold_error:.2f}",
        *("-" if units is None else f"{units:.2f}" for units in known),
        f"{row.bad_count / row.count:.1%} ({low:.1%} to {high:.1%})",
        f"{row.stranded_mean:.2f}",
        f"{row.refused_early / row.count:.1f}",
        "-" if kept is None else f"{kept:.1f}",
        f"{row.tau_s:.2f}" + ("" if row.tau_busy_s is None else f" ({row.tau_busy_s:.2f})"),
    ]
    return "| " + " | ".join(cells) + " |"


def _published(kind: str, terms: Terms) -> float | None:
    is_same = terms.manner == "pooled" and terms.clump == 1.0 and terms.place == "4 Shopify"
    return PUBLISHED[kind].get(terms.load) if is_same else None


def _said(rows: Sequence[Row]) -> Iterator[str]:
    """What is met of what was wanted, and what is not."""
    yield "What was wanted, and whether these sell-outs show it:"
    yield ""
    for row in rows:
        wanted = _published("keyed delta", row.terms)
        if row.terms.manner == "pooled" and wanted is not None:
            word = "met" if row.oversold_mean <= wanted else "**not met**"
            yield f"- pooled at λτ {row.terms.load:g}: {row.oversold_mean:.2f}, at most {wanted:.2f} wanted: {word}"
    for manner, most in (("auto", AUTO_SHARE_MAX), ("guarded", 0.0)):
        mine = [row for row in rows if row.terms.manner == manner]
        count, bad = sum(row.count for row in mine), sum(row.bad_count for row in mine)
        left = sum(sum(row.stranded) for row in mine)
        if count:
            low, high = wilson(bad, count)
            word = "met" if bad / count <= most and not left else "**not met**"
            if word == "met" and high > max(most, AUTO_SHARE_MAX):
                word = "none found, in **too few to show it**"
            yield (
                f"- {manner}: {bad} of {count:,} sell-outs oversold ({bad / count:.2%}, 95 % {low:.2%} to {high:.2%}), "
                f"at most {most:.1%} wanted; {left} units left, 0 wanted: {word}"
            )


def picture(rows: Sequence[Row]) -> str:
    """Oversold units over load, for the rows with four equal channels and single buyers, and the published figures."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row.terms.place == "4 Shopify" and row.terms.clump == 1.0 and row.terms.manner != "auto, unknown":
            found.setdefault(row.terms.manner, []).append((row.terms.load, row.oversold_mean))
    drawn = [Line(name, tuple(points)) for name, points in found.items()]
    drawn += [Line(f"published: {name}", tuple(points.items()), is_dashed=True) for name, points in PUBLISHED.items()]
    return lines(drawn, across="λτ: buyers in a blind window", up="oversold units per sell-out of 40")
