"""A server over the rehearsal backend, and clients of both protocol eras for it."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from media_mcp.backends.base import Backend
from media_mcp.server.app import App, open_app
from media_mcp.server.mcp import McpServer, surface_of
from media_mcp.settings import Settings, load_settings
from support import Opened

ERAS = ["legacy", "2026-07-28"]

# Cards for what the shipped ones do not do: take long, fail, cost money, make many things.
CARDS = """\
task: text-to-image
licence: MIT
description: For tests.
inputs:
  prompt: {type: string, required: true, description: What to draw.}
  seed: {type: integer, minimum: 0, maximum: 2147483647, description: The seed.}
  num_images: {type: integer, minimum: 1, maximum: 8, default: 1, description: How many.}
outputs:
  images: {kind: image, mime_type: image/png, shape: files}
variants:
  - id: test/slow
    title: Slow
    routes: [{backend: rehearsal, spec: {seconds: 60, steps: 600}}]
  - id: test/steps
    title: Steps
    routes: [{backend: rehearsal, spec: {seconds: 0.2, steps: 4}}]
  - id: test/fails
    title: Fails
    routes: [{backend: rehearsal, spec: {failure: content_refused}}]
  - id: test/crashes
    title: Crashes
    routes: [{backend: rehearsal, spec: {failure: crash}}]
  - id: test/flaky
    title: Flaky
    routes: [{backend: rehearsal, spec: {failure: worker_died, fail_attempts: 1}}]
  - id: test/dear
    title: Dear
    routes: [{backend: paid, price: {amount: 2.5, unit: image}}]
  - id: test/elsewhere
    title: Elsewhere
    routes: [{backend: nowhere}]
"""


@pytest.fixture(scope="session")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the cards above: one for all tests, so that it is compiled once."""
    folder = tmp_path_factory.mktemp("cards")
    (folder / "tests.yaml").write_text(CARDS)
    return folder


@pytest.fixture
def settings(tmp_path: Path, cards: Path) -> Callable[..., Settings]:
    """Make settings in a fresh data folder, with the cards above."""

    def make(**given: Any) -> Settings:
        return load_settings(data_dir=tmp_path / "data", catalog_dirs=[cards], **given)

    return make


@pytest.fixture
def opened(settings: Callable[..., Settings]) -> Opened:
    """Open an app and its MCP server: `async with opened(wait=1) as (app, server):`."""

    @asynccontextmanager
    async def open_server(
        backends: Mapping[str, Backend] | None = None, **given: Any
    ) -> AsyncIterator[tuple[App, McpServer]]:
        async with open_app(settings(**given), backends=backends) as app:
            server = McpServer(surface_of(app))
            async with server.running(app):
                yield app, server

    return open_server


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)
