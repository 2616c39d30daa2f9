"""Tells clients of the handshake era what changed; the newer era hears it on its listen streams.

Both hear of the same events from one bus.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from weakref import WeakSet

import anyio
import mcp_types as t
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.connection import Connection
from mcp.server.context import CallNext, HandlerResult
from mcp.server.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    SubscriptionBus,
    ToolsListChanged,
)

from media_mcp.server.ask import modern
from media_mcp.server.toolset import Context

MAX_SUBSCRIPTIONS = 1024
_BACKLOG = 1024


class Subscriptions:
    """Remembers which older connection wants to hear of what."""

    def __init__(self, bus: SubscriptionBus) -> None:
        self._bus = bus
        self._connections: WeakSet[Connection] = WeakSet()
        self._by_uri: defaultdict[str, WeakSet[Connection]] = defaultdict(WeakSet)
        self._send: MemoryObjectSendStream[ServerEvent] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._send, receive = anyio.create_memory_object_stream[ServerEvent](_BACKLOG)
        stop = self._bus.subscribe(self._heard)
        async with anyio.create_task_group() as group, self._send, receive:
            group.start_soon(self._deliver, receive)
            yield
            stop()
            group.cancel_scope.cancel()

    async def remember(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Middleware: keep the connection of every request of the handshake era."""
        if not modern(ctx):
            self._connections.add(_connection(ctx))
        return await call_next(ctx)

    async def subscribe(self, ctx: Context, params: t.SubscribeRequestParams) -> t.EmptyResult:
        if len(self._by_uri) < MAX_SUBSCRIPTIONS or str(params.uri) in self._by_uri:
            self._by_uri[str(params.uri)].add(_connection(ctx))
        return t.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: t.UnsubscribeRequestParams) -> t.EmptyResult:
        connections = self._by_uri.get(str(params.uri))
        if connections is not None:
            connections.discard(_connection(ctx))
            if not connections:
                del self._by_uri[str(params.uri)]
        return t.EmptyResult()

    def _heard(self, event: ServerEvent) -> None:
        if self._send is None or not self._listeners(event):
            return
        with suppress(anyio.WouldBlock):  # a client that missed a change finds it when it reads
            self._send.send_nowait(event)

    async def _deliver(self, events: MemoryObjectReceiveStream[ServerEvent]) -> None:
        async for event in events:
            for connection in self._listeners(event):
                await _tell(connection, event)

    def _listeners(self, event: ServerEvent) -> list[Connection]:
        if isinstance(event, ResourceUpdated):
            return list(self._by_uri.get(event.uri, ()))
        return list(self._connections)


async def _tell(connection: Connection, event: ServerEvent) -> None:
    match event:
        case ResourceUpdated(uri=uri):
            await connection.send_resource_updated(uri)
        case ResourcesListChanged():
            await connection.send_resource_list_changed()
        case ToolsListChanged():
            await connection.send_tool_list_changed()
        case PromptsListChanged():
            await connection.send_prompt_list_changed()


def _connection(ctx: Context) -> Connection:
    # The session lives for one request; only its connection can be kept to send on later.
    return ctx.session._connection
