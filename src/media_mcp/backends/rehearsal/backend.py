"""The rehearsal backend: it runs every model by making a stand-in of what the model would make."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from time import perf_counter

import anyio
from anyio import from_thread, to_thread

from media_mcp.backends.base import Readiness, Report, Run
from media_mcp.backends.rehearsal.clip import Step, make_clip
from media_mcp.backends.rehearsal.failures import CUT, HANG, QUIET, checked_failure, rehearsed
from media_mcp.backends.rehearsal.pages import make_svg, make_text, spoken
from media_mcp.backends.rehearsal.picture import make_pictures
from media_mcp.backends.rehearsal.sound import make_sound
from media_mcp.backends.rehearsal.things import make_file, make_model3d
from media_mcp.backends.rehearsal.wish import Wish, read_wish
from media_mcp.catalog.model import Model, OutputSpec
from media_mcp.job import JSON, MediaKind, Output, Quote, Result, Route
from media_mcp.settings import Settings

NAME = "rehearsal"
STEPS = 10
_QUICK_PIXELS = 512 * 512
_QUICK_SECONDS = 60.0
_MAKERS = {
    MediaKind.IMAGE: make_pictures,
    MediaKind.AUDIO: make_sound,
    MediaKind.TEXT: make_text,
    MediaKind.MODEL3D: make_model3d,
    MediaKind.FILE: make_file,
}


def create(settings: Settings) -> Rehearsal:
    """Make the backend. Raises `BadSettings` when `rehearse_failure` is no known failure."""
    failure = checked_failure(settings.rehearse_failure, "Setting rehearse_failure")
    return Rehearsal(settings.rehearse_seconds, failure)


@dataclass(frozen=True, slots=True)
class Script:
    """How one rehearsal goes: seconds and steps it takes, and how its first attempts fail."""

    seconds: float
    steps: int
    failure: str
    fail_attempts: int

    def fails(self, attempt: int) -> bool:
        """Whether this attempt (counted from 1) fails."""
        return bool(self.failure) and attempt <= self.fail_attempts


class Rehearsal:
    """Free stand-in media of the right kind, size and duration, the same bytes for the same call.

    A route may set `seconds`, `steps`, `failure` and `fail_attempts` (how many attempts fail,
    counted from 1; all of them unless said). A second try with another seed counts as one more.
    """

    name = NAME
    concurrency = 8
    remote = False

    def __init__(self, seconds: float = 0.0, failure: str = "") -> None:
        self._seconds = seconds
        self._failure = failure

    async def readiness(self) -> Readiness:
        return Readiness(ready=True)

    def quote(self, model: Model, route: Route, arguments: Mapping[str, JSON]) -> Quote:
        seconds = self._script(route).seconds
        return Quote(self.name, 0.0, 0.0, seconds, basis="A rehearsal is free.")

    async def run(self, run: Run) -> Result:
        script = self._script(run.route)
        failure = script.failure if script.fails(run.attempt + run.tries - 1) else ""
        quiet = failure if failure in QUIET else ""
        started = perf_counter()
        await _take_time(run, script, "" if quiet else failure)
        wish = read_wish(run, failure=quiet)
        outputs = await _make(wish, run)
        if quiet == CUT:
            for output in outputs:
                os.truncate(output.path, output.path.stat().st_size // 2)
        return Result(outputs, _facts(wish, run, perf_counter() - started), cost=0.0)

    def warm(self) -> frozenset[str]:
        return frozenset()

    async def aclose(self) -> None:
        """Nothing is held, so nothing is to be let go."""

    def _script(self, route: Route) -> Script:
        spec = route.spec if route.backend == self.name else {}
        seconds = float(spec.get("seconds", self._seconds))
        return Script(
            seconds=seconds,
            steps=int(spec.get("steps", STEPS if seconds else 0)),
            failure=checked_failure(str(spec.get("failure", self._failure)), "Card: failure"),
            fail_attempts=int(spec.get("fail_attempts", 2**31)),
        )


async def _take_time(run: Run, script: Script, failure: str) -> None:
    """Report the steps over the seconds asked for; a failure comes halfway."""
    for step in range(1, script.steps + 1):
        await anyio.sleep(script.seconds / script.steps)
        await run.report(Report("progress", step, script.steps))
        if failure and 2 * step >= script.steps:
            break
    if failure == HANG:
        await anyio.sleep_forever()
    if failure:
        raise rehearsed(failure)


async def _make(wish: Wish, run: Run) -> tuple[Output, ...]:
    if not _slow(wish, run.model):
        return _make_all(wish, run, lambda: None)
    stopped = Event()

    def step() -> None:
        from_thread.check_cancelled()
        if stopped.is_set():
            raise InterruptedError("The rehearsal was stopped.")

    try:
        return await to_thread.run_sync(_make_all, wish, run, step)
    finally:
        stopped.set()


def _slow(wish: Wish, model: Model) -> bool:
    """Whether making it would hold up the event loop, so that it is worth a thread."""
    kinds = {output.kind for output in model.outputs}
    pixels = wish.size[0] * wish.size[1] * wish.count
    return (
        MediaKind.VIDEO in kinds
        or (MediaKind.IMAGE in kinds and pixels > _QUICK_PIXELS)
        or (MediaKind.AUDIO in kinds and wish.seconds > _QUICK_SECONDS)
    )


def _make_all(wish: Wish, run: Run, step: Step) -> tuple[Output, ...]:
    made: list[Output] = []
    for output in run.model.outputs:
        made += _make_one(wish, output, run, step)
    return tuple(made)


def _make_one(wish: Wish, output: OutputSpec, run: Run, step: Step) -> list[Output]:
    if output.kind is MediaKind.VIDEO:
        return make_clip(wish, output, run.folder, step)
    if output.mime_type == "image/svg+xml":
        return make_svg(wish, output, run.folder)
    return _MAKERS[output.kind](wish, output, run.folder)


def _facts(wish: Wish, run: Run, seconds: float) -> dict[str, JSON]:
    facts: dict[str, JSON] = {"rehearsed": True, "seed": run.seed, "run_seconds": round(seconds, 4)}
    if any(output.kind is MediaKind.TEXT for output in run.model.outputs) and not wish.blank:
        facts["text"] = spoken(wish)
    return facts
