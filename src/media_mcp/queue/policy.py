"""Which route a job takes, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from media_mcp.backends.base import Backend, Readiness
from media_mcp.catalog.model import Model
from media_mcp.errors import InvalidArguments, NotConfigured, Problem
from media_mcp.job import JSON, Quote, Route

REHEARSAL = "rehearsal"
REHEARSAL_ROUTE = Route(REHEARSAL)
Backends = Mapping[str, Backend]


@dataclass(frozen=True, slots=True)
class Choice:
    """The route taken, its quote and the reason, in words for the caller."""

    route: Route
    quote: Quote
    why: str


def candidates(model: Model, *, rehearse: bool, wanted: str | None) -> Sequence[Route]:
    """Return the routes to consider, best first. Raises `InvalidArguments` for a wrong wish."""
    if rehearse or wanted == REHEARSAL:
        return (REHEARSAL_ROUTE,)
    if wanted is None:
        return model.routes
    routes = tuple(route for route in model.routes if route.backend == wanted)
    if not routes:
        known = ", ".join(route.backend for route in model.routes) or "none"
        problem = Problem("backend", f"{model.id} has no route to {wanted!r}.")
        raise InvalidArguments([problem], f"Its routes: {known}. Or leave backend out.")
    return routes


async def choose(
    model: Model,
    arguments: Mapping[str, JSON],
    backends: Backends,
    *,
    rehearse: bool = False,
    wanted: str | None = None,
) -> Choice:
    """Take the first route that is ready. Raises `NotConfigured` with every route's reason."""
    routes = candidates(model, rehearse=rehearse, wanted=wanted)
    refused: list[tuple[Route, Readiness]] = []
    for route in routes:
        quote, readiness = await _look(model, route, arguments, backends)
        if quote.ready:
            return Choice(route, quote, _why(route, refused, rehearse, wanted))
        refused.append((route, readiness))
    raise _none_ready(model, refused)


async def quotes(
    model: Model, arguments: Mapping[str, JSON], backends: Backends, *, rehearse: bool = False
) -> tuple[Quote, ...]:
    """Quote every route, with `ready` and `reason` saying which of them can run now."""
    routes = candidates(model, rehearse=rehearse, wanted=None)
    return tuple([(await _look(model, route, arguments, backends))[0] for route in routes])


async def _look(
    model: Model, route: Route, arguments: Mapping[str, JSON], backends: Backends
) -> tuple[Quote, Readiness]:
    backend = backends.get(route.backend)
    if backend is None:
        readiness = Readiness(False, "not set up on this server", "Run: media-mcp doctor")
        return _unready(Quote(route.backend, None, None), readiness), readiness
    readiness = await backend.readiness()
    quote = backend.quote(model, route, arguments)
    if not readiness.ready:
        return _unready(quote, readiness), readiness
    return quote, Readiness(quote.ready, quote.reason)


def _unready(quote: Quote, readiness: Readiness) -> Quote:
    return replace(
        quote, ready=False, reason=f"{readiness.reason.rstrip('.')}. {readiness.fix}".strip()
    )


def _why(
    route: Route, refused: Sequence[tuple[Route, Readiness]], rehearse: bool, wanted: str | None
) -> str:
    if rehearse:
        return "rehearsal: the settings say that every model is rehearsed"
    if wanted is not None:
        return f"{route.backend}: asked for"
    if not refused:
        return f"{route.backend}: the model's first route, and it is ready"
    passed = "; ".join(f"{route.backend}: {readiness.reason}" for route, readiness in refused)
    return f"{route.backend}: the first route that is ready ({passed})"


def _none_ready(model: Model, refused: Sequence[tuple[Route, Readiness]]) -> NotConfigured:
    if not refused:
        return NotConfigured(f"{model.id} has no route.", "Add one to its card.")
    reasons = "; ".join(f"{route.backend}: {r.reason.rstrip('.')}" for route, r in refused)
    fixes = " ".join(dict.fromkeys(r.fix for _, r in refused if r.fix))
    return NotConfigured(
        f"{model.id} cannot run now ({reasons}).", fixes or "Run: media-mcp doctor"
    )
