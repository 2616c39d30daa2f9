"""Fetches large files from the hub so that an interruption costs nothing, and checks digests."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, Any

from media_mcp.errors import NotConfigured
from media_mcp.worker.hubfaults import is_lost_connection
from media_mcp.worker.orders import Fetching

CHUNK = 2**20
TRIES = 5  # in a row without a byte more
PAUSE = 1.0  # seconds, times the number of the try
TELL_EVERY = 0.2  # seconds
_SHA256, _GIT = 64, 40  # digits


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of a repository: its path, the digest that names it (SHA-256, or git's for small
    files) and its bytes."""

    path: str
    digest: str
    size: int


class Meter:
    """Counts bytes from several threads and tells them, not too often."""

    def __init__(
        self,
        repo: str,
        total: int,
        tell: Callable[[Any], None],
        *,
        checking: bool = False,
    ) -> None:
        self._repo, self._total, self._tell, self._checking = repo, total, tell, checking
        self._done = 0
        self._told = 0.0
        self._lock = Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            if time.monotonic() - self._told >= TELL_EVERY:
                self._say()

    def finish(self) -> None:
        """Say that all is done: small files are not counted on the way."""
        with self._lock:
            self._done = self._total
            self._say()

    def _say(self) -> None:
        self._told = time.monotonic()
        self._tell(Fetching(self._repo, self._done, self._total, self._checking))


def fetch(repo: str, commit: str, blob: Blob, home: Path, meter: Meter) -> None:
    """Bring a file to where the library keeps it, from where an earlier try has ended.

    Raises `NotConfigured` where the connection is lost again and again, or the bytes are others
    than the hub's own digest says.
    """
    from huggingface_hub.utils import WeakFileLock

    there = home / "blobs" / blob.digest
    lock = home.parent / ".locks" / home.name / f"{blob.digest}.lock"
    for folder in (there.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if there.is_file() and is_right(there, blob):
            meter.add(blob.size)
            return
        part = there.with_name(f"{blob.digest}.part")
        _grow(repo, commit, blob, part, meter)
        if not is_right(part, blob):
            part.unlink()
            raise NotConfigured(
                f"{blob.path} of {repo} came with other bytes than the hub says it has.",
                "Run the pull again: it was removed. A proxy on the way may change what passes.",
            )
        part.replace(there)


def _grow(repo: str, commit: str, blob: Blob, part: Path, meter: Meter) -> None:
    """Fetch what is absent of a file; each time some bytes came, the tries are counted anew."""
    tries = 0
    with part.open("ab") as file:
        meter.add(min(file.tell(), blob.size))
        while (start := file.tell()) < blob.size:
            try:
                _stream(repo, commit, blob, file, meter)
            except Exception as error:
                if not is_lost_connection(error):
                    raise
                tries = 0 if file.tell() > start else tries + 1
                if tries >= TRIES:
                    raise
                time.sleep(PAUSE * tries)
            else:
                tries = 0 if file.tell() > start else tries + 1
                if tries >= TRIES:
                    return  # the hub has no more; the digest will say that this is not all


def _stream(repo: str, commit: str, blob: Blob, file: IO[bytes], meter: Meter) -> None:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    start = file.tell()
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    url = hf_hub_url(repo, blob.path, revision=commit)
    with get_session().stream("GET", url, headers=headers, follow_redirects=True) as response:
        if response.is_error:
            response.read()
        hf_raise_for_status(response)
        if start and response.status_code != 206:  # it does not know of parts: all comes again
            meter.add(-start)
            file.seek(0)
            file.truncate()
        for chunk in response.iter_bytes(CHUNK):
            file.write(chunk)
            meter.add(len(chunk))
        file.flush()


def is_right(path: Path, blob: Blob, meter: Meter | None = None) -> bool:
    """Whether a file has the bytes that its digest stands for; without one, whether its size is."""
    if path.stat().st_size != blob.size:
        return False
    if len(blob.digest) not in (_SHA256, _GIT):
        return True
    found = hashlib.sha256() if len(blob.digest) == _SHA256 else _git_digest(blob.size)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
            if meter is not None:
                meter.add(len(chunk))
    return found.hexdigest() == blob.digest


def _git_digest(size: int) -> Any:
    return hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
