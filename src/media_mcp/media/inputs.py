"""Turns what a caller points at - a path, an asset, a URL, a data URI - into a checked asset."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urlsplit

from anyio import to_thread

from media_mcp.errors import BadMedia, Refused
from media_mcp.job import Asset, MediaKind
from media_mcp.media.datauri import bytes_of, is_data
from media_mcp.media.facts import READABLE
from media_mcp.media.files import open_input
from media_mcp.media.names import redact, shown
from media_mcp.media.shelf import CHUNK, Intake
from media_mcp.media.store import OWNER, MediaStore

if TYPE_CHECKING:
    from media_mcp.media.fetch import Resolver

Fill = Callable[[Intake], Awaitable[None]]
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
ACCEPTED = "Pass a path, a media:// URI, an http(s) URL or a data: URI."
WORDS = {
    MediaKind.IMAGE: "an image",
    MediaKind.VIDEO: "a video",
    MediaKind.AUDIO: "audio",
    MediaKind.TEXT: "text",
    MediaKind.MODEL3D: "a 3D model",
    MediaKind.FILE: "a file of unknown kind",
}


class Inputs:
    """Resolves media arguments within bounds: `roots` for paths, `max_bytes` for all of them.

    `allow_private` lets URLs lead to private networks. `resolver` finds the addresses of a host
    and `seconds` bounds a download.
    """

    def __init__(
        self,
        store: MediaStore,
        *,
        roots: Sequence[Path],
        max_bytes: int,
        allow_private: bool,
        resolver: Resolver | None = None,
        seconds: float = 120.0,
    ) -> None:
        self._store = store
        self._roots = tuple(roots)
        self._max_bytes = max_bytes
        self._allow_private = allow_private
        self._resolver = resolver
        self._seconds = seconds

    async def resolve(
        self,
        value: str,
        *,
        kind: MediaKind | None,
        roots: Sequence[Path] = (),
        no_fetch: str = "",
        owner: str = OWNER,
    ) -> Asset:
        """Return the asset that `value` points at, of the wanted `kind` (None or FILE: any).

        Paths may lie under `roots` (the client's), too, and among the stored media of `owner`,
        where what is brought in is kept. `no_fetch` is the setting, if any, that forbids to fetch
        anything. Raises `BadMedia`, `NotFound` for an unknown `media://` URI, `Refused` for what
        may not be fetched, and `StorageFailed`.
        """
        store = self._store.of(owner)
        match = SCHEME.match(value)
        scheme = match.group(1).lower() if match else ""
        if is_data(value):
            return await self._data(store, value, kind)
        if scheme == "media":
            asset = await store.get(value)
            _check_kind(asset.path.name, asset.kind, asset.mime_type, kind)
            return asset
        if scheme in ("http", "https"):
            if no_fetch:
                raise Refused(
                    f"{redact(value)} is not fetched: {no_fetch} = true forbids what leaves this "
                    "machine.",
                    "Download the file and pass its path.",
                )
            return await self._url(store, value, kind)
        if scheme and scheme != "file":
            raise BadMedia(f"Inputs cannot be read from {scheme}:// addresses.", ACCEPTED)
        path = _local(value) if scheme else value
        return await self._file(store, path, kind, (*self._roots, *roots))

    async def _data(self, store: MediaStore, value: str, kind: MediaKind | None) -> Asset:
        def decode(intake: Intake) -> None:
            try:
                for chunk in bytes_of(value):
                    intake.write(chunk)
            except ValueError as error:
                raise BadMedia(f"The data: URI {error}.", "Write data:<type>;base64,…") from None

        async def fill(intake: Intake) -> None:
            await to_thread.run_sync(decode, intake)

        return await self._take(store, fill, kind, "data", "data: URI")

    async def _url(self, store: MediaStore, url: str, kind: MediaKind | None) -> Asset:
        from media_mcp.media.fetch import fetch, look_up

        async def fill(intake: Intake) -> None:
            await fetch(
                url,
                intake,
                limit=self._max_bytes,
                allow_private=self._allow_private,
                resolver=self._resolver or look_up,
                seconds=self._seconds,
            )

        source = redact(url)
        return await self._take(
            store, fill, kind, PurePosixPath(urlsplit(source).path).name, source
        )

    async def _file(
        self, store: MediaStore, value: str, kind: MediaKind | None, roots: Sequence[Path]
    ) -> Asset:
        if not value.strip():
            raise BadMedia("The input is empty.", ACCEPTED)

        def copy(intake: Intake) -> None:
            also = store.is_own_file
            with open_input(value, roots, limit=self._max_bytes, also=also) as file:
                for chunk in _chunks(file):
                    intake.write(chunk)

        async def fill(intake: Intake) -> None:
            await to_thread.run_sync(copy, intake)

        return await self._take(store, fill, kind, Path(value).name, value)

    async def _take(
        self, store: MediaStore, fill: Fill, kind: MediaKind | None, name: str, source: str
    ) -> Asset:
        """Bring the bytes in, look at them, and make an asset of what is wanted."""
        with await store.intake(self._max_bytes) as intake:
            await fill(intake)
            staged = await to_thread.run_sync(intake.finish)
        facts = await store.examine(staged)
        try:
            _check_kind(name, facts.kind, facts.mime_type, kind)
        except BadMedia:
            staged.discard()
            raise
        stem = name.rpartition(".")[0] or name
        provenance = {"source": source}
        return await store.admit(staged, facts, role="input", name=stem, provenance=provenance)


def _check_kind(name: str, found: MediaKind, mime_type: str, wanted: MediaKind | None) -> None:
    """Raise `BadMedia` unless `found` is what is `wanted`."""
    drawing = wanted is MediaKind.IMAGE and mime_type == "image/svg+xml"
    if wanted in (None, MediaKind.FILE) or (found is wanted and not drawing):
        return
    what = "an SVG drawing" if drawing else WORDS[found]
    raise BadMedia(
        f"{shown(name, 80) or 'The input'} is {what} ({mime_type}); {WORDS[wanted]} is wanted.",
        f"Pass {READABLE[wanted]}.",
    )


def _local(uri: str) -> str:
    """Return the path of a `file://` URI. Raises `BadMedia` where it names another machine."""
    host, _, path = uri[len("file://") :].partition("/")
    if host.lower() not in ("", "localhost"):
        raise BadMedia(f"{shown(uri)} names a file of another machine.", ACCEPTED)
    return unquote(f"/{path}")


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk
