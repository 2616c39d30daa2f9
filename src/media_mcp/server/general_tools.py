"""The few tools that reach everything: find, describe, quote, run; follow and list jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import mcp_types as t
from mcp.server.context import HandlerResult

from media_mcp.catalog.validate import Validator
from media_mcp.job import JSON, JobState, MediaKind
from media_mcp.server.answer import OUTPUT_SCHEMA
from media_mcp.server.desk import Call, Desk
from media_mcp.server.guard import guarded
from media_mcp.server.tooldefs import (
    ALWAYS_LOAD,
    FRESH,
    hints,
    integer,
    properties,
    text,
    wire,
)
from media_mcp.server.toolset import Context

Handler: TypeAlias = Callable[[Desk, Call], Awaitable[HandlerResult]]


def _rows(key: str) -> dict[str, Any]:
    """Return the output schema of a list of rows; `next` beside them is the call to make now."""
    return {"type": "object", "properties": {key: {"type": "array"}}}


_FACTS: dict[str, Any] = {"type": "object"}


def _model() -> dict[str, JSON]:
    return text("A model's id or tool name, as find_models gives it.", required=True)


def _job() -> dict[str, JSON]:
    return text("The job's id.", required=True)


def _arguments() -> dict[str, JSON]:
    words = "The model's arguments; describe_model shows them."
    return {"type": "object", "description": words, "properties": {}}


@dataclass(frozen=True, slots=True)
class GeneralTool:
    """A definition and the method of the desk behind it."""

    name: str
    title: str
    description: str
    inputs: Mapping[str, JSON]
    output_schema: Mapping[str, JSON]
    handler: Handler
    read_only: bool = True

    def definition(self) -> t.Tool:
        return t.Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=dict(self.inputs),
            output_schema=dict(self.output_schema),
            annotations=hints(read_only=self.read_only),
            _meta=ALWAYS_LOAD,
        )


TOOLS: tuple[GeneralTool, ...] = (
    GeneralTool(
        "find_models",
        "Find models",
        "Find models by what you want to make, in plain words. Gives ids, tasks, prices and "
        "whether each can run here now. Start here.",
        properties(
            query=text("What is wanted, as 'a short clip with sound'. Empty lists all."),
            task=text("Only this task, as text-to-image."),
            provider=text("Only this maker, as Google."),
            licence=text("Only licences like this, as Apache or commercial."),
            max_price={
                "type": "number",
                "minimum": 0,
                "description": "US dollars at most for a typical call; 0: free ones.",
            },
            runs_here={
                "type": "boolean",
                "default": False,
                "description": "Only those that can run here now.",
            },
            media_in=text("Takes this.", enum=[kind.value for kind in MediaKind]),
            media_out=text("Makes this.", enum=[kind.value for kind in MediaKind]),
            limit=integer("How many rows.", 1, 20, 5),
        ),
        _rows("models"),
        Desk.find_models,
    ),
    GeneralTool(
        "describe_model",
        "Describe a model",
        "Show a model's arguments (JSON Schema), what it is good and bad at, its routes with "
        "price, time, licence and readiness, what could stand in for it, and an example call.",
        properties(model=_model()),
        _FACTS,
        Desk.describe_model,
    ),
    GeneralTool(
        "quote",
        "Quote a job",
        "Say what a call would cost in US dollars and how long it would take, per route, and "
        "check its arguments. Runs and spends nothing.",
        properties(model=_model(), arguments=_arguments()),
        _FACTS,
        Desk.quote,
    ),
    GeneralTool(
        "run_model",
        "Run a model",
        "Run any model by id, listed as a tool or not. Waits a while for the result; a longer job "
        "goes on and the answer says how to follow it.",
        properties(
            model=_model(),
            arguments=_arguments(),
            fresh=dict(FRESH),
            backend=text("Only on this backend."),
        ),
        OUTPUT_SCHEMA,
        Desk.run_model,
        read_only=False,
    ),
    GeneralTool(
        "get_job",
        "Get a job",
        "Wait for a job and give its result, or its progress if it is not over in time. "
        "No need to call it in a loop: it waits.",
        properties(
            job_id=_job(),
            wait=integer("Seconds to wait at the most.", 0, 600, 50),
            first_asset=integer("Show assets from this one on, from 0.", 0, 10_000, 0),
        ),
        OUTPUT_SCHEMA,
        Desk.get_job,
    ),
    GeneralTool(
        "cancel_job",
        "Cancel a job",
        "Stop a job that is queued or running. One that is over stays as it is.",
        properties(job_id=_job()),
        OUTPUT_SCHEMA,
        Desk.cancel_job,
        read_only=False,
    ),
    GeneralTool(
        "list_jobs",
        "List jobs",
        "List jobs, newest first, also those of earlier sessions: nothing is forgotten.",
        properties(
            state=text("Only this state.", enum=[state.value for state in JobState]),
            model=text("Only this model."),
            limit=integer("How many rows.", 1, 20, 8),
            before=text("The id of the last job of the page before."),
        ),
        _rows("jobs"),
        Desk.list_jobs,
    ),
    GeneralTool(
        "list_assets",
        "List assets",
        "List stored media, newest first: made by jobs or given as inputs. Their media:// URIs "
        "are inputs for other models.",
        properties(
            limit=integer("How many rows.", 1, 20, 5),
            before=text("The uri of the last asset of the page before."),
        ),
        _rows("assets"),
        Desk.list_assets,
    ),
    GeneralTool(
        "spend",
        "Spend",
        "Show what jobs have cost (US dollars), by day, model and route, and the budget left.",
        properties(),
        _FACTS,
        Desk.spend,
    ),
)


class GeneralTools:
    """A `ToolSet` of the tools above."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tools = {tool.name: wire(tool.definition()) for tool in TOOLS}
        self._handlers = {tool.name: tool.handler for tool in TOOLS}
        self._validators = {tool.name: Validator(tool.inputs) for tool in TOOLS}

    def names(self) -> Sequence[str]:
        return list(self._tools)

    def definition(self, name: str) -> dict[str, Any] | None:
        return self._tools.get(name)

    async def call(self, ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        return await guarded(self._call(ctx, params))

    async def _call(self, ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        arguments = {k: v for k, v in (params.arguments or {}).items() if v is not None}
        self._validators[params.name].check(arguments)
        return await self._handlers[params.name](self._desk, Call(ctx, params, arguments))
