"""The checks as a test class: one test per check, named as the rule that it tries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oneshelf.sdk.conformance.run import Result, Verdict, checks_of, hollow, run_check, untried
from oneshelf.sdk.contract import ConnectorKind
from oneshelf.sdk.kinds import kind_named, load_kinds
from oneshelf.sdk.pytest_plugin import PROPERTY
from oneshelf.sdk.quality import RULES, quality_of


def suite(kind: str | ConnectorKind | None = None) -> type:
    """A test class for a kind of channel: its name under the entry point group, or the object itself.

    None: the one that `--connector` names.
    """
    tests: dict[str, Any] = {f"test_{check.name}": _test(check.name, check.why) for check in checks_of()}
    tests["test_every_declared_ability_is_tried"] = _every_ability
    tests["test_the_tier_is_earned"] = _tier
    return type("Suite", (), {**tests, "kind": kind, "__doc__": "The conformance suite of one kind of channel."})


def _test(name: str, why: str) -> Callable[[Any, Any], None]:
    def test(self: Any, request: Any) -> None:
        kind = _kind(self, request)
        (check,) = [one for one in checks_of() if one.name == name]
        result = run_check(kind, check)
        _record(request, kind, result)
        if result.verdict is Verdict.FAILED:
            raise AssertionError(f"{kind.name}: {result.words}\n\n{why}")

    test.__doc__ = why
    test.__name__ = f"test_{name}"
    return test


def _every_ability(self: Any, request: Any) -> None:
    """An ability that no check tries is a claim. Each has one that applies here, or a reason why none can."""
    kind = _kind(self, request)
    left = untried(kind)
    if left:
        raise AssertionError(f"{kind.name}: nothing that applies tries {', '.join(left)}")


def _tier(self: Any, request: Any) -> None:
    """A tier is read by whoever chooses a connector. It is earned rule by rule, and every rule is stated."""
    kind = _kind(self, request)
    quality = quality_of(kind)
    unstated = [rule for rule in RULES if rule not in quality.rules]
    if unstated:
        raise AssertionError(f"{kind.name}: quality.toml says nothing of {', '.join(unstated)}")
    if claimed := hollow(kind, quality):
        raise AssertionError(f"{kind.name}: {', '.join(claimed)} cannot be done: no check of it applies; say exempt")
    if quality.tier != quality.earned_tier:
        raise AssertionError(f"{kind.name}: claims the tier {quality.tier}, and has earned {quality.earned_tier}")


def _kind(self: Any, request: Any) -> ConnectorKind:
    named = self.kind or request.config.getoption("--connector", None)
    if not named:
        raise AssertionError("which connector? Add --connector NAME, such as --connector shopify")
    return kind_named(load_kinds(), named) if isinstance(named, str) else named


def _record(request: Any, kind: ConnectorKind, result: Result) -> None:
    line = (kind.name, result.check.rule, result.check.name, result.verdict.value, result.words)
    request.node.user_properties.append((PROPERTY, line))
