"""A visitor with a real browser: what is there to look at the pages with."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Literal

import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

Scheme = Literal["light", "dark"]
WIDTHS: tuple[int, ...] = (1280, 390)
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
# A busy machine shows a page late.
PATIENCE_MS = 90_000
expect.set_options(timeout=PATIENCE_MS)
# axe-core 4.14.1, MPL-2.0, as its package carries it.
AXE = Path(__file__).parent / "vendor" / "axe-core-4.14.1.min.js"
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
WATCH_FOR_VIOLATIONS = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


@dataclass
class Visit:
    """A page that is open in the browser, and what the browser complained of."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)

    def note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The pages of an engine on a port of this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all of them; each visitor has a profile of its own."""
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield opened
        await opened.close()


@asynccontextmanager
async def looking_at(
    browser: Browser, address: str, *, width: int = 1280, scheme: Scheme = "light"
) -> AsyncIterator[Visit]:
    """A visitor with a window and a profile of its own."""
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    await context.add_init_script(WATCH_FOR_VIOLATIONS)
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    visit = Visit(page, address)
    page.on("console", visit.note)
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    try:
        await page.goto(address)
        yield visit
    finally:
        await context.close()


async def photograph(visit: Visit, name: str) -> None:
    """Keep a picture where ONESHELF_SCREENSHOTS names a directory."""
    directory = os.environ.get("ONESHELF_SCREENSHOTS")
    if directory:
        await visit.page.screenshot(path=Path(directory) / f"{name}.png", full_page=True)


async def violations(visit: Visit) -> list[str]:
    found: list[str] = await visit.page.evaluate("window.violations")
    return found


def looks() -> list[tuple[int, Scheme]]:
    """Each width and each scheme; all four where somebody wants pictures: neither has to do with the other."""
    if "ONESHELF_SCREENSHOTS" in os.environ:
        return list(product(WIDTHS, SCHEMES))
    return list(zip(WIDTHS, SCHEMES, strict=True))


async def barriers(visit: Visit, *, only_colours: bool = False) -> list[str]:
    """What axe-core finds serious or critical on this page; only what colours have to do with."""
    if not await visit.page.evaluate("'axe' in window"):
        await visit.page.evaluate(AXE.read_text())
    options = {"resultTypes": ["violations"], **({"runOnly": COLOUR_RULES} if only_colours else {})}
    found = await visit.page.evaluate("(options) => axe.run(options)", options)
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


async def assert_legible(
    visit: Visit,
    words: str,
    picture: str,
    scheme: Scheme,
    *,
    is_refused: bool = False,
    only_colours: bool = False,
) -> None:
    """The page that is open has these words, fits the window, has its colours, and is usable by everybody.

    `is_refused`: the browser complains of its status. `only_colours`: it was looked at before, in other colours.
    """
    await expect(visit.page.locator("main")).to_contain_text(words)
    for chart in await visit.page.locator(".chart").all():
        await expect(chart.locator("canvas")).to_be_visible()
    await photograph(visit, picture)
    is_wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await visit.page.evaluate(is_wider)
    ground = await visit.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (ground == "rgb(16, 19, 21)") is (scheme == "dark")
    assert await barriers(visit, only_colours=only_colours) == []
    if is_refused:
        visit.complaints.clear()
    found = await violations(visit)
    assert (visit.complaints, found) == ([], [])
