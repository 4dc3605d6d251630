"""What goes wrong in a run: each fault off, rare or heavy, drawn for each seed; and how often each has struck."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random

from oneshelf.errors import ConfigurationError

# Of the occasions of a fault, how many are struck.
OFF, RARE, HEAVY = "off", "rare", "heavy"
GRADES = (OFF, RARE, HEAVY)


@dataclass(frozen=True, slots=True)
class Fault:
    """`rare` and `heavy`: shares of its occasions."""

    name: str
    rare: float
    heavy: float
    meaning: str


# Between the engine and a channel, counted for each channel.
OF_CHANNELS = (
    Fault("webhook_lost", 0.05, 0.4, "a delivery never comes"),
    Fault("webhook_repeated", 0.05, 0.4, "a delivery comes twice"),
    Fault("webhook_renamed", 0.05, 0.3, "a delivery comes again under another id"),
    Fault("webhook_late", 0.05, 0.3, "a delivery comes after many others"),
    Fault("request_lost", 0.02, 0.15, "a request never arrives"),
    Fault("answer_lost", 0.02, 0.15, "a request is done, and its answer never comes"),
    Fault("request_late", 0.01, 0.1, "a request that nobody waits for any more is done late"),
    Fault("slow", 0.05, 0.3, "an answer takes long"),
    Fault("foreign_edit", 0.02, 0.2, "somebody types another figure into the channel's own page"),
    Fault("order_changed", 0.1, 0.5, "an order is cancelled, in whole or in part, edited, or refunded"),
    Fault("token_revoked", 0.01, 0.05, "somebody takes our access away, and gives it back"),
    Fault("channel_clock", 0.3, 1.0, "the channel's clock is seconds off"),
    Fault("partition", 0.002, 0.01, "nothing passes between a node and a channel for a while"),
)
# What the simulated channel does by itself, on a switch of this name; not every channel has each.
OF_SWITCHES = (
    Fault("throttle", 0.02, 0.2, "the channel's budget is used up"),
    Fault("http_429", 0.02, 0.1, "429 with the time to wait"),
    Fault("http_429_bare", 0.02, 0.1, "429 without it"),
    Fault("server_error", 0.02, 0.1, "an answer is 5xx"),
    Fault("error_storm", 0.003, 0.02, "for a while every answer is 5xx"),
    Fault("stale_read", 0.03, 0.25, "a reading is some seconds old"),
    Fault("partial_page", 0.03, 0.25, "a page ends early"),
    Fault("page_drift", 0.03, 0.25, "what is listed moves while pages are read"),
    Fault("token_expired", 0.005, 0.03, "a token dies early"),
    Fault("slow_write", 0.03, 0.2, "a write takes seconds"),
    Fault("write_never_applied", 0.02, 0.15, "a write is accepted and never shows"),
    Fault("order_late", 0.03, 0.2, "an order cannot be searched for yet"),
    Fault("zero_refused", 0.03, 0.2, "zero is not taken, and what was shown sells on"),
    Fault("row_failed", 0.03, 0.2, "one row of a batch fails, and the others are taken"),
    Fault("concurrent_refused", 0.03, 0.2, "a write is refused while another one is at work"),
)
# Of nodes and the database.
OF_NODES = (
    Fault("crash", 0.0001, 0.001, "a node dies at any step"),
    Fault("pause", 0.0001, 0.0005, "a node stands still for longer than its leases, and goes on"),
    Fault("clock", 0.3, 1.0, "the clock of a node is minutes off"),
    Fault("connection_lost", 0.0003, 0.003, "a connection to the database breaks before a statement"),
    Fault("commit_unknown", 0.0003, 0.003, "a connection breaks after the statement, before its answer"),
    Fault("deadlock", 0.0003, 0.003, "the database breaks a deadlock"),
    Fault("disk_full", 0.0003, 0.002, "the database has no room for a statement"),
)
# Of merchants in their back offices. They throw dice of their own: without them every day stays what it was.
OF_MERCHANTS = (
    Fault("silent_move", 0.03, 0.25, "units are moved from sale to another state, and nothing is said"),
    Fault("unit_returned", 0.1, 0.5, "a shipped unit comes back, is refunded, and on sale again or not"),
    Fault("order_rerouted", 0.1, 0.5, "a part of an order is to leave from another location, or from here again"),
)
ALL = (*OF_CHANNELS, *OF_SWITCHES, *OF_NODES, *OF_MERCHANTS)
BY_NAME = {fault.name: fault for fault in ALL}


def drawn(seed: int) -> dict[str, str]:
    """Fault -> how hard it strikes in the run of this seed. Half of all are off, so that each is seen with few others.

    With dice of its own: whoever asks for the same faults by their names lives the same run.
    """
    random = Random(f"{seed}:grades")  # noqa: S311  # repeatable, not a secret
    return {fault.name: random.choice((OFF, OFF, RARE, HEAVY)) for fault in ALL}


def asked_for(text: str) -> dict[str, str]:
    """`crash=heavy,slow=rare` -> what to set; all others off. Raises ConfigurationError, naming what there is."""
    grades = dict.fromkeys(BY_NAME, OFF)
    for part in filter(None, text.split(",")):
        name, _, grade = part.partition("=")
        if name not in BY_NAME or (grade or HEAVY) not in GRADES:
            raise ConfigurationError(
                f"no fault {part!r}; each is name=off, rare or heavy, and the names are {', '.join(BY_NAME)}"
            )
        grades[name] = grade or HEAVY
    return grades


class Faults:
    """The faults of one run. `grades`: fault -> off, rare or heavy. Ends with `stop`.

    `merchants`: the dice of what merchants do; default: those of all.
    """

    def __init__(self, grades: Mapping[str, str], random: Random, merchants: Random | None = None) -> None:
        self.grades = dict(grades)
        self._random = random
        self._own = {fault.name: merchants or random for fault in OF_MERCHANTS}
        self.have_stopped = False
        # Not yet: everything is brought into order first.
        self.are_resting = False
        self.hits: Counter[tuple[str, str]] = Counter()
        self.sometimes: Counter[str] = Counter()

    def rate(self, name: str) -> float:
        """The share of its occasions that are struck now."""
        if self.have_stopped or self.are_resting:
            return 0.0
        fault = BY_NAME[name]
        return {OFF: 0.0, RARE: fault.rare, HEAVY: fault.heavy}[self.grades[name]]

    def strikes(self, name: str, where: str = "") -> bool:
        """Whether it happens on this occasion. `where`: the channel."""
        rate = self.rate(name)
        if rate == 0.0 or self._own.get(name, self._random).random() >= rate:
            return False
        self.hits[name, where] += 1
        return True

    def switches(self, known: Iterable[str]) -> dict[str, float]:
        """What a simulator that has these switches is told to do by itself."""
        return {fault.name: self.rate(fault.name) for fault in OF_SWITCHES if fault.name in known}

    def saw(self, what: str) -> None:
        """Something happened that must happen now and then, or the runs were too easy."""
        self.sometimes[what] += 1

    def stop(self) -> None:
        """From now on everything works."""
        self.have_stopped = True


def without(grades: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The same with these off."""
    return {**grades, **dict.fromkeys(names, OFF)}
