"""`media-mcp serve`: opens the app and one door, and closes both in order on a signal."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol

import anyio

from media_mcp import __version__
from media_mcp.cli.outcome import ExitCode, note, serving
from media_mcp.cli.rooms import run_async
from media_mcp.cli.stdin import endable_stdin
from media_mcp.running import SERVER, Board
from media_mcp.server.app import App, open_app, working_root
from media_mcp.server.mcp import McpServer, surface_of
from media_mcp.server.toolset import Surface
from media_mcp.server.warming import warm_all
from media_mcp.server.watching.transitions import follow, set_up
from media_mcp.settings import Settings

if TYPE_CHECKING:
    from ssl import SSLContext

    from media_mcp.queue import Queue
    from media_mcp.server.auth import Gate
    from media_mcp.server.connections.server import WebServer


END_SECONDS = 9.0  # of the ten that an operator waits before killing
ANSWER_SECONDS = 0.5


class Door(Protocol):
    """A way in, at `url` if it has one. `serve` returns once the client has left, or soon after
    `stop`."""

    @property
    def url(self) -> str: ...

    async def serve(self, server: McpServer, app: App) -> None: ...

    def stop(self) -> None: ...


def serve(settings: Settings, http: str | None, *, conformance: bool = False) -> int:
    """Serve until the client leaves or a signal comes. Raises `PortTaken`, `BadSettings`, …"""
    set_up(settings.log_level, settings.log_format)
    if http is None:
        with endable_stdin() as end:
            return run_async(partial(_serve, settings, Stdio(end), conformance))
    from media_mcp.server.auth import Gate
    from media_mcp.server.http import is_loopback, listen, parse_address, tls_context

    host, port = parse_address(http)
    gate = Gate.of(settings, always=not is_loopback(host))
    tls = tls_context(settings.tls_cert, settings.tls_key)
    with listen(host, port, locked=gate.has_keys) as listener:
        if tls is None and not is_loopback(host):
            note(f"Without --tls-cert, keys and all media go to {host} in the clear.")
        door = Http(host, listener, gate, tls)
        return run_async(partial(_serve, settings, door, conformance), many=True)


async def _serve(settings: Settings, door: Door, conformance: bool) -> int:
    code = ExitCode.OK
    end = End()

    async def watch() -> None:
        nonlocal code
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                if end.begun:
                    end.now(128 + number)
                end.begin()
                code = ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.OK
                door.stop()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await _open(settings, door, end, conformance)
        group.cancel_scope.cancel()
    return code


class End:
    """The end of a server: it takes `END_SECONDS` at most, or none if it is asked for again.

    Ending at once loses nothing: what runs is run again, or attached to again, at the next start.
    """

    def __init__(self) -> None:
        self.begun = False

    def begin(self) -> None:
        """From now on there is a deadline, which holds though the event loop be stuck."""
        if not self.begun:
            self.begun = True
            timer = threading.Timer(END_SECONDS, self.now, (ExitCode.FAILED, True))
            timer.daemon = True
            timer.start()

    def now(self, code: int, late: bool = False) -> None:
        """End the process; its workers follow, for nobody reads what they say."""
        why = f"It did not end within {END_SECONDS:g} s" if late else "Asked again to end"
        note(f"{why}: unfinished jobs go on at the next start.")
        os._exit(code)


async def _open(settings: Settings, door: Door, end: End, conformance: bool) -> None:
    roots = [] if settings.roots else working_root()
    async with open_app(settings, roots) as app:
        surface = _extended(surface_of(app)) if conformance else surface_of(app)
        server = McpServer(surface)
        stop = follow(app.queue)
        async with server.running(app), anyio.create_task_group() as group:
            group.start_soon(warm_all, app)
            serving()
            with noticed(settings, door.url):
                await door.serve(server, app)
            end.begin()
            group.cancel_scope.cancel()
        stop()


def _extended(surface: Surface) -> Surface:
    from media_mcp.server.conformance import extend

    return extend(surface)


@contextmanager
def noticed(settings: Settings, url: str) -> Iterator[None]:
    """Let commands find this server as long as it serves."""
    board = Board(settings.data_dir)
    board.put(SERVER, os.getpid(), {"url": url, "started": time.time()})
    try:
        yield
    finally:
        board.drop(SERVER, os.getpid())


class Stdio:
    """One client over standard input and output; `end` ends the input."""

    url = ""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end
        self._queue: Queue | None = None

    def stop(self) -> None:
        """End the input, once who waits for a job was told that it goes on."""
        waits = self._queue is not None and self._queue.news.awaited
        if self._queue is not None:
            self._queue.news.dismiss()
        asyncio.get_running_loop().call_later(ANSWER_SECONDS if waits else 0, self._end)

    async def serve(self, server: McpServer, app: App) -> None:
        self._queue = app.queue
        if sys.stdout.isatty():
            note("media-mcp speaks MCP on standard input and output: an MCP client starts it.")
            note("By hand: media-mcp run --help. Over HTTP: media-mcp serve --http 8787.")
        await server.serve_stdio()


class Http:
    """Any number of clients, on a socket that listens already."""

    def __init__(
        self, host: str, listener: socket.socket, gate: Gate, tls: SSLContext | None = None
    ) -> None:
        self._host = host
        self._listener = listener
        self._gate = gate
        self._tls = tls
        self._stopped = False
        self._web: WebServer | None = None

    def stop(self) -> None:
        """Have the web server end, or never start."""
        self._stopped = True
        if self._web is not None:
            self._web.should_exit = True

    async def serve(self, server: McpServer, app: App) -> None:
        from media_mcp.server.connections.bounds import Bounds
        from media_mcp.server.http import http_app, is_loopback, web_server

        if self._stopped:
            return
        note(f"media-mcp {__version__} listens on {self.url}")
        if self._gate.guessable and not is_loopback(self._host):
            note("api_key is short enough to be guessed: media-mcp keys create makes better ones.")
        bounds = Bounds.of(app.settings)
        asgi = http_app(server, app, self._gate)
        proxies, dismiss = app.settings.proxies, app.queue.news.dismiss
        self._web = web_server(asgi, self._tls, bounds, dismiss, proxies)
        await self._web.serve(sockets=[self._listener])

    @property
    def url(self) -> str:
        scheme = "http" if self._tls is None else "https"
        shown = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{shown}:{self._listener.getsockname()[1]}/mcp"
