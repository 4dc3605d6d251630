"""What a connector says of itself in its `quality.toml`, and which tier that is worth.

Each rule is `done`, `exempt` with a reason, or `todo` with what is missing. A tier is claimed by name, and earned when
all of its rules, and those of the tiers below it, are done or exempt.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from oneshelf.errors import ConfigurationError
from oneshelf.sdk.contract import ConnectorKind

# What each rule demands, by tier.
TIERS: Mapping[str, Mapping[str, str]] = {
    "bronze": {
        "conformance": "it passes the conformance suite against its own simulator",
        "signature-checked": "a delivery is believed only where the channel signed its bytes",
        "limits-documented": "its budgets of calls are declared, with the page that states them",
    },
    "silver": {
        "re-authentication": "credentials that expire are renewed, or a person is asked in time",
        "log-once-on-outage": "an outage is one line in the log when it begins and one when it ends",
        "partial-failures": "one bad row does not keep the others of its batch from being written",
        "known-lag-measured": "how long an order and a figure may lag was measured at a live account",
    },
    "gold": {
        "read-back-confirm": "a reading shows what the channel sells, and proves each write",
        "compare-and-set": "a write never buries a sale that no order has told yet",
        "recorded-fixtures": "answers of a live account are kept and read by its tests",
        "troubleshooting-page": "a page says what goes wrong at this channel, and the way out",
    },
}
RULES: Mapping[str, str] = {rule: demand for rules in TIERS.values() for rule, demand in rules.items()}
# Where one of these rules is done, so many checks of the suite have to apply to the channel, and not only excuses.
PROVED_BY: Mapping[str, tuple[str, ...]] = {
    "signature-checked": ("an_altered_body_is_refused", "another_secret_is_refused"),
    "limits-documented": ("the_declared_limits_keep_the_channel_content",),
    "partial-failures": ("outcomes_come_in_the_order_of_the_writes",),
    "read-back-confirm": ("a_foreign_edit_is_read",),
    "compare-and-set": ("a_foreign_edit_between_reading_and_writing_is_stale",),
}
NO_TIER = "none"
STATUSES = ("done", "exempt", "todo")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one rule stands. `reason`: why it is exempt, or what is still to do."""

    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Quality:
    """A connector's own words. `cannot_happen`: check -> why its channel can never come into that situation."""

    tier: str = NO_TIER
    rules: Mapping[str, Standing] = field(default_factory=dict)
    cannot_happen: Mapping[str, str] = field(default_factory=dict)

    @property
    def earned_tier(self) -> str:
        """The highest tier of which, and of those below it, every rule is done or exempt."""
        earned = NO_TIER
        for tier, rules in TIERS.items():
            if any(self.standing(rule).status == "todo" for rule in rules):
                return earned
            earned = tier
        return earned

    def standing(self, rule: str) -> Standing:
        return self.rules.get(rule, Standing("todo", "not stated"))


def package_of(kind: ConnectorKind) -> str:
    """The package in which a kind lives, and its `quality.toml` beside it."""
    module = type(kind).__module__
    loaded = sys.modules[module]
    return loaded.__package__ or module


def quality_of(kind: ConnectorKind) -> Quality:
    """What stands in the `quality.toml` of a kind; nothing where it has none. Raises ConfigurationError."""
    file = files(package_of(kind)).joinpath("quality.toml")
    if not file.is_file():
        return Quality()
    try:
        return quality_from(tomllib.loads(file.read_text(encoding="utf-8")), what=f"quality.toml of {kind.name}")
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(f"quality.toml of {kind.name} cannot be read: {problem}") from None


def quality_from(document: Mapping[str, Any], *, what: str) -> Quality:
    """Raises ConfigurationError that names an unknown tier, rule or status, or a missing reason."""
    unknown = set(document) - {"tier", "cannot_happen", *TIERS}
    if unknown:
        raise ConfigurationError(f"{what}: unknown {sorted(unknown)}; it takes tier, {', '.join(TIERS)}, cannot_happen")
    tier = document.get("tier", NO_TIER)
    if tier not in {NO_TIER, *TIERS}:
        raise ConfigurationError(f"{what}: unknown tier {tier!r}; there are {', '.join(TIERS)}")
    rules = {
        rule: _standing(rule, value, tier=one, what=what)
        for one in TIERS
        for rule, value in document.get(one, {}).items()
    }
    cannot_happen = dict(document.get("cannot_happen", {}))
    for check, reason in cannot_happen.items():
        if not isinstance(reason, str) or not reason.strip():
            raise ConfigurationError(f"{what}: cannot_happen.{check} needs a reason")
    return Quality(tier, rules, cannot_happen)


def _standing(rule: str, value: object, *, tier: str, what: str) -> Standing:
    if rule not in TIERS[tier]:
        raise ConfigurationError(f"{what}: unknown rule {tier}.{rule}; there are {', '.join(TIERS[tier])}")
    told = value if isinstance(value, dict) else {}
    status, reason = told.get("status"), told.get("reason", "")
    is_known = status in STATUSES and set(told) <= {"status", "reason"} and isinstance(reason, str)
    if not is_known or (status != "done" and not reason.strip()):
        raise ConfigurationError(
            f"{what}: {rule} takes a status ({', '.join(STATUSES)}), and a reason unless it is done"
        )
    return Standing(str(status), reason)
