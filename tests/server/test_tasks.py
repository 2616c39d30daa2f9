"""The tasks extension on the wire, with in-memory tasks behind it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import mcp_types as t
import pytest
from mcp.server import Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.memory import create_client_server_memory_streams
from mcp_types.version import LATEST_HANDSHAKE_VERSION

from media_mcp.server.app import open_app
from media_mcp.server.conformance import extend
from media_mcp.server.mcp import McpServer, surface_of
from media_mcp.server.tasks import (
    TASKS_ID,
    WATCHED_PER_STREAM,
    TaskListener,
    TasksExtension,
    TaskView,
    created,
    wire,
)
from media_mcp.settings import Settings
from rawwire import MODERN, TASKS, Wire, envelope

pytestmark = pytest.mark.anyio
Connect = Callable[[], AbstractAsyncContextManager[Wire]]


@pytest.fixture
def connected(tmp_path: Path) -> Connect:
    return lambda: connect(tmp_path)


@asynccontextmanager
async def connect(data_dir: Path) -> AsyncIterator[Wire]:
    async with (
        open_app(Settings(data_dir=data_dir, catalog_dirs=[])) as app,
        create_client_server_memory_streams() as (client, (read, write)),
    ):
        server = McpServer(extend(surface_of(app)))
        async with server.running(app), anyio.create_task_group() as group:
            options = server.sdk.create_initialization_options()
            group.start_soon(server.sdk.run, read, write, options)
            yield Wire(*client)
            group.cancel_scope.cancel()


async def test_the_extension_is_announced(connected: Connect) -> None:
    async with connected() as client:
        found = await client.result("server/discover")
    assert found["capabilities"]["extensions"] == {TASKS_ID: {}}


async def test_a_call_hands_back_a_task_that_can_be_read_at_once(connected: Connect) -> None:
    async with connected() as client:
        task_id = await client.start("slow_compute", seconds=60)
        task = await client.result("tasks/get", taskId=task_id)
    assert (task["taskId"], task["status"], task["resultType"]) == (task_id, "working", "complete")
    assert isinstance(task["ttlMs"], int) and isinstance(task["pollIntervalMs"], int)
    assert task["createdAt"].endswith("Z")


async def test_a_finished_task_holds_the_answer_of_the_tool(connected: Connect) -> None:
    async with connected() as client:
        task_id = await client.start("slow_compute", seconds=0)
        assert await client.listen(task_id) == [task_id]
        task = await client.until("completed")
        assert task["result"]["content"][0]["text"] == "Computed for 0 seconds"
        assert task["_meta"] == {"io.modelcontextprotocol/subscriptionId": client.stream}


async def test_a_tool_that_fails_completes_its_task(connected: Connect) -> None:
    async with connected() as client:
        await client.listen(await client.start("failing_job"))
        task = await client.until("completed")
    assert task["result"]["isError"] is True


async def test_what_was_asked_before_the_task_is_in_its_result(connected: Connect) -> None:
    answer = {"action": "accept", "content": {"name": "Ada"}}
    async with connected() as client:
        asked = await client.result("tools/call", name="test_tool_with_task", arguments={})
        assert asked["resultType"] == "input_required" and "taskId" not in asked
        task = await client.result(
            "tools/call",
            name="test_tool_with_task",
            arguments={},
            inputResponses=dict.fromkeys(asked["inputRequests"], answer),
        )
        await client.listen(task["taskId"])
        assert (await client.until("completed"))["result"]["content"][0]["text"] == "Hello, Ada!"


async def test_a_broken_task_holds_the_error_and_no_result(connected: Connect) -> None:
    async with connected() as client:
        task_id = await client.start("protocol_error_job")
        await client.listen(task_id)
        task = await client.until("failed")
    assert task["error"] == {"code": t.INTERNAL_ERROR, "message": "This job intentionally breaks"}
    assert "result" not in task


async def test_a_cancelled_task_says_so(connected: Connect) -> None:
    async with connected() as client:
        task_id = await client.start("slow_compute", seconds=60)
        await client.listen(task_id)
        assert (await client.result("tasks/cancel", taskId=task_id))["resultType"] == "complete"
        assert (await client.until("cancelled"))["taskId"] == task_id


async def test_a_finished_task_can_be_cancelled_and_stays_as_it_is(connected: Connect) -> None:
    async with connected() as client:
        task_id = await client.start("slow_compute", seconds=0)
        await client.listen(task_id)
        await client.until("completed")
        assert (await client.result("tasks/cancel", taskId=task_id))["resultType"] == "complete"
        assert (await client.result("tasks/get", taskId=task_id))["status"] == "completed"


async def test_a_task_waits_until_every_question_is_answered(connected: Connect) -> None:
    answer = {"action": "accept", "content": {"name": "Ada", "confirm": True}}
    async with connected() as client:
        task_id = await client.start("multi_input")
        await client.listen(task_id)
        first, second = (await client.until("input_required"))["inputRequests"]
        await client.result("tasks/update", taskId=task_id, inputResponses={first: answer})
        assert list((await client.until("input_required"))["inputRequests"]) == [second]
        await client.result("tasks/update", taskId=task_id, inputResponses={second: answer})
        assert (await client.until("completed"))["result"]["content"][0]["text"] == "2 answers"


async def test_a_question_reaches_the_client_and_its_answer_the_task(connected: Connect) -> None:
    async with connected() as client:
        task_id = await client.start("confirm_delete", filename="a.txt")
        await client.listen(task_id)
        ((key, asked),) = (await client.until("input_required"))["inputRequests"].items()
        assert asked["params"]["message"] == "Delete a.txt?"
        agreed = {key: {"action": "accept"}}
        await client.result("tasks/update", taskId=task_id, inputResponses=agreed)
        task = await client.until("completed")
    assert task["result"]["content"][0]["text"] == "a.txt: deleted"


async def test_answers_that_nobody_awaits_are_ignored(connected: Connect) -> None:
    async with connected() as client:
        task_id = await client.start("slow_compute", seconds=60)
        answer = await client.ask(
            "tasks/update", {"taskId": task_id, "inputResponses": {"other": 17}}
        )
    assert answer["result"]["resultType"] == "complete"


async def test_an_answer_of_a_wrong_shape_is_refused(connected: Connect) -> None:
    async with connected() as client:
        task_id = await client.start("confirm_delete", filename="a.txt")
        await client.listen(task_id)
        (key,) = (await client.until("input_required"))["inputRequests"]
        answer = await client.ask(
            "tasks/update", {"taskId": task_id, "inputResponses": {key: {"action": "perhaps"}}}
        )
    assert answer["error"]["code"] == t.INVALID_PARAMS
    assert answer["error"]["message"].startswith(
        "inputResponses: not an answer to elicitation/create"
    )


@pytest.mark.parametrize("method", ["tasks/get", "tasks/cancel", "tasks/update"])
async def test_an_unknown_task_is_an_invalid_parameter(connected: Connect, method: str) -> None:
    async with connected() as client:
        answer = await client.ask(method, {"taskId": "nope", "inputResponses": {}})
    assert answer["error"] == {"code": t.INVALID_PARAMS, "message": "Unknown task: 'nope'."}


@pytest.mark.parametrize("method", ["tasks/get", "tasks/cancel", "tasks/update"])
async def test_a_request_that_does_not_declare_the_extension_is_refused(
    connected: Connect, method: str
) -> None:
    async with connected() as client:
        task_id = await client.start("slow_compute", seconds=60)
        answer = await client.ask(method, {"taskId": task_id, "inputResponses": {}}, {})
    assert answer["error"] == {
        "code": t.MISSING_REQUIRED_CLIENT_CAPABILITY,
        "message": f"Missing required client capability: declare the extension {TASKS_ID}.",
        "data": {"requiredCapabilities": TASKS},
    }


async def test_without_the_extension_a_tool_answers_in_the_call(connected: Connect) -> None:
    async with connected() as client:
        params = {"name": "slow_compute", "arguments": {"seconds": 0}}
        answer = await client.ask("tools/call", params, {})
    assert answer["result"]["resultType"] == "complete"
    assert answer["result"]["content"][0]["text"] == "Computed for 0 seconds"


async def test_a_tool_that_must_be_a_task_is_refused_without_the_extension(
    connected: Connect,
) -> None:
    async with connected() as client:
        answer = await client.ask("tools/call", {"name": "failing_job", "arguments": {}}, {})
    assert answer["error"]["code"] == t.MISSING_REQUIRED_CLIENT_CAPABILITY


async def test_the_handshake_era_knows_no_tasks(connected: Connect) -> None:
    async with connected() as client:
        info = {"name": "old", "version": "1"}
        await client.send(
            "initialize",
            {
                "protocolVersion": LATEST_HANDSHAKE_VERSION,
                "capabilities": TASKS,
                "clientInfo": info,
            },
        )
        await client.receive()
        await client.send("tools/call", {"name": "slow_compute", "arguments": {"seconds": 0}})
        assert "taskId" not in (await client.receive())["result"]


async def test_a_stream_tells_only_of_tasks_that_there_are(connected: Connect) -> None:
    async with connected() as client:
        task_id = await client.start("slow_compute", seconds=60)
        assert await client.listen("nope", task_id) == [task_id]
        assert (await client.told())["taskId"] == task_id


async def test_a_stream_tells_of_a_bounded_number_of_tasks(connected: Connect) -> None:
    async with connected() as client:
        task_id = await client.start("slow_compute", seconds=60)
        assert await client.listen(*["nope"] * WATCHED_PER_STREAM, task_id) == []


async def test_a_stream_without_the_extension_must_not_ask_for_tasks(connected: Connect) -> None:
    async with connected() as client:
        answer = await client.ask("subscriptions/listen", {"notifications": {"taskIds": []}}, {})
    assert answer["error"]["code"] == t.MISSING_REQUIRED_CLIENT_CAPABILITY


@pytest.mark.parametrize("wrong", ["abc", [1]])
async def test_a_stream_takes_task_ids_as_a_list_of_strings(
    connected: Connect, wrong: object
) -> None:
    async with connected() as client:
        answer = await client.ask("subscriptions/listen", {"notifications": {"taskIds": wrong}})
    assert answer["error"] == {
        "code": t.INVALID_PARAMS,
        "message": "taskIds: must be a list of strings.",
    }


async def test_a_stream_may_leave_tasks_out(connected: Connect) -> None:
    async with connected() as client:
        params = {"notifications": {"toolsListChanged": True}, "_meta": envelope({})}
        await client.send("subscriptions/listen", params)
        honored = (await client.receive())["params"]["notifications"]
    assert honored == {"toolsListChanged": True}


async def test_a_stream_that_the_server_ends_is_ended_in_the_way_of_the_protocol() -> None:
    listener = TaskListener(ListenHandler(InMemorySubscriptionBus()), TasksExtension())
    async with served_by(listener) as client:
        assert await client.listen("nope") == []
        listener.close()
        assert (await client.receive())["result"]["resultType"] == "complete"


async def test_a_stream_beyond_the_limit_is_refused() -> None:
    handler = ListenHandler(InMemorySubscriptionBus(), max_subscriptions=0)
    async with served_by(TaskListener(handler, TasksExtension())) as client:
        answer = await client.ask("subscriptions/listen", {"notifications": {"taskIds": []}})
    assert answer["error"] == {"code": t.INTERNAL_ERROR, "message": "Subscription limit reached"}


async def test_a_server_without_tasks_ignores_task_ids() -> None:
    listener = TaskListener(ListenHandler(InMemorySubscriptionBus()), None)
    async with served_by(listener) as client:
        params = {"notifications": {"taskIds": ["a"]}, "_meta": envelope(TASKS)}
        await client.send("subscriptions/listen", params)
        assert (await client.receive())["params"]["notifications"] == {}


@asynccontextmanager
async def served_by(listener: TaskListener) -> AsyncIterator[Wire]:
    server = Server("test", on_subscriptions_listen=listener)
    async with (
        create_client_server_memory_streams() as (client, (read, write)),
        anyio.create_task_group() as group,
    ):
        group.start_soon(server.run, read, write, server.create_initialization_options())
        yield Wire(*client)
        group.cancel_scope.cancel()


async def test_over_http_the_name_header_must_repeat_the_task(tmp_path: Path) -> None:
    params = {"taskId": "here", "_meta": envelope(TASKS)}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": params}
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": "tasks/get",
    }
    async with posting(tmp_path) as client:
        wrong = await client.post("/mcp", json=request, headers={**headers, "Mcp-Name": "there"})
        right = await client.post("/mcp", json=request, headers={**headers, "Mcp-Name": "here"})
    assert (wrong.status_code, wrong.json()["error"]) == (
        400,
        {
            "code": t.HEADER_MISMATCH,
            "message": "The mcp-name header does not match the taskId of the body, 'here'.",
        },
    )
    assert right.json()["error"]["message"] == "Unknown task: 'here'."


@asynccontextmanager
async def posting(data_dir: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with open_app(Settings(data_dir=data_dir, catalog_dirs=[])) as app:
        server = McpServer(extend(surface_of(app)))
        asgi = server.sdk.streamable_http_app()
        transport = httpx2.ASGITransport(app=asgi)
        async with (
            server.running(app),
            asgi.router.lifespan_context(asgi),
            httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as client,
        ):
            yield client


def test_a_task_that_failed_as_a_tool_is_completed_on_the_wire() -> None:
    failed = t.CallToolResult(content=[t.TextContent(text="no")], is_error=True)
    view = TaskView("1", "completed", 0.0, 1.5, message="done", result=failed)
    assert wire(view) == {
        "taskId": "1",
        "status": "completed",
        "statusMessage": "done",
        "createdAt": "1970-01-01T00:00:00.000Z",
        "lastUpdatedAt": "1970-01-01T00:00:01.500Z",
        "ttlMs": None,
        "pollIntervalMs": 1000,
        "result": {
            "content": [{"type": "text", "text": "no"}],
            "isError": True,
            "resultType": "complete",
        },
    }
    assert "result" not in created(view)
