"""The HTTP server: MCP at /mcp, and /health. Loopback only."""

from __future__ import annotations

import errno
import ipaddress
import socket

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from media_mcp import __version__
from media_mcp.errors import BadSettings, PortTaken, Refused
from media_mcp.server.mcp import McpServer
from media_mcp.server.runs import GONE

MAX_BODY = 32 * 2**20  # a data URI of a picture fits; more belongs in a file or a URL


def http_app(server: McpServer, host: str) -> ASGIApp:
    """Return the ASGI app. Requests with a foreign Host or Origin are refused (DNS rebinding)."""
    starlette: Starlette = server.sdk.streamable_http_app(
        host=host,
        max_request_body_size=MAX_BODY,
        event_store=server.surface.event_store,
        retry_interval=server.surface.retry_ms,
        custom_starlette_routes=[Route("/health", _health)],
    )
    return HangUps(starlette)


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


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket on loopback; port 0 takes a free one.

    Raises `Refused` for any other address and `PortTaken` when somebody listens there.
    """
    if not _loopback(host):
        raise Refused(
            f"media-mcp does not listen on {host}: it would be open to everybody who reaches it.",
            "Listen on 127.0.0.1 and reach it through an SSH tunnel or an authenticating proxy.",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from None
    return listener


def web_server(app: ASGIApp) -> uvicorn.Server:
    """Return a server for the app; `await .serve(sockets=[listener])` runs it until a signal."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=3
    )
    return uvicorn.Server(config)


def _loopback(host: str) -> bool:
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
