"""/metrics for those who watch the server, /readyz for those who send it work."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_mcp.errors import MediaError
from media_mcp.job import Caller
from media_mcp.server.app import App
from media_mcp.server.auth import CALLER, Gate

if TYPE_CHECKING:
    from media_mcp.server.watching.metrics import Metrics


log = logging.getLogger(__name__)


def watching_routes(app: App, gate: Gate) -> Sequence[Route]:
    """Return the routes. Figures are counted from the first time that somebody asks for them."""
    watcher = _Watcher(app, gate)
    return [Route("/metrics", watcher.metrics), Route("/readyz", watcher.ready)]


class _Watcher:
    def __init__(self, app: App, gate: Gate) -> None:
        self._app = app
        self._gate = gate
        self._metrics: Metrics | None = None

    async def metrics(self, request: Request) -> Response:
        """Answer with the figures, which are of all callers: an admin's key is needed."""
        caller: Caller | None = request.scope.get(CALLER)
        if self._gate.locked and (caller is None or caller.scope != "admin"):
            return JSONResponse({"detail": "/metrics takes a key with the scope admin."}, 403)
        from media_mcp.server.watching.metrics import CONTENT_TYPE, Metrics

        if self._metrics is None:
            self._metrics = Metrics(self._app.queue, self._app.backends)
            self._metrics.follow()
        return Response(await self._metrics.render(), media_type=CONTENT_TYPE)

    async def ready(self, request: Request) -> JSONResponse:
        """Answer 200 if jobs can be taken: the store can be read; else 503 with the reason."""
        try:
            await self._app.queue.books.tally()
        except Exception as error:  # whatever it is: no job can be taken
            log.warning("Not ready", exc_info=error)
            reason = str(error) if isinstance(error, MediaError) else "the log tells"
            return JSONResponse({"status": "unready", "reason": reason}, 503)
        return JSONResponse({"status": "ready"})
