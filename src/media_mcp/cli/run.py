"""`media-mcp run`: the way of a tool call, from the command line."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path

import anyio
from anyio import to_thread

from media_mcp.cli.copies import copy_out
from media_mcp.cli.outcome import ExitCode, complain, note
from media_mcp.cli.progress import Progress, progress_for
from media_mcp.cli.result import show_result
from media_mcp.cli.rooms import run_async
from media_mcp.cli.values import arguments_of
from media_mcp.errors import NeedsConsent, Refused
from media_mcp.job import JSON, Caller, Job, JobState
from media_mcp.queue import Submitted
from media_mcp.queue.agreement import ANYTHING
from media_mcp.queue.terms import LOW, NORMAL
from media_mcp.server.app import App, open_app
from media_mcp.server.consent import part_consent
from media_mcp.settings import Settings

INTERRUPTED = "interrupted on the command line"
OUT_OF_TIME = "it took longer than --timeout"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user typed."""

    model: str
    pairs: tuple[str, ...] = ()
    out: Path | None = None
    backend: str = ""
    fresh: bool = False
    low: bool = False
    timeout: float | None = None
    verbose: bool = False
    as_json: bool = False


def run(settings: Settings, wish: Wish) -> int:
    """Run a model, wait, show the result. Raises `MediaError`s of the call."""
    return run_async(partial(_run, settings, wish))


async def _run(settings: Settings, wish: Wish) -> int:
    async with open_app(settings, [Path(Path.cwd().anchor)]) as app:
        submitted = await _submit(app, wish)
        with progress_for(submitted.job, verbose=wish.verbose) as progress:
            job, stopped = await _finish(app, submitted, wish, progress)
        copies = copy_out(job.assets, wish.out)
        show_result(job, copies, submitted.joined, as_json=wish.as_json or not sys.stdout.isatty())
        await app.queue.mark_answered(job.id)
    return _outcome(job, stopped)


async def _submit(app: App, wish: Wish) -> Submitted:
    model = app.catalog.get(wish.model)
    caller = Caller(project=app.settings.project)
    arguments, agreed = part_consent(model, arguments_of(model, wish.pairs))
    order = await app.intake.prepare(model, arguments, caller)
    submit = partial(
        app.intake.submit,
        order,
        caller,
        "cli",
        fresh=wish.fresh,
        backend=wish.backend,
        priority=LOW if wish.low else NORMAL,
    )
    try:
        submitted = await submit(agreed=agreed)
    except NeedsConsent as error:
        submitted = await submit(agreed=await _asked(error))
    if submitted.joined:
        note(f"The same call is known already: this is its job {submitted.job.id}.")
    return submitted


async def _asked(error: NeedsConsent) -> JSON:
    """Return the consent of whoever sits at the terminal. Raises the error where nobody does."""
    if not sys.stdin.isatty():
        raise error
    from typer import confirm

    ask = partial(confirm, f"{error.message} Go on?", err=True)
    if not await to_thread.run_sync(ask, abandon_on_cancel=True):
        raise Refused("Nothing was agreed to; nothing ran and nothing was spent.")
    return ANYTHING


async def _finish(
    app: App, submitted: Submitted, wish: Wish, progress: Progress
) -> tuple[Job, str]:
    """Wait for the job; return it and why it was stopped early, if it was."""
    seconds = inf if wish.timeout is None else wish.timeout
    reason = OUT_OF_TIME
    job = submitted.job

    async def watch() -> None:
        nonlocal reason
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                reason = INTERRUPTED
                group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        job = await app.queue.wait(job.id, job.caller, seconds, progress.tell)
        group.cancel_scope.cancel()
    if job.state.terminal:
        return job, ""
    if submitted.joined:  # somebody else's call waits for it too
        return await app.queue.get(job.id, job.caller), reason
    return await app.queue.cancel(job.id, job.caller, reason), reason


def _outcome(job: Job, stopped: str) -> ExitCode:
    if job.failure:
        complain(job.failure.message, job.failure.hint)
    elif stopped and not job.state.terminal:
        complain(f"Stopped waiting: {stopped}.", f"The job goes on: media-mcp jobs {job.id}")
    elif job.state is JobState.CANCELLED:
        complain(f"Job {job.id} was cancelled: {stopped or job.message or 'by another call'}.")
    if stopped == INTERRUPTED:
        return ExitCode.INTERRUPTED
    return ExitCode.OK if job.state is JobState.SUCCEEDED else ExitCode.FAILED
