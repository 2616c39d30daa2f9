"""The local backend: workers that hold the pipelines, each with one job at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import anyio
from anyio import to_thread

from media_mcp.backends.base import Readiness, Report, Run, Together
from media_mcp.backends.instances import Instance
from media_mcp.backends.local import weights
from media_mcp.backends.local.configuration import Configuration, configuration
from media_mcp.backends.local.installed import Installation
from media_mcp.backends.local.keeping import Keeping, worker_options
from media_mcp.backends.local.needs import unmet
from media_mcp.backends.local.party import Party
from media_mcp.backends.local.pool import Pool
from media_mcp.backends.local.process import WorkerProcess
from media_mcp.backends.local.twins import advised
from media_mcp.backends.local.wire import EXACTLY, said, to_error, to_result, to_wire
from media_mcp.catalog.model import Model
from media_mcp.errors import BackendFailed, MissingExtra, NotConfigured, Refused, WorkerDied
from media_mcp.job import JSON, Quote, Result, Route
from media_mcp.settings import Settings, speed_of
from media_mcp.speed import Choice
from media_mcp.worker import protocol
from media_mcp.worker.protocol import ProtocolError

CANCEL_SECONDS = 20.0
LEAVE_SECONDS = 2.0  # for a step to end, of those that a server has to
OFFLINE = {"HF_HUB_OFFLINE": "1"}
MOST_TOGETHER = 64
MOST_STEPS = 1_000_000_000


def create(settings: Settings, instance: Instance) -> Local:
    """Make the backend for a place; nothing starts before the first job. Raises `BadSettings`."""
    return Local(
        configuration(instance, settings),
        offline=settings.offline or any(own.offline for own in settings.projects.values()),
        speed_of=partial(speed_of, settings),
        hub_loras=settings.allow_hub_loras and not settings.offline,
        remote_code=settings.allow_remote_code,
        keeping=Keeping(settings),
    )


FOREIGN = (
    "Its weights come with Python code of their own, which would run on this machine.",
    "Read that code; then allow_remote_code = true in your own settings lets it run.",
)


@dataclass(slots=True)
class Timing:
    """How long a model's jobs took here so far, in seconds, without the loading of weights."""

    runs: int = 0
    seconds: float = 0.0

    def add(self, seconds: float, result: Result) -> None:
        self.runs += 1
        self.seconds += max(0.0, seconds - float(result.facts.get("load_seconds", 0.0)))

    @property
    def mean(self) -> float | None:
        return self.seconds / self.runs if self.runs else None

    @property
    def words(self) -> str:
        return f"mean of {self.runs} here, once loaded" if self.runs else ""


class Local:
    """Runs pipelines in worker processes on this machine, one for each seat of `place`.

    A worker silent for its `hang_seconds` is ended; one that does not stop within `cancel_seconds`
    of a cancellation is ended, and sooner if the server leaves. `offline`: not even a newer
    revision of weights is looked for. `speed_of` gives the speed settings of a project; `hub_loras`
    lets calls name LoRAs on the hub, and `remote_code` lets cards ask for code that comes with
    their weights; `keeping` says what stays loaded.
    """

    remote = False

    def __init__(
        self,
        place: Configuration | None = None,
        *,
        cancel_seconds: float = CANCEL_SECONDS,
        offline: bool = False,
        speed_of: Callable[[str], Choice] = lambda project: EXACTLY,
        hub_loras: bool = False,
        remote_code: bool = False,
        keeping: Keeping | None = None,
    ) -> None:
        self._place = place = place or Configuration(name="local")
        self.name = place.name
        self.concurrency = len(place.seats)
        self._installation = Installation(place.worker_python, place.needs, place.extra, place.own)
        self._cancel_seconds = cancel_seconds
        self._more = OFFLINE if offline else {}
        self._speed_of = speed_of
        self._hub_loras = hub_loras
        self._remote_code = remote_code
        self._keeping = keeping or Keeping()
        self._pool = Pool(place.seats, self._start, place.idle_seconds)
        self._timings: dict[str, Timing] = {}
        self._parties: dict[Together, Party] = {}

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """The process ids of the workers that live."""
        return tuple(seat.pid for seat in self._pool.seats if seat.pid is not None)

    async def readiness(self) -> Readiness:
        told = await self._installation.readiness(dict(os.environ))
        return Readiness(True, self._place.words) if told.ready else told

    def quote(self, model: Model, route: Route, arguments: Mapping[str, JSON]) -> Quote:
        """Quote a run on this machine, ready if its weights are here; none are fetched for it."""
        told = self._told(route, model)
        timing = self._timings.get(model.id, Timing())
        return Quote(
            self.name,
            low=0.0,
            high=0.0,
            seconds=timing.mean,
            ready=told.ready,
            reason=f"{told.reason} {told.fix}".strip(),
            basis="this machine, free",
            timing=timing.words,
            gpu_seconds=None if route.spec.get("pipeline") == "tools" else timing.mean or 0.0,
        )

    def _told(self, route: Route, model: Model) -> Readiness:
        """Say whether a route can run here, as far as is known."""
        pipeline, known = route.spec.get("pipeline"), self._place.pipelines
        if known and pipeline not in known:
            reason = f"{self.name} runs {', '.join(known)}, not {str(pipeline)[:40]!r}."
            return Readiness(False, reason, "Mend the card, or take another route.")
        if route.spec.get("remote_code") and not self._remote_code:
            return Readiness(False, *FOREIGN)
        told = self._installation.told()
        if not told.ready:
            return told
        environment = self._installation.environment(dict(os.environ))
        ours = self._installation.is_ours
        lacking = unmet(route.spec, environment, self._place.extra, ours=ours)
        if not lacking.ready:
            return lacking
        return weights.readiness(route.spec, environment, model.outputs[0].kind, model.id)

    def warm(self) -> frozenset[str]:
        return self._pool.warm()

    def busy(self) -> frozenset[str]:
        return self._pool.busy()

    def batch(self, model: Model, route: Route, arguments: Mapping[str, JSON]) -> int:
        told = route.spec.get("batch", 1)
        return min(told, MOST_TOGETHER) if type(told) is int else 1

    async def run(self, run: Run) -> Result:
        result, seconds = await self._done(run)
        self._timings.setdefault(run.model.id, Timing()).add(seconds, result)
        return result

    async def warm_up(
        self, run: Run, *, pin: bool | None = None, keep_alive: float | None = None
    ) -> Mapping[str, JSON]:
        """Load what a run would need, and keep it as asked, but make nothing; return the facts."""
        self._keeping.ask(run.model, pin=pin, keep_alive=keep_alive)
        result, _ = await self._done(run, load_only=True)
        return result.facts

    async def _done(self, run: Run, *, load_only: bool = False) -> tuple[Result, float]:
        """Have a worker do it; return the seconds that it took there, too."""
        if run.route.spec.get("remote_code") and not self._remote_code:
            raise Refused(*FOREIGN)
        wire = to_wire(run, self._speed_of(run.project), hub_loras=self._hub_loras)
        spec = {**wire.spec, **self._keeping.of(run)}
        order = _sendable(replace(wire, spec=spec, load_only=load_only))
        party = self._party(run)
        party.join(order)
        try:
            result = await self._attend(party, run)
        finally:
            if party.count == 1:
                self._parties.pop(party.together, None)
            await party.leave(run.job_id)
        return result, perf_counter() - party.started

    def _party(self, run: Run) -> Party:
        """Return the party of its batch, or one of its own."""
        together = run.together or Together([run.job_id])
        if together not in self._parties:
            self._parties[together] = Party(self._pool, run.model.id, together)
        return self._parties[together]

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def _start(self, device: str) -> WorkerProcess:
        """Start a worker. Raises `NotConfigured`, `WorkerDied`."""
        told = await self.readiness()
        if missing := self._installation.missing():
            raise _missing(missing, told, self._place.extra)
        if not told.ready:
            raise NotConfigured(told.reason, told.fix)
        return await WorkerProcess.start(
            self._installation.command,
            self._installation.environment(dict(os.environ)) | self._more,
            device,
            self._place.hang_seconds,
            worker_options(self._place, device, notes=self._keeping.settings is not None),
            self._keeping.board,
        )

    async def _attend(self, party: Party, run: Run) -> Result:
        worker = await party.worker(run)
        try:
            end = await _follow(worker, run)
        except WorkerDied:
            raise
        except BaseException as why:  # cancelled, or a report could not be kept
            leaves = isinstance(why, asyncio.CancelledError) and not run.given_up()
            seconds = min(LEAVE_SECONDS, self._cancel_seconds) if leaves else self._cancel_seconds
            with anyio.CancelScope(shield=True):
                await self._stop(worker, run.job_id, seconds, alone=party.count == 1)
            raise
        finally:
            worker.ignore(run.job_id)
        if isinstance(end, protocol.Failed):
            settings = self._keeping.settings
            error = to_error(end)
            raise await to_thread.run_sync(advised, error, settings, run.model, run.route)
        return to_result(end, run)

    async def _stop(
        self, worker: WorkerProcess, job_id: str, seconds: float, *, alone: bool
    ) -> None:
        """Cancel the job in the worker; end a worker whose step does not end in time.

        Others of its batch are not to suffer: what it still makes of this one is dropped.
        """
        worker.send(protocol.Cancel(job_id))
        if not alone:
            return
        ended = False
        with suppress(TimeoutError, WorkerDied):
            try:
                async with asyncio.timeout(seconds):
                    while not _ends(await worker.receive(job_id), job_id):
                        pass
                ended = True
            finally:  # also where a second cancellation comes meanwhile
                if not ended:
                    await worker.kill()


def _sendable(order: protocol.Run) -> protocol.Run:
    """Return an order. Raises `BackendFailed` for one that is too large to say."""
    try:
        protocol.encode(order)
    except ProtocolError as error:
        raise BackendFailed(
            f"The call cannot be sent to the worker: {error}", "Send shorter arguments."
        ) from None
    return order


async def _follow(worker: WorkerProcess, run: Run) -> protocol.Done | protocol.Failed:
    """Pass on what the worker tells of this job until it ends."""
    while True:
        match await worker.receive(run.job_id):
            case protocol.Progress(run.job_id, step, total) if _counts(step, total):
                await run.report(Report("progress", step, total))
            case protocol.Log(run.job_id, message):
                await run.report(Report("log", message=said(message)))
            case protocol.Done(run.job_id) | protocol.Failed(run.job_id) as end:
                return end


def _counts(step: int, total: int) -> bool:
    """Tell whether a row can hold these numbers of steps."""
    return 0 <= step <= MOST_STEPS and 0 <= total <= MOST_STEPS


def _missing(missing: tuple[str, ...], told: Readiness, extra: str) -> NotConfigured:
    error = MissingExtra(missing[0], extra)
    error.message, error.hint = told.reason, told.fix
    return error


def _ends(message: protocol.FromWorker, job_id: str) -> bool:
    return isinstance(message, protocol.Done | protocol.Failed) and message.job_id == job_id
