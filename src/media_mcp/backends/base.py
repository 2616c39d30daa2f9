"""The port: what a place that runs jobs offers. A backend never knows the queue that drives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import anyio

from media_mcp.catalog.model import Model
from media_mcp.job import JSON, Asset, Quote, Result, Route


@dataclass(frozen=True, slots=True)
class Report:
    """What a running job tells: a step (`step` of `total`), a log line, or a remote id to keep.

    A `remote` report must be awaited before the backend waits on anything else: once it returns,
    `message` (the remote request id) is on disk, and a restart re-attaches instead of paying twice.
    """

    kind: Literal["progress", "log", "remote"]
    step: int | None = None
    total: int | None = None
    message: str = ""


class Together:
    """Which jobs of a batch come to the backend: each says that it has come, or never will."""

    def __init__(self, jobs: Iterable[str]) -> None:
        self.jobs = frozenset(jobs)
        self._open = set(self.jobs)
        self._decided = anyio.Event()

    def decide(self, job_id: str) -> None:
        """Note that a job has come, or that it will not."""
        self._open.discard(job_id)
        if not self._open:
            self._decided.set()

    async def decided(self) -> None:
        """Wait until all of them are."""
        await self._decided.wait()


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt at one job.

    `arguments` are validated and hold every default; media arguments hold `media://` URIs, and
    `inputs` maps each such URI to its checked asset. Outputs go into `folder`. `remote_id` is what
    an earlier attempt reported. `given_up` is for a run that is cancelled: true if nobody wants the
    job any more, so that work elsewhere must be stopped too; false if only this process leaves it,
    and another attempt will take that work up. `project` is whose job it is, for its own settings.
    `tries` is 2 where the first try made nothing of use and this one has another seed.
    Runs with the same `together` are to be done as one batch. One that is to run `once` takes up
    what an earlier attempt began, and begins nothing anew after that.
    """

    job_id: str
    attempt: int
    model: Model
    route: Route
    arguments: Mapping[str, JSON]
    seed: int
    make_folder: Callable[[], Path]
    report: Callable[[Report], Awaitable[None]]
    inputs: Mapping[str, Asset] = field(default_factory=dict)
    remote_id: str | None = None
    given_up: Callable[[], bool] = lambda: True
    project: str = ""
    tries: int = 1
    together: Together | None = None
    once: bool = False

    @property
    def folder(self) -> Path:
        """The attempt's own folder: made empty when it is first asked for, removed afterwards.

        Raises `StorageFailed` where the disk takes no folder.
        """
        return self.make_folder()


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a backend can run jobs now; if not, `reason` says why and `fix` what mends it.

    Of one that can, `reason` may say with what.
    """

    ready: bool
    reason: str = ""
    fix: str = ""


class Backend(Protocol):
    """A place where jobs run.

    `run` is cancelled by cancelling the task that awaits it: it must stop the work (a denoising
    step at most later), then let the cancellation through, or tell what became of a request that
    a place elsewhere had begun. It raises `errors.BackendFailed` (with
    `retryable`) or another `errors.MediaError`; any other exception is a bug of the backend.
    `concurrency` is how many jobs it takes at once; `warm` names the model ids that are loaded, so
    that the dispatcher can serve those first. `remote` says whether what a job brings leaves this
    machine: the rules that keep it here go by that.
    """

    name: str
    concurrency: int
    remote: bool

    async def readiness(self) -> Readiness: ...

    def quote(self, model: Model, route: Route, arguments: Mapping[str, JSON]) -> Quote: ...

    async def run(self, run: Run) -> Result: ...

    def warm(self) -> frozenset[str]: ...

    async def aclose(self) -> None: ...


@runtime_checkable
class Crew(Protocol):
    """A backend whose several workers each hold models, so that it matters who does which job.

    Its `warm` names the models that are loaded where nothing runs, and `busy` those that are loaded
    only where something does: their jobs are left for that worker as long as there are others of
    the same priority, so that no model is loaded twice while another waits to be loaded once.
    """

    def busy(self) -> frozenset[str]: ...


@runtime_checkable
class Batching(Protocol):
    """A backend that runs several jobs as one, where their calls differ in what varies freely.

    `batch` is how many it takes together of calls like this one; 1: each alone. Runs that are to go
    together come with the same `Run.together`; each ends for itself, as any run does.
    """

    def batch(self, model: Model, route: Route, arguments: Mapping[str, JSON]) -> int: ...


@runtime_checkable
class Stopping(Protocol):
    """A backend whose work goes on elsewhere without us, and can be stopped there by its id.

    `stop` does so for a job that no attempt holds; it is bounded, and silent about what comes of
    it.
    """

    async def stop(self, model: Model, route: Route, remote_id: str) -> None: ...
