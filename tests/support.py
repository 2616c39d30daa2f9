"""Names that tests of several rooms share."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from media_mcp.queue.store import Wish
from media_mcp.server.app import App
from media_mcp.server.mcp import McpServer

Opened = Callable[..., AbstractAsyncContextManager[tuple[App, McpServer]]]


async def first_claim(store, backend, warm=frozenset(), overdue=0.0):
    """Take the next job of a backend, or None if there is none."""
    return next(iter(await store.claim(backend, Wish(warm, overdue=overdue))), None)
