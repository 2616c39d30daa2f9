"""Our words in the protocol's: every state, every error code, every log line."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from media_mcp import errors
from media_mcp.errors import BadInput, MediaError, NotConfigured, NotFound, Refused, StorageFailed
from media_mcp.job import Caller, Event, Failure, Job, JobState, Price, Route
from media_mcp.server.queue_api import wire

BASE = "https://queue.fal.run"
JOB = Job(
    id="1m82phhkdh17g7h4f2",
    model="fal-ai/flux-pro/v1.1-ultra",
    state=JobState.QUEUED,
    caller=Caller(),
    arguments={"prompt": "x"},
    route=Route("local"),
    seed=1,
    door="queue",
    created_at=10.0,
)
RUNNING = replace(JOB, state=JobState.RUNNING, started_at=11.0)
DONE = replace(RUNNING, state=JobState.SUCCEEDED, ended_at=13.5)
KEYS = {
    "status",
    "request_id",
    "queue_position",
    "logs",
    "metrics",
    "error",
    "error_type",
    "response_url",
    "status_url",
    "cancel_url",
}


def failed(code: str, message: str = "It broke.", hint: str = "", **facts: Any) -> Job:
    failure = Failure(code, message, hint)
    return replace(DONE, state=JobState.FAILED, failure=failure, facts=facts)


def headers(reply: Any) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in reply.headers}


# Status


@pytest.mark.parametrize("job", [JOB, RUNNING, DONE, failed("bug")])
def test_every_key_is_always_there(job: Job) -> None:
    assert set(wire.status_of(job, BASE, 0, None)) == KEYS


def test_a_queued_job_has_its_position() -> None:
    told = wire.status_of(JOB, BASE, 3, None)
    assert (told["status"], told["queue_position"], wire.status_code(JOB)) == ("IN_QUEUE", 3, 202)
    assert wire.status_of(JOB, BASE, None, None)["queue_position"] == 0


def test_a_running_job_has_none() -> None:
    told = wire.status_of(RUNNING, BASE, None, [{"message": "a"}])
    assert (told["status"], told["queue_position"]) == ("IN_PROGRESS", None)
    assert (told["logs"], told["metrics"], wire.status_code(RUNNING)) == (
        [{"message": "a"}],
        {},
        202,
    )


def test_a_job_that_is_over_tells_how_long_it_took() -> None:
    told = wire.status_of(DONE, BASE, None, None)
    assert (told["status"], told["metrics"]) == ("COMPLETED", {"inference_time": 2.5})
    assert (told["error"], told["error_type"], wire.status_code(DONE)) == (None, None, 200)


def test_a_failure_and_a_cancellation_are_completed_with_an_error() -> None:
    told = wire.status_of(failed("worker_died", "It died.", "Again."), BASE, None, None)
    assert (told["status"], told["error"]) == ("COMPLETED", "It died. Again.")
    assert told["error_type"] == "runner_disconnected"
    told = wire.status_of(replace(DONE, state=JobState.CANCELLED), BASE, None, None)
    assert (told["error"], told["error_type"]) == ("Request was cancelled", "client_cancelled")


@pytest.mark.parametrize(
    ("model", "app"),
    [
        ("fal-ai/flux-pro/v1.1-ultra", "fal-ai/flux-pro"),
        ("workflows/me/flow/v2", "workflows/me/flow"),
        ("comfy/me/graph", "comfy/me/graph"),
        ("sketch", "sketch"),
    ],
)
def test_the_addresses_hold_the_app_alone(model: str, app: str) -> None:
    links = wire.links(replace(JOB, model=model), BASE)
    response = f"{BASE}/{app}/requests/{JOB.id}"
    assert links == {
        "response_url": response,
        "status_url": f"{response}/status",
        "cancel_url": f"{response}/cancel",
    }


# Errors


@pytest.mark.parametrize(
    ("code", "status", "kind", "retryable"),
    [
        ("invalid_arguments", 422, "value_error", False),
        ("bad_media", 422, "file_download_error", False),
        ("refused", 403, "forbidden", False),
        ("content_refused", 422, "content_policy_violation", False),
        ("bad_output", 422, "no_media_generated", False),
        ("not_found", 400, "downstream_service_error", False),
        ("backend_failed", 500, "internal_server_error", False),
        ("maybe_spent", 500, "downstream_service_unavailable", False),
        ("out_of_memory", 500, "internal_server_error", True),
        ("worker_died", 503, "runner_disconnected", True),
        ("not_configured", 503, "runner_scheduling_failure", False),
        ("missing_extra", 503, "runner_scheduling_failure", False),
        ("storage_failed", 500, "internal_error", True),
        ("lost", 500, "internal_error", True),
        ("request_timeout", 504, "request_timeout", True),
        ("bug", 500, "internal_error", False),
        ("a_code_of_tomorrow", 500, "internal_error", False),
    ],
)
def test_a_failed_job_is_told_by_its_code(
    code: str, status: int, kind: str, retryable: bool
) -> None:
    fault = wire.fault_of_job(failed(code, "It broke.", "Mend it."))
    assert fault is not None
    reply = fault.reply()
    body = json.loads(reply.body)
    assert (reply.status, body["error_type"], body["message"]) == (
        status,
        kind,
        "It broke. Mend it.",
    )
    assert headers(reply)["x-fal-error-type"] == kind
    assert headers(reply)["x-fal-retryable"] == str(retryable).lower()
    detail = body["detail"]
    told = detail[0]["msg"] if isinstance(detail, list) else detail
    assert told == "It broke. Mend it."


def test_only_a_start_timeout_is_the_users_own() -> None:
    fault = wire.fault_of_job(failed("request_timeout"))
    assert fault and headers(fault.reply())["x-fal-request-timeout-type"] == "user"
    other = wire.fault_of_job(failed("worker_died"))
    assert other and "x-fal-request-timeout-type" not in headers(other.reply())


def test_what_was_wrong_with_the_input_is_kept_and_told_again() -> None:
    missing = {"loc": ["body", "prompt"], "msg": "is required.", "type": "missing"}
    fault = wire.fault_of_job(failed("invalid_arguments", problems=[missing]))
    assert fault and (fault.detail, fault.rule.type) == ([missing], "missing")
    mixed = wire.fault_of_job(
        failed("invalid_arguments", problems=[missing, {**missing, "type": "int_type"}])
    )
    assert mixed and mixed.rule.type == "value_error"


def test_every_error_of_ours_has_words_of_the_protocol() -> None:
    def family(kind: type[MediaError]) -> set[str]:
        return {kind.code}.union(*map(family, kind.__subclasses__()))

    ours = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    codes = {kind.code for kind in ours if issubclass(kind, MediaError)}
    elsewhere = {"error", "bad_input", "port_taken", "bad_archive"}  # none of them ends a job
    unknown = {code for code in codes - elsewhere if wire._RULES.get(code) is None}
    assert unknown == set()


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (NotFound("No model.", "See."), 404, "not_found"),
        (Refused("No.", "Ask."), 403, "forbidden"),
        (BadInput("Odd.", "Mend."), 400, "bad_request"),
        (NotConfigured("Not set up.", "Do."), 503, "runner_scheduling_failure"),
        (StorageFailed("Full.", "Free."), 500, "internal_error"),
    ],
)
def test_an_error_before_there_is_a_job_is_a_sentence(
    error: MediaError, status: int, kind: str
) -> None:
    fault = wire.fault_of_error(error)
    assert (fault.rule.status, fault.rule.type) == (status, kind)
    assert fault.detail == fault.message == str(error)


def test_a_bug_says_nothing_of_the_insides() -> None:
    assert wire.bug().body()["error_type"] == "internal_error"
    assert "log" in wire.bug().message


# Headers


@pytest.mark.parametrize(
    ("changes", "units"),
    [
        ({}, "1"),
        ({"route": Route("fal", price=Price(0.003, "image")), "cost": 0.012}, "4"),
        ({"route": Route("fal", price=Price(0.03, "image")), "quoted": 0.045}, "1.5"),
        ({"route": Route("fal", price=Price(0.03, "image"))}, "1"),
        ({"route": Route("local", price=Price(0, "call")), "cost": 0.0}, "1"),
        ({"state": JobState.FAILED, "cost": 1.0}, "0"),
    ],
)
def test_what_was_billed_is_told_in_units_of_the_price(changes: dict[str, Any], units: str) -> None:
    told = dict(wire.result_headers(replace(DONE, **changes)))
    assert told[b"x-fal-billable-units"] == units.encode()
    assert told[b"x-fal-request-id"] == JOB.id.encode()


def test_only_what_ran_was_served_from_somewhere() -> None:
    assert dict(wire.result_headers(DONE))[b"x-fal-served-from"] == b"local"
    refused = replace(failed("invalid_arguments"), started_at=None)
    assert b"x-fal-served-from" not in dict(wire.result_headers(refused))


# Logs


def event(seq: int, kind: Any, message: str = "", step: int | None = None, total: int = 0) -> Event:
    return Event("j", seq, 1_700_000_000.5, kind, step, total or None, message)


def test_events_become_lines_with_level_and_source() -> None:
    lines = wire.LogBook().take(
        [
            event(1, "state", "queued for local"),
            event(2, "state", "queued again: attempt 1 of 3 failed"),
            event(3, "log", "loading"),
            event(4, "progress", "denoising", 1, 4),
            event(5, "progress", "decoding"),
            event(6, "remote", "secret-id"),
            event(7, "state", "failed: it broke"),
        ]
    )
    assert [(line["message"], line["level"], line["source"]) for line in lines] == [
        ("queued for local", "INFO", "queue"),
        ("queued again: attempt 1 of 3 failed", "WARN", "queue"),
        ("loading", "INFO", "model"),
        ("step 1 of 4: denoising", "INFO", "progress"),
        ("decoding", "INFO", "progress"),
        ("failed: it broke", "ERROR", "queue"),
    ]
    assert lines[0]["timestamp"] == "2023-11-14T22:13:20.500Z"


def test_each_line_is_new_once_and_kept() -> None:
    book = wire.LogBook()
    first, second = event(1, "log", "a"), event(2, "log", "b")
    assert [line["message"] for line in book.take([first])] == ["a"]
    assert [line["message"] for line in book.take([first, second])] == ["b"]
    assert book.take([second]) == []
    assert ([line["message"] for line in book.lines], book.seen) == (["a", "b"], 2)


def test_a_long_count_has_a_line_for_each_percent() -> None:
    book = wire.LogBook()
    for step in range(1, 1001):
        book.take([event(step, "progress", "", step, 1000)])
    assert len(book.lines) == 101
    assert book.lines[-1]["message"] == "step 1000 of 1000"
