"""Takes uploads in: straight from the wire to the disk, whole or in parts."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
from anyio import to_thread

from media_mcp.errors import BadInput, BadMedia
from media_mcp.job import Asset, Caller
from media_mcp.media import MediaStore
from media_mcp.media.shelf import CHUNK, Intake, storage_words
from media_mcp.queue import Queue, Upload
from media_mcp.server.queue_api.calls import BadRequest, Call, Gone

log = logging.getLogger(__name__)

Fill = Callable[[Intake], Awaitable[None]]
PARTS = 10_000
IDLE_SECONDS = 60.0  # without a byte
KEPT_SECONDS = 86_400.0  # parts of an upload that nobody completes
PART = re.compile(r"(\d{5})\.([0-9a-f]{32})", re.ASCII)


class TooBig(BadInput):
    """An upload of more bytes than are taken."""

    code = "file_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The file is larger than {limit:,} bytes.",
            "Upload a smaller one, or raise the server's setting max_input_bytes.",
        )
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Order:
    """A file that is to come: whose it is, what it is called, how many seconds it is kept.

    `name` is that of its URL where it got one before its bytes.
    """

    caller: Caller
    file_name: str
    content_type: str
    lifetime: float | None = None
    name: str | None = None


class Sink(Protocol):
    """Takes bytes, in a thread."""

    def write(self, data: bytes) -> None: ...


class Uploads:
    """Turns bodies of requests into assets that their callers own. `folder` holds parts."""

    def __init__(
        self,
        media: MediaStore,
        queue: Queue,
        folder: Path,
        limit: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._media = media
        self._queue = queue
        self._folder = folder
        self._limit = limit
        self._clock = clock
        self._bell = anyio.Event()

    async def whole(self, call: Call, order: Order) -> Asset:
        """Take the body of a call. Raises `TooBig`, `BadRequest` for nothing, `Gone`."""

        async def fill(intake: Intake) -> None:
            await _pour(call, intake)

        self._check_length(call)
        return await self._take(fill, order)

    async def part(self, call: Call, order: Order, number: int) -> str:
        """Take the body of a call as one part, and return its tag."""
        if not 1 <= number <= PARTS:
            raise BadRequest(f"There is no part {number}.", f"Number parts from 1 to {PARTS}.")
        self._check_length(call)
        folder = self._parts_of(order)
        sink = await to_thread.run_sync(_PartSink, folder, number, self._limit)
        self._bell.set()
        try:
            await _pour(call, sink)
            return await to_thread.run_sync(sink.finish)
        finally:
            sink.discard()

    async def complete(self, order: Order, tags: Mapping[int, str]) -> str:
        """Join the parts, which must be these, and return the asset's URI."""
        folder = self._parts_of(order)
        paths = await to_thread.run_sync(_checked_parts, folder, tags)

        def join(intake: Intake) -> None:
            with storage_words(folder):
                for path in paths:
                    for chunk in _verified(path):
                        intake.write(chunk)

        async def fill(intake: Intake) -> None:
            await to_thread.run_sync(join, intake)

        asset = await self._take(fill, order)
        await to_thread.run_sync(_forget, folder)
        return asset.uri

    def _parts_of(self, order: Order) -> Path:
        return self._folder / (order.name or "")

    async def _take(self, fill: Fill, order: Order) -> Asset:
        """Bring the bytes in and make them an asset of the caller's."""
        media = self._media.of(order.caller.owner)
        try:
            with await media.intake(self._limit) as intake:
                await fill(intake)
                staged = await to_thread.run_sync(intake.finish)
        except BadMedia:
            raise TooBig(self._limit) from None
        try:
            facts = await media.examine(staged, order.content_type, any_kind=True)
        except BadMedia as error:
            raise BadRequest(error.message, "Send the bytes of the file.") from None
        asset = await media.admit(
            staged,
            facts,
            role="input",
            name=Path(order.file_name).stem,
            provenance={"source": f"upload: {order.file_name}"},
        )
        await self._keep(asset, order)
        return asset

    async def _keep(self, asset: Asset, order: Order) -> None:
        expires_at = None if order.lifetime is None else self._clock() + order.lifetime
        upload = Upload(asset.uri, order.caller.owner, order.name, expires_at, asset.size)
        if await self._queue.uploads.keep(upload) != asset.uri:
            raise BadRequest(
                "This address holds another file already.", "Initiate an upload for each file."
            )

    def _check_length(self, call: Call) -> None:
        """Refuse a body that says itself that it is too big, before any of it is read."""
        declared = call.header("content-length")
        if declared.isdecimal() and int(declared[:20]) > self._limit:
            raise TooBig(self._limit)

    # What is left behind

    async def tidy(self) -> None:
        """Remove parts that nobody completes, when their time comes, for ever."""
        while True:
            self._bell = anyio.Event()
            before, oldest = time.time() - KEPT_SECONDS, None
            try:
                oldest = await to_thread.run_sync(_sweep, self._folder, before)
            except OSError as error:
                log.warning("Parts of uploads could not be removed: %s", error.strerror)
            rest = None if oldest is None else max(1.0, oldest + KEPT_SECONDS - time.time())
            with anyio.move_on_after(rest):
                await self._bell.wait()


class _PartSink:
    """A part that is being written. All the parts of an upload together keep the limit."""

    def __init__(self, folder: Path, number: int, limit: int) -> None:
        self._folder = folder
        self._number = number
        self._limit = limit
        self._hash = hashlib.sha256()
        with storage_words(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path = folder / f"{uuid.uuid4().hex}.new"
            self._file = self._path.open("xb")

    def write(self, data: bytes) -> None:
        with storage_words(self._folder):
            if self._taken() + len(data) > self._limit:
                raise TooBig(self._limit)
            self._file.write(data)
            self._file.flush()
        self._hash.update(data)

    def _taken(self) -> int:
        """Return how many bytes the upload has by now, without the part that this one replaces."""
        total = 0
        for entry in os.scandir(self._folder):
            if not entry.name.startswith(f"{self._number:05d}."):
                with suppress(FileNotFoundError):  # replaced meanwhile
                    total += entry.stat().st_size
        return total

    def finish(self) -> str:
        """Put the part in its place, over an earlier one of its number, and return its tag."""
        tag = self._hash.hexdigest()[:32]
        with storage_words(self._folder):
            if not self._file.tell():
                raise BadRequest(f"Part {self._number} is empty.", "Send the bytes of the part.")
            self._file.close()
            for earlier in self._folder.glob(f"{self._number:05d}.*"):
                earlier.unlink(missing_ok=True)
            self._path.replace(self._folder / f"{self._number:05d}.{tag}")
        return tag

    def discard(self) -> None:
        self._file.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


async def _pour(call: Call, sink: Sink) -> None:
    """Write the body to `sink`, a megabyte at a time."""
    waiting = bytearray()
    async for chunk in _body(call):
        waiting += chunk
        if len(waiting) >= CHUNK:
            await to_thread.run_sync(sink.write, bytes(waiting))
            waiting.clear()
    await to_thread.run_sync(sink.write, bytes(waiting))


async def _body(call: Call) -> AsyncIterator[bytes]:
    """Yield the body as it comes. Raises `Gone`, and `BadRequest` where it stands still."""
    more = True
    while more:
        try:
            with anyio.fail_after(IDLE_SECONDS):
                message = await call.receive()
        except TimeoutError:
            raise BadRequest(
                f"Nothing came for {IDLE_SECONDS:g} s.", "Upload the file again."
            ) from None
        if message["type"] == "http.disconnect":
            raise Gone
        yield message.get("body", b"")
        more = message.get("more_body", False)


def _checked_parts(folder: Path, tags: Mapping[int, str]) -> list[Path]:
    """Return the files of the parts in order. Raises `BadRequest` unless they are just these."""
    there = {int(found[1]): found[2] for found in map(PART.fullmatch, _names(folder)) if found}
    for number in range(1, max([*tags, *there, 1]) + 1):
        if number not in there:
            raise BadRequest(f"Part {number} was not uploaded.", "Upload it, then complete again.")
        if number not in tags:
            raise BadRequest(f"Part {number} is not listed.", "List every part, and its etag.")
        if tags[number] != there[number]:
            raise BadRequest(
                f"The etag of part {number} is {there[number]}, not {tags[number][:80]!r}.",
                "List the etag that came last for each part.",
            )
    return [folder / f"{number:05d}.{tag}" for number, tag in sorted(there.items())]


def _verified(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a part, and see at its end that they are those of its tag."""
    seen = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            seen.update(chunk)
            yield chunk
    number, _, tag = path.name.partition(".")
    if seen.hexdigest()[:32] != tag:
        raise BadRequest(f"Part {int(number)} was damaged here.", "Upload the file again.")


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _sweep(folder: Path, before: float) -> float | None:
    """Remove the parts of uploads untouched since `before`; return when the next was touched."""
    oldest = None
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):
            touched = path.stat().st_mtime
            if touched <= before:
                _forget(path)
            else:
                oldest = touched if oldest is None else min(oldest, touched)
    return oldest


def _forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
