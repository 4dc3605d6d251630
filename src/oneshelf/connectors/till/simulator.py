"""Simulated tills: a shelf, buyers, and devices that go off line and come back with a burst of what they sold.

Under `/_sim/devices` stands what each device used and has told; POST sets one on line or off line, `/_sim/heartbeat`
lets one say that it is on. Faults: `offline` (a
device is off the network for a while), `duplicate` (a burst is sent twice), `reorder` (a burst comes in pieces, in any
order), `gap` (an event is told much later than the others), `equivocation` (a number is told again with other content).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from oneshelf.clock import Clock
from oneshelf.connectors.till.simulator_devices import BURST_MAX, Device, Event
from oneshelf.errors import MalformedError
from oneshelf.sdk.simulated_sender import Sender
from oneshelf.sdk.simulator import BookLine, BookListing, BookOrder, CatalogueItem, SimulatedAccount, Simulator

FAULTS = ("offline", "duplicate", "reorder", "gap", "equivocation")
DEVICES = ("till-1", "till-2", "till-3")
SKEW_S_MAX = 180.0
SOON_S = (0.2, 1.5)
OFFLINE_S = (300.0, 7_200.0)
KEPT_BACK_S = (60.0, 1_800.0)
AGAIN_S_MAX = 300.0


class TillSimulator(Simulator):
    """A shop with three tills. What a buyer carries out was on the shelf; the tills know nothing of the figure."""

    def __init__(
        self, *, seed: int, speed: float, clock: Clock, webhook_client: httpx2.AsyncClient | None = None
    ) -> None:
        super().__init__(kind="till", seed=seed, speed=speed, clock=clock, faults=FAULTS)
        self.devices = {name: Device(name, self.chance.uniform(-SKEW_S_MAX, SKEW_S_MAX)) for name in DEVICES}
        self.sender = Sender(webhook_client)
        self._articles: dict[str, BookListing] = {}
        self._orders: dict[str, BookOrder] = {}

    # The channel has no wire of its own: it calls us ---------------------------------------------------------------

    def wire(self) -> Sequence[BaseRoute]:
        return [
            Route("/_sim/devices", self._show_devices, methods=["GET"]),
            Route("/_sim/devices", self._control(self._set_device), methods=["POST"]),
            Route("/_sim/heartbeat", self._control(lambda asked: self.beat(asked["device"])), methods=["POST"]),
        ]

    def account(self, *, address: str, webhook_secrets: Sequence[str] = ("hush",)) -> SimulatedAccount:
        del address
        return SimulatedAccount({"clock_error_s": "30"}, {"webhook_secret": ",".join(webhook_secrets)})

    def connect(self, *, address: str, secret: str) -> None:
        self.sender.address, self.sender.secret = address, secret
        for device in self.devices.values():
            self._soon(device)

    def stock_catalogue(self, items: Sequence[CatalogueItem]) -> None:
        self._articles.update({item.sku: BookListing(item.sku, item.sku, item.units) for item in items})

    def listings(self) -> Sequence[BookListing]:
        return list(self._articles.values())

    def orders(self) -> Sequence[BookOrder]:
        return list(self._orders.values())

    # What buyers and people do -------------------------------------------------------------------------------------

    def place(self, lines: Sequence[tuple[str, int]]) -> str | None:
        """Somebody buys at a till. None where the shelf has too few."""
        wanted: dict[str, int] = {}
        for sku, units in lines:
            wanted[sku] = wanted.get(sku, 0) + units
        if not wanted or min(wanted.values()) < 1 or any(not self._has(sku, units) for sku, units in wanted.items()):
            return None
        device = self.devices[self.random.choice(DEVICES)]
        for sku, units in wanted.items():
            self._put(sku, -units)
        sold = [{"sku": sku, "units": units} for sku, units in wanted.items()]
        event = self._told_by(device, "sale", lines=sold)
        order_id = f"{device.name}/{event['receipt']}"
        books = tuple(
            BookLine(str(number), sku, units, 0, units_shipped=units)
            for number, (sku, units) in enumerate(wanted.items(), 1)
        )
        self._orders[order_id] = BookOrder(order_id, self.clock.now(), "shipped", books)
        return order_id

    def cancel(self, order_id: str) -> bool:
        """The cashier takes the sale back, at this or another device."""
        order = self._orders.get(order_id)
        if order is None or order.status != "shipped" or any(line.units_returned for line in order.lines):
            return False
        for line in order.lines:
            self._put(line.channel_sku, line.units)
        made_by, _, receipt = order_id.partition("/")
        device = self.devices[self.random.choice(DEVICES)]
        self._told_by(device, "void", receipt=receipt, receipt_device=made_by)
        lines = tuple(
            BookLine(line.line_id, line.channel_sku, line.units, line.units, units_relisted=line.units)
            for line in order.lines
        )
        self._orders[order_id] = BookOrder(order_id, order.placed_at, "cancelled", lines)
        return True

    def refund(self, order_id: str, line_id: str, units: int, *, restock: bool) -> bool:
        """A customer brings units back; without `restock` they are damaged."""
        order = self._orders.get(order_id)
        line = next((one for one in order.lines if one.line_id == line_id), None) if order else None
        if order is None or line is None or not 0 < units <= line.units_shipped - line.units_returned:
            return False
        device = self.devices[self.random.choice(DEVICES)]
        back = {"sku": line.channel_sku, "units": units, "disposition": "available" if restock else "damaged"}
        self._told_by(device, "return", of_receipt=order_id.partition("/")[2], returned=[back])
        if restock:
            self._put(line.channel_sku, units)
        lines = tuple(
            BookLine(
                one.line_id,
                one.channel_sku,
                one.units,
                0,
                units_shipped=one.units_shipped,
                units_returned=one.units_returned + (units if one is line else 0),
            )
            for one in order.lines
        )
        self._orders[order_id] = BookOrder(order_id, order.placed_at, "shipped", lines)
        return self.counted("refund_restocked" if restock else "refund_kept_off", True)

    def edit_by_hand(self, channel_sku: str, units: int) -> None:
        """Somebody puts goods on the shelf, or takes some away. No till hears of it."""
        if channel_sku not in self._articles:
            raise MalformedError(f"no article {channel_sku}")
        self._articles[channel_sku] = BookListing(channel_sku, channel_sku, units)

    # What a till does not have.

    def ship(self, order_id: str) -> bool:
        del order_id
        return False

    def ship_units(self, order_id: str, line_id: str, units: int) -> bool:
        del order_id, line_id, units
        return False

    def cancel_units(self, order_id: str, line_id: str, units: int) -> bool:
        del order_id, line_id, units
        return False

    def edit_line(self, order_id: str, line_id: str, units: int) -> bool:
        del order_id, line_id, units
        return False

    def add_line(self, order_id: str, channel_sku: str, units: int) -> bool:
        del order_id, channel_sku, units
        return False

    def end_listing(self, channel_sku: str) -> bool:
        del channel_sku
        return False

    def remap(self, channel_sku: str, merchant_sku: str) -> bool:
        del channel_sku, merchant_sku
        return False

    # Devices -------------------------------------------------------------------------------------------------------

    def set_online(self, name: str, is_online: bool) -> None:
        """Put a device on the network, or take it off."""
        device = self.devices[name]
        device.is_online = is_online
        if is_online:
            self._soon(device)

    def beat(self, name: str) -> None:
        """A device says that it is on, and which number it used last."""
        device = self.devices[name]
        device.waiting.append(
            {"type": "heartbeat", "device": name, "sequence": device.sequence, "at": self._stamp(device)}
        )
        self._soon(device)

    def _has(self, sku: str, units: int) -> bool:
        article = self._articles.get(sku)
        return article is not None and article.units >= units

    def _put(self, sku: str, units: int) -> None:
        self._articles[sku] = BookListing(sku, sku, self._articles[sku].units + units)

    def _told_by(self, device: Device, kind: str, **content: Any) -> Event:
        sequence = device.next_sequence()
        event: Event = {
            "type": kind,
            "device": device.name,
            "sequence": sequence,
            "at": self._stamp(device),
            "receipt": f"R-{sequence}",
            **content,
        }
        if device.is_online and self.switches.strikes("offline"):
            device.is_online = False
            self.after(self.chance.uniform(*OFFLINE_S), self._later(lambda: self.set_online(device.name, True)))
        if self.switches.strikes("gap"):
            device.kept_back.append(event)
            self.after(self.chance.uniform(*KEPT_BACK_S), self._later(lambda: self._remember(device)))
        else:
            device.waiting.append(event)
        self._soon(device)
        return event

    def _remember(self, device: Device) -> None:
        device.waiting.extend(device.kept_back)
        device.kept_back.clear()
        self._soon(device)

    def _later(self, act: Callable[[], None]) -> Callable[[], Any]:
        async def do() -> None:
            act()

        return do

    def _soon(self, device: Device) -> None:
        async def flush() -> None:
            await self._flush(device)

        if device.waiting:
            self.after(self.random.uniform(*SOON_S), flush)

    async def _flush(self, device: Device) -> None:
        """Send what waits. What was not taken waits on, and comes again."""
        if not device.is_online or not device.waiting:
            return
        burst, device.waiting = device.waiting[:BURST_MAX], device.waiting[BURST_MAX:]
        pieces = [burst]
        if len(burst) > 1 and self.switches.strikes("reorder"):
            self.chance.shuffle(burst)
            middle = self.chance.randrange(1, len(burst))
            pieces = [burst[:middle], burst[middle:]]
        if self.switches.strikes("duplicate"):
            pieces = [*pieces, pieces[0]]
        for number, piece in enumerate(pieces):
            if await self._is_sent(device, piece):
                device.tries = 0
                device.told.extend(event for event in piece if event not in device.told)
                continue
            device.waiting = [*(event for one in pieces[number:] for event in one), *device.waiting]
            device.tries += 1
            self.after(min(AGAIN_S_MAX, 2.0**device.tries), self._later(lambda: self._soon(device)))
            return
        if self.switches.strikes("equivocation"):
            sales = [event for event in burst if event["type"] == "sale"]
            if sales:
                other = {**sales[0], "lines": [{**line, "units": line["units"] + 1} for line in sales[0]["lines"]]}
                await self._is_sent(device, [other])
        self._soon(device)

    async def _is_sent(self, device: Device, events: Sequence[Event]) -> bool:
        document: object = {"sent_at": self._stamp(device), "events": list(events)}
        delivery_id = str(UUID(int=self.random.getrandbits(128), version=4))
        at = self.channel_now() + timedelta(seconds=device.skew_s)
        return await self.sender.post(
            msgspec.json.encode(document), delivery_id=delivery_id, timestamp=int(at.timestamp())
        )

    def _stamp(self, device: Device) -> str:
        return (self.channel_now() + timedelta(seconds=device.skew_s)).isoformat()

    async def _show_devices(self, _request: Request) -> Response:
        return JSONResponse(
            [
                {
                    "device": one.name,
                    "is_online": one.is_online,
                    "skew_s": one.skew_s,
                    "sequence": one.sequence,
                    "waiting_count": len(one.waiting) + len(one.kept_back),
                    "told_count": len(one.told),
                }
                for one in self.devices.values()
            ]
        )

    def _set_device(self, asked: dict[str, Any]) -> None:
        if asked.get("device") not in self.devices or not isinstance(asked.get("is_online"), bool):
            raise MalformedError(f"device is one of {', '.join(self.devices)}, is_online is true or false")
        self.set_online(asked["device"], asked["is_online"])
