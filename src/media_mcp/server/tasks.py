"""The extension `io.modelcontextprotocol/tasks` for the low-level server.

A thin layer of protocol over `TaskSource`s, which hold the tasks. One source is the queue's job
row (task id = job id, so a task outlives the process); another is the in-memory one of the
conformance profile. From a tool call:

    if negotiated(ctx):
        return created(view)            # a task is handed back; `view` must be readable by now
    raise missing_capability()          # only if the tool cannot answer without a task

`Surface.attach` registers the methods; `TaskListener` pushes `notifications/tasks`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TypeAlias, cast

import anyio
import mcp_types as t
from mcp.server import Server, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

TASKS_ID = "io.modelcontextprotocol/tasks"
WATCHED_PER_STREAM = 100
Context: TypeAlias = ServerRequestContext[Any, Any]
TaskStatus: TypeAlias = Literal["working", "input_required", "completed", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class TaskView:
    """One reading of a task. Times are Unix seconds; `ttl_ms` None means it is kept for good.

    `result` belongs to `completed` (a tool that failed is `completed` with `is_error`), `error` to
    `failed` (the request itself went wrong), `inputs` to `input_required`.
    """

    id: str
    status: TaskStatus
    created_at: float
    updated_at: float
    message: str = ""
    ttl_ms: int | None = None
    poll_ms: int = 1000
    result: t.CallToolResult | None = None
    error: t.ErrorData | None = None
    inputs: Mapping[str, t.InputRequest] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")


class TaskSource(Protocol):
    """Where tasks live. Each method answers only for tasks of the request's caller."""

    async def get(self, ctx: Context, task_id: str) -> TaskView | None:
        """Return the task as it is now; `None` if there is none (or it is another caller's)."""
        ...

    async def update(self, ctx: Context, task_id: str, responses: Mapping[str, Any]) -> None:
        """Deliver answers to input requests of a task that `get` knows.

        Keys that no request awaits are ignored; an answer of a wrong shape is an `MCPError`.
        """
        ...

    async def cancel(self, ctx: Context, task_id: str) -> None:
        """Ask a task that `get` knows to stop. One that has ended stays as it is."""
        ...

    def watch(self, ctx: Context, task_id: str) -> AsyncGenerator[TaskView, None]:
        """Yield the task as it is now and after each change; stop once it has ended."""
        ...


class TaskParams(t.RequestParams):
    task_id: str


class TaskUpdateParams(TaskParams):
    # Raw values: a key that nothing awaits must be ignored whatever it holds.
    input_responses: dict[str, Any]


def negotiated(ctx: Context) -> bool:
    """Tell whether this very request declares the extension; earlier requests do not count."""
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return False
    declared = ctx.session.client_capabilities
    return bool(declared and declared.extensions and TASKS_ID in declared.extensions)


def missing_capability() -> MCPError:
    """Return the protocol error for a client that must declare the extension and does not."""
    return MCPError(
        t.MISSING_REQUIRED_CLIENT_CAPABILITY,
        f"Missing required client capability: declare the extension {TASKS_ID}.",
        {"requiredCapabilities": {"extensions": {TASKS_ID: {}}}},
    )


def created(view: TaskView) -> dict[str, Any]:
    """Return the answer to a tool call that hands back a task instead of a result."""
    return {"resultType": "task", **_base(view)}


def wire(view: TaskView) -> dict[str, Any]:
    """Return the task as the protocol writes it, with what belongs to its status."""
    body = _base(view)
    if view.status == "completed" and view.result is not None:
        body["result"] = _dump(view.result)
    elif view.status == "failed" and view.error is not None:
        body["error"] = _dump(view.error)
    elif view.status == "input_required":
        body["inputRequests"] = {key: _dump(asked) for key, asked in view.inputs.items()}
    return body


class TasksExtension:
    """`tasks/get`, `tasks/update` and `tasks/cancel` over some sources, asked in order."""

    def __init__(self, *sources: TaskSource) -> None:
        self.sources = sources

    def attach(self, server: Server[Any]) -> None:
        server.extensions[TASKS_ID] = {}
        server.add_request_handler("tasks/get", TaskParams, self.get)
        server.add_request_handler("tasks/update", TaskUpdateParams, self.update)
        server.add_request_handler("tasks/cancel", TaskParams, self.cancel)

    async def get(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        _, view = await self._addressed(ctx, params.task_id)
        return {"resultType": "complete", **wire(view)}

    async def update(self, ctx: Context, params: TaskUpdateParams) -> dict[str, Any]:
        source, _ = await self._addressed(ctx, params.task_id)
        await source.update(ctx, params.task_id, params.input_responses)
        return {"resultType": "complete"}

    async def cancel(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        source, _ = await self._addressed(ctx, params.task_id)
        await source.cancel(ctx, params.task_id)
        return {"resultType": "complete"}

    async def find(self, ctx: Context, task_id: str) -> tuple[TaskSource, TaskView] | None:
        """Return a task of this caller with its source, or `None`."""
        for source in self.sources:
            view = await source.get(ctx, task_id)
            if view is not None:
                return source, view
        return None

    async def _addressed(self, ctx: Context, task_id: str) -> tuple[TaskSource, TaskView]:
        """Check that the request may ask and says the same in header and body; find the task."""
        if not negotiated(ctx):
            raise missing_capability()
        _check_header(ctx, task_id)
        found = await self.find(ctx, task_id)
        if found is None:
            raise MCPError(t.INVALID_PARAMS, f"Unknown task: {task_id!r}.")
        return found


class Listening(Protocol):
    """Serves `subscriptions/listen`, as the SDK's handler does."""

    async def __call__(
        self, ctx: Context, params: t.SubscriptionsListenRequestParams
    ) -> t.SubscriptionsListenResult: ...

    def close(self) -> None:
        """End all streams in the way of the protocol, each with its result."""


class TaskListener:
    """Serves `subscriptions/listen`: what the inner one tells, plus `notifications/tasks`.

    A stream that asks for `taskIds` hears of at most `WATCHED_PER_STREAM` tasks of its caller; the
    acknowledgement says which.
    """

    def __init__(self, inner: Listening, tasks: TasksExtension | None) -> None:
        self._inner = inner
        self._tasks = tasks

    def close(self) -> None:
        """End all streams in the way of the protocol, each with its result."""
        self._inner.close()

    async def __call__(
        self, ctx: Context, params: t.SubscriptionsListenRequestParams
    ) -> t.SubscriptionsListenResult:
        asked = (params.notifications.model_extra or {}).get("taskIds")
        if asked is None or self._tasks is None:
            return await self._inner(ctx, params)
        if not negotiated(ctx):
            raise missing_capability()
        watched = await self._watched(self._tasks, ctx, asked)
        session = _Acknowledging(ctx.session, list(watched))
        return await self._serve(replace(ctx, session=session.typed()), params, session, watched)

    async def _watched(
        self, tasks: TasksExtension, ctx: Context, asked: object
    ) -> dict[str, TaskSource]:
        if not isinstance(asked, list) or not all(isinstance(one, str) for one in asked):
            raise MCPError(t.INVALID_PARAMS, "taskIds: must be a list of strings.")
        found = {one: await tasks.find(ctx, one) for one in asked[:WATCHED_PER_STREAM]}
        return {task_id: hit[0] for task_id, hit in found.items() if hit}

    async def _serve(
        self,
        ctx: Context,
        params: t.SubscriptionsListenRequestParams,
        session: _Acknowledging,
        watched: Mapping[str, TaskSource],
    ) -> t.SubscriptionsListenResult:
        outcome: t.SubscriptionsListenResult | MCPError
        async with anyio.create_task_group() as pushing:
            for task_id, source in watched.items():
                pushing.start_soon(_push, ctx, session, source, task_id)
            try:
                outcome = await self._inner(ctx, params)
            except MCPError as error:  # would leave the group wrapped in an ExceptionGroup
                outcome = error
            pushing.cancel_scope.cancel()
        if isinstance(outcome, MCPError):
            raise outcome
        return outcome


class _Acknowledging:
    """Stands in for the session of one stream, so that the acknowledgement names the tasks too."""

    def __init__(self, session: ServerSession, task_ids: Sequence[str]) -> None:
        self._session = session
        self._task_ids = task_ids
        self.acknowledged = anyio.Event()

    def typed(self) -> ServerSession:
        # The SDK's handler touches nothing of its session but `send_notification`.
        return cast(ServerSession, self)

    async def send_notification(
        self, notification: t.ServerNotification, related_request_id: t.RequestId | None = None
    ) -> None:
        if isinstance(notification, t.SubscriptionsAcknowledgedNotification):
            honored = notification.params.notifications
            extended = honored.model_copy(update={"taskIds": list(self._task_ids)})
            params = notification.params.model_copy(update={"notifications": extended})
            notification = notification.model_copy(update={"params": params})
        await self._session.send_notification(notification, related_request_id)
        self.acknowledged.set()


class _TaskNotification(t.Notification[dict[str, Any], Literal["notifications/tasks"]]):
    method: Literal["notifications/tasks"] = "notifications/tasks"
    params: dict[str, Any]


async def _push(ctx: Context, session: _Acknowledging, source: TaskSource, task_id: str) -> None:
    await session.acknowledged.wait()
    meta = {"_meta": {SUBSCRIPTION_ID_META_KEY: ctx.request_id}}
    async with aclosing(source.watch(ctx, task_id)) as views:
        async for view in views:
            told = _TaskNotification(params={**wire(view), **meta})
            # The SDK's union of notifications holds those of the core protocol only.
            await session.send_notification(cast(Any, told), ctx.request_id)


def _check_header(ctx: Context, task_id: str) -> None:
    """Over HTTP, `Mcp-Name` must repeat the task id; the SDK checks it for core methods only."""
    if ctx.request is None:
        return
    if decode_header_value(ctx.request.headers.get(MCP_NAME_HEADER)) != task_id:
        raise MCPError(
            t.HEADER_MISMATCH,
            f"The {MCP_NAME_HEADER} header does not match the taskId of the body, {task_id!r}.",
        )


def _base(view: TaskView) -> dict[str, Any]:
    body: dict[str, Any] = {
        "taskId": view.id,
        "status": view.status,
        "createdAt": _iso(view.created_at),
        "lastUpdatedAt": _iso(view.updated_at),
        "ttlMs": view.ttl_ms,
        "pollIntervalMs": view.poll_ms,
    }
    if view.message:
        body["statusMessage"] = view.message
    return body


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _dump(value: t.CallToolResult | t.ErrorData | t.InputRequest) -> dict[str, Any]:
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)
