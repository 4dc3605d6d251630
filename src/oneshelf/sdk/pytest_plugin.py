"""The plugin of pytest: the option `--connector`, and the table at the end. It is loaded by every run of pytest."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

# Under this name a result travels from the test, in whatever process it runs, to the table.
PROPERTY = "oneshelf_conformance"


def pytest_addoption(parser: Any) -> None:
    parser.addoption("--connector", metavar="NAME", help="the kind of channel that oneshelf's conformance suite tries")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Run, exempt with the reason, failed: a line per check. Nothing where no suite ran."""
    lines: dict[str, list[tuple[str, str, str, str]]] = defaultdict(list)
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, line in getattr(report, "user_properties", ()):
                if name == PROPERTY and getattr(report, "when", "") == "call":
                    lines[line[0]].append(tuple(line[1:]))
    for kind, checks in sorted(lines.items()):
        terminalreporter.section(f"conformance of {kind}")
        for rule, check, verdict, words in checks:
            if verdict != "run" or terminalreporter.verbosity > 0:
                terminalreporter.line(f"{verdict:<7} {rule:<13} {check.replace('_', ' ')}{_because(words)}")
        counts = Counter(verdict for _rule, _check, verdict, _words in checks)
        told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("run", "exempt", "failed"))
        terminalreporter.line(f"{kind}: {told}; -v lists those that ran")


def _because(words: str) -> str:
    return f": {words.splitlines()[0][:200]}" if words else ""
