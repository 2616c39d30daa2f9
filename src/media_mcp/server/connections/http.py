"""One HTTP connection that may not dawdle: uvicorn's, with limits of time and size."""

from __future__ import annotations

import asyncio
import json
import logging
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from media_mcp import trail
from media_mcp.server.connections.bounds import Bounds, Progress, Seat
from media_mcp.server.connections.outlet import Outlet

if TYPE_CHECKING:
    from media_mcp.server.connections.server import State

log = logging.getLogger(__name__)

_LATE = "The request did not arrive in time: {what}."


def said(status: int, message: str) -> bytes:
    """Return an answer that ends its connection, as it goes over the wire.

    It names a request id of its own, under which the log has it.
    """
    request = trail.new_id()
    with trail.on(trail.Trail(request)):
        log.info("A connection was answered with %d: %s", status, message)
    body = json.dumps({"detail": message, "message": message}).encode()
    head = (
        b"content-type: application/json\r\ncontent-length: %d\r\n"
        b"connection: close\r\nretry-after: 1\r\nx-request-id: %s\r\n\r\n"
    )
    return STATUS_LINE[status] + head % (len(body), request.encode()) + body


class Phase(Enum):
    """What a connection is at."""

    IDLE = auto()  # no request has begun since the last, or at all
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()  # the request is here, and not all of the answer has been made
    OVER = auto()  # it is answered and about to close; what still comes is thrown away


class HttpConnection(HttpToolsProtocol):
    """A connection that is held to the server's bounds. `check` is to be called now and then."""

    server_state: State

    def __init__(self, seat: Seat, **named: Any) -> None:
        super().__init__(**named)
        self.seat: Seat | None = seat
        self._bounds: Bounds = self.server_state.bounds
        self._phase = Phase.IDLE
        self._since = 0.0  # when the phase began
        self._fresh = True  # there has been no request yet
        self._came = 0  # bytes: of the head, then of the body
        self._body = Progress(self._bounds)
        self._writing = Progress(self._bounds)
        self._running: RequestResponseCycle | None = None

    @property
    def idle_since(self) -> float | None:
        """When it began to wait for a request; None if there is one, or an answer to be read."""
        idle = self._phase is Phase.IDLE and not self.transport.get_write_buffer_size()
        return self._since if idle else None

    def make_room(self) -> None:
        """Close at once, and give the seat to another."""
        self._give_up_seat()
        self.transport.abort()

    def check(self, now: float) -> None:
        """Look whether the client keeps to the bounds; one that does not is cut off."""
        left = self.transport.get_write_buffer_size()
        if self._writing.stuck(now, left):
            self.transport.abort()
        elif self.transport.is_closing():
            return
        elif self._phase is Phase.HEAD:
            self._check_head(now)
        elif self._phase is Phase.BODY:
            self._check_body(now)
        elif self._phase is Phase.IDLE and left:
            self._since = now
        elif self._phase is Phase.IDLE:
            patience = self._bounds.head_seconds if self._fresh else self._bounds.idle_seconds
            self._close_after(now, patience)
        elif self._phase is Phase.OVER:
            self._close_after(now, self._bounds.linger_seconds)

    def _check_head(self, now: float) -> None:
        if self.flow.read_paused:  # it waits for an earlier request of the same client
            self._since = now
        elif now - self._since >= self._bounds.head_seconds:
            self._refuse(
                408, _LATE.format(what=f"no whole head in {self._bounds.head_seconds:g} s")
            )

    def _check_body(self, now: float) -> None:
        if self.cycle.response_complete:
            return self._close_after(now, self._bounds.linger_seconds)
        if self.flow.read_paused:  # the app reads slowly, which is not the client's fault
            return self._body.begin(now, self._came)
        if self._body.stalled(now, self._came):
            seconds, rate = self._bounds.stall_seconds, self._bounds.rate
            what = f"less than {rate} bytes a second of the body in {seconds:g} s"
            self._refuse(408, _LATE.format(what=what))

    def _close_after(self, now: float, seconds: float) -> None:
        if now - self._since >= seconds:
            self.transport.abort() if self._phase is Phase.BODY else self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Say why, if an answer can be told from what was sent before, and let go."""
        begun = self._running is not None and self._running.response_started
        self._hang_up()
        if begun and not (self._running and self._running.response_complete):
            return self.transport.abort()
        self._say(status, message)

    def _say(self, status: int, message: str) -> None:
        """Answer by hand; what the client still sends is read, or it would not see the answer."""
        self._to(Phase.OVER)
        self.transport.write(said(status, message))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or breaks off being any; uvicorn's own would name no request."""
        self._refuse(400, msg)

    def _to(self, phase: Phase) -> None:
        self._phase, self._since = phase, self.loop.time()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, Outlet(transport)))
        self._since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        if self._phase is not Phase.OVER:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        within = self._phase is Phase.HEAD
        super().data_received(data)
        if not within or self._phase is not Phase.HEAD:
            return
        self._came += len(data)
        if self._came > self._bounds.head_bytes:
            self._refuse(431, f"The head has more than {self._bounds.head_bytes} bytes.")

    def connection_lost(self, exc: Exception | None) -> None:
        self._give_up_seat()
        super().connection_lost(exc)
        self._hang_up()

    def _hang_up(self) -> None:
        """Tell the app that its client is gone, also where that has asked for more already."""
        for cycle in (self._running, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.flow.resume_writing()

    def _give_up_seat(self) -> None:
        if self.seat is not None:
            self.seat.leave()
            self.seat = None

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        heir = cast(Any, self.transport.get_protocol())
        heir.seat, self.seat = self.seat, None

    # What the parser calls.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._fresh = False
        self._came = 0
        self._to(Phase.HEAD)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase is Phase.HEAD:  # and not a trailer: that is no part of the request's head
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._came = 0
        self._to(Phase.BODY)
        self._body.begin(self._since, 0)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._came += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        over = self.cycle is None or self.cycle.response_complete
        self._to(Phase.IDLE if over else Phase.ANSWER)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._phase is Phase.BODY:
            self._since = self.loop.time()
        elif self._phase is Phase.ANSWER and self.cycle.response_complete:
            self._to(Phase.IDLE)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)
