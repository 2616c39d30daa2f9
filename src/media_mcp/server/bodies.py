"""Counts what a JSON body holds before it is read."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from media_mcp.media.jsontext import MOST_VALUES, values_in

TOO_MANY = f"The body holds more than {MOST_VALUES:,} values."
INVALID_REQUEST = -32600


class Counted:
    """Refuses a JSON body of too many values as soon as they have come in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += values_in(message.get("body", b""))
            return message if count <= MOST_VALUES else {"type": "http.disconnect"}

        async def unless_refused(message: Message) -> None:
            if count <= MOST_VALUES:
                await send(message)

        try:
            await self._app(scope, counted, unless_refused)
        except Exception:
            if count <= MOST_VALUES:
                raise
        if count > MOST_VALUES:
            await _refusal(scope, receive, send)


_refusal = JSONResponse(
    {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": INVALID_REQUEST, "message": f"{TOO_MANY} Pass media as files or URLs."},
    },
    status_code=413,
)
