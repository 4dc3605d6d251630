"""Settings: which version runs, and whether the installation is well."""

from __future__ import annotations

from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.flow import examine
from oneshelf.storage import catalog
from oneshelf.storage.database import now
from oneshelf.storage.migrate import MIGRATIONS, read_migrations
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import page, screen


@screen
async def health(request: Request) -> Response:
    """What `oneshelf doctor` finds without calling anybody, and the channels that it would ask."""
    engine = engine_of(request)
    findings = [*await examine.server(engine.database), *await examine.engine(engine.database)]
    async with engine.database.transaction() as tx:
        at = await now(tx)
        channels = await catalog.channels(tx)
    context = {
        "at": at,
        "findings": sorted(findings, key=lambda one: one.is_good),
        "bad_count": sum(not one.is_good for one in findings),
        "version": version("oneshelf"),
        "migration": read_migrations(MIGRATIONS)[-1].name,
        "public_url": engine.public_url,
        "channels": channels,
    }
    return page(request, "settings.html", context)


ROUTES = [Route("/settings", health)]
