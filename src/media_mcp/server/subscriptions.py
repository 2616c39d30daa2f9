"""Tells clients what changed: those of the handshake era on their connection, newer ones on streams
that they ask for. Both hear of the same events from one bus, and of nothing that is another's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from weakref import WeakKeyDictionary, WeakValueDictionary

import anyio
import mcp_types as t
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.connection import Connection
from mcp.server.context import CallNext, HandlerResult
from mcp.server.subscriptions import (
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    SubscriptionBus,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError

from media_mcp.server.ask import modern
from media_mcp.server.auth import caller_of
from media_mcp.server.toolset import Context

MAX_SUBSCRIPTIONS = 1024  # of one connection
_BACKLOG = 1024


@dataclass(frozen=True)
class JobChanged(ResourceUpdated):
    """A job of the owner's changed. Whoever else asked for its URI hears nothing."""

    owner: str


@dataclass(frozen=True)
class AssetsAdded(ResourcesListChanged):
    """There are new assets of the owner's."""

    owner: str


def _concerns(event: ServerEvent, owner: str) -> bool:
    return not isinstance(event, JobChanged | AssetsAdded) or event.owner == owner


@dataclass(frozen=True, slots=True)
class _OwnBus:
    """What one caller hears of a bus."""

    bus: SubscriptionBus
    owner: str

    async def publish(self, event: ServerEvent) -> None:
        await self.bus.publish(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        def hear(event: ServerEvent) -> None:
            if _concerns(event, self.owner):
                listener(event)

        return self.bus.subscribe(hear)


class Listener:
    """Serves `subscriptions/listen`, by a handler of the SDK's for each caller who listens.

    A URI that is another's is acknowledged like one that nobody knows, and nothing comes of it.
    """

    def __init__(self, bus: SubscriptionBus) -> None:
        self._bus = bus
        self._handlers: WeakValueDictionary[str, ListenHandler] = WeakValueDictionary()

    async def __call__(
        self, ctx: Context, params: t.SubscriptionsListenRequestParams
    ) -> t.SubscriptionsListenResult:
        owner = caller_of(ctx).owner
        handler = self._handlers.get(owner) or ListenHandler(_OwnBus(self._bus, owner))
        self._handlers[owner] = handler
        return await handler(ctx, params)

    def close(self) -> None:
        """End all streams in the way of the protocol, each with its result."""
        for handler in list(self._handlers.values()):
            handler.close()


class Subscriptions:
    """Remembers which older connection of whom wants to hear of what."""

    def __init__(self, bus: SubscriptionBus) -> None:
        self._bus = bus
        self._of: defaultdict[str, WeakKeyDictionary[Connection, set[str]]]
        self._of = defaultdict(WeakKeyDictionary)
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
            self._watched(ctx)
        return await call_next(ctx)

    def _watched(self, ctx: Context) -> set[str]:
        """Return the URIs that the connection of a request wants to hear of, to be changed."""
        # The session lives for one request; only its connection can be kept to send on later.
        return self._of[caller_of(ctx).owner].setdefault(ctx.session._connection, set())

    async def subscribe(self, ctx: Context, params: t.SubscribeRequestParams) -> t.EmptyResult:
        watched = self._watched(ctx)
        if len(watched) >= MAX_SUBSCRIPTIONS and str(params.uri) not in watched:
            raise MCPError(
                t.INVALID_PARAMS,
                f"A connection hears of {MAX_SUBSCRIPTIONS} resources at most. "
                "Unsubscribe from one first.",
            )
        watched.add(str(params.uri))
        return t.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: t.UnsubscribeRequestParams) -> t.EmptyResult:
        self._watched(ctx).discard(str(params.uri))
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
        return [
            connection
            for owner, connections in self._of.items()
            if _concerns(event, owner)
            for connection, watched in connections.items()
            if not isinstance(event, ResourceUpdated) or event.uri in watched
        ]


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
