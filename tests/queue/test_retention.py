"""What nobody needs is removed, by age and by size; what anything needs stays."""

from __future__ import annotations

import signal
import sys
import time

import anyio
import pytest

from media_mcp.errors import NotFound
from media_mcp.job import Caller, JobState, Webhook
from media_mcp.media import MediaStore
from media_mcp.queue import Upload, retention
from media_mcp.queue.holdings import MISSING, RETENTION
from media_mcp.queue.retention import Bounds

pytestmark = pytest.mark.anyio

DAY = 86_400.0
OLD = Bounds(age=10 * DAY)


class Clock:
    """A clock that a test turns on."""

    def __init__(self):
        self.now = time.time() - 100 * DAY

    def __call__(self):
        return self.now

    def days(self, number):
        self.now += number * DAY


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def media(house):
    return MediaStore(house.folder / "media")


async def made(queue, tools, prompt, *, heard=True, **more):
    """Have a job make something, and its caller hear of it; return the job."""
    submitted = await queue.submit(tools.call(prompt, **more))
    job = await queue.wait(submitted.job.id, submitted.job.caller, 10)
    assert job.state is JobState.SUCCEEDED
    if heard:
        await queue.mark_answered(job.id)
    return job


async def collected(queue, bounds, **more):
    return [held.uri async for held in queue.keeping.collector.collect(bounds, **more)]


async def test_what_is_old_goes_and_its_job_says_so(house, tools, ann, clock, media):
    async with house.queue(house.backend(), clock=clock, media=media) as queue:
        old = await made(queue, tools, "old")
        clock.days(11)
        young = await made(queue, tools, "young")
        asset = old.assets[0]
        assert await collected(queue, OLD, dry=True) == [asset.uri]
        assert asset.path.exists()
        assert await collected(queue, OLD) == [asset.uri]
        assert [job.assets[0].path.exists() for job in (old, young)] == [False, True]
        (told,) = (await queue.get(old.id, ann)).assets
        assert told.removed.startswith("on 20") and told.removed.endswith(" by retention")
        assert [a.removed for a in await queue.assets(ann)] == ["", told.removed]
        assert await collected(queue, OLD) == []
        assert await queue.books.unbalanced() == []


async def test_without_bounds_nothing_goes(house, tools, ann, clock, media):
    async with house.queue(house.backend(), clock=clock, media=media) as queue:
        job = await made(queue, tools, "old")
        clock.days(5000)
        assert await collected(queue, queue.keeping.collector.bounds) == []
        await queue.keeping.collector.mend()
        assert [left async for left in queue.keeping.collector.leftovers()] == []
        assert job.assets[0].path.exists()


async def test_over_a_size_those_go_that_were_not_used_longest(house, tools, ann, clock, media):
    async with house.queue(house.backend(), clock=clock, media=media) as queue:
        jobs = []
        for number in range(4):
            jobs.append(await made(queue, tools, f"{number}" * 100))
            clock.days(1)
        first, second, third, fourth = [job.assets[0] for job in jobs]
        await made(queue, tools, "uses the first", inputs={first.uri: first})
        clock.days(2)
        total = await queue._store.holdings.held_bytes()
        assert await collected(queue, Bounds(size=total)) == []
        assert await collected(queue, Bounds(size=total - 150)) == [second.uri, third.uri]
        assert first.path.exists() and fourth.path.exists()


async def hold_on(queue, tools, how, clock, media):
    """Make something old that is needed; return its asset."""
    if how == "used lately":
        asset = (await made(queue, tools, "x")).assets[0]
        clock.days(20)
        await queue.keeping.removed("ann", asset.uri)  # somebody looks at it
        return asset
    if how in ("upload", "upload for long"):
        asset = await media.of("ann").put_bytes(b"up", role="input", name="x", provenance={})
        until = clock() + (50 if how == "upload for long" else 1000) * DAY
        await queue.uploads.keep(Upload(asset.uri, "ann", None, until))
    else:
        more = {"webhook": Webhook("https://example.com")} if how == "webhook" else {}
        lifetime = 50 * DAY if how == "lifetime" else None
        job = await made(queue, tools, "x", lifetime=lifetime, **more)
        asset = job.assets[0]
    if how == "pin":
        await queue.keeping.pin("ann", asset.uri)
    clock.days(20)
    if how == "input":
        await queue.submit(tools.call("waits", inputs={asset.uri: asset}))
        clock.days(20)
    return asset


@pytest.mark.parametrize(
    "how", ["pin", "input", "webhook", "lifetime", "upload", "upload for long", "used lately"]
)
async def test_what_is_needed_stays(house, tools, ann, clock, media, how):
    stuck = anyio.Event()

    async def script(run):
        if run.arguments["prompt"] == "waits":
            await stuck.wait()

    backend = house.backend(script=script)
    async with house.queue(backend, clock=clock, media=media) as queue:
        asset = await hold_on(queue, tools, how, clock, media)
        for bounds in (OLD, Bounds(size=0), Bounds(age=1.0, size=0)):
            assert await collected(queue, bounds) == []
        assert asset.path.exists()
        stuck.set()


async def test_what_nobody_has_had_yet_stays_for_a_day(house, tools, ann, clock, media):
    async with house.queue(house.backend(), clock=clock, media=media) as queue:
        job = await made(queue, tools, "x", heard=False)
        clock.days(0.9)
        assert await collected(queue, Bounds(size=0)) == []
        clock.days(0.2)
        assert await collected(queue, Bounds(size=0)) == [job.assets[0].uri]


async def test_an_unpinned_asset_goes_when_its_time_comes_again(house, tools, clock, media):
    async with house.queue(house.backend(), clock=clock, media=media) as queue:
        uri = (await made(queue, tools, "x")).assets[0].uri
        assert (await queue.keeping.pin("ann", uri)).pinned_at == clock()
        assert (await queue.assets(Caller("ann")))[0].pinned
        assert [held.uri for held in await queue.keeping.listed("ann", pinned=True)] == [uri]
        clock.days(50)
        assert (await queue.keeping.pin("ann", uri, pinned=False)).pinned_at is None
        assert await collected(queue, OLD) == []  # it was looked at just now
        clock.days(11)
        assert await collected(queue, OLD) == [uri]
        with pytest.raises(NotFound, match=r"was removed on .* by retention"):
            await queue.keeping.pin("ann", uri)
        with pytest.raises(NotFound, match="bob has no asset"):
            await queue.keeping.pin("bob", uri)


async def test_a_pin_outlives_the_time_an_upload_was_to_be_kept(house, clock, media):
    async with house.queue(clock=clock, media=media) as queue:
        asset = await media.of("ann").put_bytes(b"up", role="input", name="x", provenance={})
        await queue.uploads.keep(Upload(asset.uri, "ann", None, clock() + DAY))
        await queue.keeping.pin("ann", asset.uri)
        clock.days(2)
        queue._later.stir()
        assert await queue._store.next_due() is None
        assert await queue.uploads.holders(asset.uri) == ["ann"]


async def test_a_job_that_names_what_was_just_removed_is_refused_as_it_comes(
    house, tools, clock, media
):
    async with house.queue(house.backend(), clock=clock, media=media) as queue:
        asset = (await made(queue, tools, "x")).assets[0]
        clock.days(20)
        (held,) = await queue._store.holdings.listed("ann", pinned=False, limit=9)
        await queue._store.holdings.retire([held], RETENTION)  # its file is still there
        with pytest.raises(NotFound, match=r"was removed on .* by retention") as caught:
            await queue.submit(tools.call("uses it", inputs={asset.uri: asset}))
        assert "Make it again" in caught.value.hint
        assert len(await queue.jobs(Caller("ann"))) == 1


async def test_a_job_that_came_first_keeps_what_it_names(house, tools, clock, media):
    event = anyio.Event()

    async def script(run):
        if run.inputs:
            await event.wait()

    async with house.queue(house.backend(script=script), clock=clock, media=media) as queue:
        asset = (await made(queue, tools, "x")).assets[0]
        clock.days(20)
        found = await queue._store.holdings.spare((float("-inf"), 0), clock(), 9)
        assert [held.uri for held in found] == [asset.uri]
        await queue.submit(tools.call("uses it", inputs={asset.uri: asset}))
        assert await queue._store.holdings.retire(found, RETENTION) == []
        event.set()


async def test_the_same_bytes_made_again_are_whole_again(house, tools, ann, clock, media):
    async def same(run):
        return tools.wrote(run, "same")

    async with house.queue(house.backend(script=same), clock=clock, media=media) as queue:
        first = await made(queue, tools, "a")
        clock.days(20)
        assert await collected(queue, OLD) == [first.assets[0].uri]
        second = await made(queue, tools, "b")
        assert second.assets[0].uri == first.assets[0].uri
        for job in (first, second):
            (asset,) = (await queue.get(job.id, ann)).assets
            assert asset.removed == ""
        assert await media.of("ann").read(second.assets[0].uri) == b"same"


async def test_bytes_that_come_again_while_they_are_removed_stay(house, tools, ann, clock, media):
    async with house.queue(house.backend(), clock=clock, media=media) as queue:
        job = await made(queue, tools, "x", seed=1)
        asset = job.assets[0]
        clock.days(20)
        retire = queue._store.holdings.retire

        async def meanwhile(chosen, why):
            marked = await retire(chosen, why)
            await media.of("ann").put_bytes(b"x 1", role="input", name="y", provenance={})
            return marked

        queue._store.holdings.retire = meanwhile
        assert await collected(queue, OLD) == []
        assert (await queue.get(job.id, ann)).assets == job.assets
        assert asset.path.exists()


async def test_a_repeated_call_joins_no_job_whose_outputs_went(house, tools, clock, media):
    async with house.queue(house.backend(), clock=clock, media=media) as queue:
        job = await made(queue, tools, "x", heard=False)
        assert (await queue.submit(tools.call("x"))).joined
        clock.days(20)
        assert await collected(queue, OLD) == [job.assets[0].uri]
        again = await queue.submit(tools.call("x"))
        assert (again.joined, again.job.id == job.id) == (False, False)


async def test_two_owners_of_one_content_lose_only_their_own(house, tools, clock, media):
    async def same(run):
        return tools.wrote(run, "same")

    async with house.queue(house.backend(script=same), clock=clock, media=media) as queue:
        anns = await made(queue, tools, "x")
        clock.days(20)
        bobs = await made(queue, tools, "x", owner="bob")
        assert anns.assets[0].uri == bobs.assets[0].uri
        assert await collected(queue, OLD) == [anns.assets[0].uri]
        assert not anns.assets[0].path.exists()
        assert await media.of("bob").read(bobs.assets[0].uri) == b"same"
        assert (await queue.get(bobs.id, Caller("bob"))).assets[0].removed == ""


async def test_a_file_that_all_shared_before_goes_with_the_last_who_has_it(house, clock, media):
    shared = await media.put_bytes(b"from before", role="text", name="x", provenance={})
    async with house.queue(clock=clock, media=media) as queue:
        for owner in ("ann", "bob"):
            await queue.uploads.keep(Upload(shared.uri, owner))
            clock.days(20)
        assert await collected(queue, Bounds(age=30 * DAY)) == [shared.uri]
        assert await media.of("bob").read(shared.uri) == b"from before"
        assert await collected(queue, OLD) == [shared.uri]
        assert not shared.path.exists()


async def test_servers_that_collect_at_once_remove_each_asset_once(house, tools, clock, media):
    async with (
        house.queue(house.backend(), clock=clock, media=media) as queue,
        house.queue(clock=clock) as other,
    ):
        for number in range(20):
            await made(queue, tools, f"{number}")
        clock.days(20)
        went = []

        async def collect(which):
            went.extend(await collected(which, OLD))

        async with anyio.create_task_group() as group:
            group.start_soon(collect, queue)
            group.start_soon(collect, other)
        assert len(went) == len(set(went)) == 20
        assert not list((media.of("ann").folder / "index").rglob("*.json"))


async def test_only_one_server_of_several_has_the_turn(house, clock):
    async with house.queue(clock=clock) as queue, house.queue(clock=clock) as other:
        turns = [await q._store.holdings.my_turn("x", 60) for q in (queue, other, queue)]
        assert turns == [True, False, False]
        clock.days(1)
        assert await other._store.holdings.my_turn("x", 60)
        clock.days(-5)  # a clock that was wrong holds nobody up
        assert await queue._store.holdings.my_turn("x", 60)


async def test_a_server_collects_by_itself(house, tools, clock, media, monkeypatch):
    monkeypatch.setattr(retention, "FIRST_SECONDS", 0.0)
    async with house.queue(house.backend(), clock=clock, media=media) as queue:
        asset = (await made(queue, tools, "x")).assets[0]
    clock.days(20)
    settings = {"retention": {"age": "10d"}}
    removed = anyio.Event()

    class Seen(MediaStore):
        async def remove(self, uri, grace):
            went = await super().remove(uri, grace)
            removed.set()
            return went

    seen = Seen(house.folder / "media")
    async with house.queue(clock=clock, media=seen, **settings):
        with anyio.fail_after(10):
            await removed.wait()
    assert not asset.path.exists()


KILLED = """
import os, signal, sys, anyio
from pathlib import Path
from media_mcp.media import MediaStore
from media_mcp.queue import Queue, retention
from media_mcp.settings import Settings

async def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)

async def main(folder, now):
    retention.remove_copy = die
    media = MediaStore(folder / "media")
    async with Queue(Settings(data_dir=folder), {}, media, None, clock=lambda: now) as queue:
        async for held in queue.keeping.collector.collect(retention.Bounds(age=1.0)):
            pass

anyio.run(main, Path(sys.argv[1]), float(sys.argv[2]))
"""


async def test_a_server_killed_between_row_and_file_is_mended_by_the_next(
    house, tools, ann, clock, media
):
    async with house.queue(house.backend(), clock=clock, media=media) as queue:
        job = await made(queue, tools, "x")
    clock.days(20)
    command = [sys.executable, "-c", KILLED, str(house.folder), str(clock.now)]
    killed = await anyio.run_process(command, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert job.assets[0].path.exists()
    async with house.queue(clock=clock, media=media) as queue:
        (told,) = (await queue.get(job.id, ann)).assets
        assert told.removed.endswith("by retention")
        await queue.keeping.collector.mend()
        assert not job.assets[0].path.exists()


async def test_a_file_that_is_missing_is_said_and_welcomed_back(house, tools, ann, clock, media):
    async with house.queue(house.backend(), clock=clock, media=media) as queue:
        asset = (await made(queue, tools, "x")).assets[0]
        away = asset.path.with_suffix(".away")
        asset.path.rename(away)
        await queue.keeping.collector.mend()
        (held,) = await queue.keeping.listed("ann")
        assert (held.removed_by, held.removed[-16:]) == (MISSING, ": it was missing")
        away.rename(asset.path)
        await queue.keeping.collector.mend()
        assert (await queue.assets(ann))[0].removed == ""


async def test_a_disk_that_is_not_there_makes_nothing_missing(house, tools, ann, media):
    async with house.queue(house.backend(), media=media) as queue:
        await made(queue, tools, "x")
        media.folder.rename(house.folder / "unplugged")
        await queue.keeping.collector.mend()
        assert (await queue.assets(ann))[0].removed == ""


async def test_sizes_that_were_not_known_are_written(house, clock, media):
    asset = await media.put_bytes(b"12345", role="input", name="x", provenance={})
    async with house.queue(clock=clock, media=media) as queue:
        await queue.uploads.keep(Upload(asset.uri, "local"))
        assert await queue._store.holdings.held_bytes() == 0
        await queue.keeping.collector.mend()
        assert await queue._store.holdings.held_bytes() == 5
