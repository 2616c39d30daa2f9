"""What a place says when it fails, in words that an agent can act on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from falplace import KEY, Place
from media_mcp.backends.base import Run
from media_mcp.backends.fal import Fal
from media_mcp.backends.fal.trips import ON_ITS_WAY
from media_mcp.errors import (
    BackendFailed,
    BadMedia,
    BadOutput,
    ContentRefused,
    InvalidArguments,
    MaybeSpent,
    MediaError,
)

pytestmark = pytest.mark.anyio
Failing = Callable[..., Any]
RETRY = {"x-fal-retryable": "true"}


@pytest.fixture
def failing(place: Place, fal_of: Callable[..., Fal], fal_run: Callable[..., Run]) -> Failing:
    """Run a job whose result is a failure, and return the error."""

    async def fail(
        body: Any, status: int = 422, headers: dict[str, str] | None = None, **given: Any
    ) -> Any:
        place.outcome = lambda _: JSONResponse(body, status, headers)
        with pytest.raises(MediaError) as caught:
            await fal_of(patience_seconds=0.5).run(fal_run(**given))
        assert KEY not in str(caught.value)
        return caught.value

    return fail


def details(*kinds: str, **more: Any) -> dict[str, Any]:
    usual = {"loc": ["body", "prompt"], "msg": "is not fine"}
    return {"detail": [usual | {"type": kind} | more for kind in kinds]}


async def test_a_refusal_by_policy_says_so_and_is_not_tried_again(failing: Failing) -> None:
    error = await failing(details("content_policy_violation", msg="flagged as violence"))

    assert isinstance(error, ContentRefused)
    assert error.code == "content_refused"
    assert error.message == "fal refused this as against its content policy: flagged as violence."
    assert "same call would be refused again" in error.hint


async def test_a_bad_argument_is_named_in_the_models_own_words(failing: Failing) -> None:
    body = {
        "detail": [
            {"loc": ["body", "num_frames"], "msg": "too many", "type": "less_than_equal"},
            {"loc": ["body", "image_urls", 2], "msg": "not an image", "type": "image_load_error"},
            {"loc": ["body", "width"], "msg": f"odd {KEY}\x1b", "type": "multiple_of"},
            {"loc": ["body", "loras", 0, "path"], "msg": "no", "type": "x"},
            {"loc": "nowhere"},
        ]
    }
    mapped = {"duration": {"to": "num_frames"}, "size": {"to": ["width", "height"]}, "images": None}
    spec = {"endpoint": "a/b", "map": mapped | {"pictures": "image_urls"}}

    error = await failing(body, spec=spec)

    assert isinstance(error, InvalidArguments)
    told = {problem.field: problem.message for problem in error.problems}
    assert told == {
        "duration": "too many.",
        "pictures[2]": "not an image.",
        "size": "odd ***\\x1b.",
        "loras[0].path": "no.",
        "arguments": "is not as it should be.",
    }
    assert error.hint == "Correct the arguments and call again."


async def test_nothing_made_is_told_as_that(failing: Failing) -> None:
    error = await failing(details("no_media_generated", msg="no faces"))

    assert isinstance(error, BadOutput)
    assert error.message == "fal made nothing: no faces."
    assert not error.retryable


async def test_a_request_that_somebody_cancelled_there_is_told(failing: Failing) -> None:
    body = {"detail": "Request was cancelled", "error_type": "client_cancelled"}
    error = await failing(body, 499)

    assert "Somebody cancelled the request at fal. Its request id there is" in error.message
    assert isinstance(error, BackendFailed) and not error.retryable


@pytest.mark.parametrize(
    ("status", "body", "headers", "retryable", "words"),
    [
        (
            503,
            {"detail": "x", "error_type": "runner_disconnected"},
            {},
            True,
            "runner_disconnected",
        ),
        (500, details("internal_server_error"), {}, True, "internal_server_error"),
        (504, details("generation_timeout"), {}, False, "generation_timeout"),
        (400, details("downstream_service_error"), {}, False, "downstream_service_error"),
        (
            400,
            details("downstream_service_error"),
            {"x-fal-retryable": "true"},
            True,
            "is not fine",
        ),
        (500, {"detail": "x"}, {"X-Fal-Retryable": "false"}, False, "failed: x"),
        (500, {"detail": "x"}, {"x-fal-needs-retry": "1"}, True, "failed: x"),
        (500, {"detail": "x"}, {"x-fal-error-type": "internal_error"}, True, "internal_error"),
        (418, {}, {}, False, "HTTP 418"),
        (500, [], {}, True, "HTTP 500"),
        (422, {"detail": "just words"}, {}, False, "failed: just words"),
        (422, {"detail": ["odd"]}, {}, False, "failed: odd"),
        (422, {"detail": [7]}, {}, False, "is not as it should be"),
    ],
)
async def test_other_failures_say_what_and_whether_another_try_may_help(
    failing: Failing,
    status: int,
    body: Any,
    headers: dict[str, str],
    retryable: bool,
    words: str,
) -> None:
    error = await failing(body, status, headers)

    assert type(error) is BackendFailed
    assert error.retryable is retryable
    assert words in error.message and "Its request id there is" in error.message
    assert error.hint


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_a_result_that_the_door_refuses_may_have_cost(failing: Failing, status: int) -> None:
    error = await failing({"detail": "no"}, status)

    assert isinstance(error, MaybeSpent) and not error.retryable
    assert f"({status}: no)" in error.message


async def test_a_call_that_is_too_large_is_told(failing: Failing) -> None:
    error = await failing({"detail": "too large"}, 413)

    assert isinstance(error, BadMedia)
    assert error.message == "The call is larger than fal takes."


async def test_an_answer_of_the_gateway_is_not_the_models(
    place: Place, fal_of: Callable[..., Fal], fal_run: Callable[..., Run]
) -> None:
    place.instead["result"] = [HTMLResponse("nginx", 502), Response("", 503), Response("", 504)]

    assert (await fal_of().run(fal_run())).outputs


async def test_a_gateway_that_stays_broken_leaves_the_request_to_another_attempt(
    place: Place, fal_of: Callable[..., Fal], fal_run: Callable[..., Run]
) -> None:
    place.instead["result"] = [HTMLResponse("nginx", 502)] * 20

    with pytest.raises(MaybeSpent, match="answers 502") as caught:
        await fal_of(patience_seconds=0.5).run(fal_run())

    assert caught.value.retryable


async def test_a_place_that_stays_silent_leaves_the_request_to_another_attempt(
    place: Place, fal_of: Callable[..., Fal], fal_run: Callable[..., Run]
) -> None:
    place.instead["status"] = [Response("", 503)] * 500

    with pytest.raises(MaybeSpent, match="answers 503 without a status") as caught:
        await fal_of(patience_seconds=0.3).run(fal_run())

    assert caught.value.retryable


@pytest.mark.parametrize(("units", "left"), [("0", ""), ("1", None), (None, None)])
async def test_a_failure_that_is_not_billed_leaves_no_request_behind(
    failing: Failing,
    place: Place,
    fal_run: Callable[..., Run],
    units: str | None,
    left: str | None,
) -> None:
    told: list[str] = []

    async def report(one: Any) -> None:
        told.extend([one.message] if one.kind == "remote" else [])

    headers = {"x-fal-billable-units": units} if units is not None else {}
    await failing({"detail": "x"}, 500, headers, report=report)

    assert told == [ON_ITS_WAY, place.only.id] + ([left] if left is not None else [])
