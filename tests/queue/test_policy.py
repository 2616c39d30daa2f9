"""The choice of the route, its reason, and the words when there is none."""

import pytest

from media_mcp import errors
from media_mcp.backends.base import Readiness
from media_mcp.job import JobState, Quote

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
    assert caught.value.hint == "Run: media-mcp doctor"


async def test_rehearsing_runs_every_model_on_the_rehearsal_backend(house, tools, ann):
    rehearsal = house.backend(name="rehearsal", price=0.0)
    async with house.queue(rehearsal, rehearse=True) as queue:
        submitted = await queue.submit(tools.call(of=tools.model("poem", "cloud")))
        job = await queue.wait(submitted.job.id, ann, 10)
        (quote,) = await queue.quotes(tools.model("poem", "cloud"), {})
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
        ("mars", None, False, "not set up on this server. Run: media-mcp doctor"),
    ]
