"""Keeps bytes under keys in a folder: whole or absent, and on the disk once they are settled."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from media_mcp.errors import BadMedia, StorageFailed

if TYPE_CHECKING:
    from obstore.store import LocalStore

STAGING = "staging"
STALE = 24 * 3600.0  # seconds after which a staged file belongs to nobody
CHUNK = 2**20
NO_LINK = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Staged:
    """Bytes that are on the disk but under no key yet: where, how many, and their hash."""

    path: Path
    size: int
    sha256: str

    def discard(self) -> None:
        """Remove the bytes, where they were not published."""
        self.path.unlink(missing_ok=True)


class Intake:
    """Takes bytes in piece by piece, counting and hashing; leaves nothing behind on an error."""

    def __init__(self, path: Path, limit: int | None) -> None:
        self.path = path
        self.size = 0
        self._limit = limit
        self._hash = hashlib.sha256()
        self._file = path.open("xb")

    def __enter__(self) -> Intake:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._file.close()
        if kind is not None:
            self.path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Add `data`. Raises `BadMedia` past the limit and `StorageFailed`."""
        self.size += len(data)
        if self._limit is not None and self.size > self._limit:
            raise too_big(self._limit)
        with storage_words(self.path.parent.parent):
            self._file.write(data)
        self._hash.update(data)

    def finish(self, *, durable: bool = True) -> Staged:
        """Bring the bytes to the disk and return them; not `durable`: leave that to the system."""
        with storage_words(self.path.parent.parent):
            self._file.flush()
            if durable:
                os.fsync(self._file.fileno())
            self._file.close()
        return Staged(self.path, self.size, self._hash.hexdigest())


class Shelf:
    """A folder of objects by key (`2026-11/a-red-boat-1a2b3c4d.png`), on obstore's `LocalStore`.

    Blocking: call it from a thread. Raises `StorageFailed`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._store: LocalStore | None = None

    def path(self, key: str) -> Path:
        """Return where the object called `key` lies."""
        return self.folder / key

    def intake(self, limit: int | None = None) -> Intake:
        """Begin to take bytes in, at most `limit` of them."""
        with storage_words(self.folder):
            self._open()
            return Intake(self.path(STAGING) / uuid.uuid4().hex, limit)

    def stage(self, chunks: Iterable[bytes], *, durable: bool = True) -> Staged:
        """Take all of `chunks` in."""
        with self.intake() as intake:
            for chunk in chunks:
                intake.write(chunk)
            return intake.finish(durable=durable)

    def publish(self, staged: Staged, key: str, *, overwrite: bool = False) -> None:
        """Move staged bytes to `key`, in one step; `settle` makes the move outlast a crash."""
        with storage_words(self.folder):
            store = self._open()
            store.rename(f"{STAGING}/{staged.path.name}", key, overwrite=overwrite)

    def write(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Set the object `key` to `data`, in one step."""
        staged = self.stage([data], durable=durable)
        try:
            self.publish(staged, key, overwrite=True)
        finally:
            staged.discard()

    def settle(self, *keys: str) -> None:
        """Bring new objects to the disk, bytes and names.

        Synchronising a file after its rename takes its name and new folders along on ext4, XFS,
        btrfs and APFS, which spares synchronising the folders too.
        """
        with storage_words(self.folder):
            for key in keys:
                _sync(self.path(key))

    def remove(self, *keys: str) -> None:
        """Remove objects, as far as the disk lets us."""
        for key in keys:
            with suppress(OSError):
                self.path(key).unlink(missing_ok=True)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return `length` bytes of an object from `offset` on; all the rest where it is None."""
        with storage_words(self.folder):
            size = self.path(key).stat().st_size
            end = size if length is None else min(size, offset + length)
            if offset >= end:
                return b""
            return bytes(self._open().get_range(key, start=offset, end=end))

    def has(self, key: str) -> bool:
        """Tell whether there is an object called `key`."""
        with storage_words(self.folder):
            return self.path(key).is_file()

    def hash_of(self, key: str) -> str:
        """Return the SHA-256 of an object, in hexadecimal."""
        with storage_words(self.folder), self.path(key).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock: one writer at a time, over threads and processes."""
        import fcntl

        with storage_words(self.folder):
            self._open()
            lock = (self.folder / ".lock").open("ab")
        with lock:
            with storage_words(self.folder):
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _open(self) -> LocalStore:
        if self._store is None:
            from obstore.store import LocalStore

            self.path(STAGING).mkdir(parents=True, exist_ok=True)
            self._sweep()
            self._store = LocalStore(self.folder)
        return self._store

    def _sweep(self) -> None:
        """Remove what a process that died left in the staging folder."""
        for path in self.path(STAGING).iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > STALE:
                    path.unlink()


def chunks_of(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, 1 MiB at a time. Raises `BadMedia` where it cannot be read.

    Neither it nor its folder may be a link: whoever made the file may swap either at any moment.
    """
    try:
        handle = _opened(path)
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise BadMedia(
            f"{path.name} cannot be read: {why}.", "See that the file is written."
        ) from None
    with os.fdopen(handle, "rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _opened(path: Path) -> int:
    folder = os.open(path.parent, NO_LINK | os.O_DIRECTORY)
    try:
        handle = os.open(path.name, NO_LINK | os.O_NONBLOCK, dir_fd=folder)  # a FIFO must not block
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise BadMedia(f"{path.name} is not a regular file.", "Pass a file that holds the media.")
    return handle


def too_big(limit: int) -> BadMedia:
    """Return the error for an input of more than `limit` bytes."""
    return BadMedia(
        f"The input is larger than {limit:,} bytes.",
        "Pass a smaller one or raise the setting max_input_bytes.",
    )


@contextmanager
def storage_words(folder: Path) -> Iterator[None]:
    """Turn what the disk says into `StorageFailed`."""
    try:
        yield
    except OSError as error:
        raise _failed(error.errno, folder, error.strerror or str(error)) from error
    except Exception as error:
        if not type(error).__module__.startswith("obstore"):
            raise
        text = str(error).partition("\n")[0]
        code = re.search(r"\(os error (\d+)\)", text)
        raise _failed(int(code.group(1)) if code else None, folder, text) from error


def _failed(code: int | None, folder: Path, text: str) -> StorageFailed:
    if code in (errno.ENOSPC, errno.EDQUOT):
        return StorageFailed(
            f"The disk that holds {folder} is full.",
            "Free some space or point the setting data_dir at another disk; nothing was stored.",
        )
    if code in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StorageFailed(
            f"{folder} cannot be written to.",
            "Point the setting data_dir at a folder that this user may write to.",
        )
    if code == errno.EFBIG:
        return StorageFailed(
            f"The file is larger than {folder} or this process may hold.",
            "Raise the limit (ulimit -f) or point the setting data_dir at another file system.",
        )
    return StorageFailed(
        f"{folder} cannot be used: {text.lower().rstrip('.')}.",
        "See that the setting data_dir names a folder that this user may write to.",
    )


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
