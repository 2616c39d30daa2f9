"""Resources of the protocol: stored media, the catalog and jobs, each by URI, each read bounded."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from urllib.parse import parse_qs, quote, unquote

import mcp_types as t
from mcp.shared.exceptions import MCPError

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.describe import model_facts
from media_mcp.errors import MediaError, NotFound
from media_mcp.job import JSON, Asset, MediaKind
from media_mcp.media import MediaStore
from media_mcp.queue import Queue
from media_mcp.server import answer
from media_mcp.server.auth import caller_of
from media_mcp.server.tooldefs import tool_schema
from media_mcp.server.toolset import Context

MAX_READ = 700_000  # base64 of more would pass 1 MiB, where Python clients cut an event off
_LISTED = 100
CATALOG_URI = "catalog://models"


class Assets:
    """Stored media as resources, the caller's own only."""

    def __init__(self, media: MediaStore, queue: Queue) -> None:
        self._media = media
        self._queue = queue

    async def resources(self, ctx: Context) -> Sequence[t.Resource]:
        assets = await self._queue.assets(caller_of(ctx), limit=_LISTED)
        return [_resource(asset) for asset in assets if not asset.removed]

    def templates(self) -> Sequence[t.ResourceTemplate]:
        return [
            t.ResourceTemplate(
                uri_template="media://{asset}",
                name="asset",
                title="Stored media",
                description=f"A file by content, as answers name it; up to {MAX_READ} bytes.",
            ),
            t.ResourceTemplate(
                uri_template="media://{asset}?offset={offset}&length={length}",
                name="asset-part",
                title="Part of stored media",
                description=f"`length` bytes from `offset`, at most {MAX_READ}.",
            ),
        ]

    async def read(self, ctx: Context, uri: str) -> t.ReadResourceResult | None:
        if not uri.startswith("media://"):
            return None
        base, _, query = uri.partition("?")
        caller = caller_of(ctx)
        if not await self._queue.owns(caller, base):
            return None
        media = self._media.of(caller.owner)
        try:
            await self._queue.keeping.check(caller, base)
        except NotFound as error:  # it was there once: that is worth a word
            raise MCPError(t.INVALID_PARAMS, str(error), {"uri": uri}) from None
        try:
            asset = await media.get(base)
            offset, length = _part(query, asset)
            data = await media.read(base, offset, length)
        except NotFound:
            return None
        except MediaError as error:
            raise MCPError(t.INVALID_PARAMS, str(error), {"uri": uri}) from None
        return t.ReadResourceResult(contents=[_contents(uri, asset, data)])


class CatalogResources:
    """The catalog as resources: an index, and one document per model."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def resources(self, ctx: Context) -> Sequence[t.Resource]:
        return [
            t.Resource(
                uri=CATALOG_URI,
                name="models",
                title="The catalog",
                description="Every model: id, task, price and licence, one a line.",
                mime_type="text/plain",
            )
        ]

    def templates(self) -> Sequence[t.ResourceTemplate]:
        return [
            t.ResourceTemplate(
                uri_template=CATALOG_URI + "/{id}",
                name="model",
                title="A model of the catalog",
                description="What a model is good at, its arguments, routes, price and licence.",
                mime_type="application/json",
            )
        ]

    async def read(self, ctx: Context, uri: str) -> t.ReadResourceResult | None:
        if uri == CATALOG_URI:
            heads = self._catalog.heads
            lines = [f"{head.id}\t{head.task}\t{head.price}\t{head.licence}" for head in heads]
            return _text(uri, "text/plain", "\n".join(lines))
        if not uri.startswith(CATALOG_URI + "/"):
            return None
        try:
            model = self._catalog.get(unquote(uri.removeprefix(CATALOG_URI + "/")))
        except NotFound as error:
            raise MCPError(t.INVALID_PARAMS, str(error), {"uri": uri}) from None
        document = model_facts(model) | {
            "backends": [route.backend for route in model.routes],
            "arguments": tool_schema(model),
            "examples": [dict(example.arguments) for example in model.examples],
        }
        return _text(uri, "application/json", json.dumps(document, ensure_ascii=False))


class Jobs:
    """Jobs as resources, so that a client can subscribe to one."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def resources(self, ctx: Context) -> Sequence[t.Resource]:
        return []

    def templates(self) -> Sequence[t.ResourceTemplate]:
        return [
            t.ResourceTemplate(
                uri_template="job://{id}",
                name="job",
                title="A job",
                description="A job as it is now. Subscribe to hear of its changes.",
                mime_type="application/json",
            )
        ]

    async def read(self, ctx: Context, uri: str) -> t.ReadResourceResult | None:
        if not uri.startswith("job://"):
            return None
        try:
            job = await self._queue.get(uri.removeprefix("job://"), caller_of(ctx))
        except NotFound:
            return None
        facts: JSON = answer.job_facts(job)
        return _text(uri, "application/json", json.dumps(facts, ensure_ascii=False))


def job_uri(job_id: str) -> str:
    """Return the URI under which a job can be read and watched."""
    return f"job://{quote(job_id)}"


def _resource(asset: Asset) -> t.Resource:
    return t.Resource(
        uri=asset.uri,
        name=asset.path.name,
        description=f"{asset.kind.value}, {asset.size} bytes, at {asset.path}",
        mime_type=asset.mime_type,
        size=asset.size,
    )


def _part(query: str, asset: Asset) -> tuple[int, int]:
    """Return the offset and length asked for. Raises `NotFound` for a part that is not there."""
    given = parse_qs(query)
    if not given and asset.size > MAX_READ:
        raise MediaError(
            f"{asset.uri} has {asset.size} bytes; at most {MAX_READ} can be read at once.",
            f"Read the file at {asset.path}, or add ?offset=0&length={MAX_READ}.",
        )
    offset, length = _number(given, "offset", 0), _number(given, "length", MAX_READ)
    return offset, min(length, MAX_READ)


def _number(given: dict[str, list[str]], name: str, default: int) -> int:
    text = given.get(name, [str(default)])[0]
    if not text.isdecimal() or len(text) > 18:
        raise MediaError(f"{name}: must be a whole number, but {text[:40]!r} was given.")
    return int(text)


def _contents(
    uri: str, asset: Asset, data: bytes
) -> t.TextResourceContents | t.BlobResourceContents:
    if asset.kind is MediaKind.TEXT:
        return t.TextResourceContents(
            uri=uri, mime_type=asset.mime_type, text=data.decode("utf-8", "replace")
        )
    blob = base64.b64encode(data).decode()
    return t.BlobResourceContents(uri=uri, mime_type=asset.mime_type, blob=blob)


def _text(uri: str, mime_type: str, text: str) -> t.ReadResourceResult:
    contents = t.TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return t.ReadResourceResult(contents=[contents])
