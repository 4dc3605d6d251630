"""Commands for drifts: list, show, resolve; and canaries, which measure how long one stays hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneshelf.cli.common import NO_CHANNEL, PlainErrors, on_database, seconds_in, show_json, show_rows, uuid_in

if TYPE_CHECKING:
    from oneshelf.domain.command import Adopt
    from oneshelf.domain.drift import How
    from oneshelf.domain.outcome import Outcome
    from oneshelf.storage.canaries import Detection
    from oneshelf.storage.database import Database

app = typer.Typer(cls=PlainErrors, help="Figures at channels that nothing explains.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The drift's id, as the list tells it.")]
_DRIFTS = (
    *("drift_id", "channel", "channel_sku", "sku", "cause", "expected_units", "observed_units", "size", "age_s"),
    *("opened_at", "resolved_at", "resolution", "explained_by", "waiting_for"),
)
_DETECTIONS = (
    *("channel", "act", "measured", "missed", "p50_s", "p95_s", "objective_s"),
    *("corrected_p50_s", "corrected_p95_s"),
)


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False, as_json: Json = False
) -> None:
    """Open drifts, the newest first."""
    from oneshelf.storage import drifts
    from oneshelf.storage.database import now

    async def read(database: Database) -> list[dict[str, Any]]:
        async with database.transaction() as tx:
            at = await now(tx)
            return [drifts.as_shown(row, now=at) for row in await drifts.newest(tx, only_open=not all_)]

    show_rows(on_database(read), _DRIFTS, as_json=as_json, empty="no drift" if all_ else "no open drift")


@app.command()
def show(drift_id: Id, as_json: Json = False) -> None:
    """One drift: why it is thought to be what it is, and what was looked at."""
    from oneshelf.domain.attribution import attribute
    from oneshelf.errors import UnknownDriftError
    from oneshelf.sdk.kinds import load_kinds
    from oneshelf.storage import catalog, drifts, evidence
    from oneshelf.storage.database import now

    wanted = uuid_in(drift_id, what="ID", origin="oneshelf drift list")

    async def read(database: Database) -> dict[str, Any]:
        kinds = load_kinds()
        async with database.transaction() as tx:
            at = await now(tx)
            row = await drifts.find(tx, wanted)
            if row is None:
                raise UnknownDriftError(f"no drift {wanted}; those there are: oneshelf drift list --all")
            kept = await drifts.evidence_kept(tx, wanted)
            if not kept:
                states = {
                    one.channel: kinds[one.kind].capability.silent_states
                    for one in await catalog.channels(tx)
                    if one.kind in kinds
                }
                known = (await evidence.gather(tx, [row], silent_states=states))[wanted]
                kept = drifts.as_told(drifts.Decision(attribute(known), known))
        return {**drifts.as_shown(row, now=at), "evidence": kept}

    told = on_database(read)
    if as_json:
        show_json(told)
        return
    kept = told.pop("evidence")
    for name, value in told.items():
        if value not in (None, ""):
            typer.echo(f"{name.replace('_', ' ')}: {value}")
    typer.echo(f"why: {kept['why']}")
    if kept.get("issues"):
        typer.echo(f"issues: {kept['issues']}")
    for name in ("readings", "writes", "orders", "parts"):
        for one in kept[name]:
            typer.echo(f"{name}: " + ", ".join(f"{key} {value}" for key, value in one.items()))


@app.command()
def resolve(
    drift_id: Id,
    publish: Annotated[bool, typer.Option("--publish", help="We are right: write our figure again.")] = False,
    adopt: Annotated[bool, typer.Option("--adopt", help="The channel is right: the ledger takes its figure.")] = False,
    wait: Annotated[str, typer.Option("--wait", metavar="S", help="Decide after so many seconds, anew.")] = "",
) -> None:
    """Say what becomes of an open drift. With `--adopt` units move, once for each drift."""
    from oneshelf.clock import SystemClock
    from oneshelf.domain.drift import WAIT_S_MAX, How
    from oneshelf.errors import MalformedError
    from oneshelf.flow.post import post_commands, post_moves
    from oneshelf.flow.resolve import by_hand

    wanted = uuid_in(drift_id, what="ID", origin="oneshelf drift list")
    ways: dict[How, bool] = {How.PUBLISH: publish, How.ADOPT: adopt, How.WAIT: wait != ""}
    chosen = [way for way, is_chosen in ways.items() if is_chosen]
    if len(chosen) != 1:
        raise MalformedError("say one of --publish, --adopt or --wait S")
    wait_s = seconds_in(wait, what="--wait", most=WAIT_S_MAX) if wait else 0

    async def decide(database: Database) -> str:
        async def post(wish: Adopt) -> Outcome:
            [answered] = await post_commands(database, SystemClock().new_id, [wish])
            return answered.outcome

        return await by_hand(
            database,
            wanted,
            chosen[0],
            post=post,
            book=lambda: post_moves(database, SystemClock().new_id),
            wait_s=wait_s,
        )

    typer.echo(on_database(decide))


@app.command()
def objective(as_json: Json = False) -> None:
    """How fast drifts are found at each channel: measured with canaries, and what its schedule can promise."""
    from oneshelf.storage import canaries

    async def read(database: Database) -> list[Detection]:
        async with database.transaction() as tx:
            return await canaries.detections(tx)

    show_rows(on_database(read), _DETECTIONS, as_json=as_json, empty=NO_CHANNEL)


@app.command()
def canary(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's name.")],
    listing: Annotated[str, typer.Argument(metavar="LISTING", help="The channel's id of the listing.")],
    timeout: Annotated[str, typer.Option(metavar="S", help="Give up after so many seconds.")] = "7200",
    move_to: Annotated[
        str, typer.Option(metavar="STATE", help="Move the unit to this state instead, such as damaged.")
    ] = "",
) -> None:
    """Measure how long a drift stays hidden: one unit is taken off a listing at the channel, behind our back.

    With `--move-to` it is moved to another stock state, of which nothing is announced; measured is also how long it
    takes until every other listing is proved to show one unit less. Then it is moved back.

    At a simulated channel that is done by itself; at a real one you are asked to do it. A running engine has to find
    it. It lowers the figure, so nothing can be sold that is not there; the unit is offered again once the drift is
    resolved.
    """
    from oneshelf.cli.canary import run_canary

    run_canary(channel, listing, timeout_s=seconds_in(timeout, what="--timeout", least=1, most=86_400), move_to=move_to)
