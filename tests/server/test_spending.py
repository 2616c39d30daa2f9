"""The tool `spend`: everything that matters, in 300 tokens however much was made."""

import pytest
from mcp import Client

from media_mcp.server.answer import MAX_TOKENS, tokens
from media_mcp.server.spending import spending
from support import Opened

pytestmark = pytest.mark.anyio


def row(cost=0.0, jobs=1):
    return {"cost": cost, "gpu_seconds": 0.0, "seconds": 1.0, "jobs": jobs}


def spent(**parts):
    nothing = {"cost": 0.0, "unsure": 0.0, "reserved": 0.0, "gpu_seconds": 0.0, "jobs": 0}
    return nothing | {"left": {}, "by_day": {}, "by_model": {}, "by_route": {}} | parts


def test_nothing_spent_is_told_in_a_few_words():
    assert spending(spent()) == {"cost_usd": 0.0, "jobs": 0}


def test_the_latest_days_and_the_dearest_models_are_told():
    days = {f"2026-11-{day:02}": row(day) for day in range(1, 31)}
    models = {"cheap": row(0.01), "free": row(0, 9), "dear": row(7.5)}
    told = spending(spent(cost=7.51, jobs=11, by_day=days, by_model=models))
    assert list(told["by_day"]) == [f"2026-11-{day}" for day in range(30, 23, -1)]
    assert list(told["by_model"]) == ["dear", "cheap", "free"]
    assert told["by_model"]["dear"] == {"usd": 7.5, "jobs": 1}


def test_what_may_not_be_billed_and_what_is_set_aside_are_told_apart():
    told = spending(spent(cost=2.0, unsure=0.5, reserved=0.25, left={"budget.usd": 1.75}))
    assert told["maybe_not_billed_usd"] == 0.5
    assert told["set_aside_usd"] == 0.25
    assert told["left"] == {"budget.usd": 1.75}


def test_a_long_history_fits():
    many = {f"maker/some-model-with-a-long-name-{n}": row(n, n) for n in range(200)}
    days = {f"2026-{n // 28 + 1:02}-{n % 28 + 1:02}": row(n) for n in range(300)}
    told = spending(spent(cost=1.0, by_day=days, by_model=many, by_route=many))
    assert tokens(told) <= MAX_TOKENS


async def test_the_tool_tells_what_is_left_of_the_budget(opened: Opened, era: str) -> None:
    async with (
        opened(budget={"usd_per_day": 3}) as (_, server),
        Client(server.sdk, mode=era) as client,
    ):
        await client.call_tool("rehearsal_image", {"prompt": "x"})
        facts = (await client.call_tool("spend", {})).structured_content
        assert facts["left"] == {"budget.usd_per_day": 3.0}
        assert facts["jobs"] == 1
