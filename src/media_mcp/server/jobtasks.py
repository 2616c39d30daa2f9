"""Serves the queue's jobs as tasks of the protocol: the task's id is the job's id."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import replace
from math import inf
from typing import Any

import anyio
from mcp_types import CallToolResult

from media_mcp.errors import NotFound
from media_mcp.job import Job, JobState
from media_mcp.queue import Queue
from media_mcp.server import answer
from media_mcp.server.auth import caller_of
from media_mcp.server.tasks import Context, TaskStatus, TaskView

_STATUS: Mapping[JobState, TaskStatus] = {
    JobState.QUEUED: "working",
    JobState.RUNNING: "working",
    JobState.CANCELLED: "cancelled",
}


class JobTasks:
    """A `TaskSource` over the queue; it outlives restarts because the rows do."""

    def __init__(self, queue: Queue, answered: Callable[[Job], Awaitable[CallToolResult]]) -> None:
        self._queue = queue
        self._answered = answered

    @staticmethod
    def view(job: Job) -> TaskView:
        """Return a job as a task, without its result."""
        return TaskView(
            id=job.id,
            status=_STATUS.get(job.state, "completed"),
            created_at=job.created_at,
            updated_at=job.ended_at or job.started_at or job.created_at,
            message=answer.progress(job) or job.state.value,
        )

    async def get(self, ctx: Context, task_id: str) -> TaskView | None:
        try:
            job = await self._queue.get(task_id, caller_of(ctx))
        except NotFound:
            return None
        view = self.view(job)
        if view.status != "completed":
            return view
        return replace(view, result=await self._answered(job))

    async def update(self, ctx: Context, task_id: str, responses: Mapping[str, Any]) -> None:
        """A job asks nothing while it runs: consent is settled before there is a job."""

    async def cancel(self, ctx: Context, task_id: str) -> None:
        await self._queue.cancel(task_id, caller_of(ctx), "the client cancelled the task")

    async def watch(self, ctx: Context, task_id: str) -> AsyncGenerator[TaskView, None]:
        view = await self.get(ctx, task_id)
        while view is not None:
            yield view
            if view.status != "working" or self._queue.news.dismissed:
                return
            view = await self._changed(ctx, view)

    async def _changed(self, ctx: Context, seen: TaskView) -> TaskView | None:
        """Return the task once it differs from what was seen."""
        with anyio.CancelScope() as scope:

            async def stop(job: Job) -> None:
                if self.view(job) != seen:
                    scope.cancel()

            await self._queue.wait(seen.id, caller_of(ctx), inf, stop)
        return await self.get(ctx, seen.id)
