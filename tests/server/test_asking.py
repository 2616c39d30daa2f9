"""Asking the client in the middle of a call, in both eras: consent, and the folders it allows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mcp_types as t
import pytest
from mcp import Client
from PIL import Image

from callerskit import house
from media_mcp.backends.base import Backend
from media_mcp.backends.rehearsal import Rehearsal
from media_mcp.catalog.model import Model
from media_mcp.job import JSON, Caller, Quote, Route
from media_mcp.queue.agreement import CONSENT
from support import Opened

pytestmark = pytest.mark.anyio


class Paid(Rehearsal):
    """The rehearsal backend with a bill."""

    name = "paid"

    def quote(self, model: Model, route: Route, arguments: Mapping[str, JSON]) -> Quote:
        price = route.price.amount if route.price else 0.0
        return Quote("paid", price, price)


def paid() -> dict[str, Backend]:
    return {"paid": Paid()}


def answering(action: str, content: dict[str, Any] | None = None) -> Any:
    asked: list[str] = []

    async def answer(context: object, params: t.ElicitRequestFormParams) -> t.ElicitResult:
        asked.append(params.message)
        return t.ElicitResult(action=action, content=content)

    answer.asked = asked
    return answer


async def test_a_dear_job_runs_once_the_user_agrees(opened: Opened, era: str) -> None:
    yes = answering("accept", {"go_ahead": True})
    async with (
        opened(backends=paid(), confirm_above=1.0) as (_, server),
        Client(server.sdk, mode=era, elicitation_callback=yes) as client,
    ):
        result = await client.call_tool("test_dear", {"prompt": "x"})
        assert result.structured_content["state"] == "succeeded"
        assert yes.asked == ["Running Dear may cost up to $2.50."]


@pytest.mark.parametrize(
    "no", [answering("decline"), answering("cancel"), answering("accept", {"go_ahead": False})]
)
async def test_a_job_that_the_user_declines_is_not_run(opened: Opened, era: str, no: Any) -> None:
    async with (
        opened(backends=paid(), confirm_above=1.0) as (app, server),
        Client(server.sdk, mode=era, elicitation_callback=no) as client,
    ):
        result = await client.call_tool("test_dear", {"prompt": "x"})
        assert result.is_error
        assert result.structured_content["error"]["code"] == "refused"
        assert "Nothing was spent" in result.structured_content["next"]
        assert await app.queue.jobs(Caller()) == []


async def test_a_client_that_cannot_ask_is_refused_with_what_to_do(
    opened: Opened, era: str
) -> None:
    async with (
        opened(backends=paid(), confirm_above=1.0) as (_, server),
        Client(server.sdk, mode=era) as client,
    ):
        result = await client.call_tool("test_dear", {"prompt": "x"})
        assert "cannot ask its user" in result.structured_content["error"]["message"]
        assert "call again with confirm_cost: 2.5 added" in result.structured_content["next"]
        agreed = await client.call_tool("test_dear", {"prompt": "x", "confirm_cost": 2.5})
        assert agreed.structured_content["state"] == "succeeded"


async def test_consent_to_less_than_it_may_cost_is_none(opened: Opened, era: str) -> None:
    async with (
        opened(backends=paid(), confirm_above=1.0) as (app, server),
        Client(server.sdk, mode=era) as client,
    ):
        result = await client.call_tool("test_dear", {"prompt": "x", "confirm_cost": 2.4})
        assert "cannot ask its user" in result.structured_content["error"]["message"]
        through = {"model": "test/dear", "arguments": {"prompt": "x", "confirm_cost": 3}}
        run = await client.call_tool("run_model", through)
        assert run.structured_content["state"] == "succeeded"
        assert len(await app.queue.jobs(Caller())) == 1


class Rising(Paid):
    """Its price is another one each time that somebody asks."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0.0

    def quote(self, model: Model, route: Route, arguments: Mapping[str, JSON]) -> Quote:
        self.asked += 2.0
        return Quote("paid", self.asked, self.asked)


async def test_consent_holds_no_further_than_the_price_that_was_told(
    opened: Opened, era: str
) -> None:
    yes = answering("accept", {"go_ahead": True})
    async with (
        opened(backends={"paid": Rising()}, confirm_above=1.0) as (app, server),
        Client(server.sdk, mode=era, elicitation_callback=yes) as client,
    ):
        result = await client.call_tool("test_dear", {"prompt": "x"})
        assert result.structured_content["error"]["code"] == "refused"
        assert "more than was agreed to" in result.structured_content["error"]["message"]
        assert await app.queue.jobs(Caller()) == []


async def test_an_agent_cannot_say_that_somebody_typed_it(opened: Opened, era: str) -> None:
    async with (
        opened(backends=paid(), confirm_above=1.0) as (_, server),
        Client(server.sdk, mode=era) as client,
    ):
        result = await client.call_tool("test_dear", {"prompt": "x", "confirm_cost": "anything"})
        assert result.structured_content["error"]["code"] == "invalid_arguments"


@pytest.mark.parametrize("wrong", [-1, "a lot", True, [2]])
async def test_consent_that_is_no_amount_is_refused(opened: Opened, wrong: JSON) -> None:
    async with opened(backends=paid()) as (_, server), Client(server.sdk) as client:
        result = await client.call_tool("test_dear", {"prompt": "x", "confirm_cost": wrong})
        assert result.is_error
        assert "confirm_cost: is" in result.structured_content["error"]["message"]
        assert "in US dollars" in result.structured_content["error"]["message"]


async def test_a_cheap_job_is_not_asked_about(opened: Opened, era: str) -> None:
    no = answering("decline")
    async with (
        opened(backends=paid(), confirm_above=1.0) as (_, server),
        Client(server.sdk, mode=era, elicitation_callback=no) as client,
    ):
        result = await client.call_tool("rehearsal_image", {"prompt": "x"})
        assert result.structured_content["state"] == "succeeded"
        assert no.asked == []


def roots_at(folder: Path) -> Any:
    async def roots(context: object) -> t.ListRootsResult:
        return t.ListRootsResult(roots=[t.Root(uri=folder.as_uri())])

    return roots


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    Image.new("RGB", (8, 8), "red").save(folder / "in.png")
    return folder / "in.png"


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
async def test_files_under_the_clients_roots_may_be_read(
    opened: Opened, era: str, picture: Path
) -> None:
    async with (
        opened() as (_, server),
        Client(server.sdk, mode=era, list_roots_callback=roots_at(picture.parent)) as client,
    ):
        arguments = {"prompt": "x", "image_url": str(picture)}
        result = await client.call_tool("rehearsal_edit", arguments)
        assert result.structured_content["state"] == "succeeded"


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
async def test_files_elsewhere_may_not(opened: Opened, era: str, picture: Path) -> None:
    other = picture.parent.parent
    (other / "roots").mkdir()
    async with (
        opened() as (_, server),
        Client(server.sdk, mode=era, list_roots_callback=roots_at(other / "roots")) as client,
    ):
        arguments = {"prompt": "x", "image_url": str(picture)}
        result = await client.call_tool("rehearsal_edit", arguments)
        assert result.is_error
        assert result.structured_content["error"]["code"] == "bad_media"


async def test_without_roots_of_the_client_only_the_settings_count(
    opened: Opened, era: str, picture: Path
) -> None:
    arguments = {"prompt": "x", "image_url": str(picture)}
    async with opened() as (_, server), Client(server.sdk, mode=era) as client:
        refused = await client.call_tool("rehearsal_edit", arguments)
        assert refused.is_error
    async with (
        opened(roots=[picture.parent]) as (_, server),
        Client(server.sdk, mode=era) as client,
    ):
        allowed = await client.call_tool("rehearsal_edit", arguments)
        assert allowed.structured_content["state"] == "succeeded"


async def test_the_queue_takes_no_dear_request_that_nobody_agreed_to(opened: Opened) -> None:
    async with (
        house(opened, backends=paid(), confirm_above=1.0) as place,
        place.http("ann") as ann,
    ):
        refused = await ann.post("/queue/test/dear", json={"prompt": "x"})
        assert refused.status_code == 403
        assert "call again with confirm_cost: 2.5 added to the arg" in refused.json()["detail"]
        for given, status in ((2.4, 403), ("a lot", 422), (2.5, 200)):
            body = {"prompt": "x", "confirm_cost": given}
            answer = await ann.post("/run/test/dear", json=body)
            assert answer.status_code == status, answer.text
        (job, wrong) = await place.app.queue.jobs(Caller("ann"))
        assert (job.quoted, dict(job.arguments)["prompt"]) == (2.5, "x")
        assert CONSENT not in job.arguments and wrong.failure is not None
