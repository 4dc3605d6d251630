"""Every screen of a running demo in a real browser, in each look, with figures that its database agrees with.

The shops sell when the walk begins. What a demo has nothing of is done to it by those who do it in a shop: a buyer, a
warehouse, an ERP, a person with a file, and one at the shell. Then the shoppers go home, and what is looked at comes to
rest.

ONESHELF_SCREENSHOTS names a directory that keeps a picture of each look; those of the documentation are wide and light.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from browser.demo_screens import CARD, SCREENS, SET, Figure, Screen
from browser.running_demo import RunningDemo, one_more_shop, running_demo, until
from browser.visit import SCHEMES, WIDTHS, Visit, assert_legible, browser, looking_at
from oneshelf.connectors.shopify.simulator import ACCESS_TOKEN
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID

__all__ = ["browser"]  # A fixture.

pytestmark = [pytest.mark.browser, pytest.mark.pg, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

OPTIONS = ("--seed", "7", "--skus", "24", "--orders-per-s", "3", "--speed", "240")
ORDERS_LEAST = 12
# What moved while a page was asked for is asked again. A page that says the same wrong thing each time is wrong.
READS_MAX, CONTRADICTIONS_MAX = 60, 3
# A simulated Shopify lets in whoever has this; it is asked oftener than a real one.
SECRETS = ("--secret", f"access_token={ACCESS_TOKEN}", "--secret", "webhook_secret=hush")
ACCOUNT = ("--set", f"location_id={LOCATION_ID}", "--set", "orders_lag_s=1", *SECRETS)
OFTEN = ("--timing", "poll_orders_s=1", "--timing", "sweep_stock_s=2")
SHOWN = "select count(*) = 2 from listings where channel = 'shopify' and merchant_sku in (%(one)s, %(other)s)"
LISTING = "select channel_sku from listings where channel = 'shopify' and merchant_sku = %(name)s"
FILE = "sku,location,on_hand\n{one},warehouse,40\n{other},warehouse,many\nNOBODY,warehouse,3\n"


@pytest.mark.long
async def test_every_screen_of_a_running_demo_is_legible_in_each_look_and_says_what_its_database_says(
    browser: Browser, open_directory: Path
) -> None:
    with one_more_shop(open_directory) as outlet, running_demo(open_directory, *OPTIONS) as demo:
        await assert_it_counts_what_is_sold(browser, demo)
        places = happen(demo, outlet)
        for width in WIDTHS:
            async with looking_at(browser, demo.address, width=width) as visit:
                await visit.page.goto(f"{demo.address}/?tour=off")
                for screen in SCREENS:
                    print(f"{screen.name}, {width} pixels wide")  # shown when it fails
                    await assert_agreed(visit, demo, screen, places)
                    for scheme in SCHEMES:
                        await visit.page.emulate_media(color_scheme=scheme)
                        picture, is_again = f"demo-{screen.name}-{width}-{scheme}", scheme != SCHEMES[0]
                        await assert_legible(visit, screen.words, picture, scheme, only_colours=is_again)


async def assert_it_counts_what_is_sold(browser: Browser, demo: RunningDemo) -> None:
    """While the shops sell, the page that refreshes itself counts up, and never beyond what the ledger holds."""
    orders = re.compile(rf"^(?!({'|'.join(map(str, range(ORDERS_LEAST)))})$)")
    async with looking_at(browser, demo.address) as visit:
        figure = visit.page.locator("#figure-orders .value")
        await expect(figure).to_have_attribute("data-value", orders)
        before = demo.one("select count(*) from orders")
        await visit.page.reload()
        first = await value_of(visit)
        assert before <= first <= demo.one("select count(*) from orders")
        await expect(figure).not_to_have_attribute("data-value", str(first))
        assert first < await value_of(visit) <= demo.one("select count(*) from orders")


async def value_of(visit: Visit) -> int:
    told = await visit.page.locator("#figure-orders .value").get_attribute("data-value")
    assert told is not None
    return int(told)


async def assert_agreed(visit: Visit, demo: RunningDemo, screen: Screen, places: Mapping[str, str]) -> None:
    """What the page shows is what the database said both before and after it was asked for."""
    statements = [figure.statement for figure in screen.figures]
    contradictions: list[object] = []
    for _ in range(READS_MAX):
        before = demo.read(*statements, **places)
        await visit.page.goto(visit.address + screen.path.format_map(places))
        found = [await read(visit, figure, said) for figure, said in zip(screen.figures, before, strict=True)]
        if all(before) and demo.read(*statements, **places) == before:
            if found == before:
                return
            contradictions.append((found, before))
            is_steady = contradictions[-CONTRADICTIONS_MAX:] == [(found, before)] * CONTRADICTIONS_MAX
            assert not is_steady, f"{screen.name}: it shows {found}, and there are {before}"
    raise AssertionError(f"{screen.name}: its database never stood still, or had nothing: {before}; {contradictions}")


async def read(visit: Visit, figure: Figure, said: list[Any]) -> list[Any]:
    """What stands at these places: figures where the database says figures."""
    script = "(all, name) => all.map((one) => one.getAttribute(name) ?? one.value ?? one.textContent)"
    texts: list[str] = await visit.page.locator(figure.places).evaluate_all(script, figure.attribute)
    is_figures = any(isinstance(value, int) for value in said)
    return [_figure(text) if is_figures else " ".join(text.split()) for text in texts]


def _figure(text: str) -> int | str | None:
    """The figure that a text begins with; none where it is a dash."""
    text = text.strip().lstrip("▲ ")
    if found := re.match(r"-?\d[\d,]*", text):
        return int(found[0].replace(",", ""))
    return None if text.startswith("\N{EN DASH}") else text


def happen(demo: RunningDemo, outlet: str) -> dict[str, str]:
    """All that a page could be empty without; names of `Screen.path` -> what they stand for."""
    demo.turn("shopify", "catalogue", items=[{"sku": name, "title": name.title(), "units": 6} for name in (SET, CARD)])
    demo.ask("POST", "/v1/skus", json={"skus": [{"sku": SET, "title": "Gift set of three"}]})
    command(demo, "receive", sku=SET, location="warehouse", units=6)
    connect(demo, outlet)
    [busiest, second, third], [edited] = demo.read(
        "select sku from balances order by committed desc, sku limit 3",
        "select channel_sku from listings where channel = 'ebay' order by desired_units desc, channel_sku limit 1",
    )
    demo.turn("ebay", "edit", channel_sku=edited, units=240)
    call_off(demo)
    buy(demo)
    work(demo, second, third)
    state(demo)
    typed(demo, "policy", "set", "--channel", "amazon", "buffer_units=1")
    until(demo, "select count(*) > 0 from drifts where resolved_at is not null")
    until(demo, "select count(base_units) = 4 from listings where channel = 'outlet'")
    [[conflict], [file], [drift]] = demo.read(
        "select conflict_id::text from conflicts where kind = 'statement'",
        "select import_id from imports",
        "select drift_id::text from drifts order by opened_at limit 1",
    )
    return {"sku": busiest, "conflict": conflict, "file": file, "drift": drift}


def connect(demo: RunningDemo, outlet: str) -> None:
    """One more shop is connected, read-only: it sells some of the goods, and shows other figures."""
    [one, other, third] = demo.read("select sku from skus where sku <> %(set)s order by sku desc limit 3", set=SET)[0]
    shown = {SET: 3, CARD: 2, one: 0, other: 900, third: 1}
    items = [{"sku": sku, "title": sku.title(), "units": units} for sku, units in shown.items()]
    demo.tell(outlet, "catalogue", items=items)
    add = ["channel", "add", "shopify", "outlet", "--location", "warehouse", "--set", f"base_url={outlet}"]
    typed(demo, *add, *ACCOUNT, *OFTEN)


def typed(demo: RunningDemo, *words: str) -> None:
    """Somebody at the shell of the engine."""
    keys = demo.directory / "secrets.key"
    told = {"ONESHELF_DATABASE_URL": demo.dsn, "ONESHELF_SECRETS_KEY_FILE": str(keys)}
    subprocess.run([sys.executable, "-m", "oneshelf.cli", *words], env={**os.environ, **told}, check=True)


def command(demo: RunningDemo, kind: str, **told: object) -> None:
    demo.ask("POST", "/v1/commands", json={"commands": [{"key": f"{kind}-{told['sku']}", "type": kind, **told}]})


def call_off(demo: RunningDemo) -> None:
    """The shoppers go home."""
    for channel in demo.read("select channel from channels")[0]:
        demo.turn(channel, "shoppers", orders_per_s=0.0)


def buy(demo: RunningDemo) -> None:
    """A listing that nobody linked is bought, and a set of which less is there than the shelf says."""
    until(demo, SHOWN, one=SET, other=CARD)
    for name, units in ((SET, 4), (CARD, 1)):
        [listing] = demo.read(LISTING, name=name)[0]
        assert demo.turn("shopify", "orders", lines=[{"channel_sku": listing, "units": units}])
    until(demo, "select sum(committed) = 4 from balances where sku = %(sku)s", sku=SET)
    until(demo, "select count(*) > 0 from facts where state = 'parked'")
    command(demo, "count", sku=SET, location="warehouse", figure="on_hand", units=1)


def work(demo: RunningDemo, one: str, other: str) -> None:
    """What waits in a warehouse, and a file with rows that are wrong."""
    due = demo.one("select (current_date - 2)::text")
    command(demo, "announce", sku=one, location="warehouse", shipment_id="PO-7", units=24, expected_on=due)
    command(demo, "move", sku=one, location="warehouse", units=1, origin="available", target="quality_control")
    demo.ask("PUT", "/v1/reorder-rules", json={"units": 5, "by": "Ada"})
    task = {"task": "week-48", "location": "warehouse", "by": "Ada", "limit": 5}
    demo.ask("POST", "/v1/count-tasks", json=task)
    [counted, *_] = demo.read("select sku from count_lines order by sku")[0]
    demo.ask("POST", "/v1/count-tasks/week-48/entries", json={"sku": counted, "units": 75, "by": "Ben"})
    params = {"kind": "counts", "taken_at": "now", "atomic": "row", "name": "counts.csv"}
    content, headers = FILE.format(one=one, other=other).encode(), {"content-type": "text/csv"}
    demo.ask("POST", "/v1/imports", params=params, content=content, headers=headers)


def state(demo: RunningDemo) -> None:
    """An ERP states figures, one of them twice and differently."""
    demo.ask("PUT", "/v1/sources", json={"source": "erp"})
    place = {"sku": SET, "location": "warehouse"}
    seen = {"documents": [{"source": "erp", "number": "GR-1"}]}
    receipt = {"document": "GR-1", **place, "figure": "delta", "units": 30}
    count = {"document": "INV-7", **place, "figure": "on_hand", "units": 25, "seen": seen}
    for one in (receipt, count, {**receipt, "units": 3}):
        demo.ask("POST", "/v1/statements", json={"source": "erp", "statements": [one]})
