"""A request under way and what is answered, as bare ASGI: these calls must be cheap."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import anyio
from pydantic_core import PydanticSerializationError, to_json
from starlette.types import Receive, Scope, Send

from media_mcp.errors import BadInput
from media_mcp.job import JSON, Caller
from media_mcp.media.jsontext import MOST_VALUES, values_in
from media_mcp.server.bodies import TOO_MANY
from media_mcp.server.queue_api.target import Headers, Target

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]
MAX_BODY = 32 * 2**20  # a data URI of a picture fits; more belongs in an upload or a URL
MOST_PARAMETERS = 100
LONG_BODY = 2**20  # bytes of JSON that are worth a thread


class BadRequest(BadInput):
    """A request that cannot be read: its body, a header or a parameter."""

    code = "bad_request"


class Unauthorized(BadInput):
    """No key, or a wrong one; or one that is gone by now."""

    code = "unauthorized"


class TooLarge(BadInput):
    """A body of more bytes than are taken."""

    code = "too_large"


class Gone(Exception):
    """The client hung up: nobody is left to answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered: a status, the body's bytes and headers besides type and length."""

    status: int
    body: bytes = b""
    headers: RawHeaders = field(default_factory=list)
    content_type: bytes = b"application/json"

    async def send(self, send: Send) -> None:
        headers = [
            (b"content-type", self.content_type),
            (b"content-length", b"%d" % len(self.body)),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


Handler: TypeAlias = "Callable[[Call], Awaitable[Reply | None]]"


class Call:
    """One request: where it goes, what it brings and who sends it.

    A handler returns its reply, or sends it by itself and returns None. `caller` is None where the
    request shows no key: only what the door lets through so meets that.
    """

    __slots__ = ("caller", "headers", "method", "receive", "scope", "send", "target")

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: Headers,
        target: Target,
        caller: Caller | None,
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.headers = headers
        self.target = target
        self.caller = caller
        self.method: str = scope.get("method", "")

    def header(self, name: str) -> str:
        """Return a header by its lower-case name, empty if it is not there."""
        return self.headers.get(name.encode(), b"").decode("latin-1").strip()

    def query(self) -> dict[str, str]:
        """Return the parameters behind the question mark, the last of each name.

        Raises `BadRequest` past `MOST_PARAMETERS`.
        """
        query = self.target.query
        try:
            return dict(parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS))
        except ValueError:
            raise BadRequest(
                f"The address has more than {MOST_PARAMETERS} parameters.", "Leave some out."
            ) from None

    async def body(self, limit: int = MAX_BODY) -> bytes:
        """Read the body. Raises `TooLarge` past `limit` bytes, and `Gone`."""
        declared = self.headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            raise _too_large(limit)
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Gone
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > limit:
                raise _too_large(limit)
            if not message.get("more_body", False):
                return b"".join(chunks)

    async def json(self, limit: int = MAX_BODY) -> JSON:
        """Read a JSON body; an empty one is an empty object. Raises `BadRequest`, `TooLarge`."""
        content = await self.body(limit)
        if len(content) > LONG_BODY:
            return await anyio.to_thread.run_sync(parsed, content)
        return parsed(content)

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Give up what is done within once the client hangs up; the body must have been read."""
        with anyio.CancelScope() as scope:
            watch = asyncio.ensure_future(self._hung_up())
            give_up = partial(_cancel, scope)
            watch.add_done_callback(give_up)  # a task group of its own would cost twice as much
            try:
                yield
            finally:
                watch.remove_done_callback(give_up)
                watch.cancel()

    async def _hung_up(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass


def _cancel(scope: anyio.CancelScope, _: object) -> None:
    scope.cancel()


def parsed(content: bytes) -> JSON:
    """Read JSON; nothing at all is an empty object. Raises `BadRequest`."""
    if not content.strip():
        return {}
    if values_in(content) > MOST_VALUES:
        raise BadRequest(TOO_MANY, "Upload the media and send their URLs.")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.", "Send a JSON object.") from None


def _plain(value: Any) -> JSON:
    return dict(value)


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_plain)


def dump(value: JSON) -> bytes:
    """Return JSON as it goes over the wire: no spaces, ASCII only."""
    try:
        return to_json(value, ensure_ascii=True)
    except (PydanticSerializationError, UnicodeEncodeError):  # half a surrogate pair, say
        return _ENCODER.encode(value).encode()


def replied(status: int, value: JSON, headers: Iterable[tuple[bytes, bytes]] = ()) -> Reply:
    """Return a reply that holds JSON."""
    return Reply(status, dump(value), list(headers))


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than {limit} bytes.", "Upload the media and send their URLs."
    )
