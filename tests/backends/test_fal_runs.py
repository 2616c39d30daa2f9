"""A job at a place that speaks the fal queue protocol, from its call to its files."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest
from starlette.responses import JSONResponse

from falplace import KEY, Asked, Place
from media_mcp import trail
from media_mcp.backends.base import Report, Run
from media_mcp.backends.fal import Fal
from media_mcp.backends.fal.trips import ON_ITS_WAY
from media_mcp.catalog.model import Model, Param
from media_mcp.errors import (
    BackendFailed,
    BadCard,
    ContentRefused,
    MaybeSpent,
    NotConfigured,
    StorageFailed,
)
from media_mcp.job import Price, PriceCase
from media_mcp.media.shelf import Intake, storage_words
from media_mcp.trail import Trail

pytestmark = pytest.mark.anyio
Runs = Callable[..., Run]
Fals = Callable[..., Fal]


async def test_a_job_is_submitted_followed_and_fetched(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    run = fal_run()

    result = await fal_of().run(run)

    assert place.only.endpoint == "fal-ai/flux/dev"
    assert place.only.body == {"prompt": "a red boat", "seed": run.seed}
    assert place.last("status").path == f"/queue/fal-ai/flux/requests/{place.only.id}/status?logs=1"
    (output,) = result.outputs
    assert output.role == "images" and output.mime_type == "image/png"
    assert output.path.parent == run.folder
    assert output.path.read_bytes() == place.files["picture.png"]
    assert result.facts == {"seed": run.seed, "prompt": "revised", "run_seconds": 1.5}
    assert run.report.remotes == [ON_ITS_WAY, place.only.id]


async def test_the_id_of_the_call_and_its_trace_go_with_every_call_but_those_for_files(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    found = Trail("build-7", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    with trail.on(found):
        await fal_of().run(fal_run())

    for call in place.calls:
        told = (call.headers.get("x-request-id"), call.headers.get("traceparent"))
        assert told == ((None, None) if call.what == "file" else (found.request, found.trace)), call


async def test_the_key_goes_with_every_call_but_those_for_files(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    await fal_of().run(fal_run())

    for call in place.calls:
        shown = call.headers.get("authorization")
        assert shown == (None if call.what == "file" else f"Key {KEY}"), call


async def test_the_id_of_the_request_is_kept_before_anything_waits_on_it(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    seen: list[tuple[str, int]] = []

    async def report(told: Report) -> None:
        seen.append((told.message, place.count("status")))

    await fal_of().run(fal_run(report=report))

    assert seen[:2] == [(ON_ITS_WAY, 0), (place.only.id, 0)]


async def test_a_place_that_knows_keys_gets_the_jobs_id_as_one(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.idempotent = True
    fal = fal_of(idempotent_submit=True)
    first, second = fal_run(), fal_run(attempt=2)

    await fal.run(first)
    await fal.run(second)

    assert [asked.key for asked in place.asked.values()] == [first.job_id, second.job_id]
    assert first.report.remotes == list(place.asked)[:1]


async def test_positions_starts_steps_and_lines_are_told_each_once(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.state = "IN_QUEUE"
    run = fal_run()

    async with anyio.create_task_group() as group:
        group.start_soon(fal_of().run, run)
        await place.until(lambda p: p.asked and p.count("status") == 1)
        place.only.position = 3
        await place.until(lambda p: p.count("status") == 4)
        place.only.state = "IN_PROGRESS"
        place.only.logs = ["loading", " 40%|####   | 4/10 [00:01<00:02]", ""]
        await place.until(lambda p: p.count("status") == 8)
        place.only.logs += ["step 9 of 10: nearly", f"the key is {KEY}"]
        place.only.state = "COMPLETED"

    assert run.report.logs == [
        "waits at fal: 3 before it",
        "runs at fal",
        "loading",
        "the key is ***",
    ]
    assert run.report.steps == [(4, 10), (9, 10)]


@pytest.mark.parametrize("given_up", [True, False])
async def test_a_cancelled_run_stops_the_request_unless_another_attempt_will_take_it_up(
    place: Place, fal_of: Fals, fal_run: Runs, given_up: bool
) -> None:
    place.state = "IN_PROGRESS"
    run = fal_run(given_up=lambda: given_up)
    task = asyncio.create_task(fal_of().run(run))
    await place.until(lambda p: p.count("status") == 2)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert place.only.cancelled is given_up
    assert place.count("cancel") == given_up


async def test_a_place_that_does_not_answer_a_cancel_holds_nobody_up_for_long(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.state = "IN_PROGRESS"
    place.instead["cancel"] = [JSONResponse({}, 500), JSONResponse({}, 500)]
    task = asyncio.create_task(fal_of().run(fal_run()))
    await place.until(lambda p: p.count("status") == 1)

    task.cancel()
    with pytest.raises(asyncio.CancelledError), anyio.fail_after(10):
        await task

    assert place.only.cancelled


async def test_a_call_that_is_cancelled_on_its_way_is_known_and_stopped(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    run = fal_run()
    place.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(fal_of().run, run)
        await place.until(lambda p: p.count("submit") > 0)
        group.cancel_scope.cancel()
        place.gate.set()

    assert run.report.remotes == [ON_ITS_WAY, place.only.id]
    assert place.only.cancelled


def on_a_full_disk(fails: int) -> Callable[[Report], Any]:
    """Take reports, but for the first so many of a request's own id; `told` has the others."""
    left = fails

    async def report(told: Report) -> None:
        nonlocal left
        if told.kind == "remote" and told.message not in ("", ON_ITS_WAY) and left:
            left -= 1
            raise StorageFailed("The disk is full.")

    return report


async def test_an_id_is_written_as_soon_as_the_disk_takes_it_and_the_request_goes_on(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    result = await fal_of().run(fal_run(report=on_a_full_disk(2)))

    assert result.outputs
    assert place.count("submit") == 1 and not place.only.cancelled


async def test_an_id_that_can_never_be_kept_stops_the_request_which_may_be_billed(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    with pytest.raises(MaybeSpent, match=r"its result cannot be had \(The disk is full\)"):
        await fal_of(patience_seconds=0.1).run(fal_run(report=on_a_full_disk(2**31)))

    assert place.only.cancelled


async def test_who_is_stopped_before_the_id_is_kept_stops_the_request(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    failed = anyio.Event()
    full = on_a_full_disk(2**31)

    async def report(told: Report) -> None:
        try:
            await full(told)
        except StorageFailed:
            failed.set()
            raise

    async with anyio.create_task_group() as group:
        group.start_soon(fal_of().run, fal_run(report=report))
        await failed.wait()
        group.cancel_scope.cancel()

    assert place.only.cancelled


async def test_an_attempt_that_is_given_an_id_takes_that_request_up(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.asked["r1"] = Asked("r1", "fal-ai/flux/dev", {"seed": 7}, "")

    result = await fal_of().run(fal_run(remote_id="r1", attempt=2))

    assert result.outputs
    assert place.count("submit") == 0


@pytest.mark.parametrize("state", ["COMPLETED", "IN_PROGRESS"])
async def test_a_request_that_failed_meanwhile_for_no_fault_of_the_call_is_followed_by_another(
    place: Place, fal_of: Fals, fal_run: Runs, state: str
) -> None:
    place.asked["r1"] = Asked("r1", "fal-ai/flux/dev", {}, "", state=state)
    place.outcome = lambda asked: (
        JSONResponse({"detail": "gone", "error_type": "runner_disconnected"}, 503)
        if asked.id == "r1"
        else place.images(asked)
    )
    run = fal_run(remote_id="r1", attempt=2)

    async with anyio.create_task_group() as group:
        group.start_soon(fal_of(idempotent_submit=True).run, run)
        await place.until(lambda p: p.count("status") > 0)
        place.asked["r1"].state = "COMPLETED"

    again = list(place.asked.values())[-1]
    assert again.key == f"{run.job_id}.r1"
    assert run.report.remotes == [again.id]
    assert any("runner_disconnected" in line for line in run.report.logs)


async def test_a_request_that_was_refused_meanwhile_is_not_sent_again(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.asked["r1"] = Asked("r1", "fal-ai/flux/dev", {}, "")
    detail = [{"loc": ["body", "prompt"], "msg": "no", "type": "content_policy_violation"}]
    place.outcome = lambda _: JSONResponse({"detail": detail}, 422)

    with pytest.raises(ContentRefused):
        await fal_of().run(fal_run(remote_id="r1"))

    assert place.count("submit") == 0


async def test_an_attempt_that_was_stopped_before_the_answer_came_is_not_sent_again(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    with pytest.raises(MaybeSpent, match="this server was stopped meanwhile") as caught:
        await fal_of().run(fal_run(remote_id=ON_ITS_WAY))

    assert not caught.value.retryable
    assert "It is not sent twice" in caught.value.hint
    assert place.calls == []


async def test_a_request_that_is_not_known_any_more_may_have_cost(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    with pytest.raises(MaybeSpent, match=r"may be billed.*404.*request id there is r9") as caught:
        await fal_of().run(fal_run(remote_id="r9"))

    assert not caught.value.retryable


async def test_a_result_that_is_late_is_waited_for(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    late = JSONResponse({"detail": "Request is still in progress"}, 400)
    place.instead["result"] = [late, JSONResponse({}, 202)]

    assert (await fal_of().run(fal_run())).outputs
    assert place.count("result") == 3


async def test_a_result_that_never_comes_is_given_up_with_its_id(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.outcome = lambda _: JSONResponse({}, 202)

    with pytest.raises(MaybeSpent, match="it is over, but has no result") as caught:
        await fal_of(patience_seconds=0.4).run(fal_run())

    assert caught.value.retryable
    assert place.only.id in caught.value.message


async def test_a_few_of_a_model_run_at_once_and_the_others_wait_and_say_so(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.state = "IN_PROGRESS"
    fal = fal_of(concurrency_per_model=5)
    spec = {"endpoint": "fal-ai/flux/dev", "concurrency": 1}
    first, second = fal_run(spec=spec), fal_run(spec=spec)

    async with anyio.create_task_group() as group:
        group.start_soon(fal.run, first)
        await place.until(lambda p: p.count("status") > 0)
        group.start_soon(fal.run, second)
        await place.until(lambda p: p.only.looks > 3)
        assert second.report.logs == ["waits here: 1 of fal-ai/flux/dev run at once"]
        place.state = place.only.state = "COMPLETED"

    assert len(place.asked) == 2


async def test_without_a_bound_many_of_a_model_run_at_once(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    fal = fal_of()
    place.state = "IN_PROGRESS"
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(fal.run, fal_run())
        await place.until(lambda p: len(p.asked) == 20)
        place.state = "COMPLETED"
        for asked in place.asked.values():
            asked.state = "COMPLETED"


@pytest.mark.parametrize(
    ("drawn", "sent"), [(7, 7), (1000, 1000), (1001, 0)], ids=["small", "largest", "too large"]
)
async def test_a_drawn_seed_is_sent_within_the_models_bounds(
    place: Place, fal_of: Fals, fal_run: Runs, drawn: int, sent: int
) -> None:
    place.outcome = lambda _: JSONResponse({"images": [f"{place.base}/files/picture.png"]})

    result = await fal_of().run(fal_run(seed=drawn))

    assert place.only.body["seed"] == result.facts["seed"] == sent


async def test_a_seed_that_was_given_is_sent_as_it_is_and_none_to_a_model_without(
    place: Place, fal_of: Fals, fal_run: Runs, flux: Model
) -> None:
    fal = fal_of()
    given = fal_run()
    await fal.run(replace(given, arguments={"prompt": "x", "seed": 5}))
    await fal.run(fal_run(replace(flux, inputs=(Param("prompt", "string"),))))

    bodies = [asked.body for asked in place.asked.values()]
    assert bodies == [{"prompt": "x", "seed": 5}, {"prompt": "a red boat"}]


@pytest.mark.parametrize(
    ("price", "units", "cost"),
    [
        (Price(0.05, "image"), "2", 0.1),
        (Price(0.05, "image"), None, 0.05),
        (Price(0.05, "image"), "many", 0.05),
        (Price(0.05, "image"), "-1", 0.05),
        (Price(0.01, "image", first=0.03), "3", 0.05),
        (Price(0.05, "image", cases=(PriceCase({"prompt": "a red boat"}, 0.2),)), "2", 0.4),
        (Price(0.05, "compute second"), None, None),
        (Price(0.0, "call"), "1", 0.0),
        (None, "2", None),
        (Price(0.05, "image", certainty="unknown"), "2", None),
    ],
)
async def test_a_job_costs_the_units_that_were_billed_or_else_what_was_quoted(
    place: Place,
    fal_of: Fals,
    fal_run: Runs,
    price: Price | None,
    units: str | None,
    cost: float | None,
) -> None:
    def outcome(asked: Asked) -> Any:
        answer = place.images(asked)
        if units is not None:
            answer.headers["x-fal-billable-units"] = units
        return answer

    place.outcome = outcome

    assert (await fal_of().run(fal_run(price=price))).cost == cost


async def test_an_endpoint_that_cannot_be_one_is_the_cards_fault(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    for endpoint in ("../admin", "a//b", "a?b", 7):
        with pytest.raises(BadCard, match="endpoint is"):
            await fal_of().run(fal_run(spec={"endpoint": endpoint}))
    assert place.calls == []


async def test_without_a_key_it_is_not_ready_and_says_how_to_get_one(
    fal_of: Fals, fal_run: Runs
) -> None:
    fal = fal_of(key=None, key_page="https://fal.ai/keys")
    told = await fal.readiness()

    assert not told.ready
    assert (told.reason, told.fix) == ("fal has no key", "Set FAL_KEY (https://fal.ai/keys).")
    with pytest.raises(NotConfigured, match="fal has no key"):
        await fal.run(fal_run())


async def test_a_place_that_wants_no_key_is_ready_without_one_and_gets_none(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    fal = fal_of(key=None, key_env="")

    assert (await fal.readiness()).ready
    await fal.run(fal_run())
    assert not any("authorization" in call.headers for call in place.calls)


async def test_a_quote_leaves_price_and_time_to_those_who_know_them(
    fal_of: Fals, fal_run: Runs
) -> None:
    run = fal_run()
    quote = fal_of().quote(run.model, run.route, run.arguments)

    assert (quote.backend, quote.low, quote.high, quote.seconds) == ("fal", None, None, None)


async def test_headers_of_the_configuration_go_with_a_submit(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    await fal_of(headers={"X-Fal-Queue-Priority": "low"}).run(fal_run())

    assert place.last("submit").headers["x-fal-queue-priority"] == "low"
    assert "x-fal-queue-priority" not in place.last("status").headers


async def test_a_place_that_fails_while_a_request_runs_is_asked_again(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    garbage = JSONResponse({"status": "PONDERING"})
    place.instead["status"] = [JSONResponse({}, 500), garbage, JSONResponse([], 429)]

    assert (await fal_of().run(fal_run())).outputs
    assert place.count("status") == 4


async def test_a_place_that_says_no_to_looks_has_taken_the_call(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.instead["status"] = [JSONResponse({"detail": f"bad {KEY}"}, 401)]

    with pytest.raises(MaybeSpent, match=r"401: bad \*\*\*") as caught:
        await fal_of().run(fal_run())

    assert KEY not in str(caught.value)


async def test_a_backend_failure_leaves_no_id_that_was_never_given(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.instead["submit"] = [JSONResponse({"detail": "no such"}, 404)]
    run = fal_run()

    with pytest.raises(BackendFailed, match="has no endpoint 'fal-ai/flux/dev'"):
        await fal_of().run(run)

    assert run.report.remotes == [ON_ITS_WAY, ""]


async def test_a_result_that_our_disk_has_no_room_for_can_be_had_again(
    place: Place, fal_of: Fals, fal_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(intake: Intake, data: bytes) -> None:
        with storage_words(intake.path.parent):
            raise OSError(errno.ENOSPC, "No space left on device")

    first = fal_run()
    with monkeypatch.context() as patch:
        patch.setattr(Intake, "write", full)
        with pytest.raises(MaybeSpent, match="is full") as caught:
            await fal_of().run(first)
    assert caught.value.retryable
    again = await fal_of().run(replace(fal_run(), remote_id=place.only.id))

    assert again.outputs
    assert place.count("submit") == 1
