"""The way of one job, state by state."""

from pathlib import Path
from types import MappingProxyType

import anyio
import pytest

from media_mcp import errors
from media_mcp.backends.base import Report
from media_mcp.job import Caller, JobState, Output, Result
from media_mcp.media import MediaStore
from media_mcp.queue.liveness import this_instance
from media_mcp.queue.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


async def states(queue, job, caller):
    events = await queue.events(job.id, caller)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.at for event in events] == sorted(event.at for event in events)
    return [event.message for event in events if event.kind == "state"]


async def test_a_job_is_queued_then_runs_and_succeeds(house, tools, ann):
    backend = house.backend()
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call("a red boat", seed=11))
        assert (submitted.joined, submitted.job.state) == (False, JobState.QUEUED)
        job = await queue.wait(submitted.job.id, ann, 10)
        assert job == await queue.get(job.id, ann)
        told = await states(queue, job, ann)
    assert job.state is JobState.SUCCEEDED
    assert (job.seed, job.attempt, job.cost, job.quoted) == (11, 1, 0.25, 0.5)
    assert job.facts == {"seed": 11}
    assert job.why_route == "local: the model's first route, and it is ready"
    assert job.route.spec == {"pipeline": "local/poem"}
    assert job.route.price.unit == "call"
    assert job.created_at <= job.started_at <= job.ended_at
    assert told == ["queued for local", "running on local, attempt 1", "succeeded"]


async def test_the_output_becomes_an_asset_with_provenance(house, tools, ann):
    backend = house.backend()
    media = MediaStore(house.folder / "media")
    async with house.queue(backend, media=media) as queue:
        submitted = await queue.submit(tools.call("a red boat", seed=11))
        job = await queue.wait(submitted.job.id, ann, 10)
        (asset,) = job.assets
        assert asset.path.read_text() == "a red boat 11"
        assert "poem-a-red-boat" in asset.path.name
        assert asset.role == "text"
        side = await media.of("ann").sidecar(asset.uri)
    kept = str(side)
    for word in ("poem", "a red boat", "MIT", job.id, "local"):
        assert word in kept


async def test_the_work_folder_is_empty_at_first_and_gone_afterwards(house, tools, ann):
    backend = house.backend()
    seen = []

    async def look(run):
        seen.append((run.folder, list(run.folder.iterdir())))

    backend.script = look
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        await queue.wait(submitted.job.id, ann, 10)
    folder, content = seen[0]
    assert content == []
    assert not folder.exists()
    assert folder.is_relative_to(house.folder / "work")


async def test_a_seed_that_is_not_given_is_drawn_and_kept(house, tools, ann):
    backend = house.backend()
    async with house.queue(backend) as queue:
        jobs = [(await queue.submit(tools.call(f"boat {i}"))).job for i in range(8)]
        for job in jobs:
            await queue.wait(job.id, ann, 10)
    assert [run.seed for run in backend.runs] == [job.seed for job in jobs]
    assert all(0 <= job.seed < 2**31 for job in jobs)
    assert len({job.seed for job in jobs}) == 8


async def test_a_seed_beyond_64_bits_is_refused_in_words(house, tools):
    async with house.queue(house.backend()) as queue:
        with pytest.raises(errors.InvalidArguments, match="seed: has 100 bits; the most is 63"):
            await queue.submit(tools.call(seed=10**30))


async def test_inputs_reach_the_backend_and_are_the_jobs_parents(house, tools, ann):
    backend = house.backend()
    media = MediaStore(house.folder / "media")
    source = house.folder / "in.txt"
    source.write_text("an input")
    asset = await media.put(source, role="image", name="in", provenance={})
    async with house.queue(backend, media=media) as queue:
        submitted = await queue.submit(tools.call(inputs={asset.uri: asset}))
        job = await queue.wait(submitted.job.id, ann, 10)
        assert await queue.owns(ann, asset.uri)
    assert backend.runs[0].inputs == {asset.uri: asset}
    assert job.parents == (asset.uri,)


async def test_a_backend_that_fails_for_good_fails_the_job_with_its_words(house, tools, ann):
    backend = house.backend()

    async def fail(run):
        raise errors.OutOfMemory("The GPU is full.", "Close something.")

    backend.script = fail
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
        told = await states(queue, job, ann)
    assert job.state is JobState.FAILED
    assert (job.failure.code, job.failure.message) == ("out_of_memory", "The GPU is full.")
    assert job.failure.hint == "Close something."
    assert told[-1] == "failed: The GPU is full."
    assert len(backend.runs) == 1


async def test_a_bug_fails_the_job_without_its_words_and_is_logged(house, tools, ann, caplog):
    backend = house.backend()

    async def crash(run):
        raise KeyError("token=hunter2")

    backend.script = crash
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
    assert job.failure.code == "bug"
    assert job.failure.message == "Running it on local hit a bug (KeyError)."
    assert "hunter2" not in f"{job}"
    assert "Traceback" in caplog.text
    assert "hunter2" in caplog.text


async def test_an_error_from_within_a_backends_task_group_keeps_its_words(house, tools, ann):
    backend = house.backend()

    async def fail():
        raise errors.BackendFailed("No such endpoint.", "Look it up.")

    async def script(run):
        async with anyio.create_task_group() as group:
            group.start_soon(fail)

    backend.script = script
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
    assert job.failure.message == "No such endpoint."


async def test_a_cancellation_that_nobody_asked_for_is_a_bug(house, tools, ann, caplog):
    backend = house.backend()

    async def script(run):
        raise anyio.get_cancelled_exc_class()

    backend.script = script
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
    assert (job.state, job.failure.code) == (JobState.FAILED, "bug")
    assert "not by us" in caplog.text


async def test_no_output_at_all_is_bad_output(house, tools, ann):
    backend = house.backend()

    async def nothing(run):
        return Result((), {}, 0.1)

    backend.script = nothing
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
    assert (job.failure.code, job.cost) == ("bad_output", 0.1)
    assert job.failure.message == "local ended without an output."


async def test_a_broken_output_file_is_the_backends_fault(house, tools, ann):
    backend = house.backend()

    async def broken(run):
        path = run.folder / "out.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 20)
        return Result((Output(path, "text"),))

    backend.script = broken
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
    assert job.failure.code == "bad_output"
    assert job.failure.hint == "Try again, or another model."


async def test_the_check_of_the_output_ends_in_the_findings(house, tools, ann):
    backend = house.backend()

    async def blank(run):
        return tools.wrote(run, text="   ")

    backend.script = blank
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
    assert job.state is JobState.SUCCEEDED
    assert job.findings == ("The text is empty.",)


async def test_facts_that_are_not_json_fail_the_job_and_not_the_server(house, tools, ann, caplog):
    backend = house.backend()

    async def odd(run):
        return Result((), {"odd": object()}, 0.0)

    backend.script = odd
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
        backend.script = None
        other = await queue.submit(tools.call("another"))
        assert (await queue.wait(other.job.id, ann, 10)).state is JobState.SUCCEEDED
    assert (job.state, job.failure.code) == (JobState.FAILED, "bug")


async def test_facts_may_hold_paths_and_mappings_of_any_kind(house, tools, ann):
    backend = house.backend()

    async def script(run):
        return Result((), {"file": Path("a.txt"), "more": MappingProxyType({"n": (1, 2)})}, 0.0)

    backend.script = script
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        await queue.wait(submitted.job.id, ann, 10)
        job = await queue.get(submitted.job.id, ann)
    assert job.facts == {"file": "a.txt", "more": {"n": [1, 2]}}


async def test_a_report_that_no_row_can_hold_fails_the_job_and_not_the_server(
    house, tools, ann, caplog
):
    backend = house.backend()

    async def script(run):
        await run.report(Report("progress", 2**70, 2**71))
        await anyio.sleep_forever()

    backend.script = script
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
    assert (job.state, job.failure.code) == (JobState.FAILED, "bug")
    assert job.failure.message == "Running it on local hit a bug (OverflowError)."


async def test_a_job_whose_end_cannot_be_written_does_not_stop_the_others(
    house, tools, ann, caplog
):
    class Broken(SqliteStore):
        async def end(self, claim, ending):
            if claim.job.arguments["prompt"] == "unlucky":
                raise RuntimeError("a bug of the store's")
            return await super().end(claim, ending)

    store = Broken(house.folder / "jobs.sqlite", this_instance())
    async with house.queue(house.backend(), store=store) as queue:
        await queue.submit(tools.call("unlucky"))
        submitted = await queue.submit(tools.call("lucky"))
        assert (await queue.wait(submitted.job.id, ann, 10)).state is JobState.SUCCEEDED
    assert "could not be settled" in caplog.text


async def test_a_model_that_left_the_catalog_fails_its_job_in_words(house, tools, ann):
    backend = house.backend()

    class NoModels(dict):
        def get(self, model_id):
            raise errors.NotFound(f"There is no model {model_id!r}.", "Look again.")

    house.models = NoModels()
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
    assert (job.failure.code, job.failure.message) == ("not_found", "There is no model 'poem'.")


async def test_listeners_hear_each_change_of_state_once(house, tools, ann, caplog):
    backend = house.backend()
    heard = []

    def broken(job):
        raise RuntimeError("a listener's bug")

    async with house.queue(backend) as queue:
        stop_broken = queue.subscribe(broken)
        stop = queue.subscribe(lambda job: heard.append(job.state))
        submitted = await queue.submit(tools.call())
        await queue.wait(submitted.job.id, ann, 10)
        stop()
        stop()
        stop_broken()
        submitted = await queue.submit(tools.call("another"))
        await queue.wait(submitted.job.id, ann, 10)
    assert heard == [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED]
    assert "a listener's bug" in caplog.text


async def test_200_calls_at_once_all_succeed_in_order(house, tools, ann):
    backend = house.backend(concurrency=4)

    async def quick(run):
        return Result((), {"n": run.arguments["prompt"]}, 0.0)

    backend.script = quick
    jobs = []
    async with house.queue(backend) as queue:

        async def one(n):
            submitted = await queue.submit(tools.call(f"boat {n}"))
            jobs.append(await queue.wait(submitted.job.id, ann, 60))

        async with anyio.create_task_group() as group:
            for n in range(200):
                group.start_soon(one, n)
    assert len({job.id for job in jobs}) == 200
    assert all(job.state is JobState.SUCCEEDED for job in jobs)
    assert len(backend.runs) == 200
    assert max(job.attempt for job in jobs) == 1


async def test_no_more_jobs_run_at_once_than_the_backend_takes(house, tools, ann):
    backend = house.backend(concurrency=2)
    gate = anyio.Event()
    backend.script = lambda run: tools.gone(gate)
    async with house.queue(backend) as queue:
        jobs = [(await queue.submit(tools.call(f"{n}"))).job for n in range(4)]
        await backend.started()
        await backend.started()
        assert [await queue.position(job.id) for job in jobs] == [None, None, 0, 1]
        assert len(backend.runs) == 2
        gate.set()
        for job in jobs:
            assert (await queue.wait(job.id, ann, 10)).state is JobState.SUCCEEDED


async def test_spend_is_told_by_model_and_by_day(house, tools, ann):
    backend = house.backend()
    gate = anyio.Event()
    async with house.queue(backend) as queue:
        for name in ("poem", "song"):
            for n in range(2):
                submitted = await queue.submit(tools.call(f"{n}", of=tools.model(name)))
                await queue.wait(submitted.job.id, ann, 10)
        backend.script = lambda run: tools.gone(gate)
        await queue.submit(tools.call("still running"))
        spend = await queue.books.spend(ann)
        nothing = await queue.books.spend(Caller("bob"))
    assert (spend["cost"], spend["jobs"], spend["reserved"]) == (1.0, 5, 0.5)
    assert spend["by_model"]["song"]["cost"] == 0.5
    assert spend["by_model"]["poem"]["jobs"] == 3
    assert sum(day["jobs"] for day in spend["by_day"].values()) == 5
    assert not any(nothing.values())
