"""Jobs on their way: submitted once, followed to the end, fetched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TypeVar

import anyio
from pydantic import SecretStr

from media_mcp import faultpoints
from media_mcp.backends.base import Report, Run
from media_mcp.backends.fal.client import Client, Patience, Request, Unanswered, Unsent
from media_mcp.backends.fal.configuration import Configuration
from media_mcp.backends.fal.costs import cost_of
from media_mcp.backends.fal.errors import (
    Place,
    failure_of,
    file_gone,
    out_of_sight,
    said,
    unanswered,
)
from media_mcp.backends.fal.poller import Pace, Poller
from media_mcp.backends.fal.results import SEED, Results
from media_mcp.backends.fal.uploads import Uploads
from media_mcp.backends.fal.wire import ENDPOINT, Answer, Status, status_of, steps_in
from media_mcp.catalog.model import Model
from media_mcp.catalog.requests import request_for
from media_mcp.errors import BackendFailed, BadCard, MaybeSpent, MediaError, StorageFailed
from media_mcp.faultpoints import Point
from media_mcp.job import JSON, Output, Result, Route
from media_mcp.media.shelf import storage_words

# Stands where the remote id will, while a call is on its way to a place that would run it twice.
ON_ITS_WAY = "sent-but-unanswered"
LAST_LOOK_SECONDS = 2.0  # for the answer of a request that was stopped
LATE_SECONDS = 5.0  # for its files
E = TypeVar("E", bound=MediaError)
_NOT_YET = "still in progress"
_NOT_OURS = (401, 403, 404, 410)  # to a result: the door's words, not the model's


@dataclass(slots=True)
class Trip:
    """One run and the request that it has become.

    `reused` says that it names files which the place has had for a while; `lines` and `position`
    are what of its status was passed on, `seconds` is what the place says it took. `late` says that
    it was over before the place heard that nobody wants it any more.
    """

    run: Run
    endpoint: str
    request_id: str = ""
    reused: bool = False
    lines: int = 0
    position: int | None = None
    started: bool = False
    late: bool = False
    seconds: float | None = None


class Trips:
    """The jobs of one place. `folder` keeps what the place has of our inputs."""

    def __init__(self, place: Configuration, key: SecretStr | None, folder: Path) -> None:
        self._configuration = place
        self._folder = folder
        self._client = Client(place, key)
        self._uploads = Uploads(self._client, folder / "uploads.json")
        self._results = Results(self._client)
        pace = Pace(place.poll_first_seconds, place.poll_most_seconds, place.polls_per_second)
        self._poller = Poller(pace)
        self._slots: dict[str, anyio.Semaphore] = {}

    async def run(self, run: Run) -> Result:
        """Run a job there. Raises `MaybeSpent` where it may be billed without a result."""
        trip = Trip(run, endpoint_of(run.model, run.route))
        async with self._slot(trip):
            answer = await self._ended(trip)
            faultpoints.reached(Point.REMOTE_ENDED)
            return await (self._collect_late if trip.late else self._collect)(trip, answer)

    async def stop(self, model: Model, route: Route, request_id: str) -> None:
        """Stop a request that no run follows."""
        if request_id != ON_ITS_WAY:
            await self._client.cancel(endpoint_of(model, route), request_id)

    async def aclose(self) -> None:
        await self._poller.aclose()
        await self._client.aclose()

    async def _ended(self, trip: Trip) -> Answer:
        """Return the good result of a request: of that of an earlier attempt, or of a new one."""
        if trip.run.remote_id == ON_ITS_WAY:
            raise unanswered("this server was stopped meanwhile", self._place(trip))
        if trip.run.remote_id:
            trip.request_id = trip.run.remote_id
            answer = await self._follow(trip)
            failure = None if answer.ok else self._failure(trip, answer)
            if failure is None:
                return answer
            if trip.run.once or not _free_to_repeat(failure):
                raise failure
            await trip.run.report(Report("log", message=failure.message))
        return await self._anew(trip)

    async def _anew(self, trip: Trip) -> Answer:
        await self._begin(trip)
        answer = await self._follow(trip)
        if trip.reused and file_gone(answer) and not answer.units:
            await self._uploads.forget(trip.run.inputs)
            await self._begin(trip)
            answer = await self._follow(trip)
        if answer.ok:
            return answer
        if answer.units == 0 and not self._configuration.idempotent_submit:
            await trip.run.report(Report("remote", message=""))  # it is over, and costs nothing
        raise self._failure(trip, answer)

    async def _begin(self, trip: Trip) -> None:
        """Submit, and have the request id on disk before anything waits on it."""
        body = await self._body(trip)
        # The same for every attempt, so that a lost answer is found again; but what comes after a
        # request that failed there must not be taken for that one.
        key = ".".join(part for part in (trip.run.job_id, trip.request_id) if part)

        async def say(why: str, seconds: float) -> None:
            words = f"{self._configuration.shown} {why}; trying again in {seconds:.1f} s"
            await trip.run.report(Report("log", message=words))

        async with self._announced(trip.run):
            faultpoints.reached(Point.REMOTE_ANNOUNCED)
            trip.request_id = await self._client.submit(
                trip.endpoint, body, key, say, trip.run.given_up
            )
            faultpoints.reached(Point.REMOTE_SUBMITTED)
        trip.lines, trip.position, trip.started = 0, None, False
        await self._note_id(trip)
        faultpoints.reached(Point.REMOTE_NOTED)

    async def _note_id(self, trip: Trip) -> None:
        """Write the request id; while the disk will not take it, try again, as it is paid for.

        Raises `MaybeSpent` once that has gone on for too long: the request is stopped then, as
        nobody could ever take it up.
        """
        patience = Patience(self._configuration.patience_seconds)
        while True:
            try:
                with anyio.CancelScope(shield=True):
                    return await trip.run.report(Report("remote", message=trip.request_id))
            except StorageFailed as error:
                why, seconds = error.message, patience.wait()
            except Exception:
                await self._client.cancel(trip.endpoint, trip.request_id)
                raise
            if seconds is None:
                await self._client.cancel(trip.endpoint, trip.request_id)
                raise out_of_sight(why, self._place(trip), retryable=False)
            await self._wait_to_note(trip, seconds)

    async def _wait_to_note(self, trip: Trip, seconds: float) -> None:
        """Wait; who is stopped meanwhile leaves no request behind that nobody knows of."""
        try:
            await anyio.sleep(seconds)
        except anyio.get_cancelled_exc_class():
            await self._client.cancel(trip.endpoint, trip.request_id)
            raise

    @asynccontextmanager
    async def _announced(self, run: Run) -> AsyncIterator[None]:
        """Note on disk that a call is on its way, where sending it again would pay twice."""
        if self._configuration.idempotent_submit:
            yield
            return
        await run.report(Report("remote", message=ON_ITS_WAY))
        try:
            yield
        except MaybeSpent:
            raise
        except BaseException:
            with anyio.CancelScope(shield=True):
                await run.report(Report("remote", message=""))
            raise

    async def _body(self, trip: Trip) -> dict[str, JSON]:
        run = trip.run
        arguments = {**run.arguments, **_seed(run)}
        body = request_for(run.model, run.route, arguments)
        named = set(_texts(body))
        inputs = {uri: asset for uri, asset in run.inputs.items() if uri in named}
        sent = await self._uploads.urls_of(inputs)
        trip.reused = sent.reused
        return {name: _with_urls(value, sent.urls) for name, value in body.items()}

    async def _follow(self, trip: Trip) -> Answer:
        """Return the result, good or bad, once there is one; tell how it goes meanwhile."""
        patience = Patience(self._configuration.patience_seconds)
        try:
            while True:
                await self._completed(trip)
                answer = await self._client.result(trip.endpoint, trip.request_id)
                if not not_ready(answer):
                    return answer
                if (seconds := patience.wait()) is None:
                    why = "it is over, but has no result"
                    raise out_of_sight(why, self._place(trip), retryable=True)
                await anyio.sleep(seconds)
        except anyio.get_cancelled_exc_class():
            if trip.run.given_up() and (late := await self._stop(trip)) is not None:
                return late
            raise

    async def _stop(self, trip: Trip) -> Answer | None:
        """Have a request stopped; return its good result if it was over before.

        Raises its failure where that was billed or is said to be free. None: nobody knows.
        """
        await self._client.cancel(trip.endpoint, trip.request_id)
        answer = await self._last_look(trip)
        if answer is None or not_ready(answer):
            return None
        trip.late = answer.ok
        if not answer.ok and answer.units is not None:
            raise self._failure(trip, answer)
        return answer if answer.ok else None

    async def _last_look(self, trip: Trip) -> Answer | None:
        address = self._client.address(trip.endpoint, trip.request_id)
        with anyio.move_on_after(LAST_LOOK_SECONDS, shield=True), suppress(Unsent, Unanswered):
            return await self._client.once(Request("GET", address))
        return None

    async def _completed(self, trip: Trip) -> None:
        look = _Look(self._client, self._place(trip), trip.endpoint, trip.request_id)
        with self._poller.watching(look) as watch:
            while True:
                status = await watch.next()
                await self._tell(trip, status)
                if status.state == "COMPLETED":
                    return

    async def _tell(self, trip: Trip, status: Status) -> None:
        report, place = trip.run.report, self._place(trip)
        if status.position and status.position != trip.position:
            words = f"waits at {place.name}: {status.position} before it"
            await report(Report("log", message=words))
        if status.state == "IN_PROGRESS" and not trip.started:
            trip.started = True
            await report(Report("log", message=f"runs at {place.name}"))
        for line in filter(None, map(place.clean, status.since(trip.lines))):
            await report(_report(line))
        trip.position, trip.seconds = status.position, status.seconds
        trip.lines = max(trip.lines, status.said)

    async def _collect_late(self, trip: Trip, answer: Answer) -> Result:
        """Keep what came though nobody wants it any more: it is paid for."""
        with anyio.move_on_after(LATE_SECONDS, shield=True):
            return await self._collect(trip, answer)
        error = out_of_sight("its files come too slowly", self._place(trip), retryable=False)
        raise self._billed(error, trip, answer)

    async def _collect(self, trip: Trip, answer: Answer) -> Result:
        run = trip.run
        try:
            outputs, facts = await self._read(trip, answer)
        except BackendFailed as error:
            raise self._billed(error, trip, answer) from None
        facts = _seed(run) | facts
        if trip.seconds is not None:
            facts.setdefault("run_seconds", round(trip.seconds, 4))
        return Result(outputs, facts, cost_of(answer.units, run))

    async def _read(self, trip: Trip, answer: Answer) -> tuple[tuple[Output, ...], dict[str, JSON]]:
        """Bring here what was made. While our disk does not take it, it can be had there."""
        try:
            with storage_words(self._folder):
                return await self._results.read(answer.json(), trip.run, self._place(trip))
        except StorageFailed as error:
            why = error.message.rstrip(".")
            raise out_of_sight(why, self._place(trip), retryable=True) from None

    def _failure(self, trip: Trip, answer: Answer) -> MediaError:
        place = self._place(trip)
        if answer.status in _NOT_OURS:
            return out_of_sight(f"{answer.status}: {said(answer)}", place, retryable=False)
        return self._billed(failure_of(answer, place), trip, answer)

    def _billed(self, error: E, trip: Trip, answer: Answer) -> E:
        """Return an error with what the place bills for the request, where it says so."""
        if answer.units is not None:
            error.cost = cost_of(answer.units, trip.run)
        return error

    def _place(self, trip: Trip) -> Place:
        return self._client.of(trip.endpoint, trip.request_id, route=trip.run.route)

    @asynccontextmanager
    async def _slot(self, trip: Trip) -> AsyncIterator[None]:
        """Hold one of the few places that an endpoint may have at once, if they are bounded."""
        most = self._configuration.slots(trip.endpoint, trip.run.route.spec)
        if most is None:
            yield
            return
        slots = self._slots.setdefault(trip.endpoint, anyio.Semaphore(most))
        if not slots.value:
            words = f"waits here: {most} of {trip.endpoint} run at once"
            await trip.run.report(Report("log", message=words))
        async with slots:
            yield


class _Look:
    """Asks where a request is. Raises `MaybeSpent` once it can be asked about no more."""

    def __init__(self, client: Client, place: Place, endpoint: str, request_id: str) -> None:
        self._client = client
        self._place = place
        self._request = (endpoint, request_id)
        self._failing_since: float | None = None

    async def __call__(self) -> Status | None:
        try:
            answer = await self._client.status(*self._request)
        except (Unsent, Unanswered) as error:
            return self._not_now(str(error))
        if (status := status_of(answer)) is not None:
            self._failing_since = None
            return status
        if answer.ok or answer.busy:
            return self._not_now(f"answers {answer.status} without a status")
        why = f"{answer.status}: {said(answer)}"
        raise out_of_sight(why, self._place, retryable=answer.status >= 500)

    def _not_now(self, why: str) -> Status | None:
        now = monotonic()
        since = self._failing_since = self._failing_since or now
        if now - since > self._place.configuration.patience_seconds:
            raise out_of_sight(why, self._place, retryable=True)
        return None


def endpoint_of(model: Model, route: Route) -> str:
    """Return the endpoint id of a route. Raises `BadCard` for what cannot be one."""
    endpoint = route.spec.get("endpoint", model.id)
    if not isinstance(endpoint, str) or not ENDPOINT.fullmatch(endpoint):
        raise BadCard(
            f"{model.source or model.id}: spec: endpoint is {str(endpoint)[:80]!r}.",
            "Write the endpoint's id, as fal-ai/flux/dev.",
        )
    return endpoint


def _free_to_repeat(error: MediaError) -> bool:
    """Tell whether another request may follow one that failed, and that was not billed."""
    return isinstance(error, BackendFailed) and error.retryable and not error.cost


def not_ready(answer: Answer) -> bool:
    """Tell whether this is no result yet, though the status said that it was over."""
    return answer.status == 202 or (answer.status == 400 and _NOT_YET in said(answer).lower())


def _seed(run: Run) -> dict[str, JSON]:
    """Return the job's seed for a model that takes one and was given none."""
    param = run.model.param(SEED)
    if param is None or param.type != "integer" or run.arguments.get(SEED) is not None:
        return {}
    most = param.maximum
    return {SEED: run.seed if most is None or run.seed <= most else run.seed % (int(most) + 1)}


def _report(line: str) -> Report:
    steps = steps_in(line)
    return Report("progress", *steps) if steps else Report("log", message=line)


def _texts(value: JSON) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _with_urls(value: JSON, urls: Mapping[str, str]) -> JSON:
    """Put the addresses where the place can read them for our own."""
    if isinstance(value, str):
        return urls.get(value, value)
    if isinstance(value, list):
        return [_with_urls(one, urls) for one in value]
    if isinstance(value, dict):
        return {name: _with_urls(one, urls) for name, one in value.items()}
    return value
