"""One server with one worker for every card that has a tiny pipeline: each is loaded once."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy
import pytest
from mcp import Client
from PIL import Image

from media_mcp.server.app import App, open_app
from media_mcp.server.mcp import McpServer, surface_of
from media_mcp.settings import load_settings
from tiny.catalog import build_all, lay_cards


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Door:
    """The MCP door of a server, and the app behind it."""

    app: App
    client: Client

    async def begin(
        self, model: str, arguments: dict[str, Any], progress: Any = None, *, fresh: bool = False
    ) -> Any:
        """Ask for a run; return the answer, which may be that it goes on."""
        asked = {"model": model, "arguments": arguments, "fresh": fresh}
        return await self.client.call_tool("run_model", asked, progress_callback=progress)

    async def call(
        self, model: str, arguments: dict[str, Any], progress: Any = None, *, fresh: bool = False
    ) -> Any:
        """Run a model until it is over; return the facts of the answer."""
        result = await self.begin(model, arguments, progress, fresh=fresh)
        facts = result.structured_content
        while facts.get("state") in ("queued", "running"):
            more = await self.client.call_tool("get_job", {"job_id": facts["job_id"]})
            facts = more.structured_content
        return facts


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all tiny pipelines."""
    folder = tmp_path_factory.mktemp("weights")
    build_all(folder)
    return folder


@pytest.fixture(scope="session")
async def door(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    cards = lay_cards(tmp_path_factory.mktemp("cards"), weights)
    data = tmp_path_factory.mktemp("data")
    settings = load_settings(data_dir=data, catalog_dirs=[cards], device="cpu", offline=True)
    async with open_app(settings) as app:
        server = McpServer(surface_of(app))
        async with server.running(app), Client(server.sdk) as client:
            yield Door(app, client)


def _uri(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def picture(colour: str = "teal", size: tuple[int, int] = (128, 96)) -> str:
    """A picture with a disc in it, as a data URI."""
    buffer = io.BytesIO()
    drawn = Image.new("RGB", size, colour)
    drawn.paste("orange", (20, 20, 60, 60))
    drawn.save(buffer, "PNG")
    return _uri(buffer.getvalue(), "image/png")


def mask(size: tuple[int, int] = (128, 96)) -> str:
    buffer = io.BytesIO()
    drawn = Image.new("L", size, 0)
    drawn.paste(255, (30, 30, 90, 90))
    drawn.save(buffer, "PNG")
    return _uri(buffer.getvalue(), "image/png")


def clip(frames: int = 24, fps: int = 24, size: tuple[int, int] = (128, 96)) -> str:
    """A clip of a bar that moves, as a data URI."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(frames):
            pixels = numpy.full((size[1], size[0], 3), 60, numpy.uint8)
            pixels[:, index * 4 : index * 4 + 8] = 250
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode(None))
    return _uri(buffer.getvalue(), "video/mp4")


@pytest.fixture(scope="session")
def media() -> Callable[[Any], Any]:
    """Put files in the place of the words for them: picture, pictures, mask, clip, masks."""
    files = {
        "picture": picture(),
        "pictures": [picture("navy")],
        "mask": mask(),
        "clip": clip(),
        "masks": clip(),
    }
    return lambda value: files.get(value, value) if isinstance(value, str) else value
