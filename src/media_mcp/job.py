"""The words everyone shares, as value objects. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from pathlib import Path
from typing import Any, Literal

JSON = Any  # what json.loads returns
Arguments = Mapping[str, JSON]


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def terminal(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


class MediaKind(StrEnum):
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"
    MODEL3D = "model3d"
    FILE = "file"


Scope = Literal["read", "run", "admin"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `owner` keeps one caller's jobs and assets from another's.

    `scope` is what they may do: `read` sees only their own jobs and assets, `run` also makes and
    cancels jobs, `admin` also watches the server. `key` is what they showed to be let in: the id of
    a key, or what kind of thing else; empty where nothing was asked for, on their own machine.
    Neither is a part of who they are.
    """

    owner: str = "local"
    project: str = "default"
    scope: Scope = field(default="admin", compare=False)
    key: str = field(default="", compare=False)

    @property
    def may_run(self) -> bool:
        return self.scope != "read"


Certainty = Literal["exact", "listed", "estimated", "unknown"]


@dataclass(frozen=True, slots=True)
class PriceCase:
    """The amounts that hold when every condition of `when` does (see `catalog/pricing.py`)."""

    when: Mapping[str, JSON]
    amount: float
    first: float | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """What one `unit` costs in US dollars (0 for a machine of one's own), and how sure we are.

    `first` is what the first unit costs where it differs from the others; of `cases`, the first
    that fits the arguments replaces both. `as_of` is the date (`2026-07` or `2026-07-26`) of the
    evidence; `note` says in a few words what the rule cannot. `exact` comes from the place that
    bills, `listed` from its own pages, `estimated` from others' reports.
    """

    amount: float
    unit: str
    certainty: Certainty = "listed"
    as_of: str = ""
    first: float | None = None
    cases: tuple[PriceCase, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """One way to run a model: the backend's name and whatever that backend needs (`spec`).

    `licence` is that of the weights where it differs from the model's.
    """

    backend: str
    spec: Mapping[str, JSON] = field(default_factory=dict)
    price: Price | None = None
    licence: str = ""

    @property
    def ours(self) -> bool:
        """Whether a worker on one's own machine runs it: it says by which pipeline."""
        return "pipeline" in self.spec


@dataclass(frozen=True, slots=True)
class Quote:
    """What a job would cost (US dollars) and take (seconds) on one route, before it runs.

    `None` means unknown and is said, never guessed. `ready` is false, with a reason that names the
    next step, when the route cannot run now. `basis` says in words how the price came about and
    `timing` the seconds; `certainty` and `as_of` are those of the price, `licence` the route's own.
    `gpu_seconds` is how long it would hold a device of this machine: None if it holds none, 0 where
    nobody knows.
    """

    backend: str
    low: float | None
    high: float | None
    seconds: float | None = None
    ready: bool = True
    reason: str = ""
    basis: str = ""
    timing: str = ""
    gpu_seconds: float | None = None
    certainty: Certainty = "unknown"
    as_of: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Asset:
    """Stored media. `uri` is `media://<sha256>.<ext>`; sizes in bytes, pixels and seconds.

    `removed` says when and why its file went (`on 2026-11-30 by retention`), if it did; what is
    `pinned` stays.
    """

    uri: str
    path: Path
    kind: MediaKind
    mime_type: str
    size: int
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    role: str = ""
    removed: str = ""
    pinned: bool = False

    @property
    def sha256(self) -> str:
        return self.uri.removeprefix("media://").partition(".")[0]


@dataclass(frozen=True, slots=True)
class Output:
    """A file a backend made, before the media room has looked at it."""

    path: Path
    role: str
    mime_type: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a backend hands back. `facts` goes to the caller as it is (seed, timings, text).

    `cost` is in US dollars, None where it is not known, or what was told is no amount.
    """

    outputs: tuple[Output, ...]
    facts: Mapping[str, JSON] = field(default_factory=dict)
    cost: float | None = 0.0

    def __post_init__(self) -> None:
        if self.cost is not None and not 0 <= self.cost < inf:  # no bill says that, nor NaN
            object.__setattr__(self, "cost", None)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job; `seq` grows by one within it. `at` is Unix seconds."""

    job_id: str
    seq: int
    at: float
    kind: Literal["state", "progress", "log", "remote"]
    step: int | None = None
    total: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job ended badly, in the words of `errors`, kept in its row."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to tell of a job's end. `base` is the address that its files' URLs begin with."""

    url: str
    base: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One invocation of a model. The row in the store is the truth; this is a reading of it.

    Unless it starts by `start_by` (Unix seconds) it fails. Of a `private` one, arguments and logs
    are gone once it has ended. `lifetime` is how many seconds its outputs are kept after that.
    `pinned`: its caller named the backend, so no other is tried; `tried` are the keys of the routes
    that failed before this one. One that is to run `once` is not tried again when it fails.
    `gpu_quoted` is as in `Quote`; `gpu_seconds` is how long it has held a device so far. Jobs with
    the same `batch` can run as one; one without runs alone.
    `inline`: pictures that it makes are to be part of its result. `request` is the id of the call
    that made it, and `trace` the W3C traceparent of that call, each empty where there was none.
    """

    id: str
    model: str
    state: JobState
    caller: Caller
    arguments: Arguments
    route: Route
    seed: int | None
    door: str
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    attempt: int = 0
    priority: int = 0
    step: int | None = None
    total: int | None = None
    message: str = ""
    why_route: str = ""
    remote_id: str | None = None
    assets: tuple[Asset, ...] = ()
    facts: Mapping[str, JSON] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    cost: float | None = None
    quoted: float | None = None
    failure: Failure | None = None
    parents: tuple[str, ...] = ()
    start_by: float | None = None
    private: bool = False
    lifetime: float | None = None
    webhook: Webhook | None = None
    pinned: bool = False
    tried: tuple[str, ...] = ()
    once: bool = False
    batch: str | None = None
    gpu_quoted: float | None = None
    gpu_seconds: float = 0.0
    inline: bool = False
    request: str = ""
    trace: str = ""

    @property
    def seconds(self) -> float | None:
        """Wall seconds from the first start to the end, once both are known."""
        if self.started_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.started_at
