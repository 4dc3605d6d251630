"""What all measurements share: the machine they ran on, and their sections of `benchmarks/README.md`."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from oneshelf.storage import health
from oneshelf.storage.database import Database

README = Path(__file__).parent / "README.md"


async def machine(dsn: str) -> str:
    """What all of this ran on."""
    async with Database.open(dsn, connections_max=2) as database, database.transaction() as tx:
        facts = await health.server_facts(tx)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{cores} cores, {memory:.0f} GiB of memory, {platform.system()}, Python {platform.python_version()}, "
        f"PostgreSQL {facts.version}, every commit synced: {'yes' if facts.is_durable else 'no'}. "
        "Database, engine and the sender of the load share these cores."
    )


def written(text: str, *, section: str, readme: Path = README) -> None:
    """Replace this section of the README; add it where there is none."""
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    old = readme.read_text() if readme.exists() else "# Benchmarks\n\n`make bench` measures again.\n"
    if begin not in old:
        old += f"\n{begin}\n{end}\n"
    head, _, rest = old.partition(begin)
    readme.write_text(f"{head}{begin}\n{text}\n{end}{rest.partition(end)[2]}")
