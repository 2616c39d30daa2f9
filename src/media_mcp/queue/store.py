"""The port: what keeps the jobs. The queue and the record are one table: they cannot disagree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from media_mcp.backends.base import Report
from media_mcp.job import JSON, Asset, Caller, Event, Failure, Job, JobState, Route
from media_mcp.queue.budget import Limit, Need
from media_mcp.queue.holdings import Holdings


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

    An `exact` key (the caller's own) joins whatever became of the job, for `KEY_SECONDS` and as
    long as it is under way; else the job must still be under way, or have succeeded without its
    answer reaching the caller.
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
class Wish:
    """Which jobs a backend takes first, of one caller's and of the same rank.

    Those made before `overdue` (Unix seconds), then those of models in `warm`; those in `busy` come
    last. Between callers that decides only as far as turns let it. With a `mate`, only those of its
    priority that can run as one batch with it, in order of arrival.
    """

    warm: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    overdue: float = 0.0
    mate: Job | None = None


ANY = Wish()


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a submit: its job, whether that is an earlier one, and the claim if taken.

    `ahead` is how many jobs go before a new one.
    """

    job: Job
    joined: bool = False
    claim: Claim | None = None
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, all of it written in one transaction. `reports` are the last unsaid.

    `gpu_seconds` is how long the job has held a device, over all attempts; `unsure` says that it
    may be billed and that nobody knows. `seed` replaces the job's, where what is kept was made
    with another.
    """

    state: JobState
    assets: tuple[Asset, ...] = ()
    facts: Mapping[str, JSON] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    cost: float | None = None
    failure: Failure | None = None
    message: str = ""
    reports: Sequence[Report] = ()
    gpu_seconds: float = 0.0
    unsure: bool = False
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Detour:
    """Another route for a job whose route failed, which is `tried` (its key).

    `quoted` is in US dollars; `why_route` is for the caller, `why` tells the failure in full and
    `need` is what it sets aside: without it, what was quoted. `batch` is as in `Job`.
    """

    route: Route
    quoted: float | None
    why_route: str
    why: str
    tried: str
    need: Need | None = None
    batch: str | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """A second try of a running job, whose first came to nothing.

    `seed` is that of the second; `need` is what it sets aside on top of `cost`, which the first
    had (US dollars; None: as much as was set aside for it). `gpu_seconds` is how long the job has
    held a device by now.
    """

    seed: int
    need: Need
    cost: float | None
    gpu_seconds: float = 0.0


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


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that an owner brought. `name` is that of its URL, where it got one before its bytes.

    `expires_at` is Unix seconds; None: it is kept. `size` is in bytes.
    """

    uri: str
    owner: str
    name: str | None = None
    expires_at: float | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """The right to tell a webhook of a job's end. `attempt` begins with 1."""

    number: int
    attempt: int
    job: Job


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a delivery. `answer` says it in words; `again_at` is when to try once more."""

    delivered: bool
    answer: str
    again_at: float | None = None


KEY_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Tally:
    """How many jobs of each route are queued and running, what each route has cost (US dollars and
    GPU-seconds), and what is set aside.
    """

    unfinished: Mapping[tuple[str, str], int]
    spent: Mapping[str, tuple[float, float]]
    reserved: float


class Store(Protocol):
    """Where jobs live. Every method is one transaction; `StorageFailed` says the disk would not.

    Methods that take a `Claim` raise `Stale` once that claim is no longer the job's.
    """

    instance: Instance
    holdings: Holdings

    async def open(self) -> None:
        """Make or migrate the tables and register the instance."""

    async def aclose(self) -> None: ...

    async def add(
        self,
        job: Job,
        inputs: Sequence[Asset],
        join: Join | None,
        *,
        take: bool = False,
        need: Need | None = None,
    ) -> Added:
        """Write a queued job, its reservation and first event; or return the job it joins.

        It sets `need` aside, or what it was quoted for. Raises `OverBudget`, writing nothing, where
        a limit leaves less, `TooMany` where its caller has as many jobs as they may, and `Full`
        where it would have to wait and no place for that is left.
        With `take`, a job that would be next anyway is claimed in the same transaction. A job that
        was refused as it came is written with its end.
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
        """Return how many queued jobs go first on the same backend; None unless queued.

        That is by rank, by the callers' turns, and within a caller's jobs by arrival.
        """

    async def waiting(self) -> dict[tuple[str, str], int]:
        """Return how many jobs wait, anybody's, by backend and model."""

    async def queued_count(self, model: str) -> int:
        """Return how many jobs of a model wait, anybody's."""

    async def claim(self, backend: str, wish: Wish = ANY, most: int = 1) -> list[Claim]:
        """Take the next jobs of `backend`: by rank, then as callers take turns (see `Terms`), and
        of a caller's by the wish, the oldest first.

        The rank is the priority, until a job has waited for long and rises to the highest. What
        would break a cap is passed over.
        """

    async def report(self, claim: Claim, reports: Sequence[Report]) -> Job:
        """Write reports to the row and its events; an empty `remote` one forgets the remote id."""

    async def end(self, claim: Claim, ending: Ending) -> Job: ...

    async def retry(
        self,
        claim: Claim,
        why: str,
        reports: Sequence[Report],
        gpu_seconds: float = 0.0,
        need: Need | None = None,
    ) -> Job:
        """Queue the job again, one attempt spent; cancelled if that was asked meanwhile.

        `gpu_seconds` is how long it has held a device so far; `need` is what it sets aside beside
        that from now on, if not the same as before. Raises `OverBudget`, writing nothing, where a
        limit leaves less.
        """

    async def reroute(
        self, claim: Claim, detour: Detour, reports: Sequence[Report], gpu_seconds: float = 0.0
    ) -> Job:
        """Queue the job again on another route, none of whose attempts is spent.

        What the route before knew (the remote id) is forgotten. Cancelled if that was asked. It
        sets aside what the detour needs; raises `OverBudget`, writing nothing, where a limit leaves
        less.
        """

    async def again(self, claim: Claim, again: Again) -> Job:
        """Set aside what a second try needs and have the row tell of that try, not of the first.

        Its `cost` is that of the first from now on. Raises `OverBudget`, writing nothing, where a
        limit leaves less.
        """

    async def cancel(self, job_id: str, owner: str, reason: str) -> Cancelling | None: ...

    async def answered(self, job_id: str) -> None: ...

    async def time_out(self) -> list[Job]:
        """End queued jobs that were to start by now as failed; no claim takes such a job."""

    async def owns(self, owner: str, uri: str) -> bool:
        """Tell whether an asset is an upload of the owner's, or of one of their jobs, in time."""

    async def holders(self, uri: str) -> list[str]:
        """Return who has an upload or output of this content whose time is not over."""

    async def keep_upload(self, upload: Upload) -> str:
        """Write an upload and return its URI; that of the earlier one whose name it has, if any."""

    async def upload(self, name: str) -> Upload | None:
        """Return the upload called `name`, unless its time is over."""

    async def expiring(self) -> list[tuple[str, str]]:
        """Return owners and their assets whose time was over since they were last looked at."""

    async def checked(self, owner: str, uri: str, again: float | None = None) -> None:
        """Note that an expiring asset was looked at; `again` is when to look once more."""

    async def next_due(self) -> float | None:
        """Return when the next job times out or the next asset expires."""

    async def take_webhooks(self, most: int, hold: float) -> list[Delivery]:
        """Take webhooks that are due; each is due again after `hold` seconds without a word."""

    async def told(self, delivery: Delivery, how: Told) -> None: ...

    async def next_webhook(self) -> float | None:
        """Return when the next webhook is due."""

    async def assets(
        self, owner: str, *, limit: int = 50, before: str | None = None
    ) -> list[Asset]:
        """Return what the owner's jobs made, newest first, older than the asset `before`."""

    async def spend(self, owner: str) -> dict[str, Any]: ...

    async def left(self, limits: Sequence[Limit]) -> dict[str, float]:
        """Return what is left of each limit, by the name of its setting."""

    async def tally(self) -> Tally:
        """Return what is so at the moment, over all callers."""

    async def unbalanced(self) -> list[str]:
        """Return the ids of jobs whose lines in the ledger do not add up: none."""

    async def durations(self, model: str, backend: str, limit: int = 20) -> list[float]:
        """Return the seconds that the latest successes of a model on a backend took, anybody's."""

    async def beat(self) -> None:
        """Say that this instance lives."""

    async def leave(self) -> list[Job]:
        """Queue again what this instance holds, no attempt spent, and sign it off."""

    async def recover(self, dead: Callable[[Instance], bool], attempts: int) -> list[Job]:
        """Queue again what dead instances hold, or end it as lost once `attempts` are spent."""

    async def changes(self) -> list[Change]:
        """Return what other processes changed since the last call."""
