"""Units are set aside, and go to their order or come free again."""

from __future__ import annotations

from typing import Annotated

import typer

from oneshelf.cli.common import choice_in, order_in, seconds_in, units_in, uuid_in, words_in
from oneshelf.cli.posting import NEGATIVE, Json, Key, Order, post

Reservation = Annotated[str, typer.Argument(metavar="RESERVATION", help="The id that `stock reserve` answered.")]
_ORIGIN = "oneshelf stock reserve"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (reserve, extend, claim, release):
        app.command(context_settings=NEGATIVE)(command)


def reserve(
    lines: Annotated[list[str], typer.Argument(metavar="SKU LOCATION UNITS…", help="What to set aside, and where.")],
    kind: Annotated[str, typer.Option(help="hold (ends by itself), lock, allocation or pending.")] = "hold",
    ttl_s: Annotated[str, typer.Option(metavar="SECONDS", help="How long a hold lasts. Default: 900.")] = "",
    holder: Annotated[str, typer.Option(help="For whom.")] = "",
    partial: Annotated[bool, typer.Option("--partial", help="Take what is there, in this order.")] = False,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Set units aside, all of them or none: oneshelf stock reserve MUG BER 2 CAP BER 1. A SKU may be a bundle."""
    from oneshelf.domain.command import TTL_S_MAX, Demand, ReservationKind, Reserve
    from oneshelf.domain.identity import location_from, sku_from
    from oneshelf.errors import MalformedError

    if len(lines) % 3:
        raise MalformedError(f"{len(lines)} words for what to reserve; each line is a SKU, a location and units")
    triples = zip(lines[::3], lines[1::3], lines[2::3], strict=True)
    wanted = tuple(
        Demand(sku=sku_from(sku), location=location_from(place), units=units_in(units, least=1))
        for sku, place, units in triples
    )
    what = choice_in(kind, ReservationKind, what="--kind")
    if not ttl_s and what is ReservationKind.HOLD:
        ttl_s = "900"
    ttl = seconds_in(ttl_s, what="--ttl-s", least=1, most=TTL_S_MAX) if ttl_s else None
    whom = words_in(holder, what="--holder")
    post(
        key,
        lambda key: Reserve(key=key, kind=what, lines=wanted, ttl_s=ttl, holder=whom, allows_partial=partial),
        as_json=as_json,
    )


def extend(
    reservation: Reservation,
    ttl_s: Annotated[str, typer.Argument(metavar="SECONDS", help="How long it lasts from now.")],
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Let a hold last longer."""
    from oneshelf.domain.command import TTL_S_MAX, Extend

    one, ttl = (
        uuid_in(reservation, what="RESERVATION", origin=_ORIGIN),
        seconds_in(ttl_s, what="SECONDS", least=1, most=TTL_S_MAX),
    )
    post(key, lambda key: Extend(key=key, reservation_id=one, ttl_s=ttl), as_json=as_json)


def claim(
    reservation: Reservation,
    order: Order,
    into: Annotated[str, typer.Option(help="committed, or lock until it ships.")] = "committed",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """The order is there: the reserved units are its own."""
    from oneshelf.domain.command import Claim, ClaimInto

    one, of = uuid_in(reservation, what="RESERVATION", origin=_ORIGIN), order_in(order)
    becomes = choice_in(into, ClaimInto, what="--into")
    post(key, lambda key: Claim(key=key, reservation_id=one, order=of, into=becomes), as_json=as_json)


def release(reservation: Reservation, key: Key = "", as_json: Json = False) -> None:
    """The units are free again."""
    from oneshelf.domain.command import Release

    one = uuid_in(reservation, what="RESERVATION", origin=_ORIGIN)
    post(key, lambda key: Release(key=key, reservation_id=one), as_json=as_json)
