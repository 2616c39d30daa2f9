"""One attempt at one job: run it, store what it made, write how it ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from time import perf_counter
from typing import TypeGuard

import anyio

from media_mcp import faultpoints
from media_mcp.backends.base import Backend, Report, Run, Together
from media_mcp.errors import (
    BackendFailed,
    BadOutput,
    MaybeSpent,
    OverBudget,
    StorageFailed,
)
from media_mcp.faultpoints import Point
from media_mcp.job import Failure, Job, JobState, Quote, Result
from media_mcp.queue.budget import Need, overrun, overtime
from media_mcp.queue.failures import billed, failure_of, only
from media_mcp.queue.folder import WorkFolder, disk_trouble
from media_mcp.queue.outputs import Made, another_seed, better, keep, look_into
from media_mcp.queue.rooms import Rooms
from media_mcp.queue.router import may_be_billed, may_be_spent
from media_mcp.queue.scribe import Scribe
from media_mcp.queue.store import Again, Claim, Detour, Ending, Stale

log = logging.getLogger(__name__)

STORE_AGAIN_SECONDS = 2.0


class Attempt:
    """Runs a claim on its backend. `stop` ends it early; the row then says cancelled."""

    def __init__(
        self, claim: Claim, backend: Backend, rooms: Rooms, together: Together | None = None
    ) -> None:
        self.claim = claim
        self.load_seconds = 0.0  # how long its model took to load
        self._together = together
        self._backend = backend
        self._rooms = rooms
        self._scope = anyio.CancelScope()
        self._stopped: str | None = None
        self._stale = False
        self._bug: Exception | None = None
        self.requeued = False
        self._gpu_seconds = claim.job.gpu_seconds
        self._scribe = Scribe(claim, rooms.store, rooms.news, self.lose, self._break_off)
        self._folder = WorkFolder(rooms.work_dir, claim.job)

    def stop(self, reason: str) -> None:
        self._stopped = reason
        self._scope.cancel()

    def lose(self) -> None:
        """End the attempt without a word in the row: another server has the job now."""
        self._stale = True
        self._scope.cancel()

    def _break_off(self, bug: Exception) -> None:
        self._bug = bug
        self._scope.cancel()

    async def run(self) -> None:
        """Run to the end and write it. When it is cancelled from outside, nothing is written."""
        try:
            faultpoints.reached(Point.CLAIMED)
            outcome = await self._outcome(self.claim.job)
            if not self._stale:
                await self._settle(outcome)
        except Exception as error:  # a bug of ours must not leave the job running for ever
            failure, unsure = self._failure(only(error)), self._scribe.remote_id is not None
            await self._end(Ending(JobState.FAILED, failure=failure, unsure=unsure))
        finally:
            await self._folder.remove()

    async def _outcome(self, job: Job, tries: int = 1) -> Result | Exception | None:
        """Return what the backend made of it, or None if it was stopped first."""
        outcome: Result | Exception | None = None
        with self._scope:
            async with self._meanwhile():
                outcome = await self._run_backend(job, tries)
        return self._bug or outcome

    @asynccontextmanager
    async def _meanwhile(self) -> AsyncIterator[None]:
        """What goes on while the backend works: its reports are written, and decoders started."""
        async with self._scribe.at_work():
            if not self._rooms.media.cold:
                yield
                return
            async with anyio.create_task_group() as group:
                group.start_soon(self._rooms.media.warm)
                yield
                group.cancel_scope.cancel()

    async def _run_backend(self, job: Job, tries: int) -> Result | Exception:
        started = perf_counter()
        try:
            return await self._backend.run(await self._prepare(job, tries))
        except Exception as error:
            return disk_trouble(only(error), self._rooms.work_dir)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return RuntimeError("The backend was cancelled, but not by us.")
        finally:
            if self._together is not None:
                self._together.decide(self.claim.job.id)
            if self.claim.job.gpu_quoted is not None:
                self._gpu_seconds += (perf_counter() - started) / self._among

    @property
    def _among(self) -> int:
        """How many jobs its seconds are shared by."""
        return len(self._together.jobs) if self._together else 1

    async def _prepare(self, job: Job, tries: int) -> Run:
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
            remote_id=job.remote_id if tries == 1 else None,
            tries=tries,
            given_up=lambda: self._stopped is not None,
            project=job.caller.project,
            together=self._together if tries == 1 else None,
            once=job.once,
        )

    async def _settle(self, outcome: Result | Exception | None) -> None:
        if isinstance(outcome, Result) or self._made_nothing(outcome):
            await self._succeed(outcome)
        elif self._stopped is not None:
            await self._end_stopped(billed(outcome))
        elif isinstance(outcome, BackendFailed) and self._may_retry(outcome):
            await self._retry(outcome)
        elif outcome is not None:
            await self._give_up(outcome)

    def _may_retry(self, error: BackendFailed) -> bool:
        again = not self.claim.job.once and self.claim.spent + 1 < self._rooms.attempts
        free = isinstance(error, MaybeSpent) or not error.cost
        return error.retryable and again and free

    def _made_nothing(self, outcome: Result | Exception | None) -> TypeGuard[BadOutput]:
        """Whether a backend of ours found itself that what it made is worth nothing."""
        bad = isinstance(outcome, BadOutput) and not outcome.retryable
        return bad and not self._backend.remote and self._stopped is None

    async def _succeed(self, outcome: Result | BadOutput) -> None:
        """Past this point the work is done and paid: neither a stop nor a shutdown undoes it."""
        faultpoints.reached(Point.FINISHED)
        made: Made | None = None
        result = outcome if isinstance(outcome, Result) else Result((), {}, 0.0)
        self.load_seconds = seconds_of(result.facts.get("load_seconds"))
        try:
            made = await self._look_into(outcome, self.claim.job)
            if self._may_reseed(made) and (job := await self._begin_anew(made)):
                made = await self._try_anew(made, job)
            if made is not None:
                with anyio.CancelScope(shield=True):
                    ending = await self._keep(made)
                await self._end(ending)
        except Exception as error:
            await self._give_up(error, made.result if made else result)
        finally:
            if made is not None:
                made.discard()

    async def _look_into(self, result: Result | BadOutput, job: Job) -> Made:
        model = self._rooms.model_of(job.model)
        if isinstance(result, BadOutput):
            nothing = Result((), {}, 0.0)
            return Made(job, model, nothing, spoilt=result.message, error=result)
        with anyio.CancelScope(shield=True):
            made = await look_into(result, job, model, self.claim.inputs, self._rooms.media)
        return made

    async def _keep(self, made: Made) -> Ending:
        assets = await keep(made, self._rooms.media)
        cost = self._cost(made.result.cost, unsure=True)
        return Ending(
            JobState.SUCCEEDED,
            assets=assets,
            facts=made.result.facts,
            findings=(*made.findings, *overrun(self.claim.job, cost), *self._overtime()),
            cost=cost,
            reports=self._scribe.rest(),
            seed=made.job.seed,
        )

    def _overtime(self) -> tuple[str, ...]:
        job = self.claim.job
        return overtime(job, self._gpu_seconds, self._rooms.router.limits(job.caller))

    @property
    def _ours(self) -> float:
        """What the time on a device of ours costs, in US dollars."""
        return self._gpu_seconds * self._rooms.gpu_rate / 3600

    def _need(self) -> Need:
        """Return what another try needs; what those before it cost is set aside beside it.

        Raises `OverBudget` where its price cannot be known.
        """
        job = self.claim.job
        quote = Quote(job.route.backend, 0.0, job.quoted, gpu_seconds=job.gpu_quoted)
        return self._rooms.router.need(job.caller, quote).after(self._ours)

    def _cost(self, told: float | None, *, unsure: bool) -> float | None:
        """Return what the backend asks for, and what the time on a device of ours costs.

        And what a try before this attempt did, but where it is `unsure` what this one cost.
        """
        ours, before = self._ours, self.claim.job.cost
        if before is not None and not (told is None and unsure):
            told = (told or 0.0) + before
        return (told or 0.0) + ours if ours else told

    def _may_reseed(self, made: Made) -> bool:
        """Whether what came out bad is worth, and may have, a second try with another seed."""
        policy, job = self._rooms.retry_bad_output, self.claim.job
        if not made.spoilt or policy == "never" or job.once or self._stopped is not None:
            return False
        if job.cost is not None:  # the second try it was, of a server that died
            return False
        drawn = made.model.param("seed") is not None and job.arguments.get("seed") is None
        free = not self._backend.remote and self._cost(made.result.cost, unsure=True) == 0
        return drawn and (free or policy == "always")

    async def _begin_anew(self, first: Made) -> Job | None:
        """Set aside what a second try may cost, as much as the first; None where that cannot be."""
        job = replace(self.claim.job, seed=another_seed(first.model))
        try:
            second = Again(job.seed or 0, self._need(), first.result.cost, self._gpu_seconds)
            with anyio.CancelScope(shield=True):
                await self._rooms.store.again(self.claim, second)
        except (OverBudget, StorageFailed, Stale) as error:
            log.info("Job %s is not made again: %s", job.id, error)
            return None
        self._scribe.remote_id = None
        return job

    async def _try_anew(self, first: Made, job: Job) -> Made | None:
        """Return the better of `first` and a second try; None where the caller stopped that."""
        why = f"{first.spoilt} Making it again with seed {job.seed}."
        await self._scribe.report(Report("log", message=why))
        faultpoints.reached(Point.SECOND_TRY)
        self._scope = anyio.CancelScope()
        try:
            await self._folder.remove()
            self._folder = WorkFolder(self._rooms.work_dir, job)
            over = self._stopped is not None or self._stale  # since the first try
            outcome = None if over else await self._outcome(job, tries=2)
            if outcome is None:
                first.discard()
                out = self._scribe.remote_id is not None
                await self._end_stopped(None if out else first.result.cost)
                return None
            return await self._compare(first, outcome, job)
        except BaseException:
            first.discard()
            raise

    async def _compare(self, first: Made, outcome: Result | Exception, job: Job) -> Made:
        if isinstance(outcome, Result):
            cost: float | None = outcome.cost
            try:
                return better(first, await self._look_into(outcome, job))
            except StorageFailed as error:
                outcome = error
        else:
            told = billed(outcome)
            cost = told if told is not None or isinstance(outcome, MaybeSpent) else 0.0
        said = self._failure(outcome).message
        return first.after(f"Made again with seed {job.seed}, which failed: {said}", cost)

    async def _end_stopped(self, cost: float | None) -> None:
        """End what its caller stopped; `cost` is what is known of it by now."""
        if self._stopped is not None and not self._stale:
            out = cost is None and self._scribe.remote_id is not None
            cost = self._cost(None if out else cost, unsure=out)
            await self._end(Ending(JobState.CANCELLED, message=self._stopped, cost=cost))

    async def _give_up(self, error: Exception, result: Result | None = None, why: str = "") -> None:
        """Go on by another route, or end the job and say which one there would be.

        `why` tells of a way that was looked for before.
        """
        way, reports = await self._way_on(error, result), self._scribe.rest()
        if isinstance(way, Detour):
            try:
                return await self._reroute(way, reports)
            except OverBudget as over:
                way = f"{way.route.backend} could run it, but {over.message}"
        failure = self._failure(error)
        failure = replace(failure, hint=" ".join(filter(None, (why, way, failure.hint))))
        unsure = may_be_billed(error, self._scribe.remote_id, result)
        cost = self._cost(result.cost if result else billed(error), unsure=unsure)
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
        ran, ours = self._gpu_seconds, self._ours
        if ours:
            detour = replace(detour, need=(detour.need or Need(detour.quoted or 0.0)).after(ours))
        await self._write(
            lambda: self._rooms.store.reroute(self.claim, detour, reports, ran),
            Point.REROUTE_WRITTEN,
        )
        self._rooms.ring(detour.route.backend)

    def _failure(self, error: Exception) -> Failure:
        failure = failure_of(error, self._backend.name)
        if failure.code == "bug":
            log.error("Job %s hit a bug", self.claim.job.id, exc_info=error)
        return failure

    async def _end(self, ending: Ending) -> None:
        seed = self.claim.job.seed if ending.seed is None else ending.seed
        ending = replace(ending, seed=seed, gpu_seconds=round(self._gpu_seconds, 6))
        faultpoints.reached(Point.BEFORE_END)
        await self._write(lambda: self._rooms.store.end(self.claim, ending), Point.END_WRITTEN)

    async def _retry(self, error: Exception) -> None:
        spent = self.claim.spent + 1
        why = f"attempt {spent} of {self._rooms.attempts} failed: {error}"
        reports, ran = self._scribe.rest(), self._gpu_seconds
        try:
            need = self._need() if self.claim.job.gpu_quoted is not None else None
            await self._write(
                lambda: self._rooms.store.retry(self.claim, why, reports, ran, need),
                Point.RETRY_WRITTEN,
            )
        except OverBudget as over:
            return await self._give_up(error, why=f"It was not tried again: {over.message}")
        self.requeued = True

    async def _write(self, write: Callable[[], Awaitable[Job]], then: Point) -> None:
        """Write how it ended; while the disk will not take it, keep the result and try again."""
        while True:
            try:
                with anyio.CancelScope(shield=True):
                    job = await write()
                    faultpoints.reached(then)
                    self._rooms.news.publish(job, state=True)
                return
            except Stale:
                log.warning("Job %s went to another server meanwhile", self.claim.job.id)
                return
            except StorageFailed as error:
                log.warning("The end of job %s waits: %s", self.claim.job.id, error)
            await anyio.sleep(STORE_AGAIN_SECONDS)


def seconds_of(fact: object) -> float:
    """Return a fact that is to be a number of seconds; a backend may tell anything."""
    return float(fact) if isinstance(fact, int | float) else 0.0
