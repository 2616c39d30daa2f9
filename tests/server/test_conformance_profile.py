"""The fixtures of the conformance profile, as a client of each era meets them."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types as t
import pytest
from mcp import Client
from mcp.server.streamable_http import EventMessage
from mcp.server.subscriptions import PromptsListChanged, ResourceUpdated, ToolsListChanged
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError

from media_mcp.server.app import open_app
from media_mcp.server.conformance import extend
from media_mcp.server.conformance.events import KEPT, RecentEvents
from media_mcp.server.conformance.resources import WATCHED
from media_mcp.server.mcp import McpServer, surface_of
from media_mcp.settings import Settings

pytestmark = pytest.mark.anyio
Connect = Callable[..., AbstractAsyncContextManager[Client]]


async def answer_form(context: Any, params: Any) -> t.ElicitResult:
    filled = dict.fromkeys(params.requested_schema["properties"], 7)
    return t.ElicitResult(action="accept", content=filled)


async def decline_form(context: Any, params: Any) -> t.ElicitResult:
    return t.ElicitResult(action="decline")


async def answer_sample(context: Any, params: Any) -> t.CreateMessageResult:
    words = f"heard: {params.messages[0].content.text}"
    return t.CreateMessageResult(role="assistant", content=t.TextContent(text=words), model="m")


async def answer_roots(context: Any) -> t.ListRootsResult:
    return t.ListRootsResult(roots=[t.Root(uri="file:///projects/ada")])


ANSWERS: dict[str, Any] = {
    "elicitation_callback": answer_form,
    "sampling_callback": answer_sample,
    "list_roots_callback": answer_roots,
}


@asynccontextmanager
async def connect(data_dir: Path, mode: Any, **options: Any) -> AsyncIterator[Client]:
    async with open_app(Settings(data_dir=data_dir, catalog_dirs=[])) as app:
        server = McpServer(extend(surface_of(app)))
        async with server.running(app), Client(server.sdk, mode=mode, **options) as client:
            yield client


@pytest.fixture(params=["2026-07-28", "legacy"])
def connected(request: pytest.FixtureRequest, tmp_path: Path) -> Connect:
    """Connect in each of the two eras."""
    return lambda **options: connect(tmp_path, request.param, **options)


@pytest.fixture
def modern(tmp_path: Path) -> Connect:
    return lambda **options: connect(tmp_path, "2026-07-28", **options)


@pytest.fixture
def legacy(tmp_path: Path) -> Connect:
    return lambda **options: connect(tmp_path, "legacy", **options)


async def words(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return result.content[0].text


async def test_fixed_replies_hold_each_kind_of_content(connected: Connect) -> None:
    async with connected() as client:
        kinds = {
            name: [block.type for block in (await client.call_tool(name)).content]
            for name in (
                "test_simple_text",
                "test_image_content",
                "test_audio_content",
                "test_embedded_resource",
                "test_multiple_content_types",
            )
        }
    assert list(kinds.values()) == [
        ["text"],
        ["image"],
        ["audio"],
        ["resource"],
        ["text", "image", "resource"],
    ]


async def test_a_tool_that_fails_says_so_in_its_result(connected: Connect) -> None:
    async with connected() as client:
        result = await client.call_tool("test_error_handling")
    assert result.is_error
    assert result.content[0].text == "This tool intentionally returns an error for testing"


async def test_arguments_are_checked_against_the_schema(connected: Connect) -> None:
    async with connected() as client:
        result = await client.call_tool("greet", {"name": 3})
        phoneless = await client.call_tool("json_schema_2020_12_tool", {"contactMethod": "phone"})
    assert result.is_error and result.content[0].text == '3 is not of type "string"'
    assert phoneless.is_error and '"phone" is a required property' in phoneless.content[0].text


async def test_simple_tools_answer_with_their_arguments(connected: Connect) -> None:
    async with connected() as client:
        assert await words(client, "greet", name="Ada") == "Hello, Ada!"
        assert await words(client, "test_x_mcp_header", region="eu") == "Region: eu"
        assert await words(client, "json_schema_2020_12_tool", email="a@b.c") == "Hello, stranger!"
        assert await words(client, "slow_compute", seconds=0) == "Computed for 0 seconds"


async def test_progress_is_reported_in_three_steps(connected: Connect) -> None:
    heard: list[tuple[float, float | None]] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total))

    async with connected() as client:
        await client.call_tool("test_tool_with_progress", progress_callback=progressed)
    assert heard == [(0, 100), (50, 100), (100, 100)]


async def test_log_lines_reach_a_client_that_wants_them(connected: Connect) -> None:
    heard: list[Any] = []

    async def logged(params: t.LoggingMessageNotificationParams) -> None:
        heard.append(params.data)

    async with connected(logging_callback=logged, log_level="info") as client:
        await words(client, "test_tool_with_logging")
    assert heard == [
        "Tool execution started",
        "Tool processing data",
        "Tool execution completed",
    ]


async def test_a_session_hears_no_lines_below_its_level(legacy: Connect) -> None:
    heard: list[Any] = []

    async def logged(params: t.LoggingMessageNotificationParams) -> None:
        heard.append(params.data)

    async with legacy(logging_callback=logged) as client:
        with pytest.warns(MCPDeprecationWarning, match="logging"):
            await client.set_logging_level("warning")
        await words(client, "test_tool_with_logging")
    assert heard == []


async def test_a_tool_asks_the_client_in_the_way_of_its_era(connected: Connect) -> None:
    async with connected(**ANSWERS) as client:
        sampled = await words(client, "test_sampling", prompt="Hi")
        asked = await words(client, "test_elicitation", message="Who?")
        defaults = await words(client, "test_elicitation_sep1034_defaults")
        enums = await words(client, "test_elicitation_sep1330_enums")
    assert sampled == "LLM response: heard: Hi"
    assert asked == 'User response: action=accept, content={"username": 7, "email": 7}'
    assert defaults.startswith("Elicitation completed: action=accept")
    assert "legacyEnum" in enums


async def test_a_user_may_decline(connected: Connect) -> None:
    async with connected(elicitation_callback=decline_form) as client:
        said = await words(client, "test_elicitation", message="Who?")
    assert said == "User response: action=decline, content={}"


@pytest.mark.parametrize(
    ("tool", "arguments", "capability"),
    [
        ("test_sampling", {"prompt": "Hi"}, "sampling"),
        ("test_elicitation", {"message": "Who?"}, "elicitation"),
    ],
)
async def test_a_client_that_cannot_be_asked_gets_an_error(
    connected: Connect, tool: str, arguments: dict[str, str], capability: str
) -> None:
    async with connected() as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert result.content[0].text == f"The client does not support {capability}."


async def test_a_capability_that_is_needed_is_demanded(connected: Connect) -> None:
    async with connected() as client:
        with pytest.raises(MCPError, match="Missing required client capability") as raised:
            await client.call_tool("test_missing_capability")
    assert raised.value.error.data == {"requiredCapabilities": {"sampling": {}}}


async def test_a_capability_that_is_declared_suffices(connected: Connect) -> None:
    async with connected(**ANSWERS) as client:
        assert await words(client, "test_missing_capability") == "The client can sample."


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("elicitation", "Hello, 7!"),
        ("sampling", "heard: What is the capital of France?"),
        ("list_roots", "Roots: file:///projects/ada"),
        ("request_state", "state-ok: 7"),
        ("tampered_state", "Confirmed: 7"),
        ("multiple_inputs", "heard: Generate a greeting 7, file:///projects/ada"),
        ("multi_round", "7 likes 7"),
        ("capabilities", "Answered: elicitation, sampling, roots"),
    ],
)
async def test_a_dialogue_ends_with_all_answers(modern: Connect, name: str, said: str) -> None:
    async with modern(**ANSWERS) as client:
        assert await words(client, f"test_input_required_result_{name}") == said


async def test_a_client_is_asked_only_what_it_can_answer(modern: Connect) -> None:
    async with modern() as client:
        said = await words(client, "test_input_required_result_capabilities")
    assert said == "Answered: nothing was asked"


async def test_an_answer_of_the_wrong_kind_is_asked_for_again(modern: Connect) -> None:
    roots = t.ListRootsResult(roots=[])
    async with modern(**ANSWERS) as client:
        result = await client.session.call_tool(
            "test_input_required_result_elicitation",
            input_responses={"user_name": roots, "other": roots},
            allow_input_required=True,
        )
    assert list(result.input_requests) == ["user_name"]


async def test_answers_without_the_state_begin_again(modern: Connect) -> None:
    answer = t.ElicitResult(action="accept", content={"ok": True})
    async with modern(**ANSWERS) as client:
        result = await client.session.call_tool(
            "test_input_required_result_request_state",
            input_responses={"confirm": answer},
            allow_input_required=True,
        )
    assert list(result.input_requests) == ["confirm"]


async def test_a_state_that_was_changed_is_refused(modern: Connect) -> None:
    tool = "test_input_required_result_tampered_state"
    async with modern(**ANSWERS) as client:
        asked = await client.session.call_tool(tool, allow_input_required=True)
        with pytest.raises(MCPError) as raised:
            await client.session.call_tool(tool, request_state=asked.request_state + "x")
    assert raised.value.error.code == t.INVALID_PARAMS


async def test_a_tool_may_report_progress_and_then_ask(modern: Connect) -> None:
    async with modern(**ANSWERS) as client:
        assert await words(client, "test_streaming_elicitation") == "Hello, 7!"


async def test_a_stream_that_cannot_be_closed_stays_open(connected: Connect) -> None:
    async with connected() as client:
        assert await words(client, "test_reconnection") == "Reconnection test completed"


async def test_resources_are_read_by_uri_and_by_template(connected: Connect) -> None:
    async with connected() as client:
        listed = {one.uri for one in (await client.list_resources()).resources}
        templates = (await client.list_resource_templates()).resource_templates
        fixed = (await client.read_resource("test://static-text")).contents[0]
        binary = (await client.read_resource("test://static-binary")).contents[0]
        filled = (await client.read_resource("test://template/123/data")).contents[0]
    assert {"test://static-text", "test://static-binary", WATCHED} <= listed
    assert "test://template/{id}/data" in {one.uri_template for one in templates}
    assert fixed.text == "This is the content of the static text resource."
    assert binary.mime_type == "image/png"
    assert json.loads(filled.text) == {
        "id": "123",
        "templateTest": True,
        "data": "Data for ID: 123",
    }


async def test_prompts_say_what_the_suites_expect(connected: Connect) -> None:
    arguments = {"arg1": "hello", "arg2": "world"}
    async with connected() as client:
        simple = await client.get_prompt("test_simple_prompt")
        filled = await client.get_prompt("test_prompt_with_arguments", arguments)
        embedded = await client.get_prompt(
            "test_prompt_with_embedded_resource", {"resourceUri": "test://x"}
        )
        shown = await client.get_prompt("test_prompt_with_image")
    assert simple.messages[0].content.text == "This is a simple prompt for testing."
    assert filled.messages[0].content.text == "Prompt with arguments: arg1='hello', arg2='world'"
    assert embedded.messages[0].content.resource.uri == "test://x"
    assert [one.content.type for one in shown.messages] == ["image", "text"]


async def test_a_prompt_names_the_arguments_that_are_missing(connected: Connect) -> None:
    async with connected() as client:
        with pytest.raises(MCPError, match=r"Missing arguments: arg2\."):
            await client.get_prompt("test_prompt_with_arguments", {"arg1": "x"})


async def test_a_prompt_may_ask_first(modern: Connect) -> None:
    async with modern(**ANSWERS) as client:
        prompt = await client.get_prompt("test_input_required_result_prompt")
    assert prompt.messages[0].content.text == "Use this context: 7"


async def test_arguments_of_prompts_are_completed(connected: Connect) -> None:
    ref = t.PromptReference(name="test_prompt_with_arguments")
    async with connected() as client:
        found = await client.complete(ref, {"name": "arg1", "value": "par"})
        other = await client.complete(ref, {"name": "arg3", "value": ""})
        unknown = await client.complete(
            t.PromptReference(name="nope"), {"name": "arg1", "value": "par"}
        )
    assert found.completion.values == ["paris", "park", "party"]
    assert (other.completion.values, unknown.completion.values) == ([], [])


async def test_listeners_hear_of_every_change(modern: Connect) -> None:
    async with (
        modern() as client,
        client.listen(
            tools_list_changed=True,
            prompts_list_changed=True,
            resource_subscriptions=[WATCHED],
        ) as changes,
    ):
        heard = []
        for kind in ("tool", "prompt", "resource"):
            await words(client, f"test_trigger_{kind}_change")
            with anyio.fail_after(5):
                heard.append(await anext(changes))
    assert heard == [ToolsListChanged(), PromptsListChanged(), ResourceUpdated(uri=WATCHED)]


async def test_the_list_of_tools_changes_to_and_fro(connected: Connect) -> None:
    async with connected() as client:
        await words(client, "test_trigger_tool_change")
        assert await words(client, "test_passing_tool") == "Still here."
        await words(client, "test_trigger_tool_change")
        with pytest.raises(MCPError, match="Unknown tool: 'test_passing_tool'"):
            await client.call_tool("test_passing_tool")


def message(number: int) -> t.JSONRPCMessage:
    return t.JSONRPCNotification(jsonrpc="2.0", method=f"notifications/{number}")


async def replay(events: RecentEvents, after: str) -> tuple[str | None, list[str | None]]:
    sent: list[str | None] = []

    async def send(event: EventMessage) -> None:
        sent.append(event.event_id)

    return await events.replay_events_after(after, send), sent


async def test_events_are_replayed_of_the_same_stream_only() -> None:
    events = RecentEvents()
    primed = await events.store_event("a", None)
    await events.store_event("b", message(1))
    second = await events.store_event("a", message(2))
    await events.store_event("a", None)
    assert await replay(events, primed) == ("a", [second])


async def test_events_of_long_ago_are_forgotten() -> None:
    events = RecentEvents()
    first = await events.store_event("a", message(0))
    for number in range(KEPT):
        await events.store_event("a", message(number))
    assert await replay(events, first) == (None, [])
