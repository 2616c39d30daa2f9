"""Answers lines that are no messages: the SDK passes over them, and whoever asked would wait.

It takes a request whose id is null, a fraction or no plain value for a notification; those of the
protocol all begin alike.
"""

from __future__ import annotations

import re
from types import TracebackType
from typing import Self, TypeAlias

import mcp_types as t
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

Heard: TypeAlias = SessionMessage | Exception
PARSE_ERROR, INVALID_REQUEST = -32700, -32600
MOST_LINE = 32 * 2**20  # bytes, as many as an HTTP body has
CUT = "\0"  # stands at the end of a line that was longer
NOTIFYING = "notifications/"
HINT = "Send one JSON-RPC message a line, in UTF-8."
_ID = r'"id"\s*:\s*(?:"(?P<text>[^"\\]{1,100})"|(?P<number>-?\d{1,15}))\s*'
_TEXT = r'"(?:jsonrpc|method)"\s*:\s*"[^"\\]{1,100}"\s*,\s*'
_FIRST = re.compile(rf"\s*\{{\s*(?:{_TEXT})*{_ID}[,}}]")  # as Python's clients write it
_LAST = re.compile(rf"{_TEXT}{_ID}\}}\s*$")  # as JavaScript's do
_END = 300  # characters in which the last of them stands


class Answered:
    """What comes in of `inner`; what is no message is answered by `outer` with a protocol error."""

    def __init__(self, inner: ReadStream[Heard], outer: WriteStream[SessionMessage]) -> None:
        self._inner = inner
        self._outer = outer

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)  # `last_context`, which some streams have

    async def receive(self) -> Heard:
        while (refusal := _refusal(heard := await self._inner.receive())) is not None:
            await self._outer.send(refusal)
        return heard

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Heard:
        while (refusal := _refusal(heard := await anext(self._inner))) is not None:
            await self._outer.send(refusal)
        return heard

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, trace)


def _refusal(heard: Heard) -> SessionMessage | None:
    """Return the answer to what is no message; None for one that is."""
    if isinstance(heard, SessionMessage):
        return _nameless(heard)
    line, why, code = "", type(heard).__name__, INVALID_REQUEST
    if isinstance(heard, ValidationError):
        first = heard.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            line, why, code = str(first["input"]), first["msg"], PARSE_ERROR
        else:
            why = "not a request, a notification or a response of JSON-RPC 2.0"
    if line.rstrip("\n").endswith(CUT) and len(line) > MOST_LINE // 4:  # characters, not bytes
        why = f"longer than {MOST_LINE:,} bytes. Pass a path or a URL of what is large"
    return _told(code, f"This line is no message: {why}. {HINT}", _id_in(line))


def _nameless(heard: SessionMessage) -> SessionMessage | None:
    """Return the answer to a request without an id that it could be answered by."""
    message = heard.message
    if not isinstance(message, t.JSONRPCNotification) or message.method.startswith(NOTIFYING):
        return None
    words = "A request has an id, which is a text or a whole number. Send it with one."
    return _told(INVALID_REQUEST, words, None)


def _told(code: int, words: str, number: str | int | None) -> SessionMessage:
    told = t.ErrorData(code=code, message=words)
    return SessionMessage(t.JSONRPCError(jsonrpc="2.0", id=number, error=told))


def _id_in(line: str) -> str | int | None:
    """Return the id that a request had which cannot be read as JSON, if it can be found."""
    found = _FIRST.match(line) or _LAST.search(line[-_END:])
    if found is None:
        return None
    return found["text"] or int(found["number"])
