"""Jobs as tasks: the same row, for clients that declare the extension."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from mcp.shared.memory import create_client_server_memory_streams

from media_mcp.job import Caller, JobState
from media_mcp.server.mcp import McpServer
from rawwire import Wire
from support import Opened

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def wired(server: McpServer) -> AsyncIterator[Wire]:
    async with (
        create_client_server_memory_streams() as (client, served),
        anyio.create_task_group() as group,
    ):
        group.start_soon(server.sdk.run, *served, server.sdk.create_initialization_options())
        yield Wire(*client)
        group.cancel_scope.cancel()


async def test_a_call_that_declares_tasks_hands_back_the_job_as_a_task(opened: Opened) -> None:
    async with opened() as (app, server), wired(server) as wire:
        task_id = await wire.start("test_slow", prompt="x")
        job = await app.queue.get(task_id, Caller())
        assert job.model == "test/slow"
        seen = await wire.result("tasks/get", taskId=task_id)
        assert seen["status"] == "working"


async def test_a_task_that_ends_holds_the_answer_and_counts_as_answered(opened: Opened) -> None:
    async with opened() as (app, server), wired(server) as wire:
        task_id = await wire.start("rehearsal_image", prompt="x")
        await app.queue.wait(task_id, Caller(), 30)
        seen = await wire.result("tasks/get", taskId=task_id)
        assert seen["status"] == "completed"
        facts = seen["result"]["structuredContent"]
        assert facts["state"] == "succeeded"
        assert facts["assets"][0]["path"]
        assert await wire.start("rehearsal_image", prompt="x") != task_id


async def test_a_failed_job_is_a_completed_task_with_an_error_result(opened: Opened) -> None:
    async with opened() as (app, server), wired(server) as wire:
        task_id = await wire.start("test_fails", prompt="x")
        await app.queue.wait(task_id, Caller(), 30)
        seen = await wire.result("tasks/get", taskId=task_id)
        assert seen["result"]["isError"]


async def test_cancelling_the_task_cancels_the_job(opened: Opened) -> None:
    async with opened() as (app, server), wired(server) as wire:
        task_id = await wire.start("test_slow", prompt="x")
        await wire.result("tasks/cancel", taskId=task_id)
        job = await app.queue.wait(task_id, Caller(), 30)
        assert job.state is JobState.CANCELLED
        assert (await wire.result("tasks/get", taskId=task_id))["status"] == "cancelled"


async def test_a_task_outlives_the_server(opened: Opened) -> None:
    async with opened() as (app, server), wired(server) as wire:
        task_id = await wire.start("rehearsal_image", prompt="x")
        await app.queue.wait(task_id, Caller(), 30)
    async with opened() as (_, server), wired(server) as wire:
        assert (await wire.result("tasks/get", taskId=task_id))["status"] == "completed"


async def test_a_stream_tells_how_a_job_goes_on(opened: Opened) -> None:
    async with opened() as (_, server), wired(server) as wire:
        task_id = await wire.start("test_steps", prompt="x")
        assert await wire.listen(task_id) == [task_id]
        done = await wire.until("completed")
        assert done["taskId"] == task_id


async def test_a_job_asks_nothing_so_an_update_changes_nothing(opened: Opened) -> None:
    async with opened() as (_, server), wired(server) as wire:
        task_id = await wire.start("test_slow", prompt="x")
        await wire.result("tasks/update", taskId=task_id, inputResponses={"x": {}})
        assert (await wire.result("tasks/get", taskId=task_id))["status"] == "working"


async def test_a_made_up_task_is_unknown(opened: Opened) -> None:
    async with opened() as (_, server), wired(server) as wire:
        answer = await wire.ask("tasks/get", {"taskId": "nope"})
        assert "Unknown task" in answer["error"]["message"]
