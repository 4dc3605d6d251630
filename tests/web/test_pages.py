"""What a person sees: figures with their meaning and age, bad ones first, and what to do when there is nothing yet."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.storage import subscriptions
from oneshelf.web import wording
from web.paper import Shop, open_shop

MUG, PLATE = ChannelSku("MUG"), ChannelSku("PLATE")


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        yield shop


async def page(shop: Shop, path: str = "/") -> str:
    answer = await shop.client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def figure(text: str, name: str) -> int:
    found = re.search(rf'id="figure-{name}".*?data-value="(\d+)"', text, re.S)
    assert found, name
    return int(found[1])


def states(text: str) -> list[str]:
    return re.findall(r'data-state="(\w+)"', text)


async def two_channels(shop: Shop) -> None:
    paper, pulp = await shop.connect("paper"), await shop.connect("pulp")
    await shop.name_skus("MUG", "PLATE")
    paper.books |= {MUG: 0, PLATE: 0}
    pulp.books |= {MUG: 0}
    await shop.command("m", type="receive", sku="MUG", units=1200)
    await shop.command("p", type="receive", sku="PLATE", units=3)
    await shop.settle()


async def test_an_empty_engine_says_what_to_do_first(shop: Shop) -> None:
    text = await page(shop)
    assert "The shelf is empty" in text
    assert "oneshelf stock receive" in text
    assert "No channel is connected" in text
    assert "oneshelf channel add" in text


async def test_the_shelf_shows_the_figures_of_the_ledger_and_what_each_channel_was_proved_to_show(shop: Shop) -> None:
    await two_channels(shop)
    await shop.order("paper", "1", MUG=2)
    await shop.settle()
    text = await page(shop)
    assert figure(text, "on_hand") == 1203
    assert figure(text, "available") == 1201
    assert figure(text, "committed") == 2
    assert figure(text, "orders") == 1
    assert figure(text, "unverified") == 0
    text = await page(shop, "/skus")
    assert "1,198" in text
    assert states(text) == ["verified", "verified", "verified"]
    assert "not listed" in text


async def test_a_sold_unit_that_is_not_there_comes_first_and_is_not_told_by_colour_alone(shop: Shop) -> None:
    await two_channels(shop)
    await shop.order("paper", "1", PLATE=5)
    await shop.settle()
    text = await page(shop)
    assert figure(text, "short") == 1
    assert re.findall(r'class="figure (\w+)" id="figure-(\w+)"', text)[0] == ("bad", "short")
    assert "2 units sold that are not there" in text
    assert 'data-short="order paper/1/0"' in text
    assert re.search(r"▲</span> 2 short", await page(shop, "/skus"))


async def test_a_listing_that_its_channel_refuses_is_shown_with_the_channels_words(shop: Shop) -> None:
    paper = await shop.connect("paper")
    await shop.name_skus("MUG")
    paper.books[MUG] = 0
    paper.refuses.add(MUG)
    await shop.command("m", type="receive", sku="MUG", units=4)
    await shop.settle()
    assert states(await page(shop, "/skus")) == ["parked"]
    assert figure(await page(shop), "parked") == 1
    assert "this entry was printed in ink" in await page(shop, "/skus/MUG")


async def test_a_feed_that_is_stuck_is_an_alarm_and_its_listings_say_why_they_wait(shop: Shop) -> None:
    paper = await shop.connect("paper")
    await shop.name_skus("MUG")
    paper.books[MUG] = 0
    await shop.command("m", type="receive", sku="MUG", units=40)
    await shop.settle()
    async with shop.database.transaction() as tx:
        await tx.execute(
            """
            with begun as (
                insert into feeds (feed_id, channel, lease, lease_until, write_count, begun_at)
                values (gen_random_uuid(), 'paper', gen_random_uuid(), db_now(), 9, db_now() - interval '20 minutes')
                returning feed_id
            )
            update listings set feed_id = begun.feed_id, phase = 'sending', op_id = gen_random_uuid(), op_units = 41,
                op_expected = 40, op_net = net_units, op_rights = 81, sent_version = desired_version from begun
            """
        )
    text = await page(shop, "/channels/paper")
    assert "Feed under way" in text
    assert "20 min old" in text
    assert "it carries 1 listings" in text
    assert "stuck" not in await page(shop)
    async with shop.database.transaction() as tx:
        await tx.execute("update feeds set stuck_at = db_now() - interval '5 minutes', words = '5001 is IN_PROGRESS'")
    assert "a feed is stuck at paper" in await page(shop)
    text = await page(shop, "/channels/paper")
    assert "and stuck" in text
    assert "5001 is IN_PROGRESS; it carries 1 listings still" in text
    assert "5001 is IN_PROGRESS" in await page(shop, "/skus/MUG")
    metrics = await page(shop, "/metrics")
    for name, least in (("feed_seconds", 1200), ("feed_stuck_seconds", 300)):
        [found] = re.findall(rf'^oneshelf_{name}{{channel="paper"}} ([0-9.]+)$', metrics, re.M)
        assert least <= float(found) < least + 300
    [told] = (await shop.client.get("/v1/channels")).json()["channels"]
    assert (told["feed_listing_count"], told["feed_words"]) == (1, "5001 is IN_PROGRESS")
    assert 1200 <= told["feed_age_s"] < 1500


async def test_a_channel_that_is_only_watched_is_not_called_late(shop: Shop) -> None:
    paper = await shop.connect("paper", mode="watch")
    await shop.name_skus("MUG")
    paper.books[MUG] = 9
    await shop.command("m", type="receive", sku="MUG", units=4)
    await shop.settle()
    assert states(await page(shop, "/skus")) == ["held"]
    assert figure(await page(shop), "unverified") == 0
    assert paper.books == {MUG: 9}


async def test_a_figure_edited_by_hand_is_an_open_drift_with_its_size_and_cause(shop: Shop) -> None:
    await two_channels(shop)
    shop.connectors["pulp"].books[MUG] = 1210
    await shop.sweep()
    await shop.settle()
    assert "suspect" in states(await page(shop, "/skus"))
    await shop.judge_suspicions()
    text = await page(shop)
    assert figure(text, "drifts") == 1
    assert "foreign edit" in text
    assert "+10" in text
    assert "drifting" in states(await page(shop, "/skus"))
    await shop.settle()
    text = await page(shop)
    assert figure(text, "drifts") == 0
    assert shop.connectors["pulp"].books[MUG] == 1200


async def test_the_refreshed_part_is_the_page_without_its_frame(shop: Shop) -> None:
    await two_channels(shop)
    whole = await page(shop)
    live = (await shop.client.get("/", headers={"HX-Request": "true"})).text
    assert "<html" in whole
    assert "<html" not in live
    assert figure(live, "available") == figure(whole, "available")
    assert 'hx-get="/"' in whole


async def test_a_page_shows_fifty_skus_and_leads_to_the_next(shop: Shop) -> None:
    await shop.name_skus(*(f"SKU-{number:03}" for number in range(120)))
    first = await page(shop, "/skus")
    assert re.findall(r'data-sku="([^"]+)"', first) == [f"SKU-{number:03}" for number in range(50)]
    (address,) = re.findall(r'href="([^"]+)" rel="next"', first)
    second = await page(shop, address.replace("&amp;", "&"))
    assert re.findall(r'data-sku="([^"]+)"', second) == [f"SKU-{number:03}" for number in range(50, 100)]
    assert 'hx-get="/skus?after=SKU-049"' in second


@pytest.mark.parametrize(("typed", "found"), [("mu", ["MUG"]), ("MU", ["MUG"]), ("ug", []), (" MUG ", ["MUG"])])
async def test_a_search_finds_the_skus_that_begin_so(shop: Shop, typed: str, found: list[str]) -> None:
    await shop.name_skus("MUG", "PLATE")
    answer = await shop.client.get("/skus", params={"q": typed})
    assert re.findall(r'data-sku="([^"]+)"', answer.text) == found


@pytest.mark.parametrize("typed", ["\x00", "a" * 5000, "<script>alert(1)</script>", "%", "\u202e"])
async def test_nothing_typed_into_the_search_breaks_the_page(shop: Shop, typed: str) -> None:
    answer = await shop.client.get("/skus", params={"q": typed, "after": typed})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text


async def test_a_name_from_outside_is_shown_as_text(shop: Shop) -> None:
    sku = "<img src=x onerror=alert(1)>/../&'\""
    await shop.name_skus(sku)
    text = await page(shop, "/skus")
    assert "<img" not in text
    (address,) = re.findall(r'<th scope="row"><a href="([^"]+)"', text)
    assert '<h1 id="sku">&lt;img' in await page(shop, address)


async def test_a_sku_has_a_page_with_its_balances_listings_and_movements(shop: Shop) -> None:
    await two_channels(shop)
    await shop.order("paper", "77", MUG=2)
    await shop.settle()
    text = await page(shop, "/skus/MUG")
    assert "order paper/77/0" in text
    assert "supplier" in text
    assert re.findall(r'data-listing="([^"]+)"', text) == ["paper/MUG", "pulp/MUG"]
    assert "BERLIN" in text


@pytest.mark.long
async def test_what_the_channel_says_is_wrong_with_a_listing_is_where_it_is_looked_for(shop: Shop) -> None:
    await two_channels(shop)
    words = "17: <b>no</b> brand (brand)"
    shown = "17: &lt;b&gt;no&lt;/b&gt; brand (brand)"
    paper = shop.connectors["paper"]
    paper.issues[MUG] = words
    await shop.sweep()
    explained = {"channel": "paper", "listing": "MUG"}
    told = (await shop.client.get("/v1/channels/paper/listings/MUG/explain")).json()
    assert (told["issues"], told["state"]) == (words, "verified")
    assert (
        f"paper says of this listing: <strong>{shown}</strong>"
        in (await shop.client.get("/explain", params=explained)).text
    )
    assert shown not in await page(shop, "/skus/MUG"), "its figure shows all the same"
    paper.refuses.add(MUG)
    await shop.command("more", type="receive", sku="MUG", units=5)
    await shop.settle()
    assert f"the channel says: {shown}" in await page(shop, "/skus/MUG")
    [parked] = (await shop.client.get("/v1/errors")).json()["listings"]
    assert parked["reason"] == f"this entry was printed in ink; of the listing itself: {words}"
    [listing] = (await shop.client.get("/v1/listings", params={"channel": "paper", "state": "parked"})).json()[
        "listings"
    ]
    assert (listing["parked_reason"], listing["issues"]) == ("this entry was printed in ink", words)
    paper.issues[MUG] = ""
    await shop.sweep()
    assert (await shop.client.get("/v1/channels/paper/listings/MUG/explain")).json()["issues"] == ""


async def test_an_unknown_sku_is_a_page_that_leads_back(shop: Shop) -> None:
    answer = await shop.client.get("/skus/NOBODY")
    assert answer.status_code == 404
    assert "No SKU NOBODY" in answer.text
    assert 'href="/skus"' in answer.text


@pytest.mark.parametrize("path", ["/", "/v1/skus", "/nothing", "/static/oneshelf.css", "/healthz", "/webhooks/x"])
async def test_every_answer_carries_the_security_headers(shop: Shop, path: str) -> None:
    answer = await shop.client.get(path)
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/", "/skus/MUG"])
async def test_a_page_has_a_title_a_skip_link_an_icon_and_named_tables(shop: Shop, path: str) -> None:
    await two_channels(shop)
    text = await page(shop, path)
    assert re.search(r"<title>[^<]*oneshelf[^<]*</title>", text)
    assert '<a class="skip" href="#content">' in text
    assert 'rel="icon"' in text
    assert text.count("<table") == text.count("<caption") > 0
    assert "style=" not in text
    assert "<script>" not in text


@pytest.mark.long
async def test_the_token_in_the_address_becomes_a_cookie_and_leaves_the_address(dsn: str) -> None:
    async with open_shop(dsn, api_token="s3crét") as shop:
        assert (await shop.client.get("/")).status_code == 401
        assert (await shop.client.get("/", params={"token": "wrong"})).status_code == 401
        welcome = await shop.client.get("/", params={"token": "s3crét", "q": "MUG"})
        assert (welcome.status_code, welcome.headers["location"]) == (303, "/?q=MUG")
        cookie = welcome.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "s3cr" not in cookie
        assert (await shop.client.get("/")).status_code == 200
        assert (await shop.client.get("/v1/skus")).status_code == 200


async def test_the_cookie_of_a_browser_moves_no_units(dsn: str) -> None:
    async with open_shop(dsn, api_token="token") as shop:
        await shop.client.get("/", params={"token": "token"})
        answer = await shop.client.post("/v1/skus", json={"skus": [{"sku": "MUG"}]})
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "never"), (-1, "0 s"), (0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (3600, "1 h"),
        (3900, "1 h 5 min"), (90_000, "1 d 1 h"), (86_400, "1 d"),
    ],
)  # fmt: skip
def test_an_age_is_said_in_at_most_two_parts(seconds: float | None, said: str) -> None:
    assert wording.age(seconds) == said


async def test_what_a_channel_announces_and_what_was_lost_of_it_is_shown_beside_its_health(shop: Shop) -> None:
    await two_channels(shop)
    assert "data-webhooks" not in await page(shop)
    async with shop.database.transaction() as tx:
        address = "https://shelf.example/webhooks/paper"
        for lost in ([], ["orders/create"]):
            await subscriptions.record(
                tx,
                Channel("paper"),
                address,
                topics=["orders/create"],
                refused={"orders/edited": "not <yet>"},
                lost=lost,
            )
    cells = re.findall(r'data-webhooks="(\w+)">(.*?)</td>', await page(shop), re.S)
    assert [name for name, _ in cells] == ["paper", "pulp"]
    assert "1 topic <" in cells[0][1]
    assert "1 refused" in cells[0][1]
    assert "1 lost" in cells[0][1]
    assert 'title="orders/create"' in cells[0][1]
    assert "keeps no subscription" in cells[1][1]
    told = {row["channel"]: row["webhooks"] for row in (await shop.client.get("/v1/channels")).json()["channels"]}
    assert told["pulp"] is None
    assert (told["paper"]["address"], told["paper"]["lost_count"]) == (address, 1)
    assert told["paper"]["refused"] == {"orders/edited": "not <yet>"}
