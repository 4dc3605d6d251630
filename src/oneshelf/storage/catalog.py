"""Rows of `skus`, `locations` and `channels`: what we count, where, and who sells it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from psycopg import AsyncCursor
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from oneshelf.domain.command import Component
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.ledger import Backorder, BackorderKind, BalanceKey
from oneshelf.domain.probing import Ability
from oneshelf.errors import ConfigurationError, MalformedError
from oneshelf.storage import arrays, facts, listings, secret_keys, touched
from oneshelf.storage.database import Transaction
from oneshelf.storage.keyring import Keyring

_CHANNEL_COLUMNS = (
    "channel, kind, mode, location, settings, secrets, timing, created_at, paused_until, fail_streak, last_fault, "
    "signs_off, held_at, held_reason, fallbacks, shows_figures, takes_purchase_orders"
)


class ChannelRow(NamedTuple):
    """A connected channel. `mode`: watch (never write), live, paused. `signs_off`: as a whole, or listing by listing.

    `held_at`: since when the breaker lets nothing through but what was sold, for `held_reason`; None usually.
    `secrets`: as they are stored, to be opened by `secret_keys`.
    `fallbacks`: declared ability -> `reason` and `since`, of those that a probe has shown to be lost.
    `shows_figures`, `takes_purchase_orders`: see `sdk.capability`.
    """

    channel: Channel
    kind: str
    mode: str
    location: Location
    settings: dict[str, str]
    secrets: dict[str, str]
    timing: dict[str, float]
    created_at: datetime
    paused_until: datetime | None
    fail_streak: int
    last_fault: str
    signs_off: str
    held_at: datetime | None
    held_reason: str
    fallbacks: dict[str, dict[str, str]]
    shows_figures: bool = True
    takes_purchase_orders: bool = False

    @property
    def has_devices(self) -> bool:
        """Whether devices at counters tell what they sold."""
        return not self.shows_figures and not self.takes_purchase_orders

    @property
    def lost(self) -> set[Ability]:
        """The declared abilities that nobody relies on."""
        return {ability for ability in Ability if ability in self.fallbacks}

    def __repr__(self) -> str:
        return f"ChannelRow({self.channel!r}, {self.kind!r}, {self.mode!r})"


class Named(NamedTuple):
    """How many of the SKUs are new, and the listings that were linked to one of them just now."""

    new_count: int
    linked: dict[listings.ListingKey, Sku]


async def add_skus(tx: Transaction, titles: Mapping[Sku, str]) -> Named:
    """Name SKUs; known ones keep their title. Listings that a sweep has seen and that carry one of them are linked.

    Orders that waited for these links are posted. Said again, nothing changes.
    """
    await listings.hold_off_linking(tx)
    cursor = await tx.execute(
        """
        insert into skus (sku, title)
        select sku, title from unnest(%(skus)s::text[], %(titles)s::text[]) as new (sku, title)
        order by sku collate "C" on conflict do nothing
        """,
        {"skus": list(titles), "titles": list(titles.values())},
    )
    linked = await listings.link_named(tx, titles)
    waiting: dict[Channel, list[ChannelSku]] = {}
    for channel, channel_sku in linked:
        waiting.setdefault(channel, []).append(channel_sku)
    for channel, channel_skus in sorted(waiting.items()):
        await facts.requeue_for_listings(tx, channel, channel_skus)
    await touched.mark(tx, linked.values())
    return Named(cursor.rowcount, linked)


async def add_location(tx: Transaction, location: Location, *, title: str = "") -> bool:
    """Name a location. False when it was known."""
    cursor = await tx.execute(
        "insert into locations (location, title) values (%(location)s, %(title)s) on conflict do nothing",
        {"location": location, "title": title},
    )
    return cursor.rowcount == 1


async def known_skus(tx: Transaction, skus: Collection[Sku]) -> set[Sku]:
    """Those of `skus` that have been named."""
    return (await told_known(await ask_known(tx, skus, ()))).skus


async def known_locations(tx: Transaction, locations: Collection[Location]) -> set[Location]:
    """Those of `locations` that have been named."""
    return (await told_known(await ask_known(tx, (), locations))).locations


class Known(NamedTuple):
    """Names that there are; which of the SKUs are bundles, and what may be promised of them beyond the shelf.

    `granted`: units that the listings of guarded ones may sell.
    """

    skus: set[Sku]
    locations: set[Location]
    bundles: dict[Sku, tuple[Component, ...]]
    backorders: dict[BalanceKey, Backorder]
    granted: dict[BalanceKey, int]


async def ask_known(
    tx: Transaction, skus: Collection[Sku], locations: Collection[Location]
) -> AsyncCursor[tuple[Any, ...]]:
    """Ask for what is known of these names, to be read with `told_known`."""
    return await tx.execute(
        """
        select 'sku', sku, null, null, null::bigint from skus where sku = any(%(skus)s::text[])
        union all
        select 'location', null, location, null, null from locations where location = any(%(locations)s::text[])
        union all
        select 'bundle', sku, component, null, units from bundle_components where sku = any(%(skus)s::text[])
        union all
        select 'backorder', sku, location, kind, cap_units from backorders where sku = any(%(skus)s::text[])
        union all
        select 'granted', sku, location, null, units from granted
        where sku = any(array(select g.sku from skus g where g.is_guarded and g.sku = any(
            %(skus)s::text[] || array(select component from bundle_components where sku = any(%(skus)s::text[])))))
        """,
        {"skus": arrays.texts(sorted(skus)), "locations": arrays.texts(sorted(locations))},
    )


async def told_known(asked: AsyncCursor[tuple[Any, ...]]) -> Known:
    """The answer to `ask_known`."""
    known = Known(set(), set(), {}, {}, {})
    for what, sku, other, kind, units in await asked.fetchall():
        match what:
            case "sku":
                known.skus.add(Sku(sku))
            case "location":
                known.locations.add(Location(other))
            case "bundle":
                part = Component(sku=Sku(other), units=units)
                known.bundles[Sku(sku)] = (*known.bundles.get(Sku(sku), ()), part)
            case "granted":
                known.granted[Sku(sku), Location(other)] = units or 0
            case _:
                policy = Backorder(kind=BackorderKind(kind), cap_units=units)
                known.backorders[Sku(sku), Location(other)] = policy
    return known


class CredentialEnd(NamedTuple):
    """A credential of a channel that ends on a day, unless a person renews it: by `way_out`."""

    what: str
    ends_on: date
    way_out: str


class NewChannel(NamedTuple):
    """A channel to be connected. `timing`: seconds that overrule the declared ones, see `flow.channel`.

    `shows_figures`, `takes_purchase_orders`: see `sdk.capability`. `memos`: settings that say nothing of the account.
    """

    channel: Channel
    kind: str
    location: Location
    settings: Mapping[str, str]
    secrets: Mapping[str, str]
    timing: Mapping[str, float]
    shows_figures: bool = True
    takes_purchase_orders: bool = False
    access_ends: Sequence[CredentialEnd] = ()
    memos: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"NewChannel({self.channel!r}, {self.kind!r})"


async def add_channel(tx: Transaction, new: NewChannel, *, keyring: Keyring | None = None) -> str:
    """Connect a channel in mode `watch`, or change the settings of a connected one.

    Another location or setting may mean another account or shop: a connected channel goes back to `watch` then, and
    the mode that it had is returned; in every other case its mode is kept and "" is returned. Changed settings end a
    pause, and what a probe has shown of the account that they meant: what was wrong with the old ones says nothing of
    the new. `keyring` seals the secrets; None keeps them in plain text. Raises ConfigurationError for another kind.
    """
    columns = {
        "channel": new.channel,
        "kind": new.kind,
        "location": new.location,
        "settings": Jsonb(dict(new.settings)),
        "secrets": Jsonb(
            await secret_keys.sealed(
                tx, keyring or Keyring(), new.secrets, table=secret_keys.TYPED, channel=new.channel
            )
        ),
        "timing": Jsonb(dict(new.timing)),
        "shows_figures": new.shows_figures,
        "takes_purchase_orders": new.takes_purchase_orders,
        "access_ends": Jsonb([{**one._asdict(), "ends_on": one.ends_on.isoformat()} for one in new.access_ends]),
    }
    added = await tx.execute(
        """
        insert into channels (channel, kind, location, settings, secrets, timing, shows_figures, takes_purchase_orders,
                              access_ends)
        values (%(channel)s, %(kind)s, %(location)s, %(settings)s, %(secrets)s, %(timing)s, %(shows_figures)s,
                %(takes_purchase_orders)s, %(access_ends)s)
        on conflict (channel) do nothing
        """,
        columns,
    )
    if not new.shows_figures:
        await _plan_around(tx, new.location)
    if added.rowcount == 1:
        return ""
    cursor = tx.cursor(row_factory=class_row(ChannelRow))
    await cursor.execute(f"select {_CHANNEL_COLUMNS} from channels where channel = %(channel)s for update", columns)
    [old] = await cursor.fetchall()
    if old.kind != new.kind:
        raise ConfigurationError(
            f"{new.channel} is a channel of kind {old.kind} and stays one, since its orders and listings are from "
            f"there. Choose another name: oneshelf channel add {new.kind} NAME"
        )
    is_elsewhere = (old.location, _account(old.settings, new)) != (new.location, _account(new.settings, new))
    mode = "watch" if is_elsewhere else old.mode
    if is_elsewhere:
        await listings.withdraw_sign_offs(tx, new.channel)
    await tx.execute(
        """
        update channels set
            mode = %(mode)s, location = %(location)s, settings = %(settings)s, access_ends = %(access_ends)s,
            secrets = %(secrets)s, timing = %(timing)s, paused_until = null, fail_streak = 0, failing_since = null,
            fallbacks = case when %(is_elsewhere)s then '{}' else fallbacks end
        where channel = %(channel)s
        """,
        {**columns, "mode": mode, "is_elsewhere": is_elsewhere},
    )
    return "" if mode == old.mode else old.mode


def _account(settings: Mapping[str, str], new: NewChannel) -> dict[str, str]:
    """The settings that say which account it is."""
    return {name: value for name, value in settings.items() if name not in new.memos}


async def _plan_around(tx: Transaction, location: Location) -> None:
    """What tills may sell unseen at this location may be another figure now: its guarded listings are planned."""
    await tx.execute(
        """
        insert into touched (sku)
        select s.sku from skus s join balances b on b.sku = s.sku and b.location = %(location)s
        where s.is_guarded or s.mode = 'auto' order by s.sku
        """,
        {"location": location},
    )


async def set_mode(tx: Transaction, channel: Channel, mode: str) -> bool:
    """Watch, go live, or pause. False for an unknown channel. The SKUs whose shares that changes are planned.

    Live: to all listings, linked now or later, unless the channel is signed off listing by listing. Raises
    MalformedError for one that shows no figure.
    """
    if mode == "live":
        await _refuse_without_figures(tx, channel)
    await tx.execute(
        """
        insert into touched (sku)
        select distinct s.sku from channels c
        join listings l on l.channel = c.channel
        left join bundle_components b on b.sku = l.sku
        join skus s on s.sku = coalesce(b.component, l.sku)
            and (s.is_guarded or (s.mode = 'auto' and c.mode <> %(mode)s))
        where c.channel = %(channel)s
        """,
        {"mode": mode, "channel": channel},
    )
    cursor = await tx.execute(
        """
        update channels set mode = %(mode)s,
            live_since = case when %(mode)s = 'live' and mode <> 'live' then db_now() else live_since end
        where channel = %(channel)s
        """,
        {"mode": mode, "channel": channel},
    )
    return cursor.rowcount == 1


async def _refuse_without_figures(tx: Transaction, channel: Channel) -> None:
    cursor = await tx.execute(
        "select from channels where channel = %(channel)s and not shows_figures", {"channel": channel}
    )
    if await cursor.fetchone() is not None:
        raise MalformedError(
            f"{channel} shows no figure, so there is nothing to write to it; what it tells counts already"
        )


async def channels(tx: Transaction) -> list[ChannelRow]:
    """All connected channels."""
    cursor = tx.cursor(row_factory=class_row(ChannelRow))
    await cursor.execute(f"select {_CHANNEL_COLUMNS} from channels order by channel")
    return await cursor.fetchall()


async def record_success(tx: Transaction, channel: Channel) -> int:
    """The channel answered: close the circuit. Returns how many calls in a row had failed."""
    cursor = await tx.execute(
        """
        update channels c set fail_streak = 0, failing_since = null, paused_until = null, last_fault = ''
        from (
            select channel, fail_streak from channels
            where channel = %(channel)s and fail_streak > 0 for update
        ) as old
        where c.channel = old.channel returning old.fail_streak
        """,
        {"channel": channel},
    )
    row = await cursor.fetchone()
    return row[0] if row else 0


async def record_failure(tx: Transaction, channel: Channel, *, fault: str) -> int:
    """The channel as a whole failed. Returns how many times in a row by now."""
    cursor = await tx.execute(
        """
        update channels set fail_streak = fail_streak + 1, last_fault = %(fault)s,
            failing_since = coalesce(failing_since, db_now())
        where channel = %(channel)s returning fail_streak
        """,
        {"channel": channel, "fault": fault[:500]},
    )
    row = await cursor.fetchone()
    return row[0] if row else 0


async def pause(tx: Transaction, channel: Channel, *, pause_s: float) -> None:
    """Leave the channel alone for a while: the open circuit, shared by all nodes."""
    await tx.execute(
        """
        update channels set paused_until = db_now() + make_interval(secs => %(pause_s)s)
        where channel = %(channel)s
        """,
        {"channel": channel, "pause_s": pause_s},
    )


async def set_cancellation_cost(tx: Transaction, channel: Channel, cost: float | None) -> None:
    """What one cancelled order costs at this channel, compared with others; None: as is usual for its kind."""
    await tx.execute(
        "update channels set cancellation_cost = %(cost)s where channel = %(channel)s",
        {"cost": cost, "channel": channel},
    )
