"""Which job is next, and what happens to one that failed."""

import anyio
import pytest

from media_mcp import errors
from media_mcp.backends.base import Report
from media_mcp.job import JobState, Result
from media_mcp.queue.ageing import Ageing
from media_mcp.queue.liveness import this_instance
from media_mcp.queue.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


async def quick(run):
    return Result((), {"text": "done"}, 0.0)


def order(backend):
    return [run.arguments["prompt"] for run in backend.runs]


async def test_a_retryable_failure_is_tried_again_and_each_attempt_is_told(house, tools, ann):
    backend = house.backend()

    async def fail_twice(run):
        if run.attempt < 3:
            raise errors.WorkerDied("The worker crashed.", "Nothing to do.")

    backend.script = fail_twice
    async with house.queue(backend, attempts=3) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
        events = await queue.events(job.id, ann)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 3)
    assert [run.attempt for run in backend.runs] == [1, 2, 3]
    assert len({run.folder for run in backend.runs}) == 3
    again = [event.message for event in events if event.message.startswith("queued again")]
    assert again == [
        "queued again: attempt 1 of 3 failed: The worker crashed. Nothing to do.",
        "queued again: attempt 2 of 3 failed: The worker crashed. Nothing to do.",
    ]


async def test_when_the_attempts_are_used_up_the_job_fails_with_the_last_words(house, tools, ann):
    backend = house.backend()

    async def fail(run):
        await run.report(Report("progress", run.attempt, 4))
        raise errors.BackendFailed(f"Overloaded {run.attempt}.", "Wait.", retryable=True)

    backend.script = fail
    async with house.queue(backend, attempts=2) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
    assert (job.state, job.attempt, job.step) == (JobState.FAILED, 2, 2)
    assert (job.failure.code, job.failure.message) == ("backend_failed", "Overloaded 2.")


async def test_a_remote_id_outlives_the_attempt_that_learned_it(house, tools, ann):
    backend = house.backend()

    async def fail_once(run):
        if run.attempt == 1:
            await run.report(Report("remote", message="req-7"))
            raise errors.WorkerDied("The worker crashed.")

    backend.script = fail_once
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        await queue.wait(submitted.job.id, ann, 10)
    assert [run.remote_id for run in backend.runs] == [None, "req-7"]


async def test_jobs_run_by_priority_and_then_in_order_of_arrival(house, tools, ann):
    gate = anyio.Event()
    backend = house.backend(script=lambda run: tools.gone(gate))
    async with house.queue(backend) as queue:
        await queue.submit(tools.call("holds the slot"))
        await backend.started()
        jobs = [
            await queue.submit(tools.call(prompt, priority=priority))
            for prompt, priority in [("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -1)]
        ]
        assert [await queue.position(s.job.id) for s in jobs] == [2, 0, 3, 1, 4]
        gate.set()
        for submitted in jobs:
            await queue.wait(submitted.job.id, ann, 10)
    assert order(backend) == ["holds the slot", "b", "d", "a", "c", "e"]


class Loader:
    """A backend's memory: one model at a time, and how often that changed."""

    def __init__(self, backend):
        self.backend = backend
        self.loads = 0
        backend.script = self.run

    async def run(self, run):
        if run.model.id not in self.backend.loaded:
            self.loads += 1
            self.backend.loaded = frozenset([run.model.id])
        return await quick(run)


async def run_mixed(house, tools, ann, backend, clock=None, step=lambda: None, count=24):
    """Queue jobs of three models in turn behind a closed gate, then run them all."""
    loader = Loader(backend)
    gate = anyio.Event()

    async def hold(run):
        await gate.wait()
        backend.script = paced
        return await loader.run(run)

    async def paced(run):
        step()
        return await loader.run(run)

    backend.script = hold
    async with house.queue(backend, clock=clock) as queue:
        jobs = [
            await queue.submit(tools.call(f"{n}", of=tools.model(f"m{n % 3}")))
            for n in range(count)
        ]
        gate.set()
        for submitted in jobs:
            await queue.wait(submitted.job.id, ann, 20)
    return loader.loads


async def test_warm_models_go_first_so_that_three_models_are_loaded_three_times(house, tools, ann):
    backend = house.backend()
    assert await run_mixed(house, tools, ann, backend) == 3
    assert len(backend.runs) == 24


async def test_warmth_does_not_beat_priority(house, tools, ann):
    gate = anyio.Event()
    backend = house.backend(loaded=frozenset(["m0"]), script=lambda run: tools.gone(gate))
    async with house.queue(backend) as queue:
        await queue.submit(tools.call("holds the slot", of=tools.model("m0")))
        await backend.started()
        warm = await queue.submit(tools.call("warm", of=tools.model("m0")))
        await queue.submit(tools.call("cold", of=tools.model("m1"), priority=1))
        gate.set()
        await queue.wait(warm.job.id, ann, 10)
    assert order(backend) == ["holds the slot", "cold", "warm"]


async def test_a_job_that_waited_for_a_minute_is_next_whatever_is_warm(house, tools, ann):
    now = [1_800_000_000.0]
    gate = anyio.Event()
    backend = house.backend(loaded=frozenset(["m0"]), script=lambda run: tools.gone(gate))
    async with house.queue(backend, clock=lambda: now[0]) as queue:
        await queue.submit(tools.call("holds the slot", of=tools.model("m0")))
        await backend.started()
        await queue.submit(tools.call("cold and old", of=tools.model("m1")))
        now[0] += 61
        await queue.submit(tools.call("warm", of=tools.model("m0")))
        last = await queue.submit(tools.call("warm too", of=tools.model("m0")))
        gate.set()
        await queue.wait(last.job.id, ann, 10)
    assert order(backend) == ["holds the slot", "cold and old", "warm", "warm too"]


async def test_a_job_that_waited_for_less_lets_the_warm_ones_pass(house, tools, ann):
    now = [1_800_000_000.0]
    gate = anyio.Event()
    backend = house.backend(loaded=frozenset(["m0"]), script=lambda run: tools.gone(gate))
    async with house.queue(backend, clock=lambda: now[0]) as queue:
        await queue.submit(tools.call("holds the slot", of=tools.model("m0")))
        await backend.started()
        cold = await queue.submit(tools.call("cold", of=tools.model("m1")))
        now[0] += 44
        await queue.submit(tools.call("warm", of=tools.model("m0")))
        gate.set()
        await queue.wait(cold.job.id, ann, 10)
    assert order(backend) == ["holds the slot", "warm", "cold"]


async def test_a_long_queue_of_overdue_jobs_does_not_load_a_model_for_each(house, tools, ann):
    """24 jobs of 10 s in turn over 3 models: all are overdue soon, yet few loads are forced."""
    now = [1_800_000_000.0]

    def step():
        now[0] += 10

    backend = house.backend()
    loads = await run_mixed(house, tools, ann, backend, lambda: now[0], step)
    assert 3 <= loads <= 2 + 240 / 60


async def test_a_slow_backend_does_not_hold_up_another(house, tools, ann):
    slow = house.backend(name="slow", script=lambda run: anyio.sleep_forever())
    fast = house.backend(name="fast")
    async with house.queue(slow, fast) as queue:
        await queue.submit(tools.call("1", of=tools.model("a", "slow")))
        await queue.submit(tools.call("2", of=tools.model("a", "slow")))
        submitted = await queue.submit(tools.call("3", of=tools.model("b", "fast")))
        assert (await queue.wait(submitted.job.id, ann, 10)).state is JobState.SUCCEEDED


async def test_a_backend_that_cannot_say_what_is_warm_still_runs_its_jobs(
    house, tools, ann, caplog
):
    backend = house.backend()

    def broken():
        raise RuntimeError("a bug of the backend's")

    backend.warm = broken
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        assert (await queue.wait(submitted.job.id, ann, 10)).state is JobState.SUCCEEDED
    assert "could not say what is warm" in caplog.text


async def test_a_bug_in_a_look_at_the_store_does_not_end_the_looking(house, tools, ann, caplog):
    class Broken(SqliteStore):
        broken = True

        async def changes(self):
            if self.broken:
                self.broken = False
                raise RuntimeError("a bug of the store's")
            return await super().changes()

    gate = anyio.Event()
    backend = house.backend(script=lambda run: tools.gone(gate))
    store = Broken(house.folder / "jobs.sqlite", this_instance())
    async with house.queue(backend, store=store) as one, house.queue() as two:
        submitted = await one.submit(tools.call())
        await backend.started()
        assert (await two.cancel(submitted.job.id, ann)).state is JobState.CANCELLED
    assert "A look at the store failed" in caplog.text


async def test_leaving_hands_unfinished_jobs_back_for_the_next_start(house, tools, ann):
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend, attempts=1) as queue:
        running = await queue.submit(tools.call("running"))
        queued = await queue.submit(tools.call("queued"))
        run = await backend.started()
    assert backend.cancelled == [run]
    assert not run.folder.exists()
    backend.script = None
    async with house.queue(backend, attempts=1) as queue:
        for submitted in (running, queued):
            job = await queue.wait(submitted.job.id, ann, 10)
            assert job.state is JobState.SUCCEEDED
        events = await queue.events(running.job.id, ann)
    assert "queued again: the server that ran it was stopped" in [e.message for e in events]
    assert [r.attempt for r in backend.runs] == [1, 2, 1]


async def test_leaving_by_an_error_or_a_cancellation_hands_jobs_back_too(house, tools, ann):
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    with pytest.raises(ValueError, match="the host's own"):
        async with house.queue(backend) as queue:
            submitted = await queue.submit(tools.call())
            await backend.started()
            raise ValueError("the host's own")
    with anyio.CancelScope() as scope:
        async with house.queue(backend) as queue:
            await backend.started()
            scope.cancel()
            await anyio.sleep_forever()
    backend.script = None
    async with house.queue(backend) as queue:
        job = await queue.wait(submitted.job.id, ann, 10)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 3)


async def test_a_job_for_a_backend_that_is_not_here_waits_for_a_server_that_has_it(
    house, tools, ann
):
    gpu = house.backend(name="gpu", script=lambda run: anyio.sleep_forever())
    async with house.queue(gpu) as queue:
        submitted = await queue.submit(tools.call(of=tools.model("a", "gpu")))
        await gpu.started()
    async with house.queue(house.backend(name="other")) as queue:
        assert (await queue.wait(submitted.job.id, ann, 0.05)).state is JobState.QUEUED
    gpu.script = None
    async with house.queue(gpu) as queue:
        assert (await queue.wait(submitted.job.id, ann, 10)).state is JobState.SUCCEEDED


def test_only_half_of_the_time_goes_into_loading_for_overdue_jobs():
    now = [1_800_000_000.0]
    ageing = Ageing(60.0, lambda: now[0])
    assert ageing.overdue() == now[0] - 45
    ageing.loaded(10.0)
    now[0] += 9.9
    assert ageing.overdue() == 0.0
    now[0] += 0.1
    assert ageing.overdue() == now[0] - 45
    ageing.loaded(float("inf"))  # whatever a backend tells, they have their turn in time
    now[0] += 60
    assert ageing.overdue() == now[0] - 45


async def test_jobs_of_a_model_that_is_busy_elsewhere_come_last(house, tools, ann):
    gate = anyio.Event()
    backend = house.backend(concurrency=2, script=lambda run: tools.gone(gate))
    backend.busy = lambda: frozenset(["m0"])
    async with house.queue(backend) as queue:
        for _ in range(2):
            await queue.submit(tools.call("holds a slot", fresh=True, of=tools.model("m0")))
            await backend.started()
        jobs = [
            await queue.submit(tools.call(prompt, of=tools.model(of)))
            for prompt, of in [("busy", "m0"), ("cold", "m1"), ("busy too", "m0")]
        ]
        gate.set()
        for submitted in jobs:
            await queue.wait(submitted.job.id, ann, 10)
    assert order(backend)[2:] == ["cold", "busy", "busy too"]
