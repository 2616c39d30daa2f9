"""Fetches an input over http(s), from addresses that may be reached and no others."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import anyio
import httpx2
from anyio import to_thread

from media_mcp.errors import BadMedia
from media_mcp.media.addresses import may_reach
from media_mcp.media.names import redact, shown
from media_mcp.media.shelf import CHUNK, Intake, too_big

Resolver = Callable[[str, int], Awaitable[list[str]]]
MAX_REDIRECTS = 5
MOST_PORT = 2**16 - 1
MAX_ADDRESSES = 4  # of one host that are tried
TIMEOUT = httpx2.Timeout(20.0, connect=10.0)
HEADERS = {"User-Agent": "media-mcp", "Accept": "*/*", "Accept-Encoding": "identity"}


async def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of `host`. Raises `OSError` or `UnicodeError` where it has none."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class CheckedTransport(httpx2.AsyncHTTPTransport):
    """Connects to the very address that was checked: each request, so each redirect, anew."""

    def __init__(self, resolver: Resolver, *, allow_private: bool, connections: int = 10) -> None:
        # A connection that is kept would serve any host of its address, whatever name was checked.
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=0)
        super().__init__(limits=limits)
        self._resolver = resolver
        self._allow_private = allow_private

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        failure: httpx2.TransportError | None = None
        for address in (await self._addresses(request.url))[:MAX_ADDRESSES]:
            try:
                return await super().handle_async_request(_pinned(request, address))
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = error
        raise failure or httpx2.ConnectError("no address")

    async def _addresses(self, url: httpx2.URL) -> list[str]:
        """Return every address of the host of `url`; all of them must be allowed."""
        if url.scheme not in ("http", "https"):
            raise httpx2.UnsupportedProtocol("not http")
        port, host = url.port or (443 if url.scheme == "https" else 80), shown(url.host)
        if port > MOST_PORT:
            raise httpx2.InvalidURL(f"no port has the number {port}")
        try:
            addresses = await self._resolver(url.host, port)
        except (OSError, UnicodeError):
            raise BadMedia(f"The host {host} is not known.", "Correct the URL.") from None
        if not all(may_reach(a, allow_private=self._allow_private) for a in addresses):
            raise BadMedia(
                f"{host} is not a public address; inputs are not fetched from there.",
                "Pass a file instead, or set allow_private_urls for private networks.",
            )
        return addresses


def _pinned(request: httpx2.Request, address: str) -> httpx2.Request:
    """Return `request` sent to `address`, with the Host header and the TLS name it had."""
    name = request.url.raw_host.decode("ascii")
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address.partition("%")[0]),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": name},
    )


async def fetch(
    url: str, intake: Intake, *, limit: int, allow_private: bool, resolver: Resolver, seconds: float
) -> None:
    """Write the body of `url` into `intake`. Raises `BadMedia`; no secret of the URL is shown."""
    source = redact(url)
    client = httpx2.AsyncClient(
        transport=CheckedTransport(resolver, allow_private=allow_private),
        timeout=TIMEOUT,
        headers=HEADERS,
        trust_env=False,
    )
    async with _in_words(source, seconds), client, _followed(client, url) as response:
        _check(response, source, limit)
        async for chunk in response.aiter_raw(CHUNK):
            await to_thread.run_sync(intake.write, chunk)


@asynccontextmanager
async def _followed(client: httpx2.AsyncClient, url: str) -> AsyncIterator[httpx2.Response]:
    """Yield the answer that redirects lead to.

    httpx2 would read, unpack and hold all that a redirect says beside its address.
    """
    request = client.build_request("GET", url)
    for _ in range(MAX_REDIRECTS + 1):
        response = await client.send(request, stream=True)
        try:
            if response.next_request is None:
                yield response
                return
        finally:
            await response.aclose()
        request = response.next_request
    raise httpx2.TooManyRedirects("too many redirects")


def _check(response: httpx2.Response, source: str, limit: int) -> None:
    """Refuse an answer by its headers."""
    if response.status_code != HTTPStatus.OK:
        raise BadMedia(
            f"{source} answered {_status(response.status_code)}.",
            "See that the URL opens without a login.",
        )
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_big(limit)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise BadMedia(
            f"{source} answered with compressed bytes, which were not asked for.",
            "Download the file and pass its path.",
        )


def _status(code: int) -> str:
    """Return `404 Not Found`: the words of the standard, as a server may send any."""
    known = code in HTTPStatus.__members__.values()
    return f"{code} {HTTPStatus(code).phrase}" if known else str(code)


@asynccontextmanager
async def _in_words(source: str, seconds: float) -> AsyncIterator[None]:
    """Bound the time of a fetch and put what goes wrong into words."""
    again = "Try again, or download the file and pass its path."
    try:
        with anyio.fail_after(seconds):
            yield
    except (TimeoutError, httpx2.TimeoutException):
        raise BadMedia(f"{source} took too long (at most {seconds:g} s).", again) from None
    except httpx2.TooManyRedirects:
        raise BadMedia(f"{source} redirects more than {MAX_REDIRECTS} times.", again) from None
    except httpx2.UnsupportedProtocol:
        raise BadMedia(f"{source} leads away from http and https.", again) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, OverflowError) as error:
        raise BadMedia(f"{source} cannot be fetched ({type(error).__name__}).", again) from None
