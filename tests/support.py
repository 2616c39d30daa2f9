"""Names that tests of several rooms share."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from media_mcp.server.app import App
from media_mcp.server.mcp import McpServer

Opened = Callable[..., AbstractAsyncContextManager[tuple[App, McpServer]]]
