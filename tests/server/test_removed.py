"""What was removed is said so wherever it is asked for, to those whose it was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from media_mcp.job import Caller
from media_mcp.queue import Submission
from media_mcp.queue.retention import Bounds
from media_mcp.server.app import App
from storagekit import MODEL, Served, serving
from support import Opened

pytestmark = pytest.mark.anyio


async def collect(app: App) -> list[str]:
    """Have everything removed that may go, as if it were a year old."""
    with closing(sqlite3.connect(app.settings.data_dir / "jobs.sqlite")) as db, db:
        db.execute("UPDATE holdings SET used_at = 0")
        db.execute("UPDATE jobs SET answered_at = 1")
    collector = app.queue.keeping.collector
    return [held.uri async for held in collector.collect(Bounds(age=1.0))]


async def test_an_agent_is_told_in_every_place_that_names_the_asset(
    opened: Opened, era: str
) -> None:
    async with opened() as (app, server), Client(server.sdk, mode=era) as client:
        call = {"prompt": "x", "width": 64, "height": 64, "seed": 7}
        made = (await client.call_tool("rehearsal_image", call)).structured_content
        uri = made["assets"][0]["uri"]
        assert await collect(app) == [uri]
        got = await client.call_tool("get_job", {"job_id": made["job_id"]})
        (asset,) = got.structured_content["assets"]
        assert asset["removed"].endswith(" by retention") and "path" not in asset
        assert "made again" in got.structured_content["next"]
        assert [block.type for block in got.content] == ["text"]  # neither link nor preview
        (listed,) = (await client.call_tool("list_assets", {})).structured_content["assets"]
        assert listed["removed"] == asset["removed"]
        with pytest.raises(MCPError, match=r"was removed on .* by retention. Make it again"):
            await client.read_resource(uri)
        assert uri not in [str(each.uri) for each in (await client.list_resources()).resources]
        refused = await client.call_tool("rehearsal_edit", {"prompt": "y", "image_url": uri})
        assert refused.structured_content["state"] == "rejected"
        assert "image_url: " in refused.structured_content["error"]["message"]
        assert "was removed on" in refused.structured_content["error"]["message"]
        whole = (await client.call_tool("rehearsal_image", call)).structured_content
        assert whole["assets"][0]["uri"] == uri and "removed" not in whole["assets"][0]
        assert (await client.read_resource(uri)).contents


async def test_what_is_brought_once_more_is_there_again(opened: Opened, tmp_path: Path) -> None:
    async with opened(roots=[tmp_path]) as (app, server), Client(server.sdk) as client:
        made = await client.call_tool("rehearsal_image", {"prompt": "x"})
        source = made.structured_content["assets"][0]
        copy = tmp_path / "copy.png"
        copy.write_bytes(Path(source["path"]).read_bytes())  # noqa: ASYNC240
        assert await collect(app) == [source["uri"]]
        edit = {"prompt": "y", "image_url": str(copy)}
        edited = (await client.call_tool("rehearsal_edit", edit)).structured_content
        assert edited["state"] == "succeeded"
        job = await client.call_tool("get_job", {"job_id": made.structured_content["job_id"]})
        assert "removed" not in job.structured_content["assets"][0]


@pytest.fixture
async def served(tmp_path: Path, anyio_backend: str):
    async with serving(tmp_path / "data") as opened:
        yield opened


async def test_a_link_to_a_removed_file_is_answered_with_410_and_words(served: Served) -> None:
    queue = served.app.queue
    job = (await queue.submit(Submission(MODEL, {"prompt": "p"}, Caller(), "queue"))).job
    (asset,) = (await queue.wait(job.id, Caller(), 10)).assets
    url = f"/files/{asset.uri.removeprefix('media://')}"
    assert (await served.http.get(url)).content == b"p"
    assert await collect(served.app) == [asset.uri]
    answer = await served.http.get(url)
    assert answer.status_code == 410
    assert "was removed on" in answer.json()["detail"] and "again" in answer.json()["detail"]
    assert (await served.http.head(url)).status_code == 410
    result = await served.http.get(f"/queue/poem/requests/{job.id}")
    assert result.status_code == 200  # the address stays, and says why it holds nothing
    unknown = await served.http.get(f"/files/{'0' * 64}.txt")
    assert unknown.status_code == 404
