"""A small disk of its own, in memory, that can be filled: for a database that runs out of room."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SIZE_MB = 384
BLOCK = bytes(256 * 1024)


class SmallDisk:
    """A mounted tmpfs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Not a byte is left."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as ballast:
            while True:
                ballast.write(BLOCK)

    def empty(self) -> None:
        """There is room again."""
        self._ballast.unlink(missing_ok=True)


def why_not() -> str:
    """Why there can be no such disk here; empty where there can."""
    if sys.platform != "linux":
        return "a tmpfs is Linux's"
    if os.geteuid() != 0:
        return "only root can mount a tmpfs"
    said = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True
    )
    return "" if said.returncode == 0 else f"mounting a tmpfs is refused: {said.stderr.strip()}"


@contextmanager
def mounted(path: Path) -> Iterator[SmallDisk]:
    """Mount one here, and take it away again."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=755", "oneshelf", str(path)], check=True)
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
