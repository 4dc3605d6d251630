"""Writes docs/explanation/evidence.md from the reports of the runs: `python -m simulation.evidence`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from oneshelf.simulation.faults import OF_CHANNELS, OF_NODES, OF_SWITCHES, Fault
from oneshelf.simulation.shapes import MIDDLEWARE_DAY, SWITCHED_DAY
from simulation.engine import in_words, joined, read
from simulation.mutants import MUTANTS
from simulation.sellout_rows import section

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "evidence.md"
CHANNELS = ("shopify", "amazon", "ebay")


def page(
    days: Mapping[str, Any],
    switched: Mapping[str, Any],
    middleware: Mapping[str, Any],
    bugs: Mapping[str, Any],
    crashes: Mapping[str, Any],
    sellouts: Mapping[str, Any],
) -> str:
    """The page, from the six reports."""
    total = joined(days["states"])
    parts = (
        _head(),
        _days(days["states"], total),
        _cells(total),
        _switched(switched),
        _middleware(middleware),
        _bugs(bugs),
        _crashes(crashes),
        section(sellouts),
        _limits(),
    )
    return "\n".join(line for part in parts for line in part) + "\n"


def _head() -> Iterator[str]:
    yield "# Evidence"
    yield ""
    yield "What was run, how hard it was, and what it found. Written by `make evidence` from the reports of the runs"
    yield "themselves, which lie in `tests/simulation/reports`. How it works:"
    yield "[extend the simulation](../how-to/extend-the-simulation.md)."
    yield ""


def _days(states: Sequence[Mapping[str, Any]], days: Mapping[str, Any]) -> Iterator[str]:
    runs = days["runs"]
    yield "## Days under every fault"
    yield ""
    spans = ", ".join(f"{first} to {last}" for first, last in days["seeds"])
    yield f"Seeds {spans}, {days['machine']}, {days['seconds'] / 3600:,.1f} hours."
    yield '`make simulate SEEDS=1 ARGS="--only days --days 10000"` adds what the report does not have yet.'
    yield ""
    yield "| | |"
    yield "|---|---:|"
    for name, words in {
        "runs": "days",
        "events": "steps of the engine",
        "orders": "orders at the channels",
        "commands": "commands of people and programs",
        "crashes": "engines that died",
        "looks": "looks at the ledger by the auditor",
    }.items():
        yield f"| {words} | {days[name]:,} |"
    yield f"| faults | {sum(days['hits'].values()):,} |"
    yield f"| longest until all had come to rest, s | {days['settled_s_max']:,.0f} |"
    yield f"| **violations** | **{len(days['failures'])}** |"
    yield ""
    yield "The engine is worked on meanwhile. A day counts for the state of its code that lived through it; what failed"
    yield "in one state is tried again in each that follows. Up to `06288e7d5f54` days that were lived at the same time"
    yield "shared a server, and a day could see that another was under way: its seed alone does not always repeat it."
    yield ""
    yield "| code | days | violations |"
    yield "|---|---:|---|"
    for state in states:
        failed = "; ".join(f"seed {one['seed']}: {one['violation'][:160]}" for one in state["failures"])
        yield f"| `{state['code']}` | {state['runs']:,} | {failed.replace('|', '/') or 0} |"
    yield ""
    if not days["failures"]:
        yield f"From {runs:,} days without a violation follows, with 95 % confidence, that fewer than {3 / runs:.1e} of"
        yield "such days have one (rule of three). That is a statement about these days, not about all days."
        yield ""


def _cells(days: Mapping[str, Any]) -> Iterator[str]:
    yield "## How often each fault struck"
    yield ""
    yield "| fault | what it is | " + " | ".join(CHANNELS) + " |"
    yield "|---|---|" + "---:|" * len(CHANNELS)
    for fault in (*OF_CHANNELS, *OF_SWITCHES):
        cells = " | ".join(_count(days["hits"], fault, channel) for channel in CHANNELS)
        yield f"| `{fault.name}` | {fault.meaning} | {cells} |"
    for fault in OF_NODES:
        yield f"| `{fault.name}` | {fault.meaning} | {days['hits'].get(fault.name, 0):,} | |"
    yield ""
    yield "A channel without the matter (a dash) has none of it: Amazon sends no webhooks, Shopify's token lasts."
    yield ""
    yield "Things that have to happen now and then, or the days were too easy:"
    yield ""
    for what, count in days["sometimes"].items():
        yield f"- {what}: {count:,}"
    yield ""


def _switched(switched: Mapping[str, Any]) -> Iterator[str]:
    yield "## Architectures that are switched under load"
    yield ""
    yield f"{len(switched['days'])} days under every fault on which it is said anew who rules, the engine or Shopify,"
    yield "now and then nobody, while everybody buys, types and works on. What is demanded of other days is demanded of"
    yield "these: units are conserved, and on a guarded day none is shown or sold that is not there."
    yield from _shaped(
        SWITCHED_DAY, switched, {"switches": "switches", "watched": "only watched", "typed": "figures typed"}
    )


def _middleware(middleware: Mapping[str, Any]) -> Iterator[str]:
    yield "## A warehouse and an ERP that rule by rank"
    yield ""
    yield f"{len(middleware['days'])} days under every fault of a middleware. The warehouse ranks first: units lie on"
    yield "its shelf of which no paper says so, or are missing, and it counts while everybody sells on. The ERP states"
    yield "what came and left by document, some of it twice at the same time, some of it with another content, and"
    yield "figures of its own that are wrong. All of other days is demanded, and to the unit: what the last count found"
    yield "is in the ledger, each document moved units once, and what contradicts or ranks below moved none."
    words = {"counts": "counts", "surprises": "of these what no paper knew", "deliveries": "documents"}
    words |= {"twice": "of these twice", "contradictions": "with another content", "wrong": "wrong figures"}
    yield from _shaped(MIDDLEWARE_DAY, middleware, words)


def _shaped(shape: str, report: Mapping[str, Any], words: Mapping[str, str]) -> Iterator[str]:
    """The table of days of a shape. `words`: what is counted of it alone, with the words above it."""
    rows = report["days"]
    failed = sum(bool(row["violation"]) for row in rows)
    yield f"**{failed} violations.** Code `{report['code']}`, {report['machine']}, {report['seconds']:,} s."
    yield f'`make simulate SEEDS={rows[0]["seed"]}-{rows[-1]["seed"]} ARGS="--only {shape}"`'
    yield ""
    names = {**words, "orders": "orders", "commands": "commands", "faults": "faults", "crashes": "died"}
    names["settled_s"] = "at rest after, s"
    yield f"| seed | mode | {' | '.join(names.values())} |"
    yield f"|---:|---|{'---:|' * len(names)}"
    for row in rows:
        yield f"| {row['seed']} | {row['mode']} | " + " | ".join(f"{row[name]:,}" for name in names) + " |"
    yield ""


def _count(hits: Mapping[str, int], fault: Fault, channel: str) -> str:
    count = hits.get(f"{fault.name} {channel}", 0)
    return f"{count:,}" if count else "-"


def _bugs(bugs: Mapping[str, Any]) -> Iterator[str]:
    found = bugs["found"]
    yield "## Planted bugs"
    yield ""
    yield f"{len(found)} of {len(MUTANTS)} bugs that were planted on purpose were found, each within"
    yield (
        f"{bugs['seeds_max']} seeds, or in a scenario that is made for it. "
        '`make simulate ARGS="--only bugs"`; what each changes is in `tests/simulation/mutants.toml`.'
    )
    yield ""
    yield "| bug | found by | as |"
    yield "|---|---|---|"
    for name, one in found.items():
        words = one["by"].split(": ")[0] if len(one["by"]) > 90 else one["by"]
        yield f"| {name} | {in_words(one)} | {words.replace('|', '/')[:120]} |"
    for mutant in MUTANTS:
        if mutant.name not in found:
            words = "**not found**" if mutant.name in bugs["not_found"] else "not looked for to the end"
            yield f"| {mutant.name} | {words} | |"
    yield ""


def _crashes(crashes: Mapping[str, Any]) -> Iterator[str]:
    rows = crashes["scenarios"]
    tried, points = (sum(row[name] for row in rows) for name in ("tried", "points"))
    yield "## A crash at every point"
    yield ""
    yield f"{len(rows)} scenarios have {points:,} points at which a crash can make a difference: just before and just"
    yield f"after something was written. The engine was killed at {tried:,} of them (every {crashes['every']}.), and"
    yield f'all was right after it came up again. `make simulate ARGS="--only crashes --every {crashes["every"]}"`'
    yield ""
    yield "| scenario | points | tried |"
    yield "|---|---:|---:|"
    for row in rows:
        yield f"| {row['scenario']} | {row['points']} | {row['tried']} |"
    yield ""


def _limits() -> Iterator[str]:
    yield "## What this does not show"
    yield ""
    yield "- The channels are simulators that follow their documentation; none of this was measured at a live account."
    yield "- Engines of a run share one process and one real PostgreSQL. Its own crashes, a full disk and real pauses"
    yield '  are tried with real processes (`make simulate ARGS="--only kills"`).'
    yield "- On two days of five all SKUs are guarded, and no unit may be sold twice; on one of five they are in mode"
    yield "  auto; on the others they are pooled, so two channels can both sell the last unit: there the"
    yield "  auditor demands that such an order is recorded as short and that the figures come right, no more."
    yield "- On a guarded day nobody edits a figure at the channel, no order comes later than the channel declares, and"
    yield "  no unit is lost: nobody can promise these."
    yield "- That nobody is said to have edited a figure who has not is demanded of guarded days alone, and at their"
    yield "  end: what was said before late news came is put right by it."
    yield "- Nobody moves units silently on days on which figures are edited or orders leave from elsewhere, since both"
    yield "  hide it."
    yield "- Where Shopify rules all day, what is typed there is in the ledger to the unit, but of a SKU of which a"
    yield "  figure was typed while a write had no answer: nobody can tell from what it started."
    yield "- Where the architecture is switched nobody can say of a figure whether it was to rule. Of SKUs that were"
    yield "  edited at Shopify on such a day, or of all where orders may be very late, the auditor takes for granted"
    yield "  what was adopted and demands all the rest."
    yield "- Nothing is typed at the ruler of a guarded SKU, and of channels only Shopify rules. On the days of a"
    yield "  middleware the warehouse counts by token, and takes for shipped what the ledger knows to have shipped."
    yield "- Most bugs of publishing are found in an act that was made for their rule, not by chance: that shows that"
    yield "  the auditor sees them, and not how often days under faults would meet them."
    yield "- Listings that end or change their SKU, and a failover that loses transactions, are not among the faults."


def main() -> None:
    PAGE.parent.mkdir(exist_ok=True)
    names = ("days", SWITCHED_DAY, MIDDLEWARE_DAY, "bugs", "crashes", "sellouts")
    PAGE.write_text(page(*map(read, names)))
    print(PAGE)


if __name__ == "__main__":
    main()
