"""fal's Python client, unpatched, against the real server over TLS: every call, both twins.

It is pointed at the server by its own means: by the two host variables, or by a proxy that joins
every tunnel to the server, so that it believes to speak with fal's own hosts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clientkit import KEY, Server, lines, run_script, tunnelled
from wiretraces import check_trace

pytestmark = pytest.mark.timeout(200)

Fal = Callable[..., list[Any]]
# Notes each exchange below the client: what goes over the wire.
HEAD = """
import asyncio, json, sys, time
import httpx

wire = []

def note(request, response):
    sent, back = list(request.headers), list(response.headers)
    wire.append([request.method, str(request.url), response.status_code, sent, back])
    return response

sync, twin = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

def heard(self, request):
    return note(request, sync(self, request))

async def heard_async(self, request):
    return note(request, await twin(self, request))

httpx.HTTPTransport.handle_request = heard
httpx.AsyncHTTPTransport.handle_async_request = heard_async

import fal_client
from fal_client import Completed, FalClientHTTPError, FalClientTimeoutError, InProgress, Queued

FLUX = "fal-ai/flux/schnell"
BOAT = {"prompt": "a boat", "image_size": "square", "seed": 7}

def tell(value):
    print(json.dumps(value))

def told(update):
    logs = getattr(update, "logs", None)
    words = None if logs is None else [line["message"] for line in logs]
    return [type(update).__name__, words, getattr(update, "error_type", None)]

def refusal(error):
    return [error.status_code, error.error_type, error.message]
"""
TAIL = "\ntell(wire)\n"


@pytest.fixture(scope="session")
def tunnels(steady: Server, slow: Server) -> Iterator[dict[str, str]]:
    with tunnelled(steady) as one, tunnelled(slow) as other:
        yield {steady.url: one, slow.url: other}


@pytest.fixture
def fal(tunnels: dict[str, str], tmp_path: Path) -> Fal:
    """Run a script with the client pointed at a server; returns what it tells, the wire last."""

    def run(source: str, server: Server, means: str = "hosts", key: str = KEY) -> list[Any]:
        place = server.url.removeprefix("https://")
        hosts = {"FAL_RUN_HOST": f"{place}/run", "FAL_QUEUE_RUN_HOST": f"{place}/queue"}
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "SSL_CERT_FILE": str(server.certificate),
            "FAL_KEY": key,
            **(hosts if means == "hosts" else {"HTTPS_PROXY": tunnels[server.url]}),
        }
        command = [sys.executable, "-c", HEAD + source + TAIL]
        return lines(run_script(command, environment, tmp_path))

    return run


def check_picture(server: Server, result: dict[str, Any]) -> None:
    """A result has fal's shape, and its picture can be fetched by its URL."""
    (image,) = result["images"]
    assert {"url", "content_type", "file_name", "file_size", "width", "height"} <= image.keys()
    assert (image["width"], image["height"], result["seed"]) == (512, 512, 7)
    assert {"timings", "has_nsfw_concepts", "prompt"} <= result.keys()
    status, data, headers = server.get(image["url"])
    assert (status, len(data)) == (200, image["file_size"])
    assert headers["content-type"] == image["content_type"]


def check_grows(updates: list[list[Any]]) -> None:
    """Log lines are cumulative while polling, and the last update has all of them."""
    seen: list[str] = []
    for _, words, _ in updates:
        if words is not None:
            assert words[: len(seen)] == seen
            seen = words
    assert seen[0] == "queued for rehearsal" and seen[-1] == "succeeded"
    assert "step 10 of 10" in seen


# Subscribe


SUBSCRIBE = """
ids, updates = [], []
result = fal_client.subscribe(FLUX, BOAT, with_logs=True, on_enqueue=ids.append,
                              on_queue_update=lambda update: updates.append(told(update)))
tell(ids), tell(updates), tell(result)
"""


@pytest.mark.parametrize("means", ["hosts", "tunnel"])
def test_subscribe_with_logs(fal: Fal, steady: Server, means: str) -> None:
    (request_id,), updates, result, wire = fal(SUBSCRIBE, steady, means)
    assert len(request_id) == 18
    assert [kind for kind, _, _ in updates].count("Completed") == 1
    assert updates[-1][0] == "Completed" and "InProgress" in [kind for kind, _, _ in updates]
    check_grows(updates)
    check_picture(steady, result)
    check_trace(f"python-subscribe-{means}", wire)


SUBSCRIBE_ASYNC = """
async def main():
    ids, updates = [], []
    result = await fal_client.subscribe_async(
        FLUX, BOAT, with_logs=True, on_enqueue=ids.append,
        on_queue_update=lambda update: updates.append(told(update)))
    tell(ids), tell(updates), tell(result)
asyncio.run(main())
"""


@pytest.mark.parametrize("means", ["hosts", "tunnel"])
def test_the_async_twin_subscribes_the_same(fal: Fal, steady: Server, means: str) -> None:
    (request_id,), updates, result, wire = fal(SUBSCRIBE_ASYNC, steady, means)
    assert len(request_id) == 18 and updates[-1][0] == "Completed"
    check_grows(updates)
    check_picture(steady, result)
    check_trace(f"python-subscribe-{means}", wire)


MANY = """
async def main():
    client = fal_client.AsyncClient()
    asked = [client.subscribe(FLUX, {**BOAT, "seed": seed}) for seed in range(40)]
    tell([result["seed"] for result in await asyncio.gather(*asked)])
asyncio.run(main())
"""


def test_forty_subscribers_at_once_lose_nothing(fal: Fal, steady: Server) -> None:
    seeds, wire = fal(MANY, steady)
    assert seeds == list(range(40))
    assert {status for _, _, status, _, _ in wire} == {200, 202}


# The queue, call by call


HANDLE = """
handle = fal_client.submit(FLUX, BOAT)
tell(told(handle.status()))
tell([told(update) for update in handle.iter_events(with_logs=True)])
tell(handle.get())
again = fal_client.SyncClient().get_handle(FLUX, handle.request_id)
tell(told(again.status(with_logs=True)))
tell(told(fal_client.status(FLUX, handle.request_id)))
tell(fal_client.result(FLUX, handle.request_id))
tell([handle.request_id, handle.response_url, handle.status_url, handle.cancel_url])
"""


def test_submit_status_events_and_result(fal: Fal, steady: Server) -> None:
    first, events, result, again, plain, same, urls, wire = fal(HANDLE, steady)
    assert first[0] in ("Queued", "InProgress") and first[1] is None
    check_grows(events)
    check_picture(steady, result)
    assert again[0] == plain[0] == "Completed"
    assert (again[1][-1], plain[1]) == ("succeeded", None)
    assert same == result
    request_id, response, status, cancel = urls
    assert response == f"{steady.url}/queue/fal-ai/flux/requests/{request_id}"
    assert (status, cancel) == (f"{response}/status", f"{response}/cancel")
    check_trace("python-queue", [call for call in wire if "logs=true" not in call[1]])


HANDLE_ASYNC = """
async def main():
    handle = await fal_client.submit_async(FLUX, BOAT)
    tell([told(update) async for update in handle.iter_events(with_logs=True)])
    tell(await handle.get())
    tell(told(await fal_client.status_async(FLUX, handle.request_id)))
    tell(await fal_client.result_async(FLUX, handle.request_id))
asyncio.run(main())
"""


def test_the_async_twin_goes_call_by_call(fal: Fal, steady: Server) -> None:
    events, result, status, same, _ = fal(HANDLE_ASYNC, steady)
    check_grows(events)
    check_picture(steady, result)
    assert (status[0], same) == ("Completed", result)


OPTIONS = """
handle = fal_client.submit(FLUX, BOAT, hint="lora-a", priority="low", start_timeout=12,
                           webhook_url="https://example.com/hook",
                           headers={"X-Fal-Store-IO": "0", "X-Fal-No-Retry": "1"})
tell(handle.get())
"""


def test_every_option_of_submit_is_taken(fal: Fal, steady: Server) -> None:
    result, wire = fal(OPTIONS, steady)
    assert len(result["images"]) == 1
    check_trace("python-options", wire)


ONE_PART = """
handle = fal_client.submit("sketch", {"prompt": "a red circle"})
tell(handle.get()["images"][0]["content_type"])
result = fal_client.subscribe("media-mcp/sketch", {"prompt": "a red circle"})
tell(result["images"][0]["content_type"])
"""


def test_a_model_without_an_owner_can_be_called(fal: Fal, steady: Server) -> None:
    assert fal(ONE_PART, steady)[:2] == ["image/png", "image/png"]


ENCODED = """
from PIL import Image
image = fal_client.encode_image(Image.new("RGB", (64, 32), "red"), "png")
result = fal_client.run("rehearsal/edit", {"prompt": "bluer", "image_url": image})
tell(result["images"][0]["width"])
"""


def test_an_encoded_picture_is_an_input(fal: Fal, steady: Server) -> None:
    assert fal(ENCODED, steady)[0] == 64


# Cancel and time out


CANCEL = """
handle = fal_client.submit(FLUX, BOAT)
while not isinstance(handle.status(), InProgress):
    time.sleep(0.05)
handle.cancel()
for update in handle.iter_events():
    last = told(update)
tell(last)
try:
    handle.get()
except FalClientHTTPError as error:
    tell(refusal(error))
"""


def test_a_running_request_is_cancelled(fal: Fal, slow: Server) -> None:
    last, refused, wire = fal(CANCEL, slow)
    assert last == ["Completed", None, "client_cancelled"]
    assert refused == [499, "client_cancelled", "Request was cancelled"]
    calls = [(method, status) for method, _, status, _, _ in wire]
    assert ("PUT", 202) in calls and calls[-1] == ("GET", 499)
    check_trace("python-cancel", [call for call in wire if call[2] != 202 or call[0] == "PUT"])


CANCEL_LATE = """
handle = fal_client.submit(FLUX, BOAT)
handle.get()
for request_id in (handle.request_id, "0" * 18, "00000000-0000-4000-8000-000000000000"):
    try:
        fal_client.cancel(FLUX, request_id)
    except FalClientHTTPError as error:
        tell([error.status_code, error.response.json()])
for call in (fal_client.status, fal_client.result):
    try:
        call(FLUX, "0" * 18)
    except FalClientHTTPError as error:
        tell([error.status_code, error.response.json()])
"""


def test_what_is_over_or_unknown_cannot_be_cancelled(fal: Fal, steady: Server) -> None:
    late, *unknown, _ = fal(CANCEL_LATE, steady)
    assert late == [400, {"status": "ALREADY_COMPLETED"}]
    assert unknown == [[404, {"status": "NOT_FOUND"}]] * 4


CANCEL_ASYNC = """
async def main():
    handle = await fal_client.submit_async(FLUX, BOAT)
    await fal_client.cancel_async(FLUX, handle.request_id)
    async for update in handle.iter_events():
        last = told(update)
    tell(last)
    try:
        await handle.get()
    except FalClientHTTPError as error:
        tell(refusal(error))
    try:
        await fal_client.subscribe_async(FLUX, BOAT, client_timeout=1.2)
    except FalClientTimeoutError as error:
        status = await fal_client.status_async(FLUX, error.request_id)
        while not isinstance(status, Completed):
            status = await fal_client.status_async(FLUX, error.request_id)
        tell(told(status))
asyncio.run(main())
"""


def test_the_async_twin_cancels_and_times_out(fal: Fal, slow: Server) -> None:
    last, refused, timed_out, _ = fal(CANCEL_ASYNC, slow)
    assert last[2] == timed_out[2] == "client_cancelled"
    assert refused[:2] == [499, "client_cancelled"]


TIMEOUT = """
try:
    fal_client.subscribe(FLUX, BOAT, client_timeout=1.5)
except FalClientTimeoutError as error:
    tell(str(error).replace(error.request_id, "it"))
    status = fal_client.status(FLUX, error.request_id)
    while not isinstance(status, Completed):
        status = fal_client.status(FLUX, error.request_id)
    tell(told(status))
puts = [call for call in wire if call[0] == "PUT"]
tell([puts[0][2], "x-fal-request-timeout" in wire[0][3]])
"""


def test_a_client_that_waits_no_longer_has_its_request_cancelled(fal: Fal, slow: Server) -> None:
    words, status, call, _ = fal(TIMEOUT, slow)
    assert words == "Request it timed out after 1.5 seconds"
    assert status == ["Completed", None, "client_cancelled"]
    assert call == [202, True]


START_TIMEOUT = """
running = [fal_client.submit(FLUX, {**BOAT, "seed": seed}) for seed in range(8)]
for handle in running:
    while not isinstance(handle.status(), InProgress):
        time.sleep(0.05)
late = fal_client.submit(FLUX, BOAT, start_timeout=1.1)
tell([type(late.status()).__name__, late.status().position])
try:
    late.get()
except FalClientHTTPError as error:
    tell(refusal(error)[:2] + [error.response_headers["x-fal-request-timeout-type"]])
for handle in running:
    handle.cancel()
"""


def test_a_request_that_starts_too_late_times_out(fal: Fal, slow: Server) -> None:
    queued, refused, _ = fal(START_TIMEOUT, slow)
    assert queued == ["Queued", 0]
    assert refused == [504, "request_timeout", "user"]


# Errors


BAD_INPUT = """
updates = []
try:
    fal_client.subscribe(FLUX, {"num_images": 99}, with_logs=True,
                         on_queue_update=lambda update: updates.append(told(update)))
except FalClientHTTPError as error:
    tell(refusal(error))
tell(updates[-1])
"""


@pytest.mark.parametrize("means", ["hosts", "tunnel"])
def test_a_bad_input_is_told_with_its_places(fal: Fal, steady: Server, means: str) -> None:
    refused, last, wire = fal(BAD_INPUT, steady, means)
    status, kind, details = refused
    assert (status, kind, last[0], last[2]) == (422, "value_error", "Completed", "value_error")
    assert {(entry["loc"][-1], entry["type"]) for entry in details} == {
        ("prompt", "missing"),
        ("num_images", "less_than_equal"),
    }
    check_trace(f"python-bad-input-{means}", wire)


REFUSED = """
for call in (
    lambda: fal_client.submit("fal-ai/flux/shnell", BOAT),
    lambda: fal_client.run(FLUX, {}),
    lambda: fal_client.submit(FLUX, BOAT, headers={"X-Fal-Queue-Priority": "high"}),
):
    try:
        call()
    except FalClientHTTPError as error:
        tell(refusal(error)[:2])
"""


def test_what_is_refused_at_once_says_why(fal: Fal, steady: Server) -> None:
    assert fal(REFUSED, steady)[:3] == [
        [404, "not_found"],
        [422, "missing"],
        [400, "bad_request"],
    ]


def test_a_wrong_key_opens_nothing(fal: Fal, steady: Server) -> None:
    source = """
try:
    fal_client.submit(FLUX, BOAT)
except FalClientHTTPError as error:
    tell(refusal(error)[:2])
"""
    assert fal(source, steady, key="id:wrong")[0] == [401, "unauthorized"]


# Run, stream and realtime


RUN = """
tell(fal_client.run(FLUX, BOAT))
tell(asyncio.run(fal_client.run_async(FLUX, BOAT)))
"""


@pytest.mark.parametrize("means", ["hosts", "tunnel"])
def test_run(fal: Fal, steady: Server, means: str) -> None:
    result, twin, wire = fal(RUN, steady, means)
    check_picture(steady, result)
    check_picture(steady, twin)
    check_trace(f"python-run-{means}", wire)


STREAM = """
tell(list(fal_client.stream(FLUX, BOAT)))
async def main():
    tell([event async for event in fal_client.stream_async(FLUX, BOAT)])
asyncio.run(main())
"""


@pytest.mark.parametrize("means", ["hosts", "tunnel"])
def test_a_stream_tells_its_steps_and_ends_with_the_result(
    fal: Fal, steady: Server, means: str
) -> None:
    *streams, wire = fal(STREAM, steady, means)
    for *progress, result in streams:
        assert progress and {event["total"] for event in progress} == {10}
        assert progress[-1]["progress"] <= 1
        check_picture(steady, result)
    check_trace(f"python-stream-{means}", wire)


REALTIME = """
with fal_client.realtime(FLUX, use_jwt=JWT, max_buffering=4) as line:
    for seed in (1, 2):
        line.send({**BOAT, "seed": seed})
    tell([line.recv()["seed"] for _ in range(2)])
    line.send({"seed": 3})
    try:
        line.recv()
    except RuntimeError as error:
        tell([error.error, error.reason])
    line.send(BOAT)
    tell(line.recv())

async def main():
    async with fal_client.realtime_async(FLUX, use_jwt=JWT) as line:
        await line.send(BOAT)
        tell(await line.recv())
asyncio.run(main())
"""


@pytest.mark.parametrize(("jwt", "means"), [("True", "tunnel"), ("False", "hosts")])
def test_realtime_with_a_token_and_with_the_key(
    fal: Fal, steady: Server, jwt: str, means: str
) -> None:
    seeds, fault, result, twin, wire = fal(REALTIME.replace("JWT", jwt), steady, means)
    assert seeds == [1, 2]
    assert fault[0] == "MISSING" and fault[1].startswith("prompt: is required.")
    check_picture(steady, result)
    check_picture(steady, twin)
    check_trace(f"python-realtime-{means}", wire)


def test_a_realtime_line_without_the_key_is_refused(fal: Fal, steady: Server) -> None:
    source = """
from websockets.exceptions import InvalidStatus
try:
    with fal_client.realtime(FLUX, use_jwt=False):
        pass
except InvalidStatus as error:
    tell(error.response.status_code)
"""
    assert fal(source, steady, key="id:wrong")[0] == 401
