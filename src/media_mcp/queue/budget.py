"""What jobs may cost: the limits that hold for a caller, and what a job sets aside of them.

A job sets aside the most it was quoted for, in the transaction that writes its row; at its end that
becomes what it did cost. So what is spent and what is set aside never go over a limit, however many
servers take jobs for one data folder at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from media_mcp.errors import OverBudget, TooMany
from media_mcp.job import Caller, Job, Quote
from media_mcp.settings import FILE_NAME, Settings
from media_mcp.tables import Budget

Unit = Literal["usd", "gpu_seconds"]
DAY_SECONDS = 86_400
_OPEN: dict[Unit, str] = {
    "usd": "",
    "gpu_seconds": "A job that nobody knows the length of sets aside gpu_seconds_if_unknown, or "
    "else all that is left until it ends. ",
}
OVERTIME = 1.5  # times what was set aside
AT_ONCE_SECONDS = 5.0  # after which it is worth asking whether a job has ended


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` (US dollars or GPU-seconds) for the jobs of an owner or a project, or of all.

    `since` is where the day began (Unix seconds), None for a limit of all days. `setting` is the
    name of what sets it: `projects.films.budget.usd_per_day`.
    """

    unit: Unit
    most: float
    setting: str
    owner: str | None = None
    project: str | None = None
    since: float | None = None

    def check(self, used: float, need: float) -> None:
        """Raise `OverBudget` if what is spent and set aside leaves less than a job needs."""
        left = max(0.0, self.most - used)
        if need <= left and left > 0:
            return
        raise OverBudget(
            f"It may cost {amount(need, self.unit)}, and {amount(left, self.unit)} "
            f"of {self.setting} = {self.most:g} is left{self._today}.",
            f"{self._later}{_OPEN[self.unit]}Only {FILE_NAME} can allow more. "
            "quote and find_models(max_price=…) show what costs less.",
        )

    @property
    def _today(self) -> str:
        return "" if self.since is None else " today"

    @property
    def _later(self) -> str:
        if self.since is None:
            return ""
        ends = datetime.fromtimestamp(self.since + DAY_SECONDS, UTC)
        return f"A new day begins at {ends:%Y-%m-%d %H:%M} UTC. "


@dataclass(frozen=True, slots=True)
class Need:
    """What a job sets aside, in US dollars and GPU-seconds, and the limits it has to keep to.

    None for GPU-seconds: it runs on no device of ours; 0: nobody knows how long it will. Then, if
    `open_ended`, it sets aside all that is left. `ran` are GPU-seconds that earlier tries took.
    `at_once` and `per_minute` are how many jobs its caller may have and may make.
    """

    usd: float = 0.0
    gpu_seconds: float | None = None
    limits: tuple[Limit, ...] = ()
    at_once: int | None = None
    per_minute: int | None = None
    open_ended: bool = False
    ran: float = 0.0

    def after(self, usd: float, gpu_seconds: float = 0.0) -> Need:
        """Return what is set aside in all, once earlier tries have taken so much."""
        return replace(self, usd=self.usd + usd, ran=self.ran + gpu_seconds)

    def seconds(self, left: Sequence[float]) -> float:
        """Return the GPU-seconds to set aside, where limits of them leave so many."""
        known = (self.gpu_seconds or 0.0) + self.ran
        return min(left, default=known) if self.open_ended else known

    def binding(self) -> Iterator[tuple[Limit, float]]:
        """Yield the limits that concern this job, with what it needs of them: not those of money
        for what is free, nor those of devices for what runs elsewhere.
        """
        for limit in self.limits:
            if limit.unit == "usd" and self.usd:
                yield limit, self.usd
            elif limit.unit == "gpu_seconds" and self.gpu_seconds is not None:
                yield limit, self.gpu_seconds + self.ran


def need(settings: Settings, caller: Caller, quote: Quote, now: float) -> Need:
    """Return what a job sets aside.

    Raises `OverBudget` for a job whose price nobody knows, where money is limited and nothing says
    what to count it as.
    """
    limits = tuple(_limits(settings, caller, now))
    money = [limit for limit in limits if limit.unit == "usd"]
    usd = quote.high
    if usd is None and money:
        usd = _if_unknown(settings, caller, "usd")
        if usd is None:
            raise _of_unknown_price(quote, money[0])
    at_once, per_minute = (
        _most(settings, caller, name) for name in ("jobs_at_once", "jobs_per_minute")
    )
    held, open_ended = quote.gpu_seconds, False
    if held == 0 and any(limit.unit == "gpu_seconds" for limit in limits):
        told = _if_unknown(settings, caller, "gpu_seconds")
        held, open_ended = told or 0.0, not told
    return Need(usd or 0.0, held, limits, at_once, per_minute, open_ended)


def pace(settings: Settings, caller: Caller) -> Need:
    """Return what a job that costs nothing, for it never runs, keeps to: how many a minute."""
    return Need(per_minute=_most(settings, caller, "jobs_per_minute"))


def _most(settings: Settings, caller: Caller, name: str) -> int | None:
    """Return a limit of the caller's own, or else that of all."""
    own = settings.callers.get(caller.owner)
    told = [getattr(own.limits, name)] if own else []
    found: list[int | None] = [*told, getattr(settings.limits, name)]
    return next((most for most in found if most is not None), None)


def too_many_at_once(most: int) -> TooMany:
    """Return the error for a caller who has as many jobs as they may."""
    return TooMany(
        f"You have {most} jobs that are not over, which is the most (jobs_at_once).",
        "Wait for one of them with get_job, or cancel one.",
        retry_after=AT_ONCE_SECONDS,
    )


def too_many_a_minute(most: int, wait: float) -> TooMany:
    """Return the error for a caller who made as many jobs as they may in a minute."""
    seconds = max(1, math.ceil(wait))
    return TooMany(
        f"You made {most} jobs in the last minute, which is the most (jobs_per_minute).",
        f"Try again in {seconds} s.",
        retry_after=seconds,
    )


def _limits(settings: Settings, caller: Caller, now: float) -> Iterator[Limit]:
    """Yield the limits of all jobs, of the caller's project and of the caller, in this order."""
    yield from _of("budget", settings.budget, now)
    if table := settings.projects.get(caller.project):
        name = f"projects.{caller.project}.budget"
        yield from _of(name, table.budget, now, project=caller.project)
    if rules := settings.callers.get(caller.owner):
        yield from _of(f"callers.{caller.owner}.budget", rules.budget, now, owner=caller.owner)


def _of(
    table: str,
    budget: Budget,
    now: float,
    *,
    owner: str | None = None,
    project: str | None = None,
) -> Iterator[Limit]:
    units: tuple[Unit, ...] = ("usd", "gpu_seconds")
    for unit in units:
        for name, since in ((f"{unit}_per_day", day_of(now)), (unit, None)):
            most = getattr(budget, name)
            if most is not None:
                yield Limit(unit, most, f"{table}.{name}", owner, project, since)


def _if_unknown(settings: Settings, caller: Caller, unit: Unit) -> float | None:
    """Return what a job of unknown price, or length, counts as; the caller's own word first."""
    project, own = settings.projects.get(caller.project), settings.callers.get(caller.owner)
    tables = [own and own.budget, project and project.budget, settings.budget]
    told = [getattr(table, f"{unit}_if_unknown") for table in tables if table]
    found: Iterator[float] = (most for most in told if most is not None)
    return next(found, None)


def _of_unknown_price(quote: Quote, limit: Limit) -> OverBudget:
    table = limit.setting.rpartition(".")[0]
    return OverBudget(
        f"Nobody knows what it costs on {quote.backend}, and {limit.setting} = {limit.most:g} "
        "limits what may be spent.",
        f"Take a model with a price, or have {table}.usd_if_unknown in {FILE_NAME} say what such a "
        "job counts as.",
    )


def overrun(job: Job, cost: float | None) -> tuple[str, ...]:
    """Say that a job has cost more than it was quoted; what time on a device of ours does not."""
    if (
        job.gpu_quoted is not None
        or not cost
        or job.quoted is None
        or cost <= job.quoted * 1.001 + 1e-6
    ):
        return ()
    told = f"{amount(cost, 'usd')}, more than the {amount(job.quoted, 'usd')} it was quoted"
    return (f"{job.route.backend} billed {told}.",)


def overtime(job: Job, seconds: float, limits: Sequence[Limit]) -> tuple[str, ...]:
    """Say that a job held a device for far longer than it had set aside, where that is limited."""
    limited = min(
        (limit for limit in limits if limit.unit == "gpu_seconds"), key=_most_of, default=None
    )
    aside = job.gpu_quoted or (limited.most if limited else 0.0)
    if limited is None or seconds <= aside * OVERTIME:
        return ()
    told = f"{amount(seconds, 'gpu_seconds')}, and {amount(aside, 'gpu_seconds')} were set aside"
    return (f"It took {told}; all of it counts against {limited.setting}.",)


def _most_of(limit: Limit) -> float:
    return limit.most


def day_of(now: float) -> float:
    """Return when the UTC day of a moment began, in Unix seconds."""
    return now - now % DAY_SECONDS


def amount(value: float, unit: Unit) -> str:
    """Write an amount for people: `$0.04`, `$0.0013`, `90 GPU-seconds`."""
    if unit == "gpu_seconds":
        return f"{value:.0f} GPU-seconds"
    return f"${value:.2f}" if value >= 0.01 or value == 0 else f"${value:.4f}"
