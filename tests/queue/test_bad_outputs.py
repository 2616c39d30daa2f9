"""What comes out black, silent or unreadable: found, and made once more where that is allowed."""

from __future__ import annotations

import anyio
import pytest
from PIL import Image

from media_mcp import faultpoints
from media_mcp.backends.rehearsal import Rehearsal
from media_mcp.catalog.model import Model, OutputSpec, Param
from media_mcp.errors import BackendFailed, BadOutput, MaybeSpent, OverBudget
from media_mcp.faultpoints import Point
from media_mcp.job import JobState, MediaKind, Output, Price, Result, Route
from media_mcp.queue.outputs import another_seed
from media_mcp.server.answer import MAX_TOKENS, job_facts, tokens

pytestmark = pytest.mark.anyio
SEED = Param("seed", "integer", minimum=0, maximum=2**31 - 1)


def draws(spec=None, *, kind="image", backend="rehearsal", inputs=(SEED,), amount=0.0):
    """A model of one picture or sound, whose rehearsals go as `spec` says."""
    made = {
        "image": OutputSpec("images", MediaKind.IMAGE, "image/png", "files"),
        "audio": OutputSpec("audio", MediaKind.AUDIO, "audio/wav"),
    }[kind]
    return Model(
        id=f"test/{kind}",
        tool=f"test_{kind}",
        title=kind,
        description="Makes it.",
        task=f"text-to-{kind}",
        licence="MIT",
        inputs=inputs,
        outputs=(made,),
        routes=(Route(backend, spec or {}, Price(amount, "call")),),
    )


@pytest.fixture
def run(house, tools, ann):
    """Run one call to its end: the job, and what the queue wrote of it."""

    async def run(model, backend=None, seed=None, once=False, **settings):
        house.models[model.id] = model
        arguments = {"prompt": "a red boat", "width": 64, "height": 48, "duration": 0.5}
        arguments |= {} if seed is None else {"seed": seed}
        call = tools.call(of=model, arguments=arguments, seed=seed, once=once, fresh=True)
        async with house.queue(backend or Rehearsal(), **settings) as queue:
            submitted = await queue.submit(call)
            job = await queue.wait(submitted.job.id, ann, 60)
            events = await queue.events(job.id, ann)
        return submitted.job, job, [event.message for event in events]

    return run


def kept(house):
    return [p for p in (house.folder / "media").rglob("*.*") if p.suffix in (".png", ".wav")]


def staged(house):
    return list((house.folder / "media").rglob("staging/*"))


@pytest.fixture
def painter(house):
    """A backend that paints what it is told in turn: a grey, an error to raise, or a wait."""

    def make(*greys, cost=0.25, **facts):
        backend = house.backend(**facts)
        left = list(greys)

        async def paint(run):
            grey = left.pop(0)
            if isinstance(grey, Exception):
                raise grey
            if isinstance(grey, anyio.Event):
                await grey.wait()
                grey = left.pop(0)
            image = Image.linear_gradient("L").resize((64, 48))
            image = image if grey == 255 else Image.new("L", (64, 48), grey)
            image.save(run.folder / "x.png")
            return Result((Output(run.folder / "x.png", "images", "image/png"),), {}, cost)

        backend.script = paint
        return backend

    return make


async def test_a_black_picture_is_made_once_more_with_another_seed(house, run):
    first, job, events = await run(draws({"failure": "black", "fail_attempts": 1}))
    assert job.state is JobState.SUCCEEDED
    assert job.seed != first.seed
    assert job.facts["seed"] == job.seed
    assert job.findings == (
        f"Made again with seed {job.seed}. Seed {first.seed} gave: The image is all black.",
    )
    assert f"The image is all black. Making it again with seed {job.seed}." in events
    assert len(kept(house)) == 1
    facts = job_facts(job)
    assert facts["findings"] == list(job.findings)
    assert tokens(facts) <= MAX_TOKENS


async def test_one_that_is_black_twice_is_kept_as_it_was(house, run):
    first, job, _ = await run(draws({"failure": "black"}))
    assert (job.state, job.seed) == (JobState.SUCCEEDED, first.seed)
    note, black = job.findings
    assert note.startswith("Made again with seed ")
    assert note.endswith(f", no better: this is seed {first.seed}.")
    assert black == "The image is all black."
    assert len(kept(house)) == 1
    assert staged(house) == []


async def test_silence_is_made_once_more(run):
    first, job, _ = await run(draws({"failure": "silent", "fail_attempts": 1}, kind="audio"))
    assert job.seed != first.seed
    assert job.findings[0].endswith("gave: The audio is silent.")


async def test_what_cannot_be_read_is_made_once_more(run):
    first, job, _ = await run(draws({"failure": "cut", "fail_attempts": 1}))
    assert (job.state, job.failure) == (JobState.SUCCEEDED, None)
    assert job.seed != first.seed
    assert "cannot be read" in job.findings[0]


async def test_what_cannot_be_read_twice_fails_and_says_so(house, run):
    first, job, _ = await run(draws({"failure": "cut"}), attempts=1)
    assert (job.state, job.failure.code, job.seed) == (JobState.FAILED, "bad_output", first.seed)
    assert "cannot be read" in job.failure.message
    assert job.failure.hint.startswith("Made again with seed ")
    assert kept(house) == []


async def test_what_the_backend_itself_finds_worthless_is_made_once_more(run, painter):
    """NaN, of which no encoder makes a file."""
    backend = painter(BadOutput("The model returned numbers that are none (NaN)."), 255, cost=0.0)
    first, job, _ = await run(draws(backend="local"), backend)
    assert (job.state, job.failure) == (JobState.SUCCEEDED, None)
    assert job.seed != first.seed
    assert job.findings[0].endswith("gave: The model returned numbers that are none (NaN).")
    backend = painter(BadOutput("NaN."), BadOutput("NaN."), cost=0.0)
    _, job, _ = await run(draws(backend="local"), backend)
    assert (job.state, job.failure.code) == (JobState.FAILED, "bad_output")
    assert job.failure.hint.startswith("Made again with seed ")


@pytest.mark.parametrize(
    ("model", "more"),
    [
        (draws({"failure": "black"}), {"retry_bad_output": "never"}),
        (draws({"failure": "black"}), {"seed": 7}),
        (draws({"failure": "black"}), {"seed": 7, "retry_bad_output": "always"}),
        (draws({"failure": "black"}), {"once": True}),
        (draws({"failure": "black"}, inputs=()), {}),
    ],
    ids=["never", "seed given", "always, but the seed was given", "once", "a model without seeds"],
)
async def test_where_it_is_not_allowed_nothing_is_made_again(run, model, more):
    first, job, _ = await run(model, **more)
    assert (job.seed, job.findings) == (first.seed, ("The image is all black.",))


async def test_what_costs_is_not_made_again_unasked(run, painter):
    model = draws(backend="local", amount=0.25)
    backend = painter(0, 255)
    first, job, _ = await run(model, backend)
    assert (job.seed, job.cost, len(backend.runs)) == (first.seed, 0.25, 1)
    away = painter(0, 255, remote=True, cost=0.0)
    assert (await run(model, away))[1].findings == ("The image is all black.",)
    unknown = painter(0, 255, cost=None)
    assert (await run(model, unknown))[1].findings == ("The image is all black.",)


async def test_asked_for_always_it_is_made_again_and_both_are_paid(run, painter):
    backend = painter(0, 255, remote=True)
    _, job, _ = await run(draws(backend="local"), backend, retry_bad_output="always")
    assert (job.state, job.cost) == (JobState.SUCCEEDED, 0.5)
    assert job.findings[0].startswith("Made again with seed ")
    assert [run.tries for run in backend.runs] == [1, 2]
    assert backend.runs[0].seed != backend.runs[1].seed == job.seed


async def test_a_second_try_is_not_made_where_too_little_is_left(run, painter):
    always = {"retry_bad_output": "always"}
    model = draws(backend="local")
    _, job, _ = await run(model, painter(0, 255), budget={"usd": 0.7}, **always)
    assert (job.findings, job.cost) == (("The image is all black.",), 0.25)
    _, job, _ = await run(model, painter(0, 255), budget={"usd": 2.0}, **always)
    assert job.findings[0].startswith("Made again with seed ")


async def test_what_a_second_try_may_cost_is_set_aside_while_it_runs(house, tools, ann, painter):
    gate = anyio.Event()
    model = house.models["test/image"] = draws(backend="local")
    paints = painter(0, gate, 255, concurrency=1)
    limits = {"budget": {"usd": 1.0}, "retry_bad_output": "always"}
    async with house.queue(paints, **limits) as queue:
        submitted = await queue.submit(tools.call(of=model))
        await paints.started()
        await paints.started()
        # 0.25 that the first try cost and the 0.50 that the second may; 0.50 more would be too much
        spent = await queue.books.spend(ann)
        assert (spent["reserved"], spent["left"]) == (0.75, {"budget.usd": 0.25})
        assert await queue.books.unbalanced() == []
        with pytest.raises(OverBudget, match=r"may cost \$0\.50, and \$0\.25 of budget"):
            await queue.submit(tools.call("another", of=model))
        gate.set()
        job = await queue.wait(submitted.job.id, ann, 60)
        assert (job.state, job.cost) == (JobState.SUCCEEDED, 0.5)
        spent = await queue.books.spend(ann)
        assert (spent["cost"], spent["reserved"], spent["left"]) == (0.5, 0.0, {"budget.usd": 0.5})
        assert await queue.books.unbalanced() == []


async def test_a_second_try_that_may_have_been_paid_counts_as_set_aside(house, run, painter, ann):
    paints = painter(0, MaybeSpent("The line went dead."), remote=True)
    _, job, _ = await run(draws(backend="local"), paints, retry_bad_output="always")
    assert (job.state, job.cost) == (JobState.SUCCEEDED, None)
    async with house.queue() as queue:
        spent = await queue.books.spend(ann)
    assert (spent["cost"], spent["unsure"], spent["reserved"]) == (0.75, 0.75, 0.0)


async def test_a_device_that_costs_is_not_free(run, painter):
    backend = painter(0, 255, cost=0.0, gpu=10.0)
    _, job, _ = await run(draws(backend="local"), backend, gpu_rate="H100")
    assert job.findings == ("The image is all black.",)
    assert job.cost > 0


async def test_a_second_try_that_fails_leaves_the_first(house, run, painter):
    backend = painter(200, BackendFailed("The device is on fire."), cost=0.0)
    first, job, _ = await run(draws(backend="local"), backend)
    assert (job.state, job.seed) == (JobState.SUCCEEDED, first.seed)
    note, flat = job.findings
    assert note.startswith("Made again with seed ")
    assert note.endswith(", which failed: The device is on fire.")
    assert flat == "The image is one flat colour (200, 200, 200)."
    assert len(kept(house)) == 1


async def test_a_job_that_is_cancelled_in_its_second_try_is_cancelled(house, tools, ann, painter):
    backend = painter(0, anyio.Event(), cost=0.0)
    model = house.models["test/image"] = draws(backend="local")
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call(of=model))
        assert (await backend.started()).tries == 1
        assert (await backend.started()).tries == 2
        await queue.cancel(submitted.job.id, ann)
        job = await queue.wait(submitted.job.id, ann, 60)
    assert (job.state, job.assets, len(backend.runs)) == (JobState.CANCELLED, (), 2)
    assert kept(house) == []
    assert staged(house) == []


async def test_a_job_that_is_stopped_between_its_tries_has_no_second(
    house, tools, ann, painter, monkeypatch
):
    backend = painter(0, 255, cost=0.25)
    model = house.models["test/image"] = draws(backend="local")
    async with house.queue(backend, retry_bad_output="always") as queue:
        submitted = await queue.submit(tools.call(of=model))

        def stop(point):
            if point is Point.SECOND_TRY:
                queue._dispatcher.stop(submitted.job.id, "enough")

        monkeypatch.setattr(faultpoints, "reached", stop)
        job = await queue.wait(submitted.job.id, ann, 60)
        assert (job.state, job.message, job.cost) == (JobState.CANCELLED, "enough", 0.25)
        assert (len(backend.runs), kept(house), staged(house)) == (1, [], [])
        assert await queue.books.unbalanced() == []


async def test_a_server_that_stops_in_a_second_try_hands_the_job_on(house, tools, ann, painter):
    backend = painter(0, anyio.Event(), cost=0.0)
    model = house.models["test/image"] = draws(backend="local")
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call(of=model))
        await backend.started()
        await backend.started()
    next_one = painter(255, cost=0.0)
    async with house.queue(next_one) as queue:
        job = await queue.wait(submitted.job.id, ann, 60)
    assert (job.state, job.findings) == (JobState.SUCCEEDED, ())
    assert job.seed == next_one.runs[0].seed != submitted.job.seed


async def test_after_a_stop_in_the_second_try_both_are_paid_and_none_is_added(
    house, tools, ann, painter
):
    always = {"budget": {"usd": 2.0}, "retry_bad_output": "always"}
    model = house.models["test/image"] = draws(backend="local")
    paints = painter(0, anyio.Event())
    async with house.queue(paints, **always) as queue:
        submitted = await queue.submit(tools.call(of=model))
        await paints.started()
        await paints.started()
    async with house.queue(painter(0, 255), **always) as queue:
        job = await queue.wait(submitted.job.id, ann, 60)
        assert (job.state, job.cost, job.findings) == (
            JobState.SUCCEEDED,
            0.5,
            ("The image is all black.",),
        )
        assert (await queue.books.spend(ann))["left"] == {"budget.usd": 1.5}
        assert await queue.books.unbalanced() == []


def test_another_seed_is_one_that_the_model_takes():
    small = draws(inputs=(Param("seed", "integer", minimum=0, maximum=3),))
    assert {another_seed(small) for _ in range(200)} == {0, 1, 2, 3}
    assert 0 <= another_seed(draws()) < 2**31
    assert 0 <= another_seed(draws(inputs=(Param("seed", "integer"),))) < 2**31
