"""A connection's transport, as the HTTP and WebSocket protocols see it."""

from __future__ import annotations

import asyncio
from typing import Any


class Outlet:
    """A transport that takes no notice of what is asked of it once it is closing.

    So does asyncio's own; uvloop's raises, and an app that answers in the moment in which its
    client leaves cannot know.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def pause_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()
