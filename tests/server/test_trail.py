"""A call's request id through every hop: its answer, its job, the log, the place that ran it."""

import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.types import Receive, Scope, Send

from media_mcp import trail
from media_mcp.job import Caller, Route
from media_mcp.queue.submission import Submission
from media_mcp.server.app import App
from media_mcp.server.auth import Gate
from media_mcp.server.front import Front
from media_mcp.server.http import http_app
from media_mcp.server.queue_api.keys import ServerKey
from media_mcp.server.queue_api.webhooks import Webhooks
from media_mcp.server.watching import transitions
from storagekit import MODEL, listening, nothing, serving
from support import Opened

pytestmark = pytest.mark.anyio
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ASKED = {"X-Request-Id": "build-7/42", "traceparent": TRACE}


@asynccontextmanager
async def served(opened: Opened, **given: Any) -> AsyncIterator[tuple[App, httpx2.AsyncClient]]:
    async with opened(**given) as (app, server):
        asgi = http_app(server, app, Gate.of(app.settings))
        async with listening(asgi) as url, httpx2.AsyncClient(base_url=url, timeout=30) as http:
            yield app, http


async def test_an_id_that_is_sent_comes_back_and_stays_with_the_job(opened: Opened) -> None:
    async with served(opened) as (app, http):
        answer = await http.post("/queue/test/steps", json={"prompt": "x"}, headers=ASKED)
        assert answer.headers["x-request-id"] == "build-7/42"
        job = await app.queue.wait(answer.json()["request_id"], Caller(), 20)
        assert answer.headers["x-fal-request-id"] == job.id != job.request
        kept = await app.queue.get(job.id, Caller())
        assert (kept.request, kept.trace) == ("build-7/42", TRACE)


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "id\tid", "é", "<script>", 'a"b'])
async def test_an_id_that_is_none_is_replaced(opened: Opened, given: str) -> None:
    async with served(opened) as (_, http):
        headers = {b"x-request-id": given.encode("latin-1")}
        made = (await http.get("/health", headers=headers)).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", made)


@pytest.mark.parametrize(
    "given", ["", "00-0-0-0", f"{TRACE}-x", TRACE.replace("b7", "00", 1).upper(), "00-" + "0" * 52]
)
def test_a_trace_that_is_none_is_passed_over(given: str) -> None:
    assert trail.of_headers({b"traceparent": given.encode()}).trace == ""


@pytest.mark.parametrize("path", ["/nowhere", "/mcp", "/metrics", "/queue/no/model", "/v1/models"])
async def test_every_answer_names_its_request_errors_among_them(opened: Opened, path: str) -> None:
    async with served(opened, api_key="a-key-of-sixteen") as (_, http):
        answer = await http.post(path, json={}, headers={"X-Request-Id": "r1"})
        assert answer.headers["x-request-id"] == "r1" and answer.status_code >= 400


async def test_a_bug_is_answered_with_the_id_under_which_the_log_has_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await nothing(scope, receive, send)
        raise ValueError("broken")

    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(transitions.JsonFormatter().format(record))  # type: ignore[method-assign]
    logging.getLogger("media_mcp.server.front").addHandler(handler)
    try:
        async with listening(broken) as url, httpx2.AsyncClient() as http:
            answer = await http.get(url, headers={"X-Request-Id": "r2"})
    finally:
        logging.getLogger("media_mcp.server.front").removeHandler(handler)
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "r2")
    assert "broken" not in answer.text and json.loads(said[0])["request"] == "r2"


async def test_calls_of_both_eras_carry_theirs(opened: Opened, era: str) -> None:
    async with served(opened) as (app, http):
        address = str(http.base_url).rstrip("/")
        async with (
            httpx2.AsyncClient(headers=ASKED) as asked,
            Client(streamable_http_client(f"{address}/mcp", http_client=asked), mode=era) as client,
        ):
            await client.call_tool("rehearsal_image", {"prompt": "x"})
        (job,) = await app.queue.jobs(Caller())
        assert (job.request, job.trace) == ("build-7/42", TRACE)


async def test_a_call_that_came_without_headers_has_an_id_of_its_own(
    opened: Opened, era: str
) -> None:
    """As over stdio: each call has one, and all jobs and lines of that call have the same."""
    async with opened() as (app, server), Client(server.sdk, mode=era) as client:
        for prompt in ("x", "y"):
            await client.call_tool("rehearsal_image", {"prompt": prompt})
        one, other = (job.request for job in await app.queue.jobs(Caller()))
    assert re.fullmatch("[0-9a-f]{32}", one) and re.fullmatch("[0-9a-f]{32}", other)
    assert one != other


async def test_each_transition_is_logged_with_the_id(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "media_mcp")
    async with served(opened) as (app, http):
        stop = transitions.follow(app.queue)
        answer = await http.post("/queue/test/steps", json={"prompt": "x"}, headers=ASKED)
        await app.queue.wait(answer.json()["request_id"], Caller(), 20)
        stop()
    lines = [record.args[0].told for record in caplog.records if record.name == "media_mcp.jobs"]
    assert [line["request"] for line in lines] == ["build-7/42"] * 3


async def test_a_webhook_is_told_the_id(tmp_path: Path) -> None:
    call = Submission(MODEL, {}, Caller(), "queue", trail=trail.Trail("r3", TRACE))
    job = call.job(Route("local"), 1, "", None, 0.0)
    async with serving(tmp_path) as place:
        outbox = place.app.queue.outbox
        hooks = Webhooks(outbox, None, ServerKey(bytes(32)), allow_private=False)  # type: ignore[arg-type]
        headers = hooks._signed(job, b"{}")
    assert (headers["X-Request-Id"], headers["traceparent"]) == ("r3", TRACE)
    assert headers["X-Fal-Webhook-Request-Id"] == job.id


async def test_what_is_open_is_ended_in_its_own_way() -> None:
    begun = anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await nothing(scope, receive, send)
        if scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"some", "more_body": True})
        begun.set()
        await anyio.sleep_forever()

    front = Front(app)
    async with (
        listening(front) as url,
        httpx2.AsyncClient() as http,
        anyio.create_task_group() as group,
    ):
        answers: list[httpx2.Response] = []

        async def get(path: str) -> None:
            answers.append(await http.get(url + path))

        for path in ("/stream", "/silent"):
            begun = anyio.Event()
            group.start_soon(get, path)
            await begun.wait()
        front.end()
    by_status = {answer.status_code: answer for answer in answers}
    assert by_status[200].text == "some"
    assert "ask again once it is back" in by_status[503].json()["detail"]
