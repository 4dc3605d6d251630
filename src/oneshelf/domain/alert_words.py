"""Alerts in words, for a mailbox or a chat: a subject, and a line for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oneshelf.domain.event import Event, EventType
from oneshelf.domain.identity import printable

_LENGTH_MAX = 300
_NAME_LENGTH_MAX = 80


def _low(told: Mapping[str, Any]) -> str:
    return (
        f"{_name(told, 'sku')} is low: {told.get('available')} available, its reorder point is {told.get('reorder_at')}"
    )


def _oversold(told: Mapping[str, Any]) -> str:
    return f"{_name(told, 'sku')} is oversold: {told.get('units_short')} units are sold and not there"


def _exposed(told: Mapping[str, Any]) -> str:
    beyond = f"its listings may sell {told.get('units')} units beyond what is there"
    return f"{_name(told, 'sku')} could be sold twice: {beyond}"


def _stale(told: Mapping[str, Any]) -> str:
    fault = f" ({told['last_fault']})" if told.get("last_fault") else ""
    return f"{_name(told, 'channel')} is stale: {told.get('why')}{fault}"


def _held(told: Mapping[str, Any]) -> str:
    return f"{_name(told, 'channel')} is held by its breaker ({told.get('reason')}): only what was sold is written"


def _drift(told: Mapping[str, Any]) -> str:
    waiting = f", {told['waiting_for']}" if told.get("waiting_for") else ""
    return (
        f"{_name(told, 'channel')} {_name(told, 'listing')} ({_name(told, 'sku')}) shows {told.get('observed_units')} "
        f"instead of {told.get('expected_units')}: {told.get('cause')}{waiting}{_issues(told)}"
    )


def _zero(told: Mapping[str, Any]) -> str:
    reason = f": {told['reason']}" if told.get("reason") else ""
    return (
        f"{_name(told, 'channel')} {_name(told, 'listing')} ({_name(told, 'sku')}) is to show 0 and may still sell "
        f"{told.get('units')}{reason}{_issues(told)}"
    )


def _access(told: Mapping[str, Any]) -> str:
    within = f"within {told.get('days')} days" if told.get("days") != 1 else "within a day, or has ended"
    return (
        f"{_name(told, 'channel')}: {told.get('what')} ends on {told.get('ends_on')}, {within}: {told.get('way_out')}"
    )


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    EventType.ALERT_LOW_STOCK.value: _low,
    EventType.ALERT_OVERSOLD.value: _oversold,
    EventType.ALERT_EXPOSED.value: _exposed,
    EventType.ALERT_STALE_CHANNEL.value: _stale,
    EventType.ALERT_HELD_CHANNEL.value: _held,
    EventType.ALERT_DRIFT.value: _drift,
    EventType.ALERT_ZERO_FAILED.value: _zero,
    EventType.ALERT_ACCESS_ENDS.value: _access,
}


def sentence(kind: str, figures: Mapping[str, Any]) -> str:
    """What is wrong, in one line without control characters."""
    return printable(_WORDS[kind](figures) if kind in _WORDS else "a test: nothing is wrong", length_max=_LENGTH_MAX)


def line(event: Event) -> str:
    """One alert: whether it is open or over, what it is, and since when."""
    is_over = event.figures.get("state") == "closed"
    since = event.figures.get("closed_at" if is_over else "opened_at") or event.happened_at.isoformat()
    what = sentence(event.event_type, event.figures)
    return f"{'OVER' if is_over else 'OPEN'} since {str(since)[:16].replace('T', ' ')} UTC: {what}"


def subject(events: Sequence[Event]) -> str:
    """What the message is about; how many where there are several."""
    over_count = sum(event.figures.get("state") == "closed" for event in events)
    if len(events) == 1:
        what = sentence(events[0].event_type, events[0].figures)
        return f"oneshelf: {'over: ' if over_count else ''}{what}"[:150]
    parts = ((len(events) - over_count, "open"), (over_count, "over"))
    return "oneshelf: " + ", ".join(f"{count} {state}" for count, state in parts if count)


def text(events: Sequence[Event]) -> str:
    """The whole message."""
    return "\n".join([*map(line, events), "", "All that stands now: oneshelf alert list"])


def _issues(told: Mapping[str, Any]) -> str:
    """What the channel says is wrong with the listing itself, where it is not what it said of the write."""
    said = told.get("issues")
    return f"; the channel says: {said}" if said and said != told.get("reason") else ""


def _name(told: Mapping[str, Any], member: str) -> str:
    return printable(str(told.get(member) or ""), length_max=_NAME_LENGTH_MAX)
