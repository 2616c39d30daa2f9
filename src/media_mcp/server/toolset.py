"""The seam by which the MCP server is composed.

A `ToolSet`, `ResourceSet` or `PromptSet` brings some tools, resources or prompts and answers for
them; a `Surface` is the tuple of all that one server shows. `server/mcp.py` hands each request of
the protocol to the surface and adds nothing but wiring:

    surface = Surface(tool_sets=(general, models), resource_sets=(assets,), prompt_sets=(guides,),
                      tasks=TasksExtension(JobTasks(queue)), bus=bus)
    names, cursor = page(surface.names(), params.cursor)      # tools/list; same for the others
    [surface.definition(name) for name in names]
    await surface.call(ctx, params)                           # tools/call
    surface.schema(name)                                      # get_tool_input_schema=
    await surface.read(ctx, uri); await surface.prompt(ctx, params)
    await surface.complete(ctx, params)
    surface.attach(server)      # extensions and extra methods; once, after Server(...)
    async with surface.running(): ...                         # inside the server's lifespan
    server.streamable_http_app(event_store=surface.event_store, retry_interval=surface.retry_ms)

Sets are asked in order and the first that knows a name, URI or reference answers; `None` means
"not mine". A set checks its own arguments. What nobody knows is an `MCPError` (INVALID_PARAMS).
A set whose list changes publishes `ToolsListChanged()` and the like on `surface.bus`, from which
`TaskListener(Listener(surface.bus), surface.tasks)` serves `subscriptions/listen`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol, TypeAlias, TypeVar

import mcp_types as t
from mcp.server import Server, ServerRequestContext
from mcp.server.context import HandlerResult
from mcp.server.streamable_http import EventStore
from mcp.server.subscriptions import InMemorySubscriptionBus, SubscriptionBus
from mcp.shared.exceptions import MCPError

from media_mcp.errors import did_you_mean
from media_mcp.server.tasks import TasksExtension

Context: TypeAlias = ServerRequestContext[Any, Any]
Prompted: TypeAlias = t.GetPromptResult | t.InputRequiredResult
PAGE_SIZE = 100

T = TypeVar("T")


class ToolSet(Protocol):
    """Some tools and the code behind them."""

    def names(self) -> Sequence[str]:
        """Return the names of the tools to list, in a fixed order."""
        ...

    def definition(self, name: str) -> dict[str, Any] | None:
        """Return one tool as it stands on the wire, listed or not; `None` if it is not ours."""
        ...

    async def call(self, ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        """Answer a call of a tool that `definition` knows. Only protocol errors are raised."""
        ...


class ResourceSet(Protocol):
    """Some resources, by URI or by template."""

    async def resources(self, ctx: Context) -> Sequence[t.Resource]:
        """Return what this caller may read, in a fixed order."""
        ...

    def templates(self) -> Sequence[t.ResourceTemplate]: ...

    async def read(self, ctx: Context, uri: str) -> t.ReadResourceResult | None:
        """Return the contents, or `None` if this set (or this caller) has no such URI."""
        ...


class PromptSet(Protocol):
    """Some prompts, and completion of their arguments and of resource templates."""

    def prompts(self) -> Sequence[t.Prompt]: ...

    async def get(self, ctx: Context, params: t.GetPromptRequestParams) -> Prompted | None: ...

    async def complete(
        self, ctx: Context, params: t.CompleteRequestParams
    ) -> t.Completion | None: ...


@dataclass(frozen=True, slots=True)
class Method:
    """A request of the protocol beyond the usual ones, such as `logging/setLevel`."""

    name: str
    params: type[t.RequestParams]
    handler: Callable[[Context, Any], Awaitable[HandlerResult]]


@dataclass(frozen=True)
class Surface:
    """All that one server shows. `running` are entered for as long as the server lives."""

    tool_sets: tuple[ToolSet, ...] = ()
    resource_sets: tuple[ResourceSet, ...] = ()
    prompt_sets: tuple[PromptSet, ...] = ()
    tasks: TasksExtension | None = None
    methods: tuple[Method, ...] = ()
    lifetimes: tuple[Callable[[], AbstractAsyncContextManager[Any]], ...] = ()
    bus: SubscriptionBus = field(default_factory=InMemorySubscriptionBus)
    event_store: EventStore | None = None
    retry_ms: int | None = None

    def attach(self, server: Server[Any]) -> None:
        """Register the tasks extension and the extra methods."""
        if self.tasks is not None:
            self.tasks.attach(server)
        for method in self.methods:
            server.add_request_handler(method.name, method.params, method.handler)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for lifetime in self.lifetimes:
                await stack.enter_async_context(lifetime())
            yield

    def names(self) -> Sequence[str]:
        """Return the names of all tools that are listed, in a fixed order."""
        return tuple(chain.from_iterable(tools.names() for tools in self.tool_sets))

    def definition(self, name: str) -> dict[str, Any] | None:
        found = (tools.definition(name) for tools in self.tool_sets)
        return next((definition for definition in found if definition), None)

    def schema(self, name: str) -> dict[str, Any] | None:
        """Return the input schema of a tool, listed or not."""
        definition = self.definition(name)
        return definition["inputSchema"] if definition else None

    async def call(self, ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        for tools in self.tool_sets:
            if tools.definition(params.name):
                return await tools.call(ctx, params)
        raise unknown("tool", params.name, self.names())

    async def resources(self, ctx: Context) -> list[t.Resource]:
        return [item for items in self.resource_sets for item in await items.resources(ctx)]

    def templates(self) -> list[t.ResourceTemplate]:
        return [template for items in self.resource_sets for template in items.templates()]

    async def read(self, ctx: Context, uri: str) -> t.ReadResourceResult:
        for items in self.resource_sets:
            found = await items.read(ctx, uri)
            if found is not None:
                return found
        raise MCPError(t.INVALID_PARAMS, f"Resource not found: {uri}", {"uri": uri})

    def prompts(self) -> list[t.Prompt]:
        return [prompt for prompts in self.prompt_sets for prompt in prompts.prompts()]

    async def prompt(self, ctx: Context, params: t.GetPromptRequestParams) -> Prompted:
        for prompts in self.prompt_sets:
            found = await prompts.get(ctx, params)
            if found is not None:
                return found
        raise unknown("prompt", params.name, [prompt.name for prompt in self.prompts()])

    async def complete(self, ctx: Context, params: t.CompleteRequestParams) -> t.CompleteResult:
        """Complete an argument; a reference that nobody knows has no completions."""
        for prompts in self.prompt_sets:
            found = await prompts.complete(ctx, params)
            if found is not None:
                return t.CompleteResult(completion=found)
        return t.CompleteResult(completion=t.Completion(values=[], total=0, has_more=False))


def unknown(kind: str, name: str, known: Sequence[str]) -> MCPError:
    """Return the protocol error for a name that no set knows, with the nearest names."""
    message = f"Unknown {kind}: {name!r}. {did_you_mean(name, known)}"
    return MCPError(t.INVALID_PARAMS, message.strip())


def page(
    items: Sequence[T], cursor: str | None, size: int = PAGE_SIZE
) -> tuple[Sequence[T], str | None]:
    """Return one page and the cursor of the next (`None` after the last).

    A cursor that this function did not make is an `MCPError`.
    """
    start = offset_of(cursor, len(items))
    if start is None:
        raise MCPError(
            t.INVALID_PARAMS, "Invalid cursor. Leave the cursor out to start at the first page."
        )
    end = start + size
    return items[start:end], cursor_of(end) if end < len(items) else None


def cursor_of(offset: int) -> str:
    """Write where a page begins as an opaque word."""
    return base64.urlsafe_b64encode(str(offset).encode()).decode()


def offset_of(cursor: str | None, bound: int) -> int | None:
    """Read a cursor that `cursor_of` made; None for any other word."""
    if cursor is None:
        return 0
    try:
        offset = int(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        return None
    return offset if 0 < offset <= bound else None
