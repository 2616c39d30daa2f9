"""Asks the client something in the middle of a tool call, in whichever way its era allows.

Up to 2025-11-25 the server sends a request and awaits the answer. From 2026-07-28 on it hands
back an `InputRequiredResult`, and the client calls the tool again with the answer in it: so a
function that asks either has its answer, or raises `Asked`, which `mcp.py` turns into that result.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import mcp_types as t
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from media_mcp.errors import Refused
from media_mcp.job import JSON
from media_mcp.server.toolset import Context

CONSENT = "consent"
ROOTS = "roots"
_CONSENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "go_ahead": {"type": "boolean", "title": "Go ahead", "description": "Run the job."}
    },
    "required": ["go_ahead"],
}


class Asked(Exception):
    """The answer is not here yet: `result` goes back to the client, which calls again."""

    def __init__(self, result: t.InputRequiredResult) -> None:
        super().__init__()
        self.result = result


def modern(ctx: Context) -> bool:
    """Return whether the request came in the era without server-to-client requests."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


async def consent(ctx: Context, params: t.CallToolRequestParams, question: str, add: str) -> None:
    """Return once the user has said yes.

    Raises `Refused` if not, or if nobody can be asked; then `add` is what to add to the arguments.
    """
    capabilities = ctx.session.client_capabilities
    if capabilities is None or capabilities.elicitation is None:
        raise Refused(
            f"{question} This client cannot ask its user.",
            f"Ask the user; if they agree, call again with {add} added to the arguments. "
            "quote shows cheaper routes; confirm_above in media-mcp.toml sets when to ask.",
        )
    request = t.ElicitRequestFormParams(message=question, requested_schema=_CONSENT_SCHEMA)
    answer = await _elicit(ctx, params, request)
    if answer.action != "accept" or not (answer.content or {}).get("go_ahead"):
        raise Refused("The user did not agree to run this job.", "Nothing was spent. Ask the user.")


async def _elicit(
    ctx: Context, params: t.CallToolRequestParams, request: t.ElicitRequestFormParams
) -> t.ElicitResult:
    if not modern(ctx):
        return await ctx.session.elicit_form(
            request.message, request.requested_schema, related_request_id=ctx.request_id
        )
    given = _response(params, CONSENT)
    if isinstance(given, t.ElicitResult):
        return given
    raise Asked(t.InputRequiredResult(input_requests={CONSENT: t.ElicitRequest(params=request)}))


async def client_roots(
    ctx: Context, params: t.CallToolRequestParams, arguments: Mapping[str, JSON]
) -> list[Path]:
    """Return the folders that the client lets its servers read; asks only if a path is given."""
    capabilities = ctx.session.client_capabilities
    if capabilities is None or capabilities.roots is None or not _names_a_path(arguments):
        return []
    if modern(ctx):
        given = _response(params, ROOTS)
        if not isinstance(given, t.ListRootsResult):
            raise Asked(t.InputRequiredResult(input_requests={ROOTS: t.ListRootsRequest()}))
        return _folders(given)
    try:
        with (
            warnings.catch_warnings()
        ):  # roots are deprecated, but today's clients still offer them
            warnings.simplefilter("ignore", MCPDeprecationWarning)
            return _folders(await ctx.session.list_roots())
    except MCPError:
        return []


def _response(params: t.CallToolRequestParams, key: str) -> object:
    return (params.input_responses or {}).get(key)


def _names_a_path(arguments: Mapping[str, JSON]) -> bool:
    values = [
        v for value in arguments.values() for v in (value if isinstance(value, list) else [value])
    ]
    return any(
        isinstance(v, str) and v.startswith(("/", "~", "./", "../", "file://")) for v in values
    )


def _folders(result: t.ListRootsResult) -> list[Path]:
    uris = [urlsplit(str(root.uri)) for root in result.roots]
    return [Path(unquote(uri.path)) for uri in uris if uri.scheme == "file"]
