"""`media-mcp bench`: a model on this machine under several speed settings, side by side."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from math import inf
from pathlib import Path
from statistics import median

from media_mcp import speed
from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model
from media_mcp.cli.benchplot import plot
from media_mcp.cli.outcome import ExitCode, note
from media_mcp.cli.result import bytes_words
from media_mcp.cli.rooms import run_async
from media_mcp.cli.text import say_json, table
from media_mcp.cli.tomlfile import write_speed
from media_mcp.cli.values import arguments_of
from media_mcp.errors import BadInput, BadSettings, NotConfigured
from media_mcp.job import JSON, Asset, Caller, Job, JobState
from media_mcp.media.decoding.likeness import Likeness, compare
from media_mcp.server.app import App, open_app
from media_mcp.settings import FILE_NAME, Settings
from media_mcp.speed import Choice

DEFAULT = "exact,fast,turbo"
SEED = 7
WORTH = 0.97  # a setting that takes more than this share of exact's time is not worth writing


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user typed."""

    model: str
    pairs: tuple[str, ...] = ()
    settings: str = ""
    repeat: int = 3
    write: bool = False
    plot: Path | None = None
    as_json: bool = False


@dataclass(slots=True)
class Row:
    """What one setting came to: seconds without the loading of weights, bytes, and its result.

    `first` is the first run, in which blocks are compiled; `changes` are the settings that the
    answer named; `error` says why there is no result.
    """

    setting: str
    seconds: list[float] = field(default_factory=list)
    first: float = 0.0
    load: float = 0.0
    peak: int = 0
    changes: tuple[str, ...] = ()
    assets: tuple[Asset, ...] = ()
    likeness: Likeness | None = None
    error: str = ""

    @property
    def median(self) -> float:
        return median(self.seconds) if self.seconds else inf


def bench(settings: Settings, wish: Wish) -> int:
    """Measure, show a table, draw a plot and write the best allowed setting if asked to."""
    choices = _choices(wish.settings or DEFAULT)
    rows = run_async(partial(_measure, settings, wish, choices))
    if wish.as_json:
        say_json([told(row, rows[0]) for row in rows])
    else:
        table(_HEAD, [_cells(row, rows[0]) for row in rows])
    return _finish(settings, wish, choices, rows)


def _choices(text: str) -> list[Choice]:
    """Return what is to be measured, exact first. Raises `BadInput`."""
    try:
        asked = [speed.parsed(part.strip()) for part in text.split(",") if part.strip()]
    except BadSettings as error:
        raise BadInput(error.message, error.hint) from None
    exact = Choice(speed.EXACT)
    return [exact, *(choice for choice in asked if choice != exact)]


async def _measure(settings: Settings, wish: Wish, choices: Sequence[Choice]) -> list[Row]:
    catalog = Catalog.load(settings.catalog_dirs, settings.doubted_dirs)
    model = catalog.get(wish.model)
    backend = _place(model)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="media-mcp-bench-") as folder:
        for number, choice in enumerate(choices):
            note(f"{choice}: starting a worker.")
            data = Path(folder) / str(number)
            async with _opened(settings, choice, data) as app:
                row = await _run(app, model, backend, str(choice), wish)
            if rows and row.assets and rows[0].assets:
                row.likeness = compare(rows[0].assets, row.assets)
            rows.append(row)
            if not rows[0].seconds:
                break  # nothing to compare with
    return rows


def _place(model: Model) -> str:
    """Return the backend of the model's route that has speed settings. Raises `BadInput`."""
    for route in model.routes:
        if route.spec.get("pipeline") == "diffusers":
            return route.backend
    raise BadInput(
        f"{model.id} has no speed settings: none of its routes runs diffusers on this machine.",
        "media-mcp models --runs-here lists those that may.",
    )


@asynccontextmanager
async def _opened(settings: Settings, choice: Choice, data: Path) -> AsyncIterator[App]:
    """Open the house with one setting, a worker and a data folder of its own."""
    own = settings.projects.get(settings.project)
    projects = dict(settings.projects)
    if own is not None:
        projects[settings.project] = own.model_copy(update={"speed": None})
    changes = {"speed": choice, "projects": projects, "data_dir": data, "rehearse": False}
    async with open_app(settings.model_copy(update=changes), [Path(Path.cwd().anchor)]) as app:
        yield app


async def _run(app: App, model: Model, backend: str, name: str, wish: Wish) -> Row:
    row = Row(name)
    for number in range(1 + wish.repeat):
        note(f"{name}: run {number} of {wish.repeat}." if number else f"{name}: first run.")
        job = await _job(app, model, backend, wish)
        if job.state is not JobState.SUCCEEDED:
            row.error = job.failure.message if job.failure else job.state.value
            row.seconds.clear()
            return row
        _add(row, job, first=number == 0)
    return row


async def _job(app: App, model: Model, backend: str, wish: Wish) -> Job:
    caller = Caller(project=app.settings.project)
    order = await app.intake.prepare(model, _arguments(model, wish), caller)
    submitted = await app.intake.submit(order, caller, "cli", fresh=True, backend=backend)
    return await app.queue.wait(submitted.job.id, caller, inf)


def _arguments(model: Model, wish: Wish) -> dict[str, JSON]:
    """Return the model's own example, with a seed, and what was typed over it."""
    example = dict(model.examples[0].arguments) if model.examples else {}
    seed = {"seed": SEED} if model.param("seed") else {}
    return seed | example | arguments_of(model, wish.pairs)


def _add(row: Row, job: Job, *, first: bool) -> None:
    seconds = float(job.facts.get("run_seconds") or job.seconds or 0.0)
    if first:
        row.first, row.load = seconds, float(job.facts.get("load_seconds") or 0.0)
    else:
        row.seconds.append(seconds)
    row.peak = max(row.peak, int(job.facts.get("peak_memory_bytes") or 0))
    row.changes = tuple(job.facts.get("speed") or ())
    row.assets = job.assets


_HEAD = ("SETTING", "SECONDS", "FASTER", "FIRST", "LOAD", "MEMORY", "DIFFERENCE", "CHANGED BY")


def _cells(row: Row, exact: Row) -> tuple[str, ...]:
    if row.error:
        return (row.setting, "failed", "", "", "", "", "", row.error)
    return (
        row.setting,
        f"{row.median:.3g}",
        f"{exact.median / row.median:.2f} x",
        f"{row.first:.3g}",
        f"{row.load:.3g}",
        bytes_words(row.peak),
        _difference(row, exact),
        ", ".join(row.changes) or "nothing",
    )


def _difference(row: Row, exact: Row) -> str:
    if row is exact:
        return "-"
    if row.likeness is None:
        return "other size or length"
    if row.likeness.same:
        return "none"
    return f"{row.likeness.psnr:.1f} dB, at most {row.likeness.most:.1%}"


def told(row: Row, exact: Row) -> dict[str, JSON]:
    """Return a row for programs."""
    if row.error:
        return {"setting": row.setting, "error": row.error}
    like = row.likeness if row is not exact else Likeness()
    finite = like is not None and not like.same
    return {
        "setting": row.setting,
        "seconds": round(row.median, 4),
        "times_faster": round(exact.median / row.median, 3),
        "first_seconds": round(row.first, 4),
        "load_seconds": round(row.load, 4),
        "peak_memory_bytes": row.peak,
        "same": like.same if like else False,
        "psnr_db": round(like.psnr, 2) if like and finite else None,
        "largest_difference": round(like.most, 5) if like else None,
        "changed_by": list(row.changes),
    }


def _finish(
    settings: Settings, wish: Wish, choices: Sequence[Choice], rows: Sequence[Row]
) -> ExitCode:
    if not rows[0].seconds:
        raise NotConfigured(
            f"{wish.model} does not run here: {rows[0].error}",
            f"See what is missing: media-mcp quote {wish.model}",
        )
    drawn = wish.plot or Path(f"bench-{wish.model.replace('/', '-')}.svg")
    drawn.write_text(plot(wish.model, [(r.setting, r.median, r.peak) for r in rows if r.seconds]))
    note(f"Plot: {drawn}")
    if wish.write:
        chosen = best(choices, rows, lossy=bool(wish.settings))
        write_speed(Path(FILE_NAME), chosen, settings.project)
        note(f"Written to {FILE_NAME}: speed = {chosen}.")
    return ExitCode.OK if all(row.seconds for row in rows) else ExitCode.FAILED


def best(choices: Sequence[Choice], rows: Sequence[Row], *, lossy: bool) -> Choice:
    """Return the fastest setting that may be written: one that changes results only if named."""
    measured = [(choice, row) for choice, row in zip(choices, rows, strict=False) if row.seconds]
    allowed = [(c, row) for c, row in measured if lossy or not row.changes]
    choice, row = min(allowed, key=lambda pair: pair[1].median)
    return choice if row.median < rows[0].median * WORTH else choices[0]
