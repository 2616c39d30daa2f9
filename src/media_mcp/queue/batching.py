"""Which jobs can run as one: those that ask a model for the same, but in other words."""

from __future__ import annotations

from collections.abc import Callable

from media_mcp.backends.base import Backend
from media_mcp.catalog.model import Model
from media_mcp.job import Arguments, Route
from media_mcp.queue.routing import key_of
from media_mcp.queue.submission import canonical, digest

FREE = frozenset({"prompt", "negative_prompt", "seed"})  # arguments in which they may differ


def most_together(backend: Backend | None, model: Model, route: Route, arguments: Arguments) -> int:
    """Return how many calls like this one a backend runs as one; 1: each alone."""
    # Not isinstance: of a protocol it costs more than the rest of a submit's routing.
    batch: Callable[[Model, Route, Arguments], int] | None = getattr(backend, "batch", None)
    return max(1, batch(model, route, arguments)) if batch else 1


def batch_of(
    backend: Backend | None, model: Model, route: Route, arguments: Arguments, project: str
) -> str | None:
    """Return what jobs have in common that can run as one (see `Job.batch`); None: it runs alone.

    Projects have settings of their own, so their jobs stay apart.
    """
    if most_together(backend, model, route, arguments) == 1:
        return None
    common = {name: value for name, value in arguments.items() if name not in FREE}
    return digest(canonical([model.id, key_of(route), project, common]))
