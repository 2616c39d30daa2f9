"""Resources: stored media, the catalog and jobs, read and watched in both eras."""

import base64
import json
from typing import Any

import anyio
import mcp_types as t
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from media_mcp.server.subscriptions import MAX_SUBSCRIPTIONS
from support import Opened

pytestmark = pytest.mark.anyio


async def made(client: Client, **more: Any) -> dict[str, Any]:
    arguments = {"prompt": "a boat", "width": 64, "height": 64} | more
    result = await client.call_tool("rehearsal_image", arguments)
    return dict(result.structured_content["assets"][0])


async def test_made_media_is_listed_and_read(opened: Opened, era: str) -> None:
    async with opened() as (_, server), Client(server.sdk, mode=era) as client:
        asset = await made(client)
        listed = [str(item.uri) for item in (await client.list_resources()).resources]
        assert listed == ["catalog://models", asset["uri"]]
        (contents,) = (await client.read_resource(asset["uri"])).contents
        assert isinstance(contents, t.BlobResourceContents)
        assert len(base64.b64decode(contents.blob)) == asset["bytes"]


async def test_a_part_of_a_file_can_be_read(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        asset = await made(client)
        (part,) = (await client.read_resource(f"{asset['uri']}?offset=1&length=3")).contents
        assert base64.b64decode(part.blob) == b"PNG"


async def test_a_file_too_large_for_one_answer_says_how_to_read_it(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_mcp.server.resources.MAX_READ", 100)
    async with opened() as (_, server), Client(server.sdk) as client:
        asset = await made(client)
        with pytest.raises(MCPError, match=r"at most 100 can be read at once.*\?offset=0"):
            await client.read_resource(asset["uri"])
        (part,) = (await client.read_resource(f"{asset['uri']}?offset=0&length=999")).contents
        assert len(base64.b64decode(part.blob)) == 100


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("media://" + "0" * 64 + ".png", "Resource not found"),
        ("media://../../etc/passwd", "Resource not found"),
        ("job://nope", "Resource not found"),
        ("other://thing", "Resource not found"),
        ("catalog://models/skech", "Did you mean sketch"),
    ],
)
async def test_a_resource_that_is_not_there_is_invalid_params(
    opened: Opened, era: str, uri: str, words: str
) -> None:
    async with opened() as (_, server), Client(server.sdk, mode=era) as client:
        with pytest.raises(MCPError, match=words) as caught:
            await client.read_resource(uri)
        assert caught.value.error.code == t.INVALID_PARAMS


async def test_a_part_must_be_given_in_whole_numbers(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        asset = await made(client)
        with pytest.raises(MCPError, match="offset: must be a whole number, but '-1' was given"):
            await client.read_resource(f"{asset['uri']}?offset=-1")


async def test_the_catalog_can_be_read_as_a_whole_and_by_model(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        (index,) = (await client.read_resource("catalog://models")).contents
        assert "sketch\ttext-to-image\tfree\tMIT" in index.text
        (model,) = (await client.read_resource("catalog://models/rehearsal%2Fimage")).contents
        document = json.loads(model.text)
        assert document["id"] == "rehearsal/image"
        assert document["arguments"]["required"] == ["prompt"]


async def test_templates_say_what_can_be_asked_for(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        templates = (await client.list_resource_templates()).resource_templates
        assert [template.name for template in templates] == [
            "model",
            "job",
            "asset",
            "asset-part",
        ]


async def test_a_text_asset_is_read_as_text(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        voice = await client.call_tool("rehearsal_speech", {"prompt": "hello"})
        uri = voice.structured_content["assets"][0]["uri"]
        heard = await client.call_tool("rehearsal_transcript", {"audio_url": uri})
        text_uri = heard.structured_content["assets"][0]["uri"]
        (contents,) = (await client.read_resource(text_uri)).contents
        assert isinstance(contents, t.TextResourceContents)


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
async def test_a_job_can_be_read_and_an_older_client_hears_of_its_changes(
    opened: Opened,
) -> None:
    heard: list[str] = []
    ended = anyio.Event()

    async def listen(message: Any) -> None:
        if isinstance(message, t.ResourceUpdatedNotification):
            heard.append(str(message.params.uri))
            ended.set()

    async with (
        opened(wait=0) as (_, server),
        Client(server.sdk, mode="legacy", message_handler=listen) as client,
    ):
        result = await client.call_tool("test_slow", {"prompt": "x"})
        uri = f"job://{result.structured_content['job_id']}"
        await client.subscribe_resource(uri)
        await client.call_tool("cancel_job", {"job_id": result.structured_content["job_id"]})
        with anyio.fail_after(10):
            await ended.wait()
        assert set(heard) == {uri}
        (contents,) = (await client.read_resource(uri)).contents
        assert json.loads(contents.text)["state"] == "cancelled"
        await client.unsubscribe_resource(uri)
        await client.unsubscribe_resource("job://never")


async def test_a_newer_client_hears_of_a_job_on_its_listen_stream(opened: Opened) -> None:
    async with (
        opened(wait=0) as (_, server),
        Client(server.sdk, mode="2026-07-28") as client,
    ):
        result = await client.call_tool("test_slow", {"prompt": "x"})
        job_id = result.structured_content["job_id"]
        async with client.listen(resource_subscriptions=[f"job://{job_id}"]) as events:
            await client.call_tool("cancel_job", {"job_id": job_id})
            with anyio.fail_after(10):
                async for event in events:
                    assert job_id in str(event)
                    break


async def test_an_older_client_hears_that_there_are_new_assets(opened: Opened) -> None:
    changed = anyio.Event()

    async def listen(message: Any) -> None:
        if isinstance(message, t.ResourceListChangedNotification):
            changed.set()

    async with (
        opened() as (_, server),
        Client(server.sdk, mode="legacy", message_handler=listen) as client,
    ):
        await made(client)
        with anyio.fail_after(10):
            await changed.wait()


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_a_connection_hears_of_so_many_resources_and_no_more(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk, mode="legacy") as client:
        for number in range(MAX_SUBSCRIPTIONS):
            await client.subscribe_resource(f"job://{number}")
        await client.subscribe_resource("job://7")
        with pytest.raises(MCPError, match="1024 resources at most"):
            await client.subscribe_resource("job://one-more")
        await client.unsubscribe_resource("job://7")
        await client.subscribe_resource("job://one-more")
