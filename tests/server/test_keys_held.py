"""What was let in by a key goes as far as that key, and ends with it."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import httpx2
import mcp_types as t
import msgpack
import pytest
from PIL import Image
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from callerskit import House, call, house
from media_mcp.job import Caller, JobState
from media_mcp.server import staying
from media_mcp.server.http import listen, web_server
from media_mcp.server.pace import GUESSES
from storagekit import lifespan
from support import Opened

pytestmark = pytest.mark.anyio

RUN, PROMPT = "/run/rehearsal/image", {"prompt": "x", "width": 16, "height": 16}
WARM = {"model": "rehearsal/image"}


async def app_token(http: httpx2.AsyncClient, app: str = "image") -> str:
    return str((await http.post("/rest/tokens/", json={"allowed_apps": [app]})).json())


async def ticket(http: httpx2.AsyncClient) -> str:
    asked = {"file_name": "a.txt", "content_type": "text/plain"}
    answer = await http.post("/rest/storage/upload/initiate", json=asked)
    return str(answer.json()["upload_url"])


async def test_a_token_made_with_a_key_that_only_reads_runs_nothing(opened: Opened) -> None:
    async with house(opened) as place, place.http("eve") as eve, place.http("") as nobody:
        query = {"fal_jwt_token": await app_token(eve)}
        for path in (RUN, f"{RUN}/stream"):
            refused = await nobody.post(path, params=query, json=PROMPT)
            assert refused.status_code == 403, path
        assert await place.app.queue.jobs(Caller("eve")) == []


async def test_a_key_that_only_reads_stops_no_job_of_its_own_caller(opened: Opened) -> None:
    async with house(opened) as place, place.http("ann") as ann, place.http("") as reader:
        reader.headers["Authorization"] = f"Key {place.ring.create('ann', 'read')[1]}"
        job = (await ann.post("/queue/test/slow", json={"prompt": "x"})).json()["request_id"]
        path = f"/queue/test/slow/requests/{job}"
        assert (await reader.get(f"{path}/status")).status_code in (200, 202)
        assert (await reader.put(f"{path}/cancel")).status_code == 403
        assert not (await place.app.queue.get(job, Caller("ann"))).state.terminal


async def test_tokens_and_tickets_end_with_the_key_they_were_made_with(opened: Opened) -> None:
    async with house(opened) as place, place.http("ann") as ann, place.http("") as nobody:
        query, put = {"fal_jwt_token": await app_token(ann)}, await ticket(ann)
        upload = (await ann.post("/rest/storage/auth/token")).json()["token"]
        shown = {"Authorization": f"Bearer {upload}"}
        assert (await nobody.put(put, content=b"hello")).status_code == 200
        place.ring.revoke("ann")
        assert (await nobody.post(RUN, params=query, json=PROMPT)).status_code == 401
        assert (await nobody.put(put, content=b"hello")).status_code == 401
        refused = await nobody.post("/cdn/files/upload", content=b"hello", headers=shown)
        assert refused.status_code == 401


async def test_tokens_and_tickets_count_as_requests_of_their_caller(opened: Opened) -> None:
    rules = {"ann": {"limits": {"requests_per_minute": 3}}}
    async with house(opened, callers=rules) as place, place.http("ann") as ann:
        query, put = {"fal_jwt_token": await app_token(ann)}, await ticket(ann)
        async with place.http("") as nobody:
            assert (await nobody.post(RUN, params=query, json=PROMPT)).status_code == 200
            for slow in (
                await nobody.post(RUN, params=query, json=PROMPT),
                await nobody.put(put, content=b"hello"),
            ):
                assert slow.status_code == 429
                assert 1 <= int(slow.headers["retry-after"]) <= 20


async def test_requests_that_fail_as_they_come_are_counted_too(opened: Opened) -> None:
    rules = {"ann": {"limits": {"jobs_per_minute": 2}}}
    async with house(opened, callers=rules) as place, place.http("ann") as ann:
        codes = [
            (await ann.post("/queue/rehearsal/image", json={"width": "x"})).status_code
            for _ in range(3)
        ]
        assert codes == [200, 200, 429]
        assert len(await place.app.queue.jobs(Caller("ann"))) == 2


def line(place: House, name: str) -> connect:
    shown = {"Authorization": f"Key {place.keys[name]}"}
    return connect(f"{place.url.replace('http', 'ws')}{RUN}/realtime", additional_headers=shown)


async def test_an_open_line_is_closed_when_its_key_is_revoked(opened: Opened) -> None:
    async with house(opened) as place, line(place, "ann") as socket:
        await socket.send(msgpack.packb(PROMPT))
        assert msgpack.unpackb(await socket.recv())["images"]
        place.ring.revoke("ann")
        await socket.send(msgpack.packb(PROMPT))
        assert json.loads(await socket.recv())["error"] == "UNAUTHORIZED"
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008
        assert len(await place.app.queue.jobs(Caller("ann"))) == 1


async def test_inputs_over_an_open_line_count_as_requests(opened: Opened) -> None:
    rules = {"ann": {"limits": {"requests_per_minute": 2}}}
    async with house(opened, callers=rules) as place, line(place, "ann") as socket:
        for _ in range(2):  # one request opened it
            await socket.send(msgpack.packb(PROMPT))
        assert msgpack.unpackb(await socket.recv())["images"]
        assert "More than 2 requests a minute" in json.loads(await socket.recv())["reason"]


async def test_a_stream_ends_when_its_key_is_revoked(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staying, "SECONDS", 0.0)
    async with house(opened) as place, place.http("ann") as ann:
        job = (await ann.post("/queue/test/slow", json={"prompt": "x"})).json()["request_id"]
        with anyio.fail_after(20):
            async with ann.stream("GET", f"/queue/test/slow/requests/{job}/status/stream") as told:
                await anext(lines := told.aiter_lines())
                place.ring.revoke("ann")
                async for line in lines:
                    assert "COMPLETED" not in line
        assert (await place.app.queue.get(job, Caller("ann"))).state is JobState.RUNNING


async def test_a_session_s_stream_ends_when_its_key_is_revoked(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staying, "SECONDS", 0.0)
    accept = {"Accept": "application/json, text/event-stream"}
    slow = {"name": "test_slow", "arguments": {"prompt": "x"}, "_meta": {"progressToken": 1}}
    told = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": slow}
    async with house(opened) as place, place.http("ann") as ann:
        begun = await ann.post("/mcp", json=hello(), headers=accept)
        session = accept | {"Mcp-Session-Id": begun.headers["mcp-session-id"]}
        with anyio.fail_after(20):
            async with ann.stream("POST", "/mcp", json=told, headers=session) as answer:
                await anext(texts := answer.aiter_text())
                place.ring.revoke("ann")
                async for text in texts:
                    assert '"result"' not in text


def hello() -> dict[str, object]:
    client = {"name": "x", "version": "1"}
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}


async def test_what_a_remote_client_calls_its_folders_is_not_read_here(
    opened: Opened, era: str, tmp_path: Path
) -> None:
    async def everything(context: object) -> t.ListRootsResult:
        return t.ListRootsResult(roots=[t.Root(uri="file:///")])

    Image.new("RGB", (8, 8), "red").save(tmp_path / "hers.png")
    shared = tmp_path / "shared"
    shared.mkdir()
    Image.new("RGB", (8, 8), "blue").save(shared / "all.png")
    async with (
        house(opened, roots=[shared]) as place,
        place.mcp("bob", era, list_roots_callback=everything) as bob,
    ):
        hers = str(tmp_path / "hers.png")
        refused = await call(bob, "rehearsal_edit", prompt="x", image_url=hers)
        assert "outside the folders" in refused["error"]["message"]
        theirs = str(shared / "all.png")
        assert (await call(bob, "rehearsal_edit", prompt="x", image_url=theirs))["assets"]


async def test_only_an_admin_keeps_models_in_memory(opened: Opened) -> None:
    async with house(opened) as place:
        for name, given, status in (
            ("eve", WARM, 403),
            ("bob", WARM | {"pin": True}, 403),
            ("bob", WARM | {"keep_alive": 9}, 403),
            ("bob", WARM, 409),  # it has no weights
            ("adm", WARM | {"pin": True}, 409),
        ):
            async with place.http(name) as http:
                assert (await http.post("/v1/warm", json=given)).status_code == status, name


async def test_keys_that_cannot_be_read_let_nobody_in_and_tell_no_stranger_why(
    opened: Opened,
) -> None:
    async with house(opened) as place, place.http("ann") as ann:
        (place.app.settings.data_dir / "keys.json").write_text("[{")
        for path in ("/v1/models", f"{RUN}s"):
            answer = await ann.get(path) if path.startswith("/v1") else await ann.post(path)
            assert answer.status_code >= 500
            assert "Keys cannot be checked now" in answer.text
            assert str(place.app.settings.data_dir) not in answer.text


async def test_who_shows_two_keys_shows_none(opened: Opened) -> None:
    async with house(opened) as place, place.http("") as http:
        both = [("Authorization", f"Key {place.keys[name]}") for name in ("ann", "bob")]
        for path in ("/v1/models", "/mcp", "/queue/rehearsal/image/requests/1/status"):
            refused = await http.get(path, headers=both)
            assert (refused.status_code, "sent twice" in refused.text) == (400, True)


async def test_who_guesses_often_has_no_more_keys_compared(opened: Opened) -> None:
    async with house(opened, api_key="open sesame") as place, place.http("ann") as ann:
        right = {"Authorization": "Key open sesame"}
        async with place.http("") as http:
            assert (await http.get("/v1/models", headers=right)).status_code == 200
            for number in range(GUESSES):
                wrong = {"Authorization": f"Key open {number}"}
                assert (await http.get("/v1/models", headers=wrong)).status_code == 401
            assert (await http.get("/v1/models", headers=right)).status_code == 401
        assert (await ann.get("/v1/models")).status_code == 200


@pytest.mark.parametrize(
    ("proxies", "told"), [((), "http 127.0.0.1"), (("127.0.0.0/8",), "https 192.0.2.7")]
)
async def test_what_a_proxy_forwards_is_believed_of_those_that_are_named(
    proxies: tuple[str, ...], told: str
) -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        body = f"{scope['scheme']} {scope['client'][0]}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    web = web_server(echo, proxies=proxies)
    with listen("127.0.0.1", 0) as listener:
        async with anyio.create_task_group() as group, httpx2.AsyncClient() as http:
            group.start_soon(lambda: web.serve(sockets=[listener]))
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            assert (await http.get(url, headers=forwarded)).text == told
            web.should_exit = True
