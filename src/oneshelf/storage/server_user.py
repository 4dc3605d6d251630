"""Who runs the embedded server: PostgreSQL refuses to run as root, so root needs somebody else."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from oneshelf.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The unprivileged user that root's server runs as; PostgreSQL refuses to run as root."""

    name: str
    uid: int
    gid: int

    def can_use(self, path: Path) -> bool:
        """Whether this user can enter a directory or run a program. Asked of the kernel, as that user."""
        asked = subprocess.run(
            ["/bin/sh", "-c", 'test -r "$1" && test -x "$1"', "sh", str(path)],
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            cwd="/",
            check=False,
        )
        return asked.returncode == 0


def server_user(*, owner_uid: int | None, home: Path) -> ServerUser | None:
    """Who runs the server: we ourselves; under root the owner of the database, else `postgres` or `nobody`."""
    ours = os.geteuid()
    if ours != 0:
        if owner_uid not in (None, ours):
            raise ConfigurationError(
                f"The database in {home} belongs to user {owner_uid}, and this is user {ours}. "
                "Run oneshelf as that user, or choose another data directory."
            )
        return None
    if owner_uid:
        owner = pwd.getpwuid(owner_uid)
        return ServerUser(owner.pw_name, owner.pw_uid, owner.pw_gid)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return ServerUser(name, found.pw_uid, found.pw_gid)
    raise ConfigurationError(
        "PostgreSQL does not run as root, and this machine has no user postgres or nobody. "
        "Run oneshelf as an ordinary user, or set ONESHELF_DATABASE_URL."
    )
