"""`media-mcp export` and `import`: back-up and move."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from media_mcp.cli.outcome import ExitCode, note
from media_mcp.cli.result import bytes_words
from media_mcp.cli.rooms import run_async
from media_mcp.errors import BadInput, NotFound
from media_mcp.settings import Settings

if TYPE_CHECKING:
    from media_mcp.queue.moving import Moved

EVERY = 5.0  # seconds between two words on how far it is


def write(
    settings: Settings, file: str, since: datetime | None, owner: str | None, project: str | None
) -> int:
    """Export to a file, or to standard output where it is `-`."""
    from media_mcp.media import MediaStore
    from media_mcp.queue.liveness import this_instance
    from media_mcp.queue.moving import export, written_whole
    from media_mcp.queue.sqlite import SqliteStore
    from media_mcp.queue.sqlite.records import Which

    path = settings.data_dir / "jobs.sqlite"
    if not path.is_file():
        raise NotFound(
            f"There are no jobs in {settings.data_dir}.", "Name the data folder with --data-dir."
        )
    moment = since.replace(tzinfo=since.tzinfo or UTC).timestamp() if since else None
    store, media = SqliteStore(path, this_instance()), MediaStore(settings.data_dir / "assets")
    if file == "-" and sys.stdout.isatty():
        raise BadInput("Standard output is a terminal.", "Name a file, or pipe it on.")
    target = nullcontext(sys.stdout.buffer) if file == "-" else written_whole(Path(file))
    with target as stream:
        moved = export(store, media, stream, Which(moment, owner, project), _Progress("exported"))
        stream.flush()
    note(
        f"Exported {moved.jobs} jobs and {moved.assets} assets, {bytes_words(moved.size)}"
        + (f"; {moved.missing} files are missing or damaged." if moved.missing else ".")
    )
    return ExitCode.OK


def read(settings: Settings, file: str) -> int:
    """Import from a file, or from standard input where it is `-`."""
    with _opened(file) as stream:
        moved = run_async(partial(_read, settings, stream))
    note(
        f"Imported {moved.jobs} jobs and {moved.assets} assets; {moved.skipped} jobs and "
        f"{moved.known} assets were here already."
    )
    return ExitCode.OK


async def _read(settings: Settings, stream: IO[bytes]) -> Moved:
    from media_mcp.media import MediaStore
    from media_mcp.queue.liveness import this_instance
    from media_mcp.queue.moving import Importer
    from media_mcp.queue.sqlite import SqliteStore

    store = SqliteStore(settings.data_dir / "jobs.sqlite", this_instance())
    media = MediaStore(settings.data_dir / "assets")
    await store.open()
    try:
        return await Importer(store, media, _Progress("imported")).run(stream)
    finally:
        await store.leave()
        await store.aclose()


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound(
            f"{file} cannot be opened: {(error.strerror or '').lower()}.",
            "Name a file that media-mcp export wrote.",
        ) from None
    with os.fdopen(handle, "rb") as stream:
        yield stream


class _Progress:
    """Says now and then on standard error how far it is."""

    def __init__(self, done: str) -> None:
        self._done = done
        self._next = time.monotonic() + EVERY

    def __call__(self, size: int, total: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            note(f"{self._done} {bytes_words(size)} of {bytes_words(total)}")
