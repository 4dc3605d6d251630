"""Commands of `oneshelf stock` that say how listings share a SKU's units, and what could be sold twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import EXIT_REFUSED, choice_in, on_database, show_json, show_rows, units_in
from oneshelf.cli.posting import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oneshelf.domain.identity import Sku
    from oneshelf.domain.rights import Mode
    from oneshelf.storage.database import Database
    from oneshelf.storage.rights import Sharing, Shown

Some_ = Annotated[list[str] | None, typer.Argument(metavar="[SKU...]", help="The SKUs; or --all, or --group.")]
Skus_ = Annotated[list[str], typer.Argument(metavar="SKU...", help="The SKUs.")]
_EXPOSED = (
    *("sku", "mode", "is_guarded", "location", "available", "sellable_by_listings", "till_allowance_units"),
    "exposure_units",
)
_SHOWN = ("channel", "channel_sku", "phase", "desired_units", "verified_units", "rights_units", "is_live")
LOOK_EVERY_S = 0.5


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (mode, freeze, exposure):
        app.command()(command)


def mode(
    wanted: Annotated[str, typer.Argument(metavar="MODE", help="auto, pooled, guarded or frozen.")],
    skus: Some_ = None,
    is_all: Annotated[bool, typer.Option("--all", help="All SKUs there are.")] = False,
    group: Annotated[str, typer.Option(help="All SKUs of this group.")] = "",
    guard_at: Annotated[str, typer.Option(help="Of auto: guarded at so many available units or fewer.")] = "",
    allowance: Annotated[str, typer.Option(help="Units kept from the listings of a guarded SKU, for tills.")] = "0",
    as_json: Json = False,
) -> None:
    """Say how the listings of SKUs share their units.

    auto, which a new SKU is in: pooled while plentiful, guarded while scarce; where a backorder, a preorder or a floor
    is allowed nothing is scarce. pooled: each listing shows all that is available. guarded: what they may sell adds up
    to what is available, so that no unit is sold twice whatever is late or lost; nothing is offered beyond the shelf.
    frozen: nothing is sold anywhere. A bundle is shared as its components are; its own mode counts when it is frozen.

    --all and --group leave what is frozen alone: name it to thaw it. SKUs that are named later are in mode auto.
    """
    from oneshelf.domain.identity import sku_from
    from oneshelf.domain.rights import Mode
    from oneshelf.errors import MalformedError

    choice = choice_in(wanted, Mode, what="MODE")
    names = [sku_from(name) for name in skus or ()]
    threshold = units_in(guard_at, what="guard-at") if guard_at else None
    kept = units_in(allowance, what="allowance")
    if bool(names) + is_all + bool(group) != 1:
        raise MalformedError("name the SKUs, or say --all, or --group GROUP: one of these")
    if names:
        _set(names, choice, guard_at_units=threshold, allowance_units=kept)
        changed, frozen, what = len(names), 0, ", ".join(names)
    else:
        changed, frozen = _set_all(choice, group, guard_at_units=threshold, allowance_units=kept)
        what = f"{changed} SKUs" if is_all else f"{changed} SKUs of {group}"
    if as_json:
        show_json({"mode": choice.value, "changed_count": changed, "frozen_count": frozen})
    else:
        left = f"; {frozen} stay frozen, name them to thaw them" if frozen else ""
        typer.echo(f"{what}: {choice}{left}. Writes follow; see oneshelf stock exposure")


def freeze(
    skus: Skus_,
    wait: Annotated[float, typer.Option(help="Seconds to wait until every listing is proved to show 0.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Stop selling these SKUs everywhere, and wait until a running engine has proved it. End it with another mode.

    Exits with 1 where a listing is not proved to show 0 in time, and says which.
    """
    from oneshelf.domain.identity import sku_from
    from oneshelf.domain.rights import Mode

    names = [sku_from(name) for name in skus]
    _set(names, Mode.FROZEN)
    listed = _wait(names, wait)
    shown = [row for row in listed if row.shows_figures]
    unseen = sorted({row.channel for row in listed if not row.shows_figures})
    open_ones = [row for row in shown if not _sells_nothing(row)]
    if as_json:
        rows = [row._asdict() for row in shown]
        show_json({"skus": names, "listings": rows, "open_count": len(open_ones), "no_figure": unseen})
    elif not open_ones:
        typer.echo(f"{', '.join(names)}: {len(shown)} listings are proved to show 0")
    else:
        show_rows(open_ones, _SHOWN, as_json=False, empty="")
        typer.echo(
            f"{len(open_ones)} of {len(shown)} listings are not proved to show 0 after {wait:g} s. Is the engine "
            "running (oneshelf serve), and every channel live (oneshelf channel list)?",
            err=True,
        )
    if unseen and not as_json:
        typer.echo(f"{', '.join(unseen)} shows no figure, and goes on with what it has in hand: tell the people there")
    if open_ones:
        raise typer.Exit(EXIT_REFUSED)


PLACES_SHOWN = 1_000


def exposure(as_json: Json = False) -> None:
    """SKUs of which units could be sold twice now at worst: what listings and tills may sell, less what is there."""
    from oneshelf.storage import rights

    async def read(database: Database) -> list[Sharing]:
        rows: list[Sharing] = []
        after: str | None = ""
        async with database.transaction() as tx:
            while after is not None and len(rows) < PLACES_SHOWN:
                found, after = await rights.exposed(tx, after=after, limit=PLACES_SHOWN)
                rows += found
        return rows

    show_rows(on_database(read), _EXPOSED, as_json=as_json, empty="no unit could be sold twice")


def _set(names: Sequence[Sku], wanted: Mode, *, guard_at_units: int | None = None, allowance_units: int = 0) -> None:
    from oneshelf.errors import ConfigurationError
    from oneshelf.storage import rights

    async def change(database: Database) -> None:
        async with database.transaction() as tx:
            known = await rights.set_mode(
                tx, names, wanted, guard_at_units=guard_at_units, allowance_units=allowance_units
            )
            if unknown := sorted(set(names) - set(known)):
                raise ConfigurationError(
                    f"no SKU {', '.join(unknown)}; nothing was changed. Way out: oneshelf stock add-sku {unknown[0]}"
                )

    on_database(change)


def _set_all(wanted: Mode, group: str, *, guard_at_units: int | None, allowance_units: int) -> tuple[int, int]:
    """All SKUs, or those of a group; "": all. How many changed, and how many stay frozen."""
    from oneshelf.flow.rule import share_all
    from oneshelf.web.policy_inputs import group_from

    sku_group = group_from(group) if group else None

    async def change(database: Database) -> tuple[int, int]:
        return await share_all(
            database, wanted, sku_group=sku_group, guard_at_units=guard_at_units, allowance_units=allowance_units
        )

    return on_database(change)


def _wait(names: Sequence[Sku], wait_s: float) -> list[Shown]:
    from oneshelf.clock import SystemClock
    from oneshelf.storage import rights

    clock = SystemClock()

    async def look(database: Database) -> list[Shown]:
        until_s = clock.monotonic() + wait_s
        while True:
            async with database.transaction() as tx:
                shown = await rights.shown_of(tx, names)
            if all(map(_sells_nothing, shown)) or clock.monotonic() >= until_s:
                return shown
            await clock.sleep(LOOK_EVERY_S)

    return on_database(look)


def _sells_nothing(row: Shown) -> bool:
    return not row.shows_figures or (row.rights_units == 0 and row.verified_units == 0)
