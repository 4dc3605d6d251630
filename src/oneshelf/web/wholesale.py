"""`/v1/wholesale/orders`: purchase orders of wholesale customers, and what is held for them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from oneshelf.domain.identity import name_from, printable
from oneshelf.domain.wholesale import OrderState, Refusal, RefusalKind, order_id_of
from oneshelf.errors import MalformedError
from oneshelf.flow import allocate
from oneshelf.flow.allocate import Shown
from oneshelf.storage import views, wholesale
from oneshelf.web import described
from oneshelf.web import wholesale_bodies as bodies
from oneshelf.web.api import After, Limit
from oneshelf.web.bodies import read_json
from oneshelf.web.engine import Engine, EngineOf
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions

router = APIRouter(
    prefix="/v1/wholesale",
    tags=["wholesale"],
    responses=DOCUMENTED,
    dependencies=[Depends(only_known_questions)],
)

_STATUS = {
    RefusalKind.UNKNOWN_SKU: 404,
    RefusalKind.UNKNOWN_LOCATION: 404,
    RefusalKind.NO_SUCH_ORDER: 404,
    RefusalKind.NO_SUCH_LINE: 404,
    RefusalKind.SHIPMENT_REUSED: 422,
}


@router.post("/orders", openapi_extra=described.body("WholesaleOrderIn"))
async def place(request: Request, engine: EngineOf) -> bodies.WholesaleAnswer:
    """Keep an order and set aside what the policy leaves for it; the rest waits for units.

    Customer, purchase order number and version are its key: the same again changes nothing, another order under them is
    a 409. A higher version is a change, and states the whole order.
    """
    wish = bodies.wish_from(await read_json(request))
    return _done(engine, await allocate.place(engine.database, engine.clock.new_id, wish, came_by="api"))


@router.get("/orders")
async def list_orders(
    engine: EngineOf,
    customer: str | None = None,
    state: Annotated[OrderState | None, Query(description="Only these.")] = None,
    short: Annotated[bool, Query(description="Only what waits for units.")] = False,
    after: After = "",
    limit: Limit = 100,
) -> bodies.WholesaleOrdersOut:
    """Orders with their lines, those that have to leave first at the top; those without a day last."""
    of = None if customer is None else name_from(customer, what="customer")
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        wanted = wholesale.Wanted(of, tuple(OrderState) if state is None else (state,), short)
        rows = await wholesale.listed(tx, wanted, after=order_cursor(after), limit=limit + 1)
        lines = await wholesale.lines_shown(tx, [row.order_id for row in rows[:limit]])
    return bodies.WholesaleOrdersOut(
        orders=[bodies.order_out(row, lines.get(row.order_id, [])) for row in rows[:limit]],
        next=rows[limit - 1].order_id if len(rows) > limit else None,
    )


@router.post("/shipments", openapi_extra=described.body("WholesaleShipmentIn"))
async def ship(request: Request, engine: EngineOf) -> bodies.WholesaleAnswer:
    """Units leave for the customer, once for each number of a shipment. 409 for more than is allocated."""
    order_id, shipment, leaving = bodies.shipment_from(await read_json(request))
    done = await allocate.ship(engine.database, engine.clock.new_id, order_id, leaving, shipment=shipment)
    return _done(engine, done)


@router.post("/cancellations", openapi_extra=described.body("WholesaleCancelIn"))
async def cancel(request: Request, engine: EngineOf) -> bodies.WholesaleAnswer:
    """Nothing more of these lines, or of the whole order, is shipped; what they hold is free again."""
    order_id, line_ids = bodies.cancelled_from(await read_json(request))
    return _done(engine, await allocate.end(engine.database, engine.clock.new_id, order_id, line_ids=line_ids))


@router.post("/releases", openapi_extra=described.body("WholesaleNameIn"))
async def release(request: Request, engine: EngineOf) -> bodies.WholesaleAnswer:
    """What the order holds is free again, and it waits for nothing until it is resumed."""
    order_id = bodies.named_from(await read_json(request))
    return _done(engine, await allocate.release(engine.database, engine.clock.new_id, order_id))


@router.post("/resumptions", openapi_extra=described.body("WholesaleNameIn"))
async def resume(request: Request, engine: EngineOf) -> bodies.WholesaleAnswer:
    """A released order waits for units again, in its old place."""
    order_id = bodies.named_from(await read_json(request))
    return _done(engine, await allocate.resume(engine.database, engine.clock.new_id, order_id))


@router.get("/orders/{customer}/{po_number:path}")
async def show_order(engine: EngineOf, customer: str, po_number: str) -> bodies.WholesaleOrderOut:
    """One order with its lines."""
    shown = _kept(await allocate.show(engine.database, order_id_of(customer, po_number)))
    return bodies.order_out(shown.order, list(shown.lines))


def order_cursor(after: str) -> str | None:
    """The order after which a list goes on. Raises MalformedError."""
    if not after:
        return None
    customer, slash, _ = after.partition("/")
    if not slash or printable(after, length_max=len(after)) != after:
        raise MalformedError("after must be the `next` of another page")
    name_from(customer, what="customer")
    return after


def _kept(answer: Shown | Refusal) -> Shown:
    """Raises ProblemError for a refusal."""
    if isinstance(answer, Refusal):
        raise ProblemError(_STATUS.get(answer.kind, 409), answer.words, kind=answer.kind.value)
    return answer


def _done(engine: Engine, answer: Shown | Refusal) -> bodies.WholesaleAnswer:
    shown = _kept(answer)
    engine.wake(["plan", "allocate"])
    return bodies.answer_out(shown)
