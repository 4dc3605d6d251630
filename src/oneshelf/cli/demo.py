"""The command `demo`."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    seconds: Annotated[
        float | None, typer.Option(help="How long shoppers shop; default: until Ctrl-C.", min=1, max=86_400)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of shops, shoppers, stock and faults.")] = 1,
    skus: Annotated[int, typer.Option(help="SKUs, each on sale at all shops.", min=1, max=20_000)] = 200,
    orders_per_s: Annotated[float, typer.Option(help="Orders a second, all shops together.", min=0.1, max=500)] = 5.0,
    speed: Annotated[
        float, typer.Option(help="How many times as fast the channels' limits and delays run.", min=1, max=1000)
    ] = 60.0,
    port: Annotated[int, typer.Option(help="Port of the dashboard, or the next free one.", min=1, max=65_000)] = 8080,
    data_dir: Annotated[
        str | None, typer.Option(help="Directory of the demo's database; default: demo in ONESHELF_DATA_DIR.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh/--keep", help="Remove the demo's database at the end, or keep it to look at it.")
    ] = True,
    kill_engine_at: Annotated[
        float | None, typer.Option(help="Kill the engine with SIGKILL this many seconds after shopping began.", min=0)
    ] = None,
    mode: Annotated[
        str, typer.Option(help="How the listings of a SKU share its units: auto, pooled or guarded.")
    ] = "auto",
    channels: Annotated[
        str, typer.Option(help="With commas, of shopify, amazon, ebay, square, till, wholesale.", metavar="KINDS")
    ] = "shopify,amazon,ebay",
    calm: Annotated[bool, typer.Option("--calm", help="No faults: channels as they are on a good day.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No live screen.")] = False,
) -> None:
    """Run the engine against simulated shops with shoppers and faults, and report. Needs only a machine."""
    from oneshelf.cli.common import choice_in
    from oneshelf.config import directory_typed, load_settings
    from oneshelf.demo.plan import Options
    from oneshelf.demo.run import run_demo
    from oneshelf.domain.rights import Mode
    from oneshelf.telemetry import configure_logging

    configure_logging(level="ERROR")
    options = Options(
        seconds=seconds,
        seed=seed,
        sku_count=skus,
        orders_per_s=orders_per_s,
        speed=speed,
        port=port,
        directory=(load_settings().data_dir / "demo" if data_dir is None else directory_typed(data_dir)).absolute(),
        keeps_data=not fresh,
        kill_engine_at_s=kill_engine_at,
        mode=choice_in(mode, Mode, what="--mode"),
        kinds=tuple(dict.fromkeys(one.strip() for one in channels.split(",") if one.strip())),
        is_calm=calm,
        as_json=as_json,
        is_quiet=quiet,
    )
    raise typer.Exit(run_demo(options))
