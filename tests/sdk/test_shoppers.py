"""How simulated buyers behave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import pytest

from oneshelf.errors import MalformedError
from oneshelf.sdk.shoppers import Shoppers, ShoppersPlan

ITEMS = 20


@dataclass(frozen=True)
class Shown:
    channel_sku: str
    units: int


class PaperShop:
    """A shop that sells everything it shows and writes down what happened."""

    def __init__(self, *, items: int = ITEMS, sells: bool = True) -> None:
        self.shelf = [Shown(f"L{number:02}", 1) for number in range(items)]
        self.sells = sells
        self.book: list[tuple[str, str]] = []
        self.baskets: list[tuple[tuple[str, int], ...]] = []

    def listings(self) -> Sequence[Shown]:
        return self.shelf

    def place(self, lines: Sequence[tuple[str, int]]) -> str | None:
        self.baskets.append(tuple(lines))
        if not self.sells:
            return None
        self.book.append(("place", str(len(self.baskets))))
        return str(len(self.baskets))

    def cancel(self, order_id: str) -> bool:
        self.book.append(("cancel", order_id))
        return True

    def ship(self, order_id: str) -> bool:
        self.book.append(("ship", order_id))
        return True


def day(shop: PaperShop, plan: ShoppersPlan, *, seed: int = 1, seconds: int = 100) -> Shoppers:
    """Let buyers shop, looked after once a second."""
    print(f"seed {seed}")
    shoppers = Shoppers(shop, Random(seed))
    shoppers.follow(plan, 0.0)
    for second in range(seconds + 1):
        shoppers.shop(float(second))
    return shoppers


def counts(shop: PaperShop) -> Counter[str]:
    return Counter(act for act, _ in shop.book)


@pytest.mark.parametrize("zipf", [0.0, 1.1])
def test_the_nth_listing_draws_its_zipf_share(zipf: float) -> None:
    shop = PaperShop()
    day(shop, ShoppersPlan(orders_per_s=200.0, zipf=zipf, two_lines_share=0.0))
    bought = Counter(sku for basket in shop.baskets for sku, _ in basket)
    whole = sum(1 / (rank + 1) ** zipf for rank in range(ITEMS))
    for rank, listing in enumerate(shop.shelf):
        share = 1 / (rank + 1) ** zipf / whole
        assert bought[listing.channel_sku] == pytest.approx(share * len(shop.baskets), rel=0.2), listing


def test_orders_come_at_the_planned_rate_also_when_nobody_looked_for_long() -> None:
    often, seldom = PaperShop(), PaperShop()
    plan = ShoppersPlan(orders_per_s=20.0, cancel_share=0.0, ship_share=0.0)
    day(often, plan)
    late = Shoppers(seldom, Random(1))
    late.follow(plan, 0.0)
    late.shop(100.0)
    assert len(often.baskets) == pytest.approx(2000, rel=0.1)
    assert seldom.baskets == often.baskets


@pytest.mark.long
def test_the_planned_shares_of_orders_have_two_lines_are_cancelled_and_are_shipped() -> None:
    shop = PaperShop(items=1000)
    plan = ShoppersPlan(orders_per_s=50.0, zipf=0.0, two_lines_share=0.2, cancel_share=0.1, ship_share=0.5)
    day(shop, plan, seconds=200)
    orders = len(shop.baskets)
    assert sum(len(basket) == 2 for basket in shop.baskets) == pytest.approx(0.2 * orders, rel=0.15)
    assert counts(shop)["cancel"] == pytest.approx(0.1 * orders, rel=0.15)
    assert counts(shop)["ship"] == pytest.approx(0.9 * 0.5 * orders, rel=0.15)
    ended = [order_id for act, order_id in shop.book if act != "place"]
    assert len(ended) == len(set(ended)), "an order is cancelled or shipped once"


def test_a_line_names_a_listing_once() -> None:
    shop = PaperShop(items=1)
    day(shop, ShoppersPlan(orders_per_s=5.0, two_lines_share=1.0))
    assert len(shop.baskets) > 100
    assert all(len(basket) == 1 and 2 <= basket[0][1] <= 4 for basket in shop.baskets)


def test_nothing_is_bought_where_nothing_is_shown() -> None:
    shop = PaperShop(items=0)
    shoppers = day(shop, ShoppersPlan(orders_per_s=20.0))
    assert (shop.baskets, shop.book, shoppers.turned_away) == ([], [], 0)


def test_who_finds_too_few_is_counted_and_never_cancels_or_gets_anything() -> None:
    shop = PaperShop(sells=False)
    shoppers = day(shop, ShoppersPlan(orders_per_s=20.0, cancel_share=0.5, ship_share=1.0))
    assert shoppers.turned_away == len(shop.baskets) > 1000
    assert shop.book == []


def test_a_plan_of_zero_ends_shopping_cancelling_and_shipping() -> None:
    shop = PaperShop()
    shoppers = day(shop, ShoppersPlan(orders_per_s=20.0, cancel_share=0.3, ship_share=1.0))
    done = list(shop.book)
    assert counts(shop)["cancel"] > 0
    assert counts(shop)["cancel"] + counts(shop)["ship"] < counts(shop)["place"], "some are still to end"
    shoppers.follow(ShoppersPlan(orders_per_s=0.0), 100.0)
    shoppers.shop(10_000.0)
    assert shop.book == done


def test_the_same_seed_brings_the_same_orders() -> None:
    plan = ShoppersPlan(orders_per_s=10.0)
    shops = [PaperShop(), PaperShop(), PaperShop()]
    for shop, seed in zip(shops, (7, 7, 8), strict=True):
        day(shop, plan, seed=seed)
    assert shops[0].baskets == shops[1].baskets
    assert shops[0].book == shops[1].book
    assert len(shops[0].book) > 900
    assert shops[0].baskets != shops[2].baskets


@pytest.mark.parametrize(
    "wrong",
    [
        {"orders_per_s": -1.0},
        {"orders_per_s": float("nan")},
        {"orders_per_s": float("inf")},
        {"orders_per_s": 1e300},
        {"zipf": -0.1},
        {"zipf": 1e300},
        {"two_lines_share": 1.5},
        {"cancel_share": -0.1},
        {"ship_share": 2.0},
        {"cancel_after_s": 0.0},
        {"cancel_after_s": -1.0},
        {"ship_after_s": 0.0},
        {"ship_after_s": float("inf")},
    ],
)
def test_a_plan_that_no_buyer_could_follow_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(MalformedError, match=next(iter(wrong))):
        ShoppersPlan(**{"orders_per_s": 1.0, **wrong})
