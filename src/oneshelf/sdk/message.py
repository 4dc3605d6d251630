"""What passes between a connector and the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from oneshelf.domain.account import StockState
from oneshelf.domain.device import DeviceAlive, DeviceEvent
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.order import OrderSnapshot
from oneshelf.errors import invariant
from oneshelf.sdk.purchase import PurchaseOrders


@dataclass(frozen=True, slots=True)
class Request:
    """A webhook as it came in. Header names are in lower case; `body` is the raw bytes, untouched."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing a channel told us, stored as received and read later.

    `key` is equal for two deliveries exactly when the second one can say nothing new.
    `topic` is the channel's own word for what this is, or `poll/order` for a polled order.
    """

    key: str
    topic: str
    body: bytes


@dataclass(frozen=True, slots=True)
class StockHint:
    """The channel says that the figure of this listing may have changed: look again.

    It names the listing by its `channel_sku`, or by the `alias` of its last `StockReading` where the channel's
    stock messages use another name than its orders do (Shopify: inventory item and variant).
    """

    channel_sku: ChannelSku | None = None
    alias: str = ""

    def __post_init__(self) -> None:
        invariant((self.channel_sku is None) == (self.alias != ""), "a hint has a channel SKU or an alias")


@dataclass(frozen=True, slots=True)
class OrderHint:
    """The channel says that something of an order changed, and not what.

    The order with this id is fetched, by a connector that `contract.FetchesOrders`; where no id is told, or the
    connector cannot, the orders are polled now.
    """

    order_id: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A delivery that is none of our business, with the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class AccessLost:
    """The channel says that it lets us in no longer, or to less than we need. `reason`: with the way out."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeviceNews:
    """What devices at counters told by number. The same number with the same content says nothing new.

    `sent_at`: by the clock of the device that sent it, None where it does not say; `clock_error_s`: by how much that
    clock may be wrong beyond what `sent_at` shows. `unread`: what of the delivery cannot be read, and why; the rest of
    it counts.
    """

    events: tuple[DeviceEvent, ...]
    alive: tuple[DeviceAlive, ...] = ()
    sent_at: datetime | None = None
    clock_error_s: int = 0
    unread: tuple[str, ...] = ()


Message = OrderSnapshot | OrderHint | StockHint | AccessLost | DeviceNews | PurchaseOrders | Ignored


@dataclass(frozen=True, slots=True)
class OrderPage:
    """Orders changed since a cursor. `cursor` is where the next poll starts; a repeated poll may overlap.

    `covered_until`: every order placed before this instant of our clock has been seen once this page, and all
    pages before it, are ingested. None while more pages follow at once (`has_more`).
    """

    deliveries: tuple[Delivery, ...]
    cursor: str
    has_more: bool
    covered_until: datetime | None


@dataclass(frozen=True, slots=True)
class StockReading:
    """What the channel shows for one listing: the units it would sell now, and how to recognise it.

    `units` is None where the channel does not keep a quantity that we may write (untracked, fulfilled by the
    channel itself); `note` says which. `merchant_sku` is the seller's SKU as the channel knows it. `title`: empty where
    the channel did not tell it this time: what it told before stays. `alias` is the channel's second name for the
    listing, by which a `StockHint` may call it; empty where there is only one.
    `states`: state -> units that lie there in this state, of those that the channel tells; None where it tells none.
    `group`: what the channel itself calls the thing that this listing is a part of, where it counts the changes of all
    parts together (eBay: the item id); empty where each listing is by itself.
    `issues`: what the channel itself says is wrong with the listing, in its own words, what touches the figure first;
    empty: nothing is; None: this reading does not tell, and what was told before stays.
    """

    channel_sku: ChannelSku
    units: int | None
    merchant_sku: str | None = None
    title: str = ""
    note: str = ""
    alias: str = ""
    states: Mapping[StockState, int] | None = None
    group: str = ""
    issues: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What lay in a channel's queue. `receipts` are what it wants back once the deliveries are stored."""

    deliveries: tuple[Delivery, ...]
    receipts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StockPage:
    """A part of the channel's listings. `cursor` is None on the last page."""

    readings: tuple[StockReading, ...]
    cursor: str | None


class FileState(StrEnum):
    """How far a channel has got with a file of its whole stock."""

    BUSY = "busy"  # not begun: it writes as many for us as it writes at once
    WRITING = "writing"
    READY = "ready"
    PARTIAL = "partial"  # it gave up; what it had written by then can be read
    FAILED = "failed"  # it gave up with nothing
    GONE = "gone"  # it keeps the file no longer


@dataclass(frozen=True, slots=True)
class StockFile:
    """A file of a channel's whole stock. `name`: the channel's own name for it, by which it is found again.

    `asked_at`: no reading in it is older; by the clock of whoever asked for it. `reading_count`: how many there are in
    it; None: the channel does not say. `address`: who knows it may read the file. `words`: why it is not whole.
    """

    name: str
    state: FileState
    asked_at: datetime
    reading_count: int | None = None
    address: str = field(default="", repr=False)
    words: str = ""


@dataclass(frozen=True, slots=True)
class StockWrite:
    """Make this listing show `units`. `expected_units` is what the engine believes it shows now.

    `key` identifies this write for ever: the same key always comes with the same units and expectation.
    """

    key: UUID
    channel_sku: ChannelSku
    units: int
    expected_units: int


@dataclass(frozen=True, slots=True)
class UnitMove:
    """Take `units` of this listing, more than none, from one stock state into another at the channel.

    `origin` None: they were not counted until now. `target` None: they are not counted any more. `expected`: what each
    of the two states was read to hold. `key` identifies this move for ever: the same key always comes with the same
    figures.
    """

    key: UUID
    channel_sku: ChannelSku
    units: int
    origin: StockState | None
    target: StockState | None
    expected: Mapping[StockState, int]

    def __post_init__(self) -> None:
        invariant(self.units > 0, f"a move of {self.units} units")
        invariant(self.origin is not self.target, "units move from one state into another")
        invariant({self.origin, self.target} - {None} == set(self.expected), "both states have an expected figure")

    @property
    def states(self) -> tuple[StockState, ...]:
        """The states that it changes, one or two."""
        return tuple(self.expected)


@dataclass(frozen=True, slots=True)
class Applied:
    """The channel shows the units now (a read-back still has to prove it)."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The channel took the write and will apply it later, or not."""


@dataclass(frozen=True, slots=True)
class Stale:
    """Not written: the channel's figure is not the expected one. There is news that we have not read."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Not written, and it will be refused again. `words` are the channel's own."""

    words: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """Not written: no budget left. Try again after `retry_after_s`."""

    retry_after_s: float


@dataclass(frozen=True, slots=True)
class UsedUp(Throttled):
    """Not written: the channel takes no change of this listing for so long. `words`: its own.

    Where another figure was refused so, zero is tried in its place; where zero was, it waits like any other.
    """

    words: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Sent, no answer: it may or may not have been written."""

    words: str


WriteOutcome = Applied | Accepted | Stale | Refused | Throttled | Unknown


class FeedState(StrEnum):
    """How far a channel has got with a feed of writes."""

    UNDER_WAY = "under way"  # it waits, or is being worked through; any of its writes may have been done
    DONE = "done"  # worked through; `outcomes` says what came of each write
    CANCELLED = "cancelled"  # it ended before anything of it was done
    FAILED = "failed"  # it ended, and any of its writes may have been done


@dataclass(frozen=True, slots=True)
class FeedReport:
    """A feed as it stands. `outcomes`: listing -> what came of its write. `others`: what came of those that are not
    among them, if it was `write_count` writes in all; None: nobody knows.
    """

    state: FeedState
    outcomes: Mapping[ChannelSku, WriteOutcome] = field(default_factory=dict)
    others: WriteOutcome | None = None
    write_count: int = 0
    words: str = ""


@dataclass(frozen=True, slots=True)
class FeedBegun:
    """A feed that the channel took, under its own `name`. `left_out`: writes that are not in it, and why not."""

    name: str
    left_out: Mapping[ChannelSku, WriteOutcome] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """Which listings may go by a feed. `unread_count`: of so many others it is not known yet; ask again."""

    ready: tuple[ChannelSku, ...]
    unread_count: int


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """What a channel announces to one address of ours, in its own words for the topics.

    `present` was there and is as it should be; `created` was missing; `removed` was there in a form that hides
    something, and is among the created now; `refused`: topic -> why it is not announced.
    """

    present: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a preflight: what was checked, whether it is good, and what to do where it is not."""

    what: str
    is_good: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """What a person told us of one channel. `secrets` never appear in a `repr`."""

    channel: str
    settings: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
