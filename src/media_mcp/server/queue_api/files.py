"""Stored media by URL: `<origin>/files/<sha256>.<ext>`, and uploads by the name they were given."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from starlette.responses import FileResponse

from media_mcp.errors import NotFound
from media_mcp.job import Asset
from media_mcp.media import MediaStore
from media_mcp.queue import Queue
from media_mcp.server.queue_api.calls import Call, Reply, replied
from media_mcp.server.queue_api.links import Links

FAL = re.compile(r"(?:[a-z0-9-]+\.)*fal\.(?:media|ai|run)", re.ASCII)
# The hash of an asset, or the name of an upload, which is half as long.
PATH = re.compile(r"/?(?:cdn/)?files/([0-9a-f]{64}|[0-9a-f]{32})\.([a-z0-9]{1,12})", re.ASCII)
HASH = 64  # characters
# Types that a browser shows and that cannot run anything; all others are downloads.
SHOWN = re.compile(r"image/(?!svg)[a-z0-9.+-]+|(?:audio|video)/[a-z0-9.+-]+|text/plain", re.ASCII)
TEXTS = ("text/", "application/json", "application/x-subrip")
ALWAYS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "referrer-policy": "no-referrer",
}


def asset_of(url: str, *bases: str) -> str | None:
    """Return the `media://` URI of a file of ours by its URL, or None for any other URL.

    Ours are those under one of `bases`, and those of fal's hosts, whose part this server plays. A
    file that is uploaded under a name (`find_asset` knows those) gives None. Whether the caller
    may use the asset is not looked at.
    """
    name, extension = _parts(url, *bases) or ("", "")
    return f"media://{name}.{extension}" if len(name) == HASH else None


async def find_asset(queue: Queue, url: str, *bases: str) -> str | None:
    """Do what `asset_of` does, and look up the names under which uploads were announced."""
    name, extension = _parts(url, *bases) or ("", "")
    if len(name) == HASH:
        return f"media://{name}.{extension}"
    return await queue.uploads.find(name) if name else None


def _parts(url: str, *bases: str) -> tuple[str, str] | None:
    """Return name and extension of a file of ours."""
    try:
        parts = urlsplit(url)
        ours = {urlsplit(base).netloc.lower() for base in bases}
    except ValueError:
        return None
    host = parts.netloc.lower()
    found = PATH.fullmatch(parts.path)
    if found is None or parts.scheme not in ("http", "https"):
        return None
    return (found[1], found[2]) if host in ours or FAL.fullmatch(host) else None


class Files:
    """Serves the bytes of assets whose time is not over to their owner and to whoever has a link.

    To all others there is no such file, whether there is one or not.
    """

    def __init__(self, queue: Queue, media: MediaStore, links: Links) -> None:
        self._queue = queue
        self._media = media
        self._links = links

    async def get(self, call: Call) -> Reply | None:
        """Answer GET and HEAD of `files/<name>.<ext>`, in parts if these are asked for."""
        asset = await self._asset(call)
        if asset is None:
            return _nothing()
        if isinstance(asset, str):
            return _removed(asset)
        etag = f'"{asset.sha256}"'
        if etag in call.header("if-none-match").replace("W/", ""):
            return Reply(304, headers=[(b"etag", etag.encode())])
        response = FileResponse(
            asset.path,
            headers={**ALWAYS, **_disposition(asset), "etag": etag, "cache-control": "no-cache"},
            media_type=_media_type(asset),
        )
        await response(call.scope, call.receive, call.send)
        return None

    async def _asset(self, call: Call) -> Asset | str | None:
        """Return the asset asked for, or when and why it was removed, to who may see it."""
        found = PATH.fullmatch(call.target.path)
        if found is None:
            return None
        name, extension = found[1], found[2]
        upload = await self._queue.uploads.named(name) if len(name) != HASH else None
        uri = upload.uri if upload else f"media://{name}.{extension}"
        owners = [upload.owner] if upload else await self._queue.uploads.holders(uri)
        owner = self._whose(call, f"{name}.{extension}", owners)
        if owner is None:
            return None
        if removed := await self._queue.keeping.removed(owner, uri):
            return removed
        try:
            return await self._media.of(owner).get(uri)
        except NotFound:  # its bytes were removed by hand
            return None

    def _whose(self, call: Call, name: str, owners: Collection[str]) -> str | None:
        """Return whose file of this name a call may see: the caller's, or that of its link."""
        if call.caller is not None and call.caller.owner in owners:
            return call.caller.owner
        return self._links.opens(name, call.target.query, owners)


def _removed(how: str) -> Reply:
    message = f"This file was removed {how}. Make it again, or ask who runs this server for it."
    told = {"detail": message, "message": message}
    return replied(410, told, [(b"cache-control", b"no-store")])


def _nothing() -> Reply:
    message = "There is no such file here, or its time is over."
    return replied(404, {"detail": message, "message": message}, [(b"cache-control", b"no-store")])


def _disposition(asset: Asset) -> dict[str, str]:
    kind = "inline" if SHOWN.fullmatch(asset.mime_type) else "attachment"
    return {"content-disposition": f'{kind}; filename="{_file_name(asset.path)}"'}


def _file_name(path: Path) -> str:
    """Return the readable name; the media room makes them of plain letters and dashes only."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", path.name)


def _media_type(asset: Asset) -> str:
    text = asset.mime_type.startswith(TEXTS)
    return f"{asset.mime_type}; charset=utf-8" if text else asset.mime_type
