"""A submit whose answer is late, lost or no answer at all: nothing is paid twice unknowingly."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import monotonic

import anyio
import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from falplace import KEY, Place
from faultproxy import Fault, faulty, planned
from media_mcp.backends.base import Run
from media_mcp.backends.fal import Fal
from media_mcp.backends.fal.trips import ON_ITS_WAY
from media_mcp.errors import BackendFailed, MaybeSpent, NotConfigured

pytestmark = pytest.mark.anyio
Runs = Callable[..., Run]
Fals = Callable[..., Fal]
NGINX = HTMLResponse("<html>nginx</html>", 502)


async def test_a_busy_place_is_waited_for_as_long_as_it_asks(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.instead["submit"] = [
        JSONResponse({"detail": "queue is full"}, 429, {"Retry-After": "0.3"}),
        JSONResponse({"detail": "later"}, 503, {"Retry-After": "nonsense"}),
    ]
    run = fal_run()
    began = monotonic()

    assert (await fal_of().run(run)).outputs

    assert monotonic() - began >= 0.3
    first, second = run.report.logs[:2]
    assert re.match(r"fal answers 429: queue is full; trying again in 0\.[34] s", first)
    assert second.startswith("fal answers 503: later; trying again in 0.")
    assert len(place.asked) == 1


async def test_other_submits_wait_too_while_the_place_is_busy(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.instead["submit"] = [JSONResponse({}, 429, {"Retry-After": "0.4"})]
    fal = fal_of()
    began = monotonic()

    async with anyio.create_task_group() as group:
        group.start_soon(fal.run, fal_run())
        await place.until(lambda p: p.count("submit") == 1)
        await anyio.wait_all_tasks_blocked()
        await fal.run(fal_run())

    assert monotonic() - began >= 0.4
    assert place.count("submit") == 3


async def test_a_date_to_come_back_at_is_understood(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2))
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=60))
    place.instead["submit"] = [JSONResponse({}, 429, {"Retry-After": past})]
    assert (await fal_of().run(fal_run())).outputs

    place.instead["submit"] = [JSONResponse({}, 429, {"Retry-After": soon})]
    with pytest.raises(BackendFailed, match="answers 429") as caught:
        await fal_of(patience_seconds=0.5).run(fal_run())
    assert caught.value.retryable


async def test_a_place_that_stays_busy_costs_nothing_and_may_be_tried_again(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.instead["submit"] = [JSONResponse({"detail": "full"}, 429)] * 20
    run = fal_run()

    with pytest.raises(BackendFailed, match="fal answers 429: full") as caught:
        await fal_of(patience_seconds=0.5).run(run)

    assert caught.value.retryable and not isinstance(caught.value, MaybeSpent)
    assert run.report.remotes == [ON_ITS_WAY, ""]


async def test_a_connection_that_fails_before_anything_was_sent_is_tried_again(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    fal = fal_of(f"http://127.0.0.1:{port}", patience_seconds=0.6)
    run = fal_run()

    with pytest.raises(BackendFailed, match=r"fal cannot be reached \(.*connect") as caught:
        await fal.run(run)

    assert caught.value.retryable and not isinstance(caught.value, MaybeSpent)
    assert run.report.logs[0].startswith("fal cannot be reached")
    assert run.report.remotes == [ON_ITS_WAY, ""]


LOST: list[Fault] = ["reset before", "reset after", "lost gateway", "gateway", "slow"]


@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_answer_is_not_tried_again_where_that_could_be_paid_twice(
    place: Place, fal_of: Fals, fal_run: Runs, fault: Fault
) -> None:
    run = fal_run()

    async with faulty(place.base, planned(fault, on=b"POST /queue")) as proxy:
        with pytest.raises(MaybeSpent, match=r"its answer got lost .*be billed") as caught:
            await fal_of(proxy.url, timeout_seconds=1).run(run)

    assert not caught.value.retryable
    assert caught.value.code == "maybe_spent"
    assert "not sent twice" in caught.value.hint
    assert run.report.remotes == [ON_ITS_WAY]
    assert place.count("submit") <= 1


@pytest.mark.parametrize("fault", [*LOST, "cut"])
async def test_a_lost_answer_is_found_again_where_the_place_knows_keys(
    place: Place, fal_of: Fals, fal_run: Runs, fault: Fault
) -> None:
    place.idempotent = True
    run = fal_run()

    async with faulty(place.base, planned(fault, fault, on=b"POST /queue")) as proxy:
        place.base = proxy.url
        fal = fal_of(proxy.url, idempotent_submit=True, timeout_seconds=0.5)
        assert (await fal.run(run)).outputs

    assert len(place.asked) == 1
    assert run.report.remotes == [place.only.id]


async def test_an_answer_that_is_cut_still_names_the_request_in_its_head(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    async with faulty(place.base, planned("cut", on=b"POST /queue")) as proxy:
        place.base = proxy.url
        assert (await fal_of(proxy.url).run(fal_run())).outputs

    assert len(place.asked) == 1


async def test_answers_that_never_come_are_at_last_given_up_for_this_attempt(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.idempotent = True
    run = fal_run()

    async with faulty(place.base, planned(*["reset after"] * 30, on=b"POST /queue")) as proxy:
        fal = fal_of(proxy.url, idempotent_submit=True, patience_seconds=0.6)
        with pytest.raises(MaybeSpent, match="its answer got lost") as caught:
            await fal.run(run)

    assert caught.value.retryable
    assert len(place.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Response("thanks"),
        JSONResponse({}),
        JSONResponse({"request_id": "../../admin"}),
        JSONResponse({"request_id": 7}),
        JSONResponse([1]),
    ],
)
async def test_an_answer_without_an_id_is_a_lost_one(
    place: Place, fal_of: Fals, fal_run: Runs, answer: Response
) -> None:
    place.instead["submit"] = [answer]

    with pytest.raises(MaybeSpent, match="it holds no request id"):
        await fal_of().run(fal_run())


async def test_a_server_error_to_a_submit_is_a_lost_answer(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.instead["submit"] = [NGINX]

    with pytest.raises(MaybeSpent, match=r"answers 502: HTTP 502"):
        await fal_of().run(fal_run())


@pytest.mark.parametrize(
    ("status", "detail", "message", "hint"),
    [
        (401, "Invalid key", "fal does not take the key: Invalid key", "Set FAL_KEY to a valid"),
        (403, "User is locked. Reason: Exhausted balance.", "cannot pay: User is", "Top it up"),
        (402, "payment required", "cannot pay", "Top it up"),
        (403, "no access", "may not use fal-ai/flux/dev at fal: no access", "another model"),
        (302, "", r"fal redirects \(302\)", "Correct the addresses"),
    ],
)
async def test_a_key_that_will_not_do_is_told_with_what_to_do(
    place: Place,
    fal_of: Fals,
    fal_run: Runs,
    status: int,
    detail: str,
    message: str,
    hint: str,
) -> None:
    elsewhere = {"Location": f"{place.base}/stolen"}
    place.instead["submit"] = [JSONResponse({"detail": detail}, status, elsewhere)]

    with pytest.raises(NotConfigured, match=message) as caught:
        await fal_of().run(fal_run())

    assert hint in caught.value.hint
    assert KEY not in str(caught.value)
    assert place.count("submit") == len(place.calls) == 1


async def test_two_attempts_after_a_lost_answer_are_one_request(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.idempotent = True
    run = fal_run()
    plan = planned(*["reset after"] * 30, on=b"POST /queue")
    async with faulty(place.base, plan) as proxy:
        fal = fal_of(proxy.url, idempotent_submit=True, patience_seconds=0.3)
        with pytest.raises(MaybeSpent):
            await fal.run(run)

    assert (await fal_of(idempotent_submit=True).run(run)).outputs
    assert len(place.asked) == 1
