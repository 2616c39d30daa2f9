"""The HTTP server: MCP at /mcp, the queue API and the platform API, /health."""

from __future__ import annotations

import errno
import ipaddress
import logging
import math
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import anyio
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from media_mcp import __version__
from media_mcp.errors import BadSettings, PortTaken, Refused
from media_mcp.server.app import App
from media_mcp.server.auth import Gate, Locked
from media_mcp.server.bodies import Counted
from media_mcp.server.connections.bounds import Bounds
from media_mcp.server.connections.http import HttpConnection
from media_mcp.server.connections.server import WebServer
from media_mcp.server.connections.websocket import WebSocketConnection
from media_mcp.server.front import Front
from media_mcp.server.mcp import McpServer
from media_mcp.server.platform_api import platform_routes
from media_mcp.server.queue_api.door import QueueApi
from media_mcp.server.queue_api.realtime import MAX_FRAME
from media_mcp.server.queue_api.schema import openapi
from media_mcp.server.queue_api.target import place_of_host
from media_mcp.server.runs import GONE
from media_mcp.server.warm_api import warm_route
from media_mcp.server.watching.routes import watching_routes

_LOCAL = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.ASCII)
_LOCAL_ORIGIN = re.compile(rf"https?://{_LOCAL.pattern}", re.ASCII)
MAX_BODY = 32 * 2**20  # a data URI of a picture fits; more belongs in a file or a URL
SINGLE = (b"host", b"origin", b"authorization", b"x-fal-target-url")

# What uvicorn says of each WebSocket that was refused with an answer of its own, as if it were not.
_NOT_SO = "ASGI callable returned without completing handshake."

log = logging.getLogger(__name__)


def http_app(server: McpServer, app: App, gate: Gate) -> ASGIApp:
    """Return the ASGI app with every door.

    Requests without the key, where there is one, are refused, and else those with a foreign Host
    or Origin.
    """
    others: Starlette = server.sdk.streamable_http_app(
        max_request_body_size=MAX_BODY,
        event_store=server.surface.event_store,
        retry_interval=server.surface.retry_ms,
        # `Neighbours` guards every door.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        custom_starlette_routes=[
            Route("/health", _health),
            Route("/healthz", _health),
            *watching_routes(app, gate),
            Route("/openapi.json", openapi),
            warm_route(app),
            *platform_routes(app.catalog),
            *(gate.tokens.routes() if gate.tokens else ()),
        ],
    )
    return Neighbours(QueueApi(app, gate, Locked(Counted(HangUps(trimmed(others))), gate)), gate)


def trimmed(app: ASGIApp) -> ASGIApp:
    """Take the blanks around header values away, which httptools leaves at their end."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
            scope = {**scope, "headers": headers}
        await app(scope, receive, send)

    return call


class Neighbours:
    """Refuses requests that name a foreign Host or come from a foreign Origin.

    A page on the web may make a browser on this machine send such requests (DNS rebinding). fal's
    own host names pass: only fal can point those anywhere. Where a key is asked for, a page has
    none, and the server may well have names that it does not know of.
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            refused = _twice(scope["headers"])
            if refused is None and not self._gate.locked:
                refused = _refused(dict(scope["headers"]))
            if refused is not None:
                return await refused(scope, receive, send)
        await self._app(scope, receive, send)


def _twice(headers: Iterable[tuple[bytes, bytes]]) -> Response | None:
    """Refuse what a proxy in front may have read in another way than we would."""
    names = [name for name, _ in headers if name in SINGLE]
    again = next((name.decode() for name in SINGLE if names.count(name) > 1), None)
    return PlainTextResponse(f"The header {again} was sent twice", 400) if again else None


def _refused(headers: Mapping[bytes, bytes]) -> Response | None:
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if not _LOCAL.fullmatch(host) and place_of_host(host) is None:
        log.warning("A request for the foreign host %r was refused", host[:100])
        return PlainTextResponse("Invalid Host header", 421)
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    if origin and not _LOCAL_ORIGIN.fullmatch(origin):
        log.warning("A request from the foreign origin %r was refused", origin[:100])
        return PlainTextResponse("Invalid Origin header", 403)
    return None


class HangUps:
    """Notes when the client of a request is gone, under `GONE` in the request's scope.

    In the eras up to 2025-11-25 the SDK lets a call go on after its client has hung up.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        gone = scope[GONE] = anyio.Event()

        async def watched() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                gone.set()
            return message

        return await self._app(scope, watched, send)


async def _health(request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "version": __version__})


def parse_address(address: str) -> tuple[str, int]:
    """Split `host:port`, `[::1]:port` or `port`. Raises `BadSettings`."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise BadSettings(
            f"--http {address!r} is not an address.", "Write it as 127.0.0.1:8787 or just 8787."
        )
    return host.strip("[]") or "127.0.0.1", int(port)


def listen(host: str, port: int, *, locked: bool = False) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    Raises `Refused` for an address off this machine unless the server is `locked` with a key, and
    `PortTaken` when somebody listens there.
    """
    if not locked and not is_loopback(host):
        raise Refused(
            f"media-mcp does not listen on {host}: it would be open to everybody who reaches it.",
            "Make a key, media-mcp keys create NAME, or set MEDIA_MCP_API_KEY. Or listen on "
            "127.0.0.1 and reach it through an SSH tunnel or an authenticating proxy.",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delays (40 ms an answer) off only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from None
    return listener


def web_server(
    app: ASGIApp,
    tls: ssl.SSLContext | None = None,
    bounds: Bounds | None = None,
    dismiss: Callable[[], None] = lambda: None,
    proxies: Sequence[object] = (),
) -> WebServer:
    """Return a server for the app: `await .serve(sockets=[listener])` runs it till `should_exit`.

    It is held to `bounds`, by default to those of `Bounds`. `dismiss` lets go of who waits when it
    is about to end; what is open after that is ended. What `proxies` (addresses, networks) say of
    whom they forward is believed.
    """
    bounds, front = bounds or Bounds(), Front(app)
    logging.getLogger("uvicorn.error").addFilter(_is_so)
    config = uvicorn.Config(
        front,
        http=HttpConnection,
        ws=WebSocketConnection,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=3,
        timeout_keep_alive=math.ceil(bounds.idle_seconds),
        ws_max_size=MAX_FRAME,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=[str(proxy) for proxy in proxies],
    )
    return WebServer(config, bounds, tls, (dismiss, front.end))


def _is_so(record: logging.LogRecord) -> bool:
    return record.msg != _NOT_SO


def tls_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return what HTTPS is served with, None without a certificate. Raises `BadSettings`."""
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise BadSettings(
            "tls_cert and tls_key go together, and only one of them is set.",
            "Give both: --tls-cert cert.pem --tls-key key.pem",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key, password="")  # without, it would ask for one
    except (OSError, ssl.SSLError) as error:
        why = (error.strerror or str(error)).rstrip(".")
        raise BadSettings(
            f"HTTPS cannot be served with {cert} and {key}: {why}.",
            "Give a certificate and its own key, both in PEM, the key without a password.",
        ) from None
    return context


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _cannot_listen(host: str, port: int, error: OSError) -> PortTaken | BadSettings:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"Port {port} on {host} is taken by another process.",
            f"Stop it, or choose another port: media-mcp serve --http {host}:{port + 1}.",
        )
    return BadSettings(
        f"Cannot listen on {host}:{port}: {error.strerror}.", "Choose another address with --http."
    )
