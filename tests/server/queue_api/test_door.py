"""The door: whom it lets in, what it passes on, and what it says when nothing is there."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import anyio
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from media_mcp.errors import StorageFailed
from media_mcp.server.queue_api.requests import Requests
from media_mcp.server.queue_api.streams import _StatusTeller
from queueplace import ME, Place, Serve

pytestmark = pytest.mark.anyio

PROMPT = {"prompt": "x"}
KEY = "a-key-of-sixteen"
ID = "0" * 18


# Whom it lets in


@pytest.mark.parametrize("scheme", ["Key", "key", "Bearer"])
async def test_with_a_key_only_those_who_show_it_come_in(serve: Serve, scheme: str) -> None:
    async with serve(api_key=KEY) as place:
        headers = {"Authorization": f"{scheme} {KEY}"}
        answer = await place.http.post("/run/test/steps", json=PROMPT, headers=headers)
        assert answer.status_code == 200
        assert (await place.http.get(answer.json()["images"][0]["url"])).status_code == 200


@pytest.mark.parametrize("shown", ["", "Key wrong", "Basic a-key-of-sixteen", KEY, "Key"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/queue/test/steps"),
        ("GET", f"/queue/test/steps/requests/{ID}/status"),
        ("GET", f"/queue/test/steps/requests/{ID}/status/stream"),
        ("GET", f"/queue/test/steps/requests/{ID}"),
        ("PUT", f"/queue/test/steps/requests/{ID}/cancel"),
        ("POST", "/run/test/steps"),
        ("POST", "/run/test/steps/stream"),
        ("POST", "/test/steps"),
        ("POST", "/rest/tokens/"),
        ("POST", "/rest/storage/upload/initiate"),
        ("POST", "/rest/storage/auth/token"),
        ("POST", "/cdn/files/upload"),
        ("GET", "/v1/models"),
        ("POST", "/mcp"),
    ],
)
async def test_all_others_stay_outside(locked: Place, method: str, path: str, shown: str) -> None:
    headers = {"Authorization": shown} if shown else {}
    answer = await locked.http.request(method, path, headers=headers, content=b"{}")
    assert answer.status_code == 401
    assert set(answer.json()) >= {"detail"}
    assert await locked.app.queue.jobs(ME) == []


@pytest.mark.parametrize("path", ["/health", "/.well-known/jwks.json"])
async def test_what_is_everybodys_business_needs_no_key(locked: Place, path: str) -> None:
    assert (await locked.http.get(path)).status_code == 200


async def test_a_named_target_does_not_open_the_door(locked: Place) -> None:
    for url in ("https://queue.fal.run/test/steps", "https://api.fal.ai/v1/models"):
        headers = {"x-fal-target-url": url}
        assert (await locked.http.post("/health", json=PROMPT, headers=headers)).status_code == 401


async def test_a_key_that_nobody_asked_for_is_passed_over(place: Place) -> None:
    headers = {"Authorization": "Key whatever"}
    answer = await place.http.post("/run/test/steps", json=PROMPT, headers=headers)
    assert answer.status_code == 200


# What it plays


@pytest.mark.parametrize(
    ("host", "path", "base"),
    [
        ("queue.fal.run", "/test/steps", "http://queue.fal.run"),
        ("queue.localhost", "/test/steps", "http://queue.localhost"),
    ],
)
async def test_a_host_name_is_as_good_as_a_path(
    place: Place, host: str, path: str, base: str
) -> None:
    answer = await place.http.post(path, json=PROMPT, headers={"Host": host})
    assert answer.json()["status_url"].startswith(f"{base}/test/steps/requests/")


async def test_files_of_a_job_at_fals_hosts_lie_at_the_media_host(place: Place) -> None:
    answer = await place.http.post("/test/steps", json=PROMPT, headers={"Host": "fal.run"})
    url = answer.json()["images"][0]["url"]
    assert url.startswith("http://v3.fal.media/files/")
    path = url.removeprefix("http://v3.fal.media")
    file = await place.http.get(path, headers={"Host": "v3.fal.media"})
    assert file.headers["content-type"] == "image/png"


async def test_through_a_proxy_answers_name_the_target_and_files_this_server(place: Place) -> None:
    target = {"x-fal-target-url": "https://queue.fal.run/test/steps"}
    answer = await place.http.post("/proxy", json=PROMPT, headers=target)
    told = answer.json()
    assert told["status_url"].startswith("https://queue.fal.run/test/steps/requests/")
    await place.ended(told["request_id"])
    target = {"x-fal-target-url": told["response_url"]}
    result = await place.http.get("/anywhere", headers=target)
    assert result.json()["images"][0]["url"].startswith(f"{place.url}/files/")


async def test_a_proxy_needs_a_target_that_is_played_here(place: Place) -> None:
    missing = await place.http.post("/proxy", json=PROMPT)
    assert missing.status_code == 400
    assert "x-fal-target-url is missing" in missing.json()["detail"]
    target = {"x-fal-target-url": "https://evil.example/"}
    elsewhere = await place.http.post("/proxy", json=PROMPT, headers=target)
    assert elsewhere.status_code == 412
    assert "'https://evil.example/'" in elsewhere.json()["detail"]
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"ws://127.0.0.1:{place.port}/proxy", additional_headers=target):
            pass
    assert caught.value.response.status_code == 412


async def test_the_platform_api_is_found_at_its_host_and_through_a_proxy(place: Place) -> None:
    for headers in (
        {"Host": "api.fal.ai"},
        {"x-fal-target-url": "https://api.fal.ai/v1/models?limit=1&q=sketch"},
    ):
        answer = await place.http.get("/v1/models?limit=1&q=sketch", headers=headers)
        assert answer.json()["models"][0]["endpoint_id"] == "sketch"
    answer = await place.http.post("/mcp", headers={"Host": "api.fal.ai"})
    assert answer.status_code == 404


async def test_the_keys_of_webhooks_are_served(place: Place) -> None:
    for path in ("/.well-known/jwks.json", "/rest/.well-known/jwks.json"):
        (key,) = (await place.http.get(path)).json()["keys"]
        assert (key["kty"], key["crv"]) == ("OKP", "Ed25519")
    assert (await place.http.post("/rest/.well-known/jwks.json")).status_code == 405


# What is not there


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/queue/test/steps", "POST"),
        ("PUT", "/queue/test/steps", "POST"),
        ("DELETE", f"/queue/a/b/requests/{ID}", "GET"),
        ("POST", f"/queue/a/b/requests/{ID}/status", "GET"),
        ("POST", f"/queue/a/b/requests/{ID}/status/stream", "GET"),
        ("GET", f"/queue/a/b/requests/{ID}/cancel", "PUT"),
        ("POST", f"/queue/a/b/requests/{ID}/cancel", "PUT"),
        ("GET", "/run/test/steps", "POST"),
        ("GET", "/rest/tokens/", "POST"),
    ],
)
async def test_a_wrong_method_names_the_right_one(
    place: Place, method: str, path: str, allowed: str
) -> None:
    answer = await place.http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["detail"] == "Method Not Allowed"


@pytest.mark.parametrize(
    "path",
    [
        f"/queue/a/b/requests/{ID}/what",
        f"/queue/a/b/requests/{ID}/status/what",
        "/rest/what",
        "/rest",
    ],
)
async def test_a_path_that_leads_nowhere_says_so(place: Place, path: str) -> None:
    answer = await place.http.get(path)
    assert (answer.status_code, answer.json()["detail"]) == (404, "Not Found")


@pytest.mark.parametrize("path", ["/queue/a/b/requests", "/queue/a/b/requests/", "/queue/requests"])
async def test_no_id_is_an_unknown_one(place: Place, path: str) -> None:
    answer = await place.http.get(path)
    assert (answer.status_code, answer.json()) == (404, {"status": "NOT_FOUND"})


@pytest.mark.parametrize("request_id", ["%00", "%ff", "..%2f..", "a" * 5000, "%F0%9F%90%A2"])
async def test_an_id_may_be_anything_and_is_just_not_found(place: Place, request_id: str) -> None:
    answer = await place.http.get(f"/queue/a/b/requests/{request_id}/status")
    assert answer.status_code == 404


# When something breaks


async def test_a_bug_is_logged_and_says_nothing_of_the_insides(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(Requests, "submit", broken)
    answer = await place.http.post("/queue/test/steps", json=PROMPT)
    assert (answer.status_code, answer.headers["x-fal-error-type"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert "secret" in caplog.text


async def test_a_disk_that_fails_is_told_in_its_words(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StorageFailed("The disk is full.", "Free some space.")

    monkeypatch.setattr(Requests, "submit", full)
    answer = await place.http.post("/queue/test/steps", json=PROMPT)
    assert answer.status_code == 500
    assert answer.json()["detail"] == "The disk is full. Free some space."


async def test_an_answer_that_has_begun_is_cut_off(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await place.started(request_id := await place.submit("test/slow"))
    whole, calls = _StatusTeller._send, 0

    async def breaks(teller: _StatusTeller) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise StorageFailed("The disk is full.", "Free some space.")
        await whole(teller)

    monkeypatch.setattr(_StatusTeller, "_send", breaks)
    stream = (
        f"GET /queue/a/b/requests/{request_id}/status/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    with caplog.at_level(logging.ERROR), anyio.fail_after(10):
        writer.write(stream.encode())
        told = await reader.read()
    writer.close()
    assert b"IN_PROGRESS" in told and not told.endswith(b"0\r\n\r\n")
    assert "The disk is full." in caplog.text


async def test_who_hangs_up_in_mid_body_breaks_nothing(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    head = "POST /run/test/steps HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n"
    for _ in range(3):
        _, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(head.encode() + b"{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    await place.submit()
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


@pytest.fixture
async def locked(serve: Serve, anyio_backend: str) -> Any:
    async with serve(api_key=KEY) as served:
        yield served
