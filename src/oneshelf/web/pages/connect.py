"""Connect: choose a kind of channel, say what it asks for, and see what it answers, before anything is written.

What is typed is sealed and kept at once, in mode watch: a try beforehand would use up what a channel hands out once.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from oneshelf.domain.identity import channel_from, location_from, printable
from oneshelf.errors import ConfigurationError, MalformedError
from oneshelf.flow import examine
from oneshelf.flow.channel import webhook_address
from oneshelf.flow.connect import checked_channel, connect, found, with_kept
from oneshelf.sdk.contract import ConnectorKind, Setting
from oneshelf.sdk.kinds import load_kinds
from oneshelf.storage import catalog, detail_views, tallies
from oneshelf.storage.catalog import ChannelRow
from oneshelf.web.engine import Engine, engine_of
from oneshelf.web.pages.frame import Form, Said, address, form_of, page, screen
from oneshelf.web.wording import sentence

TEXT_LENGTH_MAX = 4_000


@screen
async def kinds(request: Request) -> Response:
    """The kinds of channels that are installed."""
    rows = sorted(load_kinds().values(), key=lambda kind: kind.title.casefold())
    return page(request, "connect.html", {"kinds": rows})


@screen
async def form(request: Request) -> Response:
    """What a channel of this kind asks for; `channel`: of one that is connected, to be changed."""
    kind = load_kinds().get(request.path_params["kind"])
    if kind is None:
        return _no_kind(request)
    changed = request.query_params.get("channel", "")
    row = await found(engine_of(request).database, channel_from(changed)) if changed else None
    if changed and (row is None or row.kind != kind.name):
        return page(request, "missing.html", {"what": "channel", "named": changed, "list": "/channels"}, status=404)
    return await _asked(request, kind, row)


@screen
async def ask(request: Request) -> Response:
    """Keep the channel in mode watch. Sent twice, it is kept once."""
    kind, told = load_kinds().get(request.path_params["kind"]), await form_of(request)
    if kind is None:
        return _no_kind(request)
    engine = engine_of(request)
    changes = told.text("changes")
    row = await found(engine.database, channel_from(changes)) if changes else None
    try:
        name, was = await _keep(engine, kind, told, row)
    except (ConfigurationError, MalformedError) as wrong:
        said = Said(f"Nothing was saved. {sentence(str(wrong))}", "bad")
        return await _asked(request, kind, row, told=told, said=said)
    if engine.refresh is not None:
        await engine.refresh()
    return RedirectResponse(address(f"/channels/{name}/check", was=was), status_code=303)


async def _keep(engine: Engine, kind: ConnectorKind, told: Form, row: ChannelRow | None) -> tuple[str, str]:
    """The name of the channel that is kept, and the mode that it lost. Raises ConfigurationError, MalformedError."""
    settings = _typed(told, [one for one in kind.settings if not one.is_secret])
    secrets = _typed(told, [one for one in kind.settings if one.is_secret])
    place = location_from(told.text("new_location") or told.text("location"))
    new = checked_channel(
        kind=kind.name,
        name=row.channel if row else told.text("name"),
        location=place,
        settings=settings,
        secrets=with_kept(engine.database, row, settings, secrets),
        timing={name: f"{value:g}" for name, value in row.timing.items()} if row else {},
    )
    there = row or await found(engine.database, new.channel)
    if there is not None and row is None and (there.location, there.settings) != (new.location, settings):
        raise ConfigurationError(
            f"there is a channel {new.channel} already, with other settings. Choose another name, or change it there"
        )
    if told.text("new_location"):
        async with engine.database.transaction() as tx:
            await catalog.add_location(tx, place)
    return new.channel, await connect(engine.database, new)


def _typed(told: Form, settings: Sequence[Setting]) -> dict[str, str]:
    """What stands in the fields of these settings, the filled ones. Raises MalformedError, without the value."""
    filled = told.filled(*(one.name for one in settings))
    for name, text in filled.items():
        if printable(text, length_max=TEXT_LENGTH_MAX) != text:
            raise MalformedError(f"{name} is too long, or holds a character that is no text; copy it anew")
    return filled


async def _asked(
    request: Request, kind: ConnectorKind, row: ChannelRow | None, *, told: Form | None = None, said: Said | None = None
) -> Response:
    async with engine_of(request).database.transaction() as tx:
        locations = [one.location for one in await detail_views.location_rows(tx)]
    plain = [one for one in kind.settings if not one.is_secret]
    kept = {"location": row.location, **row.settings} if row else {}
    names = ["name", "location", "new_location", *(one.name for one in plain)]
    filled = {name: told.text(name) if told else kept.get(name, "") for name in names}
    others = [one for one in plain if one.default is not None]
    context = {
        "kind": kind,
        "row": row,
        "locations": locations,
        "needed": [one for one in plain if one.default is None],
        "others": others,
        "is_unusual": any(filled[one.name] for one in others),
        "secrets": [one for one in kind.settings if one.is_secret],
        "kept_secrets": set(row.secrets) if row else set(),
        "filled": filled,
    }
    return page(request, "connect_kind.html", context, status=422 if said else 200, said=said)


def _no_kind(request: Request) -> Response:
    named = request.path_params["kind"]
    return page(request, "missing.html", {"what": "kind of channel", "named": named, "list": "/connect"}, status=404)


@screen
async def check(request: Request) -> Response:
    """Ask the channel now, and say what it answered, what to do about it, and what comes next."""
    engine, name = engine_of(request), channel_from(request.path_params["channel"])
    row = await found(engine.database, name)
    if row is None:
        return page(request, "missing.html", {"what": "channel", "named": name, "list": "/channels"}, status=404)
    findings = await examine.channel(engine.database, row, engine.channels.get(name), engine.public_url)
    async with engine.database.transaction() as tx:
        tally = await tallies.read(tx)
    context = {
        "row": row,
        "findings": sorted(findings, key=lambda one: one.is_good),
        "bad_count": sum(not one.is_good for one in findings),
        "unlinked_count": tally.channels.get(name, {}).get("unlinked_count", 0),
        "webhooks": webhook_address(engine.public_url, name) if engine.public_url else "",
        "was": request.query_params.get("was", ""),
        "has_kind": row.kind in load_kinds(),
    }
    return page(request, "channel_check.html", context)


ROUTES = [
    Route("/connect", kinds),
    Route("/connect/{kind}", form),
    Route("/connect/{kind}", ask, methods=["POST"]),
    Route("/channels/{channel}/check", check),
]
