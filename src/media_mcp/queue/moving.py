"""Back-up and move: jobs and media written to an archive, and brought in from one."""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from anyio import to_thread

from media_mcp import __version__
from media_mcp.errors import BadMedia, StorageFailed
from media_mcp.queue.archive import (
    END,
    FORMAT,
    HEAD,
    ArchiveReader,
    ArchiveWriter,
    Member,
    batches,
    check_format,
    damaged,
    numbered,
    parsed,
)
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.queue.sqlite.records import Which
from media_mcp.queue.uploads import URI

if TYPE_CHECKING:
    from media_mcp.media import MediaStore

Told = Callable[[int, int], None]  # bytes of media that are done, and all of them


@dataclass(slots=True)
class Moved:
    """What an archive got or brought: `skipped` jobs were there, `missing` files were not."""

    jobs: int = 0
    skipped: int = 0
    assets: int = 0
    known: int = 0
    missing: int = 0
    size: int = 0


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that is at `path` once all is written, and only its owner's to read."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise StorageFailed(
            f"{path} cannot be written: {(error.strerror or str(error)).lower()}.",
            "Name a file on a disk with room, in a folder that this user may write to.",
        ) from None


def export(
    store: SqliteStore, media: MediaStore, stream: IO[bytes], which: Which, told: Told
) -> Moved:
    """Write what is there at this moment to `stream`; servers may run on meanwhile.

    Blocking. A file that is damaged or goes meanwhile is left out, and counted as missing.
    """
    moved = Moved()
    with tempfile.TemporaryFile() as spool:
        holdings = _spool(store, which, spool, moved)
        sizes = [(each, media.of(each[0]).size_now(each[1])) for each in holdings]
        files = [(owner, uri, size) for (owner, uri), size in sizes if size is not None]
        total = sum(size for *_, size in files)
        moved.missing = len(holdings) - len(files)
        archive = ArchiveWriter(stream)
        head = {"format": FORMAT, "version": __version__, "jobs": moved.jobs}
        archive.told(HEAD, head | {"assets": len(files), "bytes": total})
        for owner, uri, size in files:
            _pack(archive, media, owner, uri, moved)
            moved.size += size
            told(moved.size, total)
        spool.seek(0)
        lines = (line.rstrip(b"\n") for line in spool)
        for number, batch in enumerate(batches(lines), 1):
            archive.file(numbered("records", number, "jsonl"), len(batch), io.BytesIO(batch))
        archive.told(END, {"jobs": moved.jobs, "assets": moved.assets})
        archive.close()
    return moved


def _spool(
    store: SqliteStore, which: Which, spool: IO[bytes], moved: Moved
) -> list[tuple[str, str]]:
    """Write the records of one moment down, and return which assets were there."""
    holdings = []
    for record in store.dump(which):
        spool.write(json.dumps(record, separators=(",", ":"), sort_keys=True).encode() + b"\n")
        moved.jobs += "job" in record
        held = record.get("holding")
        if held is not None and held["removed_at"] is None:
            holdings.append((held["owner"], held["uri"]))
    return holdings


def _pack(archive: ArchiveWriter, media: MediaStore, owner: str, uri: str, moved: Moved) -> None:
    """Add an asset, where its bytes are those of its name."""
    found = media.of(owner).found_now(uri)
    if found is None:
        moved.missing += 1
        return
    path, side, own = found
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != _hash_of(uri):
                moved.missing += 1
                return
            size = file.tell()
            file.seek(0)
            about: dict[str, Any] = {"owner": owner, "uri": uri, "size": size, "role": "input"}
            about |= {"name": "media", "mime_type": side.get("mime_type"), "provenance": {}}
            if own:  # what callers shared before tells of whoever came first
                name = path.stem.rpartition("-")[0]
                about |= {"role": side.get("role"), "name": name}
                about |= {"provenance": side.get("provenance")}
            moved.assets += 1
            archive.told(numbered("assets", moved.assets, "json"), about)
            if not archive.file(numbered("assets", moved.assets, "bin"), size, file):
                raise StorageFailed(f"{path} changed while it was exported.", "Export again.")
    except OSError as error:
        raise StorageFailed(
            f"{path} cannot be read: {error.strerror or error}.", "See to the disk; export again."
        ) from None


def _hash_of(uri: str) -> str:
    return uri.removeprefix("media://").partition(".")[0]


class Importer:
    """Brings an archive in: first all files, each checked, then all records in one transaction.

    Until that is written nothing of it is to be seen; files of a run that broke off are found by
    the next one, or belong to nobody and are collected.
    """

    def __init__(self, store: SqliteStore, media: MediaStore, told: Told) -> None:
        self._store = store
        self._media = media
        self._told = told
        self._moved = Moved()
        self._promised = {"jobs": 0, "assets": 0, "bytes": 0}
        self._seen_jobs = self._seen_assets = 0

    async def run(self, stream: IO[bytes]) -> Moved:
        """Import. Raises `BadArchive` and `StorageFailed`; then nothing is imported."""
        with tempfile.TemporaryFile() as spool, closing(self._store.checker()) as checker:
            members = iter(ArchiveReader(stream))
            await self._head(await _next(members))
            member = await self._assets(members)
            while member is not None and member.name.startswith("records/"):
                await to_thread.run_sync(self._records, member, checker, spool)
                member = await _next(members)
            self._end(member)
            if await _next(members) is not None:
                raise damaged("it goes on after its end")
            spool.seek(0)
            records = (parsed(line, "a record") for line in spool)
            jobs = await self._store.take_in(records, self._where)
        self._moved.jobs, self._moved.skipped = jobs, self._seen_jobs - jobs
        return self._moved

    async def _head(self, member: Member | None) -> None:
        if member is None or member.name != HEAD:
            raise damaged("it does not begin as ours do")
        head = await to_thread.run_sync(member.told)
        check_format(head)
        for name in self._promised:
            self._promised[name] = _count(head.get(name))
        free = _free(self._media.folder)
        if self._promised["bytes"] > free:
            raise StorageFailed(
                f"The archive holds {self._promised['bytes']:,} bytes of media; the disk has "
                f"{free:,} left.",
                "Free some space or point the setting data_dir at another disk.",
            )

    async def _assets(self, members: Iterator[Member]) -> Member | None:
        """Take assets in; return the first member that is none."""
        while (member := await _next(members)) is not None and member.name.startswith("assets/"):
            self._seen_assets += 1
            if member.name != numbered("assets", self._seen_assets, "json"):
                raise damaged("its files are not in order")
            about = await to_thread.run_sync(member.told)
            content = await _next(members)
            if content is None or content.name != numbered("assets", self._seen_assets, "bin"):
                raise damaged("its files are not in order")
            await self._asset(about, content)
            self._told(self._moved.size, self._promised["bytes"])
        return member

    async def _asset(self, about: dict[str, Any], content: Member) -> None:
        owner, uri = about.get("owner"), about.get("uri")
        strings = (owner, uri, about.get("role"), about.get("name"))
        if not all(isinstance(each, str) and len(each) <= 1000 for each in strings):
            raise damaged("an asset in it is not as we write it")
        if not URI.fullmatch(str(uri)) or about.get("size") != content.size:
            raise damaged("an asset in it is not as we write it")
        self._moved.size += content.size
        if self._moved.size > self._promised["bytes"]:
            raise damaged("it holds more bytes than it said")
        media = self._media.of(str(owner))
        if await to_thread.run_sync(media.size_now, str(uri)) == content.size:
            self._moved.known += 1
            return
        await self._place(media, str(uri), about, content)
        self._moved.assets += 1

    async def _place(
        self, media: MediaStore, uri: str, about: dict[str, Any], content: Member
    ) -> None:
        """Check the bytes of an asset and keep them."""
        with await media.intake(content.size) as intake:

            def fill() -> None:
                while chunk := content.read():
                    intake.write(chunk)

            await to_thread.run_sync(fill)
            staged = await to_thread.run_sync(intake.finish)
        try:
            if staged.sha256 != _hash_of(uri):
                raise damaged(f"the bytes of {uri} are not those of its name")
            claimed = about.get("mime_type")
            claimed = claimed if isinstance(claimed, str) else None
            facts = await media.examine(staged, claimed, any_kind=True)
            if facts.extension != uri.rpartition(".")[2]:
                raise damaged(f"{uri} is of another type ({facts.mime_type})")
            told = about.get("provenance")
            provenance = told if isinstance(told, dict) else {}
            name, role = str(about["name"]), str(about["role"])
            await media.admit(staged, facts, role=role, name=name, provenance=provenance)
        except BadMedia:
            raise damaged(f"{uri} cannot be read") from None
        finally:
            staged.discard()

    def _records(self, member: Member, checker: Any, spool: IO[bytes]) -> None:
        for line in member.lines():
            record = parsed(line, member.name)
            checker.check(record)
            self._seen_jobs += "job" in record
            if self._seen_jobs > self._promised["jobs"]:
                raise damaged("it holds more jobs than it said")
            spool.write(line + b"\n")

    def _end(self, member: Member | None) -> None:
        if member is None or member.name != END:
            raise damaged("it ends too early")
        told = member.told()
        if told != {"jobs": self._seen_jobs, "assets": self._seen_assets}:
            raise damaged("its end tells of other numbers")

    def _where(self, owner: str, uri: str) -> Path | None:
        found = self._media.of(owner).found_now(uri)
        return found[0] if found else None


async def _next(members: Iterator[Member]) -> Member | None:
    return await to_thread.run_sync(next, members, None)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise damaged("its top does not say how much it holds")
    return int(value)


def _free(folder: Path) -> int:
    """Return the bytes that are free where `folder` is, or will be."""
    for place in (folder, *folder.parents):
        with suppress(OSError):
            told = os.statvfs(place)
            return told.f_bavail * told.f_frsize
    return 0
