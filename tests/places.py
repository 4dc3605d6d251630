"""Where tests keep the databases that they make."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

MEMORY = Path("/dev/shm")
# Two workers have filled a gigabyte and a half at most.
ROOM_LEAST = 6 * 2**30


@cache
def databases_home() -> Path | None:
    """In memory, where there is room: to make a database is to make a thousand files. None: where `TMPDIR` says."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK | os.X_OK):
        return None
    found = os.statvfs(MEMORY)
    room = min(found.f_bavail * found.f_frsize, _available_memory())
    # Some tests copy programs there, and start them.
    return MEMORY if room >= ROOM_LEAST and not found.f_flag & os.ST_NOEXEC else None


def _available_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
