"""Opens as much of the house as a command needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio

from media_mcp.cli.outcome import complain, settled

if TYPE_CHECKING:
    from media_mcp.catalog.catalog import Catalog
    from media_mcp.queue import Queue
    from media_mcp.settings import Settings

T = TypeVar("T")


def run_async(main: Callable[[], Awaitable[T]], *, many: bool = False) -> T:
    """Run a command's coroutine, once all is imported; its errors come out ungrouped.

    With `many` connections it runs on uvloop, which takes longer to load.
    """
    settled()
    try:
        return anyio.run(main, backend_options={"use_uvloop": many})
    except BaseExceptionGroup as group:
        raise _first(group) from None
    except KeyboardInterrupt:
        complain("Interrupted.")
        raise


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@asynccontextmanager
async def reading(settings: Settings, catalog: Catalog) -> AsyncIterator[Queue]:
    """Open the queue without backends: it shows and cancels jobs and runs none."""
    from media_mcp.media import MediaStore
    from media_mcp.queue import Queue

    media = MediaStore(settings.data_dir / "assets")
    async with Queue(settings, {}, media, catalog.get) as queue:
        yield queue
