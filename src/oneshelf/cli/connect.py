"""Checks what a person tells us of a channel before it is stored."""

from __future__ import annotations

import math
from collections.abc import Mapping

import httpx2

from oneshelf.clock import SystemClock
from oneshelf.domain.identity import channel_from, location_from
from oneshelf.domain.wholesale import WHOLESALE
from oneshelf.errors import ConfigurationError
from oneshelf.flow.channel import TIMING_NAMES
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.kinds import kind_named, load_kinds
from oneshelf.sdk.limits import Unlimited
from oneshelf.sdk.message import ChannelConfig
from oneshelf.storage.catalog import NewChannel

TIMING_S_MAX = 7 * 86_400.0


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
    chosen.open(config, channel=channel, http=http, clock=clock)
    seconds = {key: _seconds(key, text) for key, text in timing.items()}
    return NewChannel(channel, kind, location_from(location), settings, secrets, seconds)


def _seconds(name: str, text: str) -> float:
    if name not in TIMING_NAMES:
        raise ConfigurationError(f"unknown timing {name!r}; there are: {', '.join(TIMING_NAMES)}")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= TIMING_S_MAX:
        raise ConfigurationError(f"timing {name} takes seconds above 0 and up to a week, not {text[:40]!r}")
    return seconds
