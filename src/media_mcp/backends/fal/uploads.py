"""Brings inputs to a place, each content once, and remembers where they are."""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from media_mcp.backends.fal.client import Client, Piece, Request
from media_mcp.backends.fal.configuration import is_http, origin
from media_mcp.backends.fal.errors import Place, failure_of
from media_mcp.backends.fal.together import together
from media_mcp.backends.fal.wire import Answer
from media_mcp.errors import BackendFailed, BadMedia
from media_mcp.job import JSON, Asset

MOST_INLINE = 7 * 2**20  # bytes; a third more as base64, and 10 MB is what toolkits take
WHOLE = 90 * 2**20  # larger files go in parts
PART = 10 * 2**20
FILES_AT_ONCE, PARTS_AT_ONCE = 2, 3
REMEMBERED = 2000
SECONDS_PER_CALL = 300.0
KIND = "fal-cdn-v3"
_NAME = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kept:
    """Where an upload lies, and until when (Unix seconds)."""

    url: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Sent:
    """Addresses by `media://` URI; `reused` says that one of them was sent for an earlier call."""

    urls: Mapping[str, str]
    reused: bool


class Uploads:
    """The files that a place has of ours, by content.

    They outlast a restart in the file at `path`. One that is about to expire is sent again: a job
    may wait there for long before it reads its inputs.
    """

    def __init__(self, client: Client, path: Path) -> None:
        self._client = client
        self._path = path
        self._kept: dict[str, Kept] | None = None
        self._under_way: dict[str, anyio.Lock] = {}
        self._token: tuple[str, float] = ("", 0.0)
        self._fetching = anyio.Lock()

    async def urls_of(self, inputs: Mapping[str, Asset]) -> Sent:
        """Bring inputs there, by their `media://` URIs. Raises `MediaError`."""
        found = await together(FILES_AT_ONCE, self._url_of, list(inputs.values()))
        urls = {uri: url for uri, (url, _) in zip(inputs, found, strict=True)}
        return Sent(urls, any(reused for _, reused in found))

    async def _url_of(self, asset: Asset) -> tuple[str, bool]:
        """Return an address that the place can read an asset from, and whether it was there."""
        if self._client.configuration.upload == "inline":
            return await to_thread.run_sync(data_uri, asset), False
        lock = self._under_way.setdefault(asset.sha256, anyio.Lock())
        try:
            async with lock:
                return await self._kept_or_sent(asset)
        finally:
            if not lock.statistics().tasks_waiting:
                self._under_way.pop(asset.sha256, None)

    async def _kept_or_sent(self, asset: Asset) -> tuple[str, bool]:
        kept = (await self._memory()).get(asset.sha256)
        if kept is not None and self._lasts(kept):
            return kept.url, True
        url = await self._send(asset)
        expires_at = time.time() + self._client.configuration.upload_seconds
        await self._remember({asset.sha256: Kept(url, expires_at)})
        return url, False

    async def forget(self, inputs: Mapping[str, Asset]) -> None:
        """Send these anew the next time: the place could not read them."""
        memory = await self._memory()
        for asset in inputs.values():
            memory.pop(asset.sha256, None)
        await self._remember({})

    def _lasts(self, kept: Kept) -> bool:
        return kept.expires_at - time.time() > self._client.configuration.upload_seconds / 2

    async def _memory(self) -> dict[str, Kept]:
        if self._kept is None:
            self._kept = await to_thread.run_sync(_read, self._path)
        return self._kept

    async def _remember(self, more: Mapping[str, Kept]) -> None:
        memory = await self._memory()
        memory |= more
        lasting = [(sha256, kept) for sha256, kept in memory.items() if self._lasts(kept)]
        self._kept = dict(lasting[-REMEMBERED:])
        await to_thread.run_sync(_write, self._path, dict(self._kept))

    # Sending

    async def _send(self, asset: Asset) -> str:
        if self._client.configuration.upload == "initiate":
            return await self._by_initiate(asset)
        return await self._by_token(asset)

    async def _by_token(self, asset: Asset) -> str:
        """Send as the Python client does: with a short-lived token, to the host of the files."""
        cdn = self._client.configuration.cdn.rstrip("/")
        headers = {**await self._bearer(), **self._headers(asset)}
        if asset.size <= WHOLE:
            content = Piece(asset.path, 0, asset.size)
            sent = Request("POST", f"{cdn}/files/upload", content=content, headers=headers)
            return _address(await self._ask(sent), "access_url", self._place)
        asked = Request("POST", f"{cdn}/files/upload/multipart", headers=headers)
        begun = await self._ask(asked)
        url = _address(begun, "access_url", self._place)
        parts = f"{url}/multipart/{_text(begun, 'uploadId', self._place)}"
        self._check_host(url)
        await self._in_parts(asset, _Parts(parts, "", f"{parts}/complete", await self._bearer()))
        return url

    async def _by_initiate(self, asset: Asset) -> str:
        """Send as the JavaScript client does: to an address that the place gives for it."""
        large = "-multipart" if asset.size > WHOLE else ""
        rest = self._client.configuration.rest.rstrip("/")
        asked = Request(
            "POST",
            f"{rest}/storage/upload/initiate{large}?storage_type={KIND}",
            json={"content_type": asset.mime_type, "file_name": _file_name(asset)},
            headers={"X-Fal-Object-Lifecycle": self._lifetime()},
        )
        begun = await self._ask(asked)
        to, url = (_address(begun, name, self._place) for name in ("upload_url", "file_url"))
        self._check_host(to)
        if large:
            path, _, query = to.partition("?")
            tail = f"?{query}" if query else ""
            await self._in_parts(asset, _Parts(path, tail, f"{path}/complete{tail}"))
        else:
            content = Piece(asset.path, 0, asset.size)
            headers = {"Content-Type": asset.mime_type}
            await self._ask(Request("PUT", to, content=content, headers=headers, keyless=True))
        return url

    async def _in_parts(self, asset: Asset, to: _Parts) -> None:
        async def send(number: int) -> dict[str, JSON]:
            start = (number - 1) * PART
            content = Piece(asset.path, start, min(PART, asset.size - start))
            url = f"{to.url}/{number}{to.query}"
            sent = Request("PUT", url, content=content, headers=to.headers, keyless=True)
            return {"partNumber": number, "etag": _tag(await self._ask(sent), self._place)}

        parts = await together(PARTS_AT_ONCE, send, range(1, -(-asset.size // PART) + 1))
        ended = Request(
            "POST", to.complete, json={"parts": parts}, headers=to.headers, keyless=True
        )
        await self._ask(ended)

    async def _bearer(self) -> dict[str, str]:
        """Return the header with the token for uploads, a fresh one shortly before it expires."""
        async with self._fetching:
            token, until = self._token
            if time.time() >= until:
                token = await self._new_token()
        return {"Authorization": token}

    async def _new_token(self) -> str:
        rest = self._client.configuration.rest.rstrip("/")
        url = f"{rest}/storage/auth/token?storage_type={KIND}"
        answer = await self._ask(Request("POST", url, json={}))
        kind = _text(answer, "token_type", self._place, "Bearer")
        token = f"{kind} {_text(answer, 'token', self._place)}"
        self._token = token, time.time() + _seconds_left(answer)
        return token

    def _headers(self, asset: Asset) -> dict[str, str]:
        return {
            "Content-Type": asset.mime_type,
            "X-Fal-File-Name": _file_name(asset),
            "X-Fal-Object-Lifecycle": self._lifetime(),
            "X-Fal-Object-Lifecycle-Preference": self._lifetime(),
        }

    def _lifetime(self) -> str:
        seconds = int(self._client.configuration.upload_seconds)
        return json.dumps({"expiration_duration_seconds": seconds})

    def _check_host(self, url: str) -> None:
        """Refuse to send a file to a host that the configuration does not name."""
        host = (urlsplit(url).hostname or "").lower()
        named = self._client.configuration.upload_hosts
        if origin(url) in self._client.configuration.origins:
            return
        inside = any(host == one or host.endswith(f".{one}") for one in named)
        if not inside or not url.startswith("https://"):
            raise BackendFailed(
                f"{self._place.name} wants uploads to go to {host[:100]!r}, which is not its own.",
                f"Name it in upload_hosts of backends/{self._client.configuration.name}, or try "
                "again later.",
            )

    @property
    def _place(self) -> Place:
        return self._client.of("storage")

    async def _ask(self, request: Request) -> Answer:
        answer = await self._client.ask(request, self._place, seconds=SECONDS_PER_CALL)
        if not answer.ok:
            raise failure_of(answer, self._place)
        return answer


@dataclass(frozen=True, slots=True)
class _Parts:
    """Where the parts of a large file go, and what ends them."""

    url: str
    query: str
    complete: str
    headers: Mapping[str, str] = field(default_factory=dict)


def data_uri(asset: Asset) -> str:
    """Return an asset as a `data:` URI. Raises `BadMedia` for one that is too large for that."""
    if asset.size > MOST_INLINE:
        raise BadMedia(
            f"The input has {asset.size:,} bytes; this place takes {MOST_INLINE:,} in a call.",
            "Pass a smaller one.",
        )
    return f"data:{asset.mime_type};base64,{base64.b64encode(asset.path.read_bytes()).decode()}"


def _read(path: Path) -> dict[str, Kept]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {sha256: Kept(str(url), float(until)) for sha256, (url, until) in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _write(path: Path, kept: Mapping[str, Kept]) -> None:
    """Keep the memory; a disk that will not take it costs an upload later, and nothing else."""
    rows = {sha256: (one.url, one.expires_at) for sha256, one in kept.items()}
    fresh = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(rows), encoding="utf-8")
        fresh.replace(path)


def _file_name(asset: Asset) -> str:
    return _NAME.sub("-", asset.path.name)[-100:] or "file"


def _told(answer: Answer) -> Mapping[str, JSON]:
    told = answer.json()
    return told if isinstance(told, dict) else {}


def _text(answer: Answer, name: str, place: Place, usual: str = "") -> str:
    value = _told(answer).get(name, usual)
    if isinstance(value, str) and value and value.isascii() and value.isprintable():
        return value
    raise _odd(name, place)


def _address(answer: Answer, name: str, place: Place) -> str:
    url = _text(answer, name, place)
    if not is_http(url):
        raise _odd(name, place)
    return url


def _tag(answer: Answer, place: Place) -> str:
    """Return the tag of a part: of the header, or of the body, as the place likes it."""
    tag = answer.headers.get("etag") or _told(answer).get("etag")
    if not isinstance(tag, str) or not tag:
        raise _odd("etag", place)
    return tag


def _odd(name: str, place: Place) -> BackendFailed:
    return BackendFailed(
        f"{place.name} answered an upload without {name}.",
        "Try again later, or set `upload` in its backend.toml to another way.",
        retryable=True,
    )


def _seconds_left(answer: Answer) -> float:
    """Return for how long a token will do: until a little before it expires, a minute at least."""
    said = _told(answer).get("expires_at")
    try:
        left = datetime.fromisoformat(str(said)).timestamp() - time.time()
    except (ValueError, OverflowError):
        left = 0.0
    return max(left - 60.0, 60.0)
