"""Realtime: inputs and results as msgpack over one WebSocket, one job for each input."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import Any, TypeAlias

import anyio
import msgpack
from starlette.types import Message, Send

from media_mcp.catalog.model import Model
from media_mcp.errors import MediaError
from media_mcp.job import JSON, Caller
from media_mcp.queue import Queue
from media_mcp.server.queue_api import wire
from media_mcp.server.queue_api.calls import BadRequest, Call, Reply, Unauthorized, parsed
from media_mcp.server.queue_api.options import Options
from media_mcp.server.queue_api.requests import Requests, going_down
from media_mcp.server.queue_api.results import Results
from media_mcp.server.queue_api.submitter import Submitter

MAX_FRAME = 4 * 2**20  # bytes
BUFFERED = 8  # inputs that wait where the client sets no bound; then it is not read from
MOST_BUFFERED = 60
NOT_ALLOWED = 1008
MOST_LISTS = 100_000  # of one frame
TOO_BIG = 1009

log = logging.getLogger(__name__)
LetIn: TypeAlias = Callable[[], Awaitable[Caller]]  # raises `Unauthorized` and `TooMany`


class Realtime:
    """Answers each input in its turn, over a connection that stays open."""

    def __init__(
        self, submitter: Submitter, queue: Queue, requests: Requests, results: Results
    ) -> None:
        self._submitter = submitter
        self._queue = queue
        self._requests = requests
        self._results = results

    async def handle(self, call: Call, endpoint: str, let_in: LetIn) -> None:
        """Serve one connection until the client leaves; `let_in` is asked before each input."""
        model = await self._submitter.model(endpoint)
        inbox = Inbox(_buffering(call.query()))
        await call.receive()  # websocket.connect
        await call.send({"type": "websocket.accept"})
        async with anyio.create_task_group() as group:
            group.start_soon(self._answer_all, call, model, inbox, let_in)
            await _read_all(call, inbox)
            group.cancel_scope.cancel()

    async def _answer_all(self, call: Call, model: Model, inbox: Inbox, let_in: LetIn) -> None:
        while True:
            frame = await inbox.take()
            try:
                body = await self._run(call, model, _unpacked(frame), await let_in())
                await call.send({"type": "websocket.send", "bytes": body})
            except Unauthorized as error:
                close = {"code": NOT_ALLOWED, "reason": "the key is gone"}
                await _complain(call, wire.fault_of_error(error))
                return await call.send({"type": "websocket.close", **close})
            except OSError:  # the client is gone, which the reader will see, too
                return
            except MediaError as error:
                await _complain(call, wire.fault_of_error(error))
            except wire.Failed as failed:
                await _complain(call, failed.fault)
            except Exception:
                log.exception("a realtime input failed")
                await _complain(call, wire.bug())

    async def _run(self, call: Call, model: Model, given: JSON, caller: Caller) -> bytes:
        """Return the packed result. Raises `Failed` for a job that made none."""
        submitted = await self._submitter.submit(model, given, Options(), caller, call.target)
        try:
            job = await self._queue.wait(submitted.job.id, caller, inf)
        except anyio.get_cancelled_exc_class():
            await self._requests.stop(submitted)
            raise
        if not job.state.terminal:
            raise going_down(job)
        if fault := wire.fault_of_job(job):
            raise wire.Failed(fault)
        packed: bytes = msgpack.packb(await self._results.body(job, call.target.origin))
        return packed


class Inbox:
    """Frames that wait for their turn: at most `most`, of which a newer one replaces the oldest.

    Without a bound of the client's, `put` waits for room instead, and nothing is dropped.
    """

    def __init__(self, most: int | None) -> None:
        self._frames: deque[bytes | str] = deque(maxlen=most)
        self._drops = most is not None
        self._came = anyio.Event()
        self._went = anyio.Event()

    async def put(self, frame: bytes | str) -> None:
        while not self._drops and len(self._frames) >= BUFFERED:
            self._went = anyio.Event()
            await self._went.wait()
        self._frames.append(frame)
        self._came.set()

    async def take(self) -> bytes | str:
        while not self._frames:
            self._came = anyio.Event()
            await self._came.wait()
        self._went.set()
        return self._frames.popleft()


async def deny(send: Send, reply: Reply) -> None:
    """Refuse a connection with an HTTP answer, before it is one."""
    headers = [(b"content-type", reply.content_type), *reply.headers]
    start = {"type": "websocket.http.response.start", "status": reply.status, "headers": headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": reply.body})


async def _read_all(call: Call, inbox: Inbox) -> None:
    while (message := await call.receive())["type"] == "websocket.receive":
        frame = _frame(message)
        if len(frame) > MAX_FRAME:
            await call.send({"type": "websocket.close", "code": TOO_BIG, "reason": "too big"})
            return
        await inbox.put(frame)


def _frame(message: Message) -> bytes | str:
    data: bytes | str | None = message.get("bytes")
    return message.get("text", "") if data is None else data


async def _complain(call: Call, fault: wire.Fault) -> None:
    told = {
        "type": "x-fal-error",
        "error": fault.rule.type.upper(),
        "reason": fault.message,
        "detail": fault.detail,
    }
    await call.send({"type": "websocket.send", "text": json.dumps(told)})


def _unpacked(frame: bytes | str) -> JSON:
    """Return the input that a frame holds; text is JSON. Raises `BadRequest`."""
    if isinstance(frame, str):
        return parsed(frame.encode("utf-8", "surrogatepass"))
    try:
        given: Any = msgpack.unpackb(frame, strict_map_key=True, list_hook=_Few())
        json.dumps(given, allow_nan=False)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise BadRequest(
            f"The frame is not a msgpack map of plain values: {str(error)[:200]}.",
            "Pack an object with strings, numbers, lists and objects only.",
        ) from None
    return given


class _Few:
    """Counts the lists of a frame: an empty one takes sixty times what it took in the frame."""

    def __init__(self) -> None:
        self._left = MOST_LISTS

    def __call__(self, found: JSON) -> JSON:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"it holds more than {MOST_LISTS:,} lists")
        return found


def _buffering(query: Mapping[str, str]) -> int | None:
    text = query.get("max_buffering", "")
    if not text:
        return None
    plain = text.isascii() and text.isdecimal() and len(text) < 9
    if not plain or not 1 <= int(text) <= MOST_BUFFERED:
        raise BadRequest(
            f"max_buffering is {text[:20]!r}.", f"Write a whole number from 1 to {MOST_BUFFERED}."
        )
    return int(text)
