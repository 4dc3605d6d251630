"""Purchase orders of a partner brought in from X12, all of a file or nothing, and what is written back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from oneshelf.domain.identity import Sku
from oneshelf.domain.wholesale import OrderState, Refusal, WantedLine, WholesaleWish
from oneshelf.errors import MalformedError, RowExistsError
from oneshelf.files import x12_documents
from oneshelf.flow import allocate
from oneshelf.flow.allocate import Shown
from oneshelf.flow.ordering import fingerprint_of
from oneshelf.flow.room import rooms
from oneshelf.sdk.x12 import Address, Elements, Interchange, X12Error, is_name, read, shown, written
from oneshelf.sdk.x12_order import Purpose, X12Order, is_order, order_in
from oneshelf.storage import catalog, wholesale, x12_partners
from oneshelf.storage.database import Database, Transaction, now
from oneshelf.storage.x12_partners import Partner

# What is written.
VERSIONS = ("004010", "005010")

NewId = Callable[[], UUID]
Documents = Sequence[tuple[str, Sequence[Elements]]]


@dataclass(slots=True)
class Brought:
    """What an interchange said. `answer`: a 997 and an 855 for each order; empty where there is nothing to say."""

    orders: list[Shown] = field(default_factory=list)
    is_test: bool = False
    is_replayed: bool = False
    answer: str = ""


async def know_partner(database: Database, partner: Partner) -> None:
    """Have this partner. Raises MalformedError for names that no interchange can hold, and for unknown locations."""
    for name in (partner.their_id, partner.our_id):
        if not is_name(name):
            words = "two signs, a colon, up to 15 without one that separates elements"
            raise MalformedError(f"{shown(name)} must be QUALIFIER:ID, such as ZZ:ACME: {words}")
    if partner.version not in VERSIONS:
        raise MalformedError(f"version {shown(partner.version)} is not written; there are: {', '.join(VERSIONS)}")
    try:
        async with database.transaction() as tx:
            known = await catalog.told_known(await catalog.ask_known(tx, [], [partner.location]))
            if not known.locations:
                words = f"no location {partner.location}. Way out: oneshelf stock add-location {partner.location}"
                raise MalformedError(words)
            await x12_partners.put(tx, partner)
    except RowExistsError:
        raise MalformedError(f"another customer goes by {partner.their_id}; see: oneshelf wholesale partners") from None


async def bring_in(database: Database, new_id: NewId, content: bytes) -> Brought:
    """What became of an interchange. Raises X12Error and MalformedError, and has changed nothing then.

    The same file again changes nothing. One that is marked as a test (ISA15 T) is judged, and nothing of it is kept.
    """
    judged = await _judge(database, read(content), hashlib.sha256(content).digest())
    return await _keep(database, new_id, judged)


async def acknowledge(database: Database, order_id: str) -> str:
    """An 855 of an order as it stands now. Raises MalformedError where there is no such order, or no partner."""
    shown_order = await allocate.show(database, order_id)
    if isinstance(shown_order, Refusal):
        raise MalformedError(shown_order.words)
    async with database.transaction() as tx:
        partner = await _partner(tx, shown_order.order.customer)
        return await _written(tx, partner, [_acknowledgment(shown_order)])


async def advise(database: Database, customer: str) -> str:
    """An 846 for a partner: what wholesale may still take of each SKU at their location."""
    async with database.transaction() as tx:
        partner = await _partner(tx, customer)
        at = await now(tx)
        available = await x12_partners.available_at(tx, partner.location)
        left = await rooms(tx, {(sku, partner.location): units for sku, units in available})
        units_of = [(sku, left[sku, partner.location]) for sku, _ in available]
        segments = x12_documents.advice(f"{partner.location} {at:%Y%m%d%H%M}", units_of, at)
        return await _written(tx, partner, [("846", segments)])


@dataclass(frozen=True, slots=True)
class _PurchaseOrder:
    """An 850, and what it states of ours."""

    said: X12Order
    wish: WholesaleWish | None


@dataclass(frozen=True, slots=True)
class _Judged:
    """An interchange that can be kept. `before`: its orders, where it was read before."""

    interchange: Interchange
    partner: Partner
    digest: bytes
    orders: list[_PurchaseOrder]
    before: list[str] | None


async def _judge(database: Database, interchange: Interchange, digest: bytes) -> _Judged:
    head = interchange.head
    async with database.transaction() as tx:
        partner = await x12_partners.of(tx, their_id=interchange.sender)
        if partner is None:
            words = f"no partner goes by {shown(interchange.sender)}. Way out: oneshelf wholesale partner CUSTOMER"
            raise head.error(f"{words} --theirs {shown(interchange.sender)} …")
        if interchange.receiver != partner.our_id:
            raise head.error(
                f"it is for {shown(interchange.receiver)}, and to {partner.customer} we are {partner.our_id}"
            )
        given = await x12_partners.read_before(tx, interchange.sender, interchange.control)
        if given is not None and given[0] != digest:
            raise head.error(
                f"ISA13 {shown(interchange.control)} of {partner.customer} was read before, in another file; each "
                "interchange has a number of its own"
            )
        said = [order_in(one) for one in interchange.sets if is_order(one)]
        known = await x12_partners.skus_of(tx, {name for one in said for line, _ in one.lines for name in line.numbers})
        orders = [await _versioned(tx, _PurchaseOrder(one, _wish(one, partner, known))) for one in said]
    seen: set[str] = set()
    for one in said:
        if one.po_number in seen:
            raise one.head.error(f"order {shown(one.po_number)} stands in this file twice; nobody knows which counts")
        seen.add(one.po_number)
    return _Judged(interchange, partner, digest, orders, given[1] if given else None)


def _wish(said: X12Order, partner: Partner, known: Collection[Sku]) -> WholesaleWish | None:
    """What an 850 states, as version 1; None: nothing of it is wanted. `known`: of its numbers, those that are SKUs."""
    if said.purpose is Purpose.CANCELLATION:
        return None
    lines = []
    for line, segment in said.lines:
        sku = next((sku for sku in map(Sku, line.numbers) if sku in known), None)
        if sku is None:
            names = ", ".join(map(shown, line.numbers[:5]))
            raise segment.error(
                f"PO106 and what follows names no SKU, but {names}. Way out: oneshelf stock add-sku, or the partner "
                "sends our number as VN"
            )
        lines.append(WantedLine(line_id=line.line_id, sku=sku, units=line.units))
    try:
        return WholesaleWish(
            customer=partner.customer,
            po_number=said.po_number,
            location=partner.location,
            lines=tuple(lines),
            ship_by=said.ship_by,
            cancel_after=said.cancel_after,
        )
    except MalformedError as failure:
        raise said.head.error(str(failure)) from None


async def _versioned(tx: Transaction, order: _PurchaseOrder) -> _PurchaseOrder:
    """What says the same as the order that we have is that one, whatever it is called; a replacement is the next.

    An order that was cancelled before anything of it left is wanted again where it is stated anew.
    """
    if order.wish is None:
        return order
    kept = (await wholesale.lock(tx, [order.wish.order_id])).get(order.wish.order_id)
    if kept is None:
        return order
    is_replaced = order.said.purpose is Purpose.REPLACE
    is_same = fingerprint_of(order.wish) == kept.fingerprint
    if is_same and is_replaced and kept.state is OrderState.CLOSED:
        is_same = any(line.units_shipped for line in kept.lines)
    if not is_same and not is_replaced:
        raise order.said.head.error(
            f"order {shown(order.said.po_number)} was sent before, and says something else. Way out: a changed order "
            "has BEG01 05; another order has a number of its own"
        )
    return replace(order, wish=replace(order.wish, version=kept.version + (not is_same)))


async def _keep(database: Database, new_id: NewId, judged: _Judged) -> Brought:
    if judged.before is not None:
        found = [await allocate.show(database, order_id) for order_id in judged.before]
        return Brought([one for one in found if isinstance(one, Shown)], is_replayed=True)
    is_test = judged.interchange.is_test
    wishes = [one.wish for one in judged.orders if one.wish is not None]
    customer = judged.partner.customer
    cancelled = [one for one in judged.orders if one.wish is None]
    for one in cancelled:
        if isinstance(await allocate.show(database, f"{customer}/{one.said.po_number}"), Refusal):
            raise one.said.head.error(f"it cancels order {shown(one.said.po_number)}, which nobody has sent")
    answers = await allocate.keep(database, new_id, wishes, came_by="x12", is_trial=is_test)
    for wish, answer in zip(wishes, answers, strict=True):
        if isinstance(answer, Refusal):
            [order] = [one for one in judged.orders if one.wish is wish]
            raise X12Error(order.said.head.number, order.said.head.tag, answer.words)
    if is_test:
        return Brought(is_test=True)
    await allocate.allocate(
        database, new_id, keys={(line.sku, wish.location) for wish in wishes for line in wish.lines}
    )
    for one in cancelled:
        await allocate.end(database, new_id, f"{customer}/{one.said.po_number}")
    order_ids = [f"{customer}/{one.said.po_number}" for one in judged.orders]
    found = [await allocate.show(database, order_id) for order_id in order_ids]
    orders = [one for one in found if isinstance(one, Shown)]
    async with database.transaction() as tx:
        sender, control = judged.interchange.sender, judged.interchange.control
        await x12_partners.note_read(tx, sender, control, digest=judged.digest, order_ids=order_ids)
        documents = [*x12_documents.receipt(judged.interchange), *map(_acknowledgment, orders)]
        told = await _written(tx, judged.partner, documents) if documents else ""
    return Brought(orders, answer=told)


def _acknowledgment(one: Shown) -> tuple[str, list[Elements]]:
    return "855", x12_documents.acknowledgment(one.order, one.lines)


async def _partner(tx: Transaction, customer: str) -> Partner:
    partner = await x12_partners.of(tx, customer=customer)
    if partner is None:
        names = ", ".join(one.customer for one in await x12_partners.listed(tx)) or "none"
        raise MalformedError(
            f"{customer} is no partner who speaks X12; there are: {names}. Way out: oneshelf wholesale partner "
            f"{customer} --theirs ZZ:THEIRS --ours ZZ:OURS --location LOCATION"
        )
    return partner


async def _written(tx: Transaction, partner: Partner, documents: Documents) -> str:
    address = Address(sender=partner.our_id, receiver=partner.their_id, version=partner.version)
    return written(address, await x12_partners.next_control(tx, partner.customer), await now(tx), documents)
