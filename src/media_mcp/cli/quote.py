"""`media-mcp quote`: what a call would cost and take, without running it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from media_mcp.backends import registry
from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.describe import cost_words
from media_mcp.catalog.model import Model
from media_mcp.catalog.validate import renamed
from media_mcp.cli.outcome import ExitCode
from media_mcp.cli.rooms import reading, run_async
from media_mcp.cli.text import say, say_json, table
from media_mcp.cli.values import arguments_of
from media_mcp.job import JSON, Arguments, Caller, Quote
from media_mcp.media import Inputs, MediaStore
from media_mcp.queue import Queue, policy
from media_mcp.queue.policy import best
from media_mcp.queue.routing import REHEARSAL
from media_mcp.server.intake import Intake
from media_mcp.settings import Settings


def quote(settings: Settings, name: str, pairs: Sequence[str], as_json: bool) -> int:
    """Print a quote for each route; 3 is returned when none of them is ready."""
    return run_async(partial(_quote, settings, name, pairs, as_json))


async def _quote(settings: Settings, name: str, pairs: Sequence[str], as_json: bool) -> int:
    catalog = Catalog.load(settings.catalog_dirs, settings.doubted_dirs)
    model = catalog.get(name)
    given = arguments_of(model, pairs)
    quotes = await _quotes(settings, catalog, model, given)
    if as_json:
        say_json([_row(one) for one in quotes])
    else:
        table(("ROUTE", "COST", "SECONDS", "READY", "WHY"), [_cells(one) for one in quotes])
        for line in (*renamed(model, given).notes, *_caveats(model)):
            say(f"note: {line}")
    return ExitCode.OK if best(quotes) else ExitCode.NOT_CONFIGURED


async def _quotes(
    settings: Settings, catalog: Catalog, model: Model, given: Arguments
) -> tuple[Quote, ...]:
    wanted = {route.backend for route in model.routes} | {REHEARSAL}
    backends = registry.create_all(wanted & set(registry.names()), settings)
    try:
        async with reading(settings, catalog) as queue:
            caller = Caller(project=settings.project)
            order = await _intake(settings, catalog, queue).prepare(model, given, caller)
            asked = policy.Wanted(
                model,
                order.arguments,
                order.inputs,
                rehearse=settings.rehearse,
                rules=queue.rules(caller),
                gpu_rate=settings.gpu_rate,
            )
            return await policy.quotes(asked, backends, queue.durations)
    finally:
        for backend in backends.values():
            await backend.aclose()


def _intake(settings: Settings, catalog: Catalog, queue: Queue) -> Intake:
    inputs = Inputs(
        MediaStore(settings.data_dir / "assets"),
        roots=[Path(Path.cwd().anchor)],
        max_bytes=settings.max_input_bytes,
        allow_private=settings.allow_private_urls,
    )
    return Intake(catalog, inputs, queue)


def _caveats(model: Model) -> Iterator[str]:
    if model.uncertain:
        yield model.uncertain
    if model.retired:
        yield f"{model.id} may be gone where it ran."
    if model.successor:
        yield f"{model.successor} took its place."


def _row(one: Quote) -> dict[str, JSON]:
    row = {
        "backend": one.backend,
        "low_usd": one.low,
        "high_usd": one.high,
        "certainty": one.certainty,
        "as_of": one.as_of or None,
        "seconds": one.seconds,
        "ready": one.ready,
        "basis": one.basis or None,
        "timing": one.timing or None,
        "licence": one.licence or None,
    }
    return row if one.ready else row | {"reason": one.reason}


def _cells(one: Quote) -> tuple[str, str, str, str, str]:
    seconds = one.timing or "unknown" if one.seconds is None else f"{one.seconds:.1f}"
    ready = "yes" if one.ready else "no"
    why = one.basis if one.ready else one.reason
    return one.backend, cost_words(one.low, one.high), seconds, ready, why
