"""The log of a session, which the 2025 era sends to its client at the level that it has set."""

from __future__ import annotations

import warnings
from typing import get_args

import mcp_types as t
from mcp.shared.exceptions import MCPDeprecationWarning

from media_mcp.server.toolset import Context

LEVELS: tuple[t.LoggingLevel, ...] = get_args(t.LoggingLevel)


class SessionLog:
    """Sends log lines. On 2026-07-28 the SDK sends those that the request itself asks for."""

    def __init__(self) -> None:
        self._levels: dict[str, t.LoggingLevel] = {}

    async def set_level(self, ctx: Context, params: t.SetLevelRequestParams) -> t.EmptyResult:
        self._levels[_key(ctx)] = params.level
        return t.EmptyResult()

    async def write(self, ctx: Context, level: t.LoggingLevel, words: str) -> None:
        """Send a line, unless the session asked for graver ones only."""
        if LEVELS.index(level) < LEVELS.index(self._levels.get(_key(ctx), "debug")):
            return
        with warnings.catch_warnings():
            # Logging is deprecated, and both suites demand it. The warning comes from the call,
            # not from the wait, which stays outside: other requests must not lose theirs.
            warnings.simplefilter("ignore", MCPDeprecationWarning)
            sending = ctx.session.send_log_message(level, words, related_request_id=ctx.request_id)
        await sending


def _key(ctx: Context) -> str:
    """Return the HTTP session's id; over stdio there is one session."""
    return ctx.request.headers.get("mcp-session-id", "") if ctx.request is not None else ""
