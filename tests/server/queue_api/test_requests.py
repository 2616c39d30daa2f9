"""Submit, status, result, cancel and run, over HTTP, on the same jobs as every other door."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from PIL import Image

from media_mcp.job import Caller, Job, JobState
from media_mcp.queue import Submitted
from media_mcp.server.queue_api import requests, submitter
from media_mcp.server.queue_api.requests import Logs, Positions
from queueplace import ME, Place, Serve

pytestmark = pytest.mark.anyio

PROMPT = {"prompt": "a red boat"}
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def message(answer: httpx2.Response) -> str:
    body = answer.json()
    assert body["detail"] == body["message"]
    return str(body["message"])


def picture() -> str:
    data = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(data, "PNG")
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"


# Submit


async def test_a_submit_answers_with_three_addresses(place: Place) -> None:
    answer = await place.http.post("/queue/test/steps", json=PROMPT)
    told = answer.json()
    job = await place.app.queue.get(told["request_id"], ME)
    response = f"{place.url}/queue/test/steps/requests/{job.id}"
    assert answer.status_code == 200
    assert answer.headers["x-fal-request-id"] == told["gateway_request_id"] == job.id
    assert (told["status"], told["queue_position"]) == ("IN_QUEUE", 0)
    assert told["response_url"] == response
    assert told["status_url"] == f"{response}/status"
    assert told["cancel_url"] == f"{response}/cancel"
    assert (job.door, job.arguments["prompt"]) == ("queue", "a red boat")


async def test_a_job_is_the_same_at_every_door(place: Place) -> None:
    submitted = await place.submit(json=PROMPT)
    await place.ended(submitted)
    async with Client(f"{place.url}/mcp") as client:
        seen = await client.call_tool("get_job", {"job_id": submitted})
        assert seen.structured_content["state"] == "succeeded"
        made = await client.call_tool("test_steps", PROMPT)
        job_id = made.structured_content["job_id"]
    answer = await place.http.get(f"/queue/test/steps/requests/{job_id}/status")
    assert answer.json()["status"] == "COMPLETED"


@pytest.mark.parametrize("body", [b"", b"  ", b"{}"])
async def test_no_body_at_all_is_an_empty_input(place: Place, body: bytes) -> None:
    request_id = await place.submit(json=None, content=body)
    answer = await place.result(request_id)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "prompt"]


async def test_the_same_input_twice_is_two_requests(place: Place) -> None:
    assert await place.submit(json=PROMPT) != await place.submit(json=PROMPT)


async def test_an_idempotency_key_makes_them_one(place: Place) -> None:
    key = {"Idempotency-Key": "a4f0"}
    first = await place.submit(json=PROMPT, headers=key)
    assert await place.submit(json=PROMPT, headers=key) == first
    other = await place.http.post("/queue/test/steps", json={"prompt": "y"}, headers=key)
    assert (other.status_code, other.headers["x-fal-error-type"]) == (400, "bad_request")
    assert "idempotency key was used for another request" in message(other)


async def test_an_idempotency_key_holds_for_what_was_refused_too(place: Place) -> None:
    key = {"Idempotency-Key": "a4f1"}
    first = await place.submit(json={}, headers=key)
    assert await place.submit(json={}, headers=key) == first


async def test_options_reach_the_job(place: Place) -> None:
    headers = {
        "X-Fal-Queue-Priority": "low",
        "X-Fal-Request-Timeout": "30",
        "X-Fal-Store-IO": "0",
        "X-Fal-No-Retry": "true",
        "X-Fal-Runner-Hint": "lora-a",
        "X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": 60}',
    }
    query = {"fal_webhook": "https://example.com/hook"}
    answer = await place.http.post("/queue/test/slow", json=PROMPT, headers=headers, params=query)
    job = await place.app.queue.get(answer.json()["request_id"], ME)
    assert answer.headers["x-fal-runner-hints"] == "lora-a"
    assert (job.priority, job.private, job.once, job.lifetime) == (-1, True, True, 60.0)
    assert job.start_by and 29 < job.start_by - job.created_at < 31
    assert job.webhook and (job.webhook.url, job.webhook.base) == (query["fal_webhook"], place.url)
    await place.app.queue.cancel(job.id, ME)


async def test_a_private_request_leaves_no_words_behind(place: Place) -> None:
    request_id = await place.submit(json=PROMPT, headers={"X-Fal-Store-IO": "0"})
    assert (await place.result(request_id)).status_code == 200
    job = await place.app.queue.get(request_id, ME)
    assert "boat" not in repr(job)
    status = await place.http.get(f"/queue/a/b/requests/{request_id}/status?logs=1")
    assert "boat" not in status.text


async def test_a_private_request_has_its_pictures_in_the_answer_if_it_asked_for_that(
    serve: Serve,
) -> None:
    async with serve(rehearse=True) as place:
        asked = {"prompt": "a red boat", "sync_mode": True}
        headers = {"X-Fal-Store-IO": "0"}
        request_id = await place.submit("fal-ai/flux/schnell", json=asked, headers=headers)
        (image,) = (await place.result(request_id)).json()["images"]
        job = await place.app.queue.get(request_id, ME)
    assert image["url"].startswith("data:image/")
    assert (job.arguments, job.inline) == ({}, True)


async def test_what_an_endpoint_takes_at_fal_is_taken_though_our_card_hides_it(
    serve: Serve,
) -> None:
    hidden = {"sync_mode": False, "guidance_scale": 3.5, "acceleration": "none"}
    async with serve(rehearse=True) as place:
        assert (await place.made("fal-ai/flux/schnell", PROMPT | hidden))["images"]
        answer = await place.http.post("/run/fal-ai/flux/schnell", json=PROMPT | {"promt": "x"})
    assert [entry["type"] for entry in answer.json()["detail"]] == ["extra_forbidden"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-Fal-Queue-Priority", "high"), ("X-Fal-Request-Timeout", "soon")],
)
async def test_an_option_that_makes_no_sense_is_refused(
    place: Place, name: str, value: str
) -> None:
    answer = await place.http.post("/queue/test/steps", json=PROMPT, headers={name: value})
    assert (answer.status_code, answer.headers["x-fal-error-type"]) == (400, "bad_request")
    assert name in message(answer)
    assert await place.app.queue.jobs(ME) == []


HOSTILE = [
    (b'{"prompt":"x","\\udc00":1}', 422),
    (b'{"prompt":' + b"[" * 900 + b"]" * 900 + b"}", 422),
    (b'{"prompt":"x","seed":1e999}', 422),
    (b'{"prompt":"x","seed":' + b"9" * 4000 + b"}", 422),
    (b'{"prompt":"x","prompt":1}', 422),
    (b'{"prompt":"x","seed":' + b"9" * 6000 + b"}", 400),
    (b'{"prompt":"\xff"}', 400),
    (b"[" * 100_000, 400),
    (b'{"prompt":"a\\ud800"}', 422),
    (b'{"prompt":"a\\u0000b"}', 200),
    ('{"prompt":"x"}'.encode("utf-16"), 200),
    (b'\xef\xbb\xbf{"prompt":"x"}', 200),
]


@pytest.mark.parametrize(("body", "status"), HOSTILE)
async def test_odd_bodies_are_answered_for(place: Place, body: bytes, status: int) -> None:
    answer = await place.http.post("/run/test/steps", content=body)
    assert answer.status_code == status, answer.text
    assert status == 200 or answer.json()["message"]


async def test_an_address_of_endless_parameters_is_refused(place: Place) -> None:
    query = "&".join(f"a{n}=1" for n in range(101))
    for url in (f"/queue/test/steps?{query}", f"/run/test/steps?{query}"):
        answer = await place.http.post(url, json=PROMPT)
        assert (answer.status_code, answer.headers["x-fal-error-type"]) == (400, "bad_request")
        assert message(answer) == "The address has more than 100 parameters. Leave some out."


async def test_a_full_queue_takes_no_more(place: Place) -> None:
    running = [await place.submit("test/slow") for _ in range(8)]
    for request_id in running:
        await place.started(request_id)
    await place.submit("test/slow", params={"fal_max_queue_length": 1})
    answer = await place.http.post(
        "/queue/test/slow", json=PROMPT, params={"fal_max_queue_length": 1}
    )
    assert (answer.status_code, answer.headers["x-fal-error-type"]) == (429, "queue_full")
    assert message(answer).startswith("1 requests for test/slow wait; fal_max_queue_length is 1.")
    await place.submit("test/slow", params={"fal_max_queue_length": 2})


async def test_an_unknown_model_is_refused_at_once_with_the_nearest(place: Place) -> None:
    answer = await place.http.post("/queue/test/slowly", json=PROMPT)
    assert (answer.status_code, answer.headers["x-fal-error-type"]) == (404, "not_found")
    assert "'test/slowly'" in message(answer) and "test/slow" in message(answer)
    assert (await place.http.post("/queue", json=PROMPT)).status_code == 404


async def test_a_model_that_nothing_here_can_run_says_what_is_missing(place: Place) -> None:
    answer = await place.http.post("/queue/test/elsewhere", json=PROMPT)
    assert answer.status_code == 503
    assert answer.headers["x-fal-error-type"] == "runner_scheduling_failure"
    assert answer.headers["x-fal-retryable"] == "false"
    assert "nowhere" in message(answer)


@pytest.mark.parametrize(
    ("endpoint", "model"),
    [
        ("test/steps/", "test/steps"),
        ("test/steps/v2/extra", "test/steps"),
        ("media-mcp/sketch", "sketch"),
        ("rehearsal/image", "rehearsal/image"),
        ("rehearsal_image", "rehearsal/image"),
    ],
)
async def test_an_endpoint_may_be_spelt_in_several_ways(
    serve: Serve, endpoint: str, model: str
) -> None:
    async with serve(rehearse=True) as place:
        request_id = await place.submit(endpoint)
        assert (await place.app.queue.get(request_id, ME)).model == model


async def test_a_legacy_id_names_its_owner_and_app(place: Place) -> None:
    answer = await place.http.post("/queue/110602490-lcm/fast", json=PROMPT)
    assert answer.status_code == 404
    assert "110602490-lcm/fast" in message(answer)


def test_a_legacy_id_is_looked_up_as_owner_and_app() -> None:
    assert list(submitter._spellings("110602490-lcm")) == ["110602490-lcm", "110602490/lcm"]
    assert list(submitter._spellings("110602490-lcm/a"))[1] == "110602490/lcm/a"
    assert list(submitter._spellings("media-mcp/sketch")) == ["media-mcp/sketch", "sketch"]


async def test_a_misspelt_sibling_is_not_taken_for_its_parent(serve: Serve) -> None:
    async with serve(rehearse=True) as place:
        answer = await place.http.post("/queue/fal-ai/flux-2/edti", json=PROMPT)
        assert answer.status_code == 404
        assert "fal-ai/flux-2/edit" in message(answer)


# Bodies


@pytest.mark.parametrize("body", [b"{", b"nonsense", b"\xff\xfe", b"[" * 100_000, b"'a'"])
async def test_a_body_that_is_no_json_is_refused_at_once(place: Place, body: bytes) -> None:
    answer = await place.http.post("/queue/test/steps", content=body)
    assert (answer.status_code, answer.headers["x-fal-error-type"]) == (400, "bad_request")
    assert message(answer) == "The body is not JSON. Send a JSON object."


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"3", b"null", b"true"])
async def test_a_body_that_is_no_object_fails_as_its_result(place: Place, body: bytes) -> None:
    request_id = await place.submit(json=None, content=body)
    answer = await place.result(request_id)
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "dict_type")


async def test_a_long_body_is_read_aside(place: Place) -> None:
    request_id = await place.submit(json={"prompt": "x" * (requests_long := 2**20 + 1)})
    job = await place.app.queue.get(request_id, ME)
    assert len(job.arguments["prompt"]) == requests_long


async def test_a_body_that_says_it_is_too_long_is_not_read(place: Place) -> None:
    head = f"POST /queue/test/steps HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {2**30}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(head.encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert b" 413 " in answer and b"x-fal-error-type: bad_request" in answer
    writer.close()


async def test_a_body_that_turns_out_too_long_is_given_up(place: Place) -> None:
    async def chunks() -> Any:
        for _ in range(33):
            yield b" " * 2**20

    answer = await place.http.post("/queue/test/steps", content=chunks())
    assert answer.status_code == 413
    assert "larger than 33554432 bytes" in message(answer)


async def test_a_body_that_breaks_off_makes_no_job(place: Place) -> None:
    head = "POST /queue/test/steps HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(head.encode() + b'{"prompt": ')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await place.submit()  # the server has seen to the other one by then
    assert len(await place.app.queue.jobs(ME)) == 1


# Inputs


async def test_a_bad_input_is_taken_and_its_result_says_what_was_wrong(place: Place) -> None:
    given = {"num_images": 99, "colour": "red"}
    request_id = await place.submit(json=given)
    status = (await place.http.get(f"/queue/test/steps/requests/{request_id}/status?logs=1")).json()
    assert (status["status"], status["error_type"]) == ("COMPLETED", "value_error")
    answer = await place.result(request_id)
    faults = {tuple(entry["loc"]): entry["type"] for entry in answer.json()["detail"]}
    assert faults == {
        ("body", "prompt"): "missing",
        ("body", "num_images"): "less_than_equal",
        ("body", "colour"): "extra_forbidden",
    }
    assert answer.status_code == 422
    assert answer.headers["x-fal-billable-units"] == "0"
    assert answer.headers["x-fal-retryable"] == "false"
    assert answer.json()["message"] == status["error"]


async def test_fals_own_words_are_read_for_a_model_of_fals(serve: Serve) -> None:
    given = {"prompt": "x", "image_size": {"width": 64, "height": 32}, "num_images": 2}
    async with serve(rehearse=True) as place:
        body = await place.made("fal-ai/flux/schnell", given)
        assert [(image["width"], image["height"]) for image in body["images"]] == [(64, 32)] * 2
        assert {"seed", "timings", "has_nsfw_concepts", "prompt"} <= body.keys()
        file = await place.http.get(body["images"][0]["url"])
        assert file.headers["content-type"] == body["images"][0]["content_type"]
        assert len(file.content) == body["images"][0]["file_size"]


async def test_a_file_of_ours_is_the_asset_itself(place: Place) -> None:
    first = await place.made("rehearsal/image", {"prompt": "x", "width": 32, "height": 32})
    url = first["images"][0]["url"]
    request_id = await place.submit("rehearsal/edit", json={"prompt": "y", "image_url": url})
    assert (await place.result(request_id)).status_code == 200
    job = await place.app.queue.get(request_id, ME)
    assert job.arguments["image_url"] == job.parents[0]
    assert job.parents[0].removeprefix("media://") == url.rpartition("/")[2]


async def test_data_uris_are_taken_also_within_lists(serve: Serve) -> None:
    async with serve(rehearse=True) as place:
        given = {"prompt": "y", "image_urls": [picture(), picture()]}
        request_id = await place.submit("fal-ai/flux-2/edit", json=given)
        assert (await place.result(request_id)).status_code == 200
        job = await place.app.queue.get(request_id, ME)
        assert all(uri.startswith("media://") for uri in job.arguments["image_urls"])


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ("/etc/passwd", "image_load_error", "is no address"),
        ("data:text/plain,hello", "image_load_error", "an image is wanted"),
        ("http://127.0.0.1:1/x.png", "file_download_error", "is not a public address"),
        (f"media://{'0' * 64}.png", "image_load_error", "There is no asset"),
        (3, "string_type", "must be of type string"),
    ],
)
async def test_media_that_cannot_be_used_fail_as_the_result(
    place: Place, value: Any, kind: str, words: str
) -> None:
    request_id = await place.submit("rehearsal/edit", json={"prompt": "y", "image_url": value})
    answer = await place.result(request_id)
    (entry,) = answer.json()["detail"]
    assert (answer.status_code, entry["type"]) == (422, kind)
    assert entry["loc"] == ["body", "image_url"]
    assert words in entry["msg"]


async def test_media_nested_in_objects_are_named_by_their_place(serve: Serve) -> None:
    async with serve(rehearse=True) as place:
        given = {"prompt": "y", "elements": [{"frontal_image_url": "/etc/passwd"}]}
        endpoint = "fal-ai/kling-video/o3/standard/reference-to-video"
        answer = await place.result(await place.submit(endpoint, json=given))
        (entry,) = answer.json()["detail"]
        assert entry["loc"] == ["body", "elements", 0, "frontal_image_url"]


async def test_media_that_come_too_slowly_are_given_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "FETCH_SECONDS", 0.0)
    given = {"prompt": "y", "image_url": "https://example.com/a.png"}
    answer = await place.result(await place.submit("rehearsal/edit", json=given))
    (entry,) = answer.json()["detail"]
    assert (answer.status_code, entry["type"]) == (422, "file_download_error")
    assert "could not be fetched within 0 s" in entry["msg"]


# Status


async def test_the_status_follows_the_job(place: Place) -> None:
    request_id = await place.submit("test/slow")
    await place.started(request_id)
    url = f"/queue/test/slow/requests/{request_id}/status"
    answer = await place.http.get(url)
    assert (answer.status_code, answer.json()["status"]) == (202, "IN_PROGRESS")
    assert answer.json()["logs"] is None
    assert answer.headers["x-fal-request-id"] == request_id
    await place.app.queue.cancel(request_id, ME)
    answer = await place.http.get(url)
    told = answer.json()
    assert (answer.status_code, told["status"]) == (200, "COMPLETED")
    assert (told["error"], told["error_type"]) == ("Request was cancelled", "client_cancelled")


async def test_a_job_that_waits_has_its_position(place: Place) -> None:
    for request_id in [await place.submit("test/slow") for _ in range(8)]:
        await place.started(request_id)
    first, second = [await place.submit("test/slow") for _ in range(2)]
    answer = await place.http.post("/queue/test/slow", json=PROMPT)
    assert answer.json()["queue_position"] == 2
    for request_id, position in ((first, 0), (second, 1)):
        answer = await place.http.get(f"/queue/test/slow/requests/{request_id}/status")
        told = answer.json()
        assert (answer.status_code, told["status"]) == (202, "IN_QUEUE")
        assert told["queue_position"] == position


@pytest.mark.parametrize("prefix", ["test/slow", "test", "any/other/app", "test/slow/v2"])
@pytest.mark.parametrize("end", ["", "/"])
async def test_the_id_alone_counts(place: Place, prefix: str, end: str) -> None:
    request_id = await place.submit("test/steps")
    await place.ended(request_id)
    one = f"/queue/{prefix}/requests/{request_id}"
    assert (await place.http.get(f"{one}/status{end}")).json()["status"] == "COMPLETED"
    for result in (one, f"{one}/response"):
        assert (await place.http.get(f"{result}{end}")).json()["seed"] is not None


async def test_logs_grow_with_the_job_and_come_when_asked_for(place: Place) -> None:
    request_id = await place.submit("test/steps")
    await place.ended(request_id)
    url = f"/queue/test/steps/requests/{request_id}/status"
    for asked in ("logs=1", "logs=true"):
        logs = (await place.http.get(f"{url}?{asked}")).json()["logs"]
        words = [line["message"] for line in logs]
        assert words[0] == "queued for rehearsal" and words[-1] == "succeeded"
        assert "step 4 of 4" in words
    for asked in ("logs=0", "logs=false", ""):
        assert (await place.http.get(f"{url}?{asked}")).json()["logs"] is None


async def test_an_id_nobody_knows_is_not_found(place: Place) -> None:
    other = (await place.app.queue.jobs(Caller("bob")), UNKNOWN, "0" * 18)[1:]
    for request_id in other:
        one = f"/queue/test/slow/requests/{request_id}"
        for answer in (
            await place.http.get(f"{one}/status"),
            await place.http.get(f"{one}/status/stream"),
            await place.http.get(one),
            await place.http.put(f"{one}/cancel"),
        ):
            assert (answer.status_code, answer.json()) == (404, {"status": "NOT_FOUND"})


# Result


async def test_a_result_that_is_not_there_yet_is_a_bad_request(place: Place) -> None:
    request_id = await place.submit("test/slow")
    answer = await place.http.get(f"/queue/test/slow/requests/{request_id}")
    assert answer.status_code == 400
    assert message(answer) == "Request is still in progress"
    assert answer.headers["x-fal-request-id"] == request_id


async def test_a_result_names_its_request_and_where_it_ran(place: Place) -> None:
    answer = await place.result(request_id := await place.submit())
    assert answer.status_code == 200
    assert answer.headers["x-fal-request-id"] == request_id
    assert answer.headers["x-fal-billable-units"] == "1"
    assert answer.headers["x-fal-served-from"] == "rehearsal"
    assert answer.json()["images"][0]["url"].startswith(f"{place.url}/files/")


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        ("content_refused", 422, "content_policy_violation"),
        ("bad_output", 422, "no_media_generated"),
        ("backend_failed", 500, "internal_server_error"),
        ("worker_died", 503, "runner_disconnected"),
        ("crash", 500, "internal_error"),
    ],
)
async def test_a_failure_is_its_result(serve: Serve, failure: str, status: int, kind: str) -> None:
    async with serve(rehearse=True, rehearse_failure=failure, attempts=1) as place:
        answer = await place.result(await place.submit())
        assert (answer.status_code, answer.headers["x-fal-error-type"]) == (status, kind)
        assert answer.headers["x-fal-request-id"]


async def test_a_request_that_may_not_be_tried_again_is_not(place: Place) -> None:
    tried_once = await place.submit("test/flaky", headers={"X-Fal-No-Retry": "1"})
    assert (await place.result(tried_once)).status_code == 503
    assert (await place.result(await place.submit("test/flaky"))).status_code == 200


async def test_a_request_that_is_not_started_in_time_is_a_timeout(place: Place) -> None:
    for request_id in [await place.submit("test/slow") for _ in range(8)]:
        await place.started(request_id)
    late = await place.submit(headers={"X-Fal-Request-Timeout": "0.2"})
    answer = await place.result(late)
    assert (answer.status_code, answer.headers["x-fal-error-type"]) == (504, "request_timeout")
    assert answer.headers["x-fal-request-timeout-type"] == "user"
    assert answer.json()["error_type"] == "request_timeout"


# Cancel


async def test_a_running_request_is_cancelled(place: Place) -> None:
    request_id = await place.submit("test/slow")
    await place.started(request_id)
    answer = await place.http.put(f"/queue/test/slow/requests/{request_id}/cancel")
    assert (answer.status_code, answer.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
    assert await place.ended(request_id) is JobState.CANCELLED
    answer = await place.result(request_id)
    assert (answer.status_code, answer.headers["x-fal-error-type"]) == (499, "client_cancelled")
    assert message(answer) == "Request was cancelled"


async def test_many_who_cancel_at_once_stop_it_once(place: Place) -> None:
    await place.started(request_id := await place.submit("test/slow"))
    url = f"/queue/test/slow/requests/{request_id}/cancel"
    answers = await asyncio.gather(*(place.http.put(url) for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {202, 400}
    assert answers[0].status_code == 202
    assert await place.ended(request_id) is JobState.CANCELLED
    events = await place.app.queue.events(request_id, ME)
    assert [event.message for event in events].count("cancelled: cancelled by the caller") == 1


async def test_a_waiting_request_is_cancelled_at_once(place: Place) -> None:
    for request_id in [await place.submit("test/slow") for _ in range(8)]:
        await place.started(request_id)
    request_id = await place.submit("test/slow")
    url = f"/queue/test/slow/requests/{request_id}/cancel"
    assert (await place.http.put(url)).status_code == 202
    again = await place.http.put(url)
    assert (again.status_code, again.json()) == (400, {"status": "ALREADY_COMPLETED"})


async def test_a_request_that_is_over_cannot_be_cancelled(place: Place) -> None:
    await place.ended(request_id := await place.submit())
    answer = await place.http.put(f"/queue/test/steps/requests/{request_id}/cancel")
    assert (answer.status_code, answer.json()) == (400, {"status": "ALREADY_COMPLETED"})


# Run


async def test_a_run_answers_with_its_result(place: Place) -> None:
    answer = await place.http.post(
        "/run/test/steps", json=PROMPT, headers={"X-Fal-Runner-Hint": "a"}
    )
    assert answer.status_code == 200
    assert answer.json()["images"]
    (job,) = await place.app.queue.jobs(ME)
    assert answer.headers["x-fal-request-id"] == job.id
    assert answer.headers["x-fal-runner-hints"] == "a"


async def test_a_run_answers_with_what_was_wrong(place: Place) -> None:
    answer = await place.http.post("/run/test/steps", json={})
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "missing")
    answer = await place.http.post("/run/test/fails", json=PROMPT)
    assert answer.status_code == 422
    assert answer.headers["x-fal-error-type"] == "content_policy_violation"


async def test_without_a_place_in_its_path_a_post_is_a_run(place: Place) -> None:
    answer = await place.http.post("/test/steps", json=PROMPT)
    assert (answer.status_code, len(answer.json()["images"])) == (200, 1)


async def test_who_hangs_up_on_a_run_has_it_stopped(place: Place) -> None:
    job = await _left_alone(place, {})
    assert (job.state, job.message) == (JobState.CANCELLED, "the client hung up")


async def test_a_run_that_others_may_wait_for_goes_on(place: Place) -> None:
    key = {"Idempotency-Key": "shared"}
    await place.submit("test/slow", json=PROMPT, headers=key)
    job = await _left_alone(place, key)
    assert not job.state.terminal


async def _left_alone(place: Place, headers: dict[str, str]) -> Job:
    """Begin a run of `test/slow`, hang up while it runs, and return its job."""
    with anyio.move_on_after(10):
        async with anyio.create_task_group() as group:
            ask = httpx2.AsyncClient(base_url=place.url)

            async def run() -> None:
                await ask.post("/run/test/slow", json=PROMPT, headers=headers)

            group.start_soon(run)
            while not (jobs := await place.app.queue.jobs(ME)):
                await anyio.lowlevel.checkpoint()
            await place.started(jobs[0].id)
            group.cancel_scope.cancel()
    await ask.aclose()
    return await place.app.queue.wait(jobs[0].id, ME, 0.5 if headers else 10)


# What is kept in memory


class FakeClock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_positions_are_counted_twice_a_second_at_most(place: Place) -> None:
    clock = FakeClock()
    positions = Positions(place.app.queue, clock)
    for request_id in [await place.submit("test/slow") for _ in range(8)]:
        await place.started(request_id)
    first, second = [await place.submit("test/slow") for _ in range(2)]
    job = await place.app.queue.get(second, ME)
    assert await positions.of(job) == 1
    await place.app.queue.cancel(first, ME)
    assert await positions.of(job) == 1
    clock.now += 0.6
    assert await positions.of(job) == 0
    assert await positions.at_first(Submitted(job, joined=True)) == 0
    await place.app.queue.cancel(second, ME)
    clock.now += 0.6
    assert await positions.of(job) is None


async def test_a_position_far_behind_is_counted_less_often_and_none_for_longer_than_5_s(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, told = FakeClock(), iter([400, 390, 9_000, 0, None])

    async def counted(_: str) -> int | None:
        return next(told)

    monkeypatch.setattr(place.app.queue, "position", counted)
    positions = Positions(place.app.queue, clock)
    job = await place.app.queue.get(await place.submit("test/slow"), ME)
    seen = []
    for seconds in (0, 1.9, 0.2, 1.9, 0.1, 4.9, 0.2, 0.4, 0.2):
        clock.now += seconds
        seen.append(await positions.of(job))
    assert seen == [400, 400, 390, 390, 9_000, 9_000, 0, 0, None]


async def test_the_lines_of_a_job_that_runs_are_read_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.started(request_id := await place.submit("test/slow"))
    job = await place.app.queue.get(request_id, ME)
    logs, reads = Logs(place.app.queue), 0
    events = place.app.queue.events

    async def counted(*asked: Any) -> Any:
        nonlocal reads
        reads += 1
        return await events(*asked)

    monkeypatch.setattr(place.app.queue, "events", counted)
    first = await logs.of(job)
    assert await logs.of(job) == first != [] and reads == 1
    await place.app.queue.cancel(request_id, ME)
    ended = await place.app.queue.get(request_id, ME)
    assert (await logs.of(ended))[-1]["message"].startswith("cancelled")


async def test_only_so_many_jobs_have_their_lines_at_hand(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BOOKS", 2)
    logs = Logs(place.app.queue)
    for request_id in [await place.submit("test/slow") for _ in range(3)]:
        await place.started(request_id)
        assert await logs.of(await place.app.queue.get(request_id, ME))
    assert len(logs._pages) == 2


async def test_the_lines_of_a_job_that_is_not_there_are_none(place: Place) -> None:
    await place.ended(request_id := await place.submit())
    job = await place.app.queue.get(request_id, ME)
    from dataclasses import replace

    assert await Logs(place.app.queue).of(replace(job, id="0" * 18)) == []


async def test_status_is_cheap(place: Place) -> None:
    """Two hundred clients that poll ten times a second must not be a burden."""
    await place.started(request_id := await place.submit("test/slow"))
    request = f"GET /queue/a/b/requests/{request_id}/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    began, count = time.process_time(), 500
    for _ in range(count):
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(h for h in head.split(b"\r\n") if h.startswith(b"content-length"))
        told = json.loads(await reader.readexactly(int(size.split()[1])))
        assert told["status"] == "IN_PROGRESS"
    writer.close()
    each = (time.process_time() - began) / count  # of the server and of this client
    assert each < 0.002, f"{each * 1e6:.0f} µs a status call"
