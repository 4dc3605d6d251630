"""Purchase orders of a partner brought in from X12, all of a file or nothing, and what is written back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from oneshelf.domain.wholesale import OrderState, Refusal
from oneshelf.errors import MalformedError, RowExistsError
from oneshelf.files import x12_documents
from oneshelf.files.x12 import Address, Elements, Interchange, TransactionSet, X12Error, read, shown, written
from oneshelf.files.x12_documents import PurchaseOrder, Purpose
from oneshelf.flow import allocate
from oneshelf.flow.allocate import Shown
from oneshelf.flow.room import rooms
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
        qualifier, _, name_id = name.partition(":")
        is_name = name_id.isascii() and name_id.isprintable() and name_id == name_id.strip() and len(name_id) <= 15
        if len(qualifier) != 2 or not qualifier.isascii() or not qualifier.isalnum() or not name_id or not is_name:
            raise MalformedError(f"{shown(name)} must be QUALIFIER:ID, such as ZZ:ACME: two signs, a colon, up to 15")
        if any(sign in name_id for sign in "*>~^:"):
            raise MalformedError(f"{shown(name)} holds a sign that separates elements")
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
class _Judged:
    """An interchange that can be kept. `before`: its orders, where it was read before."""

    interchange: Interchange
    partner: Partner
    digest: bytes
    orders: list[PurchaseOrder]
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
        known = await x12_partners.skus_of(tx, x12_documents.numbers_in(interchange))
        orders = [
            x12_documents.purchase_order(one, customer=partner.customer, location=partner.location, known=known)
            for one in interchange.sets
            if _is_order(one)
        ]
        orders = [await _versioned(tx, one) for one in orders]
    seen: set[str] = set()
    for one in orders:
        if one.po_number in seen:
            raise one.head.error(f"order {shown(one.po_number)} stands in this file twice; nobody knows which counts")
        seen.add(one.po_number)
    return _Judged(interchange, partner, digest, orders, given[1] if given else None)


def _is_order(document: TransactionSet) -> bool:
    """Whether a set is a purchase order. Their receipts of what we wrote (997, 999) say nothing about units."""
    if document.code in {"997", "999"}:
        return False
    if document.code != "850":
        raise document.head.error(
            f"ST01 {shown(document.code)} is not read; there are 850 (purchase order) and 997. A changed order is an "
            "850 with BEG01 05"
        )
    return True


async def _versioned(tx: Transaction, order: PurchaseOrder) -> PurchaseOrder:
    """What says the same as the order that we have is that one, whatever it is called; a replacement is the next.

    An order that was cancelled before anything of it left is wanted again where it is stated anew.
    """
    if order.wish is None:
        return order
    kept = (await wholesale.lock(tx, [order.wish.order_id])).get(order.wish.order_id)
    if kept is None:
        return order
    is_replaced = order.purpose is Purpose.REPLACE
    is_same = allocate.fingerprint_of(order.wish) == kept.fingerprint
    if is_same and is_replaced and kept.state is OrderState.CLOSED:
        is_same = any(line.units_shipped for line in kept.lines)
    if not is_same and not is_replaced:
        raise order.head.error(
            f"order {shown(order.po_number)} was sent before, and says something else. Way out: a changed order has "
            "BEG01 05; another order has a number of its own"
        )
    return replace(order, wish=replace(order.wish, version=kept.version + (not is_same)))


async def _keep(database: Database, new_id: NewId, judged: _Judged) -> Brought:
    if judged.before is not None:
        found = [await allocate.show(database, order_id) for order_id in judged.before]
        return Brought([one for one in found if isinstance(one, Shown)], is_replayed=True)
    is_test = judged.interchange.is_test
    wishes = [one.wish for one in judged.orders if one.wish is not None]
    cancelled = [one for one in judged.orders if one.wish is None]
    for one in cancelled:
        if isinstance(await allocate.show(database, f"{one.customer}/{one.po_number}"), Refusal):
            raise one.head.error(f"it cancels order {shown(one.po_number)}, which nobody has sent")
    answers = await allocate.keep(database, new_id, wishes, came_by="x12", is_trial=is_test)
    for wish, answer in zip(wishes, answers, strict=True):
        if isinstance(answer, Refusal):
            [order] = [one for one in judged.orders if one.wish is wish]
            raise X12Error(order.head.number, order.head.tag, answer.words)
    if is_test:
        return Brought(is_test=True)
    await allocate.allocate(
        database, new_id, keys={(line.sku, wish.location) for wish in wishes for line in wish.lines}
    )
    for one in cancelled:
        await allocate.end(database, new_id, f"{one.customer}/{one.po_number}")
    order_ids = [f"{one.customer}/{one.po_number}" for one in judged.orders]
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
