"""Fixtures that talk to the client while they run: logs, progress, sampling, elicitation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anyio
import mcp_types as t
from mcp.server.context import HandlerResult
from mcp.shared.exceptions import MCPError

from media_mcp.server.conformance.dialogue import ask, declared, form, said_text, sample
from media_mcp.server.conformance.fixture import Fixture, Run, failure, fixture, text
from media_mcp.server.conformance.log import SessionLog
from media_mcp.server.toolset import Context

BEAT_S = 0.05  # the suite wants to see messages arrive apart from each other
AWAY_S = 0.2  # long enough for a client to come back after its stream was closed

DEFAULTS: dict[str, Any] = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}


def _titled(*titles: str) -> list[dict[str, str]]:
    return [{"const": f"value{n}", "title": title} for n, title in enumerate(titles, 1)]


ENUMS: dict[str, Any] = {
    "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
    "titledSingle": {
        "type": "string",
        "oneOf": _titled("First Option", "Second Option", "Third Option"),
    },
    "legacyEnum": {
        "type": "string",
        "enum": ["opt1", "opt2", "opt3"],
        "enumNames": ["Option One", "Option Two", "Option Three"],
    },
    "untitledMulti": {
        "type": "array",
        "items": {"type": "string", "enum": ["option1", "option2", "option3"]},
    },
    "titledMulti": {
        "type": "array",
        "items": {"anyOf": _titled("First Choice", "Second Choice", "Third Choice")},
    },
}
USER = {
    "username": {"type": "string", "description": "User's response"},
    "email": {"type": "string", "description": "User's email address"},
}


def conversation(log: SessionLog) -> Iterator[Fixture]:
    logging = _Logging(log)
    yield fixture("test_tool_with_logging", "Logs three lines while it runs", logging.run)
    yield fixture("test_logging_tool", "Logs, if the request asks for logs", logging.run)
    yield fixture("test_reconnection", "Closes its stream half way", _reconnection)
    yield fixture("test_tool_with_progress", "Reports 0, 50 and 100 of 100", _progress)
    yield fixture(
        "test_sampling", "Asks the client's model", _sampling, {"prompt": {"type": "string"}}
    )
    yield fixture(
        "test_elicitation", "Asks the user", _elicitation, {"message": {"type": "string"}}
    )
    yield fixture(
        "test_elicitation_sep1034_defaults", "Asks with defaults", _form_of("Defaults", DEFAULTS)
    )
    yield fixture("test_elicitation_sep1330_enums", "Asks for choices", _form_of("Choices", ENUMS))
    yield fixture("test_missing_capability", "Needs a client that samples", _needs_sampling)


class _Logging:
    def __init__(self, log: SessionLog) -> None:
        self._log = log

    async def run(self, ctx: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
        await self._log.write(ctx, "info", "Tool execution started")
        await anyio.sleep(BEAT_S)
        await self._log.write(ctx, "info", "Tool processing data")
        await anyio.sleep(BEAT_S)
        await self._log.write(ctx, "info", "Tool execution completed")
        return text("Tool with logging executed successfully")


async def _reconnection(ctx: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
    if ctx.close_sse_stream is not None:
        await ctx.close_sse_stream()
        await anyio.sleep(AWAY_S)
    return text("Reconnection test completed")


async def _progress(ctx: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100, f"Completed {done} of 100")
        await anyio.sleep(BEAT_S)
    return text("Tool with progress executed successfully")


async def _sampling(ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
    if not declared(ctx, "sampling"):
        return failure("The client does not support sampling.")
    answer = await ask(ctx, params, sample((params.arguments or {})["prompt"], 100))
    if isinstance(answer, t.InputRequiredResult):
        return answer
    return text(f"LLM response: {said_text(answer)}")


async def _elicitation(ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
    question = form((params.arguments or {})["message"], USER)
    return await _elicit(ctx, params, question, "User response")


def _form_of(message: str, properties: dict[str, Any]) -> Run:
    question = form(message, properties, all_required=False)

    async def run(ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        return await _elicit(ctx, params, question, "Elicitation completed")

    return run


async def _elicit(
    ctx: Context, params: t.CallToolRequestParams, question: t.InputRequest, words: str
) -> HandlerResult:
    if not declared(ctx, "elicitation"):
        return failure("The client does not support elicitation.")
    answer = await ask(ctx, params, question)
    if isinstance(answer, t.InputRequiredResult):
        return answer
    content = json.dumps(answer.get("content") or {})
    return text(f"{words}: action={answer['action']}, content={content}")


async def _needs_sampling(ctx: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
    if not declared(ctx, "sampling"):
        raise MCPError(
            t.MISSING_REQUIRED_CLIENT_CAPABILITY,
            "Missing required client capability: sampling.",
            {"requiredCapabilities": {"sampling": {}}},
        )
    return text("The client can sample.")
