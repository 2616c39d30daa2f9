"""One WebSocket that may not dawdle: uvicorn's, with limits of time and size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Response
from websockets.protocol import State as Stage
from websockets.server import ServerProtocol

from media_mcp import trail
from media_mcp.server.connections.bounds import Bounds, Progress, Seat

if TYPE_CHECKING:
    from media_mcp.server.connections.server import State

MOST_PIECES = 1024  # frames of one message
TOO_BIG, AWAY = 1009, 1001


class _Named(ServerProtocol):
    """Names the request in answers that the app never sees, of handshakes that are none."""

    def send_response(self, response: Response) -> None:
        response.headers.setdefault("X-Request-Id", trail.new_id())
        super().send_response(response)


class WebSocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket that is held to the server's bounds. `check` is to be called now and then."""

    idle_since: float | None = None  # it is never closed to make room

    def __init__(self, config: Config, server_state: State, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self.conn = _Named(
            extensions=self.conn.available_extensions,
            max_size=config.ws_max_size,
            logger=self.conn.logger,
        )
        self.seat: Seat | None = None
        self._bounds: Bounds = server_state.bounds
        self._writing = Progress(self._bounds)
        self._heard_at = self.loop.time()  # the last message either way

    def make_room(self) -> None:
        """Nothing: it is in use."""

    def check(self, now: float) -> None:
        """Look whether the client keeps to the bounds; one that does not is cut off."""
        if self._writing.stuck(now, self.transport.get_write_buffer_size()):
            self.transport.abort()
        elif self.close_sent or self.transport.is_closing():
            return
        elif self.handshake_complete and now - self._heard_at >= self._bounds.silent_seconds:
            self._leave(AWAY, f"silent for {self._bounds.silent_seconds:g} s")

    def _leave(self, code: int, reason: str) -> None:
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()

    async def send(self, message: Any) -> None:
        self._heard_at = self.loop.time()
        await super().send(message)

    def send_receive_event_to_app(self) -> None:
        self._heard_at = self.loop.time()
        super().send_receive_event_to_app()

    def handle_cont(self, event: Frame) -> None:
        if self.close_sent:
            return
        if len(self.frames) >= MOST_PIECES:  # empty ones count for no bytes
            return self._leave(TOO_BIG, "too many pieces")
        super().handle_cont(event)

    def shutdown(self) -> None:
        """Say goodbye, unless the client is saying it."""
        if self.handshake_complete and self.conn.state is not Stage.OPEN:
            self.stop_keepalive()
            return self.transport.close()
        super().shutdown()

    def pause_writing(self) -> None:
        """Read no more, either: each ping would be answered, and the answers pile up."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.seat is not None:
            self.seat.leave()
        super().connection_lost(exc)
