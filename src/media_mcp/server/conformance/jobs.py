"""Fixtures that take their time: tasks where the client knows them."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import mcp_types as t
from mcp.server.context import HandlerResult
from mcp.shared.exceptions import MCPError

from media_mcp.server.conformance.dialogue import Dialogue, filled, form
from media_mcp.server.conformance.fixture import Fixture, Run, failure, fixture, text
from media_mcp.server.conformance.memory_tasks import Asker, MemoryTasks, Work
from media_mcp.server.conformance.rounds import NAME
from media_mcp.server.tasks import created, missing_capability, negotiated
from media_mcp.server.toolset import Context

FAILS_AFTER_S = 1.0
CONFIRM = {"confirm": {"type": "boolean"}}


def jobs(tasks: MemoryTasks) -> Iterator[Fixture]:
    yield fixture("greet", "Answers at once", _greet, {"name": {"type": "string"}})
    yield Fixture(
        t.Tool(
            name="slow_compute",
            description="Waits some seconds; a task where the client knows tasks",
            input_schema={
                "type": "object",
                "properties": {
                    "seconds": {"type": "number", "minimum": 0, "maximum": 600},
                    "label": {"type": "string"},
                },
                "required": ["seconds"],
            },
        ),
        _Slow(tasks).run,
    )
    yield fixture("failing_job", "A task whose tool fails", _required(tasks, _failing))
    yield fixture("protocol_error_job", "A task that breaks", _required(tasks, _breaking))
    yield fixture("multi_input", "A task that asks two things", _required(tasks, _asking_twice))
    yield fixture(
        "confirm_delete",
        "A task that asks before it goes on",
        _Confirming(tasks).run,
        {"filename": {"type": "string"}},
    )
    yield fixture("test_tool_with_task", "Asks first, then is a task", _AskThenTask(tasks).run)


async def _greet(ctx: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
    return text(f"Hello, {(params.arguments or {})['name']}!")


def _required(tasks: MemoryTasks, work: Work) -> Run:
    """Return a tool that cannot be served but as a task."""

    async def run(ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        if not negotiated(ctx):
            raise missing_capability()
        return created(tasks.start(ctx, work))

    return run


async def _failing(asker: Asker) -> t.CallToolResult:
    await anyio.sleep(FAILS_AFTER_S)
    return failure("This job intentionally fails")


async def _breaking(asker: Asker) -> t.CallToolResult:
    raise MCPError(t.INTERNAL_ERROR, "This job intentionally breaks")


async def _asking_twice(asker: Asker) -> t.CallToolResult:
    answers = await asker.ask(NAME, form("Go on?", CONFIRM))
    return text(f"{len(answers)} answers")


class _Slow:
    def __init__(self, tasks: MemoryTasks) -> None:
        self._tasks = tasks

    async def run(self, ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        seconds = (params.arguments or {})["seconds"]

        async def work(asker: Asker | None = None) -> t.CallToolResult:
            await anyio.sleep(seconds)
            return text(f"Computed for {seconds} seconds")

        return created(self._tasks.start(ctx, work)) if negotiated(ctx) else await work()


class _Confirming:
    def __init__(self, tasks: MemoryTasks) -> None:
        self._tasks = tasks

    async def run(self, ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        filename = (params.arguments or {})["filename"]

        async def work(asker: Asker) -> t.CallToolResult:
            (answer,) = await asker.ask(form(f"Delete {filename}?", CONFIRM))
            agreed = isinstance(answer, t.ElicitResult) and answer.action == "accept"
            return text(f"{filename}: {'deleted' if agreed else 'kept'}")

        return await _required(self._tasks, work)(ctx, params)


class _AskThenTask:
    def __init__(self, tasks: MemoryTasks) -> None:
        self._tasks = tasks

    async def run(self, ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        outcome = Dialogue(({"user_name": NAME},)).advance(params)
        if isinstance(outcome, t.InputRequiredResult):
            return outcome
        name = filled(outcome["user_name"], "name")

        async def work(asker: Asker) -> t.CallToolResult:
            return text(f"Hello, {name}!")

        return await _required(self._tasks, work)(ctx, params)
