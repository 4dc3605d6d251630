"""What each kind of channel can do, from its own declaration: a table, and a page for each.

Nothing here is written by hand: it follows from `Capability`, from `quality.toml` and from the conformance suite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from oneshelf.sdk.capability import Capability, WriteKind
from oneshelf.sdk.contract import ConnectorKind
from oneshelf.sdk.quality import RULES, TIERS, quality_of

COMMAND = "oneshelf channel matrix --write docs/connectors"
_WRITES = {
    WriteKind.COMPARE_AND_SET: "refused unless the channel shows what our facts explain; its sales are never buried",
    WriteKind.BLIND_SET: "the last writer wins; a sale that crosses a write may be offered again until it is read",
}


_NO_FIGURES = "it shows no figure"
# What is true of a channel that shows no figure.
_WITHOUT = {
    "learns of changes by": "its devices, which tell what they sold, by number and perhaps hours later",
    "writes": "never",
    "orders that are not paid yet": "none: what is sold over a counter has left",
    "an order may show late by": "as long as its device is off line; a number that is missing is shown",
}
# What is true of one that orders from us.
_ORDERS = {
    **_WITHOUT,
    "learns of changes by": "its buyers, who state each order anew under a higher version",
    "orders that are not paid yet": "set aside as soon as the policy leaves units, until they ship or are cancelled",
    "an order may show late by": "as long as its buyer is; nothing was sold before it comes",
}


def row_of(kind: ConnectorKind) -> dict[str, Any]:
    """One kind in figures, for JSON."""
    declared = kind.capability
    quality = quality_of(kind)
    return {
        "kind": kind.name,
        "title": kind.title,
        "updates": _ways(declared),
        "compares": declared.shows_figures and declared.write_kind is WriteKind.COMPARE_AND_SET,
        **asdict(declared),
        "write_kind": declared.writes,
        "tier": quality.tier,
        "rules": {
            rule: {"status": quality.standing(rule).status, "reason": quality.standing(rule).reason} for rule in RULES
        },
        "cannot_happen": dict(quality.cannot_happen),
    }


def lines_of(kind: ConnectorKind) -> dict[str, str]:
    """What a person compares, in words: property -> text."""
    declared = kind.capability
    lines = _lines(kind, declared)
    if declared.shows_figures:
        return lines
    said = _ORDERS if declared.takes_purchase_orders else _WITHOUT
    return {what: said.get(what, _NO_FIGURES) for what in lines} | {"tier": lines["tier"]}


def _lines(kind: ConnectorKind, declared: Capability) -> dict[str, str]:
    return {
        "learns of changes by": _updates(declared),
        "changes it never announces": ", ".join(declared.silent_states) or "none" if declared.has_webhooks else "all",
        "moves units for us between": ", ".join(declared.movable_states) or "no states",
        "writes": declared.write_kind.value,
        "compares before it writes": "yes" if declared.write_kind is WriteKind.COMPARE_AND_SET else "no",
        "an answered write": _answered(declared),
        "idempotency key": f"remembered for {_span(declared.key_life_s)}" if declared.key_life_s else "none",
        "listings in a write": f"{declared.batch_writes}",
        "changes of a listing in a day": f"{declared.changes_per_day}" if declared.changes_per_day else "any number",
        "listings in a reading, in a page": f"{declared.batch_reads}, {declared.page_reads or declared.batch_reads}",
        "the whole stock from one file": _file(declared),
        "many writes in one feed": _feed(declared),
        "budget of calls": "; ".join(
            f"{limit.operation} {limit.rate_per_s:g} a second, {limit.burst} at once" for limit in declared.limits
        )
        or "none documented",
        "an order may show late by": _span(declared.orders_lag_s),
        "a reading may be old by": _span(declared.stale_s),
        "a write without an answer may still arrive for": _span(declared.zombie_s),
        "asks before a buyer pays": _asks(declared),
        "orders that are not paid yet": _pending(kind),
        "tier": quality_of(kind).tier,
    }


def page_of(kind: ConnectorKind) -> str:
    """The page of one kind, in Markdown."""
    return "\n".join(_page(kind)) + "\n"


def pages_of(kinds: Mapping[str, ConnectorKind]) -> dict[str, str]:
    """All pages: file name -> text."""
    pages = {f"{name}.md": page_of(kind) for name, kind in sorted(kinds.items())}
    return {"README.md": "\n".join(_index(kinds)) + "\n", **pages}


def _index(kinds: Mapping[str, ConnectorKind]) -> Iterator[str]:
    chosen = [kind for _, kind in sorted(kinds.items())]
    yield from (
        "# Channels",
        "",
        f"Written by `{COMMAND}` from what each connector declares and from its `quality.toml`.",
        "",
    )
    yield f"| | {' | '.join(f'[{kind.title}]({kind.name}.md)' for kind in chosen)} |"
    yield f"|---|{'---|' * len(chosen)}"
    columns = [lines_of(kind) for kind in chosen]
    for what in columns[0]:
        yield f"| {what} | {' | '.join(column[what] for column in columns)} |"
    yield ""
    yield "Another channel is [an evening's work](../how-to/write-a-connector.md)."
    yield "Whether an account does what is declared can be [tried](../how-to/check-a-channel.md)."


def _page(kind: ConnectorKind) -> Iterator[str]:
    quality = quality_of(kind)
    yield from (f"# {kind.title}", "", f"Written by `{COMMAND}`.", "", "| | |", "|---|---|")
    for what, text in lines_of(kind).items():
        yield f"| {what} | {text} |"
    if kind.capability.shows_figures:
        yield from ("", f"A write is {kind.capability.write_kind.value}: {_WRITES[kind.capability.write_kind]}.", "")
    else:
        yield from ("", "It shows no figure of its own: nothing is read from it, written to it or polled.", "")
    yield from ("## Settings", "", "| name | |", "|---|---|")
    for setting in kind.settings:
        default = f" Default: `{setting.default}`." if setting.default is not None else ""
        yield f"| `{setting.name}`{' (secret)' if setting.is_secret else ''} | {setting.help.rstrip('.')}.{default} |"
    yield from ("", f"## Quality: {quality.tier}", "", "| tier | rule | | |", "|---|---|---|---|")
    for tier, rules in TIERS.items():
        for rule, demand in rules.items():
            standing = quality.standing(rule)
            reason = f": {standing.reason}" if standing.reason else ""
            yield f"| {tier} | {rule} | {demand} | {standing.status}{reason} |"
    yield from (
        "",
        f"`pytest --pyargs oneshelf.sdk.conformance --connector {kind.name}` proves what a machine can prove.",
        "",
    )
    if quality.cannot_happen:
        yield from ("Situations of the suite that this channel cannot come into:", "")
        yield from (f"- {check.replace('_', ' ')}: {reason}." for check, reason in quality.cannot_happen.items())
    if not kind.capability.shows_figures:
        yield "Checks that read, write or poll do not apply to it, and are printed as such: `shows_figures is false`."


def _ways(declared: Capability) -> str:
    if declared.takes_purchase_orders:
        return "its buyers"
    if not declared.shows_figures:
        return "its devices"
    if declared.has_queue:
        return "polls, and a queue where the account has one"
    return "webhooks and polls" if declared.has_webhooks else "polls"


def _updates(declared: Capability) -> str:
    polls = f"orders polled every {_span(declared.poll_orders_s)}, stock read every {_span(declared.sweep_stock_s)}"
    if declared.has_queue:
        return f"a queue, where the account has one; {polls}"
    return f"webhooks; {polls}" if declared.has_webhooks else polls


def _answered(declared: Capability) -> str:
    if declared.is_applied_when_answered:
        return "shows at once"
    return f"is queued, and lost if it does not show within {_span(declared.apply_s)}"


def _file(declared: Capability) -> str:
    if not declared.has_stock_file:
        return "no; a large catalogue is read page by page"
    words = "written by the channel on its own, for a few calls however many listings there are"
    return f"{words}; may be old by {_span(declared.stock_file_age_s)}" if declared.stock_file_age_s else words


def _feed(declared: Capability) -> str:
    if not declared.feed_writes:
        return "no; each is written by itself, in its batch"
    most, least = f"{declared.feed_writes:,}", f"{declared.feed_writes_least:,}"
    return f"{least} to {most} that can wait; one that is not done after {_span(declared.feed_s_max)} is stuck"


def _pending(kind: ConnectorKind) -> str:
    reason = quality_of(kind).cannot_happen.get("an_order_is_pending_until_its_payment_is_confirmed")
    return reason or "told as pending: their units are held, and neither sold nor free"


def _asks(declared: Capability) -> str:
    if not declared.asks_at_checkout:
        return "no"
    return "where it is switched on: how many can be sold by the ledger as it is then"


def _span(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds >= 120 else f"{seconds:g} s"
