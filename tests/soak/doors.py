"""Callers of the queue API over plain HTTP: every way to ask, to follow, and to give up."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import httpx2
from record import Ask, Record

from falplace import picture

FOLLOW_SECONDS = 90.0  # that a client follows one job; a soak's drain follows it further
BROKEN = (httpx2.HTTPError, httpx2.StreamError, OSError)
COLORS = ("red", "green", "blue", "orange", "black", "purple")
FREE = ("soak/quick", "soak/quick", "soak/steps", "soak/long", "soak/flaky", "soak/fails")
Urls = Callable[[], Awaitable[str]]


class Door:
    """One caller at the queue API. `urls` gives the address of a server that runs.

    Each habit asks for one thing and notes in the record what was answered.
    """

    def __init__(
        self, name: str, key: str, urls: Urls, record: Record, draw: random.Random, hook: str
    ) -> None:
        self.name = name
        self._urls = urls
        self._record = record
        self._draw = draw
        self._hook = hook
        self._http = httpx2.AsyncClient(
            headers={"Authorization": f"Key {key}"}, timeout=30, trust_env=False
        )
        self.habits: dict[Callable[[str], Awaitable[None]], float] = {
            self.polled: 4,
            self.streamed: 3,
            self.ran: 2,
            self.cancelled: 2,
            self.told: 1,
            self.keyed: 2,
            self.drawn_from: 1.5,
        }

    async def live(self, stop: asyncio.Event, models: tuple[str, ...], rest: float) -> None:
        """Ask for one thing after the other until it is time to stop."""
        async with self._http:
            while not stop.is_set():
                (habit,) = self._draw.choices(list(self.habits), list(self.habits.values()))
                with suppress(*BROKEN):
                    await habit(self._draw.choice(models))
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._draw.uniform(0, 2 * rest))

    # Habits

    async def polled(self, model: str) -> None:
        ask = self._record.ask(self.name, "queue", model)
        if job_id := await self._submit(ask):
            await self._follow(ask, job_id)

    async def streamed(self, model: str) -> None:
        """Follow the status by events; where the line breaks, take it up again."""
        ask = self._record.ask(self.name, "stream", model)
        if not (job_id := await self._submit(ask)):
            return
        end = monotonic() + FOLLOW_SECONDS
        while monotonic() < end:
            with suppress(*BROKEN):
                if await self._streamed_to_end(ask, job_id):
                    break
            await asyncio.sleep(0.2)
        await self._follow(ask, job_id)

    async def ran(self, model: str) -> None:
        """Call and wait for the result in one request; who is cut off does not ask again."""
        ask = self._record.ask(self.name, "run", model)
        answer = await self._post(ask, "run")
        job_id = answer.headers.get("x-fal-request-id", "") if answer is not None else ""
        if answer is not None and job_id:
            self._record.accepted(ask, job_id)
            self._ended(ask, job_id, answer)

    async def cancelled(self, model: str) -> None:
        ask = self._record.ask(self.name, "queue", model)
        if not (job_id := await self._submit(ask)):
            return
        await asyncio.sleep(self._draw.uniform(0, 1.0))
        with suppress(*BROKEN):
            path = f"{await self._urls()}/queue/{model}/requests/{job_id}/cancel"
            answer = await self._http.put(path)
            self._record.seen[f"cancel {answer.status_code}"] += 1
            if answer.status_code == 202:
                ask.cancelled.add(job_id)
        await self._follow(ask, job_id)

    async def told(self, model: str) -> None:
        """Ask to be told by a webhook."""
        ask = self._record.ask(self.name, "webhook", model)
        ask.hook = True
        if job_id := await self._submit(ask, params={"fal_webhook": self._hook}):
            await self._follow(ask, job_id)

    async def keyed(self, model: str) -> None:
        """Send the same request, under one key, until it is answered and some times more."""
        ask = self._record.ask(self.name, "keyed", model, once=True)
        more, end = self._draw.randint(1, 3), monotonic() + FOLLOW_SECONDS
        headers, job_id = {"Idempotency-Key": ask.tag}, None
        while more and monotonic() < end:
            with suppress(*BROKEN):
                told = await self._submit(ask, headers=headers)
                job_id = told or job_id
            refused = ask.refused and not ask.ids
            more -= 1 if job_id or refused else 0
            await asyncio.sleep(self._draw.uniform(0, 0.3))
        if job_id:
            await self._follow(ask, job_id)

    async def drawn_from(self, _: str) -> None:
        """Have a worker resize a picture that comes as a data URI or as an upload."""
        ask = self._record.ask(self.name, "upload", "soak/resized")
        image = picture(self._draw.choice(COLORS), self._draw.randint(16, 64))
        url = "data:image/png;base64," + base64.b64encode(image).decode()
        if self._draw.random() < 0.6:
            with suppress(*BROKEN):
                url = await self._uploaded(image) or url
        if job_id := await self._submit(ask, more={"image_url": url}):
            await self._follow(ask, job_id)

    # What they are made of

    async def _submit(self, ask: Ask, **more: Any) -> str | None:
        """Return the id that the answer names, if there is one; a broken line says nothing."""
        answer = await self._post(ask, "queue", **more)
        if answer is None or answer.status_code != 200:
            return None
        job_id = str(answer.json()["request_id"])
        self._record.accepted(ask, job_id)
        return job_id

    async def _post(
        self, ask: Ask, place: str, more: dict[str, Any] | None = None, **options: Any
    ) -> httpx2.Response | None:
        body = {"prompt": ask.tag, **(more or {})}
        url = f"{await self._urls()}/{place}/{ask.model}"
        ask.tries += 1
        try:
            answer = await self._http.post(url, json=body, **options)
        except BROKEN:
            self._record.seen["submit broken off"] += 1
            return None
        self._record.seen[f"{place} {answer.status_code}"] += 1
        if answer.status_code in (401, 404):
            self._record.wrong.append(f"{place} of {ask.model} was answered {answer.text[:200]}")
        if "x-fal-request-id" not in answer.headers and answer.status_code >= 400:
            ask.refused += answer.status_code < 500
            ask.failed += answer.status_code >= 500
        return answer

    async def _uploaded(self, image: bytes) -> str | None:
        asked = {"content_type": "image/png", "file_name": "picture.png"}
        base = await self._urls()
        place = await self._http.post(f"{base}/rest/storage/upload/initiate", json=asked)
        if place.status_code != 200:
            return None
        put = await self._http.put(place.json()["upload_url"], content=image)
        self._record.seen[f"upload {put.status_code}"] += 1
        return str(place.json()["file_url"]) if put.status_code == 200 else None

    async def _follow(self, ask: Ask, job_id: str) -> None:
        """Ask how it goes until it is over, then for the result."""
        end = monotonic() + FOLLOW_SECONDS
        while monotonic() < end:
            with suppress(*BROKEN):
                path = f"{await self._urls()}/queue/{ask.model}/requests/{job_id}"
                answer = await self._http.get(f"{path}/status")
                self._known(ask, job_id, answer)
                if answer.status_code == 200 and answer.json()["status"] == "COMPLETED":
                    self._ended(ask, job_id, await self._http.get(path))
                    return
            await asyncio.sleep(0.25)

    async def _streamed_to_end(self, ask: Ask, job_id: str) -> bool:
        path = f"{await self._urls()}/queue/{ask.model}/requests/{job_id}/status/stream"
        async with self._http.stream("GET", path) as answer:
            self._known(ask, job_id, answer)
            async for event in _events(answer):
                if event.get("status") == "COMPLETED":
                    return True
        return False

    def _known(self, ask: Ask, job_id: str, answer: httpx2.Response) -> None:
        if answer.status_code in (401, 403, 404):
            words = f"job {job_id} of {ask.caller} was answered {answer.status_code}"
            self._record.wrong.append(words)

    def _ended(self, ask: Ask, job_id: str, answer: httpx2.Response) -> None:
        """Note the end that a result tells; errors of the door itself are no end."""
        kind = answer.headers.get("x-fal-error-type", "")
        if answer.status_code == 200:
            self._record.end(ask, job_id, "succeeded")
        elif answer.status_code == 499:
            self._record.end(ask, job_id, "cancelled")
        elif "x-fal-billable-units" in answer.headers:
            self._record.end(ask, job_id, "failed")
        else:
            self._record.seen[f"result {answer.status_code} {kind}"] += 1


async def _events(answer: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line[6:])
