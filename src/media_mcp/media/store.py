"""Assets: stored once by content, under a readable name, with a sidecar of provenance."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from anyio import to_thread

from media_mcp import faultpoints
from media_mcp.errors import BadMedia, InvalidArguments, NotFound, Problem, StorageFailed
from media_mcp.faultpoints import Point
from media_mcp.job import JSON, Asset, Caller, MediaKind
from media_mcp.media.decoding.pool import Decoders
from media_mcp.media.facts import UNKNOWN, Facts, Flaw
from media_mcp.media.names import folder_of, name_for
from media_mcp.media.shelf import Intake, Shelf, Staged, chunks_of
from media_mcp.media.sidecars import dump, fresh, index_of, sha256_of

OWN_FILE = re.compile(r"\d{4}-\d{2}/[a-z0-9-]+\.[a-z0-9]{1,12}")
MAX_READ = 16 * 2**20  # bytes that one `read` returns
JPEG_END = b"\xff\xd9"
VISIBLE = (MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO)
DRAWING = b"2"  # of previews; another one makes their cache start anew
OWNER = Caller().owner
CALLERS = "callers"  # the folder of all other owners' folders
MOST_OPEN = 1000  # stores of owners that are kept at hand


@dataclass(frozen=True, slots=True)
class Draft:
    """A file that was taken in and looked at, and may still be thrown away."""

    staged: Staged
    facts: Facts
    flaws: tuple[Flaw, ...] = ()
    preview: bytes | None = None

    def discard(self) -> None:
        self.staged.discard()


class MediaStore:
    """Keeps assets in `folder`; several processes may share it. Nothing is made before a `put`.

    What is kept here is this machine's own user's; `of` is where another caller's media are kept.
    """

    def __init__(
        self, folder: Path, decoders: Decoders | None = None, shared: MediaStore | None = None
    ) -> None:
        self.folder = folder.absolute()
        self._shelf = Shelf(self.folder)
        self._decoders = decoders or Decoders()
        self._shared = shared  # where callers' media were before each had a folder of their own
        self._of: dict[str, MediaStore] = {}

    def of(self, owner: str) -> MediaStore:
        """Return where an owner's media are kept.

        Each has a folder of their own, so that the same bytes, made for two callers, tell neither
        of the other: by no name, date or record, and not by how long they take to be kept.
        """
        if owner == OWNER:
            return self
        if owner not in self._of:
            if len(self._of) >= MOST_OPEN:
                self._of.clear()
            folder = self.folder / CALLERS / folder_of(owner)
            self._of[owner] = type(self)(folder, self._decoders, self)
        return self._of[owner]

    @property
    def cold(self) -> bool:
        """Whether the first file would have to wait for something to start."""
        return self._decoders.cold

    async def warm(self) -> None:
        """Start what the first file would have to wait for."""
        await self._decoders.warm()

    async def put(
        self,
        path: Path,
        *,
        role: str,
        name: str,
        provenance: Mapping[str, JSON],
        mime_type: str | None = None,
    ) -> Asset:
        """Store a copy of the file at `path` and return its asset.

        The bytes decide on kind and mime type; `name` becomes the readable file name. Bytes that
        are stored already keep their first name and provenance; the new job is added to the
        sidecar. Raises `BadMedia` for a broken file and `StorageFailed`.
        """
        return await self._put(chunks_of(path), role, name, provenance, mime_type)

    async def put_bytes(
        self,
        data: bytes,
        *,
        role: str,
        name: str,
        provenance: Mapping[str, JSON],
        mime_type: str | None = None,
    ) -> Asset:
        """Do what `put` does, for bytes at hand."""
        return await self._put([data], role, name, provenance, mime_type)

    async def draft(self, path: Path, mime_type: str | None = None, *, draw: bool = False) -> Draft:
        """Take in a copy of a file that a model made and look into it.

        With `draw`, the `preview` of a picture will be at hand: it is decoded but once. The draft
        is for `keep`, or for its own `discard`. Raises `BadMedia` and `StorageFailed`.
        """
        return await self._draft(chunks_of(path), mime_type, look=True, draw=draw)

    async def keep(
        self, draft: Draft, *, role: str, name: str, provenance: Mapping[str, JSON]
    ) -> Asset:
        """Make a draft an asset. Raises `StorageFailed`."""
        try:
            asset = await to_thread.run_sync(self._keep, draft, role, name, provenance)
        finally:  # also where a cancellation comes before the thread
            draft.discard()
        return replace(asset, role=role)

    def _keep(self, draft: Draft, role: str, name: str, provenance: Mapping[str, JSON]) -> Asset:
        asset = self._admit(draft.staged, draft.facts, role, name, provenance)
        if draft.preview is not None:
            self._keep_preview(_preview_key([asset]), draft.preview)
        return asset

    async def get(self, uri: str) -> Asset:
        """Return the asset called `uri`. Raises `NotFound`."""
        return await to_thread.run_sync(self._get, uri)

    def _get(self, uri: str) -> Asset:
        home, side = self._known(uri)
        return home._asset(sha256_of(uri), side)

    async def sidecar(self, uri: str) -> dict[str, JSON]:
        """Return what is kept about an asset: facts, provenance and jobs. Raises `NotFound`."""
        return (await to_thread.run_sync(self._known, uri))[1]

    async def read(self, uri: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of an asset from `offset` on, at most 16 MiB. Raises `NotFound`."""
        for field, value in (("offset", offset), ("length", length)):
            if value is not None and value < 0:
                raise InvalidArguments([Problem(field, f"is {value}; the least is 0.")])
        bound = MAX_READ if length is None else min(length, MAX_READ)
        return await to_thread.run_sync(self._read, uri, offset, bound)

    def _read(self, uri: str, offset: int, length: int) -> bytes:
        home, side = self._known(uri)
        return home._shelf.read(side["file"], offset, length)

    async def remove(self, uri: str, grace: float) -> bool:
        """Forget an asset, bytes and all; False where its bytes were taken in again lately.

        Lately is within `grace` seconds: whoever did may not have said yet that they need them.
        """
        return await to_thread.run_sync(self.remove_now, uri, grace)

    def size_now(self, uri: str) -> int | None:
        """Return the bytes of an asset's file; None where it is not there. Blocking."""
        found = self.found_now(uri)
        with suppress(OSError):
            return found[0].stat().st_size if found else None
        return None

    def found_now(self, uri: str) -> tuple[Path, dict[str, JSON], bool] | None:
        """Return where an asset lies, its sidecar, and whether that is the owner's own. Blocking.

        None where it is not there.
        """
        try:
            home, side = self._known(uri)
        except NotFound:
            return None
        return home._shelf.path(side["file"]), side, home is self

    async def leans_on(self, uri: str, owners: Iterable[str]) -> bool:
        """Tell whether one of `owners` has an asset here only, from before they had a folder."""
        return await to_thread.run_sync(self._leans_on, sha256_of(uri), tuple(owners))

    def _leans_on(self, sha256: str, owners: Sequence[str]) -> bool:
        others = [self.of(owner) for owner in owners if owner != OWNER]
        return len(others) < len(owners) or any(other._load(sha256) is None for other in others)

    def remove_now(self, uri: str, grace: float) -> bool:
        """Do what `remove` does; blocking."""
        sha256 = sha256_of(uri)
        if self._load(sha256) is None:  # nor is a lock, and a folder for it, needed
            return True
        with self._shelf.locked():
            side = self._load(sha256)
            if side is None:
                return True
            if time.time() - side.get("again", 0.0) < grace:
                return False
            preview = _preview_key([self._asset(sha256, side)])
            self._shelf.remove(side["file"], index_of(sha256), preview)
        return True

    async def preview(self, assets: Sequence[Asset]) -> bytes | None:
        """Return one JPEG that shows `assets`, at most 512 px and 40 kB; None: nothing to see."""
        if not any(asset.kind in VISIBLE for asset in assets):
            return None
        key = _preview_key(assets)
        data = await to_thread.run_sync(self._kept_preview, key)
        if data is None and (data := await self._decoders.draw(assets)) is not None:
            await to_thread.run_sync(self._keep_preview, key, data)
        return data

    def _keep_preview(self, key: str, data: bytes) -> None:
        with suppress(StorageFailed):  # a full disk is no reason to show nothing
            self._shelf.write(key, data, durable=False)

    def _kept_preview(self, key: str) -> bytes | None:
        """Return a preview drawn earlier; one that a crash of the machine cut counts as none."""
        data = self._shelf.read(key) if self._shelf.has(key) else b""
        return data if data.endswith(JPEG_END) else None

    def is_own_file(self, path: Path) -> bool:
        """Tell whether `path` (resolved) is the readable file of an asset of this store."""
        try:
            relative = path.relative_to(self.folder.resolve())
        except ValueError:
            return False
        return OWN_FILE.fullmatch(relative.as_posix()) is not None

    async def intake(self, limit: int) -> Intake:
        """Begin to take in at most `limit` bytes piece by piece, for `examine` and `admit`."""
        return await to_thread.run_sync(self._shelf.intake, limit)

    async def examine(
        self, staged: Staged, claimed: str | None = None, *, any_kind: bool = False
    ) -> Facts:
        """Probe staged bytes; discard them when they are broken.

        With `any_kind`, what cannot be read is kept as a file of no known kind.
        """
        try:
            return (await self._decoders.read(staged.path, claimed)).facts
        except BadMedia:
            if any_kind and staged.size:
                return UNKNOWN
            staged.discard()
            raise
        except BaseException:
            staged.discard()
            raise

    async def admit(
        self, staged: Staged, facts: Facts, *, role: str, name: str, provenance: Mapping[str, JSON]
    ) -> Asset:
        """Make staged bytes an asset."""
        draft = Draft(staged, facts)
        return await self.keep(draft, role=role, name=name, provenance=provenance)

    async def _put(
        self,
        chunks: Iterable[bytes],
        role: str,
        name: str,
        provenance: Mapping[str, JSON],
        mime_type: str | None,
    ) -> Asset:
        draft = await self._draft(chunks, mime_type)
        return await self.keep(draft, role=role, name=name, provenance=provenance)

    async def _draft(
        self,
        chunks: Iterable[bytes],
        mime_type: str | None,
        *,
        look: bool = False,
        draw: bool = False,
    ) -> Draft:
        stage = partial(self._shelf.stage, chunks, durable=False)  # `settle` sees to it
        staged = await to_thread.run_sync(stage)
        faultpoints.reached(Point.STAGED)
        try:
            seen = await self._decoders.read(staged.path, mime_type, look=look, draw=draw)
        except BaseException:
            staged.discard()
            raise
        return Draft(staged, seen.facts, seen.flaws, seen.jpeg)

    def _admit(
        self, staged: Staged, facts: Facts, role: str, name: str, provenance: Mapping[str, JSON]
    ) -> Asset:
        with self._shelf.locked():
            side, index = self._load(staged.sha256), index_of(staged.sha256)
            if side is None:
                file = self._name(staged, name, facts.extension)
                side = fresh(staged, facts, file, role, provenance)
                self._add(staged, index, side)
            else:
                self._again(staged, side, provenance)
                self._shelf.write(index, dump(side))  # whole before it replaces a good one
                self._shelf.settle(index, side["file"])
            faultpoints.reached(Point.ASSET_SETTLED)
        return self._asset(staged.sha256, side)

    def _add(self, staged: Staged, index: str, side: dict[str, Any]) -> None:
        """Put a new asset in its place, all of it or nothing.

        The sidecar goes first: should we die here, no bytes lie about that nobody knows.
        """
        file = side["file"]
        try:
            self._shelf.write(index, dump(side), durable=False)
            faultpoints.reached(Point.SIDECAR_WRITTEN)
            if not self._shelf.has(file):
                self._shelf.publish(staged, file)
            faultpoints.reached(Point.PUBLISHED)
            self._shelf.settle(index, file)
        except StorageFailed:
            self._shelf.remove(index, file)
            raise

    def _name(self, staged: Staged, name: str, extension: str) -> str:
        """Return a readable name that is free, or that of the same bytes."""
        month = datetime.now(UTC).strftime("%Y-%m")
        for digits in (8, 16, 64):
            key = f"{month}/{name_for(name)}-{staged.sha256[:digits]}.{extension}"
            if not self._shelf.has(key) or self._shelf.hash_of(key) == staged.sha256:
                return key
        raise StorageFailed(f"{key} is there already.", "Move that file away and try again.")

    def _again(self, staged: Staged, side: dict[str, Any], provenance: Mapping[str, JSON]) -> None:
        if not self._shelf.has(side["file"]):
            self._shelf.publish(staged, side["file"])
        side["again"] = time.time()
        job = provenance.get("job")
        if job is not None and job not in side["jobs"]:
            side["jobs"].append(job)

    def _load(self, sha256: str) -> dict[str, Any] | None:
        key = index_of(sha256)
        if not self._shelf.has(key):
            return None
        try:
            side = json.loads(self._shelf.read(key))
        except ValueError:  # somebody damaged it: the next `put` writes it anew
            return None
        return side if isinstance(side, dict) and "file" in side else None

    def _known(self, uri: str) -> tuple[MediaStore, dict[str, JSON]]:
        """Return which store has an asset, this one or the shared one, and its sidecar."""
        side = self._load(sha256_of(uri))
        if side is None:
            if self._shared is not None:
                return self._shared._known(uri)
            raise NotFound(f"There is no asset {uri}.", "Take the URI from a job's answer.")
        if not self._shelf.has(side["file"]):
            raise NotFound(
                f"The file of {uri} is gone: {self._shelf.path(side['file'])}.",
                "Put the file back or make it again.",
            )
        return self, side

    def _asset(self, sha256: str, side: Mapping[str, Any]) -> Asset:
        file: str = side["file"]
        return Asset(
            uri=f"media://{sha256}.{file.rpartition('.')[2]}",
            path=self._shelf.path(file),
            kind=MediaKind(side["kind"]),
            mime_type=side["mime_type"],
            size=side["size"],
            width=side["width"],
            height=side["height"],
            duration=side["duration"],
            role=side["role"],
        )


def _preview_key(assets: Sequence[Asset]) -> str:
    """Return the key under which the preview of `assets` is kept."""
    parts = (asset.sha256.encode() for asset in assets)
    return f"previews/{hashlib.sha256(b' '.join((DRAWING, *parts))).hexdigest()}.jpg"
