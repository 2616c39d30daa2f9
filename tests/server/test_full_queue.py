"""What the doors say when the queue is full, and that a caller's crowd keeps nobody else out."""

from __future__ import annotations

import pytest

from callerskit import call, house
from media_mcp.cli.outcome import ExitCode, code_of
from media_mcp.errors import QueueFull
from support import Opened

pytestmark = pytest.mark.anyio

SLOW = "/queue/test/slow"
AT_ONCE = 8  # jobs that the rehearsal backend runs


async def test_every_door_says_that_the_queue_is_full_and_when_to_come_again(
    opened: Opened, era: str
) -> None:
    async with (
        house(opened, max_queued=2) as place,
        place.http("ann") as ann,
        place.mcp("bob", era) as bob,
    ):
        for n in range(AT_ONCE + 2):
            taken = await ann.post(SLOW, json={"prompt": f"{n}"})
            assert taken.status_code == 200
        refused = await ann.post(SLOW, json={"prompt": "too many"})
        assert (refused.status_code, refused.headers["x-fal-error-type"]) == (429, "queue_full")
        assert int(refused.headers["retry-after"]) >= 1
        assert "2 jobs wait, and no more may (max_queued = 2)." in refused.json()["detail"]
        told = await call(bob, "run_model", model="test/slow", arguments={"prompt": "x"})
        assert told["error"]["code"] == "queue_full"
        assert told["error"]["message"].startswith("2 jobs wait, and no more may")
        assert "Try again" in told["next"]
    assert code_of(QueueFull("The queue is full.")) is ExitCode.REFUSED


async def test_who_comes_with_one_job_is_next_though_another_queued_many(opened: Opened) -> None:
    async with (
        house(opened) as place,
        place.http("ann") as ann,
        place.http("bob") as bob,
    ):
        for n in range(AT_ONCE + 30):
            last = await ann.post(SLOW, json={"prompt": f"{n}"})
        assert last.json()["queue_position"] == 29
        first = await bob.post(SLOW, json={"prompt": "x"})
        assert first.json()["queue_position"] <= 1
        low = {"X-Fal-Queue-Priority": "low"}
        after = await bob.post(SLOW, json={"prompt": "y"}, headers=low)
        assert after.json()["queue_position"] == 31
