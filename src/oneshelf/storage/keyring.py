"""The keys that seal secrets: from the environment or from a file of this machine, never from the database.

AES-256-GCM (NIST SP 800-38D, 2007) with a random nonce of 96 bits for each value. What is sealed names its key and is
bound to its place, so that a value that was moved to another channel or another name does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from oneshelf.errors import ConfigurationError, KeyMissingError, invariant

PREFIX = "sealed:1:"
KEY_BYTES = 32
NONCE_BYTES = 12
KEY_ID_LENGTH = 12
FILE_HEAD = (
    "# Seals the secrets of oneshelf's channels. The first key is the newest. Whoever loses it types them in again.\n"
)


def new_key() -> str:
    """A random key, as the environment and the file hold it."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def is_sealed(text: str) -> bool:
    """Whether this is a sealed value. What a person types in never is: it is sealed before it is stored."""
    return text.startswith(PREFIX)


def key_of(sealed: str) -> str:
    """The id of the key that seals this value."""
    return sealed.removeprefix(PREFIX).partition(":")[0]


class Keyring:
    """Keys by their ids, the newest first. Without `keys` and without `file` nothing can be sealed."""

    def __init__(self, keys: Sequence[str] = (), *, file: Path | None = None) -> None:
        """`keys`: of `new_key`. `file`: one a line; made by the first that seals. Raises ConfigurationError."""
        self._file = file
        self._keys: dict[str, bytes] = _read(keys, where="ONESHELF_SECRETS_KEY")

    def __repr__(self) -> str:
        return f"Keyring({self.where!r})"

    @property
    def where(self) -> str:
        """Where the keys come from, in words."""
        return "ONESHELF_SECRETS_KEY" if self._file is None else str(self._file)

    @property
    def is_able(self) -> bool:
        """Whether something can be sealed with it."""
        return bool(self._keys) or self._file is not None

    @property
    def is_own_file(self) -> bool:
        """Whether keys can be added to it."""
        return self._file is not None

    def ids(self) -> list[str]:
        """The ids of all keys, the newest first. Raises ConfigurationError for a file that cannot be read."""
        if self._file is not None:
            try:
                lines = self._file.read_text(encoding="ascii").splitlines()
            except FileNotFoundError:
                lines = []
            except (OSError, UnicodeDecodeError) as problem:
                raise ConfigurationError(f"{self._file} cannot be read: {problem}") from problem
            self._keys = _read([line for line in lines if line and line[0] != "#"], where=str(self._file))
        return list(self._keys)

    def holds(self, key_id: str) -> bool:
        """Whether a key is here. The file is read again for one that is not: it may have been added since."""
        return key_id in self._keys or key_id in self.ids()

    def add(self) -> str:
        """Put a new key in front of the others in the file, and return its id. The file is whole at every instant."""
        path = self._file
        invariant(path is not None, "keys of the environment are not added to")
        assert path is not None  # noqa: S101  # for mypy
        key, others = new_key(), self.ids()
        lines = [key, *(base64.b64encode(self._keys[other]).decode() for other in others)]
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_whole(path, FILE_HEAD + "".join(f"{line}\n" for line in lines), is_first=not others)
        except OSError as problem:
            raise ConfigurationError(
                f"the key for secrets cannot be written to {path}: {problem}. Name another file in "
                "ONESHELF_SECRETS_KEY_FILE, or set ONESHELF_SECRETS_KEY to a key: oneshelf secrets new-key"
            ) from problem
        return self.ids()[0]

    def seal(self, text: str, *, key_id: str, place: Sequence[str]) -> str:
        """The text, sealed for this place: table, channel, name of the value."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        box = AESGCM(self._keys[key_id]).encrypt(nonce, text.encode(), _bound_to(place))
        return f"{PREFIX}{key_id}:{base64.b64encode(nonce + box).decode()}"

    def open(self, text: str, *, place: Sequence[str]) -> str:
        """What was sealed for this place; a text that is not sealed as it is.

        Raises KeyMissingError where the key is not here, ConfigurationError where the value was changed or moved.
        """
        if not is_sealed(text):
            return text
        key_id = key_of(text)
        if not self.holds(key_id):
            raise KeyMissingError(
                f"{_named(place)} is sealed by the key {key_id}, which is not in {self.where} (keys there: "
                f"{', '.join(self._keys) or 'none'}). Nothing is lost: put that key back, from the machine or the "
                "backup that has it. If it is gone for good, type the secrets in again: oneshelf channel add"
            )
        try:
            box = base64.b64decode(text.removeprefix(PREFIX).partition(":")[2], validate=True)
            opened = AESGCM(self._keys[key_id]).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], _bound_to(place))
            return opened.decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise ConfigurationError(
                f"{_named(place)} was changed or moved since it was sealed, and does not open. Type the secrets of the "
                "channel in again: oneshelf channel add"
            ) from None


def _read(keys: Sequence[str], *, where: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for text in keys:
        try:
            key = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            # The text is a secret, or half of one.
            raise ConfigurationError(
                f"a key in {where} is not {KEY_BYTES} bytes in base64. Make one: oneshelf secrets new-key"
            )
        found[hashlib.sha256(b"oneshelf key id\0" + key).hexdigest()[:KEY_ID_LENGTH]] = key
    return found


def _write_whole(path: Path, text: str, *, is_first: bool) -> None:
    """Readable by its owner alone from the first instant, and never half of it. Of two first ones, one stays."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        if is_first and not path.exists():
            os.link(beside, path)
        else:
            os.replace(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _bound_to(place: Sequence[str]) -> bytes:
    return "\0".join(place).encode()


def _named(place: Sequence[str]) -> str:
    return f"the secret {place[-1]} of {place[1]}"
