"""What a place bills for requests that failed, were stopped, or were over before they could be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

import near
from falplace import Asked, Place
from media_mcp.backends.base import Run
from media_mcp.backends.fal import Fal
from media_mcp.errors import BackendFailed, BadOutput
from media_mcp.job import Job, JobState, Price
from media_mcp.media import MediaStore
from media_mcp.queue import Queue, Submission
from media_mcp.settings import Settings

pytestmark = pytest.mark.anyio
Runs = Callable[..., Run]
Fals = Callable[..., Fal]
Drawn = Callable[..., Any]

PRICED = replace(near.ROUTE, backend="fal", price=Price(0.5, "call"))
MODEL = replace(near.MODEL, routes=(PRICED,))


def call(number: int = 1, **more: Any) -> Submission:
    return replace(near.call(number), model=MODEL, **more)


def failed(units: str | None, status: int = 500, **told: Any) -> Response:
    headers = {} if units is None else {"x-fal-billable-units": units}
    return JSONResponse({"detail": "it broke"} | told, status, headers | {"x-fal-retryable": "1"})


@pytest.fixture
def drawn(tmp_path: Path, fal_of: Fals) -> Drawn:
    """Open queues on one data folder whose jobs go to the place."""

    @asynccontextmanager
    async def opened(**lines: Any) -> AsyncIterator[Queue]:
        settings, media = Settings(data_dir=tmp_path), MediaStore(tmp_path / "media")
        fal = fal_of(**lines)
        async with Queue(settings, {"fal": fal}, media, lambda _: MODEL) as queue:
            yield queue

    return opened


async def spent(queue: Queue) -> tuple[float, float, float]:
    assert await queue.books.unbalanced() == []
    told = await queue.books.spend(near.ANN)
    return told["cost"], told["unsure"], told["reserved"]


async def ended(queue: Queue, **more: Any) -> Job:
    return await queue.wait((await queue.submit(call(**more))).job.id, near.ANN, 20)


async def test_a_failure_that_was_billed_is_charged_once_and_not_tried_again(
    place: Place, drawn: Drawn
) -> None:
    place.outcome = lambda _: failed("1")
    async with drawn() as queue:
        job = await ended(queue)
        assert (job.state, job.cost, job.attempt) == (JobState.FAILED, 0.5, 1)
        assert await spent(queue) == (0.5, 0.0, 0.0)
    assert place.count("submit") == 1


async def test_a_failure_that_is_free_is_tried_again_and_charged_for_what_came_of_it(
    place: Place, drawn: Drawn
) -> None:
    answers = [failed("0")]
    place.outcome = lambda asked: answers.pop() if answers else billed(place.images(asked), "1")
    async with drawn() as queue:
        job = await ended(queue)
        assert (job.state, job.cost, job.attempt) == (JobState.SUCCEEDED, 0.5, 2)
        assert await spent(queue) == (0.5, 0.0, 0.0)


async def test_a_result_with_nothing_in_it_costs_what_the_place_bills(
    place: Place, drawn: Drawn
) -> None:
    place.outcome = lambda _: JSONResponse({}, headers={"x-fal-billable-units": "2"})
    async with drawn() as queue:
        job = await ended(queue)
        assert (job.state, job.failure and job.failure.code) == (JobState.FAILED, "bad_output")
        assert (job.cost, await spent(queue)) == (1.0, (1.0, 0.0, 0.0))


async def test_what_was_over_before_it_could_be_stopped_is_kept_and_charged_once(
    place: Place, drawn: Drawn
) -> None:
    place.state = "IN_PROGRESS"
    place.outcome = lambda asked: billed(place.images(asked), "1")
    async with drawn(poll_first_seconds=60, poll_most_seconds=60) as queue:
        job = (await queue.submit(call())).job
        await place.until(lambda p: p.count("status") > 0)
        place.only.state = "COMPLETED"
        job = await queue.cancel(job.id, near.ANN, seconds=20)
        assert (job.state, len(job.assets), job.cost) == (JobState.SUCCEEDED, 1, 0.5)
        assert await spent(queue) == (0.5, 0.0, 0.0)


@pytest.mark.parametrize(
    ("units", "charged"), [("1", (0.5, 0.0, 0.0)), ("0", (0, 0, 0)), (None, (0.5, 0.5, 0.0))]
)
async def test_what_was_stopped_costs_what_the_place_bills_for_it(
    place: Place, drawn: Drawn, units: str | None, charged: tuple[float, ...]
) -> None:
    place.state = "IN_PROGRESS"
    async with drawn() as queue:
        job = (await queue.submit(call())).job
        await place.until(lambda p: p.count("status") > 0)
        place.instead["result"] = [failed(units, 499, error_type="client_cancelled")]
        job = await queue.cancel(job.id, near.ANN, seconds=20)
        assert job.state is JobState.CANCELLED
        assert job.cost == (None if units is None else charged[0])
        assert await spent(queue) == charged
    assert place.count("submit") == 1 and place.only.stopped


async def test_a_request_that_failed_meanwhile_and_was_billed_is_not_followed_by_another(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.asked["r1"] = Asked("r1", "fal-ai/flux/dev", {}, "")
    place.outcome = lambda _: failed("1")
    with pytest.raises(BackendFailed) as caught:
        await fal_of(idempotent_submit=True).run(fal_run(remote_id="r1", attempt=2))
    assert (caught.value.cost, place.count("submit")) == (0.05, 0)


async def test_a_run_that_is_to_run_once_follows_its_request_and_sends_no_other(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.asked["r1"] = Asked("r1", "fal-ai/flux/dev", {}, "")
    place.outcome = lambda _: failed(None)
    with pytest.raises(BackendFailed, match="it broke"):
        await fal_of().run(replace(fal_run(remote_id="r1", attempt=2), once=True))
    assert place.count("submit") == 0


async def test_an_error_of_a_bad_result_holds_what_it_cost(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.outcome = lambda _: JSONResponse({}, headers={"x-fal-billable-units": "3"})
    with pytest.raises(BadOutput) as caught:
        await fal_of().run(fal_run())
    assert caught.value.cost == pytest.approx(0.15)


def billed(answer: Response, units: str) -> Response:
    answer.headers["x-fal-billable-units"] = units
    return answer
