"""The port: what keeps the jobs. The queue and the record are one table: they cannot disagree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from media_mcp.backends.base import Report
from media_mcp.errors import BadInput
from media_mcp.job import JSON, Asset, Caller, Event, Failure, Job, JobState


class Stale(Exception):
    """The claim was taken away: another attempt owns the job now, and this write was refused."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A process that runs jobs. `heartbeat` is Unix seconds; `started` tells a reused pid apart."""

    id: str
    pid: int
    host: str
    started: str
    heartbeat: float = 0.0


@dataclass(frozen=True, slots=True)
class Join:
    """How a submit finds an earlier job that it repeats.

    An `exact` key (the caller's own) joins whatever became of the job, for `KEY_SECONDS`; else the
    job must still be under way, or have succeeded without its answer reaching the caller.
    `fingerprint` is of what was asked; an exact key with another fingerprint is refused.
    """

    key: str
    fingerprint: str
    exact: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run one attempt at a job: every later write must show it.

    `number` is the row's own number; `spent` counts earlier attempts that ended badly.
    """

    number: int
    job: Job
    instance: str
    spent: int
    inputs: Mapping[str, Asset] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a submit: its job, whether that is an earlier one, and the claim if taken."""

    job: Job
    joined: bool = False
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, all of it written in one transaction. `reports` are the last unsaid."""

    state: JobState
    assets: tuple[Asset, ...] = ()
    facts: Mapping[str, JSON] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    cost: float | None = None
    failure: Failure | None = None
    message: str = ""
    reports: Sequence[Report] = ()


@dataclass(frozen=True, slots=True)
class Cancelling:
    """What a request to cancel met: the job after it, and whether it changed or runs here."""

    job: Job
    changed: bool = False
    here: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A change that another process wrote. `cancel` is why it asks us to stop a job we run."""

    job: Job
    state: bool
    cancel: str | None = None


KEY_SECONDS = 24 * 3600.0


class Store(Protocol):
    """Where jobs live. Every method is one transaction; `StorageFailed` says the disk would not.

    Methods that take a `Claim` raise `Stale` once that claim is no longer the job's.
    """

    instance: Instance

    async def open(self) -> None:
        """Make or migrate the tables and register the instance."""

    async def aclose(self) -> None: ...

    async def add(
        self, job: Job, inputs: Sequence[Asset], join: Join | None, *, take: bool = False
    ) -> Added:
        """Write a queued job, its reservation and first event; or return the job it joins.

        With `take`, a job that would be next anyway is claimed in the same transaction.
        """

    async def find(self, caller: Caller, join: Join) -> Job | None:
        """Return the job that a submit with `join` would join."""

    async def get(self, job_id: str, owner: str | None = None) -> Job | None: ...

    async def jobs(
        self,
        owner: str,
        *,
        state: JobState | None = None,
        model: str | None = None,
        limit: int = 20,
        before: str | None = None,
    ) -> list[Job]:
        """Return the owner's jobs, newest first, older than the job `before`."""

    async def events(self, job_id: str, after: int = 0) -> list[Event]: ...

    async def position(self, job_id: str) -> int | None:
        """Return how many queued jobs go first on the same backend; None unless queued."""

    async def claim(self, backend: str, warm: frozenset[str], overdue: float) -> Claim | None:
        """Take the next job of `backend`: by priority, then made before `overdue`, warm, oldest."""

    async def report(self, claim: Claim, reports: Sequence[Report]) -> Job:
        """Write reports to the row and its events; an empty `remote` one forgets the remote id."""

    async def end(self, claim: Claim, ending: Ending) -> Job: ...

    async def retry(self, claim: Claim, why: str, reports: Sequence[Report]) -> Job:
        """Queue the job again, one attempt spent; cancelled if that was asked meanwhile."""

    async def cancel(self, job_id: str, owner: str, reason: str) -> Cancelling | None: ...

    async def answered(self, job_id: str) -> None: ...

    async def owns(self, owner: str, uri: str) -> bool: ...

    async def assets(
        self, owner: str, *, limit: int = 50, before: str | None = None
    ) -> list[Asset]:
        """Return what the owner's jobs made, newest first, older than the asset `before`."""

    async def spend(self, owner: str) -> dict[str, Any]: ...

    async def beat(self) -> None:
        """Say that this instance lives."""

    async def leave(self) -> list[Job]:
        """Queue again what this instance holds, no attempt spent, and sign it off."""

    async def recover(self, dead: Callable[[Instance], bool], attempts: int) -> list[Job]:
        """Queue again what dead instances hold, or end it as lost once `attempts` are spent."""

    async def changes(self) -> list[Change]:
        """Return what other processes changed since the last call."""


def key_reused(job_id: str) -> BadInput:
    """Return the error for a key that came back with another request."""
    return BadInput(
        f"This idempotency key was used for another request (job {job_id}).",
        "Send a new key with a new request, or the same arguments with this one.",
    )


def lost(job: Job, spent: int, attempts: int) -> Failure:
    """Return why a job whose server died is lost, with what is known of it."""
    reached = f" at step {job.step} of {job.total}" if job.step is not None else ""
    remote = f" Its id at the backend is {job.remote_id}." if job.remote_id else ""
    return Failure(
        "lost",
        f"The server that ran it on {job.route.backend} died{reached}, in attempt {spent} of "
        f"{attempts}.{remote}",
        "Run it again with fresh: true; if the server dies again, look at its log.",
    )
