"""What lies in the media folder and belongs to nothing: found here, and removed when told to.

Blocking: call it from a thread. Moments are Unix seconds of the file system.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from media_mcp.media.shelf import STAGING, STALE
from media_mcp.media.sidecars import index_of
from media_mcp.media.store import CALLERS, MediaStore

PREVIEW_SECONDS = 30 * 86_400.0  # previews are drawn again when they are asked for
MONTH = re.compile(r"\d{4}-\d{2}")
NAMED = re.compile(r"[a-z0-9-]+-([0-9a-f]{8,64})\.[a-z0-9]{1,12}")
SIDECAR = re.compile(r"[0-9a-f]{64}\.json")


@dataclass(frozen=True, slots=True)
class Leftover:
    """Files that can go, one of which gives it its name; `what` they are, and bytes in all."""

    what: str
    path: Path
    size: int
    also: tuple[Path, ...] = ()

    def remove(self) -> None:
        """Remove them, as far as the disk lets us."""
        for path in (self.path, *self.also):
            with suppress(OSError):
                path.unlink()


@dataclass(frozen=True, slots=True)
class Record:
    """A sidecar: whose content it tells of, and when it was written last."""

    sha256: str
    path: Path
    written_at: float


def folders(media: MediaStore) -> list[Path]:
    """Return the folder of the machine's own user, and those of all callers."""
    callers = media.folder / CALLERS
    return [media.folder, *(sorted(callers.iterdir()) if callers.is_dir() else ())]


def records(folder: Path) -> Iterator[list[Record]]:
    """Yield the sidecars of a folder, some hundreds at a time."""
    for shard in _below(folder / "index"):
        found = [path for path in _below(shard) if SIDECAR.fullmatch(path.name)]
        yield [Record(path.stem, path, at) for path in found if (at := _written(path)) is not None]


def orphan(folder: Path, record: Record) -> Leftover:
    """Return what goes with a sidecar that nobody needs: itself, and the file that it names."""
    file = _file_of(folder, record.path)
    also = (file,) if file is not None and file.is_file() else ()
    size = sum(path.stat().st_size for path in (record.path, *also))
    return Leftover("media that no job knows", record.path, size, also)


def nameless(folder: Path, since: float, before: float) -> Iterator[Leftover]:
    """Yield files written between two moments that no sidecar names: a crash was faster."""
    for month in _below(folder):
        if not MONTH.fullmatch(month.name):
            continue
        for path in _below(month):
            found, at = NAMED.fullmatch(path.name), _written(path)
            if found is None or at is None or not since < at < before or not path.is_file():
                continue
            if not _is_named(folder, path, found[1]):
                yield Leftover("a file without a record", path, path.stat().st_size)


def passing(folder: Path, now: float) -> Iterator[Leftover]:
    """Yield staged files that belong to nobody any more, and old previews."""
    for name, seconds, what in (
        (STAGING, STALE, "a staged file"),
        ("previews", PREVIEW_SECONDS, "an old preview"),
    ):
        for path in _below(folder / name):
            at = _written(path)
            if at is not None and now - at > seconds and path.is_file():
                yield Leftover(what, path, path.stat().st_size)


def measure(media: MediaStore, holdings: Sequence[tuple[str, str]]) -> list[int | None]:
    """Return the bytes of assets, each told by its owner and URI; None: its file is not there."""
    return [media.of(owner).size_now(uri) for owner, uri in holdings]


def _is_named(folder: Path, path: Path, digits: str) -> bool:
    shard = folder / "index" / digits[:2]
    sidecars = [folder / index_of(digits)] if len(digits) == 64 else shard.glob(f"{digits}*.json")
    return any(_file_of(folder, sidecar) == path for sidecar in sidecars)


def _file_of(folder: Path, sidecar: Path) -> Path | None:
    """Return the file that a sidecar names, where that is one of this folder's."""
    try:
        name = json.loads(sidecar.read_bytes())["file"]
        path = folder / name
        inside = MONTH.fullmatch(path.parent.name) and path.parent.parent == folder
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return path if inside and NAMED.fullmatch(path.name) else None


def _below(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry) for entry in entries)
    except OSError:
        return []


def _written(path: Path) -> float | None:
    try:
        return path.lstat().st_mtime
    except OSError:
        return None
