"""What stands behind the general tools: each method answers one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import mcp_types as t
from mcp.server.context import HandlerResult

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.describe import model_facts, price_of
from media_mcp.catalog.model import Model
from media_mcp.errors import InvalidArguments, NotFound, did_you_mean
from media_mcp.job import JSON, Job, JobState, Quote
from media_mcp.queue import Queue
from media_mcp.server import answer
from media_mcp.server.ask import client_roots
from media_mcp.server.intake import Intake
from media_mcp.server.runs import Runs, caller_of
from media_mcp.server.tooldefs import tool_schema
from media_mcp.server.toolset import Context

_LIST_TOKENS = 1500


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
        query, task = call.arguments.get("query", ""), call.arguments.get("task", "")
        if task and task not in self._catalog.tasks():
            raise self._no_task(task)
        found = self._catalog.find(query, task=task, limit=call.arguments.get("limit", 5))
        rows = [await self._row(one.model) for one in found]
        if not rows:
            hint = f"Nothing fits. Tasks there are: {', '.join(self._catalog.tasks())}."
            return _listing("models", [], hint)
        return _listing("models", rows, "describe_model shows the arguments of one of them.")

    async def describe_model(self, call: Call) -> HandlerResult:
        model = self._catalog.get(call.arguments["model"])
        facts = model_facts(model) | {
            "arguments": tool_schema(model),
            "routes": [_quote(quote) for quote in await self._queue.quotes(model, {})],
            "example": dict(model.examples[0].arguments) if model.examples else None,
            "next": f"Call {model.tool}(…), or run_model(model={model.id!r}, arguments={{…}}).",
        }
        return answer.plain({name: value for name, value in facts.items() if value is not None})

    async def quote(self, call: Call) -> HandlerResult:
        model = self._catalog.get(call.arguments["model"])
        given = call.arguments.get("arguments", {})
        try:
            roots = await client_roots(call.ctx, call.params, given)
            order = await self._intake.prepare(model, given, caller_of(call.ctx), roots)
        except InvalidArguments as error:
            return answer.with_schema(error, tool_schema(model))
        quotes = [_quote(quote) for quote in await self._intake.quotes(order)]
        next_step = f"run_model(model={model.id!r}, arguments=…) runs it on the first ready route."
        return answer.plain({"model": model.id, "routes": quotes, "next": next_step})

    async def run_model(self, call: Call) -> HandlerResult:
        model = self._catalog.get(call.arguments["model"])
        given = call.arguments.get("arguments", {})
        fresh, backend = call.arguments.get("fresh", False), call.arguments.get("backend", "")
        try:
            return await self._runs.run(
                call.ctx, call.params, model, given, fresh=fresh, backend=backend
            )
        except InvalidArguments as error:
            return answer.with_schema(error, tool_schema(model))

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
        return answer.plain(await self._queue.spend(caller_of(call.ctx)))

    async def _row(self, model: Model) -> dict[str, JSON]:
        quotes = await self._queue.quotes(model, {})
        ready = next((quote for quote in quotes if quote.ready), None)
        words = model.description.split(". ")[0].rstrip(".")
        return {
            "id": model.id,
            "task": model.task,
            "about": answer.shorten(words, 90),
            "price": price_of(model),
            "runs_on": ready.backend if ready else f"not ready: {quotes[0].reason}"[:60],
        }

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


def _quote(quote: Quote) -> dict[str, JSON]:
    price = {"low_usd": quote.low, "high_usd": quote.high}
    row: dict[str, JSON] = {"backend": quote.backend, "ready": quote.ready}
    row |= {name: value if value is not None else "unknown" for name, value in price.items()}
    if quote.seconds is not None:
        row["seconds"] = round(quote.seconds, 2)
    if not quote.ready:
        row["reason"] = quote.reason
    return row


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
