"""Commands for listings: which SKU each one sells, and how far its figure has got."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli import going_live
from oneshelf.cli.common import PlainErrors, on_database, refuse_unknown_channel, show_rows, typed, units_in

if TYPE_CHECKING:
    from oneshelf.domain.identity import Channel, ChannelSku
    from oneshelf.storage.database import Transaction
    from oneshelf.storage.listings import UnlinkedListing
    from oneshelf.storage.views import ListingRow

app = typer.Typer(cls=PlainErrors, help="Link listings to SKUs, and see how far each has got.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Channel_ = Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's name.")]
Listing_ = Annotated[str, typer.Argument(metavar="LISTING", help="The channel's id of it, or the seller's SKU there.")]
_UNLINKED = ("channel", "channel_sku", "merchant_sku", "title", "note")
_FIGURES = (
    *("channel", "channel_sku", "merchant_sku", "sku", "pack_units", "state", "desired_units", "verified_units"),
    *("age_s", "unverified_s", "parked_reason", "issues"),
)


@app.command()
def link(
    channel: Channel_,
    listing: Listing_,
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The SKU that it sells.")],
    pack: Annotated[str, typer.Option(help="Units of the SKU in one sold unit.")] = "1",
) -> None:
    """Say which SKU a listing sells. Orders that waited for this are posted."""
    from oneshelf.domain.identity import channel_from, sku_from
    from oneshelf.errors import ConfigurationError
    from oneshelf.storage import facts, listings, touched
    from oneshelf.storage.database import Database

    owner, item, pack_units = channel_from(channel), sku_from(sku), units_in(pack, what="pack", least=1)
    wanted = typed(listing, what="LISTING")

    async def connect(database: Database) -> tuple[str, int]:
        async with database.transaction() as tx:
            is_known, channel_sku = await meant(tx, owner, wanted, may_be_new=True)
            if not await listings.link(tx, (owner, channel_sku), item, pack_units=pack_units):
                raise ConfigurationError(
                    f"no channel {owner!r} or no SKU {item!r}. Way out: oneshelf channel list, "
                    f"oneshelf stock add-sku {item}"
                )
            requeued = await facts.requeue_for_listings(tx, owner, [channel_sku])
            if not is_known and not requeued:
                raise _unknown(owner, wanted)
            await touched.mark(tx, [item])
            await listings.request_look(tx, owner, channel_skus=[channel_sku])
            return channel_sku, requeued

    channel_sku, requeued = on_database(connect)
    typer.echo(f"{owner} {channel_sku} sells {item} in packs of {pack_units}; {requeued} waiting orders are posted now")


@app.command()
def unlinked(as_json: Json = False) -> None:
    """Listings that no SKU stands behind."""
    from oneshelf.storage import listings
    from oneshelf.storage.database import Database

    async def read(database: Database) -> list[UnlinkedListing]:
        async with database.transaction() as tx:
            return await listings.unlinked(tx)

    show_rows(on_database(read), _UNLINKED, as_json=as_json, empty="every listing is linked")


@app.command("list")
def list_(
    channel: Annotated[str, typer.Argument(help="One channel; default: all.")] = "", as_json: Json = False
) -> None:
    """All listings: what each should show, and what it was last proved to show."""
    from oneshelf.domain.identity import channel_from
    from oneshelf.storage import views
    from oneshelf.storage.database import Database

    only = channel_from(channel) if channel else None

    async def read(database: Database) -> list[ListingRow]:
        rows: list[ListingRow] = []
        async with database.transaction() as tx:
            await views.freeze(tx)
            if only is not None:
                await refuse_unknown_channel(tx, only)
            while page := await views.listing_rows(
                tx, channel=only, after=(rows[-1].channel, rows[-1].channel_sku) if rows else None
            ):
                rows += page
        return rows

    show_rows(on_database(read), _FIGURES, as_json=as_json, empty="no channel has shown a listing yet")


@app.command()
def retry(channel: Channel_, listing: Listing_) -> None:
    """Write a parked listing again, once the channel's complaint is dealt with."""
    from oneshelf.domain.identity import channel_from
    from oneshelf.domain.listing import Phase, retried
    from oneshelf.errors import ConfigurationError
    from oneshelf.storage import publishing
    from oneshelf.storage.database import Database, now

    owner, wanted = channel_from(channel), typed(listing, what="LISTING")

    async def try_again(database: Database) -> str:
        async with database.transaction() as tx:
            await refuse_unknown_channel(tx, owner)
            _, channel_sku = await meant(tx, owner, wanted)
            parked = await publishing.lock(tx, [(owner, channel_sku)], lease=None)
            if not parked or parked[0].phase is not Phase.PARKED:
                raise ConfigurationError(f"{owner} {channel_sku} is not parked; there is nothing to retry")
            await publishing.save(tx, [retried(parked[0], now=await now(tx))])
            return channel_sku

    typer.echo(f"{owner} {on_database(try_again)} is written again")


@app.command()
def activate(channel: Channel_, listing: Listing_) -> None:
    """Put a listing on sale that its channel keeps inactive at our location, with nothing available until we write it.

    The engine never does that by itself.
    """
    from oneshelf.app import open_channels
    from oneshelf.clock import SystemClock
    from oneshelf.domain.identity import channel_from
    from oneshelf.errors import ConfigurationError
    from oneshelf.sdk.contract import Activates
    from oneshelf.sdk.message import Applied, WriteOutcome
    from oneshelf.storage import listings
    from oneshelf.storage.database import Database

    owner, wanted = channel_from(channel), typed(listing, what="LISTING")

    async def switch_on(database: Database) -> tuple[ChannelSku, WriteOutcome]:
        async with database.transaction() as tx:
            await refuse_unknown_channel(tx, owner)
            _, channel_sku = await meant(tx, owner, wanted)
        async with open_channels(database) as channels:
            opened = channels.by_name.get(owner)
            connector = opened.connector if opened else None
            if not isinstance(connector, Activates):
                raise ConfigurationError(f"listings of {owner} are not activated from here; oneshelf doctor says more")
            outcome = await connector.activate(channel_sku, key=SystemClock().new_id())
        async with database.transaction() as tx:
            await listings.request_look(tx, owner, channel_skus=[channel_sku])
        return channel_sku, outcome

    channel_sku, outcome = on_database(switch_on)
    if not isinstance(outcome, Applied):
        words = getattr(outcome, "words", "try again later")
        raise ConfigurationError(f"{owner} {channel_sku} was not activated: {words}")
    typer.echo(
        f"{owner} {channel_sku} is active with 0 available; the engine reads it and writes its figure. "
        f"If it is parked: oneshelf listing retry {owner} {channel_sku}"
    )


@app.command()
def move(
    channel: Channel_,
    listing: Listing_,
    units: Annotated[str, typer.Argument(metavar="UNITS", help="How many, in units of the listing.")],
    origin: Annotated[
        str, typer.Option("--from", help="The state that they leave; left out: they were uncounted.")
    ] = "",
    target: Annotated[str, typer.Option("--to", help="The state that they enter; left out: they are gone.")] = "",
    as_json: Json = False,
) -> None:
    """Move units between stock states at a channel, such as from available to damaged.

    It is done there and nowhere else, as if somebody did it in the channel's back office: the engine learns of it by
    reading, and what becomes of it is the rule of the channel (oneshelf channel state-changes).
    """
    from oneshelf.cli.moving import moved

    moved(channel, listing, units, origin=origin, target=target, as_json=as_json)


going_live.register(app)


async def meant(tx: Transaction, channel: Channel, text: str, *, may_be_new: bool = False) -> tuple[bool, ChannelSku]:
    """The one listing that a person means, and whether it is known. Raises ConfigurationError for none or several."""
    from oneshelf.domain.identity import ChannelSku
    from oneshelf.errors import ConfigurationError
    from oneshelf.storage import listings

    found = await listings.find(tx, channel, text)
    if text in found:
        return True, ChannelSku(text)
    if len(found) > 1:
        raise ConfigurationError(
            f"several listings of {channel} carry {text!r}: {', '.join(found)}. Name one by its id"
        )
    if not found and not may_be_new:
        raise _unknown(channel, text)
    return (True, found[0]) if found else (False, ChannelSku(text))


def _unknown(channel: Channel, text: str) -> Exception:
    from oneshelf.errors import ConfigurationError

    return ConfigurationError(
        f"{channel} has shown no listing {text!r}. Way out: oneshelf listing unlinked lists those that wait for a "
        f"link; oneshelf reconcile {channel} looks for new ones"
    )
