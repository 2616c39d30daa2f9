"""A job whose route has failed goes on by the next one, or says why it does not."""

import anyio
import pytest

from media_mcp import errors
from media_mcp.backends.base import Readiness, Report
from media_mcp.job import JobState, Result
from media_mcp.queue.liveness import this_instance
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.tables import ProjectRules

pytestmark = pytest.mark.anyio

FULL = errors.OutOfMemory("Out of memory on cuda:0: needs 24 GB.", "Use a smaller one.")
CALL = "run_model(model='poem', arguments=…, backend='cloud'), or --backend cloud."


def fails(error, *reports):
    """A script: report, then raise the error."""

    async def run(run):
        for report in reports:
            await run.report(report)
        raise error

    return run


@pytest.fixture
async def local(house):
    return house.backend(price=0.0, script=fails(FULL))


@pytest.fixture
async def cloud(house):
    return house.backend(name="cloud", price=2.0, remote=True)


@pytest.fixture
def poem(house, tools):
    house.models["poem"] = tools.model("poem", "local", "cloud")
    return house.models["poem"]


@pytest.fixture
def ended(house, ann):
    """Submit a call and return its job at the end."""

    async def run(queue, call):
        house.models[call.model.id] = call.model
        submitted = await queue.submit(call)
        return await queue.wait(submitted.job.id, ann, 10)

    return run


# It goes on


async def test_a_job_goes_on_by_the_next_route_and_says_why(
    house, tools, ann, local, cloud, poem, ended
):
    async with house.queue(local, cloud, prefer="local") as queue:
        job = await ended(queue, tools.call(of=poem))
        told = [e.message for e in await queue.events(job.id, ann) if e.kind == "state"]
        assert (await queue.books.spend(ann))["reserved"] == 0.0
    assert (job.state, job.route.backend, job.attempt) == (JobState.SUCCEEDED, "cloud", 2)
    assert (job.quoted, job.cost) == (2.0, 0.25)
    assert job.why_route == (
        "cloud: local failed (Out of memory on cuda:0: needs 24 GB); next by prefer=local"
    )
    assert told == [
        "queued for local",
        "running on local, attempt 1",
        "queued for cloud: local failed (Out of memory on cuda:0: needs 24 GB. "
        "Use a smaller one.); next by prefer=local",
        "running on cloud, attempt 2",
        "succeeded",
    ]
    (run,) = cloud.runs
    assert (run.arguments, run.seed, run.route.backend) == (job.arguments, job.seed, "cloud")


@pytest.mark.parametrize(
    "error",
    [
        errors.BackendFailed("It broke."),
        errors.WorkerDied("It crashed.", retryable=False),
        errors.BadOutput("All black."),
        errors.NotConfigured("The key is not taken."),
        errors.MissingExtra("torch", "local"),
    ],
    ids=lambda error: error.code,
)
async def test_any_fault_of_the_route_leads_on(house, tools, ann, local, cloud, poem, error, ended):
    local.script = fails(error)
    async with house.queue(local, cloud) as queue:
        job = await ended(queue, tools.call(of=poem))
    assert (job.state, job.route.backend) == (JobState.SUCCEEDED, "cloud")


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidArguments([errors.Problem("prompt", "is too long.")]),
        errors.BadMedia("The input cannot be read."),
        errors.Refused("No."),
        errors.ContentRefused("Not this."),
        errors.StorageFailed("The disk is full."),
        RuntimeError("a bug"),
    ],
    ids=lambda error: getattr(error, "code", "bug"),
)
async def test_what_is_no_fault_of_the_route_ends_the_job(
    house, tools, ann, local, cloud, poem, error, ended
):
    local.script = fails(error)
    async with house.queue(local, cloud) as queue:
        job = await ended(queue, tools.call(of=poem))
    assert (job.state, job.route.backend) == (JobState.FAILED, "local")
    assert job.failure.code == getattr(error, "code", "bug")
    assert "cloud" not in job.failure.hint
    assert cloud.runs == []


async def test_the_retries_of_a_route_are_spent_first_and_the_next_has_its_own(
    house, tools, ann, local, cloud, poem, ended
):
    crash = errors.WorkerDied("It crashed.")
    local.script = cloud.script = fails(crash)
    async with house.queue(local, cloud, attempts=2) as queue:
        job = await ended(queue, tools.call(of=poem))
        told = [e.message for e in await queue.events(job.id, ann)]
    assert (len(local.runs), len(cloud.runs), job.attempt) == (2, 2, 4)
    assert (job.state, job.failure.message, job.failure.hint) == (
        JobState.FAILED,
        "It crashed.",
        "",
    )
    assert [words for words in told if words.startswith("queued")] == [
        "queued for local",
        "queued again: attempt 1 of 2 failed: It crashed.",
        "queued for cloud: local failed (It crashed.); next by prefer=card",
        "queued again: attempt 1 of 2 failed: It crashed.",
    ]


async def test_each_route_is_tried_once_in_the_order_that_is_preferred(house, tools, ann, ended):
    price = {"a": 0.0, "b": 0.0, "c": 0.0, "d": 0.0}
    broken = fails(errors.BackendFailed("It broke."))
    backends = [house.backend(name=n, price=p, script=broken) for n, p in price.items()]
    backends[1].ready = Readiness(False, "down", "Wait.")
    model = tools.model("poem", "c", "b", "a", "d")
    async with house.queue(*backends) as queue:
        job = await ended(queue, tools.call(of=model))
    assert [len(backend.runs) for backend in backends] == [1, 0, 1, 1]
    assert job.why_route == "d: a failed (It broke); next by prefer=card"
    assert [key.split()[0] for key in job.tried] == ["c", "a"]
    assert (job.state, job.failure.message) == (JobState.FAILED, "It broke.")


async def test_two_routes_to_one_backend_are_two_routes(house, tools, ann, ended):
    cloud = house.backend(name="cloud", price=0.0)

    async def first_is_down(run):
        if run.route.spec["endpoint"] == "one":
            raise errors.BackendFailed("Endpoint one is gone.")

    cloud.script = first_is_down
    route = tools.model("poem", "cloud").routes[0]
    routes = tuple(tools.replace(route, spec={"endpoint": name}) for name in ("one", "two"))
    model = tools.replace(tools.model(), routes=routes)
    async with house.queue(cloud) as queue:
        job = await ended(queue, tools.call(of=model))
    assert (job.state, job.route.spec) == (JobState.SUCCEEDED, {"endpoint": "two"})


async def test_output_that_is_no_use_leads_on_where_it_cost_nothing(
    house, tools, ann, local, cloud, poem, ended
):
    async def nothing(run):
        return Result((), {}, 0.0)

    local.script = nothing
    async with house.queue(local, cloud) as queue:
        job = await ended(queue, tools.call(of=poem))
    assert (job.state, job.route.backend) == (JobState.SUCCEEDED, "cloud")
    assert "local failed (local ended without an output)" in job.why_route


async def test_a_long_reason_is_short_in_the_answer_and_whole_in_the_event(
    house, tools, ann, local, cloud, poem, ended
):
    local.script = fails(errors.BackendFailed(f"It broke:\n {'very ' * 40}badly."))
    async with house.queue(local, cloud) as queue:
        job = await ended(queue, tools.call(of=poem))
        told = [e.message for e in await queue.events(job.id, ann)]
    assert len(job.why_route) <= 140
    assert job.why_route.endswith("…); next by prefer=card")
    assert any("badly.); next by prefer=card" in words for words in told)


async def test_what_the_route_before_knew_is_not_told_to_the_next(
    house, tools, ann, local, cloud, poem, ended
):
    local.script = fails(FULL, Report("remote", message="r-1"), Report("progress", 1, 4))
    async with house.queue(local, cloud) as queue:
        job = await ended(queue, tools.call(of=poem))
    assert cloud.runs[0].remote_id is None
    assert (job.remote_id, job.step) == (None, None)


async def test_the_seconds_of_a_job_that_changed_its_route_say_nothing_of_that_route(
    house, tools, ann, local, cloud, poem, ended
):
    async with house.queue(local, cloud) as queue:
        await ended(queue, tools.call(of=poem))
        assert await queue.durations("poem", "cloud") == []


async def test_a_job_goes_on_after_a_restart_and_does_not_turn_back(
    house, tools, ann, local, cloud, poem
):
    cloud.script = lambda run: anyio.sleep_forever()
    async with house.queue(local, cloud) as queue:
        job = (await queue.submit(tools.call(of=poem))).job
        await cloud.started()
    local.script = None
    cloud.script = fails(errors.BackendFailed("It broke."))
    async with house.queue(local, cloud) as queue:
        job = await queue.wait(job.id, ann, 10)
    assert (job.state, job.route.backend) == (JobState.FAILED, "cloud")
    assert len(local.runs) == 1


async def test_the_rules_of_the_project_hold_for_the_next_route_too(
    house, tools, ann, local, cloud, poem, ended
):
    async with house.queue(local, cloud, projects={"f": ProjectRules(offline=True)}) as queue:
        job = await ended(queue, tools.call(of=poem, project="f"))
    assert (job.state, job.failure.hint) == (JobState.FAILED, "Use a smaller one.")
    assert cloud.runs == []


async def test_a_job_that_was_cancelled_meanwhile_goes_nowhere(
    house, tools, ann, local, cloud, poem, ended
):
    ready = cloud.readiness
    async with house.queue(local, cloud) as queue:

        async def cancelled_first():
            (job,) = await queue.jobs(ann)
            await queue._store.cancel(job.id, "ann", "changed my mind")
            return await ready()

        cloud.readiness = cancelled_first
        job = await ended(queue, tools.call(of=poem))
    assert (job.state, job.message, job.route.backend) == (
        JobState.CANCELLED,
        "changed my mind",
        "local",
    )


# It does not


async def test_who_named_the_backend_gets_no_other(house, tools, ann, local, cloud, poem, ended):
    async with house.queue(local, cloud) as queue:
        job = await ended(queue, tools.call(of=poem, backend="local"))
    assert (job.state, job.failure.hint) == (JobState.FAILED, "Use a smaller one.")
    assert cloud.runs == []


async def test_a_job_that_is_to_run_once_goes_nowhere(house, tools, ann, local, cloud, poem, ended):
    async with house.queue(local, cloud) as queue:
        job = await ended(queue, tools.call(of=poem, once=True))
    assert (job.state, cloud.runs) == (JobState.FAILED, [])


async def test_a_rehearsal_never_becomes_the_real_thing(house, tools, ann, cloud, poem):
    rehearsal = house.backend(name="rehearsal", price=0.0, script=lambda run: anyio.sleep_forever())
    async with house.queue(rehearsal, cloud, rehearse=True) as queue:
        job = (await queue.submit(tools.call(of=poem))).job
        await rehearsal.started()
    rehearsal.script = fails(FULL)
    async with house.queue(rehearsal, cloud) as queue:
        job = await queue.wait(job.id, ann, 10)
    assert (job.state, cloud.runs) == (JobState.FAILED, [])


PAID = (
    "cloud may have to be paid for it, so local was not tried. To run it there: "
    "run_model(model='poem', arguments=…, backend='local'), or --backend local."
)


@pytest.mark.parametrize(
    ("error", "reports"),
    [
        (errors.BackendFailed("It broke.", "Wait."), [Report("remote", message="r-1")]),
        (errors.MaybeSpent("Its answer got lost.", "Wait."), []),
    ],
    ids=["a request was made", "nobody knows"],
)
async def test_where_money_may_be_spent_the_other_route_is_named_and_not_taken(
    house, tools, ann, local, cloud, error, reports, ended
):
    local.script, cloud.script = None, fails(error, *reports)
    async with house.queue(local, cloud) as queue:
        job = await ended(queue, tools.call(of=tools.model("poem", "cloud", "local")))
    assert (job.state, local.runs) == (JobState.FAILED, [])
    assert (job.failure.code, job.failure.message) == (error.code, error.message)
    assert job.failure.hint == f"{PAID} Wait."


@pytest.mark.parametrize(
    ("cost", "price", "taken"), [(None, 2.0, 0), (0.1, None, 0), (0.0, 2.0, 1)]
)
async def test_a_result_that_cost_money_leads_nowhere_though_it_is_no_use(
    house, tools, ann, local, cloud, cost, price, taken, ended
):
    async def nothing(run):
        return Result((), {}, cost)

    local.script, cloud.script, cloud.price = None, nothing, price
    model = tools.model("poem", "cloud", "local")
    routes = tuple(tools.replace(route, price=None) for route in model.routes)
    async with house.queue(local, cloud) as queue:
        job = await ended(queue, tools.call(of=tools.replace(model, routes=routes)))
    assert len(local.runs) == taken
    if not taken:
        assert (job.cost, job.failure.code) == (cost, "bad_output")
        assert job.failure.hint.startswith(PAID)


async def test_a_request_that_was_forgotten_again_costs_nothing(
    house, tools, ann, local, cloud, ended
):
    local.script = None
    unsent = errors.BackendFailed("Nothing came through.", retryable=True)
    cloud.script = fails(unsent, Report("remote", message="sent"), Report("remote", message=""))
    async with house.queue(local, cloud, attempts=1) as queue:
        job = await ended(queue, tools.call(of=tools.model("poem", "cloud", "local")))
    assert (job.state, job.route.backend) == (JobState.SUCCEEDED, "local")


async def test_money_that_an_earlier_attempt_may_have_spent_counts(
    house, tools, ann, local, cloud, ended
):
    local.script = None

    async def lose_touch(run):
        if run.attempt == 1:
            await run.report(Report("remote", message="r-1"))
        raise errors.BackendFailed("It broke.", retryable=True)

    cloud.script = lose_touch
    async with house.queue(local, cloud, attempts=2) as queue:
        job = await ended(queue, tools.call(of=tools.model("poem", "cloud", "local")))
    assert (len(cloud.runs), local.runs) == (2, [])
    assert job.failure.hint.startswith(PAID)


@pytest.mark.parametrize(
    ("price", "words"),
    [
        (2.0, "cloud could run it for up to $2.00, which is more than was agreed to."),
        (None, "cloud could run it at a price nobody knows, which is more than was agreed to."),
    ],
)
async def test_a_route_that_costs_more_than_was_agreed_to_is_named_and_not_taken(
    house, tools, ann, local, cloud, poem, price, words, ended
):
    cloud.price = price
    routes = tuple(tools.replace(route, price=None) for route in poem.routes)
    model = tools.replace(poem, routes=routes)
    async with house.queue(local, cloud, confirm_above=1.0) as queue:
        job = await ended(queue, tools.call(of=model))
    assert (job.state, cloud.runs) == (JobState.FAILED, [])
    assert job.failure.hint == f"{words} To run it there: {CALL} Use a smaller one."


async def test_a_route_that_costs_no_more_than_was_agreed_to_is_taken(
    house, tools, ann, cloud, ended
):
    backends = [
        house.backend(name=name, price=price, script=fails(errors.BackendFailed("It broke.")))
        for name, price in (("first", 3.0), ("dearer", 4.0), ("free", 0.0), ("small", 0.9))
    ]
    model = tools.model("poem", "first", "dearer", "cloud", "free", "dearer", "small")
    async with house.queue(*backends, cloud, confirm_above=1.0) as queue:
        cloud.script = fails(errors.BackendFailed("It broke."))
        job = await ended(queue, tools.call(of=model, agreed=3.0))
    assert [len(backend.runs) for backend in (*backends, cloud)] == [1, 0, 1, 1, 1]
    assert job.failure.hint.startswith("dearer could run it for up to $4.00")


async def test_where_no_other_route_is_ready_the_failure_is_told_as_it_is(
    house, tools, ann, local, cloud, poem, ended
):
    cloud.ready = Readiness(False, "down", "Wait.")
    local.script = fails(errors.MaybeSpent("Its answer got lost.", "Look there."))
    async with house.queue(local, cloud) as queue:
        job = await ended(queue, tools.call(of=poem))
    assert (job.failure.message, job.failure.hint) == ("Its answer got lost.", "Look there.")


async def test_a_bug_in_another_backend_does_not_hide_the_failure(
    house, tools, ann, local, cloud, poem, caplog, ended
):
    async def bug():
        raise ZeroDivisionError

    cloud.readiness = bug
    async with house.queue(local, cloud) as queue:
        job = await ended(queue, tools.call(of=poem))
    assert (job.failure.code, job.failure.hint) == ("out_of_memory", "Use a smaller one.")
    assert "No other route was found" in caplog.text


# Around it


async def test_another_server_takes_up_a_job_that_changed_its_route(
    house, tools, ann, local, cloud, poem, ended
):
    """The first server is too busy at the new route; the second has nothing to do."""
    gate = anyio.Event()
    busy = house.backend(name="cloud", price=2.0, script=lambda run: tools.gone(gate))
    store = SqliteStore(house.folder / "jobs.sqlite", this_instance())
    async with house.queue(local, busy) as first:
        held = (await first.submit(tools.call("holds the slot", of=poem, backend="cloud"))).job
        await busy.started()
        async with house.queue(cloud, store=store):
            job = await ended(first, tools.call(of=poem))
        gate.set()
        await first.wait(held.id, ann, 10)
    assert (job.state, len(cloud.runs), len(busy.runs)) == (JobState.SUCCEEDED, 1, 1)


async def test_a_run_knows_whether_it_is_given_up_or_only_left(house, tools, ann, cloud):
    told = []

    async def wait(run):
        try:
            await anyio.sleep_forever()
        finally:
            told.append(run.given_up())

    cloud.script = wait
    async with house.queue(cloud) as queue:
        job = (await queue.submit(tools.call(of=tools.model("poem", "cloud")))).job
        await cloud.started()
        await queue.cancel(job.id, ann)
        await queue.submit(tools.call(of=tools.model("poem", "cloud")))
        await cloud.started()
    assert told == [True, False]
