"""The protocol's words read with care, one poller for all, things done together."""

from __future__ import annotations

import json
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from media_mcp.backends.fal.poller import Pace, Poller
from media_mcp.backends.fal.together import together
from media_mcp.backends.fal.wire import (
    Answer,
    Status,
    app_of,
    checked_id,
    status_of,
    steps_in,
    wait_of,
)

pytestmark = pytest.mark.anyio


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("endpoint", "app"),
    [
        ("fal-ai/flux-pro/v1.1-ultra", "fal-ai/flux-pro"),
        ("workflows/me/mine/run", "workflows/me/mine"),
        ("comfy/me/mine", "comfy/me/mine"),
        ("1234-my-app", "1234/my-app"),
        ("sketch", "sketch"),
        ("rehearsal/image", "rehearsal/image"),
    ],
)
def test_a_request_is_asked_after_under_its_app(endpoint: str, app: str) -> None:
    assert app_of(endpoint) == app


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "IN_QUEUE", "queue_position": 2}, Status("IN_QUEUE", 2)),
        ({"status": "IN_QUEUE", "queue_position": True}, Status("IN_QUEUE")),
        ({"status": "IN_QUEUE", "queue_position": -1}, Status("IN_QUEUE")),
        ({"status": "COMPLETED", "logs": None, "metrics": None}, Status("COMPLETED")),
        (
            {"status": "COMPLETED", "logs": [{"message": "a"}, "b", {"x": 1}]},
            Status("COMPLETED", None, 3, ("a", "b", "")),
        ),
        (
            {"status": "COMPLETED", "metrics": {"inference_time": 2}},
            Status("COMPLETED", None, 0, (), 2),
        ),
        ({"status": "PONDERING"}, None),
        (["COMPLETED"], None),
        ("COMPLETED", None),
    ],
)
def test_statuses_are_read_and_anything_else_is_none(body: Any, status: Status | None) -> None:
    assert status_of(answer(body)) == status


def test_a_status_that_came_with_an_error_is_none() -> None:
    assert status_of(answer({"status": "COMPLETED"}, 500)) is None


def test_of_a_long_log_the_latest_lines_are_at_hand() -> None:
    rows = [{"message": f"line {n}"} for n in range(1000)]
    status = status_of(answer({"status": "IN_PROGRESS", "logs": rows}))

    assert status is not None and status.said == 1000
    assert status.since(998) == ("line 998", "line 999")
    assert len(status.since(0)) == 200
    assert status.since(1000) == status.since(2000) == ()


@pytest.mark.parametrize(
    ("line", "steps"),
    [
        ("step 3 of 10", (3, 10)),
        ("step 3 of 10: denoising", (3, 10)),
        (" 40%|####      | 4/10 [00:01<00:02, 2.5it/s]", (4, 10)),
        ("step 11 of 10", None),
        ("step 0 of 0", None),
        ("2026/11/22 [x]", None),
        ("fetching file 2/3", None),
        ("", None),
    ],
)
def test_steps_are_read_from_log_lines(line: str, steps: tuple[int, int] | None) -> None:
    assert steps_in(line) == steps


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("-4", 0),
        ("1e9", 120),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 9999 07:28:00 GMT", 120),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_how_long_to_wait_is_read_within_bounds(said: str, seconds: float | None) -> None:
    assert wait_of(answer({}, 429, retry_after=said)) == seconds


@pytest.mark.parametrize("given", ["a/b", "..", "", "a b", "x" * 129, None, 3, "a%2f"])
def test_an_id_that_would_change_an_address_is_none(given: Any) -> None:
    assert checked_id(given) == ""


@pytest.mark.parametrize(("said", "flag"), [("1", True), ("TRUE", True), ("0", False)])
def test_flags_are_read_as_they_are_written(said: str, flag: bool) -> None:
    assert answer({}, x_fal_retryable=said).flag("x-fal-retryable") is flag
    assert answer({}).flag("x-fal-retryable") is None


def test_looks_are_quick_at_first_slower_later_and_bounded_in_all() -> None:
    pace = Pace(first=0.25, most=2.0, rate=10)

    def around(age: float, watched: int, wanted: float) -> bool:
        seen = [pace.after(age, watched) for _ in range(50)]
        return wanted * 0.85 <= min(seen) <= max(seen) <= wanted * 1.15

    assert around(0, 1, 0.25) and around(5, 1, 1.0) and around(600, 1, 2.0)
    assert around(0, 100, 10.0)
    assert len({pace.after(0, 1) for _ in range(50)}) > 10


async def test_one_slow_look_holds_up_no_other_request() -> None:
    poller = Poller(Pace(0.001, 0.01, 1000))
    stuck = anyio.Event()

    async def slow() -> Status:
        await stuck.wait()
        return Status("COMPLETED")

    async def quick() -> Status:
        return Status("COMPLETED")

    with poller.watching(slow) as first, poller.watching(quick) as second:
        assert (await second.next()).state == "COMPLETED"
        stuck.set()
        assert (await first.next()).state == "COMPLETED"
    await poller.aclose()


async def test_requests_that_come_when_the_last_one_is_over_are_looked_at_too() -> None:
    poller = Poller(Pace(0.001, 0.01, 1000))
    looks = 0

    async def look() -> Status | None:
        nonlocal looks
        looks += 1
        return Status("COMPLETED") if looks % 2 else None

    with anyio.fail_after(5):
        for _ in range(20):
            with poller.watching(look) as watch:
                await watch.next()
            if looks % 3:
                await anyio.lowlevel.checkpoint()
    await poller.aclose()


async def test_a_look_that_fails_ends_its_own_watch_only() -> None:
    poller = Poller(Pace(0.001, 0.01, 1000))

    async def broken() -> Status:
        raise ValueError("no more")

    async def fine() -> Status:
        return Status("IN_PROGRESS")

    with poller.watching(broken) as first, poller.watching(fine) as second:
        with pytest.raises(ValueError, match="no more"):
            await first.next()
        assert await second.next() and await second.next()
    await poller.aclose()


async def test_a_poller_that_is_closed_asks_no_more() -> None:
    poller = Poller(Pace(0.001, 0.001, 10_000))
    looks = 0
    looked = anyio.Event()

    async def look() -> None:
        nonlocal looks
        looks += 1
        looked.set()

    with poller.watching(look):
        await looked.wait()
        await poller.aclose()
        before = looks
        await anyio.sleep(0.02)
        assert looks == before
    await poller.aclose()


async def test_things_are_done_together_in_order_and_a_few_at_once() -> None:
    running = most = 0

    async def double(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.sleep(0.001 * (5 - number))
        running -= 1
        return number * 2

    assert await together(2, double, range(5)) == [0, 2, 4, 6, 8]
    assert most == 2


async def test_of_several_errors_the_first_is_raised_as_it_is() -> None:
    async def fail(number: int) -> None:
        raise ValueError(str(number))

    with pytest.raises(ValueError, match="0"):
        await together(2, fail, range(2))
