"""Tells webhooks how jobs ended: signed, again for a while, and never where it is not safe."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
import httpx2

from media_mcp.errors import BadMedia, MediaError, StorageFailed
from media_mcp.job import JSON, Job, Webhook
from media_mcp.media.fetch import CheckedTransport, Resolver, look_up
from media_mcp.media.names import redact
from media_mcp.queue import Delivery, Outbox, Told
from media_mcp.server.queue_api.calls import dump
from media_mcp.server.queue_api.keys import ServerKey, signed_text
from media_mcp.server.queue_api.results import Results
from media_mcp.server.queue_api.wire import fault_of_job
from media_mcp.trail import Trail

log = logging.getLogger(__name__)

NOWHERE = Webhook("")
AT_ONCE = 64  # deliveries under way
AGAIN_SECONDS = 2.0  # after the disk failed


@dataclass(frozen=True, slots=True)
class Try:
    """One try: how many seconds after the one before it failed, and how long it may take."""

    after: float
    timeout: float


# Ten tries within two hours.
SCHEDULE = (
    Try(0, 15),
    Try(5, 15),
    Try(15, 30),
    Try(30, 30),
    Try(60, 30),
    Try(120, 30),
    Try(300, 30),
    Try(600, 30),
    Try(1800, 30),
    Try(3600, 30),
)


class Webhooks:
    """Delivers what the outbox holds, for as long as `run` runs.

    What is not delivered then waits in the store, for another server or the next start.
    """

    def __init__(
        self,
        outbox: Outbox,
        results: Results,
        key: ServerKey,
        *,
        allow_private: bool,
        resolver: Resolver = look_up,
        clock: Callable[[], float] = time.time,
        schedule: Sequence[Try] = SCHEDULE,
    ) -> None:
        self._outbox = outbox
        self._results = results
        self._key = key
        self._resolver = resolver
        self._allow_private = allow_private
        self._clock = clock
        self._schedule = schedule
        self._slots = anyio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with self._client() as client, anyio.create_task_group() as group:
            while True:
                await self._slots.acquire()
                first, *more = await self._next(1 + self._slots.value)
                group.start_soon(self._attend, first, client)
                for delivery in more:
                    self._slots.acquire_nowait()
                    group.start_soon(self._attend, delivery, client)

    def _client(self) -> httpx2.AsyncClient:
        transport = CheckedTransport(
            self._resolve, allow_private=self._allow_private, connections=AT_ONCE
        )
        return httpx2.AsyncClient(
            transport=transport, trust_env=False, follow_redirects=False, timeout=None
        )

    async def _resolve(self, host: str, port: int) -> list[str]:
        """Find addresses; a name that is not known now may be known at the next try."""
        try:
            return await self._resolver(host, port)
        except (OSError, UnicodeError):
            raise httpx2.ConnectError("the host is not known") from None

    async def _next(self, most: int) -> list[Delivery]:
        while True:
            try:
                return await self._outbox.next(most)
            except StorageFailed as error:
                log.warning("Webhooks have to wait: %s", error)
            except Exception:  # a bug in one look must not end all of them
                log.exception("Webhooks have to wait")
            await anyio.sleep(AGAIN_SECONDS)

    async def _attend(self, delivery: Delivery, client: httpx2.AsyncClient) -> None:
        """Try once and write what came of it; a try that is broken off is due again at once."""
        how = Told(False, "broken off", self._clock())
        try:
            how = await self._try(delivery, client)
        except Exception:  # a bug in one delivery must not stop the others
            log.exception("The webhook of job %s could not be told", delivery.job.id)
            how = Told(False, "a bug of this server")
        finally:
            with anyio.CancelScope(shield=True):
                await self._write(delivery, how)
            self._slots.release()

    async def _write(self, delivery: Delivery, how: Told) -> None:
        try:
            await self._outbox.told(delivery, how)
        except StorageFailed as error:
            log.warning("The webhook of job %s will be told again: %s", delivery.job.id, error)

    async def _try(self, delivery: Delivery, client: httpx2.AsyncClient) -> Told:
        job, hook = delivery.job, delivery.job.webhook or NOWHERE
        body = dump(await self._message(job, hook))
        limit = self._schedule[min(delivery.attempt, len(self._schedule)) - 1].timeout
        try:
            with anyio.fail_after(limit):
                status = await self._post(client, hook.url, job, body)
        except TimeoutError:
            return self._failed(delivery, f"no answer within {limit:g} s")
        except BadMedia:
            return self._failed(delivery, "not a public address", final=True)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
            return self._failed(delivery, "no http(s) address", final=True)
        except httpx2.HTTPError as error:
            return self._failed(delivery, type(error).__name__)
        if 200 <= status < 300:
            return Told(True, str(status))
        return self._failed(delivery, str(status), final=300 <= status < 400)

    async def _post(self, client: httpx2.AsyncClient, url: str, job: Job, body: bytes) -> int:
        """Send the message and return the status; what else is answered is not read."""
        headers = self._signed(job, body)
        async with client.stream("POST", url, content=body, headers=headers) as response:
            return response.status_code

    def _signed(self, job: Job, body: bytes) -> dict[str, str]:
        now = int(self._clock())
        owner = job.caller.owner.encode("unicode_escape").decode()  # a header holds one line
        return {
            "Content-Type": "application/json",
            "User-Agent": "media-mcp",
            "X-Fal-Webhook-Request-Id": job.id,
            "X-Fal-Webhook-User-Id": owner,
            "X-Fal-Webhook-Timestamp": str(now),
            "X-Fal-Webhook-Signature": self._key.sign(signed_text(job.id, owner, now, body)),
            **Trail(job.request, job.trace).headers(),
        }

    def _failed(self, delivery: Delivery, answer: str, *, final: bool = False) -> Told:
        """Say when to try again; there is no more to say after the last try."""
        if not final and delivery.attempt < len(self._schedule):
            after = self._schedule[delivery.attempt].after
            return Told(False, answer, self._clock() + after)
        log.warning(
            "The webhook %s was not told of job %s, in %d tries: %s",
            redact((delivery.job.webhook or NOWHERE).url),
            delivery.job.id,
            delivery.attempt,
            answer,
        )
        return Told(False, answer)

    async def _message(self, job: Job, hook: Webhook) -> dict[str, JSON]:
        """Return the body: what the result's own answer would hold, and how it went."""
        told: dict[str, JSON] = {"request_id": job.id, "gateway_request_id": job.id}
        if fault := fault_of_job(job):
            error = f"Invalid status code: {fault.rule.status}"
            payload = {"detail": fault.detail}
            return told | {"status": "ERROR", "error": error, "payload": payload}
        try:
            return told | {"status": "OK", "payload": await self._results.body(job, hook.base)}
        except MediaError as error:  # its files are gone already
            return told | {"status": "OK", "payload": None, "payload_error": str(error)}
