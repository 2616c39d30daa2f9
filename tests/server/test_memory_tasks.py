"""The in-memory tasks behind the conformance profile."""

from collections.abc import Sequence

import mcp_types as t
import pytest
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

from media_mcp.server.conformance.fixture import text
from media_mcp.server.conformance.memory_tasks import Asker, MemoryTasks
from media_mcp.server.tasks import TaskView

pytestmark = pytest.mark.anyio


async def greeting(asker: Asker) -> t.CallToolResult:
    return text("Hello")


async def broken(asker: Asker) -> t.CallToolResult:
    raise ZeroDivisionError("a secret")


async def seen(tasks: MemoryTasks, task_id: str) -> Sequence[TaskView]:
    return [view async for view in tasks.watch(None, task_id)]


async def test_a_task_whose_work_raises_fails_without_telling_why() -> None:
    tasks = MemoryTasks()
    async with tasks.running():
        broke, fine = tasks.start(None, broken), tasks.start(None, greeting)
        assert (await seen(tasks, broke.id))[-1].error.message == "The task broke."
        assert (await seen(tasks, fine.id))[-1].status == "completed"


async def test_a_task_is_unknown_to_another_caller() -> None:
    tasks = MemoryTasks()
    async with tasks.running():
        task_id = tasks.start(None, greeting).id
        token = AccessToken(token="x", client_id="somebody", scopes=[])
        auth_context_var.set(AuthenticatedUser(token))
        assert await tasks.get(None, task_id) is None


async def test_an_old_task_is_forgotten_when_another_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tasks = MemoryTasks()
    async with tasks.running():
        old = tasks.start(None, greeting)
        await seen(tasks, old.id)
        monkeypatch.setattr("media_mcp.server.conformance.memory_tasks.TTL_MS", -1)
        tasks.start(None, greeting)
        assert await tasks.get(None, old.id) is None


def test_a_task_cannot_start_before_its_group_runs() -> None:
    with pytest.raises(RuntimeError, match=r"running\(\) is not entered"):
        MemoryTasks().start(None, greeting)
