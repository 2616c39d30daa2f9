"""What stands behind the general tools: each method answers one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import mcp_types as t
from mcp.server.context import HandlerResult

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.describe import caveats, model_facts
from media_mcp.catalog.head import Head, Wish
from media_mcp.catalog.model import Model
from media_mcp.catalog.validate import renamed
from media_mcp.errors import InvalidArguments, NotFound, did_you_mean
from media_mcp.job import JSON, Job, JobState, MediaKind, Quote
from media_mcp.queue import Queue
from media_mcp.queue.policy import best
from media_mcp.server import answer
from media_mcp.server.ask import client_roots
from media_mcp.server.auth import caller_of
from media_mcp.server.intake import Intake
from media_mcp.server.offers import alternative, model_row, quote_row
from media_mcp.server.runs import Runs
from media_mcp.server.spending import spending
from media_mcp.server.tooldefs import tool_schema
from media_mcp.server.toolset import Context

_LIST_TOKENS = 1500
_ROUTES_TOKENS = 220  # of a quote's 300
_LOOKED_THROUGH = 200  # models that are asked whether they can run here
_ALTERNATIVES = 3
_FILTERS = ("task", "provider", "licence", "max_price", "runs_here", "media_in", "media_out")


@dataclass(frozen=True, slots=True)
class Call:
    """A checked call of a general tool."""

    ctx: Context
    params: t.CallToolRequestParams
    arguments: Mapping[str, JSON]


class Desk:
    """Answers the general tools from the catalog and the queue."""

    def __init__(self, catalog: Catalog, intake: Intake, queue: Queue, runs: Runs) -> None:
        self._catalog = catalog
        self._intake = intake
        self._queue = queue
        self._runs = runs

    async def find_models(self, call: Call) -> HandlerResult:
        wish = await self._wish(call.arguments)
        only_here, limit = call.arguments.get("runs_here", False), call.arguments.get("limit", 5)
        rows: list[JSON] = []
        for found in self._catalog.find(wish):
            quotes = await self._ready(found.head)
            if best(quotes) is not None or not only_here:
                rows.append(model_row(found.head, quotes))
            if len(rows) == limit:
                break
        return _listing("models", rows, self._after_finding(rows, call.arguments))

    async def describe_model(self, call: Call) -> HandlerResult:
        model = self._catalog.get(call.arguments["model"])
        facts = model_facts(model) | {
            "arguments": answer.fitted(tool_schema(model)),
            "routes": [quote_row(quote) for quote in await self._queue.quotes(model)],
            "alternatives": await self._alternatives(model),
            "example": dict(model.examples[0].arguments) if model.examples else None,
            "next": f"Call {model.tool}(…), or run_model(model={model.id!r}, arguments={{…}}). "
            "The routes' prices are for a typical call; quote tells that of yours.",
        }
        return answer.plain({name: value for name, value in facts.items() if value})

    async def quote(self, call: Call) -> HandlerResult:
        model = self._catalog.get(call.arguments["model"])
        given = call.arguments.get("arguments", {})
        try:
            roots = await client_roots(call.ctx, call.params, given)
            caller = self._runs.caller(call.ctx)
            order = await self._intake.prepare(model, given, caller, roots)
        except InvalidArguments as error:
            return answer.with_schema(error, tool_schema(model))
        quotes = await self._intake.quotes(order, caller)
        facts: dict[str, JSON] = {"model": model.id, "next": _after_quoting(model, quotes)}
        shown = answer.fill(facts, "routes", [quote_row(quote) for quote in quotes], _ROUTES_TOKENS)
        if shown < len(quotes):
            facts["left_out"] = len(quotes) - shown
        extra = {"notes": list(renamed(model, given).notes), **caveats(model)}
        return answer.plain(answer.added(facts, extra | await self._instead(model, quotes)))

    async def run_model(self, call: Call) -> HandlerResult:
        model = self._catalog.get(call.arguments["model"])
        given = call.arguments.get("arguments", {})
        fresh, backend = call.arguments.get("fresh", False), call.arguments.get("backend", "")
        return await self._runs.run(
            call.ctx, call.params, model, given, fresh=fresh, backend=backend
        )

    async def get_job(self, call: Call) -> HandlerResult:
        job = await self._queue.get(call.arguments["job_id"], caller_of(call.ctx))
        if not job.state.terminal:
            job = await self._runs.wait(call.ctx, job, call.arguments.get("wait", 50))
        return await self._runs.answer(job, first_asset=call.arguments.get("first_asset", 0))

    async def cancel_job(self, call: Call) -> HandlerResult:
        job = await self._queue.cancel(call.arguments["job_id"], caller_of(call.ctx))
        return answer.of_job(job)

    async def list_jobs(self, call: Call) -> HandlerResult:
        state = call.arguments.get("state")
        limit = call.arguments.get("limit", 8)
        jobs = await self._queue.jobs(
            caller_of(call.ctx),
            state=JobState(state) if state else None,
            model=call.arguments.get("model"),
            limit=limit,
            before=call.arguments.get("before"),
        )
        more = f" list_jobs(before={jobs[-1].id!r}) shows older ones." if len(jobs) == limit else ""
        return _listing("jobs", [_job_row(job) for job in jobs], f"get_job shows one.{more}")

    async def list_assets(self, call: Call) -> HandlerResult:
        limit = call.arguments.get("limit", 5)
        assets = await self._queue.assets(
            caller_of(call.ctx), limit=limit, before=call.arguments.get("before")
        )
        full = len(assets) == limit
        more = f"list_assets(before={assets[-1].uri!r}) shows older ones." if full else "No more."
        return _listing("assets", [answer.asset_facts(asset) for asset in assets], more)

    async def spend(self, call: Call) -> HandlerResult:
        return answer.plain(spending(await self._queue.books.spend(self._runs.caller(call.ctx))))

    async def _wish(self, given: Mapping[str, JSON]) -> Wish:
        """Read the filters. Raises `NotFound` for a task that no model does."""
        task, here = given.get("task", ""), given.get("runs_here", False)
        if task and task not in self._catalog.tasks():
            raise self._no_task(task)
        return Wish(
            query=given.get("query", ""),
            task=task,
            provider=given.get("provider", ""),
            licence=given.get("licence", ""),
            max_price=given.get("max_price"),
            backends=await self._queue.ready_backends() if here else None,
            media_in=_kind(given.get("media_in")),
            media_out=_kind(given.get("media_out")),
            limit=_LOOKED_THROUGH if here else given.get("limit", 5),
        )

    async def _ready(self, head: Head) -> tuple[Quote, ...]:
        return await self._queue.quotes(self._catalog.get(head.id), {}, timed=False)

    async def _instead(self, model: Model, quotes: Sequence[Quote]) -> dict[str, JSON]:
        """Return what could run in this model's place; empty where it runs here for nothing."""
        ready = best(quotes)
        if ready is not None and ready.high == 0:
            return {}
        return {"alternatives": await self._alternatives(model, only_ready=True)}

    async def _alternatives(self, model: Model, *, only_ready: bool = False) -> list[str]:
        """Return models with open weights that may stand in, those that can run now first."""
        ready: list[str] = []
        others: list[str] = []
        for other in self._known(model.alternatives):
            quotes = await self._queue.quotes(other, timed=False)
            (ready if best(quotes) else others).append(alternative(other, quotes))
        return [*ready, *([] if only_ready else others)][:_ALTERNATIVES]

    def _known(self, names: Sequence[str]) -> Iterator[Model]:
        """Yield the models of these names; a card may name what this catalog has not."""
        for name in names:
            with suppress(NotFound):
                yield self._catalog.get(name)

    def _after_finding(self, rows: Sequence[JSON], given: Mapping[str, JSON]) -> str:
        if rows:
            return "describe_model shows the arguments of one of them."
        filters = [n for n in _FILTERS if n in given and given[n] is not False and given[n] != ""]
        if filters:
            return f"Nothing fits. Leave one of these out: {', '.join(filters)}."
        return f"Nothing fits. Tasks there are: {', '.join(self._catalog.tasks())}."

    def _no_task(self, task: str) -> NotFound:
        known = self._catalog.tasks()
        hint = did_you_mean(task, known) or f"Tasks: {', '.join(known)}."
        return NotFound(f"No model does the task {task[:60]!r}.", hint)


def _listing(key: str, rows: Sequence[JSON], next_step: str) -> t.CallToolResult:
    facts: dict[str, Any] = {key: [], "next": next_step}
    shown = answer.fill(facts, key, rows, _LIST_TOKENS)
    if shown < len(rows):
        facts["left_out"] = len(rows) - shown
    return answer.plain(facts)


def _kind(given: str | None) -> MediaKind | None:
    return None if given is None else MediaKind(given)


def _after_quoting(model: Model, quotes: Sequence[Quote]) -> str:
    ready = best(quotes)
    if ready is not None:
        return f"run_model(model={model.id!r}, arguments=…) runs it on {ready.backend}."
    if model.retired and model.successor:
        return f"Use {model.successor}, which took its place."
    return "Do what a route's reason says, or take another model: find_models(runs_here=true)."


def _job_row(job: Job) -> dict[str, JSON]:
    made = datetime.fromtimestamp(job.created_at, UTC).isoformat(timespec="seconds")
    row: dict[str, JSON] = {"job_id": job.id, "model": job.model, "state": job.state.value}
    row |= {"created": made, "cost_usd": job.cost, "assets": len(job.assets)}
    prompt = job.arguments.get("prompt")
    if isinstance(prompt, str):
        row["prompt"] = answer.shorten(prompt, 60)
    if job.failure:
        row["error"] = answer.shorten(job.failure.message, 80)
    return {name: value for name, value in row.items() if value is not None}
