"""Connect a channel: look through what a person tells of it, and keep it, in mode watch.

Reads: its settings and secrets as they are kept. Writes: channels. Next: receive, which polls it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta

import httpx2

from oneshelf.clock import SystemClock
from oneshelf.domain.identity import Channel, channel_from, location_from
from oneshelf.domain.wholesale import WHOLESALE
from oneshelf.errors import ConfigurationError
from oneshelf.flow.channel import TIMING_NAMES
from oneshelf.sdk.access_end import EndsAccess
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.kinds import kind_named, load_kinds
from oneshelf.sdk.limits import Unlimited
from oneshelf.sdk.message import ChannelConfig
from oneshelf.storage import catalog, secret_keys
from oneshelf.storage.catalog import ChannelRow, CredentialEnd, NewChannel
from oneshelf.storage.database import Database

TIMING_S_MAX = 7 * 86_400.0
# From more on there is never a feed.
FEED_LISTINGS_MAX = 10_000_000


def checked_channel(
    *,
    kind: str,
    name: str,
    location: str,
    settings: Mapping[str, str],
    secrets: Mapping[str, str],
    timing: Mapping[str, str],
) -> NewChannel:
    """A channel whose settings its connector accepts. Raises ConfigurationError, MalformedError. Calls nobody."""
    channel = channel_from(name)
    if channel == WHOLESALE:
        raise ConfigurationError(f"{name} is what orders of wholesale customers go by; give the channel another name")
    chosen = kind_named(load_kinds(), kind)
    clock = SystemClock()
    # Nothing is called: the client only has to be there.
    http = ChannelHttp(httpx2.AsyncClient(), clock=clock, limiter=Unlimited())
    config = ChannelConfig(channel=channel, settings=settings, secrets=secrets)
    opened = chosen.open(config, channel=channel, http=http, clock=clock)
    ends = opened.access_ends() if isinstance(opened, EndsAccess) else ()
    for one in ends:
        # Where the sun rises first it is tomorrow already.
        if one.begun_on > (clock.now() + timedelta(days=1)).date():
            raise ConfigurationError(
                f"channel {channel}: {one.setting} is {one.begun_on}, which is yet to come; set the day on which it was"
            )
    seconds = {key: _seconds(key, text) for key, text in timing.items()}
    return NewChannel(
        channel,
        kind,
        location_from(location),
        settings,
        secrets,
        seconds,
        shows_figures=chosen.capability.shows_figures,
        takes_purchase_orders=chosen.capability.takes_purchase_orders,
        access_ends=[CredentialEnd(one.what, one.ends_on, one.way_out) for one in ends],
        memos=frozenset(setting.name for setting in chosen.settings if setting.is_memo),
    )


async def connect(database: Database, new: NewChannel) -> str:
    """Keep the channel, in mode watch; said again, or after a crash, it is kept once.

    Returns the mode that it had, where another location or setting has set it back to watch. Raises ConfigurationError.
    """
    async with database.transaction() as tx:
        if not await catalog.known_locations(tx, [new.location]):
            raise ConfigurationError(
                f"no location {new.location!r}. Name it first: oneshelf stock add-location {new.location}"
            )
        return await catalog.add_channel(tx, new, keyring=database.keyring)


async def found(database: Database, name: Channel) -> ChannelRow | None:
    """The channel as it is kept, its secrets sealed; None where there is none of this name."""
    async with database.transaction() as tx:
        return next((row for row in await catalog.channels(tx) if row.channel == name), None)


def with_kept(
    database: Database, row: ChannelRow | None, settings: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    """The secrets that were typed, and those that are kept of the others.

    Another address is told no secret that was typed for the one of before: ConfigurationError, as where one does not
    open. Raises KeyMissingError.
    """
    if row is None:
        return dict(secrets)
    left = {name: text for name, text in row.secrets.items() if name not in secrets}
    names = settings.keys() | row.settings.keys()
    moved = [name for name in sorted(names) if settings.get(name, "") != row.settings.get(name, "")]
    if left and any(settings.get(name, "").startswith("http") for name in moved):
        raise ConfigurationError(
            f"{', '.join(moved)} is another one, so the secrets have to be typed anew: {', '.join(sorted(left))}"
        )
    return {**secret_keys.opened(database.keyring, left, table=secret_keys.TYPED, channel=row.channel), **secrets}


def _seconds(name: str, text: str) -> float:
    if name not in TIMING_NAMES:
        raise ConfigurationError(f"unknown timing {name!r}; there are: {', '.join(TIMING_NAMES)}")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if name == "feed_writes_least":
        if not 2 <= seconds <= FEED_LISTINGS_MAX or seconds != int(seconds):
            raise ConfigurationError(f"{name} takes a number of listings from 2 on, not {text[:40]!r}")
        return seconds
    if not 0 < seconds <= TIMING_S_MAX:
        raise ConfigurationError(f"timing {name} takes seconds above 0 and up to a week, not {text[:40]!r}")
    return seconds
