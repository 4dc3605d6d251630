"""A check: one rule that every connector keeps, and whether it applies to a kind of channel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from oneshelf.sdk.capability import Capability, WriteKind

if TYPE_CHECKING:
    from oneshelf.sdk.conformance.bench import Bench

Run = Callable[["Bench"], Awaitable[None]]
# Why a check says nothing about a channel that declares this; empty where it does say something.
Unless = Callable[[Capability], str]


class Violation(AssertionError):
    """The connector does not keep the rule. The text has the figures."""


class CannotHappenError(Exception):
    """The simulated channel has no such thing. Only a reason in the connector's `quality.toml` makes that good."""


def fail(words: str) -> NoReturn:
    """The rule is broken."""
    raise Violation(words)


def expect(claim: object, words: str) -> None:
    """Raise Violation unless the claim holds."""
    if not claim:
        fail(words)


def must_happen(has_happened: object, what: str) -> None:
    """Raise CannotHappenError unless the simulator did what it was asked."""
    if not has_happened:
        raise CannotHappenError(f"the simulator cannot {what}")


@dataclass(frozen=True)
class Check:
    """One rule. `name` is the rule in words, `why` the first words of its docstring.

    `rule`: the line of `quality.toml` that it belongs to. `proves`: the members of `Capability` that it tries.
    `is_repeated`: it is run twice, and has to send the same requests both times. `asks`: it reads, writes or polls,
    which is never done at a channel that shows no figure.
    """

    name: str
    why: str
    rule: str
    proves: tuple[str, ...]
    unless: Unless
    run: Run
    is_repeated: bool = False
    asks: bool = False

    def exemption(self, capability: Capability) -> str:
        """Why it does not apply to a channel that declares this; empty: it applies."""
        if self.asks and not capability.shows_figures:
            return "shows_figures is false"
        return self.unless(capability)


CHECKS: dict[str, Check] = {}
# Rules of which every check reads, writes or polls.
ASKING_RULES = frozenset({"polling", "orders", "stock", "writes", "feed", "news", "faults", "limits"})


def _always(_capability: Capability) -> str:
    return ""


def check(
    rule: str,
    *,
    proves: tuple[str, ...] = (),
    unless: Unless = _always,
    is_repeated: bool = False,
    asks: bool = False,
) -> Callable[[Run], Run]:
    """Add a function to the suite under its own name."""

    def add(run: Run) -> Run:
        name = getattr(run, "__name__", "")
        if name in CHECKS or not run.__doc__:
            raise TypeError(f"a check needs a name of its own and a docstring that says why: {name}")
        CHECKS[name] = Check(
            name, run.__doc__.strip(), rule, proves, unless, run, is_repeated, asks or rule in ASKING_RULES
        )
        return run

    return add


# Reasons that follow from what is declared --------------------------------------------------------------------


def no_webhooks(declared: Capability) -> str:
    return "" if declared.has_webhooks else "has_webhooks is false"


def webhooks(declared: Capability) -> str:
    return "has_webhooks is true" if declared.has_webhooks else ""


def figures_shown(declared: Capability) -> str:
    return "shows_figures is true" if declared.shows_figures else ""


def no_devices(declared: Capability) -> str:
    return figures_shown(declared) or ("takes_purchase_orders is true" if declared.takes_purchase_orders else "")


def no_purchase_orders(declared: Capability) -> str:
    return "" if declared.takes_purchase_orders else "takes_purchase_orders is false"


def no_lag(declared: Capability) -> str:
    return "" if declared.orders_lag_s > 0 else "orders_lag_s is 0"


def no_staleness(declared: Capability) -> str:
    return "" if declared.stale_s > 0 else "stale_s is 0"


def no_key(declared: Capability) -> str:
    return "" if declared.key_life_s > 0 else "key_life_s is 0"


def no_daily_changes(declared: Capability) -> str:
    return "" if declared.changes_per_day else "changes_per_day is 0"


def no_stock_file(declared: Capability) -> str:
    return "" if declared.has_stock_file else "has_stock_file is false"


def no_feed(declared: Capability) -> str:
    return "" if declared.feed_writes else "feed_writes is 0"


def no_queue(declared: Capability) -> str:
    return "" if declared.has_queue else "has_queue is false"


def no_single_orders(declared: Capability) -> str:
    return "" if declared.has_single_orders else "has_single_orders is false"


def no_checkout(declared: Capability) -> str:
    return "" if declared.asks_at_checkout else "asks_at_checkout is false"


def no_movable_states(declared: Capability) -> str:
    return "" if declared.movable_states else "movable_states is empty"


def no_comparison(declared: Capability) -> str:
    return "" if declared.write_kind is WriteKind.COMPARE_AND_SET else f"write_kind is {declared.write_kind}"


def comparison(declared: Capability) -> str:
    return f"write_kind is {declared.write_kind}" if declared.write_kind is WriteKind.COMPARE_AND_SET else ""


def applied_when_answered(declared: Capability) -> str:
    return "is_applied_when_answered is true" if declared.is_applied_when_answered else ""


def applied_later(declared: Capability) -> str:
    return "" if declared.is_applied_when_answered else "is_applied_when_answered is false"


def no_limits(declared: Capability) -> str:
    return "" if declared.limits else "limits is empty"
