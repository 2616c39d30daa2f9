"""A whole data folder as the first version left it: jobs are known, and their media still there."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing

import pytest

from media_mcp.job import Caller
from media_mcp.media import MediaStore
from media_mcp.queue import moving
from media_mcp.queue.retention import Bounds
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.queue.sqlite.connection import connect
from media_mcp.queue.sqlite.migrations import MIGRATIONS
from media_mcp.queue.store import Instance

pytestmark = pytest.mark.anyio

JOB = """
INSERT INTO jobs (id, owner, project, model, state, door, arguments, seed, backend, route,
    why_route, quoted, cost, priority, created_at, started_at, ended_at, answered_at, attempt)
VALUES (?, ?, 'default', 'poem', 'succeeded', 'mcp', '{"prompt":"a"}', 7, 'local',
    '["local",{},null]', '', 0.5, 0.25, 0, 10, 11, 12, 12, 1)
"""
MADE = (
    "INSERT INTO job_assets (job, attempt, side, place, uri, asset) VALUES (?, 1, 'out', 0, ?, ?)"
)


@pytest.fixture
async def old(house):
    """One file that two callers shared, under the first one's name, and a job of each."""
    media = MediaStore(house.folder / "media")
    asset = await media.put_bytes(b"words", role="text", name="poem ann asked", provenance={})
    (index,) = (media.folder / "index").rglob("*.json")
    side = json.loads(index.read_text())
    assert set(side) >= {"file", "role", "size", "kind", "mime_type", "provenance", "jobs"}
    told = json.dumps(
        [asset.uri, str(asset.path), "text", "text/plain", 5, None, None, None, "text"]
    )
    with closing(connect(house.folder / "jobs.sqlite", 1.0, MIGRATIONS[:1])) as db:
        for number, owner in enumerate(("ann", "bob"), 1):
            db.execute(JOB, (f"{number}" * 18, owner))
            db.execute(MADE, (number, asset.uri, told))
    return media, asset


async def test_each_owner_has_what_they_had(house, old):
    media, asset = old
    async with house.queue(media=media) as queue:
        for owner in ("ann", "bob"):
            assert await queue.assets(Caller(owner)) == [asset]
            assert await queue.owns(Caller(owner), asset.uri)
            assert await media.of(owner).read(asset.uri) == b"words"
            (held,) = await queue.keeping.listed(owner)
            assert (held.size, held.used_at, held.removed) == (5, 12, "")
        assert not await queue.owns(Caller("eve"), asset.uri)
        assert await queue.books.unbalanced() == []


async def test_it_goes_when_both_have_let_it_go(house, old):
    media, asset = old
    async with house.queue(media=media) as queue:
        await queue.keeping.pin("bob", asset.uri)
        went = [held.owner async for held in queue.keeping.collector.collect(Bounds(age=60.0))]
        assert went == ["ann"] and asset.path.exists()
        await queue.keeping.pin("bob", asset.uri, pinned=False)
        with closing(sqlite3.connect(house.folder / "jobs.sqlite")) as db, db:
            db.execute("UPDATE holdings SET used_at = 12")
        went = [held.owner async for held in queue.keeping.collector.collect(Bounds(age=60.0))]
        assert went == ["bob"] and not asset.path.exists()


async def test_it_moves_to_a_machine_of_today_and_tells_neither_of_the_other(house, old, tmp_path):
    media, asset = old
    store = SqliteStore(house.folder / "jobs.sqlite", Instance("old", 1, "here", ""))
    archive = tmp_path / "a.tar.gz"
    with archive.open("wb") as stream:
        moved = moving.export(store, media, stream, moving.Which(owner="bob"), lambda *_: None)
    assert (moved.jobs, moved.assets) == (1, 1)
    new = SqliteStore(
        tmp_path / "new" / "jobs.sqlite", Instance("new", 1, "here", ""), clock=time.time
    )
    fresh = MediaStore(tmp_path / "new" / "assets")
    await new.open()
    try:
        with archive.open("rb") as stream:
            await moving.Importer(new, fresh, lambda *_: None).run(stream)
        (job,) = await new.jobs("bob")
        assert job.assets[0].path.read_bytes() == b"words"
        assert "ann" not in str(job.assets[0].path.relative_to(tmp_path / "new"))
        assert await new.jobs("ann") == []
        assert (await new.spend("bob"))["cost"] == 0.25
    finally:
        await new.aclose()
    assert asset.path.exists()
