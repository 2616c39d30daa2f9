"""A server of the queue API and a client for it, for tests of requests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2

from media_mcp.job import JSON, Caller, JobState
from media_mcp.server.app import App

ME = Caller()


@dataclass(frozen=True, slots=True)
class Place:
    """A server that listens on `url`, a client for it, and the rooms behind it."""

    url: str
    port: int
    app: App
    http: httpx2.AsyncClient

    async def submit(self, endpoint: str = "test/steps", **more: Any) -> str:
        """Submit a prompt and return the request's id."""
        more.setdefault("json", {"prompt": "x"})
        answer = await self.http.post(f"/queue/{endpoint}", **more)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["request_id"])

    async def ended(self, request_id: str) -> JobState:
        return (await self.app.queue.wait(request_id, ME, 20)).state

    async def started(self, request_id: str) -> None:
        """Return once the job runs."""
        runs = anyio.Event()
        unsubscribe = self.app.queue.subscribe(lambda job: _note(job, request_id, runs))
        try:
            _note(await self.app.queue.get(request_id, ME), request_id, runs)
            with anyio.fail_after(10):
                await runs.wait()
        finally:
            unsubscribe()

    async def result(self, request_id: str) -> httpx2.Response:
        """Return the result of a request once it is over."""
        await self.ended(request_id)
        return await self.http.get(f"/queue/any/app/requests/{request_id}")

    async def made(self, endpoint: str, given: JSON) -> dict[str, JSON]:
        """Return what a run makes."""
        answer = await self.http.post(f"/run/{endpoint}", json=given)
        assert answer.status_code == 200, answer.text
        body: dict[str, JSON] = answer.json()
        return body


def _note(job: Any, request_id: str, runs: anyio.Event) -> None:
    if job.id == request_id and job.state is JobState.RUNNING:
        runs.set()


Serve = Callable[..., AbstractAsyncContextManager[Place]]
