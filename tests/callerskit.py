"""A server with keys, and callers for it: ann and bob run, eve only reads, adm watches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from PIL import Image

from media_mcp.server.app import App
from media_mcp.server.auth import Gate
from media_mcp.server.http import http_app, listen, web_server
from media_mcp.server.keyring import KeyRing
from support import Opened

NOBODY = "0" * 18
ABSENT = f"media://{'0' * 64}.png"


@dataclass(frozen=True)
class House:
    """A server with keys, and callers for it."""

    url: str
    app: App
    keys: dict[str, str]

    @property
    def ring(self) -> KeyRing:
        return KeyRing(self.app.settings.data_dir)

    @asynccontextmanager
    async def http(self, name: str) -> AsyncIterator[httpx2.AsyncClient]:
        headers = {"Authorization": f"Key {self.keys[name]}"} if name else {}
        async with httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=30) as http:
            yield http

    @asynccontextmanager
    async def mcp(
        self, name: str, era: str, hear: Any = None, **given: Any
    ) -> AsyncIterator[Client]:
        async with self.http(name) as http:
            door = streamable_http_client(f"{self.url}/mcp", http_client=http)
            async with Client(door, mode=era, message_handler=hear, **given) as client:
                yield client


@asynccontextmanager
async def house(opened: Opened, **given: Any) -> AsyncIterator[House]:
    async with opened(**given) as (app, server), anyio.create_task_group() as group:
        ring = KeyRing(app.settings.data_dir)
        scopes = {"ann": "run", "bob": "run", "eve": "read", "adm": "admin"}
        keys = {name: ring.create(name, scope)[1] for name, scope in scopes.items()}
        listener = listen("127.0.0.1", 0)
        web = web_server(http_app(server, app, Gate.of(app.settings)))
        group.start_soon(lambda: web.serve(sockets=[listener]))
        yield House(f"http://127.0.0.1:{listener.getsockname()[1]}", app, keys)
        web.should_exit = True


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    return dict((await client.call_tool(tool, arguments)).structured_content)


def like(text: str, *names: str) -> str:
    """Return an answer without the name that was asked for: of what is not there, all are alike."""
    for name in names:
        text = text.replace(name, "…").replace(name[:100], "…")
    return text


def png() -> bytes:
    """Return a small picture."""
    with BytesIO() as file:
        Image.new("RGB", (8, 8), "red").save(file, "PNG")
        return file.getvalue()
