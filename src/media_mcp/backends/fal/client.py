"""Speaks HTTP to one place: bounded, patient, and never twice where that could be paid twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

import anyio
import httpx2
from pydantic import SecretStr

from media_mcp import spans
from media_mcp.backends.fal.configuration import Configuration, loopback, origin
from media_mcp.backends.fal.errors import (
    Place,
    failure_of,
    out_of_sight,
    said,
    unanswered,
    unreachable,
)
from media_mcp.backends.fal.wire import Answer, app_of, submitted_id, wait_of
from media_mcp.errors import BackendFailed
from media_mcp.job import JSON

MOST_BYTES = 64 * 2**20  # of an answer; pictures may come in it as data URIs
FIRST_WAIT, MOST_WAIT = 0.25, 10.0
CANCEL_SECONDS = 4.0
LEAVE_SECONDS = 3.0  # for the answer to a submit, of those that a server has to end
CONNECT_SECONDS = 10.0
CHUNK = 2**18
_UNSENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)
Waits = Callable[[str, float], Awaitable[None]]


class Unsent(Exception):
    """A call that certainly did not reach the place."""


class Unanswered(Exception):
    """A call that may have reached the place; `head` is what came of the answer, if any did."""

    def __init__(self, why: str, head: Answer | None = None) -> None:
        super().__init__(why)
        self.head = head


class Patience:
    """Waits ever longer between tries, or as long as the place asks, until it has run out."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds
        self._next = FIRST_WAIT

    def wait(self, asked: float | None = None) -> float | None:
        """Return the seconds to wait before the next try; None if there shall be none."""
        seconds = self._next if asked is None else asked
        self._next = min(self._next * 2, MOST_WAIT)
        seconds *= random.uniform(1.0, 1.25)  # noqa: S311 (spreads the tries of many)
        return seconds if monotonic() + seconds < self._end else None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file, in bytes."""

    path: Path
    start: int
    size: int

    async def chunks(self) -> AsyncIterator[bytes]:
        async with await anyio.open_file(self.path, "rb") as file:
            await file.seek(self.start)
            left = self.size
            while left and (chunk := await file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: `json` or `content`, and headers besides those of every call.

    A `keyless` one goes without the key even to an address that may see it.
    """

    method: str
    url: str
    json: JSON = None
    content: Piece | None = None
    headers: Mapping[str, str] | None = None
    keyless: bool = False


class Client:
    """A place's calls. The key goes to its own addresses only, and never along with a redirect."""

    def __init__(self, configuration: Configuration, key: SecretStr | None) -> None:
        self.configuration = configuration
        self._key = key
        self._pools: dict[bool, httpx2.AsyncClient] = {}
        self._resume: dict[str, float] = {}

    @property
    def place(self) -> Place:
        """The place, for the words of errors."""
        secret = self._key.get_secret_value() if self._key else ""
        return Place(self.configuration, secret=secret)

    def of(self, endpoint: str, request_id: str = "", **more: Any) -> Place:
        """Return the place with what a call is about."""
        return replace(self.place, endpoint=endpoint, request_id=request_id, **more)

    def address(self, endpoint: str, request_id: str) -> str:
        """Return where a request is asked after."""
        return f"{self.configuration.queue.rstrip('/')}/{app_of(endpoint)}/requests/{request_id}"

    async def submit(
        self, endpoint: str, body: JSON, key: str, on_wait: Waits, given_up: Callable[[], bool]
    ) -> str:
        """Send a call and return its request id; `key` makes it one where the place knows keys.

        A try under way is seen to its end even when it is cancelled: its answer names what has to
        be cancelled there if it was `given_up`, and is waited for only briefly if the server
        leaves. Raises `MaybeSpent` where nobody can tell whether it was taken.
        """
        request = Request(
            "POST",
            f"{self.configuration.queue.rstrip('/')}/{endpoint}",
            json=body,
            headers={"Idempotency-Key": key, **self.configuration.headers},
        )
        patience = Patience(self.configuration.patience_seconds)
        while True:
            await self._passed("submit")
            tried = await self._try_submit(request, endpoint, given_up)
            if isinstance(tried, str):
                return tried
            why, asked, error = tried
            self._hold("submit", asked)
            if (seconds := patience.wait(asked)) is None:
                raise error
            await on_wait(why, seconds)
            await anyio.sleep(seconds)

    async def _try_submit(
        self, request: Request, endpoint: str, given_up: Callable[[], bool]
    ) -> str | tuple[str, float | None, BackendFailed]:
        """Return the request id, or why another try may be made, after what time, and the error."""
        place = self.of(endpoint)
        once = self.configuration.idempotent_submit
        try:
            answer = await _seen_through(self.once(request, fresh=not once), given_up)
        except Unsent as error:
            return str(error), None, unreachable(str(error), place)
        except Unanswered as error:
            if error.head and error.head.ok and error.head.request_id:
                return error.head.request_id
            return self._lost(str(error), place)
        if answer.ok:
            return submitted_id(answer) or self._lost("it holds no request id", place)
        why = f"answers {answer.status}: {said(answer)}"
        if answer.took_nothing:
            return place.clean(why), wait_of(answer), unreachable(why, place)
        if answer.status >= 500 or answer.status == 408:
            return self._lost(why, place)
        raise failure_of(answer, place)

    def _lost(self, why: str, place: Place) -> tuple[str, float | None, BackendFailed]:
        """Go on after a lost answer, if the same call sent again is the same request there."""
        error = unanswered(why, place)
        if not self.configuration.idempotent_submit:
            raise error
        error.retryable = True
        return f"the answer got lost ({place.clean(why)})", None, error

    async def status(self, endpoint: str, request_id: str) -> Answer:
        """Ask once where a request is. Raises `Unsent`, `Unanswered`."""
        await self._passed("status")
        answer = await self.once(
            Request("GET", f"{self.address(endpoint, request_id)}/status?logs=1")
        )
        if answer.status == 429:
            self._hold("status", wait_of(answer) or FIRST_WAIT)
        return answer

    async def result(self, endpoint: str, request_id: str) -> Answer:
        """Return what came of a request, good or bad. Raises `MaybeSpent` if it cannot be had."""
        return await self.ask(
            Request("GET", self.address(endpoint, request_id)), self.of(endpoint, request_id)
        )

    async def cancel(self, endpoint: str, request_id: str) -> None:
        """Ask the place to stop; bounded, and silent about what comes of it."""
        request = Request("PUT", f"{self.address(endpoint, request_id)}/cancel")
        with anyio.move_on_after(CANCEL_SECONDS, shield=True):
            for seconds in (0.1, 0.4, 1.0, 0.0):
                try:
                    if not (await self.once(request)).busy:
                        return
                except (Unsent, Unanswered):
                    pass
                await anyio.sleep(seconds)

    async def ask(self, request: Request, place: Place, **bounds: Any) -> Answer:
        """Make a call that may be made again until it is answered.

        Raises `MaybeSpent` about a request there, else `BackendFailed`; another try may help both.
        """
        patience = Patience(self.configuration.patience_seconds)
        while True:
            asked: float | None = None
            try:
                answer = await self.once(request, **bounds)
                if not answer.busy:
                    return answer
                why, asked = f"answers {answer.status}", wait_of(answer)
            except (Unsent, Unanswered) as error:
                why = str(error)
            if (seconds := patience.wait(asked)) is None:
                give_up(why, place)
            await anyio.sleep(seconds)

    async def once(
        self,
        request: Request,
        *,
        fresh: bool = False,
        seconds: float | None = None,
        limit: int = MOST_BYTES,
    ) -> Answer:
        """Make a call and read its answer. Raises `Unsent`, `Unanswered`.

        A `fresh` connection cannot break for having been idle, which would look like a lost answer.
        """
        head: Answer | None = None
        parts: list[bytes] = []
        try:
            async with self.stream(request, fresh=fresh, seconds=seconds) as response:
                head = Answer(response.status_code, dict(response.headers))
                async for part in response.aiter_bytes(CHUNK):
                    parts.append(part)
                    if (limit := limit - len(part)) < 0:
                        raise Unanswered("its answer is too long", head)
        except Unanswered as error:
            raise Unanswered(str(error), head) from None
        return replace(head, body=b"".join(parts))

    @asynccontextmanager
    async def stream(
        self,
        request: Request,
        *,
        fresh: bool = False,
        seconds: float | None = None,
        silence: float | None = None,
    ) -> AsyncIterator[httpx2.Response]:
        """Make a call whose answer the caller reads, in `seconds` at most for all of it.

        If `silence` is given, the answer must begin, and go on, within so many seconds.
        """
        bound = seconds or self.configuration.timeout_seconds
        silence = silence or bound
        pool = self._pool(fresh)
        try:
            with anyio.fail_after(silence) as scope:
                async with pool.stream(
                    request.method,
                    request.url,
                    json=request.json,
                    content=request.content.chunks() if request.content else None,
                    headers=self._headers(request),
                    timeout=httpx2.Timeout(silence, connect=min(CONNECT_SECONDS, silence / 2)),
                ) as response:
                    scope.deadline += bound - silence
                    yield response
        except _UNSENT as error:
            raise Unsent(f"cannot be reached ({_why(error)})") from None
        except (TimeoutError, httpx2.TimeoutException):
            raise Unanswered(f"does not answer within {silence:g} s") from None
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            raise Unanswered(f"broke off ({_why(error)})") from None

    async def aclose(self) -> None:
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {"Accept": "application/json", **(request.headers or {})}
        if request.content is not None:
            headers["Content-Length"] = str(request.content.size)
        known = origin(request.url) in self.configuration.origins and not request.keyless
        if known:
            headers |= spans.here().headers()
        if self._key and known and "Authorization" not in headers:
            headers["Authorization"] = f"Key {self._key.get_secret_value()}"
        return headers

    def _pool(self, fresh: bool) -> httpx2.AsyncClient:
        if fresh not in self._pools:
            # A proxy of the environment leads out of the house, and not to a machine in it.
            near = self.configuration.allow_private or loopback(host_of(self.configuration.queue))
            kept = 0 if fresh else 20
            self._pools[fresh] = httpx2.AsyncClient(
                headers={"User-Agent": "media-mcp", "Accept-Encoding": "identity"},
                limits=httpx2.Limits(max_keepalive_connections=kept),
                follow_redirects=False,
                trust_env=not near,
            )
        return self._pools[fresh]

    def _hold(self, calls: str, seconds: float | None) -> None:
        """Let no call of a kind go before the place wants to hear of us again."""
        if seconds:
            self._resume[calls] = max(self._resume.get(calls, 0.0), monotonic() + seconds)

    async def _passed(self, calls: str) -> None:
        left = self._resume.get(calls, 0.0) - monotonic()
        if left > 0:
            await anyio.sleep(left)
            await self._passed(calls)


async def _seen_through(call: Coroutine[Any, Any, Answer], given_up: Callable[[], bool]) -> Answer:
    """Return the answer to a call even when cancelled, then within `LEAVE_SECONDS` if it is not
    given up. Raises `Unanswered`, and what the call does.
    """
    task = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with anyio.move_on_after(None if given_up() else LEAVE_SECONDS, shield=True):
            await asyncio.wait([task])
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        if not task.cancelled():
            return task.result()
        raise Unanswered("had not answered when this server left") from None


def give_up(why: str, place: Place) -> NoReturn:
    """Raise what the end of all patience means: a request that is under way may be billed."""
    if place.request_id:
        raise out_of_sight(why, place, retryable=True)
    raise unreachable(why, place)


def host_of(url: str) -> str:
    return httpx2.URL(url).host


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
