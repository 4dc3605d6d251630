"""A copy of a file that nobody changes while it is read twice, and what its bytes add up to."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from oneshelf.errors import MalformedError

FILE_BYTES_MAX = 512 * 2**20
_PART = 1 << 20


class Spooled(NamedTuple):
    """The copy, and the SHA-256 of its bytes."""

    path: Path
    digest: bytes


@contextmanager
def spooled(origin: BinaryIO) -> Iterator[Spooled]:
    """Copy what can be read from `origin`, for as long as the block lasts. Raises MalformedError for too much."""
    with tempfile.TemporaryDirectory(prefix="oneshelf-file-") as directory:
        path, total, digest = Path(directory) / "copy", 0, hashlib.sha256()
        with path.open("wb") as copy:
            while part := origin.read(_PART):
                total += len(part)
                if total > FILE_BYTES_MAX:
                    raise MalformedError(
                        f"the file has more than {FILE_BYTES_MAX // 2**20} MiB; cut it into several files"
                    )
                digest.update(part)
                copy.write(part)
        yield Spooled(path, digest.digest())
