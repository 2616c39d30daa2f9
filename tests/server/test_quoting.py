"""Finding, describing and quoting: what a call would cost, where it can run, what instead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from media_mcp.backends.base import Readiness
from media_mcp.backends.rehearsal import Rehearsal
from media_mcp.catalog.model import Model
from media_mcp.job import JSON, Caller, Quote, Route
from media_mcp.server import answer
from media_mcp.server.app import App, open_app
from media_mcp.server.mcp import McpServer, surface_of
from media_mcp.server.offers import ROW_TOKENS
from media_mcp.settings import load_settings

RUN_HERE = ("clip", "many", "open", "stranger")
DESCRIPTION_TOKENS = 2300  # 1,500 of them for the arguments
pytestmark = pytest.mark.anyio

CARDS = """\
task: text-to-video
provider: Quotation
licence: made for tests
description: Makes clips in tests. Never for film.
inputs:
  prompt: {type: string, required: true, description: What to show.}
  duration: {type: string, enum: ["5", "10", auto], default: auto, description: Seconds.}
  length: {type: string, replaced_by: duration, description: The old name of duration.}
outputs:
  video: {kind: video, mime_type: video/mp4}
variants:
  - id: shop/clip
    title: Clip
    speed: fast
    good_at: [tests]
    bad_at: [film]
    policy: Nothing is refused.
    uncertain: Whether it is any good is not known.
    alternatives: [shop/absent, shop/unheard-of, rehearsal/video]
    routes:
      - backend: mars
        price: {amount: 0.2, unit: second}
      - backend: cloud
        licence: Apache-2.0
        price: {amount: 0.1, unit: second, certainty: listed, as_of: 2026-07, note: silent}
  - id: shop/absent
    title: Absent
    retired: true
    successor: shop/clip
    routes: [{backend: mars, price: {amount: 1, unit: second}}]
  - id: shop/stranger
    title: Stranger
    routes: [{backend: cloud}]
  - id: shop/open
    title: Open
    alternatives: [rehearsal/video]
    routes: [{backend: rehearsal, price: {amount: 0, unit: call, certainty: exact}}]
  - id: shop/everywhere
    title: Everywhere
    inputs: {prompt: null, duration: null, length: null}
    routes:
      - {backend: mars, licence: A licence with a long name, price: &dear {
          amount: 1, unit: image, certainty: estimated, as_of: 2026-07, note: as a report says}}
      - {backend: venus, licence: A licence with a long name, price: *dear}
      - {backend: pluto, licence: A licence with a long name, price: *dear}
  - id: shop/many
    title: Many
    inputs:
      voice: {type: string, description: Who speaks., enum: &voices [
        v00, v01, v02, v03, v04, v05, v06, v07, v08, v09, v10, v11, v12, v13, v14, v15, v16, v17,
        v18, v19, v20, v21, v22, v23, v24, v25, v26, v27, v28, v29]}
    routes: [{backend: cloud, price: {amount: 0.5, unit: video}}]
"""

Shop = Callable[..., AbstractAsyncContextManager[tuple[App, Client]]]


class Cloud(Rehearsal):
    """The rehearsal backend as a place that does not know its own prices."""

    name = "cloud"

    def __init__(self, ready: bool = True) -> None:
        super().__init__()
        self._ready = ready

    async def readiness(self) -> Readiness:
        return Readiness(self._ready, "" if self._ready else "it rains", "Wait.")

    def quote(self, model: Model, route: Route, arguments: Mapping[str, JSON]) -> Quote:
        return Quote(self.name, None, None)


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cards")
    (folder / "shop.yaml").write_text(CARDS)
    return folder


@pytest.fixture
def shop(cards: Path, tmp_path: Path) -> Shop:
    """Open a server with the cards above and a client: `async with shop() as (app, client):`."""

    @asynccontextmanager
    async def open_shop(ready: bool = True, **given: Any) -> AsyncIterator[tuple[App, Client]]:
        settings = load_settings(data_dir=tmp_path / "data", catalog_dirs=[cards], **given)
        async with open_app(settings, backends={"cloud": Cloud(ready)}) as app:
            server = McpServer(surface_of(app))
            async with server.running(app), Client(server.sdk) as client:
                yield app, client

    return open_shop


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    return (await client.call_tool(tool, arguments)).structured_content


async def found(client: Client, **wish: Any) -> set[str]:
    return {row["id"] for row in (await call(client, "find_models", **wish))["models"]}


# find_models


async def test_models_are_found_by_what_they_take_make_and_cost_and_by_maker(shop: Shop) -> None:
    async with shop() as (_, client):
        ours = {"provider": "Quotation", "limit": 20}
        everything = {f"shop/{name}" for name in (*RUN_HERE, "absent", "everywhere")}
        assert await found(client, **ours, media_out="video") == everything
        assert await found(client, **ours, media_out="audio") == set()
        assert await found(client, **ours, media_in="image") == set()
        assert await found(client, **ours, licence="made for tests") == everything
        assert len(await found(client, **ours | {"limit": 2})) == 2
        assert await found(client, **ours, max_price=0.9) == {"shop/many", "shop/open"}
        assert await found(client, **ours, max_price=0) == {"shop/open"}


async def test_models_that_can_run_here_are_found_when_their_backend_is_ready(shop: Shop) -> None:
    ours = {"provider": "Quotation", "limit": 20, "runs_here": True}
    here = {f"shop/{name}" for name in RUN_HERE}
    async with shop() as (_, client):
        assert await found(client, **ours) == here
        assert len(await found(client, **ours | {"limit": 1}) & here) == 1
    async with shop(ready=False) as (_, client):
        assert await found(client, **ours) == {"shop/open"}
    async with shop(rehearse=True) as (_, client):
        assert await found(client, **ours) == {*here, "shop/absent", "shop/everywhere"}


async def test_nothing_found_says_which_filters_to_leave_out(shop: Shop) -> None:
    async with shop() as (_, client):
        facts = await call(client, "find_models", provider="Nobody", max_price=0)
        assert facts["models"] == []
        assert facts["next"] == "Nothing fits. Leave one of these out: provider, max_price."


async def test_rows_say_price_and_place_and_fit_60_tokens(shop: Shop) -> None:
    async with shop() as (_, client):
        facts = await call(client, "find_models", provider="Quotation", limit=20)
        rows = {row["id"]: row for row in facts["models"]}
        assert rows["shop/clip"]["runs_on"] == "cloud"
        assert rows["shop/clip"]["typical_usd"] == "1 to 2"
        assert rows["shop/absent"]["runs_on"].startswith("not ready: mars: not set up")
        assert rows["shop/absent"]["retired"]
        assert rows["shop/stranger"]["price"] == "price unknown"
        assert all(answer.tokens(row) <= ROW_TOKENS for row in rows.values())


async def test_a_list_of_the_whole_catalog_keeps_to_its_budgets(shop: Shop) -> None:
    async with shop() as (_, client):
        for task in ("text-to-image", "image-to-video", "training"):
            facts = await call(client, "find_models", task=task, limit=20)
            assert len(facts["models"]) == 20
            assert all(answer.tokens(row) <= ROW_TOKENS for row in facts["models"])


# describe_model


async def test_a_model_is_described_with_all_that_is_known_of_it(shop: Shop) -> None:
    async with shop() as (_, client):
        facts = await call(client, "describe_model", model="shop/clip")
        assert (facts["good_at"], facts["bad_at"]) == (["tests"], ["film"])
        assert facts["speed"] == "under 10 s"
        assert facts["policy"] == "Nothing is refused."
        assert facts["uncertain"] == "Whether it is any good is not known."
        assert facts["arguments"]["required"] == ["prompt"]
        assert facts["alternatives"] == [
            "rehearsal/video (runs on rehearsal, free)",
            "shop/absent (not ready here)",
        ]
        mars, cloud = facts["routes"]
        assert (mars["backend"], mars["ready"], mars["high_usd"]) == ("mars", False, 2.0)
        assert (cloud["ready"], cloud["licence"]) == (True, "Apache-2.0")
        assert "typical call" in facts["next"]


async def test_a_retired_model_names_its_successor(shop: Shop) -> None:
    async with shop() as (_, client):
        facts = await call(client, "describe_model", model="shop/absent")
        assert (facts["retired"], facts["successor"]) == (True, "shop/clip")
        assert "alternatives" not in facts


async def test_a_description_of_any_model_keeps_to_its_budget(shop: Shop) -> None:
    async with shop() as (app, client):
        longest = sorted(app.catalog.heads, key=lambda h: -len(app.catalog.schema(h.id)))[:10]
        for head in [*longest, *app.catalog.heads[::40]]:
            facts = await call(client, "describe_model", model=head.id)
            assert answer.tokens(facts) <= DESCRIPTION_TOKENS, head.id


# quote


async def test_a_quote_tells_price_date_certainty_time_licence_and_what_is_doubtful(
    shop: Shop,
) -> None:
    async with shop() as (app, client):
        arguments = {"prompt": "waves", "duration": "5"}
        facts = await call(client, "quote", model="shop/clip", arguments=arguments)
        mars, cloud = facts["routes"]
        assert mars["reason"] == "not set up on this server. Run: media-mcp doctor"
        assert cloud == {
            "backend": "cloud",
            "ready": True,
            "low_usd": 0.5,
            "high_usd": 0.5,
            "certainty": "listed",
            "as_of": "2026-07",
            "basis": "5 seconds × $0.1 (listed 2026-07); silent",
            "seconds": 10.0,
            "timing": "fast: under 10 s",
            "licence": "Apache-2.0",
        }
        assert facts["uncertain"] == "Whether it is any good is not known."
        assert facts["alternatives"] == ["rehearsal/video (runs on rehearsal, free)"]
        assert facts["next"] == "run_model(model='shop/clip', arguments=…) runs it on cloud."
        assert answer.tokens(facts) <= answer.MAX_TOKENS
        assert await app.queue.jobs(Caller()) == []


async def test_what_was_left_to_the_model_is_quoted_as_a_range(shop: Shop) -> None:
    async with shop() as (_, client):
        facts = await call(client, "quote", model="shop/clip", arguments={"prompt": "x"})
        cloud = facts["routes"][1]
        assert (cloud["low_usd"], cloud["high_usd"]) == (0.5, 1.0)
        assert cloud["basis"].startswith("5 to 10 seconds × $0.1")


async def test_a_price_that_is_not_known_is_said(shop: Shop) -> None:
    async with shop() as (_, client):
        facts = await call(client, "quote", model="shop/stranger", arguments={"prompt": "x"})
        (route,) = facts["routes"]
        assert (route["low_usd"], route["high_usd"]) == ("unknown", "unknown")
        assert route["basis"] == "price unknown"


async def test_what_runs_here_for_nothing_needs_no_alternative(shop: Shop) -> None:
    async with shop() as (_, client):
        facts = await call(client, "quote", model="shop/open", arguments={"prompt": "x"})
        assert facts["routes"][0]["high_usd"] == 0
        assert "alternatives" not in facts


async def test_the_time_of_earlier_jobs_counts(shop: Shop) -> None:
    async with shop() as (_, client):
        made = await call(
            client, "run_model", model="shop/clip", arguments={"prompt": "x", "duration": "5"}
        )
        assert (made["state"], made["route"]) == ("succeeded", "cloud")
        facts = await call(client, "quote", model="shop/clip", arguments={"prompt": "x"})
        assert facts["routes"][1]["timing"] == "as the last one here"
        assert facts["routes"][1]["seconds"] < 10


async def test_a_quote_for_a_model_that_is_gone_names_its_successor(shop: Shop) -> None:
    async with shop() as (_, client):
        facts = await call(client, "quote", model="shop/absent", arguments={"prompt": "x"})
        assert (facts["retired"], facts["successor"]) == (True, "shop/clip")
        assert facts["next"] == "Use shop/clip, which took its place."


async def test_routes_that_do_not_fit_an_answer_are_counted(shop: Shop) -> None:
    async with shop() as (_, client):
        facts = await call(client, "quote", model="shop/everywhere")
        assert [route["backend"] for route in facts["routes"]] == ["mars", "venus"]
        assert facts["left_out"] == 1
        assert answer.tokens(facts) <= answer.MAX_TOKENS


async def test_a_quote_for_what_cannot_run_says_what_to_do(shop: Shop) -> None:
    async with shop(ready=False) as (_, client):
        facts = await call(client, "quote", model="shop/many", arguments={"prompt": "x"})
        assert facts["routes"][0]["reason"] == "it rains. Wait."
        assert "find_models(runs_here=true)" in facts["next"]


async def test_wrong_arguments_are_answered_with_the_schema_and_the_second_try_succeeds(
    shop: Shop,
) -> None:
    async with shop() as (_, client):
        wrong = {"prompt": "x", "durration": "5"}
        for tool, arguments in (
            ("quote", {"model": "shop/clip", "arguments": wrong}),
            ("run_model", {"model": "shop/clip", "arguments": wrong}),
            ("shop_clip", wrong),
        ):
            facts = await call(client, tool, **arguments)
            assert facts["state"] == "rejected"
            assert "Did you mean duration?" in facts["error"]["message"]
            assert facts["arguments_schema"]["properties"]["duration"]["enum"]
        right = {"prompt": "x", "duration": "5"}
        assert (await call(client, "shop_clip", **right))["state"] == "succeeded"


async def test_an_argument_under_its_old_name_is_taken_and_noted(shop: Shop) -> None:
    async with shop() as (_, client):
        old = {"prompt": "x", "length": "5"}
        note = "length is now called duration; it was taken as that."
        facts = await call(client, "quote", model="shop/clip", arguments=old)
        assert facts["notes"] == [note]
        assert facts["routes"][1]["high_usd"] == 0.5
        made = await client.call_tool("shop_clip", old)
        assert made.structured_content["notes"] == [note]
        assert note in made.content[0].text


async def test_a_job_keeps_the_most_that_it_may_cost(shop: Shop) -> None:
    async with shop() as (app, client):
        made = await call(client, "shop_clip", prompt="x")
        assert (await app.queue.get(made["job_id"], Caller())).quoted == 1.0


# Consent


@pytest.mark.parametrize(
    ("model", "price"), [("shop/clip", "up to $1.00"), ("shop/stranger", "an unknown amount")]
)
async def test_the_most_that_a_job_may_cost_is_asked_about_and_so_is_what_is_unknown(
    shop: Shop, model: str, price: str
) -> None:
    async with shop(confirm_above=0.6) as (app, client):
        facts = await call(client, "run_model", model=model, arguments={"prompt": "x"})
        assert f"may cost {price}." in facts["error"]["message"]
        assert await app.queue.jobs(Caller()) == []


async def test_the_route_that_is_asked_for_is_the_one_that_is_asked_about(shop: Shop) -> None:
    async with shop(confirm_above=0.6) as (_, client):
        rehearsed = await call(
            client,
            "run_model",
            model="shop/clip",
            arguments={"prompt": "x"},
            backend="rehearsal",
        )
        assert rehearsed["state"] == "succeeded"
        refused = await call(
            client, "run_model", model="shop/clip", arguments={"prompt": "x"}, backend="cloud"
        )
        assert refused["error"]["code"] == "refused"
