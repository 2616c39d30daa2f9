"""`media-mcp quote`: what a call would cost and take, without running it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from media_mcp.backends import registry
from media_mcp.catalog.catalog import Catalog
from media_mcp.cli.outcome import ExitCode
from media_mcp.cli.rooms import reading, run_async
from media_mcp.cli.text import say_json, table
from media_mcp.cli.values import arguments_of
from media_mcp.job import JSON, Caller, Quote
from media_mcp.media import Inputs, MediaStore
from media_mcp.queue import policy
from media_mcp.server.intake import Intake, Order
from media_mcp.settings import Settings


def quote(settings: Settings, name: str, pairs: Sequence[str], as_json: bool) -> int:
    """Print a quote for each route; 3 is returned when none of them is ready."""
    return run_async(partial(_quote, settings, name, pairs, as_json))


async def _quote(settings: Settings, name: str, pairs: Sequence[str], as_json: bool) -> int:
    quotes = await _quotes(settings, name, pairs)
    if as_json:
        say_json([_row(one) for one in quotes])
    else:
        table(("ROUTE", "COST", "SECONDS", "READY", "WHY"), [_cells(one) for one in quotes])
    return ExitCode.OK if any(one.ready for one in quotes) else ExitCode.NOT_CONFIGURED


async def _quotes(settings: Settings, name: str, pairs: Sequence[str]) -> tuple[Quote, ...]:
    catalog = Catalog.load(settings.catalog_dirs)
    model = catalog.get(name)
    order = await _order(settings, catalog, name, pairs)
    wanted = {route.backend for route in model.routes} & set(registry.names())
    backends = registry.create_all(wanted, settings)
    try:
        return await policy.quotes(order.model, order.arguments, backends)
    finally:
        for backend in backends.values():
            await backend.aclose()


async def _order(settings: Settings, catalog: Catalog, name: str, pairs: Sequence[str]) -> Order:
    model = catalog.get(name)
    inputs = Inputs(
        MediaStore(settings.data_dir / "assets"),
        roots=[Path(Path.cwd().anchor)],
        max_bytes=settings.max_input_bytes,
        allow_private=settings.allow_private_urls,
    )
    async with reading(settings, catalog) as queue:
        return await Intake(catalog, inputs, queue).prepare(
            model, arguments_of(model, pairs), Caller()
        )


def _row(one: Quote) -> dict[str, JSON]:
    row = {
        "backend": one.backend,
        "low_usd": one.low,
        "high_usd": one.high,
        "seconds": one.seconds,
        "ready": one.ready,
        "basis": one.basis or None,
    }
    return row if one.ready else row | {"reason": one.reason}


def _cells(one: Quote) -> tuple[str, str, str, str, str]:
    seconds = "unknown" if one.seconds is None else f"{one.seconds:.1f}"
    ready = "yes" if one.ready else "no"
    return one.backend, _cost(one), seconds, ready, one.basis if one.ready else one.reason


def _cost(one: Quote) -> str:
    if one.high is None:
        return "unknown"
    if one.high == 0:
        return "free"
    low = one.high if one.low is None else one.low
    return f"${one.high:.4f}" if low == one.high else f"${low:.4f} to ${one.high:.4f}"
