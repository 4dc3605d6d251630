"""What a channel can do. The connector declares it here; the engine chooses how to write from it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from oneshelf.domain.account import StockState
from oneshelf.domain.probing import Ability

# No channel documents how long a request of which the connection broke may still be carried out; connections and the
# proxies on the way give up after a minute at the latest.
ZOMBIE_S = 60.0

# By how much a probe's compared figure is wrong: no sale and no cancellation makes it right by chance.
WRONG_BY = 1_000_000


class WriteKind(StrEnum):
    """How a quantity is written at this channel."""

    COMPARE_AND_SET = "compare-and-set"  # refused unless the channel shows the expected figure
    BLIND_SET = "blind-set"  # the last writer wins


@dataclass(frozen=True, slots=True)
class Limit:
    """A documented token bucket of the channel: `rate_per_s` tokens a second, at most `burst` at once.

    `operation`: the calls that take from it, one token each where they say nothing else; see `limits.Charge`.
    """

    operation: str
    rate_per_s: float
    burst: int


@dataclass(frozen=True, slots=True)
class Capability:
    """The declared abilities and limits of a kind of channel. Seconds are the channel's documented ones.

    A channel's settings may override the seconds where an account is known to be faster or slower.
    """

    write_kind: WriteKind
    is_applied_when_answered: bool  # an answered write shows at once; otherwise it is queued and may never show
    key_life_s: float  # how long the channel remembers a write's key; 0: it has none
    batch_writes: int  # listings per push
    batch_reads: int  # listings per read-back
    apply_s: float  # an accepted write that does not show after this is lost
    zombie_s: float  # how long after it was sent a write without an answer may still arrive
    stale_s: float  # how old a reading may be
    orders_lag_s: float  # how long an order may stay invisible to a poll
    poll_orders_s: float  # how often to poll for orders
    sweep_stock_s: float  # how often to read every listing
    has_webhooks: bool
    limits: tuple[Limit, ...]
    page_reads: int = 0  # listings in a page of the whole stock; 0: as many as in a read-back
    read_limit: str = ""  # that of `limits` which read-backs and sweeps take from; empty: none is documented
    read_cost: float = 1.0  # tokens of it that one of these calls takes
    has_stock_file: bool = False  # it writes its whole stock into one file, see contract.WritesStockFile
    stock_file_age_s: float = 0.0  # how old what a file tells may be when it is asked for: the channel keeps copies
    feed_writes: int = 0  # listings in a feed of many writes, see contract.WritesByFeed; 0: it takes none
    feed_writes_least: int = 0  # from so many on a feed is better than writes one by one
    feed_s_max: float = 0.0  # a feed that is not worked through after this is stuck
    feed_shown_s: float = 0.0  # a feed that was taken is listed after this: one that is not was never taken
    has_single_orders: bool = False  # it tells one order by its id, see contract.FetchesOrders
    asks_at_checkout: bool = False  # it can ask us before a buyer pays, see contract.AnswersCheckout
    has_queue: bool = False  # its news lies in a queue where an account has one, see contract.Hears
    changes_per_day: int = 0  # changes of a listing, or of its `group`, that the channel takes in a day; 0: any number
    silent_states: tuple[str, ...] = ()  # stock states whose change the channel never announces
    movable_states: tuple[str, ...] = ()  # stock states between which it moves units for us, see contract.MovesUnits
    # False: it shows no figure of its own. It is never read, written or polled; its devices tell what they sold.
    shows_figures: bool = True
    # Its orders are not sales: they wait for units, and are answered. It shows no figure, see purchase.PurchaseOrders.
    takes_purchase_orders: bool = False

    @property
    def writes(self) -> str:
        """How a quantity is written, in a word."""
        return self.write_kind.value if self.shows_figures else "never"


def without_figures(*, silence_s: float, takes_purchase_orders: bool = False) -> Capability:
    """Of a channel that shows no figure and tells by itself: nothing about readings and writes is ever used.

    `silence_s`: for so long it may say nothing. Until it is measured, what it sells is reckoned to be unseen for that.
    """
    return Capability(
        shows_figures=False,
        takes_purchase_orders=takes_purchase_orders,
        write_kind=WriteKind.BLIND_SET,
        is_applied_when_answered=False,
        key_life_s=0.0,
        batch_writes=1,
        batch_reads=1,
        apply_s=silence_s,
        zombie_s=silence_s,
        stale_s=0.0,
        orders_lag_s=0.0,
        poll_orders_s=silence_s,
        sweep_stock_s=silence_s,
        has_webhooks=True,
        limits=(),
        silent_states=tuple(state.value for state in StockState),
    )


def effective(declared: Capability, lost: Collection[Ability]) -> Capability:
    """What the engine relies on: what is declared, one step down for each ability that a probe has shown to be lost.

    Without the comparison a write is a blind one. Its answer does not say any more what the channel shows, since it may
    have buried a sale: only a reading does, of one write at a time, and a guarded listing is raised from zero alone.
    """
    given = replace(declared, key_life_s=0.0) if Ability.KEY in lost else declared
    if Ability.COMPARE in lost and given.write_kind is WriteKind.COMPARE_AND_SET:
        given = replace(given, write_kind=WriteKind.BLIND_SET, is_applied_when_answered=False)
    return given
