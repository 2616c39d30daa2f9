"""What crashes leave behind is collected, and what nobody wrote down is not taken for that."""

from __future__ import annotations

import os
import time

import pytest

from media_mcp.media import MediaStore
from media_mcp.queue import Upload
from media_mcp.queue.retention import ORPHAN_SECONDS, WORK_SECONDS

pytestmark = pytest.mark.anyio


@pytest.fixture
def media(house):
    return MediaStore(house.folder / "media")


def aged(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)
    return path


async def stored(media, owner, data):
    """Put bytes and return the path of their sidecar."""
    asset = await media.of(owner).put_bytes(data, role="x", name="x", provenance={})
    own = media.of(owner).folder
    return asset, own / "index" / asset.sha256[:2] / f"{asset.sha256}.json"


async def born_long_ago(queue):
    db = queue._store._pen.db
    db.execute("UPDATE chores SET at = 0 WHERE name = 'born'")


async def left(queue, **more):
    return [each async for each in queue.keeping.collector.leftovers(**more)]


async def test_media_that_no_row_names_go_after_a_week(house, media):
    async with house.queue(media=media) as queue:
        await born_long_ago(queue)
        for owner in ("local", "ann", "nobody any more"):
            known, side = await stored(media, owner, f"known to {owner}".encode())
            if owner != "nobody any more":
                await queue.uploads.keep(Upload(known.uri, owner))
            aged(side, ORPHAN_SECONDS + 60)
            _, young = await stored(media, owner, f"young of {owner}".encode())
            aged(young, ORPHAN_SECONDS - 60)
        orphan, side = await stored(media, "ann", b"an orphan")
        aged(side, ORPHAN_SECONDS + 60)
        found = await left(queue, dry=True)
        assert {each.what for each in found} == {"media that no job knows"}
        assert {each.also[0].read_bytes() for each in found} == {
            b"an orphan",
            b"known to nobody any more",
        }
        assert await left(queue, orphans=False) == []
        assert orphan.path.exists()
        assert len(await left(queue)) == 2
        assert not orphan.path.exists() and not side.exists()
        assert await left(queue) == []


async def test_what_is_older_than_the_table_of_holdings_is_left_alone(house, media):
    async with house.queue(media=media) as queue:
        asset, side = await stored(media, "local", b"from before a new start")
        aged(side, ORPHAN_SECONDS + 60)
        aged(asset.path, ORPHAN_SECONDS + 60)
        assert await left(queue) == []
        assert asset.path.exists()


async def test_a_file_of_everybodys_that_one_caller_still_has_is_no_orphan(house, media):
    async with house.queue(media=media) as queue:
        await born_long_ago(queue)
        asset, side = await stored(media, "local", b"from before")
        aged(side, ORPHAN_SECONDS + 60)
        await queue.uploads.keep(Upload(asset.uri, "ann"))
        assert await left(queue) == []


async def test_work_folders_of_jobs_that_are_over_or_unknown_go(house, tools, ann, media):
    async with house.queue(house.backend(), media=media) as queue:
        job = (await queue.submit(tools.call())).job
        await queue.wait(job.id, ann, 10)
        work = house.folder / "work"
        work.mkdir(exist_ok=True)
        for name, seconds in ((f"{job.id}-1", 60), ("unknown-1", 60), ("young-1", -60)):
            (work / name).mkdir()
            (work / name / "half-done").write_bytes(b"123")
            aged(work / name, WORK_SECONDS + seconds)
        (work / "link").symlink_to(house.folder)
        found = await left(queue)
        assert sorted((each.path.name, each.size) for each in found) == [
            (f"{job.id}-1", 3),
            ("unknown-1", 3),
        ]
        assert sorted(path.name for path in work.iterdir()) == ["link", "young-1"]
