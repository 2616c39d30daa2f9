"""One attempt at one job: run it, store what it made, write how it ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import anyio

from media_mcp.backends.base import Backend, Report, Run
from media_mcp.catalog.model import Model
from media_mcp.errors import (
    BackendFailed,
    BadMedia,
    BadOutput,
    MaybeSpent,
    MediaError,
    OverBudget,
    StorageFailed,
)
from media_mcp.job import JSON, Asset, Failure, Job, JobState, Output, Result
from media_mcp.queue.folder import WorkFolder
from media_mcp.queue.news import News
from media_mcp.queue.router import Router, may_be_spent
from media_mcp.queue.scribe import Scribe
from media_mcp.queue.store import Claim, Detour, Ending, Stale, Store

if TYPE_CHECKING:
    from media_mcp.media import MediaStore

log = logging.getLogger(__name__)

STORE_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Rooms:
    """What an attempt works with.

    `attempts` is how often a job is started on a route; `gpu_rate` is what an hour on a device of
    ours costs (US dollars); `ring` tells that a backend has work.
    """

    store: Store
    media: MediaStore
    model_of: Callable[[str], Model]
    news: News
    work_dir: Path
    attempts: int
    gpu_rate: float
    router: Router
    ring: Callable[[str], None]


class Attempt:
    """Runs a claim on its backend. `stop` ends it early; the row then says cancelled."""

    def __init__(self, claim: Claim, backend: Backend, rooms: Rooms) -> None:
        self.claim = claim
        self._backend = backend
        self._rooms = rooms
        self._scope = anyio.CancelScope()
        self._stopped: str | None = None
        self._stale = False
        self.requeued = False
        self._gpu_seconds = claim.job.gpu_seconds
        self._scribe = Scribe(claim, rooms.store, rooms.news, self.lose)
        self._folder = WorkFolder(rooms.work_dir, claim.job)

    def stop(self, reason: str) -> None:
        self._stopped = reason
        self._scope.cancel()

    def lose(self) -> None:
        """End the attempt without a word in the row: another server has the job now."""
        self._stale = True
        self._scope.cancel()

    async def run(self) -> None:
        """Run to the end and write it. When it is cancelled from outside, nothing is written."""
        try:
            outcome = await self._outcome()
            if not self._stale:
                await self._settle(outcome)
        except Exception as error:  # a bug of ours must not leave the job running for ever
            await self._end(Ending(JobState.FAILED, failure=self._failure(only(error))))
        finally:
            with anyio.CancelScope(shield=True):
                await self._folder.remove()

    async def _outcome(self) -> Result | Exception | None:
        """Return what the backend made of it, or None if it was stopped first."""
        outcome: Result | Exception | None = None
        with self._scope:
            async with anyio.create_task_group() as group:
                group.start_soon(self._scribe.run)
                outcome = await self._run_backend()
                group.cancel_scope.cancel()
        return outcome

    async def _run_backend(self) -> Result | Exception:
        started = perf_counter()
        try:
            return await self._backend.run(await self._prepare())
        except Exception as error:
            return only(error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return RuntimeError("The backend was cancelled, but not by us.")
        finally:
            if self.claim.job.gpu_quoted is not None:
                self._gpu_seconds += perf_counter() - started

    async def _prepare(self) -> Run:
        job = self.claim.job
        model = self._rooms.model_of(job.model)
        self._rooms.router.check(self.claim, model)
        return Run(
            job_id=job.id,
            attempt=job.attempt,
            model=model,
            route=job.route,
            arguments=job.arguments,
            seed=job.seed or 0,
            make_folder=self._folder.path,
            report=self._scribe.report,
            inputs=self.claim.inputs,
            remote_id=job.remote_id,
            given_up=lambda: self._stopped is not None,
            project=job.caller.project,
        )

    async def _settle(self, outcome: Result | Exception | None) -> None:
        if isinstance(outcome, Result):
            await self._succeed(outcome)
        elif self._stopped is not None:
            cost = self._cost(None)
            await self._end(Ending(JobState.CANCELLED, message=self._stopped, cost=cost))
        elif isinstance(outcome, BackendFailed) and self._may_retry(outcome):
            await self._retry(outcome)
        elif outcome is not None:
            await self._give_up(outcome)

    def _may_retry(self, error: BackendFailed) -> bool:
        again = not self.claim.job.once and self.claim.spent + 1 < self._rooms.attempts
        return error.retryable and again

    async def _succeed(self, result: Result) -> None:
        """Past this point the work is done and paid: neither a stop nor a shutdown undoes it."""
        try:
            with anyio.CancelScope(shield=True):
                ending = await self._keep(result)
            await self._end(ending)
        except Exception as error:
            await self._give_up(error, result)

    async def _keep(self, result: Result) -> Ending:
        model = self._rooms.model_of(self.claim.job.model)
        if model.outputs and not result.outputs and not result.facts:
            raise BadOutput(
                f"{self._backend.name} ended without an output.", "Try again, or another model."
            )
        assets = [await self._put(output, model, result) for output in result.outputs]
        return Ending(
            JobState.SUCCEEDED,
            assets=tuple(assets),
            facts=result.facts,
            findings=await findings(assets, self.claim.job, model),
            cost=self._cost(result.cost),
            reports=self._scribe.rest(),
        )

    def _cost(self, told: float | None) -> float | None:
        """Return what the backend asks for, and what the time on a device of ours costs."""
        ours = self._gpu_seconds * self._rooms.gpu_rate / 3600
        return (told or 0.0) + ours if ours else told

    async def _put(self, output: Output, model: Model, result: Result) -> Asset:
        job = self.claim.job
        try:
            return await self._rooms.media.put(
                output.path,
                role=output.role,
                name=readable_name(job, model),
                provenance=provenance(job, model, result),
                mime_type=output.mime_type,
            )
        except BadMedia as error:  # the caller did not make this file
            raise BadOutput(error.message, "Try again, or another model.") from error

    async def _give_up(self, error: Exception, result: Result | None = None) -> None:
        """Go on by another route, or end the job and say which one there would be."""
        way, reports = await self._way_on(error, result), self._scribe.rest()
        if isinstance(way, Detour):
            try:
                return await self._reroute(way, reports)
            except OverBudget as over:
                way = f"{way.route.backend} could run it, but {over.message}"
        failure = self._failure(error)
        failure = replace(failure, hint=f"{way} {failure.hint}".strip())
        cost = self._cost(result.cost if result else None)
        unsure = isinstance(error, MaybeSpent) or (result is not None and result.cost is None)
        ending = Ending(JobState.FAILED, failure=failure, cost=cost, reports=reports, unsure=unsure)
        await self._end(ending)

    async def _way_on(self, error: Exception, result: Result | None) -> Detour | str:
        spent = may_be_spent(self.claim.job, error, self._scribe.remote_id, result)
        try:
            return await self._rooms.router.after(self.claim, error, spent)
        except Exception:  # a bug in another backend must not hide how this one failed
            log.exception("No other route was found for job %s", self.claim.job.id)
            return ""

    async def _reroute(self, detour: Detour, reports: Sequence[Report]) -> None:
        ran = self._gpu_seconds
        await self._write(lambda: self._rooms.store.reroute(self.claim, detour, reports, ran))
        self._rooms.ring(detour.route.backend)

    def _failure(self, error: Exception) -> Failure:
        failure = failure_of(error, self._backend.name)
        if failure.code == "bug":
            log.error("Job %s hit a bug", self.claim.job.id, exc_info=error)
        return failure

    async def _end(self, ending: Ending) -> None:
        ending = replace(ending, gpu_seconds=round(self._gpu_seconds, 6))
        await self._write(lambda: self._rooms.store.end(self.claim, ending))

    async def _retry(self, error: Exception) -> None:
        spent = self.claim.spent + 1
        why = f"attempt {spent} of {self._rooms.attempts} failed: {error}"
        reports, ran = self._scribe.rest(), self._gpu_seconds
        await self._write(lambda: self._rooms.store.retry(self.claim, why, reports, ran))
        self.requeued = True

    async def _write(self, write: Callable[[], Awaitable[Job]]) -> None:
        """Write how it ended; while the disk will not take it, keep the result and try again."""
        while True:
            try:
                with anyio.CancelScope(shield=True):
                    self._rooms.news.publish(await write(), state=True)
                return
            except Stale:
                log.warning("Job %s went to another server meanwhile", self.claim.job.id)
                return
            except StorageFailed as error:
                log.warning("The end of job %s waits: %s", self.claim.job.id, error)
            await anyio.sleep(STORE_AGAIN_SECONDS)


def only(error: Exception) -> Exception:
    """Take a lone error out of the groups that task groups wrap it in."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def failure_of(error: Exception, backend: str) -> Failure:
    """Return the caller's words for an error; a bug's own words may hold anything, so not those."""
    if isinstance(error, MediaError):
        return Failure(error.code, error.message, error.hint)
    return Failure(
        "bug",
        f"Running it on {backend} hit a bug ({type(error).__name__}).",
        "The server's log (stderr) holds the traceback: please report it with that.",
    )


def readable_name(job: Job, model: Model) -> str:
    """Name an output by its model and what was asked, unless that is private."""
    if job.private:
        return model.tool
    asked = next((job.arguments[k] for k in ("prompt", "text") if k in job.arguments), "")
    return f"{model.tool} {asked}".strip()[:200]


async def findings(assets: Sequence[Asset], job: Job, model: Model) -> tuple[str, ...]:
    """Return what the check of the outputs found, each thing once."""
    from media_mcp.media import (
        check_output,  # its decoders are loaded with the first job, not at start
    )

    kinds = {output.role: output.kind for output in model.outputs}
    sizes = {k: job.arguments[k] for k in ("width", "height", "duration") if k in job.arguments}
    found: dict[str, None] = {}
    for asset in assets:
        expected = {"kind": kinds[asset.role]} if asset.role in kinds else {}
        found |= dict.fromkeys(await check_output(asset, expected | sizes))
    return tuple(found)


def provenance(job: Job, model: Model, result: Result) -> Mapping[str, JSON]:
    """Return what an output's sidecar says about where it came from."""
    return {
        "model": job.model,
        "arguments": {} if job.private else dict(job.arguments),
        "seed": job.seed,
        "backend": job.route.backend,
        "route": dict(job.route.spec),
        "parents": list(job.parents),
        "cost": result.cost,
        "licence": model.licence,
        "job": job.id,
        "attempt": job.attempt,
    }
