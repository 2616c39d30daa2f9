"""The choice of the route, its reason, and the words when there is none."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from media_mcp import errors
from media_mcp.backends.base import Readiness
from media_mcp.catalog.model import Param
from media_mcp.job import Asset, JobState, MediaKind, Price, Quote, Route

pytestmark = pytest.mark.anyio

NO_GPU = Readiness(False, "no GPU.", "Plug one in.")


async def test_the_first_ready_route_is_taken_and_the_reason_names_those_passed(house, tools, ann):
    local, cloud = house.backend(ready=NO_GPU), house.backend(name="cloud", price=0.1)
    async with house.queue(local, cloud) as queue:
        submitted = await queue.submit(tools.call(of=tools.model("poem", "local", "cloud")))
        await queue.wait(submitted.job.id, ann, 10)
    assert submitted.job.route.backend == "cloud"
    assert submitted.job.quoted == 0.1
    assert submitted.job.why_route == "cloud: the first route that is ready (local: no GPU.)"
    assert len(cloud.runs) == 1


async def test_the_backend_that_is_asked_for_is_taken(house, tools):
    async with house.queue(house.backend(), house.backend(name="cloud")) as queue:
        call = tools.call(of=tools.model("poem", "local", "cloud"), backend="cloud")
        submitted = await queue.submit(call)
    assert submitted.job.why_route == "cloud: asked for"


async def test_when_no_route_is_ready_every_reason_and_fix_is_named(house, tools, ann):
    local = house.backend(ready=NO_GPU)
    async with house.queue(local) as queue:
        with pytest.raises(errors.NotConfigured) as caught:
            await queue.submit(tools.call(of=tools.model("poem", "local", "cloud")))
        assert await queue.jobs(ann) == []
    assert caught.value.message == (
        "poem cannot run now (local: no GPU; cloud: not set up on this server)."
    )
    assert caught.value.hint == "Plug one in. Run: media-mcp doctor"


async def test_a_route_that_was_asked_for_and_is_not_ready_is_not_replaced(house, tools):
    async with house.queue(house.backend(ready=NO_GPU), house.backend(name="cloud")) as queue:
        with pytest.raises(errors.NotConfigured, match="local: no GPU"):
            await queue.submit(
                tools.call(of=tools.model("poem", "local", "cloud"), backend="local")
            )


async def test_a_backend_that_the_model_has_no_route_to_is_a_bad_argument(house, tools):
    async with house.queue(house.backend()) as queue:
        with pytest.raises(errors.InvalidArguments) as caught:
            await queue.submit(tools.call(backend="mars"))
    assert caught.value.message == "backend: poem has no route to 'mars'."
    assert caught.value.hint == "Its routes: local. Or leave backend out."


async def test_a_model_without_routes_says_so(house, tools):
    bare = tools.replace(tools.model(), routes=())
    async with house.queue(house.backend()) as queue:
        with pytest.raises(errors.NotConfigured, match="poem has no route"):
            await queue.submit(tools.call(of=bare))


async def test_a_quote_that_is_not_ready_refuses_its_route(house, tools):
    tiny = house.backend()
    tiny.quote = lambda model, route, arguments: Quote(
        "local", None, None, ready=False, reason="needs 80 GB of memory, has 8"
    )
    async with house.queue(tiny) as queue:
        with pytest.raises(errors.NotConfigured, match="needs 80 GB of memory, has 8") as caught:
            await queue.submit(tools.call())
    assert caught.value.hint == (
        "find_models(runs_here=true), or media-mcp models --runs-here, lists what can run now."
    )


async def test_rehearsing_runs_every_model_on_the_rehearsal_backend(house, tools, ann):
    rehearsal = house.backend(name="rehearsal", price=0.0)
    async with house.queue(rehearsal, rehearse=True) as queue:
        submitted = await queue.submit(tools.call(of=tools.model("poem", "cloud")))
        job = await queue.wait(submitted.job.id, ann, 10)
        (quote,) = await queue.quotes(tools.model("poem", "cloud"))
    assert (job.state, job.route.backend) == (JobState.SUCCEEDED, "rehearsal")
    assert job.why_route == "rehearsal: the settings say that every model is rehearsed"
    assert (quote.backend, quote.high) == ("rehearsal", 0.0)


async def test_one_call_can_be_rehearsed(house, tools):
    async with house.queue(house.backend(), house.backend(name="rehearsal")) as queue:
        submitted = await queue.submit(tools.call(backend="rehearsal"))
    assert submitted.job.why_route == "rehearsal: asked for"


async def test_quotes_cover_every_route_and_say_which_can_run(house, tools):
    local, cloud = house.backend(ready=NO_GPU, price=0.0), house.backend(name="cloud", price=2.0)
    async with house.queue(local, cloud) as queue:
        quotes = await queue.quotes(tools.model("poem", "local", "cloud", "mars"), {})
    assert [(q.backend, q.high, q.ready, q.reason) for q in quotes] == [
        ("local", 0.0, False, "no GPU. Plug one in."),
        ("cloud", 2.0, True, ""),
        ("mars", 0.5, False, "not set up on this server. Run: media-mcp doctor"),
    ]


async def test_the_cards_price_counts_where_the_backend_knows_none_or_is_not_here(
    house, tools, ann
):
    second = Price(0.1, "second", "listed", "2026-07")
    routes = (Route("fal", {}, second, "MIT"), Route("cloud", {}, second))
    model = tools.replace(tools.model(), routes=routes)
    async with house.queue(house.backend(name="cloud", price=None)) as queue:
        fal, cloud = await queue.quotes(model, {"duration": 5}, backend=None)
        submitted = await queue.submit(tools.call(of=model, arguments={"duration": 5}))
    assert (fal.low, fal.high, fal.certainty, fal.as_of) == (0.5, 0.5, "listed", "2026-07")
    assert fal.basis == "5 seconds × $0.1 (listed 2026-07)"
    assert (fal.ready, fal.licence) == (False, "MIT")
    assert fal.reason == "not set up on this server. Set FAL_KEY, and install the backend fal."
    assert (cloud.ready, cloud.high, cloud.licence) == (True, 0.5, "")
    assert submitted.job.quoted == 0.5


async def test_the_price_of_a_call_hangs_on_the_media_that_it_brings(house, tools):
    clip = Param("video_url", "string", required=True, media=MediaKind.VIDEO)
    route = Route("cloud", {}, Price(0.1, "second"))
    model = tools.replace(tools.model(), inputs=(clip,), routes=(route,))
    seven = Asset("media://a", Path("a"), MediaKind.VIDEO, "video/mp4", 1, duration=7.0)
    call = tools.call(of=model, arguments={"video_url": "media://a"}, inputs={"media://a": seven})
    async with house.queue(house.backend(name="cloud", price=None)) as queue:
        (quote,) = await queue.quotes(model, call.arguments, call.inputs)
        (unknown,) = await queue.quotes(model, {})
        (typical,) = await queue.quotes(model)
        submitted = await queue.submit(call)
    assert (quote.high, unknown.high, typical.high) == (pytest.approx(0.7), None, 0.5)
    assert "the length of video_url" in unknown.basis
    assert submitted.job.quoted == quote.high


async def test_a_route_without_a_price_is_unknown(house, tools):
    model = tools.replace(tools.model(), routes=(Route("cloud"),))
    async with house.queue(house.backend(name="cloud", price=None)) as queue:
        (quote,) = await queue.quotes(model, {})
    assert (quote.high, quote.certainty, quote.basis) == (None, "unknown", "price unknown")


async def test_only_the_route_that_is_asked_for_is_quoted(house, tools):
    async with house.queue(house.backend(), house.backend(name="cloud")) as queue:
        both = tools.model("poem", "local", "cloud")
        assert [q.backend for q in await queue.quotes(both, {}, backend="cloud")] == ["cloud"]
        with pytest.raises(errors.InvalidArguments, match="no route to 'mars'"):
            await queue.quotes(both, {}, backend="mars")


async def test_the_backends_that_are_ready_are_told(house):
    async with house.queue(house.backend(ready=NO_GPU), house.backend(name="cloud")) as queue:
        assert await queue.ready_backends() == {"cloud"}


async def test_the_time_is_what_the_backend_knows_else_what_it_took_else_the_class_of_speed(
    house, tools, ann
):
    clock = SimpleNamespace(now=1_800_000_000.0)
    backend = house.backend(seconds=None)

    async def take(run):
        clock.now += run.arguments["seconds"]

    backend.script = take
    slow, fast, bare = (tools.replace(tools.model(), speed=speed) for speed in ("slow", "fast", ""))
    async with house.queue(backend, clock=lambda: clock.now) as queue:
        told = [(await queue.quotes(model, {}))[0] for model in (slow, fast, bare)]
        assert [(q.seconds, q.timing) for q in told] == [
            (None, "slow: minutes"),
            (10.0, "fast: under 10 s"),
            (None, "unknown"),
        ]
        assert (await queue.quotes(fast, {}, timed=False))[0].seconds is None
        for seconds, timing in ((30, "as the last one here"), (2, "median of the last 2 here")):
            job = (
                await queue.submit(tools.call(arguments={"prompt": "x", "seconds": seconds}))
            ).job
            await queue.wait(job.id, ann, 10)
            (quote,) = await queue.quotes(fast, {})
            assert (quote.seconds, quote.timing) == ((30 if seconds == 30 else 16), timing)
        backend.seconds = 1.5
        (quote,) = await queue.quotes(fast, {})
    assert (quote.seconds, quote.timing) == (1.5, "")
