"""Loads models before anybody calls them: at the start of a server, or when asked to."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import cast

from media_mcp.backends.base import Report, Run
from media_mcp.catalog.model import Model
from media_mcp.errors import MediaError, NotConfigured
from media_mcp.job import JSON, Route
from media_mcp.server.app import App

WEIGHTLESS = "tools"

log = logging.getLogger(__name__)
WarmUp = Callable[..., Awaitable[Mapping[str, JSON]]]


async def warm_up(
    app: App, name: str, *, pin: bool | None = None, keep_alive: float | None = None
) -> dict[str, JSON]:
    """Load a model on the first of its routes that loads anything here; return what was done.

    Raises `NotFound`, and `NotConfigured` where there is no such route or none is ready.
    """
    model = app.catalog.get(name)
    reasons = []
    for route in model.routes:
        backend = app.backends.get(route.backend)
        load = cast(WarmUp | None, getattr(backend, "warm_up", None))
        if backend is None or load is None or route.spec.get("pipeline") == WEIGHTLESS:
            continue
        quote = backend.quote(model, route, {})
        if quote.ready:
            facts = await load(_run(app, model, route), pin=pin, keep_alive=keep_alive)
            return {"model": model.id, "backend": route.backend, **facts}
        reasons.append(quote.reason)
    raise NotConfigured(
        f"{model.id} cannot be loaded: {' '.join(reasons) or 'it has no weights to load here.'}",
        "Models that run here: media-mcp models --runs-here",
    )


def _run(app: App, model: Model, route: Route) -> Run:
    async def hear(report: Report) -> None:
        if report.message:
            log.info("%s: %s", model.id, report.message)

    return Run(
        job_id=f"warm-{model.tool}",
        attempt=1,
        model=model,
        route=route,
        arguments={},
        seed=0,
        make_folder=lambda: Path(tempfile.gettempdir()),  # nothing is written
        report=hear,
        given_up=lambda: False,  # only the end of the server cancels it
        project=app.settings.project,
    )


async def warm_all(app: App) -> None:
    """Load the models of the setting `warm`, one after the other; what cannot be is logged."""
    for name in app.settings.warm:
        try:
            told = await warm_up(app, name)
            log.info("%s is loaded, in %s s", name, told["load_seconds"])
        except MediaError as error:
            log.warning("Setting warm: %s", error)
