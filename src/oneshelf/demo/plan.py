"""What the demo is going to do, all of it drawn from the seed: goods, stock, faults, moments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.rights import Mode
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.shoppers import ShoppersPlan

LOCATION = Location("warehouse")
# The shop's own shelf: what its tills sell lies there, and nobody else sells it.
COUNTER = Location("counter")
# Those that a demo has, and those that it may have besides.
KINDS = ("shopify", "amazon", "ebay")
MORE_KINDS = ("square", "till", "wholesale")
# They only tell what they sold, or want.
WITHOUT_FIGURES = frozenset({"till", "wholesale"})
# In seconds of the channels' own time. The simulated Amazon applies a write after at most 300 s and hides an order for
# 120 s; what has not shown long after that never will. Twice its polling covers created and changed orders both.
AMAZON_APPLY_S = 420.0
AMAZON_POLL_S = 180.0
# How old the simulated channels' readings may be, and how late a request is done that nobody waits for: on one machine.
STALE_S, ZOMBIE_S = 60.0, 2.0
AMAZON_SUSPENSE_S = 360.0
SHOPIFY_SUSPENSE_S = 300.0
# The simulated eBay applies a quantity after at most 5 s, and lets an order be searched for after 10.
EBAY_APPLY_S = 60.0
EBAY_POLL_S = 60.0
EBAY_SUSPENSE_S = 300.0
# The simulated Square shows a count at once, tells one of 14 s ago, and hides an order for 29 s.
SQUARE_APPLY_S, SQUARE_POLL_S, SQUARE_SUSPENSE_S = 60.0, 60.0, 300.0
# Which till goes off line, and for how long, as a share of the shopping.
TILL_OFF_LINE, OFF_LINE_SHARE = "till-2", 0.25
# A feed that takes longer is stuck. In the demo a tenth of the SKUs is worth one.
FEED_S = 900.0
FEED_SHOWN_S = 300.0
FEED_SHARE = 10
# So many units of each SKU come in at once, so that nothing of it is scarce.
DELIVERED_UNITS = 60
# When it comes, as a share of the shopping.
DELIVERY_SHARE = 0.2

_COLOURS = ("blue", "red", "green", "black", "white", "amber", "grey", "rose", "sand", "teal")
_MATERIALS = ("oak", "steel", "linen", "cotton", "glass", "clay", "cork", "wool", "brass", "bamboo")
_THINGS = ("mug", "bowl", "lamp", "chair", "towel", "board", "vase", "tray", "clock", "basket", "plate", "pillow")

_RATES: Mapping[str, Mapping[str, object]] = {
    "shopify": {"webhook_duplicate": 0.10, "webhook_lost": 0.05, "webhook_reorder": 0.10, "throttle": 0.02},
    "amazon": {"throttle": 0.02},
    "ebay": {"webhook_duplicate": 0.10, "webhook_lost": 0.05, "webhook_reorder": 0.10, "concurrent_refused": 0.02},
    "square": {"webhook_duplicate": 0.10, "webhook_lost": 0.05, "webhook_reorder": 0.10, "order_late": 0.10},
    "till": {"duplicate": 0.10, "reorder": 0.10, "gap": 0.02},
    "wholesale": {"duplicate": 0.10, "reorder": 0.05, "late": 0.05},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person asked for. `seconds` None: until Ctrl-C. `directory` holds the demo's database and logs.

    `mode`: of all SKUs. `kinds`: one channel of each.
    """

    seconds: float | None
    seed: int
    sku_count: int
    orders_per_s: float
    speed: float
    port: int
    directory: Path
    keeps_data: bool
    kill_engine_at_s: float | None
    is_calm: bool
    as_json: bool
    is_quiet: bool
    mode: Mode = Mode.AUTO
    kinds: tuple[str, ...] = KINDS

    def __post_init__(self) -> None:
        known = (*KINDS, *MORE_KINDS)
        if strange := sorted(set(self.kinds) - set(known)):
            raise ConfigurationError(f"no kind of channel {strange[0][:40]!r}; there are: {', '.join(known)}")
        if not set(self.kinds) - WITHOUT_FIGURES:
            raise ConfigurationError("name one channel at least that shows figures: a demo proves what listings show")

    @property
    def shops(self) -> tuple[str, ...]:
        """The kinds that show figures."""
        return tuple(kind for kind in self.kinds if kind not in WITHOUT_FIGURES)


@dataclass(frozen=True, slots=True)
class Good:
    """A SKU of the demo. `units`: on the shelf at first; `shown`: kind -> units its listing shows before going live.

    `demand_per_s`: units that buyers want of it, all shops together.
    """

    sku: Sku
    title: str
    units: int
    shown: Mapping[str, int]
    demand_per_s: float


@dataclass(frozen=True, slots=True)
class Event:
    """Something that goes wrong once. `after_s`: seconds of shopping; `path` and `body`: what the simulator is told."""

    after_s: float
    kind: str
    words: str
    path: str
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A container comes: so many units of each of these SKUs at once. `after_s`: seconds of shopping."""

    after_s: float
    units: Mapping[Sku, int]


class Plan:
    """The whole run, from options and seed alone."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.random = Random(f"demo:{options.seed}")  # noqa: S311  # a world, not a secret
        self.goods = self._goods()

    def shoppers(self, kind: str) -> ShoppersPlan:
        """How buyers of one shop behave: each has as many as the others."""
        del kind
        return ShoppersPlan(orders_per_s=self.options.orders_per_s / len(self.options.kinds))

    def faults(self, kind: str) -> Mapping[str, object]:
        """What goes wrong at a rate, all the time."""
        return {} if self.options.is_calm else _RATES[kind]

    def timing(self, kind: str) -> Mapping[str, float]:
        """Seconds that fit channels whose limits and delays run `speed` times fast."""
        speed = self.options.speed
        sweep_s = max(10.0, self.options.sku_count / 50)
        reading = {"stale_s": max(0.5, STALE_S / speed), "zombie_s": ZOMBIE_S}
        if kind == "amazon":
            return {
                **reading,
                "poll_orders_s": max(1.0, AMAZON_POLL_S / speed),
                "sweep_stock_s": sweep_s,
                "apply_s": max(3.0, AMAZON_APPLY_S / speed),
                "suspense_s": max(2.0, AMAZON_SUSPENSE_S / speed),
                "feed_s_max": max(5.0, FEED_S / speed),
                "feed_shown_s": max(2.0, FEED_SHOWN_S / speed),
                "feed_writes_least": max(2, self.options.sku_count // FEED_SHARE),
            }
        if kind == "ebay":
            return {
                **reading,
                "poll_orders_s": max(1.0, EBAY_POLL_S / speed),
                "sweep_stock_s": sweep_s,
                "apply_s": max(2.0, EBAY_APPLY_S / speed),
                "suspense_s": max(2.0, EBAY_SUSPENSE_S / speed),
            }
        if kind == "square":
            return {
                **reading,
                "poll_orders_s": max(1.0, SQUARE_POLL_S / speed),
                "sweep_stock_s": sweep_s,
                "apply_s": max(2.0, SQUARE_APPLY_S / speed),
                "suspense_s": max(2.0, SQUARE_SUSPENSE_S / speed),
            }
        if kind in WITHOUT_FIGURES:
            return {}
        return {
            **reading,
            "poll_orders_s": 5.0,
            "sweep_stock_s": sweep_s,
            "suspense_s": max(2.0, SHOPIFY_SUSPENSE_S / speed),
        }

    def events(self, channel_skus: Mapping[Sku, str]) -> list[Event]:
        """The single mishaps, in the order of their moments. `channel_skus`: SKU -> its listing at Shopify."""
        if self.options.is_calm:
            return []
        length_s = min(self.options.seconds or 60.0, 60.0)
        good = self.random.choice(self.goods[: max(1, len(self.goods) // 4)])
        edit = {"channel_sku": channel_skus.get(good.sku, ""), "units": good.units + self.random.randint(3, 30)}
        mishaps = (
            ("amazon", "Amazon accepts a write and never applies it", "faults", {"write_never_applied": {"next": 1}}),
            ("shopify", f"somebody edits {good.sku} in the shop's back office", "edit", edit),
            ("shopify", "a write is applied and its reply is lost", "faults", {"reply_lost": {"next": 1}}),
            ("ebay", "eBay refuses a zero, and the old quantity sells on", "faults", {"zero_refused": {"next": 1}}),
            ("ebay", "a listing has no revision left today", "faults", {"revision_budget_low": {"next": 1}}),
        )
        events = [
            Event(length_s * self.random.uniform(0.1, 0.5), kind, words, path, body)
            for kind, words, path, body in mishaps
        ]
        stuck = "the next feed of many figures gets stuck at Amazon"
        events.append(Event(DELIVERY_SHARE * length_s, "amazon", stuck, "faults", {"feed_stuck": {"next": 1}}))
        lost = "Square accepts a count and never shows it"
        events.append(Event(0.3 * length_s, "square", lost, "faults", {"write_never_applied": {"next": 1}}))
        for share, words, is_online in (
            (0.2, "a till goes off line, and sells on", False),
            (0.2 + OFF_LINE_SHARE, "the till is on line again, and tells all at once", True),
        ):
            told = {"device": TILL_OFF_LINE, "is_online": is_online}
            events.append(Event(share * length_s, "till", words, "devices", told))
        here = [event for event in events if event.kind in self.options.kinds]
        return sorted(here, key=lambda event: event.after_s)

    def delivery(self) -> Delivery | None:
        """What comes in after Amazon's feeds have got stuck: figures that one would carry. What sells fast is left."""
        if self.options.is_calm:
            return None
        length_s = min(self.options.seconds or 60.0, 60.0)
        slow = self.goods[len(self.goods) // 4 :]
        return Delivery(DELIVERY_SHARE * length_s + 1.0, {good.sku: DELIVERED_UNITS for good in slow})

    def restock_units(self, good: Good) -> int:
        """How many units of a sold-out SKU come in."""
        return int(good.demand_per_s * self.random.uniform(8, 20)) + self.random.randint(2, 6)

    def restock_after_s(self) -> float:
        """How long after it sold out."""
        return self.random.uniform(3.0, 9.0)

    def _goods(self) -> list[Good]:
        """The catalogue, what sells best first. Hot SKUs have stock for seconds, the others for minutes."""
        options, random = self.options, self.random
        shopping = self.shoppers(options.kinds[0])
        # An order has 1 or 2 lines of 1 to 2 units, see `sdk.shoppers`.
        units_per_s = options.orders_per_s * (1 + shopping.two_lines_share) * 1.25
        weights = [1 / (rank + 1) ** shopping.zipf for rank in range(options.sku_count)]
        hot_count = max(3, options.sku_count // 20)
        goods = []
        for rank, weight in enumerate(weights):
            demand_per_s = units_per_s * weight / sum(weights)
            cover_s = random.uniform(8, 25) if rank < hot_count else random.uniform(60, 240)
            units = int(demand_per_s * cover_s) + random.randint(2, 8)
            colour, material, thing = (random.choice(words) for words in (_COLOURS, _MATERIALS, _THINGS))
            sku = Sku(f"{thing[:4]}-{colour[:3]}-{rank + 1:04}".upper())
            shown = {kind: self._shown_before(units) for kind in options.shops}
            goods.append(Good(sku, f"{colour} {material} {thing}".capitalize(), units, shown, demand_per_s))
        return goods

    def _shown_before(self, units: int) -> int:
        """Most listings are right before the engine comes; the others are what it is there for."""
        if self.random.random() < 0.7:
            return units
        return max(0, units + self.random.randint(-5, 5))
