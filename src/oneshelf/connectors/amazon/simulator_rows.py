"""What a change of `fulfillment_availability` makes of the rows that were submitted before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Row = dict[str, object]
BLOCKED = "You cannot change the quantity of this listing: it is blocked while your account is being reviewed."
NEVER_APPLIED = "The 'fulfillment_availability' attribute could not be processed because the listing has errors."


def changed(rows: Sequence[Row], *, operation: str, row: Mapping[str, object]) -> list[Row]:
    """`merge` keeps the members that are not named, `replace` and `add` lose them; rows differ by channel code."""
    code = row.get("fulfillment_channel_code")
    kept = [old for old in rows if old.get("fulfillment_channel_code") != code]
    old = next((old for old in rows if old.get("fulfillment_channel_code") == code), {})
    if operation == "merge":
        kept.append({**old, **row})
    elif operation != "delete":
        kept.append(dict(row))
    return kept
