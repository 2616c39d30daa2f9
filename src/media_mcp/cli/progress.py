"""Shows how a job gets on: a bar on a terminal, lines when asked for, else nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from media_mcp.cli.outcome import note
from media_mcp.job import Job

if TYPE_CHECKING:
    from rich.progress import Progress as Bars


class Progress(Protocol):
    """Hears of each change of a job."""

    async def tell(self, job: Job) -> None: ...


@contextmanager
def progress_for(job: Job, *, verbose: bool) -> Iterator[Progress]:
    """Yield what shows the job's progress on standard error, in the way that fits there."""
    if verbose:
        yield Lines()
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield Bar(bars, job)
    else:
        yield Silence()


class Silence:
    async def tell(self, job: Job) -> None:
        """Say nothing: a program is listening."""


class Lines:
    """A line for each change that says something new."""

    def __init__(self) -> None:
        self._last = ""

    async def tell(self, job: Job) -> None:
        line = words(job)
        if line != self._last:
            self._last = line
            note(line)


class Bar:
    """A bar over the steps."""

    def __init__(self, bars: Bars, job: Job) -> None:
        self._bars = bars
        self._task = bars.add_task(_state(job), total=None)

    async def tell(self, job: Job) -> None:
        self._bars.update(
            self._task, description=_state(job), completed=job.step or 0, total=job.total
        )


def words(job: Job) -> str:
    """Return `model: running, step 3 of 20` or what the job last said."""
    if job.step is not None and job.total:
        return f"{job.model}: {job.state}, step {job.step} of {job.total}"
    return f"{job.model}: {job.state}" + (f", {job.message}" if job.message else "")


def _state(job: Job) -> str:
    return f"{job.model}: {job.state}"


def _bars() -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
