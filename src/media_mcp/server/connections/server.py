"""The web server: uvicorn's, with our connections, counted before they may say anything."""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from socket import IPPROTO_TCP, SHUT_WR, TCP_NODELAY, socket
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.server import ServerState

from media_mcp.server.connections.bounds import Bounds, Guests, Idler, Seat
from media_mcp.server.connections.http import HttpConnection, said

CHECK_EVERY = 5  # ticks of uvicorn's, of a tenth of a second
REFUSALS = 64  # connections that are told no at one time; others are cut off without a word
REFUSAL_SECONDS = 2.0
LEAVE_SECONDS = 1.0
_FULL = "The server has as many connections as it takes. Try again in a moment."
_NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

log = logging.getLogger(__name__)
Make = Callable[..., HttpConnection]


class State(ServerState):
    """What the connections of a server share."""

    def __init__(self, bounds: Bounds, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.bounds = bounds
        self.guests = Guests(bounds, clock, self._idlers)

    def _idlers(self) -> Sequence[Idler]:
        return list(self.connections)  # type: ignore[arg-type]

    def check(self, now: float) -> None:
        """Have every connection look whether its client keeps to the bounds."""
        for one in list(self.connections):
            one.check(now)  # type: ignore[union-attr]


class Listener:
    """Accepts connections as long as there are seats, and tells others that there are none."""

    def __init__(self, sock: socket, state: State, make: Make, tls: ssl.SSLContext | None) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._state = state
        self._make = make
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusals = 0
        self._start(self._accept_all())

    def close(self) -> None:
        """Accept no more, and drop what has not come in yet."""
        for task in self._tasks:
            task.cancel()
        self._sock.close()

    async def wait_closed(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept_all(self) -> None:
        while True:
            try:
                guest, address = await self._loop.sock_accept(self._sock)
            except OSError as error:
                if error.errno in _NO_FILES:  # those that wait are accepted when others have left
                    log.warning("No connection can be accepted: %s", error.strerror)
                    await asyncio.sleep(0.5)
                continue
            seat = self._state.guests.admit(address[0])
            if seat is not None:
                self._start(self._welcome(guest, seat))
            elif self._tls is None and self._refusals < REFUSALS:
                self._start(self._refuse(guest))
            else:
                guest.close()

    async def _welcome(self, guest: socket, seat: Seat) -> None:
        patience = self._state.bounds.handshake_seconds if self._tls else None
        try:
            guest.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(
                partial(self._make, seat=seat), guest, ssl=self._tls, ssl_handshake_timeout=patience
            )
        except OSError:  # no TLS, an old version, gone, or too slow: nothing can be said
            self._drop(guest, seat)
        except BaseException:
            self._drop(guest, seat)
            raise

    def _drop(self, guest: socket, seat: Seat) -> None:
        seat.leave()
        guest.close()

    async def _refuse(self, guest: socket) -> None:
        """Say no, and read what the client sends meanwhile, or it would not see the answer."""
        self._refusals += 1
        try:
            with suppress(OSError, TimeoutError):
                guest.send(said(503, _FULL))
                guest.shutdown(SHUT_WR)
                async with asyncio.timeout(REFUSAL_SECONDS):
                    while await self._loop.sock_recv(guest, 2**16):
                        pass
        finally:
            self._refusals -= 1
            guest.close()


class WebServer(uvicorn.Server):
    """Serves until `should_exit`. Signals are the caller's to handle.

    Then it listens no more and takes the steps of `on_leave`, after each of which the requests that
    are under way have a moment to end.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        bounds: Bounds,
        tls: ssl.SSLContext | None = None,
        on_leave: Sequence[Callable[[], None]] = (),
    ) -> None:
        super().__init__(config)
        self.server_state: State = State(bounds)
        self._tls = tls
        self._on_leave = on_leave

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: Sequence[socket] | None = None) -> None:
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        make = partial(
            HttpConnection,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self.servers: Any = [
            Listener(one, self.server_state, make, self._tls) for one in sockets or ()
        ]
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        if counter % CHECK_EVERY == 0:
            self.server_state.check(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        for listener in self.servers:
            listener.close()
        for step in self._on_leave:
            step()
            await self._let_end(LEAVE_SECONDS)
        await super().shutdown(sockets)

    async def _let_end(self, seconds: float) -> None:
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=seconds)
