"""Our HTTP server as `serve --http` runs it, with a backend that does nothing.

`queue_server.py CARDS DATA PORT` serves the cards in the folder CARDS besides the shipped ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from media_mcp.backends.base import Backend, Readiness, Run
from media_mcp.catalog.model import Model
from media_mcp.cli.rooms import run_async
from media_mcp.job import JSON, Quote, Result, Route
from media_mcp.server.app import App, open_app
from media_mcp.server.auth import Gate
from media_mcp.server.http import http_app, listen, web_server
from media_mcp.server.mcp import McpServer, surface_of
from media_mcp.settings import Settings, load_settings


class NoOp:
    """Answers at once; what it says is kept in the job's row, and no file is made."""

    name = "no-op"
    concurrency = 64
    remote = False

    async def readiness(self) -> Readiness:
        return Readiness(ready=True)

    def quote(self, model: Model, route: Route, arguments: Mapping[str, JSON]) -> Quote:
        return Quote(self.name, 0.0, 0.0, basis="Nothing is free.")

    async def run(self, run: Run) -> Result:
        return Result((), {"said": run.arguments["prompt"]}, cost=0.0)

    def warm(self) -> frozenset[str]:
        return frozenset()

    async def aclose(self) -> None:
        """Nothing is held."""


async def serve(
    settings: Settings,
    port: int,
    backend: Backend,
    change: Callable[[App], None] = lambda app: None,
) -> int:
    """Serve until a signal; `change` is what a measurement does to the app before."""
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(open_app(settings, backends={backend.name: backend}))
        change(app)
        server = McpServer(surface_of(app))
        await stack.enter_async_context(server.running(app))
        with listen("127.0.0.1", port) as listener:
            web = web_server(http_app(server, app, Gate.of(settings)))
            await web.serve(sockets=[listener])
    return 0


if __name__ == "__main__":
    cards, data, port = sys.argv[1:]
    given = load_settings(data_dir=Path(data), catalog_dirs=[Path(cards)])
    sys.exit(run_async(partial(serve, given, int(port), NoOp()), many=True))
