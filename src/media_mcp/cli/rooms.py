"""Opens as much of the house as a command needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from media_mcp.settings import Settings

if TYPE_CHECKING:
    from media_mcp.catalog.catalog import Catalog
    from media_mcp.queue import Queue

T = TypeVar("T")


def run_async(main: Callable[[], Awaitable[T]]) -> T:
    """Run a command's coroutine, with what it needs imported by now."""
    import anyio

    from media_mcp.cli.outcome import settled

    settled()
    return anyio.run(main)


@asynccontextmanager
async def reading(settings: Settings, catalog: Catalog) -> AsyncIterator[Queue]:
    """Open the queue without backends: it shows and cancels jobs and runs none."""
    from media_mcp.media import MediaStore
    from media_mcp.queue import Queue

    media = MediaStore(settings.data_dir / "assets")
    async with Queue(settings, {}, media, catalog.get) as queue:
        yield queue
