"""Rules of a project: which routes may run, which goes first, and the words of a refusal."""

from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from media_mcp import errors
from media_mcp.backends.base import Readiness, Report
from media_mcp.catalog.model import Param
from media_mcp.job import Asset, Caller, JobState, MediaKind, Route, Webhook
from media_mcp.queue.routing import allowed, key_of
from media_mcp.tables import ProjectRules

pytestmark = pytest.mark.anyio

NO_GPU = Readiness(False, "no GPU.", "Plug one in.")
CLIP = Param("video_url", "string", required=True, media=MediaKind.VIDEO)
SEVEN = Asset("media://a", Path("a"), MediaKind.VIDEO, "video/mp4", 1, duration=7.0)


@pytest.fixture
async def town(house):
    """A place here and two elsewhere, each with its price and pace."""
    return SimpleNamespace(
        local=house.backend(price=0.0, seconds=60.0),
        cloud=house.backend(name="cloud", price=2.0, seconds=5.0, remote=True),
        shop=house.backend(name="shop", price=0.5, seconds=None, remote=True),
    )


@pytest.fixture
def poem(tools):
    """A model with a route to each of them, the nearest in the middle."""
    return tools.model("poem", "cloud", "local", "shop")


def everywhere(house, town, **settings):
    return house.queue(town.local, town.cloud, town.shop, **settings)


# Order


@pytest.mark.parametrize(
    ("prefer", "order", "why"),
    [
        ("card", "cloud local shop", "cloud: the model's first route, and it is ready"),
        ("local", "local cloud shop", "local: first by prefer=local"),
        ("hosted", "cloud shop local", "cloud: first by prefer=hosted"),
        ("cheapest", "local shop cloud", "local: first by prefer=cheapest"),
        ("fastest", "cloud local shop", "cloud: first by prefer=fastest"),
    ],
)
async def test_a_job_takes_the_first_route_by_what_is_preferred_and_quotes_show_the_order(
    house, tools, town, poem, prefer, order, why
):
    async with everywhere(house, town, prefer=prefer) as queue:
        quotes = await queue.quotes(poem, {"prompt": "x"})
        job = (await queue.submit(tools.call(of=poem))).job
    assert [quote.backend for quote in quotes] == order.split()
    assert (job.route.backend, job.why_route) == (order.split()[0], why)


async def test_routes_that_are_not_ready_are_passed_over_with_their_reason(
    house, tools, town, poem
):
    town.local.ready = NO_GPU
    async with everywhere(house, town, prefer="cheapest") as queue:
        job = (await queue.submit(tools.call(of=poem))).job
    assert job.why_route == (
        "shop: the first route by prefer=cheapest that is ready (local: no GPU.)"
    )


async def test_what_is_not_known_comes_last(house, tools):
    dear, unknown = house.backend(price=9.0), house.backend(name="cloud", price=None)
    model = tools.replace(tools.model(), routes=(Route("cloud"), Route("local")))
    async with house.queue(dear, unknown, prefer="cheapest") as queue:
        assert [q.backend for q in await queue.quotes(model, {})] == ["local", "cloud"]


async def test_no_more_is_looked_at_than_the_order_needs(house, tools, town, poem):
    asked = []
    for backend in (town.local, town.cloud, town.shop):
        told = backend.readiness

        async def readiness(name=backend.name, told=told):
            asked.append(name)
            return await told()

        backend.readiness = readiness
    async with everywhere(house, town, prefer="local") as queue:
        await queue.submit(tools.call(of=poem))
    assert asked == ["local"]


async def test_the_fastest_goes_by_how_long_it_took_here_also_where_time_is_not_asked_for(
    house, tools, ann
):
    clock = SimpleNamespace(now=1_800_000_000.0)
    slow, quick = house.backend(seconds=None), house.backend(name="cloud", seconds=None)

    async def take(run):
        clock.now += 30 if run.route.backend == "local" else 3

    slow.script = quick.script = take
    model = tools.model("poem", "local", "cloud")
    async with house.queue(slow, quick, prefer="fastest", clock=lambda: clock.now) as queue:
        for backend in ("local", "cloud"):
            job = (await queue.submit(tools.call(of=model, backend=backend))).job
            await queue.wait(job.id, ann, 10)
        quotes = await queue.quotes(model, {}, timed=False)
        chosen = (await queue.submit(tools.call("another", of=model))).job
    assert [(q.backend, q.seconds) for q in quotes] == [("cloud", 3.0), ("local", 30.0)]
    assert chosen.route.backend == "cloud"


async def test_the_backend_that_is_asked_for_is_taken_whatever_is_preferred(
    house, tools, town, poem
):
    async with everywhere(house, town, prefer="cheapest") as queue:
        job = (await queue.submit(tools.call(of=poem, backend="cloud"))).job
    assert (job.why_route, job.pinned) == ("cloud: asked for", True)


# Offline


async def test_offline_only_what_stays_on_this_machine_runs_and_quotes_say_why(
    house, tools, town, poem
):
    async with everywhere(house, town, offline=True) as queue:
        quotes = await queue.quotes(poem, {"prompt": "x"})
        job = (await queue.submit(tools.call(of=poem))).job
    words = (
        "offline = true forbids what leaves this machine. Only offline in media-mcp.toml can "
        "allow it."
    )
    assert [(q.backend, q.ready, q.reason, q.high) for q in quotes] == [
        ("cloud", False, words, 2.0),
        ("local", True, "", 0.0),
        ("shop", False, words, 0.5),
    ]
    assert job.why_route == (
        "local: the first route that is ready "
        "(cloud: offline = true forbids what leaves this machine)"
    )


async def test_offline_a_hosted_model_is_refused_and_names_what_runs_here_instead(
    house, tools, town
):
    house.models = {
        "verse": tools.model("verse", "local"),
        "song": tools.model("song", "cloud"),
        "haiku": tools.model("haiku", "cloud", "local"),
        "ode": tools.model("ode", "local"),
        "epic": tools.model("epic", "local"),
        "unheard-of": errors.NotFound("There is no such model."),
    }
    names = ("unheard-of", "song", "verse", "haiku", "ode", "epic")
    hosted = tools.replace(tools.model("poem", "cloud", "shop"), alternatives=names)
    async with everywhere(house, town, offline=True) as queue:
        with pytest.raises(errors.Refused) as caught:
            await queue.submit(tools.call(of=hosted))
        assert await queue.jobs(Caller("ann")) == []
    assert caught.value.message == (
        "poem may not run (cloud: offline = true forbids what leaves this machine; "
        "shop: offline = true forbids what leaves this machine)."
    )
    assert caught.value.hint == (
        "Use verse or haiku or ode, which can run now. Only offline in media-mcp.toml can allow it."
    )


async def test_a_refused_backend_that_was_asked_for_names_the_one_that_may_run(
    house, tools, town, poem
):
    async with everywhere(house, town, offline=True) as queue:
        with pytest.raises(errors.Refused) as caught:
            await queue.submit(tools.call(of=poem, backend="cloud"))
        with pytest.raises(errors.Refused) as alone:
            await queue.submit(tools.call(of=tools.model("poem", "cloud"), backend="cloud"))
    assert caught.value.hint.startswith("Leave backend out to run it on local. Only offline")
    assert alone.value.hint.startswith("find_models(runs_here=true)")


async def test_a_place_that_is_not_set_up_counts_as_elsewhere_but_for_this_machine(house, tools):
    model = tools.model("poem", "mars", "local")
    async with house.queue(offline=True) as queue:
        mars, local = await queue.quotes(model, {})
        with pytest.raises(errors.NotConfigured) as caught:
            await queue.submit(tools.call(of=model))
    assert mars.reason.startswith("offline = true forbids")
    assert local.reason.startswith("not set up on this server")
    assert caught.value.message == (
        "poem cannot run now (mars: offline = true forbids what leaves this machine; "
        "local: not set up on this server)."
    )


async def test_a_backend_that_does_not_tell_is_taken_to_be_elsewhere(house, tools, town):
    stranger = SimpleNamespace(
        name="local",
        concurrency=1,
        readiness=town.local.readiness,
        quote=town.local.quote,
        warm=town.local.warm,
        run=town.local.run,
    )
    async with house.queue(stranger, offline=True) as queue:
        (quote,) = await queue.quotes(tools.model(), {})
    assert quote.reason.startswith("offline = true")


async def test_offline_backends_elsewhere_are_not_even_asked_whether_they_are_ready(
    house, tools, town
):
    async def readiness():
        raise AssertionError("asked")

    town.cloud.readiness = town.shop.readiness = readiness
    async with everywhere(house, town, offline=True) as queue:
        assert await queue.ready_backends() == {"local"}
        await queue.quotes(tools.model("poem", "cloud"), {})


async def test_offline_a_job_that_waits_for_another_place_waits_on(house, tools, town, ann):
    gate = anyio.Event()
    town.cloud.script = lambda run: tools.gone(gate)
    call = tools.call(of=tools.model("poem", "cloud"))
    async with everywhere(house, town) as queue:
        job = (await queue.submit(call)).job
        await town.cloud.started()
    async with everywhere(house, town, offline=True) as queue:
        after = (await queue.submit(tools.call(of=tools.model("song", "local")))).job
        await queue.wait(after.id, ann, 10)
        assert (await queue.get(job.id, ann)).state is JobState.QUEUED
        assert await queue.held_up(job) == "offline forbids cloud"
        assert (await queue.submit(call)).job.id == job.id  # the same call joins it all the same
    assert len(town.cloud.runs) == 1
    gate.set()
    async with everywhere(house, town) as queue:
        assert (await queue.wait(job.id, ann, 10)).state is JobState.SUCCEEDED


async def test_offline_no_webhook_is_taken_or_told(house, tools, ann):
    backend = house.backend()
    call = tools.call(webhook=Webhook("https://example.com/told"))
    async with house.queue(backend, offline=True) as queue:
        with pytest.raises(errors.Refused) as caught:
            await queue.submit(call)
    assert caught.value.message == (
        "A webhook would tell of this job elsewhere, which offline = true forbids."
    )
    async with house.queue(backend) as queue:
        for project in ("films", "default"):
            early = await queue.submit(tools.replace(call, caller=Caller("ann", project)))
            await queue.wait(early.job.id, ann, 10)
    async with house.queue(backend, projects={"films": ProjectRules(offline=True)}) as queue:
        (delivery,) = await queue.outbox.next(1)
    assert delivery.job.caller.project == "default"


# What must stay here


async def test_jobs_with_media_stay_here_and_others_may_leave(house, tools, town):
    film = tools.replace(tools.model("film", "cloud", "local"), inputs=(CLIP,))
    free = tools.replace(film, inputs=(tools.replace(CLIP, required=False),))
    brought = tools.call(of=free, arguments={"prompt": "x"}, inputs={"media://a": SEVEN})
    async with everywhere(house, town, keep_here="inputs") as queue:
        assert (await queue.submit(brought)).job.route.backend == "local"
        assert (await queue.submit(tools.call(of=free))).job.route.backend == "cloud"
        cloud, _ = await queue.quotes(film)  # no call of it comes without a film
    assert cloud.reason == (
        'keep_here = "inputs" keeps it on this machine. '
        "Only keep_here in media-mcp.toml can allow it."
    )


async def test_of_a_private_project_everything_stays_here(house, tools, town, poem):
    rules = {"secret": ProjectRules(keep_here="everything")}
    async with everywhere(house, town, projects=rules) as queue:
        secret = (await queue.submit(tools.call(of=poem, project="secret"))).job
        other = (await queue.submit(tools.call(of=poem, project="other"))).job
        with pytest.raises(errors.Refused) as caught:
            await queue.submit(tools.call(of=tools.model("song", "shop"), project="secret"))
    assert (secret.route.backend, other.route.backend) == ("local", "cloud")
    assert caught.value.message == (
        'song may not run (shop: projects.secret.keep_here = "everything" keeps it on this '
        "machine)."
    )


# Licences


@pytest.mark.parametrize(
    ("licence", "patterns", "fits"),
    [
        ("MIT", (), True),
        ("MIT", ("Apache-2.0", "mit"), True),
        ("MIT (text encoder Llama 3.1 Community)", ("MIT",), False),
        ("MIT (text encoder Llama 3.1 Community)", ("MIT*",), True),
        ("hosted, commercial use", ("hosted, commercial use",), True),
        ("FLUX.1 [dev] Non-Commercial", ("FLUX.1 [dev] Non-Commercial",), True),
        ("FLUX.1 d Non-Commercial", ("FLUX.1 [dev] Non-Commercial",), False),
        ("Apache-2.0", ("Apache-?.0",), True),
        ("", ("MIT",), False),
        ("", ("*",), True),
    ],
)
def test_licences_are_allowed_by_pattern(licence, patterns, fits):
    assert allowed(licence, patterns) is fits


async def test_only_routes_whose_licence_is_allowed_run(house, tools, town):
    routes = (Route("cloud", licence="hosted, research only"), Route("local"))
    model = tools.replace(tools.model(), routes=routes)
    async with everywhere(house, town, licences=["MIT", "Apache-*"]) as queue:
        cloud, local = await queue.quotes(model, {})
        with pytest.raises(errors.Refused) as caught:
            await queue.submit(tools.call(of=tools.replace(model, licence="", routes=routes[1:])))
    assert (cloud.ready, local.ready) == (False, True)
    assert "its licence, 'hosted, research only', is none of licences" in cloud.reason
    assert "its licence, 'unknown', is none of licences" in caught.value.message


async def test_a_rehearsal_needs_no_licence(house, tools):
    rehearsal = house.backend(name="rehearsal", price=0.0)
    async with house.queue(rehearsal, licences=["none"], rehearse=True, offline=True) as queue:
        job = (await queue.submit(tools.call(of=tools.model("poem", "cloud")))).job
        assert await queue.ready_backends() is None
    assert job.route.backend == "rehearsal"


# Projects


async def test_a_projects_own_rules_count_over_the_others(house, tools, town, poem):
    own = {"films": ProjectRules(prefer="cheapest", offline=False, licences=[])}
    settings = {"prefer": "local", "offline": True, "licences": ["Apache-2.0"], "projects": own}
    async with everywhere(house, town, **settings) as queue:
        films = Caller("ann", "films")
        quotes = await queue.quotes(poem, {"prompt": "x"}, caller=films)
        job = (await queue.submit(tools.call(of=poem, project="films"))).job
        usual = await queue.quotes(poem, {"prompt": "x"})
    assert [(q.backend, q.ready) for q in quotes] == [
        ("local", True),
        ("shop", True),
        ("cloud", True),
    ]
    assert job.why_route == "local: first by prefer=cheapest"
    assert not any(quote.ready for quote in usual)


async def test_without_a_caller_the_rules_of_the_servers_project_hold(house, town, poem):
    own = {"films": ProjectRules(offline=True)}
    async with everywhere(house, town, project="films", projects=own) as queue:
        assert [q.backend for q in await queue.quotes(poem, {}) if q.ready] == ["local"]
        assert await queue.ready_backends() == {"local"}


async def test_a_job_that_the_rules_forbid_by_now_is_refused_when_its_turn_comes(
    house, tools, town, ann
):
    gate = anyio.Event()
    town.cloud.script = lambda run: tools.gone(gate)
    model = tools.model("poem", "cloud", "local")
    async with everywhere(house, town) as queue:
        for prompt in ("runs", "waits"):
            await queue.submit(tools.call(prompt, of=model, project="films"))
        await town.cloud.started()
    own = {"films": ProjectRules(offline=True)}
    async with everywhere(house, town, projects=own) as queue:
        ended = [await queue.wait(job.id, ann, 10) for job in await queue.jobs(ann)]
    assert [(job.state, job.failure.code) for job in ended] == [(JobState.FAILED, "refused")] * 2
    assert ended[0].failure.message == (
        "poem may not run on cloud any more "
        "(projects.films.offline = true forbids what leaves this machine)."
    )
    assert "Or take another model or backend." in ended[0].failure.hint
    assert len(town.cloud.runs) == 1


async def test_a_request_that_is_known_elsewhere_is_named_when_the_rules_forbid_its_job(
    house, tools, town, ann
):
    known = anyio.Event()

    async def hang(run):
        await run.report(Report("remote", message="req-7"))
        known.set()
        await anyio.sleep_forever()

    town.cloud.script = hang
    async with everywhere(house, town) as queue:
        job = (await queue.submit(tools.call(of=tools.model("poem", "cloud"), project="f"))).job
        await known.wait()
    async with everywhere(house, town, projects={"f": ProjectRules(offline=True)}) as queue:
        ended = await queue.wait(job.id, ann, 10)
    assert "Its request there is req-7, which may be billed." in ended.failure.message


async def test_why_a_job_waits_is_told(house, tools, ann):
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend) as queue:
        await queue.submit(tools.call("runs"))
        job = (await queue.submit(tools.call("waits"))).job
        assert await queue.held_up(job) == ""
        backend.ready = NO_GPU
        assert await queue.held_up(job) == "local: no GPU"
    async with house.queue() as queue:
        assert await queue.held_up(job) == "local is not set up on this server"


def test_routes_are_told_apart_by_what_they_need_and_not_by_their_price():
    one, other = Route("fal", {"a": 1, "b": (2,)}), Route("fal", {"b": [2], "a": 1}, None, "MIT")
    assert key_of(one) == key_of(other)
    assert key_of(one) != key_of(Route("fal", {"a": 2, "b": [2]}))
    assert key_of(Route("fal", {"at": Path("/w")})) == key_of(Route("fal", {"at": "/w"}))
