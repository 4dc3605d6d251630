"""The commands that programs send, and what the ledger is asked by each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, assert_never

from pydantic import Field, StrictBool

from oneshelf.domain import command as asked
from oneshelf.domain.account import StockState
from oneshelf.domain.command import ClaimInto, Command, CommandKey, CountedFigure, OrderRef, ReservationKind, ReturnInto
from oneshelf.errors import MalformedError
from oneshelf.web.fields import (
    AsOfIn,
    ChannelIn,
    DeltaUnitsIn,
    ErrorIn,
    HappenedAtIn,
    Input,
    KeyIn,
    LocationIn,
    NumberIn,
    ReceivedUnitsIn,
    ReservationIdIn,
    SkuIn,
    TokenIn,
    TtlIn,
    UnitsIn,
    WordsIn,
)
from oneshelf.web.warehouse_command_inputs import (
    AnnounceIn,
    CloseShipmentIn,
    OfWarehouseIn,
    SettleOverIn,
    UnloadIn,
    WriteOffIn,
    warehouse_command,
)


class ReceiveIn(Input):
    """Goods came in."""

    type: Literal["receive"]
    key: KeyIn = None
    sku: SkuIn
    location: LocationIn
    units: ReceivedUnitsIn
    happened_at: HappenedAtIn | None = None


class AdjustIn(Input):
    """Somebody corrects the available units by a difference."""

    type: Literal["adjust"]
    key: KeyIn = None
    sku: SkuIn
    location: LocationIn
    delta_units: DeltaUnitsIn
    reason: WordsIn = ""
    happened_at: HappenedAtIn | None = None


class CountIn(Input):
    """Somebody counted. `figure` says what: all that lies there (`on_hand`, promised or not, damaged or not); what is
    fit for sale and has not shipped (`unshipped`: on hand without damaged and quality control, so with the units of
    open orders, as an ERP counts that books at the goods issue); or what is free to sell (`available`). A difference is
    no count: `adjust`.

    It replaces what it had seen: what moved after `token` was issued, or after `as_of`, is added to `units`. With
    neither it was taken now.
    """

    type: Literal["count"]
    key: KeyIn = None
    sku: SkuIn
    location: LocationIn
    units: UnitsIn
    figure: CountedFigure = CountedFigure.ON_HAND
    token: TokenIn | None = None
    as_of: AsOfIn | None = None
    error_s: ErrorIn | None = None


class MoveIn(Input):
    """Units change their state where they lie."""

    type: Literal["move"]
    key: KeyIn = None
    sku: SkuIn
    location: LocationIn
    units: ReceivedUnitsIn
    origin: StockState
    target: StockState
    happened_at: HappenedAtIn | None = None


class ExpectIn(Input):
    """A delivery is announced, or its announcement taken back."""

    type: Literal["expect"]
    key: KeyIn = None
    sku: SkuIn
    location: LocationIn
    delta_units: DeltaUnitsIn


class DispatchIn(Input):
    """Units leave one location for another."""

    type: Literal["dispatch"]
    key: KeyIn = None
    transfer_id: NumberIn
    sku: SkuIn
    origin: LocationIn
    target: LocationIn
    units: ReceivedUnitsIn
    happened_at: HappenedAtIn | None = None


class ArriveIn(Input):
    """Units of a transfer are there. `is_last`: whatever has not come now is lost."""

    type: Literal["arrive"]
    key: KeyIn = None
    transfer_id: NumberIn
    sku: SkuIn
    units: UnitsIn
    is_last: StrictBool = True
    happened_at: HappenedAtIn | None = None


class OrderIn(Input):
    """An order, by who took it and the number they gave it."""

    channel: ChannelIn
    order_id: NumberIn


class ReturnIn(Input):
    """Shipped units came back."""

    type: Literal["return"]
    key: KeyIn = None
    order: OrderIn
    sku: SkuIn
    location: LocationIn
    units: ReceivedUnitsIn
    into: ReturnInto
    line_id: WordsIn = ""
    happened_at: HappenedAtIn | None = None


class ShipIn(Input):
    """Units of a claimed order left for the customer, or will not (`cancel`)."""

    type: Literal["ship", "cancel"]
    key: KeyIn = None
    order: OrderIn
    sku: SkuIn
    location: LocationIn
    units: ReceivedUnitsIn
    happened_at: HappenedAtIn | None = None


class ComponentIn(Input):
    """How many units of a SKU one kit or bundle takes."""

    sku: SkuIn
    units: ReceivedUnitsIn


class AssembleIn(Input):
    """Kits are made of their components, or taken apart: by the recipe that is kept, unless `components` are named.

    `other_recipe`: these components are meant, although another recipe is kept.
    """

    type: Literal["assemble", "disassemble"]
    key: KeyIn = None
    sku: SkuIn
    location: LocationIn
    units: ReceivedUnitsIn
    components: list[ComponentIn] | None = None
    other_recipe: StrictBool = False


class DemandIn(Input):
    """Units of one SKU at one location. Of a bundle: whole ones."""

    sku: SkuIn
    location: LocationIn
    units: ReceivedUnitsIn


class ReservationIn(Input):
    """Units to be set aside, all of them or none. A hold, and only a hold, has a `ttl_s`.

    `allow_partial`: what is there, line by line in this order; the answer's `grants` say what each SKU was given.
    """

    key: KeyIn = None
    kind: ReservationKind = ReservationKind.HOLD
    lines: list[DemandIn]
    ttl_s: TtlIn | None = None
    holder: WordsIn = ""
    allow_partial: StrictBool = False


class ExtensionIn(Input):
    """How long a hold lasts from now."""

    key: KeyIn = None
    ttl_s: TtlIn


class ClaimingIn(Input):
    """The order that a reservation belongs to."""

    key: KeyIn = None
    order: OrderIn
    into: ClaimInto = ClaimInto.COMMITTED


class ReleasingIn(Input):
    """Nothing to say but the key."""

    key: KeyIn = None


class ReserveIn(ReservationIn):
    type: Literal["reserve"]


class ExtendIn(ExtensionIn):
    type: Literal["extend"]
    reservation_id: ReservationIdIn


class ClaimIn(ClaimingIn):
    type: Literal["claim"]
    reservation_id: ReservationIdIn


class ReleaseIn(ReleasingIn):
    type: Literal["release"]
    reservation_id: ReservationIdIn


OfReservationIn = ReserveIn | ExtendIn | ClaimIn | ReleaseIn
OfOrderIn = ReturnIn | ShipIn
PlainIn = ReceiveIn | AdjustIn | CountIn | MoveIn | ExpectIn | DispatchIn | ArriveIn
AnyCommandIn = PlainIn | OfWarehouseIn | AssembleIn | OfReservationIn | OfOrderIn
CommandIn = Annotated[AnyCommandIn, Field(discriminator="type")]


def command_of(item: AnyCommandIn, key: CommandKey) -> Command:
    """What is asked of the ledger. Raises MalformedError where the fields contradict each other."""
    if isinstance(item, ReserveIn | ExtendIn | ClaimIn | ReleaseIn):
        return _reservation_command(item, key)
    # The plain ones have the fields of the command, under the same names.
    plain = {name: value for name, value in item if name not in {"type", "key"}}
    match item:
        case ReturnIn() | ShipIn():
            return _order_command(item, key, plain)
        case AssembleIn():
            return _kit_command(item, key)
        case ReceiveIn() | AdjustIn() | CountIn() | MoveIn() | ExpectIn() | DispatchIn() | ArriveIn():
            return _plain_command(item, key, plain)
        case AnnounceIn() | UnloadIn() | CloseShipmentIn() | SettleOverIn() | WriteOffIn():
            return warehouse_command(item, key, plain)
        case _:
            assert_never(item)


def components_from(items: Iterable[ComponentIn]) -> tuple[asked.Component, ...]:
    """Components as they were sent."""
    return tuple(asked.Component(sku=part.sku, units=part.units) for part in items)


def _kit_command(item: AssembleIn, key: CommandKey) -> Command:
    if item.components is not None and not item.components:
        raise MalformedError("components is empty; leave it out to go by the recipe that is kept")
    kinds: dict[tuple[str, bool], type[asked.Assemble | asked.Disassemble]] = {
        ("assemble", False): asked.Assemble,
        ("assemble", True): asked.AssembleOtherwise,
        ("disassemble", False): asked.Disassemble,
        ("disassemble", True): asked.DisassembleOtherwise,
    }
    components = components_from(item.components or ())
    kind = kinds[item.type, item.other_recipe]
    return kind(key=key, sku=item.sku, location=item.location, units=item.units, components=components)


def _plain_command(item: PlainIn, key: CommandKey, plain: dict[str, Any]) -> Command:
    match item:
        case ReceiveIn():
            return asked.Receive(key=key, **plain)
        case AdjustIn():
            return asked.Adjust(key=key, **plain)
        case CountIn():
            return asked.Count(key=key, **plain)
        case MoveIn():
            return asked.Move(key=key, **plain)
        case ExpectIn():
            return asked.Expect(key=key, **plain)
        case DispatchIn():
            return asked.Dispatch(key=key, **plain)
        case ArriveIn():
            return asked.Arrive(key=key, **plain)
        case _:
            assert_never(item)


def _reservation_command(item: OfReservationIn, key: CommandKey) -> Command:
    match item:
        case ReserveIn():
            lines = tuple(asked.Demand(sku=one.sku, location=one.location, units=one.units) for one in item.lines)
            return asked.Reserve(
                key=key,
                kind=item.kind,
                lines=lines,
                ttl_s=item.ttl_s,
                holder=item.holder,
                allows_partial=item.allow_partial,
            )
        case ExtendIn():
            return asked.Extend(key=key, reservation_id=item.reservation_id, ttl_s=item.ttl_s)
        case ClaimIn():
            order = OrderRef(item.order.channel, item.order.order_id)
            return asked.Claim(key=key, reservation_id=item.reservation_id, order=order, into=item.into)
        case ReleaseIn():
            return asked.Release(key=key, reservation_id=item.reservation_id)
        case _:
            assert_never(item)


def _order_command(item: OfOrderIn, key: CommandKey, plain: dict[str, Any]) -> Command:
    plain["order"] = OrderRef(item.order.channel, item.order.order_id)
    if isinstance(item, ReturnIn):
        return asked.Return(key=key, **plain)
    if item.type == "ship":
        return asked.Ship(key=key, **plain)
    if plain.pop("happened_at") is not None:
        raise MalformedError("a cancellation moves no unit in or out and takes no happened_at")
    return asked.Cancel(key=key, **plain)
