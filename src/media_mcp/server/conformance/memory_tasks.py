"""Tasks in memory: gone when the server stops, and after `TTL_MS` at the next start of a task."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import anyio
import anyio.abc
import mcp_types as t
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from media_mcp.server.conformance.dialogue import RESULT_OF
from media_mcp.server.tasks import TaskStatus, TaskView
from media_mcp.server.toolset import Context

TTL_MS = 3_600_000
POLL_MS = 100


class Asker(Protocol):
    """What work may do while it runs as a task."""

    async def ask(self, *requests: t.InputRequest) -> Sequence[t.InputResponse]:
        """Wait until the client has answered every request; the answers in the same order."""
        ...


Work = Callable[[Asker], Awaitable[t.CallToolResult]]


class MemoryTask:
    def __init__(self, owner: str) -> None:
        self.id = secrets.token_urlsafe(18)
        self.owner = owner
        self.scope = anyio.CancelScope()
        self.changed = anyio.Event()
        self.status: TaskStatus = "working"
        self._created_at = self._updated_at = time.time()
        self._result: t.CallToolResult | None = None
        self._error: t.ErrorData | None = None
        self._pending: dict[str, t.InputRequest] = {}
        self._answers: dict[str, t.InputResponse] = {}

    @property
    def expired(self) -> bool:
        return time.time() > self._created_at + TTL_MS / 1000

    def view(self) -> TaskView:
        return TaskView(
            id=self.id,
            status=self.status,
            created_at=self._created_at,
            updated_at=self._updated_at,
            ttl_ms=TTL_MS,
            poll_ms=POLL_MS,
            result=self._result,
            error=self._error,
            inputs=dict(self._pending),
        )

    async def run(self, work: Work) -> None:
        with self.scope:
            try:
                self._result = await work(self)
            except MCPError as error:
                self._error = error.error
                self._become("failed")
            except Exception:  # work that breaks must not take the other tasks along
                self._error = t.ErrorData(code=t.INTERNAL_ERROR, message="The task broke.")
                self._become("failed")
            else:
                self._become("completed")
        if not self.view().ended:
            self._become("cancelled")

    async def ask(self, *requests: t.InputRequest) -> Sequence[t.InputResponse]:
        # A key must never come back within one task.
        keys = [secrets.token_urlsafe(6) for _ in requests]
        self._pending.update(zip(keys, requests, strict=True))
        self._become("input_required")
        while self._pending:
            await self.changed.wait()
        self._become("working")
        return [self._answers[key] for key in keys]

    def deliver(self, responses: Mapping[str, Any]) -> None:
        """Take the answers that are awaited; none if one of them has a wrong shape."""
        awaited = [key for key in responses if key in self._pending]
        self._answers |= {key: _read(self._pending[key], responses[key]) for key in awaited}
        for key in awaited:
            del self._pending[key]
        self._become(self.status)

    def _become(self, status: TaskStatus) -> None:
        self.status = status
        self._updated_at = time.time()
        self.changed.set()
        self.changed = anyio.Event()


class MemoryTasks:
    """A `TaskSource` in memory. `running` must be entered before `start`."""

    def __init__(self) -> None:
        self._tasks: dict[str, MemoryTask] = {}
        self._group: anyio.abc.TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as self._group:
            try:
                yield
            finally:
                self._group.cancel_scope.cancel()

    def start(self, ctx: Context, work: Work) -> TaskView:
        """Begin work that outlives the request, and return the task."""
        if self._group is None:
            raise RuntimeError("MemoryTasks.running() is not entered")
        self._tasks = {key: task for key, task in self._tasks.items() if not task.expired}
        task = MemoryTask(_owner())
        self._tasks[task.id] = task
        self._group.start_soon(task.run, work)
        return task.view()

    async def get(self, ctx: Context, task_id: str) -> TaskView | None:
        task = self._tasks.get(task_id)
        return task.view() if task and task.owner == _owner() else None

    async def update(self, ctx: Context, task_id: str, responses: Mapping[str, Any]) -> None:
        self._tasks[task_id].deliver(responses)

    async def cancel(self, ctx: Context, task_id: str) -> None:
        self._tasks[task_id].scope.cancel()

    async def watch(self, ctx: Context, task_id: str) -> AsyncGenerator[TaskView, None]:
        task = self._tasks[task_id]
        while True:
            changed = task.changed
            view = task.view()
            yield view
            if view.ended:
                return
            await changed.wait()


def _owner() -> str:
    """Return who asks: the client of the access token, if the server wants one."""
    token = get_access_token()
    return token.client_id if token else ""


def _read(request: t.InputRequest, response: Any) -> t.InputResponse:
    try:
        return RESULT_OF[request.method].model_validate(response, by_name=False)
    except ValidationError as error:
        faults = "; ".join(fault["msg"] for fault in error.errors())
        raise MCPError(
            t.INVALID_PARAMS, f"inputResponses: not an answer to {request.method}: {faults}"
        ) from None
