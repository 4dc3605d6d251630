"""The screens that a running demo is walked through, and what its database is asked about each."""

from __future__ import annotations

from typing import NamedTuple

# A SKU and a listing beside the goods of the demo: nobody restocks the one, nobody links the other.
SET, CARD = "GIFT-SET", "GIFT-CARD"


class Figure(NamedTuple):
    """Places of a page and what the database says of them, in the same order: a figure, or a name as it stands there.

    `attribute`: where it is not the text of the element, nor its value.
    """

    places: str
    statement: str
    attribute: str = ""


class Screen(NamedTuple):
    """A page, words that stand on it, and what of it is compared. Names in braces are of `places`."""

    name: str
    path: str
    words: str
    figures: tuple[Figure, ...]


ON_HAND = "available + committed + reserved + damaged + quality_control + safety_stock"
DRIFTS = """
    exists (select from drifts d
            where (d.channel, d.channel_sku) = (l.channel, l.channel_sku) and d.resolved_at is null)
"""


def shown(name: str, statement: str) -> Figure:
    return Figure(f"#figure-{name} .value", statement)


SCREENS = (
    Screen(
        "home",
        "/",
        "Losing money now",
        (
            shown("orders", "select count(*) from orders"),
            shown("on_hand", f"select sum({ON_HAND}) from balances"),
            shown("available", "select sum(available) from balances"),
            shown("committed", "select sum(committed) from balances"),
            shown("drifts", "select count(*) from drifts where resolved_at is null"),
            shown("short", "select count(*) from order_lines where units_short > 0"),
            shown("unlinked", "select count(*) from listings where sku is null"),
            shown(
                "parked",
                "select (select count(*) from listings where stage = 'parked')"
                " + (select count(distinct (channel, order_id)) from facts where state = 'parked')"
                " + (select count(*) from inbox where state = 'parked')",
            ),
            Figure(
                "#channels td.share",
                f"select count(*) filter (where stage = 'verified' and not {DRIFTS}) from listings l"
                " group by channel order by channel",
            ),
        ),
    ),
    Screen("connect", "/connect", "read-only", ()),
    Screen(
        "connect-kind",
        "/connect/shopify?channel=outlet",
        "Settings",
        (
            Figure("[name=base_url]", "select settings->>'base_url' from channels where channel = 'outlet'"),
            Figure("[name=location]", "select location from channels where channel = 'outlet'"),
        ),
    ),
    Screen(
        "check",
        "/channels/outlet/check",
        "Access token",
        (
            Figure(
                ".card:first-child strong",
                "select count(*) from listings where channel = 'outlet' and sku is null",
            ),
        ),
    ),
    Screen(
        "channels",
        "/channels",
        "Connect another channel",
        (
            Figure(
                "[data-unverified]",
                f"select count(*) filter (where stage in ('suspect', 'sending', 'accepted', 'unknown') or {DRIFTS}"
                " or stage in ('idle', 'unsigned') and c.mode = 'live')"
                " from listings l join channels c using (channel) group by channel order by channel",
                "data-unverified",
            ),
            Figure("tbody th a", "select channel from channels order by channel"),
        ),
    ),
    Screen(
        "channel",
        "/channels/ebay",
        "Blind window",
        (
            Figure("tbody th a", "select channel from channels where channel = 'ebay'"),
            Figure(".facts dd:first-of-type", "select location from channels where channel = 'ebay'"),
        ),
    ),
    Screen(
        "link",
        "/go-live",
        "Listings that nobody linked",
        (Figure("h2 + div th .dim", "select channel_sku from listings where sku is null order by 1"),),
    ),
    Screen(
        "go-live",
        "/go-live/outlet",
        "Nothing here has been written",
        (
            Figure(".figure:nth-child(4) .value", "select count(signed_off_at) from listings where channel = 'outlet'"),
            Figure(
                ".figure:nth-child(3) .value",
                "select sum(desired_units) from listings where channel = 'outlet'",
            ),
            Figure(
                "[data-line] .n:nth-child(5)",
                "select base_units - (net_units - base_net) from listings where channel = 'outlet'"
                " order by fright, channel_sku",
            ),
            Figure(
                "[data-line] .n:nth-child(6)",
                "select desired_units from listings where channel = 'outlet' order by fright, channel_sku",
            ),
        ),
    ),
    Screen(
        "signed-off",
        "/go-live/shopify",
        "The whole channel is signed off",
        (
            Figure(".figure:nth-child(4) .value", "select count(*) from listings where channel = 'shopify'"),
            Figure(
                ".figure:nth-child(3) .value",
                "select sum(desired_units) from listings where channel = 'shopify' and sku is not null"
                " and stage <> 'parked'",
            ),
        ),
    ),
    Screen(
        "skus",
        "/skus",
        SET,
        (
            Figure("tr[data-sku]", "select sku from skus order by sku limit 50", "data-sku"),
            *(
                Figure(
                    f"[data-figure={name}]",
                    f"select coalesce(sum({held}), 0) from skus left join balances using (sku)"
                    " group by sku order by sku limit 50",
                )
                for name, held in (("on_hand", ON_HAND), ("available", "available"), ("committed", "committed"))
            ),
        ),
    ),
    Screen(
        "sku",
        "/skus/{sku}",
        "Latest movements",
        (
            shown("on_hand", f"select sum({ON_HAND}) from balances where sku = %(sku)s"),
            shown("committed", "select sum(committed) from balances where sku = %(sku)s"),
            Figure(
                "[data-listing] td:nth-child(3)",
                "select desired_units from listings where sku = %(sku)s order by channel, channel_sku",
            ),
            Figure(
                "[data-listing] td:nth-child(6)",
                "select verified_units from listings where sku = %(sku)s order by channel, channel_sku",
            ),
            Figure(
                "[aria-label=Movements] td.strong",
                "select units from movements where sku = %(sku)s order by movement_id desc limit 50",
            ),
        ),
    ),
    Screen(
        "explain",
        "/explain?channel=amazon&listing={sku}",
        "available to sell",
        (
            Figure(
                ".answer strong:first-of-type",
                "select desired_units from listings where (channel, channel_sku) = ('amazon', %(sku)s)",
            ),
            Figure("#ledger + div p:first-child strong", f"select {ON_HAND} from balances where sku = %(sku)s"),
        ),
    ),
    Screen(
        "drifts",
        "/drifts?all=1",
        "What happens",
        (
            Figure(
                "[data-drift]",
                "select drift_id::text from drifts order by opened_at desc, drift_id desc",
                "data-drift",
            ),
            Figure(
                "[data-drift] td:nth-child(5)",
                "select observed_units from drifts order by opened_at desc, drift_id desc",
            ),
        ),
    ),
    Screen(
        "drift",
        "/drifts/{drift}",
        "Evidence",
        (
            Figure(".facts dd:nth-of-type(3)", "select expected_units from drifts where drift_id = %(drift)s"),
            Figure(".facts dd:nth-of-type(4)", "select observed_units from drifts where drift_id = %(drift)s"),
        ),
    ),
    Screen(
        "errors",
        "/errors",
        "could not be posted",
        (
            Figure(
                "[data-parked]",
                "select 'o' || max(fact_id) from facts where state = 'parked'"
                " group by channel, order_id order by max(fact_id) desc",
                "data-parked",
            ),
        ),
    ),
    Screen(
        "short",
        "/short",
        "Cheapest way out",
        (
            Figure(
                "[data-short] td:nth-child(4)",
                "select units_short from order_lines where units_short > 0"
                " order by placed_at, channel, order_id, line_id",
            ),
        ),
    ),
    Screen(
        "orders",
        "/orders",
        "First heard",
        (
            Figure(
                "[data-order]",
                "select channel || '/' || order_id from orders"
                " order by placed_at desc, channel desc, order_id desc limit 50",
                "data-order",
            ),
        ),
    ),
    Screen(
        "rules",
        "/rules",
        "buffer units",
        (
            Figure("td.words strong", "select stated->>'buffer_units' from policies order by channel, sku"),
            Figure("[name=channel] option + option", "select channel from channels order by channel"),
        ),
    ),
    Screen("history", "/rules/history", "buffer units", ()),
    Screen(
        "architecture",
        "/rules/architecture",
        "What the shop has now",
        (Figure(".facts dd:nth-of-type(3)", "select count(*) from channels where mode = 'live'"),),
    ),
    Screen(
        "stock",
        "/stock",
        "days late",
        (
            Figure("[data-low]", "select sku from low_stocks order by sku", "data-low"),
            Figure(
                "[data-low] .strong",
                "select coalesce(sum(available), 0) from low_stocks left join balances using (sku) group by sku"
                " order by sku",
            ),
            Figure("[data-shipment] .strong", "select units_announced - units_received from shipments order by sku"),
            Figure("[data-count] .strong", "select count(*) from count_lines where state = 'open'"),
            Figure("[data-inspection] .strong", "select quality_control from balances where quality_control > 0"),
        ),
    ),
    Screen(
        "count",
        "/stock/counts/week-48",
        "To look at",
        (
            Figure("[data-enter]", "select sku from count_lines where state = 'open' order by sku", "data-enter"),
            Figure(
                "[data-rule] p strong:first-of-type", "select units_counted from count_lines where state = 'review'"
            ),
        ),
    ),
    Screen(
        "files",
        "/files",
        "counts.csv",
        (
            Figure("[data-import] td.share", "select applied_count from imports"),
            Figure("[data-import] td.n .state", "select problem_count from imports"),
        ),
    ),
    Screen("file", "/files/{file}", "many", ()),
    Screen(
        "conflicts",
        "/conflicts",
        "equivocation",
        (
            Figure(
                "[data-conflict]",
                "select conflict_id::text from conflicts where state = 'open'"
                " order by opened_at desc, conflict_id desc",
                "data-conflict",
            ),
        ),
    ),
    Screen(
        "conflict",
        "/conflicts/{conflict}",
        "Was it decided wrongly?",
        (
            Figure(
                ".sides .value",
                "select coalesce(side->>'value', side->>'units')::int from conflicts,"
                " lateral (values (1, winner), (2, beaten)) as sides (place, side)"
                " where conflict_id = %(conflict)s order by place",
            ),
        ),
    ),
    Screen(
        "settings",
        "/settings",
        "Durability",
        (Figure(".facts dd:nth-of-type(3) a", "select channel from channels order by channel"),),
    ),
    Screen(
        "activity",
        "/settings/activity",
        "policy set",
        (Figure("tbody td:nth-child(3)", "select act from audit_log order by entry_id desc limit 50"),),
    ),
    Screen("people", "/settings/people", "Nobody is told apart yet", ()),
)
