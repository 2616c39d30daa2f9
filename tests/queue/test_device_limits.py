"""How long jobs may hold our devices: what nobody knows the length of never passes a limit."""

from __future__ import annotations

import anyio
import pytest

from media_mcp.errors import BackendFailed, OverBudget
from media_mcp.job import Caller, JobState, Quote
from media_mcp.queue.budget import Limit, need, overtime
from media_mcp.settings import load_settings

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0
ANN = Caller("ann")
UNKNOWN = {"price": 0.0, "seconds": None, "gpu": 0.0}


async def left(queue):
    assert await queue.books.unbalanced() == []
    return (await queue.books.spend(ANN))["left"]["budget.gpu_seconds"]


async def submitted(queue, tools, numbers):
    """Submit so many different calls at once; return the jobs and how many were refused."""
    jobs, refused = [], []

    async def submit(number):
        try:
            jobs.append((await queue.submit(tools.call(f"poem {number}"))).job)
        except OverBudget as error:
            refused.append(str(error))

    async with anyio.create_task_group() as group:
        for number in range(numbers):
            group.start_soon(submit, number)
    return jobs, refused


async def test_of_fifty_at_once_that_nobody_knows_the_length_of_one_runs(house, tools):
    gate = anyio.Event()
    backend = house.backend(script=lambda run: tools.gone(gate), **UNKNOWN)
    async with house.queue(backend, budget={"gpu_seconds": 60}) as queue:
        (job,), refused = await submitted(queue, tools, 50)
        assert len(refused) == 49 and await left(queue) == 0.0
        assert "sets aside gpu_seconds_if_unknown, or else all that is left" in refused[0]
        gate.set()
        ended = await queue.wait(job.id, ANN, 10)
        assert await left(queue) == pytest.approx(60 - ended.gpu_seconds)
        assert (await queue.submit(tools.call("another"))).job


async def test_as_many_run_as_their_share_that_the_settings_tell_leaves_room_for(house, tools):
    backend = house.backend(script=lambda run: tools.gone(anyio.Event()), **UNKNOWN)
    budget = {"gpu_seconds": 60, "gpu_seconds_if_unknown": 9}
    async with house.queue(backend, budget=budget) as queue:
        jobs, refused = await submitted(queue, tools, 50)
        assert (len(jobs), len(refused), await left(queue)) == (6, 44, 6.0)


async def test_once_a_model_has_run_its_next_job_sets_aside_what_that_took(house, tools):
    backend = house.backend(**UNKNOWN)
    async with house.queue(backend, budget={"gpu_seconds": 1000}) as queue:
        first = (await queue.submit(tools.call("one"))).job
        await queue.wait(first.id, ANN, 10)
        backend.script = lambda run: tools.gone(anyio.Event())
        await submitted(queue, tools, 5)
        assert await left(queue) > 900


async def test_the_tightest_of_several_limits_is_what_an_unknown_length_sets_aside(house, tools):
    backend = house.backend(script=lambda run: tools.gone(anyio.Event()), **UNKNOWN)
    caps = {
        "budget": {"gpu_seconds": 60},
        "callers": {"ann": {"budget": {"gpu_seconds_per_day": 20}}},
    }
    async with house.queue(backend, **caps) as queue:
        await queue.submit(tools.call("one"))
        told = (await queue.books.spend(ANN))["left"]
        assert told == {"budget.gpu_seconds": 40.0, "callers.ann.budget.gpu_seconds_per_day": 0.0}
        assert (await queue.submit(tools.call("one", owner="bob"))).job


def test_what_an_unknown_length_counts_as_is_told_by_the_callers_own_table_first(tmp_path):
    given = load_settings(
        data_dir=tmp_path,
        budget={"gpu_seconds": 60, "gpu_seconds_if_unknown": 9},
        callers={"ann": {"budget": {"gpu_seconds_if_unknown": 5}}},
    )
    quote = Quote("local", 0.0, 0.0, gpu_seconds=0.0)
    assert need(given, ANN, quote, NOW).gpu_seconds == 5
    assert need(given, Caller("bob"), quote, NOW).gpu_seconds == 9
    assert not need(given, ANN, quote, NOW).open_ended


def test_without_a_limit_of_seconds_nothing_is_set_aside_for_an_unknown_length(tmp_path):
    given = load_settings(data_dir=tmp_path, budget={"gpu_seconds_if_unknown": 9})
    wanted = need(given, ANN, Quote("local", 0.0, 0.0, gpu_seconds=0.0), NOW)
    assert (wanted.gpu_seconds, wanted.open_ended) == (0.0, False)


async def test_what_an_attempt_that_failed_took_is_set_aside_beside_the_next(house, tools):
    second = anyio.Event()

    async def fail_once(run):
        if run.attempt == 1:
            raise BackendFailed("It broke.", "Again.", retryable=True)
        second.set()
        await anyio.sleep_forever()

    async with house.queue(
        house.backend(script=fail_once, price=0.0, gpu=20.0), budget={"gpu_seconds": 60}
    ) as queue:
        job = (await queue.submit(tools.call())).job
        await second.wait()
        ran = (await queue.get(job.id, ANN)).gpu_seconds
        assert ran > 0
        assert await left(queue) == pytest.approx(40 - ran)


async def test_a_job_is_not_tried_again_where_what_is_left_is_less_than_that_takes(house, tools):
    async def fail(run):
        raise BackendFailed("It broke.", "Look.", retryable=True)

    backend = house.backend(script=fail, price=0.0, gpu=60.0)
    async with house.queue(backend, budget={"gpu_seconds": 60}) as queue:
        job = await queue.wait((await queue.submit(tools.call())).job.id, ANN, 10)
        assert (job.state, job.attempt) == (JobState.FAILED, 1)
        assert "It was not tried again: It may cost 60 GPU-seconds" in job.failure.hint
        assert await left(queue) == pytest.approx(60 - job.gpu_seconds)


async def test_what_a_route_of_ours_took_stays_set_aside_while_another_place_goes_on(house, tools):
    begun = anyio.Event()

    async def fail(run):
        raise BackendFailed("It broke.", "Mend it.")

    async def go_on(run):
        begun.set()
        await anyio.sleep_forever()

    first = house.backend(script=fail, price=0.0, gpu=20.0)
    far = house.backend(name="fal", remote=True, script=go_on, price=0.5)
    house.models["poem"] = both = tools.model("poem", "local", "fal")
    async with house.queue(first, far, budget={"gpu_seconds": 60}, gpu_rate=3600.0) as queue:
        job = (await queue.submit(tools.call(of=both))).job
        await begun.wait()
        ran = (await queue.get(job.id, ANN)).gpu_seconds
        assert await left(queue) == pytest.approx(60 - ran)
        assert (await queue.books.spend(ANN))["reserved"] == pytest.approx(0.5 + ran, abs=1e-3)


def test_a_job_that_took_far_longer_than_it_set_aside_says_so_where_that_is_limited(tools):
    limit = Limit("gpu_seconds", 60.0, "budget.gpu_seconds")
    job = tools.call().job(tools.model().routes[0], 1, "", 0.0, NOW)
    known, unknown = (tools.replace(job, gpu_quoted=seconds) for seconds in (10.0, 0.0))
    (said,) = overtime(known, 95.0, [limit])
    assert "95 GPU-seconds, and 10 GPU-seconds were set aside" in said
    assert said.endswith("all of it counts against budget.gpu_seconds.")
    assert overtime(unknown, 95.0, [limit])
    assert overtime(known, 14.0, [limit]) == overtime(unknown, 59.0, [limit]) == ()
    assert overtime(known, 95.0, []) == ()
