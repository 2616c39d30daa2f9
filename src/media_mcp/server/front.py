"""The outermost of all doors: names each request, and ends what is open when the server leaves."""

from __future__ import annotations

import json
import logging
from contextlib import suppress

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from media_mcp import trail

RESTART = 1012  # the WebSocket code of a server that will be back
_STARTS = ("http.response.start", "websocket.http.response.start", "websocket.accept")
_LEAVING = "The server is going down. Nothing is lost: ask again once it is back."
_BUG = "The server failed on this request; its log (stderr) holds the details."

log = logging.getLogger(__name__)


class Front:
    """Runs an app's requests, each on a trail of its own, which the answer names.

    `end` answers those that are still open, streams among them, in the protocol's own way.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: set[anyio.CancelScope] = set()

    def end(self) -> None:
        """End every request: a stream where it is, any other with 503."""
        for scope in self._open:
            scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        found = trail.of_headers(dict(scope["headers"]))
        answer = _Answer(send, found.request)
        with trail.on(found), anyio.CancelScope() as open_:
            self._open.add(open_)
            try:
                await self._app(scope, receive, answer.send)
            except Exception:
                if scope["type"] != "http":
                    raise
                log.exception("A request failed")
                await answer.fail(500, _BUG)
            finally:
                self._open.discard(open_)
        if open_.cancelled_caught:
            await answer.end(scope["type"])


class _Answer:
    """What is sent to one client."""

    def __init__(self, send: Send, request: str) -> None:
        self._send = send
        self._header = (b"x-request-id", request.encode())
        self._begun = False
        self._over = False

    async def send(self, message: Message) -> None:
        if message["type"] in _STARTS:
            self._begun = True
            message = {**message, "headers": [*message.get("headers", ()), self._header]}
        elif message["type"] == "websocket.close" or _is_last(message):
            self._over = True
        await self._send(message)

    async def end(self, kind: str) -> None:
        with suppress(OSError, RuntimeError):  # gone meanwhile, or promised more bytes
            if kind == "websocket":
                close = {"type": "websocket.close", "code": RESTART, "reason": _LEAVING}
                await (self._send(close) if not self._over else anyio.lowlevel.checkpoint())
            else:
                await self.fail(503, _LEAVING)

    async def fail(self, status: int, message: str) -> None:
        """Answer with an error, or end what has begun."""
        if self._over:
            return
        body = b""
        if not self._begun:
            body = json.dumps({"detail": message, "message": message}).encode()
            headers = [(b"content-type", b"application/json"), (b"retry-after", b"5")]
            headers.append((b"content-length", b"%d" % len(body)))
            await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _is_last(message: Message) -> bool:
    return message["type"] == "http.response.body" and not message.get("more_body")
