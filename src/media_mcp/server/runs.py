"""One run of a model for an MCP client: from arguments to answer, without losing the job."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from math import inf

import anyio
import mcp_types as t
from anyio.abc import TaskGroup
from mcp.server.context import HandlerResult

from media_mcp.catalog.model import Model
from media_mcp.catalog.validate import renamed
from media_mcp.errors import InvalidArguments, MediaError, StorageFailed
from media_mcp.job import JSON, Asset, Caller, Job, JobState
from media_mcp.media import MediaStore
from media_mcp.queue import Queue
from media_mcp.queue.agreement import CONSENT, agrees, consent_of, costly, price_of
from media_mcp.queue.policy import best
from media_mcp.server import answer
from media_mcp.server.ask import client_roots, consent, modern
from media_mcp.server.auth import caller_of
from media_mcp.server.consent import part_consent
from media_mcp.server.intake import Intake, Order
from media_mcp.server.jobtasks import JobTasks
from media_mcp.server.tasks import created, negotiated
from media_mcp.server.tooldefs import tool_schema
from media_mcp.server.toolset import Context
from media_mcp.settings import Settings

logger = logging.getLogger(__name__)

GONE = "media_mcp.gone"  # the key in an ASGI scope of the event that says the client hung up
PROGRESS_SECONDS = 10.0
GRACE_SECONDS = 0.3
LEAVING = "This server is going down: the job goes on once it is back. Then call get_job."


class Runs:
    """Starts jobs for MCP clients and waits for them, as long as a client waits."""

    def __init__(self, settings: Settings, intake: Intake, queue: Queue, media: MediaStore) -> None:
        self._settings = settings
        self._intake = intake
        self._queue = queue
        self._media = media
        self._waiting: Counter[str] = Counter()
        self._background: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Live as long as the server: what is left undone at the end is the queue's to keep."""
        async with anyio.create_task_group() as self._background:
            yield
            self._background.cancel_scope.cancel()

    async def run(
        self,
        ctx: Context,
        params: t.CallToolRequestParams,
        model: Model,
        arguments: Mapping[str, JSON],
        *,
        fresh: bool = False,
        backend: str = "",
    ) -> HandlerResult:
        """Run a model. Raises `MediaError`s of the call; a job's own failure is in the answer.

        Wrong arguments are answered with the model's schema, so that the next try succeeds.
        """
        arguments, agreed = part_consent(model, arguments)
        roots = await client_roots(ctx, params, arguments)
        caller = self.caller(ctx)
        try:
            order = await self._intake.prepare(model, arguments, caller, roots)
            agreed = await self._consent(ctx, params, order, backend, agreed)
            submitted = await self._intake.submit(
                order, caller, "mcp", fresh=fresh, backend=backend, agreed=agreed
            )
        except InvalidArguments as error:
            return answer.with_schema(error, tool_schema(model))
        if negotiated(ctx):
            return created(JobTasks.view(submitted.job))
        job = await self.wait(ctx, submitted.job, self._settings.wait, owner=True)
        told = await self.answer(job, joined=submitted.joined)
        return answer.noted(told, renamed(model, arguments).notes)

    def caller(self, ctx: Context) -> Caller:
        """Return who asks, for calls that belong to a project: to this server's."""
        caller = caller_of(ctx)
        return caller if ctx.request else replace(caller, project=self._settings.project)

    async def wait(self, ctx: Context, job: Job, seconds: float, *, owner: bool = False) -> Job:
        """Wait for a job, telling progress. When the client of an `owner` hangs up, it is stopped.

        A job that others wait for goes on, and so does one whose server is going down.
        """
        self._waiting[job.id] += 1
        try:
            job = await self._wait(ctx, job, seconds)
        except anyio.get_cancelled_exc_class():
            if owner:
                self._left(job)
            raise
        finally:
            self._waiting[job.id] -= 1
            self._waiting += Counter()  # drops what nobody waits for
        gone = _gone(ctx)
        if owner and not job.state.terminal and gone is not None and gone.is_set():
            self._left(job)
        return job

    async def answer(
        self, job: Job, *, joined: bool = False, first_asset: int = 0
    ) -> t.CallToolResult:
        """Return the answer for a job as it is now, with a preview of what it made."""
        preview = None
        if job.state is JobState.SUCCEEDED:
            preview = await self._preview(job.caller, job.assets[first_asset:])
        if job.state.terminal:
            await self._mark_answered(job)
        told = answer.of_job(job, preview, joined=joined, first_asset=first_asset)
        if self._queue.news.dismissed and not job.state.terminal:
            return answer.noted(told, [LEAVING])
        if job.state is JobState.QUEUED and (why := await self._queue.held_up(job)):
            return answer.noted(told, [f"It waits: {why}."])
        return told

    async def _preview(self, caller: Caller, assets: Sequence[Asset]) -> bytes | None:
        there = [asset for asset in assets if not asset.removed]
        try:
            return await self._media.of(caller.owner).preview(there)
        except (MediaError, OSError) as error:  # the file was moved, say: the facts still hold
            logger.warning("No preview: %s", error)
            return None

    async def _mark_answered(self, job: Job) -> None:
        try:
            await self._queue.mark_answered(job.id)
        except StorageFailed as error:  # the job is done all the same: its answer must go out
            logger.warning("Job %s is answered, which could not be noted: %s", job.id, error)

    async def _consent(
        self,
        ctx: Context,
        params: t.CallToolRequestParams,
        order: Order,
        backend: str,
        agreed: JSON,
    ) -> JSON:
        """Ask where the route that the job would take may cost more than the limit, or unknown.

        A client that cannot ask its user is told the argument that says they agreed. Return what
        was agreed to: the queue holds the job to it, should its price rise meanwhile.
        """
        limit = self._settings.confirm_above
        if limit is None:
            return agreed
        caller = self.caller(ctx)
        quote = best(await self._intake.quotes(order, caller, backend=backend, timed=False))
        if quote is None or not costly(quote, limit) or agrees(quote, agreed):
            return agreed
        add = f"{CONSENT}: {consent_of(quote)}"
        question = f"Running {order.model.title} may cost {price_of(quote)}."
        await consent(ctx, params, question, add)
        return json.loads(consent_of(quote))

    async def _wait(self, ctx: Context, job: Job, seconds: float) -> Job:
        teller = _Teller(ctx)
        gone = _gone(ctx)
        async with anyio.create_task_group() as group:
            if gone is not None:
                group.start_soon(_cancel_when, gone, group.cancel_scope)
            group.start_soon(teller.keep_alive)
            job = await self._queue.wait(job.id, job.caller, seconds, teller.tell)
            group.cancel_scope.cancel()
        return job

    def _left(self, job: Job) -> None:
        if self._background is not None and not self._queue.news.dismissed:
            self._background.start_soon(self._hang_up, job)

    async def _hang_up(self, job: Job) -> None:
        """Give the client a moment to call again, then stop what nobody waits for."""
        await anyio.sleep(GRACE_SECONDS)
        if not self._waiting[job.id]:
            await self._queue.cancel(job.id, job.caller, "the client hung up")


class _Teller:
    """Sends progress that only grows, at once when the job moves and else every ten seconds."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._last = -inf
        self._job: Job | None = None

    async def tell(self, job: Job) -> None:
        self._job = job
        if job.state.terminal:  # the answer says the rest
            if job.state is JobState.SUCCEEDED and job.total and self._last < job.total:
                await self._send(float(job.total))
            return
        step = float(job.step or 0)
        value = step if step > self._last else self._last + 1e-3
        await self._send(value)

    async def keep_alive(self) -> None:
        while True:
            await anyio.sleep(PROGRESS_SECONDS)
            await self._send(max(self._last, 0.0) + 1e-3)

    async def _send(self, value: float) -> None:
        self._last = value
        job = self._job
        message = (answer.progress(job) or job.state.value) if job else "waiting"
        total = float(job.total) if job and job.total else None
        await self._ctx.session.report_progress(value, total, message)


def _gone(ctx: Context) -> anyio.Event | None:
    """Return the event that the HTTP door sets when an older client hangs up.

    The newer era and stdio cancel the request themselves; up to 2025-11-25 over HTTP nobody does.
    """
    if modern(ctx) or ctx.request is None:
        return None
    event = ctx.request.scope.get(GONE)
    return event if isinstance(event, anyio.Event) else None


async def _cancel_when(event: anyio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
