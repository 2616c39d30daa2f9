"""Realtime: msgpack both ways over a WebSocket, with tokens, bounds and words for each error."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import msgpack
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from media_mcp.job import JobState
from media_mcp.server.queue_api import realtime
from media_mcp.server.queue_api.realtime import Inbox
from queueplace import ME, Place, Serve

pytestmark = pytest.mark.anyio

PROMPT = {"prompt": "x"}
KEY = "a-key-of-sixteen"


@asynccontextmanager
async def connected(
    place: Place, endpoint: str = "rehearsal/image", query: str = "", **more: Any
) -> AsyncIterator[ClientConnection]:
    url = f"{place.url.replace('http', 'ws')}/run/{endpoint}/realtime{query}"
    async with connect(url, max_size=None, **more) as socket:
        yield socket


async def send(socket: ClientConnection, value: Any) -> None:
    await socket.send(msgpack.packb(value))


async def receive(socket: ClientConnection) -> Any:
    with anyio.fail_after(10):
        frame = await socket.recv()
    return json.loads(frame) if isinstance(frame, str) else msgpack.unpackb(frame)


async def ask(socket: ClientConnection, value: Any) -> Any:
    await send(socket, value)
    return await receive(socket)


async def denied(place: Place, endpoint: str, query: str = "", **more: Any) -> httpx2.Response:
    """Return the answer with which a connection is refused."""
    with pytest.raises(InvalidStatus) as caught:
        async with connected(place, endpoint, query, **more):
            pass
    refused = caught.value.response
    return httpx2.Response(
        refused.status_code, content=bytes(refused.body), headers=dict(refused.headers)
    )


async def test_each_input_has_its_result_in_turn(place: Place) -> None:
    async with connected(place) as socket:
        for width in (16, 32, 48):
            await send(socket, {**PROMPT, "width": width, "height": 16})
        found = [(await receive(socket))["images"][0] for _ in range(3)]
    assert [image["width"] for image in found] == [16, 32, 48]
    assert found[0]["url"].startswith(f"{place.url}/files/")
    assert (await place.http.get(found[0]["url"])).status_code == 200


async def test_an_input_may_be_text(place: Place) -> None:
    async with connected(place) as socket:
        await socket.send(json.dumps({**PROMPT, "width": 16, "height": 16}))
        assert (await receive(socket))["images"]


@pytest.mark.parametrize(
    ("frame", "error", "words"),
    [
        (b"\xc1", "BAD_REQUEST", "not a msgpack map"),
        (msgpack.packb({"prompt": b"\x00"}), "BAD_REQUEST", "plain values"),
        (msgpack.packb({"prompt": float("nan")}), "BAD_REQUEST", "plain values"),
        (msgpack.packb({3: 4}), "BAD_REQUEST", "not a msgpack map"),
        ("{", "BAD_REQUEST", "not JSON"),
        (msgpack.packb([1]), "DICT_TYPE", "must be a JSON object"),
        (msgpack.packb({}), "MISSING", "prompt: is required."),
        (msgpack.packb({"prompt": "x", "width": 3}), "GREATER_THAN_EQUAL", "at least 16"),
    ],
)
async def test_a_bad_input_is_answered_in_text_and_the_line_stays_open(
    place: Place, frame: bytes | str, error: str, words: str
) -> None:
    async with connected(place) as socket:
        await socket.send(frame)
        told = await receive(socket)
        assert (told["type"], told["error"]) == ("x-fal-error", error)
        assert words in told["reason"]
        assert (await ask(socket, {**PROMPT, "width": 16, "height": 16}))["images"]


async def test_a_job_that_fails_is_told(place: Place) -> None:
    async with connected(place, "test/fails") as socket:
        told = await ask(socket, PROMPT)
        assert told["error"] == "CONTENT_POLICY_VIOLATION"
        assert told["detail"][0]["type"] == "content_policy_violation"


async def test_a_bug_is_told_without_its_insides(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(place.app.queue, "submit", broken)
    async with connected(place) as socket:
        told = await ask(socket, PROMPT)
    assert told["error"] == "INTERNAL_ERROR" and "secret" not in told["reason"]


async def test_who_leaves_has_their_job_stopped(place: Place) -> None:
    async with connected(place, "test/slow") as socket:
        await send(socket, PROMPT)
        while not (jobs := await place.app.queue.jobs(ME)):
            await anyio.lowlevel.checkpoint()
        await place.started(jobs[0].id)
    assert await place.ended(jobs[0].id) is JobState.CANCELLED


async def test_of_what_waits_only_the_newest_is_kept_where_that_is_asked_for(place: Place) -> None:
    inbox = Inbox(2)
    for frame in (b"a", b"b", b"c"):
        await inbox.put(frame)
    assert [await inbox.take(), await inbox.take()] == [b"b", b"c"]
    async with connected(place, query="?max_buffering=1") as socket:
        assert (await ask(socket, {**PROMPT, "width": 16, "height": 16}))["images"]


async def test_without_a_bound_nothing_is_dropped_and_the_sender_waits() -> None:
    inbox = Inbox(None)
    sent = [str(number) for number in range(3 * realtime.BUFFERED)]

    async def put_all() -> None:
        for frame in sent:
            await inbox.put(frame)

    async with anyio.create_task_group() as group:
        group.start_soon(put_all)
        with anyio.fail_after(5):
            assert [await inbox.take() for _ in sent] == sent


async def test_a_frame_has_a_bound(place: Place) -> None:
    async with connected(place) as socket:
        await socket.send(b"x" * (realtime.MAX_FRAME + 1))
        with pytest.raises(ConnectionClosed) as caught:
            await receive(socket)
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1009


async def test_a_web_server_without_the_bound_is_helped_out() -> None:
    sent: list[dict[str, Any]] = []

    class Line:
        async def receive(self) -> dict[str, Any]:
            return {"type": "websocket.receive", "text": "x" * (realtime.MAX_FRAME + 1)}

        async def send(self, message: dict[str, Any]) -> None:
            sent.append(message)

    await realtime._read_all(Line(), Inbox(None))  # type: ignore[arg-type]
    assert [message["code"] for message in sent] == [1009]


async def test_a_client_that_is_gone_ends_its_turn(place: Place) -> None:
    inbox = Inbox(None)

    class Line:
        async def send(self, message: dict[str, Any]) -> None:
            raise OSError("gone")

    answered = realtime.Realtime(None, None, None, None)._answer_all  # type: ignore[arg-type]
    await inbox.put("{")
    with anyio.fail_after(5), pytest.raises(OSError, match="gone"):
        await answered(Line(), None, inbox, lambda: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("query", ["?max_buffering=0", "?max_buffering=61", "?max_buffering=x"])
async def test_a_bound_that_makes_no_sense_is_refused(place: Place, query: str) -> None:
    answer = await denied(place, "rehearsal/image", query)
    assert answer.status_code == 400
    assert "from 1 to 60" in answer.json()["detail"]


async def test_an_unknown_model_is_refused_before_there_is_a_connection(place: Place) -> None:
    answer = await denied(place, "test/slowly")
    assert (answer.status_code, answer.headers["x-fal-error-type"]) == (404, "not_found")


async def test_only_realtime_is_a_websocket(place: Place) -> None:
    for path in ("/run/test/slow", "/queue/test/slow/realtime", "/rest/realtime"):
        with pytest.raises(InvalidStatus) as caught:
            async with connect(place.url.replace("http", "ws") + path):
                pass
        assert caught.value.response.status_code == 404


# Keys and tokens


async def token(place: Place, app: str, seconds: float = 120) -> str:
    asked = {"allowed_apps": [app], "token_expiration": seconds}
    answer = await place.http.post(
        "/rest/tokens/", json=asked, headers={"Authorization": f"Key {KEY}"}
    )
    assert answer.status_code == 200
    return str(answer.json())


async def test_a_token_opens_the_line_to_its_app_and_to_no_other(serve: Serve) -> None:
    async with serve(api_key=KEY) as place:
        shown = f"?fal_jwt_token={await token(place, 'image')}"
        async with connected(place, query=shown) as socket:
            assert (await ask(socket, {**PROMPT, "width": 16, "height": 16}))["images"]
        assert (await denied(place, "rehearsal/video", shown)).status_code == 401
        assert (await denied(place, "rehearsal/image", "?fal_jwt_token=x")).status_code == 401
        assert (await denied(place, "rehearsal/image")).status_code == 401


async def test_a_key_opens_it_as_well(serve: Serve) -> None:
    headers = {"Authorization": f"Key {KEY}"}
    async with (
        serve(api_key=KEY) as place,
        connected(place, additional_headers=headers) as socket,
    ):
        assert (await ask(socket, {**PROMPT, "width": 16, "height": 16}))["images"]


async def test_a_token_does_for_a_stream_too(serve: Serve) -> None:
    async with serve(api_key=KEY) as place:
        query = {"fal_jwt_token": await token(place, "image")}
        answer = await place.http.post("/run/rehearsal/image/stream", json=PROMPT, params=query)
        assert (answer.status_code, "images" in answer.text) == (200, True)
        submitted = await place.http.post(
            "/queue/test/steps", json=PROMPT, headers={"Authorization": f"Key {KEY}"}
        )
        stream = f"/queue/test/steps/requests/{submitted.json()['request_id']}/status/stream"
        query = {"fal_jwt_token": await token(place, "steps")}
        assert "COMPLETED" in (await place.http.get(stream, params=query)).text
        other = stream.replace("test/steps", "rehearsal/image")
        query = {"fal_jwt_token": await token(place, "image")}
        assert (await place.http.get(other, params=query)).json() == {"status": "NOT_FOUND"}
