"""What jobs may cost: limits refuse before anything is spent, and the ledger adds up."""

import anyio
import pytest

from media_mcp.backends.base import Report
from media_mcp.errors import (
    BackendFailed,
    BadSettings,
    MaybeSpent,
    OverBudget,
    Refused,
    TooMany,
)
from media_mcp.job import Caller, JobState, Quote
from media_mcp.queue.budget import day_of, need
from media_mcp.settings import load_settings

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0
ANN = Caller("ann")


def settings(tmp_path, **given):
    return load_settings(data_dir=tmp_path, **given)


def words(tmp_path, quote, caller=ANN, **given):
    with pytest.raises(OverBudget) as refused:
        found = need(settings(tmp_path, **given), caller, quote, NOW)
        for limit, wanted in found.binding():
            limit.check(0.0, wanted)
    return str(refused.value)


def test_a_job_that_costs_more_than_is_left_is_refused_with_what_is_left(tmp_path):
    said = words(tmp_path, Quote("fal", 1.0, 2.5), budget={"usd_per_day": 2})
    assert "may cost $2.50, and $2.00 of budget.usd_per_day = 2 is left today." in said
    assert "A new day begins at 2027-01-16 00:00 UTC." in said
    assert "Only media-mcp.toml can allow more." in said


def test_each_limit_has_the_name_of_its_setting(tmp_path):
    quote, films = Quote("fal", 5, 5), Caller("ann", "films")
    project = {"projects": {"films": {"budget": {"usd": 1}}}}
    assert "projects.films.budget.usd = 1 is left. Only" in words(tmp_path, quote, films, **project)
    own = {"callers": {"ann": {"budget": {"usd_per_day": 1}}}}
    assert "callers.ann.budget.usd_per_day = 1" in words(tmp_path, quote, **own)


def test_limits_of_others_do_not_hold(tmp_path):
    given = {
        "projects": {"films": {"budget": {"usd": 1}}},
        "callers": {"bob": {"budget": {"usd": 1}}},
    }
    assert need(settings(tmp_path, **given), ANN, Quote("fal", 5, 5), NOW).limits == ()


def test_a_price_that_nobody_knows_is_refused_where_money_is_limited(tmp_path):
    said = words(tmp_path, Quote("fal", None, None), budget={"usd": 3})
    assert "Nobody knows what it costs on fal, and budget.usd = 3 limits" in said
    assert "have budget.usd_if_unknown in media-mcp.toml say what" in said


def test_a_price_that_nobody_knows_counts_as_the_settings_say(tmp_path):
    budget = {"usd": 3, "usd_if_unknown": 0.4}
    assert need(settings(tmp_path, budget=budget), ANN, Quote("fal", None, None), NOW).usd == 0.4


def test_without_a_limit_of_money_an_unknown_price_sets_nothing_aside(tmp_path):
    given = settings(tmp_path, budget={"gpu_seconds": 10})
    assert need(given, ANN, Quote("fal", None, None), NOW).usd == 0.0


def test_what_is_free_needs_no_money_and_what_runs_elsewhere_no_device(tmp_path):
    given = settings(tmp_path, budget={"usd": 0, "gpu_seconds": 0})
    assert not list(need(given, ANN, Quote("fal", 0.0, 0.0), NOW).binding())


def test_a_job_of_unknown_length_runs_as_long_as_anything_is_left(tmp_path):
    quote, budget = Quote("local", 0.0, 0.0, gpu_seconds=0.0), {"gpu_seconds_per_day": 60}
    ((limit, wanted),) = need(settings(tmp_path, budget=budget), ANN, quote, NOW).binding()
    limit.check(59.0, wanted)
    with pytest.raises(OverBudget, match=r"0 GPU-seconds of budget\.gpu_seconds_per_day = 60"):
        limit.check(60.0, wanted)


@pytest.mark.parametrize("rate, usd", [("H200", 2.10), ("h100", 1.89), ("A100", 0.99), (3, 3.0)])
def test_the_rate_of_a_device_is_a_number_or_a_known_card(tmp_path, rate, usd):
    assert settings(tmp_path, gpu_rate=rate).gpu_rate == usd


@pytest.mark.parametrize("wrong", ["B300", -1, float("nan")])
def test_a_rate_that_is_neither_is_refused(tmp_path, wrong):
    with pytest.raises(BadSettings, match="Setting gpu_rate"):
        settings(tmp_path, gpu_rate=wrong)


def test_a_limit_below_nothing_is_refused(tmp_path):
    with pytest.raises(BadSettings, match=r"Setting budget\.usd"):
        settings(tmp_path, budget={"usd": -1})


async def test_what_runs_counts_as_set_aside_and_then_as_what_it_cost(house, tools):
    gate = anyio.Event()
    backend = house.backend(script=lambda run: tools.gone(gate))
    async with house.queue(backend, budget={"usd_per_day": 1.0}) as queue:
        first = await queue.submit(tools.call("one"))
        await queue.submit(tools.call("two"))
        assert (await queue.books.spend(ANN))["left"] == {"budget.usd_per_day": 0.0}
        with pytest.raises(OverBudget, match=r"may cost \$0\.50, and \$0\.00 of"):
            await queue.submit(tools.call("three"))
        gate.set()
        await queue.wait(first.job.id, ANN, 10)
        spent = await queue.books.spend(ANN)
        assert (spent["cost"], spent["reserved"]) == (0.25, 0.5)
        assert spent["left"] == {"budget.usd_per_day": 0.25}


async def test_a_refused_call_leaves_no_job_and_a_repeated_one_still_joins(house, tools):
    backend = house.backend(script=lambda run: tools.gone(anyio.Event()))
    async with house.queue(backend, budget={"usd": 0.6}) as queue:
        first = await queue.submit(tools.call("one"))
        with pytest.raises(OverBudget):
            await queue.submit(tools.call("two"))
        again = await queue.submit(tools.call("one"))
        assert (again.joined, again.job.id) == (True, first.job.id)
        assert len(await queue.jobs(ANN)) == 1


async def test_many_submits_at_once_never_go_over_the_limit(house, tools):
    backend = house.backend()
    async with house.queue(backend, budget={"usd": 2.0}) as queue:
        refused = []

        async def submit(number):
            try:
                await queue.submit(tools.call(f"poem {number}", fresh=True))
            except OverBudget:
                refused.append(number)

        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(submit, number)
        jobs = await queue.jobs(ANN)
        assert refused and len(jobs) + len(refused) == 50
        for job in jobs:
            await queue.wait(job.id, ANN, 10)
        spent = await queue.books.spend(ANN)
        assert spent["cost"] == 0.25 * len(jobs) <= 2.0
        assert await queue.books.unbalanced() == []


async def test_a_failure_that_was_not_billed_gives_everything_back(house, tools):
    async def fail(run):
        raise BackendFailed("It broke.", "Mend it.")

    async with house.queue(house.backend(script=fail), budget={"usd": 0.5}) as queue:
        job = (await queue.submit(tools.call())).job
        await queue.wait(job.id, ANN, 10)
        assert (await queue.books.spend(ANN))["left"] == {"budget.usd": 0.5}
        assert await queue.books.unbalanced() == []


async def test_what_may_have_been_billed_counts_in_full_and_is_told_apart(house, tools):
    async def fail(run):
        raise MaybeSpent("It may have run.", "Look at the bill.")

    async with house.queue(house.backend(script=fail), budget={"usd": 0.9}) as queue:
        job = (await queue.submit(tools.call())).job
        await queue.wait(job.id, ANN, 10)
        spent = await queue.books.spend(ANN)
        assert (spent["cost"], spent["unsure"]) == (0.5, 0.5)
        assert spent["left"] == {"budget.usd": 0.4}


async def test_what_was_stopped_elsewhere_may_be_billed(house, tools):
    async def remote(run):
        await run.report(Report("remote", message="r1"))
        begun.set()
        await anyio.sleep_forever()

    begun = anyio.Event()
    async with house.queue(house.backend(script=remote)) as queue:
        job = (await queue.submit(tools.call())).job
        await begun.wait()
        assert (await queue.cancel(job.id, ANN)).state is JobState.CANCELLED
        assert (await queue.books.spend(ANN))["unsure"] == 0.5
        assert await queue.books.unbalanced() == []


async def test_what_was_cancelled_before_it_ran_costs_nothing(house, tools):
    backend = house.backend(script=lambda run: tools.gone(anyio.Event()))
    async with house.queue(backend) as queue:
        await queue.submit(tools.call("one"))
        waits = (await queue.submit(tools.call("two"))).job
        await queue.cancel(waits.id, ANN)
        spent = await queue.books.spend(ANN)
        assert (spent["cost"], spent["reserved"]) == (0.0, 0.5)


async def test_time_on_a_device_of_ours_costs_what_the_rate_says(house, tools):
    backend = house.backend(price=0.0, seconds=2.0, gpu=7200.0)
    backend.script = lambda run: done(tools.wrote(run, cost=0.0))
    async with house.queue(backend, gpu_rate=2.0) as queue:
        (quote,) = await queue.quotes(tools.model(), {"prompt": "x"})
        assert (quote.high, quote.certainty) == (4.0, "estimated")
        assert quote.basis == "7.2e+03 s on this machine at $2 an hour"
        job = await queue.wait((await queue.submit(tools.call())).job.id, ANN, 10)
        spent = await queue.books.spend(ANN)
        assert job.gpu_seconds > 0
        assert job.cost == pytest.approx(job.gpu_seconds / 1800, abs=1e-6)
        assert spent["gpu_seconds"] == pytest.approx(job.gpu_seconds)
        assert spent["by_route"]["local"]["cost"] == pytest.approx(job.cost)


async def test_seconds_on_a_device_are_counted_over_all_attempts(house, tools):
    tries = []

    async def twice(run):
        tries.append(run)
        if len(tries) == 1:
            raise BackendFailed("It broke.", "Again.", retryable=True)

    async with house.queue(house.backend(script=twice, gpu=0.0)) as queue:
        job = await queue.wait((await queue.submit(tools.call())).job.id, ANN, 10)
        assert (job.attempt, job.state) == (2, JobState.SUCCEEDED)
        assert job.gpu_seconds > 0
        assert await queue.books.unbalanced() == []


async def test_a_limit_of_seconds_refuses_what_runs_here(house, tools):
    backend = house.backend(price=0.0, gpu=90.0)
    async with house.queue(backend, budget={"gpu_seconds": 60}) as queue:
        with pytest.raises(OverBudget, match="90 GPU-seconds, and 60 GPU-seconds of budget"):
            await queue.submit(tools.call())


async def test_a_route_that_would_go_over_the_limit_is_not_taken_when_another_fails(house, tools):
    async def fail(run):
        raise BackendFailed("It broke.", "Mend it.")

    first = house.backend(name="local", script=fail, price=0.0)
    second = house.backend(name="fal", remote=True, price=0.5)
    house.models["poem"] = both = tools.model("poem", "local", "fal")
    async with house.queue(first, second, budget={"usd": 0.2}) as queue:
        job = await queue.wait((await queue.submit(tools.call(of=both))).job.id, ANN, 10)
        assert job.state is JobState.FAILED and not second.runs
        assert "fal could run it, but It may cost $0.50, and $0.20" in job.failure.hint
        assert await queue.books.unbalanced() == []


@pytest.mark.parametrize("told", [-5.0, float("nan"), float("inf")])
async def test_a_bill_that_is_no_amount_counts_as_what_was_set_aside(house, tools, told):
    backend = house.backend(script=lambda run: done(tools.wrote(run, cost=told)))
    async with house.queue(backend, budget={"usd": 1.0}) as queue:
        job = await queue.wait((await queue.submit(tools.call())).job.id, ANN, 10)
        spent = await queue.books.spend(ANN)
        assert (job.state, spent["cost"], spent["unsure"]) == (JobState.SUCCEEDED, 0.5, 0.5)
        assert spent["left"] == {"budget.usd": 0.5}


async def test_a_bill_above_the_quote_counts_and_is_told(house, tools):
    backend = house.backend(script=lambda run: done(tools.wrote(run, cost=0.75)))
    async with house.queue(backend, budget={"usd": 1.0}) as queue:
        job = await queue.wait((await queue.submit(tools.call())).job.id, ANN, 10)
        assert "local billed $0.75, more than the $0.50 it was quoted." in job.findings
        assert (await queue.books.spend(ANN))["left"] == {"budget.usd": 0.25}
        assert await queue.books.unbalanced() == []


async def test_what_costs_more_than_was_agreed_to_is_refused_at_every_door(house, tools):
    async with house.queue(house.backend(), confirm_above=0.4) as queue:
        for door in ("queue", "mcp"):
            with pytest.raises(Refused, match=r"up to \$0\.50, which confirm_above = 0\.4 lets"):
                await queue.submit(tools.call(door=door))
            with pytest.raises(
                Refused, match=r"agreed to \(0\.45\).*with confirm_cost: 0\.5 added"
            ):
                await queue.submit(tools.call(door=door, agreed=0.45))
        assert (await queue.submit(tools.call(agreed=0.5))).job.quoted == 0.5


async def test_a_clock_that_goes_back_locks_nobody_out(house, tools):
    now = [NOW]
    limits = {"jobs_per_minute": 2}
    async with house.queue(house.backend(), limits=limits, clock=lambda: now[0]) as queue:
        for prompt in "ab":
            await queue.submit(tools.call(prompt))
        with pytest.raises(TooMany, match="You made 2 jobs in the last minute"):
            await queue.submit(tools.call("c"))
        now[0] -= 3600
        assert (await queue.submit(tools.call("d"))).job


async def test_the_day_of_a_limit_is_that_of_utc():
    assert day_of(86_400.0 * 20_000 + 5) == 86_400.0 * 20_000


async def done(result):
    return result


async def test_what_is_left_is_of_all_the_lines_of_the_day_and_of_whose_they_are(house, tools):
    moment = [NOW]
    caps = {
        "budget": {"usd": 9.0, "usd_per_day": 9.0},
        "projects": {"films": {"budget": {"usd": 9.0}}},
        "callers": {"ann": {"budget": {"usd": 9.0, "usd_per_day": 9.0}}},
    }
    async with house.queue(house.backend(), clock=lambda: moment[0], **caps) as queue:
        for owner, project in (("ann", "films"), ("ann", "default"), ("bob", "films")):
            for day in range(2):
                moment[0] = NOW + day * 86_400
                made = await queue.submit(tools.call(f"{day}", owner=owner, project=project))
                await queue.wait(made.job.id, Caller(owner, project), 10)
        left = (await queue.books.spend(Caller("ann", "films")))["left"]
    assert left == {
        "budget.usd": 9 - 6 * 0.25,
        "budget.usd_per_day": 9 - 3 * 0.25,
        "projects.films.budget.usd": 9 - 4 * 0.25,
        "callers.ann.budget.usd": 9 - 4 * 0.25,
        "callers.ann.budget.usd_per_day": 9 - 2 * 0.25,
    }


@pytest.mark.parametrize("later", [86_400.0, -86_400.0])
async def test_what_ends_beyond_midnight_is_set_aside_until_then_and_counts_once(
    house, tools, later
):
    moment, gate = [NOW], anyio.Event()
    backend = house.backend(script=lambda run: tools.gone(gate))
    caps = {"budget": {"usd": 9.0, "usd_per_day": 0.6}}
    async with house.queue(backend, clock=lambda: moment[0], **caps) as queue:
        job = (await queue.submit(tools.call("one"))).job
        moment[0] += later
        with pytest.raises(OverBudget, match=r"\$0\.10 of budget\.usd_per_day"):
            await queue.submit(tools.call("two"))
        gate.set()
        await queue.wait(job.id, ANN, 10)
        left = (await queue.books.spend(ANN))["left"]
        assert left == pytest.approx({"budget.usd": 8.75, "budget.usd_per_day": 0.35})
        moment[0] = NOW - 2 * 86_400.0  # a clock that is set back gives no day's money again
        assert (await queue.books.spend(ANN))["left"] == pytest.approx(left)
        assert await queue.books.unbalanced() == []
