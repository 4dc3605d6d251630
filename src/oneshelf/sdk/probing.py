"""Tries at a channel what its connector declares: by readings, and by writing what a listing shows already."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from oneshelf.clock import Clock
from oneshelf.domain.identity import ChannelSku, printable
from oneshelf.domain.probing import Ability, Check, Verdict
from oneshelf.errors import MalformedError
from oneshelf.sdk.capability import WRONG_BY, Capability, WriteKind
from oneshelf.sdk.contract import Connector, RemembersKeys
from oneshelf.sdk.fault import ChannelFault, OutcomeUnknownError
from oneshelf.sdk.message import Accepted, Applied, Refused, Stale, StockReading, StockWrite, Unknown, WriteOutcome

# So often the wrong figure is compared: who ignores it now and then is found out too.
COMPARE_TRIES = 3
CLOCK_APART_S_MAX = 30.0
READ_BACK_S_MAX = 20.0
LOOK_AGAIN_S = 0.5
SEEN_LENGTH_MAX = 500

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Timed(Generic[Result]):
    """What came of a call, or why nothing did."""

    result: Result | None
    failure: str
    took_ms: float


class Prober:
    """Collects checks. `clock_ahead_s`: see `sdk.http.ChannelHttp`."""

    def __init__(
        self,
        connector: Connector,
        declared: Capability,
        clock: Clock,
        *,
        clock_ahead_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._connector = connector
        self._declared = declared
        self._clock = clock
        self._clock_ahead_s = clock_ahead_s
        self.checks: list[Check] = []

    # Readings ------------------------------------------------------------------------------------------------

    async def try_account(self) -> None:
        """Whether the channel answers, what it grants us, and what its clock shows."""
        asked = await self._timed(self._connector.preflight())
        tried = "asked the channel who we are there and what we may do"
        self._add("answers", tried, asked.failure or "it answered", not asked.failure, asked.took_ms)
        for found in asked.result or ():
            self._add(found.what, tried, found.detail or "as it should be", found.is_good, asked.took_ms)
        ahead_s = self._clock_ahead_s()
        tried = "compared the date of its newest answer with our clock"
        if ahead_s is None:
            self._add("clock", tried, "the channel names no date", None, asked.took_ms)
            return
        seen = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} ours" if ahead_s else "no difference"
        is_near = abs(ahead_s) <= CLOCK_APART_S_MAX
        advice = "" if is_near else "; run an NTP client on this machine"
        self._add("clock", tried, seen + advice, is_near, asked.took_ms)

    async def try_listing(self, channel_sku: ChannelSku, *, belief: int | None) -> int | None:
        """Whether the listing is there and shows what facts say. Returns what it shows, if that can be written."""
        tried = f"read the listing {channel_sku}"
        asked = await self._timed(self._read(channel_sku))
        reading = asked.result
        if reading is None or reading.units is None:
            seen = asked.failure or (f"no quantity to write: {reading.note}" if reading else "the channel has none")
            self._add("listing", tried, seen, False, asked.took_ms)
            return None
        named = f" ({reading.merchant_sku})" if reading.merchant_sku else ""
        self._add("listing", tried, f"it shows {reading.units}{named}", True, asked.took_ms)
        tried = "compared what it shows with what facts say"
        if belief is None:
            self._add("belief", tried, "the engine has not anchored it yet", None, asked.took_ms)
        elif belief == reading.units:
            self._add("belief", tried, f"both say {belief}", True, asked.took_ms)
        else:
            seen = f"facts say {belief}: an order is on its way, or it has drifted; look again in a minute"
            self._add("belief", tried, seen, None, asked.took_ms)
        return reading.units

    # Writes --------------------------------------------------------------------------------------------------

    async def try_writes(self, channel_sku: ChannelSku, units: int) -> None:
        """Whether writes are what the connector declares. `units`: what is shown; no other figure is ever sent.

        Ends at the first write of which the outcome is unknown: a copy of it may still arrive.
        """
        if self._declared.write_kind is WriteKind.COMPARE_AND_SET:
            if not await self._try_wrong_figure(channel_sku, units):
                return
            await self._try_reading_back("unchanged", channel_sku, units)
        if not await self._try_right_figure(channel_sku, units):
            return
        if self._declared.key_life_s > 0:
            await self._try_key(channel_sku, units)
        await self._try_reading_back("read back", channel_sku, units)

    async def _try_wrong_figure(self, channel_sku: ChannelSku, units: int) -> bool:
        tried = f"wrote the {units} that it shows, compared with {units + WRONG_BY}"
        took_ms = 0.0
        for attempt in range(COMPARE_TRIES):
            asked = await self._write(channel_sku, units, expected=units + WRONG_BY)
            took_ms += asked.took_ms
            match asked.result:
                case Stale():
                    continue
                case Applied() | Accepted():
                    seen = (
                        f"it was written all the same, try {attempt + 1} of {COMPARE_TRIES}: the compared figure is "
                        "ignored, so a write would bury a sale"
                    )
                    self._add("compare", tried, seen, False, took_ms, Ability.COMPARE)
                    return True
                case outcome:
                    self._add("compare", tried, _words(outcome, asked.failure), None, took_ms, Ability.COMPARE)
                    return not isinstance(outcome, Unknown)
        seen = f"refused as stale, {COMPARE_TRIES} of {COMPARE_TRIES} times"
        self._add("compare", tried, seen, True, took_ms, Ability.COMPARE)
        return True

    async def _try_right_figure(self, channel_sku: ChannelSku, units: int) -> bool:
        asked = await self._write(channel_sku, units, expected=units)
        tried = f"wrote the {units} that it shows, compared with {units}"
        if self._declared.write_kind is WriteKind.BLIND_SET:
            tried = f"wrote the {units} that it shows"
        match asked.result:
            case Applied():
                self._add("write", tried, "applied", True, asked.took_ms)
            case Accepted():
                self._add("write", tried, "accepted, to be applied later", True, asked.took_ms)
            case Stale():
                self._add("write", tried, "stale: its figure has just changed; try again", None, asked.took_ms)
            case Refused(words):
                self._add("write", tried, f"refused: {words}", False, asked.took_ms)
            case outcome:
                self._add("write", tried, _words(outcome, asked.failure), None, asked.took_ms)
        return not isinstance(asked.result, Unknown)

    async def _try_key(self, channel_sku: ChannelSku, units: int) -> None:
        tried = "sent one write twice under one key, then another one under the same key"
        if not isinstance(self._connector, RemembersKeys):
            self._add("key", tried, "this connector cannot try it", None, 0.0, Ability.KEY)
            return
        asked = await self._timed(self._connector.remembers_key(channel_sku, units, key=self._clock.new_id()))
        if asked.result is None:
            seen = asked.failure or "the channel was busy, or its figure has just changed; try again"
        elif asked.result:
            seen = "the second was a replay, the other one refused"
        else:
            seen = (
                "the other one was taken for a new write: the key is ignored, so a write that is sent again runs again"
            )
        self._add("key", tried, seen, asked.result, asked.took_ms, Ability.KEY)

    async def _try_reading_back(self, what: str, channel_sku: ChannelSku, units: int) -> None:
        """How long until it shows the figure. It has shown it before: longer than at once says that something is on."""
        began_s = self._clock.monotonic()
        deadline_s = began_s + min(READ_BACK_S_MAX, self._declared.apply_s)
        while True:
            asked = await self._timed(self._read(channel_sku))
            shown = asked.result.units if asked.result else None
            if shown == units or self._clock.monotonic() >= deadline_s:
                break
            await self._clock.sleep(LOOK_AGAIN_S)
        took_ms = 1000 * (self._clock.monotonic() - began_s)
        tried = f"read it until it shows {units}"
        if shown == units:
            self._add(what, tried, f"it shows {units}", True, took_ms)
        else:
            seen = asked.failure or f"it shows {shown}: something was sold or edited meanwhile; look at its history"
            self._add(what, tried, seen, None, took_ms)

    # Calls ---------------------------------------------------------------------------------------------------

    async def _read(self, channel_sku: ChannelSku) -> StockReading | None:
        readings = await self._connector.read_stock([channel_sku])
        return next((reading for reading in readings if reading.channel_sku == channel_sku), None)

    async def _write(self, channel_sku: ChannelSku, units: int, *, expected: int) -> _Timed[WriteOutcome]:
        write = StockWrite(key=self._clock.new_id(), channel_sku=channel_sku, units=units, expected_units=expected)
        return await self._timed(self._push(write))

    async def _push(self, write: StockWrite) -> WriteOutcome:
        try:
            (outcome,) = await self._connector.push([write])
        except OutcomeUnknownError as lost:
            return Unknown(str(lost))
        return outcome

    async def _timed(self, call: Awaitable[Result]) -> _Timed[Result]:
        began_s = self._clock.monotonic()
        result, failure = None, ""
        try:
            result = await call
        except (ChannelFault, MalformedError) as fault:
            failure = str(fault)
        return _Timed(result, failure, 1000 * (self._clock.monotonic() - began_s))

    def _add(
        self, what: str, tried: str, seen: str, is_good: bool | None, took_ms: float, ability: Ability | None = None
    ) -> None:
        verdict = Verdict.UNKNOWN if is_good is None else Verdict.HOLDS if is_good else Verdict.FAILS
        seen = printable(seen, length_max=SEEN_LENGTH_MAX)
        self.checks.append(Check(what=what, tried=tried, seen=seen, verdict=verdict, took_ms=took_ms, ability=ability))


def _words(outcome: WriteOutcome | None, failure: str) -> str:
    """Why a write says nothing."""
    match outcome:
        case Refused(words):
            return f"refused: {words}"
        case Unknown(words):
            return f"no answer, it may still arrive: {words}"
        case None:
            return failure
        case _:
            return f"{type(outcome).__name__.lower()}: try again"
