"""`media-mcp jobs` and `cancel`: what was asked for and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from media_mcp.catalog.catalog import Catalog
from media_mcp.cli.outcome import ExitCode, complain
from media_mcp.cli.result import result_facts, size_words
from media_mcp.cli.rooms import reading, run_async
from media_mcp.cli.text import clean, facts, say, say_json, table
from media_mcp.job import JSON, Caller, Event, Job, JobState
from media_mcp.settings import Settings


def list_jobs(settings: Settings, state: str | None, limit: int, as_json: bool) -> int:
    """Print the newest jobs."""
    return run_async(partial(_list, settings, state, limit, as_json))


def show_job(settings: Settings, job_id: str, as_json: bool) -> int:
    """Print one job and its events. Raises `NotFound`."""
    return run_async(partial(_one, settings, job_id, as_json))


def cancel_job(settings: Settings, job_id: str, as_json: bool) -> int:
    """Cancel a job and print what it is now; 1 is returned if it was over or goes on."""
    return run_async(partial(_cancel, settings, job_id, as_json))


async def _list(settings: Settings, state: str | None, limit: int, as_json: bool) -> int:
    wanted = None if state is None else JobState(state)
    async with reading(settings, Catalog(())) as queue:
        jobs = await queue.jobs(Caller(), state=wanted, limit=limit)
        if as_json:
            say_json([_facts(job) for job in jobs])
        elif jobs:
            table(("JOB", "MADE", "STATE", "MODEL", "WHAT"), [_cells(job) for job in jobs])
        else:
            say("No jobs.")
        return ExitCode.OK


async def _one(settings: Settings, job_id: str, as_json: bool) -> int:
    async with reading(settings, Catalog(())) as queue:
        job = await queue.get(job_id, Caller())
        events = await queue.events(job_id, Caller())
        if as_json:
            say_json(_facts(job) | {"events": [_event(event) for event in events]})
        else:
            _show(job, events)
        return ExitCode.OK


async def _cancel(settings: Settings, job_id: str, as_json: bool) -> int:
    async with reading(settings, Catalog(())) as queue:
        job = await queue.cancel(job_id, Caller(), "cancelled on the command line")
        if as_json:
            say_json(_facts(job))
        else:
            say(f"{job.id}  {job.state}")
        return _stopped(job)


def _stopped(job: Job) -> ExitCode:
    if job.state is JobState.CANCELLED:
        return ExitCode.OK
    if job.state.terminal:
        complain(f"Job {job.id} was over before: {job.state}.")
    else:
        complain(f"Job {job.id} has not stopped yet.", f"Look again: media-mcp jobs {job.id}")
    return ExitCode.FAILED


def _facts(job: Job) -> dict[str, JSON]:
    paths = [asset.path for asset in job.assets]
    asked = {"arguments": dict(job.arguments), "created": _time(job.created_at), "door": job.door}
    trail = {"request": job.request, "trace": job.trace}
    known = {name: value for name, value in trail.items() if value}
    return result_facts(job, paths) | asked | {"attempt": job.attempt} | known


def _event(event: Event) -> dict[str, JSON]:
    row = {"at": _time(event.at), "kind": event.kind, "step": event.step, "total": event.total}
    return {k: v for k, v in (row | {"message": event.message}).items() if v not in (None, "")}


def _cells(job: Job) -> tuple[str, str, str, str, str]:
    made = datetime.fromtimestamp(job.created_at).strftime("%Y-%m-%d %H:%M")
    return job.id, made, job.state.value, job.model, _what(job)


def _what(job: Job) -> str:
    if job.failure:
        return job.failure.message
    prompt = job.arguments.get("prompt")
    return prompt[:100] if isinstance(prompt, str) else ""


def _show(job: Job, events: Sequence[Event]) -> None:
    facts(
        [
            ("job", job.id),
            ("model", job.model),
            ("state", job.state.value),
            ("made", _time(job.created_at)),
            ("took", "" if job.seconds is None else f"{job.seconds:.2f} s"),
            ("route", job.why_route or job.route.backend),
            ("attempt", str(job.attempt)),
            ("request", job.request),
            ("seed", "" if job.seed is None else str(job.seed)),
            ("cost", "" if job.cost is None else f"${job.cost:.4f}"),
            ("error", clean(job.failure.message) if job.failure else ""),
            ("hint", clean(job.failure.hint) if job.failure else ""),
        ]
    )
    for name, value in job.arguments.items():
        say(f"  {name} = {clean(str(value))}")
    for asset in job.assets:
        where = f"{asset.uri} was removed {asset.removed}" if asset.removed else str(asset.path)
        say(f"{where}  {size_words(asset)}{'  pinned' if asset.pinned else ''}")
    _show_events(events)


def _show_events(events: Sequence[Event]) -> None:
    say()
    for event in events:
        steps = f" step {event.step} of {event.total}" if event.step is not None else ""
        say(f"{_time(event.at)}  {event.kind}{steps}  {clean(event.message)}".rstrip())


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
