"""The callers' keys: made, listed and revoked by the command line, looked up by the doors.

A key is shown once, when it is made; what is kept is its hash. It is drawn at random from 2^256, so
a fast hash is all that it takes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path

from media_mcp.errors import BadSettings, InvalidArguments, NotFound, Problem, StorageFailed
from media_mcp.job import JSON, Caller, Scope

FILE = "keys.json"
PREFIX = "mmk"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_SHAPE = re.compile(rf"{PREFIX}-([0-9a-f]{{12}})-([0-9a-f]{{64}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key. `owner` is the caller whose jobs and assets it reaches; several keys
    may be one caller's. Times are Unix seconds.
    """

    id: str
    owner: str
    scope: Scope
    digest: str
    created_at: float
    expires_at: float | None = None
    project: str | None = None


class KeyRing:
    """The keys of a data folder. Changes by other processes are seen at once."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / FILE
        self._clock = clock
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}

    def __bool__(self) -> bool:
        """Whether keys are asked for: from the first one on, though all be revoked by now."""
        return self._path.exists()

    def keys(self) -> list[Key]:
        """Return all keys, oldest first, expired ones too."""
        return list(self._read().values())

    def find(self, shown: str) -> Key | None:
        """Return the key that was shown; None if there is none, or its time is over."""
        shape = _SHAPE.fullmatch(shown)
        if shape is None:
            return None
        key = self._read().get(shape[1])
        known = hmac.compare_digest(_digest(shown), key.digest if key else _digest(""))
        return self._in_time(key) if known else None

    def known(self, key_id: str) -> Key | None:
        """Return the key of this id; None if there is none, or its time is over."""
        return self._in_time(self._read().get(key_id))

    def _in_time(self, key: Key | None) -> Key | None:
        ended = key is None or (key.expires_at is not None and self._clock() >= key.expires_at)
        return None if ended else key

    def create(
        self,
        owner: str,
        scope: Scope,
        seconds: float | None = None,
        project: str | None = None,
    ) -> tuple[Key, str]:
        """Make a key; return it and the text to show. Raises `InvalidArguments`, `StorageFailed`.

        It holds for `seconds`, or until it is revoked.
        """
        if not NAME.fullmatch(owner) or owner == Caller().owner:
            words = "must be letters, digits and . _ @ -, at most 64"
            raise InvalidArguments(
                [Problem("name", f"{owner[:80]!r} {words}, and not {Caller().owner!r}.")],
                f"{Caller().owner} is who calls without a key.",
            )
        number, now = secrets.token_hex(6), self._clock()
        text = f"{PREFIX}-{number}-{secrets.token_hex(32)}"
        expires_at = now + seconds if seconds else None
        key = Key(number, owner, scope, _digest(text), now, expires_at, project)
        with self._changing() as keys:
            keys[key.id] = key
        return key, text

    def revoke(self, name: str) -> list[Key]:
        """Remove a key by its id, or every key of a caller. Raises `NotFound`."""
        with self._changing() as keys:
            gone = [key for key in keys.values() if name in (key.id, key.owner)]
            for key in gone:
                del keys[key.id]
        if not gone:
            raise NotFound(f"There is no key {name[:80]!r}.", "media-mcp keys list shows them.")
        return gone

    def _read(self) -> dict[str, Key]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._keys = None, {}
            return self._keys
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._stamp:
            self._keys, self._stamp = _load(self._path), stamp
        return self._keys

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Key]]:
        """Give the keys to be changed; they are written whole, one process at a time."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("a") as lock:
                flock(lock, LOCK_EX)
                keys = _load(self._path) if self._path.exists() else {}
                yield keys
                _save(self._path, keys)
        except OSError as error:
            raise StorageFailed(
                f"The keys in {self._path} cannot be written: {error.strerror}.",
                "See that this user may write there, and that the disk has room.",
            ) from None


def caller_of_key(key: Key, project: str) -> Caller:
    """Return who shows a key; its jobs belong to its own project, or to `project`."""
    return Caller(key.owner, key.project or project, key.scope, key.id)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _load(path: Path) -> dict[str, Key]:
    try:
        told: list[dict[str, JSON]] = json.loads(path.read_bytes())
        keys = [Key(**one) for one in told]
    except (OSError, ValueError, TypeError, AttributeError):
        raise BadSettings(
            f"{path} cannot be read as a list of keys.",
            "Restore it from a backup, or remove it and make new keys: media-mcp keys create NAME",
        ) from None
    return {key.id: key for key in keys}


def _save(path: Path, keys: dict[str, Key]) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False) as file:
        json.dump([asdict(key) for key in keys.values()], file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
