"""The last line before the wire: a tool call ends in an answer, whatever happens inside it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable

import mcp_types as t
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError

from media_mcp.errors import MediaError
from media_mcp.server import answer
from media_mcp.server.ask import Asked
from media_mcp.server.toolset import Context

logger = logging.getLogger(__name__)


async def worded(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Middleware: what goes wrong outside of tool calls (a full disk, say) keeps its words."""
    try:
        return await call_next(ctx)
    except MediaError as error:
        raise MCPError(t.INTERNAL_ERROR, str(error), {"code": error.code}) from None


async def guarded(call: Awaitable[HandlerResult]) -> HandlerResult:
    """Return what the call answers; an error becomes a tool result that says what to do next."""
    try:
        return await call
    except Asked as asked:
        return asked.result
    except MediaError as error:
        return answer.rejected(error)
    except MCPError:
        raise
    except Exception:
        logger.exception("a tool call failed")
        bug = MediaError(
            "media-mcp failed while it handled this call; the server's log holds the details.",
            "Try once more; list_jobs shows whether a job was made.",
        )
        return answer.rejected(bug)
