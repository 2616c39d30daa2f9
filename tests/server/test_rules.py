"""The rules of the settings, as an agent meets them: what is refused, and why a route was taken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from pydantic import SecretStr

from media_mcp.backends.base import Readiness, Run
from media_mcp.backends.rehearsal import Rehearsal
from media_mcp.catalog.model import Model
from media_mcp.errors import MaybeSpent, OutOfMemory
from media_mcp.job import JSON, Caller, Quote, Result, Route
from media_mcp.server import answer
from media_mcp.server.app import App, open_app
from media_mcp.server.auth import Gate
from media_mcp.server.general_tools import TOOLS
from media_mcp.server.mcp import McpServer, surface_of
from media_mcp.settings import load_settings
from media_mcp.tables import ProjectRules

pytestmark = pytest.mark.anyio

CARDS = """\
task: text-to-image
licence: made for tests
description: Draws in tests.
inputs:
  prompt: {type: string, required: true, description: What to draw.}
  image_url: {type: string, media: image, description: A picture to begin with.}
outputs:
  images: {kind: image, mime_type: image/png}
variants:
  - id: rules/both
    title: Both
    routes:
      - {backend: gpu, price: {amount: 0, unit: call, certainty: exact}}
      - {backend: cloud, price: {amount: 2, unit: call}}
  - id: rules/hosted
    title: Hosted
    alternatives: [rules/both, rehearsal/image]
    routes: [{backend: cloud, price: {amount: 2, unit: call}}]
"""


class Place(Rehearsal):
    """The rehearsal backend under another name, that fails as it is told."""

    def __init__(self, name: str, remote: bool, error: Exception | None = None) -> None:
        super().__init__()
        self.name = name
        self.remote = remote
        self.error = error
        self.ready = Readiness(True)

    async def readiness(self) -> Readiness:
        return self.ready

    def quote(self, model: Model, route: Route, arguments: dict[str, JSON]) -> Quote:
        return Quote(self.name, None, None)

    async def run(self, run: Run) -> Result:
        if self.error is not None:
            raise self.error
        return await super().run(run)


Town = Callable[..., AbstractAsyncContextManager[tuple[App, Client]]]


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cards")
    (folder / "rules.yaml").write_text(CARDS)
    return folder


@pytest.fixture
def gpu() -> Place:
    return Place("gpu", remote=False)


@pytest.fixture
def cloud() -> Place:
    return Place("cloud", remote=True)


@pytest.fixture
def town(cards: Path, tmp_path: Path, gpu: Place, cloud: Place) -> Town:
    """Open a server with a place here and one elsewhere, and a client for it."""

    @asynccontextmanager
    async def open_town(**given: Any) -> AsyncIterator[tuple[App, Client]]:
        settings = load_settings(data_dir=tmp_path / "data", catalog_dirs=[cards], **given)
        async with open_app(settings, backends={"gpu": gpu, "cloud": cloud}) as app:
            server = McpServer(surface_of(app))
            async with server.running(app), Client(server.sdk) as client:
                yield app, client

    return open_town


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    return (await client.call_tool(tool, arguments)).structured_content


async def test_offline_a_hosted_model_is_rejected_with_what_runs_here(town: Town) -> None:
    async with town(offline=True) as (app, client):
        facts = await call(client, "rules_hosted", prompt="x")
        assert (facts["state"], facts["error"]["code"]) == ("rejected", "refused")
        assert facts["error"]["message"] == (
            "rules/hosted may not run (cloud: offline = true forbids what leaves this machine)."
        )
        assert facts["next"].startswith("Use rules/both or rehearsal/image, which can run now.")
        assert await app.queue.jobs(Caller()) == []


async def test_offline_nothing_is_fetched(town: Town) -> None:
    async with town(offline=True) as (app, client):
        facts = await call(
            client, "rules_both", prompt="x", image_url="https://me:secret@example.com/a.png?k=1"
        )
        assert (facts["state"], facts["error"]["code"]) == ("rejected", "refused")
        message = facts["error"]["message"]
        assert message.startswith("image_url: https://")
        assert message.endswith("is not fetched: offline = true forbids what leaves this machine.")
        assert "secret" not in message
        assert facts["next"] == "Download the file and pass its path."
        assert await app.queue.jobs(Caller()) == []


async def test_a_quote_shows_the_order_and_what_is_forbidden(town: Town) -> None:
    async with town(offline=True, prefer="hosted") as (_, client):
        facts = await call(client, "quote", model="rules/both", arguments={"prompt": "x"})
        routes = facts["routes"]
        assert [(route["backend"], route["ready"]) for route in routes] == [
            ("cloud", False),
            ("gpu", True),
        ]
        assert routes[0]["reason"].startswith("offline = true forbids what leaves this machine")
        assert facts["next"] == "run_model(model='rules/both', arguments=…) runs it on gpu."
        found = await call(client, "find_models", query="rules hosted", runs_here=True, limit=20)
        assert "rules/hosted" not in [row["id"] for row in found["models"]]


async def test_the_servers_project_has_rules_of_its_own(town: Town) -> None:
    projects = {"films": ProjectRules(prefer="hosted"), "secret": ProjectRules(offline=True)}
    for project, backend, why in (
        ("default", "gpu", "gpu: the model's first route, and it is ready"),
        ("films", "cloud", "cloud: first by prefer=hosted"),
    ):
        async with town(project=project, projects=projects) as (app, client):
            facts = await call(client, "rules_both", prompt="x")
            assert (facts["route"], facts["why_route"]) == (backend, why)
            assert (await app.queue.get(facts["job_id"], Caller())).caller.project == project
    async with town(project="secret", projects=projects) as (_, client):
        facts = await call(client, "rules_hosted", prompt="x")
        assert "projects.secret.offline = true" in facts["error"]["message"]
        facts = await call(client, "rules_both", prompt="x", image_url="http://example.com/a.png")
        assert "projects.secret.offline = true" in facts["error"]["message"]


def test_the_callers_of_the_other_doors_belong_to_the_servers_project() -> None:
    assert Gate(None, "films").caller_of_request({}) == Caller(project="films")
    locked = Gate(SecretStr("k"), "films")
    assert locked.caller_of_request({b"authorization": b"Key k"}) == Caller(project="films")
    assert locked.caller_of_request({b"authorization": b"Key x"}) is None
    assert Gate(None).caller_of_request({}) == Caller()


def test_no_tool_can_change_the_rules() -> None:
    named = {name for tool in TOOLS for name in tool.inputs["properties"]}
    assert named.isdisjoint({"project", "prefer", "offline", "licences", "keep_here"})


async def test_an_answer_tells_that_another_route_was_taken_and_why(town: Town, gpu: Place) -> None:
    gpu.error = OutOfMemory("Out of memory on cuda:0: needs 24 GB.", "Use a smaller one.")
    async with town(prefer="local") as (_, client):
        facts = await call(client, "rules_both", prompt="x")
        assert (facts["state"], facts["route"]) == ("succeeded", "cloud")
        assert facts["why_route"] == (
            "cloud: gpu failed (Out of memory on cuda:0: needs 24 GB); next by prefer=local"
        )
        again = await call(client, "get_job", job_id=facts["job_id"])
        assert again["why_route"] == facts["why_route"]


async def test_an_answer_names_the_call_for_a_route_that_was_not_taken(
    town: Town, gpu: Place, cloud: Place
) -> None:
    cloud.error = MaybeSpent("Its answer got lost.", "Look at your requests there.")
    async with town(prefer="hosted") as (_, client):
        facts = await call(client, "rules_both", prompt="x")
        assert (facts["state"], facts["error"]["code"]) == ("failed", "maybe_spent")
        assert "run_model(model='rules/both', arguments=…, backend='gpu')" in facts["next"]
        assert answer.tokens(facts) <= answer.MAX_TOKENS
        run = {"model": "rules/both", "arguments": {"prompt": "x"}, "backend": "gpu"}
        facts = await call(client, "run_model", **run)
        assert (facts["state"], facts["why_route"]) == ("succeeded", "gpu: asked for")


async def test_a_job_that_waits_says_for_what(town: Town, cloud: Place) -> None:
    gate = anyio.Event()

    async def hold(run: Run) -> Result:
        await gate.wait()
        return await Rehearsal.run(cloud, run)

    cloud.run, cloud.concurrency = hold, 1
    async with town(wait=0) as (_, client):
        await call(client, "rules_hosted", prompt="holds the slot")
        cloud_job = await call(client, "rules_hosted", prompt="waits")
        assert (cloud_job["state"], "notes" in cloud_job) == ("queued", False)
    async with town(wait=0, offline=True) as (_, client):
        facts = await call(client, "get_job", job_id=cloud_job["job_id"], wait=0)
        assert facts["notes"] == ["It waits: offline forbids cloud."]


async def test_consent_is_asked_for_the_route_that_will_be_taken(town: Town) -> None:
    async with town(prefer="fastest", confirm_above=1.0) as (_, client):
        await call(client, "run_model", model="rules/both", arguments={"prompt": "x"})
        facts = await call(
            client, "run_model", model="rules/both", arguments={"prompt": "y"}, backend="cloud"
        )
        assert facts["error"]["message"].startswith("Running Both may cost up to $2.00.")
