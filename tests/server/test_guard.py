"""Nothing escapes a tool call: what goes wrong becomes an answer."""

import logging

import mcp_types as t
import pytest
from mcp.server.context import HandlerResult
from mcp.shared.exceptions import MCPError

from media_mcp.errors import Refused, StorageFailed
from media_mcp.server.guard import guarded, worded

pytestmark = pytest.mark.anyio


async def fails(error: Exception) -> HandlerResult:
    raise error


async def test_an_error_of_ours_is_told_in_its_own_words() -> None:
    result = await guarded(fails(Refused("It is too dear.", "Ask for less.")))
    assert isinstance(result, t.CallToolResult)
    assert result.structured_content["error"]["message"] == "It is too dear."


async def test_a_bug_is_told_without_its_words_and_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        result = await guarded(fails(RuntimeError("the key is sk-123")))
    assert isinstance(result, t.CallToolResult)
    assert result.is_error
    assert "sk-123" not in str(result)
    assert "list_jobs" in result.structured_content["next"]
    assert "sk-123" in caplog.text


async def test_outside_of_tool_calls_an_error_keeps_its_words() -> None:
    async def full(ctx: object) -> HandlerResult:
        raise StorageFailed("The disk is full.", "Free some space.")

    with pytest.raises(MCPError, match=r"The disk is full\. Free some") as caught:
        await worded(None, full)  # type: ignore[arg-type]
    assert caught.value.error.data == {"code": "storage_failed"}


async def test_a_protocol_error_stays_one() -> None:
    with pytest.raises(MCPError, match="Unknown tool"):
        await guarded(fails(MCPError(t.INVALID_PARAMS, "Unknown tool")))
