"""Every scenario once more for each point at which a crash can make a difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from oneshelf.simulation.outcome import Outcome
from oneshelf.simulation.run import live
from oneshelf.simulation.scenarios import SCENARIOS
from oneshelf.simulation.scene import MISSED


@dataclass(slots=True)
class Swept:
    """One scenario. `points`: of its run without a crash; `tried`: of them those at which it died."""

    scenario: str
    points: int = 0
    tried: int = 0
    failures: list[tuple[int, Outcome]] = field(default_factory=list)


def sweep(dsn: str, scenario: str, *, every: int = 1, tell: Callable[[Swept], None] = lambda _swept: None) -> Swept:
    """Play a scenario on this database, and then again with the engine killed at every `every`-th point.

    A run in which the engine was not killed is a failure too: it would prove nothing.
    """
    swept = Swept(scenario)
    calm = live(dsn, 1, scenario=scenario)
    if calm.sometimes[MISSED]:
        calm.violation = calm.violation or MISSED
    if calm.violation:
        swept.failures.append((0, calm))
        return swept
    swept.points = len(calm.crash_points)
    # Another beginning for each, so that all kinds of points are met also where only some are tried.
    for point in calm.crash_points[list(SCENARIOS).index(scenario) % every :: every]:
        outcome = live(dsn, 1, scenario=scenario, crash_at=point)
        if not outcome.crashes:
            outcome.violation = outcome.violation or f"the engine never came to point {point}"
        swept.tried += 1
        if outcome.violation:
            swept.failures.append((point, outcome))
        tell(swept)
    return swept
