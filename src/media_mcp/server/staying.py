"""Ends answers that last, once whoever reads them would not be let in any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic

from starlette.types import Message, Send

from media_mcp.errors import MediaError

SECONDS = 1.0  # between two looks


class Staying:
    """Sends an answer piece by piece for as long as `stays` says so.

    It is asked before a piece that is sent a while after the answer began or it was asked last. A
    web server tells the app of an answer that has ended as of a client that left.
    """

    def __init__(
        self,
        send: Send,
        stays: Callable[[], Awaitable[bool]],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._send = send
        self._stays = stays
        self._clock = clock
        self._asked = clock()
        self._ended = False

    async def __call__(self, message: Message) -> None:
        if not self._ended and message["type"] == "http.response.body" and await self._is_over():
            self._ended = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        if not self._ended:
            await self._send(message)

    async def _is_over(self) -> bool:
        now = self._clock()
        if now - self._asked < SECONDS:
            return False
        self._asked = now
        try:
            return not await self._stays()
        except MediaError:  # nobody can tell any more
            return True
