"""Answers lines that are no messages: the SDK passes over them, and whoever asked would wait."""

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
        while isinstance(heard := await self._inner.receive(), Exception):
            await self._outer.send(_refusal(heard))
        return heard

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Heard:
        while isinstance(heard := await anext(self._inner), Exception):
            await self._outer.send(_refusal(heard))
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


def _refusal(error: Exception) -> SessionMessage:
    line, why, code = "", type(error).__name__, INVALID_REQUEST
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            line, why, code = str(first["input"]), first["msg"], PARSE_ERROR
        else:
            why = "not a request, a notification or a response of JSON-RPC 2.0"
    words = f"This line is no message: {why}. {HINT}"
    told = t.ErrorData(code=code, message=words)
    return SessionMessage(t.JSONRPCError(jsonrpc="2.0", id=_id_in(line), error=told))


def _id_in(line: str) -> str | int | None:
    """Return the id that a request had which cannot be read as JSON, if it can be found."""
    found = _FIRST.match(line) or _LAST.search(line[-_END:])
    if found is None:
        return None
    return found["text"] or int(found["number"])
