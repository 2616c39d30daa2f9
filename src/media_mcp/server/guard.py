"""The last line before the wire: a tool call ends in an answer, whatever happens inside it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable

from mcp.server.context import HandlerResult
from mcp.shared.exceptions import MCPError

from media_mcp.errors import MediaError
from media_mcp.server import answer
from media_mcp.server.ask import Asked

logger = logging.getLogger(__name__)


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
