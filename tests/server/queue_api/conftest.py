"""The whole HTTP server on a free port, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest

from media_mcp.server.auth import Gate
from media_mcp.server.http import http_app, listen, web_server
from queueplace import Place, Serve
from support import Opened


@pytest.fixture
def serve(opened: Opened) -> Serve:
    """Serve over HTTP on a free port: `async with serve() as place:`."""

    @asynccontextmanager
    async def start(**given: Any) -> AsyncIterator[Place]:
        async with opened(**given) as (app, server):
            gate = Gate(app.settings.api_key)
            web = web_server(http_app(server, app, gate))
            with listen("127.0.0.1", 0) as listener:
                port = listener.getsockname()[1]
                url = f"http://127.0.0.1:{port}"
                async with anyio.create_task_group() as group:
                    group.start_soon(lambda: web.serve(sockets=[listener]))
                    async with httpx2.AsyncClient(base_url=url, timeout=20) as http:
                        yield Place(url, port, app, http)
                    web.should_exit = True

    return start


@pytest.fixture
async def place(serve: Serve, anyio_backend: str) -> AsyncIterator[Place]:
    """A server with nothing special about it."""
    async with serve() as served:
        yield served
