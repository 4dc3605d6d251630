"""What a channel grants of calls and changes, and how much of it the present plan uses: worked out from the tables."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from oneshelf.domain.identity import Channel
    from oneshelf.storage.database import Transaction

BUSIEST = 3


async def plans(tx: Transaction, only: Channel | None) -> list[dict[str, object]]:
    """How the stock of each channel (or of `only` this one) is read, and what of its changes was used, for a person.

    One that shows no figure is left out.
    """
    from oneshelf.domain.sweep_plan import sweep_plan
    from oneshelf.flow.channel import read_budget, with_timing
    from oneshelf.sdk.kinds import kind_named, load_kinds
    from oneshelf.storage import catalog, change_budgets, hot_listings, sweep_places

    kinds = load_kinds()
    counts = await hot_listings.counts(tx)
    places = await sweep_places.places(tx)
    found = []
    for row in await catalog.channels(tx):
        if only not in {None, row.channel} or not row.shows_figures:
            continue
        capability = with_timing(kind_named(kinds, row.kind).capability, row.timing)
        listing_count, hot_count = counts[row.channel]
        place = places.get(row.channel, sweep_places.Place())
        budget = read_budget(capability)
        budget = replace(budget, has_file=budget.has_file and not place.by_pages)
        plan = sweep_plan(
            listing_count=listing_count,
            hot_count=hot_count,
            budget=budget,
            wanted_every_s=capability.sweep_stock_s,
            file_took_s=place.took_s,
        )
        more = {
            "is_in_budget": plan.is_in_budget,
            "found_within_s": plan.found_within_s,
            "by_pages_s": budget.pages_s(listing_count),
            "by_pages_calls": budget.pages_calls(listing_count),
            "has_file_failed": place.by_pages,
            "changes_per_day": capability.changes_per_day or None,
            "most_changed": [one._asdict() for one in await change_budgets.busiest(tx, row.channel, limit=BUSIEST)],
        }
        found.append({"channel": row.channel, **asdict(plan), **more})
    return found


def in_words(plan: Mapping[str, object]) -> Iterator[str]:
    """A plan in sentences: what a pass costs, how much of the day's budget is used, and what is left of changes."""
    count, calls, share = plan["listing_count"], plan["pass_calls"], plan["pass_share"]
    took = "an unknown time" if plan["pass_s"] is None else f"{plan['pass_s']:,.0f} s"
    yield (
        f"a pass over its {count:,} listings takes {calls:,} calls and {took}; one begins every "
        f"{plan['pass_every_s']:,.0f} s, which is {share:.2%} of the calls that the channel grants in a day"
    )
    if plan["hot_count"]:
        yield (
            f"{plan['hot_count']:,} listings that sell or are scarce are read every {plan['hot_every_s']:,.0f} s, "
            f"which is {plan['hot_share']:.2%} of them"
        )
    yield from what_stands_out(plan)
    if plan["changes_per_day"]:
        most = ", ".join(f"{one['changes']} of {one['budget']}" for one in _rows(plan["most_changed"]))
        used = f"used most in the last day: {most}" if most else "none was used in the last day"
        yield f"it takes {plan['changes_per_day']} changes a day of one listing; {used}"


def what_stands_out(plan: Mapping[str, object]) -> Iterator[str]:
    """What the figures of a plan do not say by themselves."""
    by_pages = f"by pages it takes {plan['by_pages_calls']:,} calls and {plan['by_pages_s']:,.0f} s"
    if plan["has_file_failed"]:
        yield f"the last file could not be read to its end, so the next pass goes by pages: {by_pages}"
    elif plan["way"] == "file":
        known = "" if plan["pass_s"] is not None else "; how long it takes is known after the first"
        yield f"a pass is read from one file that the channel writes{known}; {by_pages}"
    if not plan["is_in_budget"]:
        yield (
            "a pass is not over before the next is due; it goes on as the budget allows. "
            "Give it more time: oneshelf channel add … --timing sweep_stock_s=SECONDS"
        )


def _rows(value: object) -> list[dict[str, object]]:
    return value if isinstance(value, list) else []
