"""Server-sent events: the status as it changes, and a run with its progress."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx2
import pytest

from media_mcp.job import JobState
from media_mcp.server.queue_api import streams
from queueplace import ME, Place, Serve

pytestmark = pytest.mark.anyio

PROMPT = {"prompt": "x"}


async def events(answer: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    """Yield what the events of a stream hold."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def all_events(place: Place, method: str, path: str, **more: Any) -> list[dict[str, Any]]:
    async with place.http.stream(method, path, **more) as answer:
        assert answer.status_code == 200, await answer.aread()
        return [event async for event in events(answer)]


def stream_of(request_id: str, query: str = "?logs=1") -> str:
    return f"/queue/test/app/requests/{request_id}/status/stream{query}"


# Status


async def test_the_status_is_told_until_the_job_is_over(place: Place) -> None:
    request_id = await place.submit("test/steps")
    told = await all_events(place, "GET", stream_of(request_id))
    states = [event["status"] for event in told]
    assert states[-1] == "COMPLETED" and states.count("COMPLETED") == 1
    assert all(event["request_id"] == request_id for event in told)


async def test_each_log_line_comes_once_and_none_is_left_out(place: Place) -> None:
    request_id = await place.submit("test/steps")
    told = await all_events(place, "GET", stream_of(request_id))
    streamed = [line["message"] for event in told for line in event["logs"]]
    polled = (await place.http.get(f"/queue/a/b/requests/{request_id}/status?logs=1")).json()[
        "logs"
    ]
    assert streamed == [line["message"] for line in polled]
    assert len(told) > 1


async def test_logs_come_only_when_asked_for(place: Place) -> None:
    request_id = await place.submit("test/steps")
    told = await all_events(place, "GET", stream_of(request_id, "?logs=0"))
    assert {json.dumps(event["logs"]) for event in told} == {"null"}


async def test_a_job_that_is_over_has_one_event(place: Place) -> None:
    await place.ended(request_id := await place.submit())
    async with place.http.stream("GET", stream_of(request_id)) as answer:
        assert answer.headers["x-fal-request-id"] == request_id
        assert answer.headers["cache-control"] == "no-cache"
        told = [event async for event in events(answer)]
    assert [event["status"] for event in told] == ["COMPLETED"]


async def test_a_failure_ends_the_stream_with_its_words(place: Place) -> None:
    request_id = await place.submit("test/fails")
    told = await all_events(place, "GET", stream_of(request_id))
    assert told[-1]["error_type"] == "content_policy_violation"


async def test_a_job_that_moves_up_the_queue_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LINE_SECONDS", 0.6)
    for running in [await place.submit("test/slow") for _ in range(8)]:
        await place.started(running)
    first, second = [await place.submit("test/slow") for _ in range(2)]
    positions = []
    async with place.http.stream("GET", stream_of(second)) as answer:
        async for event in events(answer):
            if event["status"] == "IN_QUEUE":
                positions.append(event["queue_position"])
                await place.app.queue.cancel(first if len(positions) == 1 else second, ME)
    assert positions == [1, 0]


async def test_the_line_is_kept_open_with_comments(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PING_SECONDS", 0.02)
    await place.started(request_id := await place.submit("test/slow"))
    async with place.http.stream("GET", stream_of(request_id)) as answer:
        lines = answer.aiter_lines()
        with anyio.fail_after(10):
            while await anext(lines) != ": ping":
                pass


async def test_a_watcher_that_hangs_up_leaves_the_job_alone(place: Place) -> None:
    await place.started(request_id := await place.submit("test/slow"))
    async with place.http.stream("GET", stream_of(request_id)) as answer:
        assert (await anext(events(answer)))["status"] == "IN_PROGRESS"
    job = await place.app.queue.wait(request_id, ME, 0.2)
    assert job.state is JobState.RUNNING
    assert place.app.queue.peek(request_id, ME) is not None


# Run


async def test_a_streamed_run_tells_its_steps_and_ends_with_the_result(place: Place) -> None:
    told = await all_events(place, "POST", "/run/test/steps/stream", json=PROMPT)
    *progress, result = told
    assert [event["status"] for event in progress] == ["IN_PROGRESS"] * len(progress)
    assert progress[0]["total"] == 4 and 0 < progress[0]["progress"] <= 1
    assert [event["step"] for event in progress] == sorted(event["step"] for event in progress)
    assert result["images"][0]["url"].startswith(place.url)


async def test_a_streamed_run_names_its_request(place: Place) -> None:
    headers = {"X-Fal-Runner-Hint": "a"}
    async with place.http.stream(
        "POST", "/run/test/steps/stream", json=PROMPT, headers=headers
    ) as answer:
        (job,) = await place.app.queue.jobs(ME)
        assert answer.headers["x-fal-request-id"] == job.id
        assert answer.headers["x-fal-runner-hints"] == "a"
        assert [event async for event in events(answer)]


async def test_a_streamed_run_without_steps_is_its_result_alone(place: Place) -> None:
    (result,) = await all_events(place, "POST", "/run/rehearsal/image/stream", json=PROMPT)
    assert result["images"]


@pytest.mark.parametrize(
    ("endpoint", "given", "kind"),
    [("test/steps", {}, "missing"), ("test/fails", PROMPT, "content_policy_violation")],
)
async def test_what_fails_before_it_begins_is_answered_as_a_run_is(
    place: Place, endpoint: str, given: dict[str, str], kind: str
) -> None:
    answer = await place.http.post(f"/run/{endpoint}/stream", json=given)
    assert (answer.status_code, answer.headers["x-fal-error-type"]) == (422, kind)


async def test_what_fails_on_the_way_is_the_last_event(serve: Serve) -> None:
    given = {"rehearse_seconds": 0.4, "rehearse_failure": "backend_failed", "attempts": 1}
    async with serve(rehearse=True, **given) as place:
        told = await all_events(place, "POST", "/run/test/steps/stream", json=PROMPT)
    assert told[0]["status"] == "IN_PROGRESS"
    assert told[-1]["error_type"] == "internal_server_error"
    assert told[-1]["detail"][0]["msg"].startswith("The backend failed")


async def test_who_hangs_up_on_a_streamed_run_has_it_stopped(place: Place) -> None:
    async with place.http.stream("POST", "/run/test/slow/stream", json=PROMPT) as answer:
        assert (await anext(events(answer)))["step"] >= 1
        (job,) = await place.app.queue.jobs(ME)
    ended = await place.app.queue.wait(job.id, ME, 10)
    assert (ended.state, ended.message) == (JobState.CANCELLED, "the client hung up")


async def test_a_stream_is_asked_for_with_post(place: Place) -> None:
    answer = await place.http.get("/run/test/steps/stream")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
