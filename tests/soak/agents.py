"""Callers with real clients: an agent that speaks MCP over HTTP, and fal's own Python client."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import anyio
import fal_client
import httpx2
from doors import FOLLOW_SECONDS, Urls
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from record import Ask, Record

ERAS = ("legacy", "2026-07-28")
OVER = ("succeeded", "failed", "cancelled", "lost")
CALL_SECONDS = 60.0  # for one call; over it the line counts as broken


class Agent:
    """One caller that speaks MCP: each session does a few things, then another one is opened."""

    def __init__(
        self, name: str, key: str, urls: Urls, record: Record, draw: random.Random
    ) -> None:
        self.name = name
        self._headers = {"Authorization": f"Bearer {key}"}
        self._urls = urls
        self._record = record
        self._draw = draw
        self._open: list[tuple[Ask, str]] = []
        self._habits: dict[Callable[[Client, str], Awaitable[None]], float] = {
            self._run: 6,
            self._repeat: 2,
            self._stopped: 2,
            self._look_around: 1,
        }

    async def live(self, stop: asyncio.Event, models: tuple[str, ...], rest: float) -> None:
        while not stop.is_set():
            try:
                await self._session(stop, models, rest)
            except (Exception, BaseExceptionGroup) as error:
                if isinstance(_first(error), asyncio.CancelledError):
                    raise asyncio.CancelledError from None
                self._record.seen[f"mcp {type(_first(error)).__name__}"] += 1
            await asyncio.sleep(0.2)

    async def _session(self, stop: asyncio.Event, models: tuple[str, ...], rest: float) -> None:
        url, era = await self._urls(), self._draw.choice(ERAS)
        async with httpx2.AsyncClient(headers=self._headers, timeout=CALL_SECONDS) as http:
            transport = streamable_http_client(f"{url}/mcp", http_client=http)
            async with Client(transport, mode=era) as client:
                for ask, job_id in self._open[:]:
                    await self._follow(client, ask, job_id)
                for _ in range(self._draw.randint(2, 12)):
                    if stop.is_set():
                        return
                    (habit,) = self._draw.choices(list(self._habits), list(self._habits.values()))
                    await habit(client, self._draw.choice(models))
                    await asyncio.sleep(self._draw.uniform(0, 2 * rest))

    # Habits

    async def _run(self, client: Client, model: str) -> None:
        ask = self._record.ask(self.name, "mcp", model)
        await self._ended(client, ask, await self._asked(client, ask))

    async def _repeat(self, client: Client, model: str) -> None:
        """Ask twice at once for the same: it is one job, unless the first has been answered."""
        ask = self._record.ask(self.name, "mcp", model)
        async with anyio.create_task_group() as group:
            group.start_soon(self._asked, client, ask)
            told = await self._asked(client, ask)
        await self._ended(client, ask, told)

    async def _stopped(self, client: Client, model: str) -> None:
        ask = self._record.ask(self.name, "mcp", model)
        async with anyio.create_task_group() as group:
            group.start_soon(self._asked, client, ask)
            await asyncio.sleep(self._draw.uniform(0, 0.8))
            listed = await self._call(client, "list_jobs", limit=5)
            for row in listed.get("jobs", ()):
                if row.get("state") in ("queued", "running"):
                    told = await self._call(client, "cancel_job", job_id=row["job_id"])
                    self._record.seen[f"mcp cancel {told.get('state')}"] += 1
                    break

    async def _look_around(self, client: Client, model: str) -> None:
        arguments = {"prompt": "a boat"}
        await self._call(client, "quote", model=model, arguments=arguments)
        await self._call(client, "spend")
        await self._call(client, "find_models", query="soak")

    # What they are made of

    async def _asked(self, client: Client, ask: Ask) -> dict[str, Any]:
        ask.tries += 1
        told = await self._call(client, "run_model", model=ask.model, arguments={"prompt": ask.tag})
        self._record.seen[f"mcp {told.get('state')}"] += 1
        if job_id := told.get("job_id"):
            self._record.accepted(ask, job_id)
            if told["state"] in OVER:
                self._record.end(ask, job_id, told["state"])
        elif told.get("state") == "rejected":
            failed = told["error"]["code"] == "storage_failed"
            ask.failed += failed
            ask.refused += not failed
        return told

    async def _ended(self, client: Client, ask: Ask, told: dict[str, Any]) -> None:
        job_id = told.get("job_id")
        if job_id and told["state"] not in OVER:
            self._open.append((ask, job_id))
            await self._follow(client, ask, job_id)

    async def _follow(self, client: Client, ask: Ask, job_id: str) -> None:
        """Wait for a job; one that the line breaks under is followed in the next session."""
        end = monotonic() + FOLLOW_SECONDS
        while monotonic() < end:
            told = await self._call(client, "get_job", job_id=job_id, wait=10)
            if told.get("state") in OVER:
                self._record.end(ask, job_id, told["state"])
                break
            if told.get("error", {}).get("code") == "not_found":
                self._record.wrong.append(f"job {job_id} of {self.name} is not known over MCP")
                break
        self._open.remove((ask, job_id))

    async def _call(self, client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
        with anyio.fail_after(CALL_SECONDS):
            answer = await client.call_tool(tool, arguments)
        return dict(answer.structured_content or {})


class Subscriber:
    """One caller with fal's own client, which tries again by itself."""

    def __init__(
        self, name: str, key: str, urls: Urls, record: Record, draw: random.Random
    ) -> None:
        self.name = name
        self._urls = urls
        self._record = record
        self._draw = draw
        self._client = fal_client.AsyncClient(key=key, default_timeout=30)

    async def live(self, stop: asyncio.Event, models: tuple[str, ...], rest: float) -> None:
        while not stop.is_set():
            ask = self._record.ask(self.name, "fal-client", self._draw.choice(models))
            with suppress(Exception):
                await self._subscribe(ask)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._draw.uniform(0.1, 2 * rest))

    async def _subscribe(self, ask: Ask) -> None:
        """The client is pointed at a server by the module's own constant, as it has no other."""
        ask.tries += 10  # it may send a submit that was not answered again
        fal_client.client.QUEUE_URL_FORMAT = f"{await self._urls()}/queue/"
        ids: list[str] = []
        call = self._client.subscribe(
            ask.model, {"prompt": ask.tag}, with_logs=True, on_enqueue=ids.append
        )
        try:
            await asyncio.wait_for(call, FOLLOW_SECONDS)
            kind = "succeeded"
        except fal_client.FalClientHTTPError as error:
            kind = "cancelled" if error.status_code == 499 else "failed"
            self._record.seen[f"fal-client {error.status_code}"] += 1
            if error.status_code >= 500 or error.status_code == 429:
                kind = ""
        except Exception as error:
            self._record.seen[f"fal-client {type(error).__name__}"] += 1
            kind = ""
        for job_id in ids:
            self._record.accepted(ask, job_id)
            if kind:
                self._record.end(ask, job_id, kind)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
