"""What `make chaos` once found: money that nobody told, and waits that a clock made endless."""

from __future__ import annotations

import errno
from dataclasses import replace

import anyio
import pytest

from media_mcp import errors
from media_mcp.backends.base import Report
from media_mcp.job import JobState, Price, Route, Webhook
from media_mcp.media import MediaStore
from media_mcp.media.shelf import Shelf
from media_mcp.queue.liveness import dead, this_instance
from media_mcp.queue.store import Told
from stores import START, SUCCEEDED

pytestmark = pytest.mark.anyio

HOOK = Webhook("https://example.com/told")
OURS = Route("local", {"pipeline": "tools"}, Price(0.5, "call"))
DAY = 86_400.0


@pytest.mark.parametrize(
    ("error", "unsure"),
    [
        (errors.StorageFailed("The disk is full."), 0.5),
        (errors.BadOutput("It answered without a picture."), 0.5),
        (RuntimeError("a bug"), 0.5),
        (errors.NotConfigured("The key is gone."), 0.5),
        (errors.BackendFailed("It fell over."), 0.0),
        (errors.ContentRefused("Not this."), 0.0),
    ],
)
async def test_a_request_that_did_not_fail_by_its_places_own_word_may_be_billed(
    house, tools, ann, error, unsure
):
    async def fails(run):
        await run.report(Report("remote", message="r1"))
        raise error

    backend = house.backend(name="far", remote=True, script=fails)
    async with house.queue(backend) as queue:
        call = tools.call(of=tools.model("poem", "far"))
        job = await queue.wait((await queue.submit(call)).job.id, ann, 10)
        spent = await queue.books.spend(ann)
    assert job.state is JobState.FAILED
    assert (spent["unsure"], spent["reserved"]) == (unsure, 0.0)


@pytest.mark.parametrize("way", ["cancelled", "lost"])
@pytest.mark.parametrize(("route", "unsure"), [(None, 0.5), (OURS, 0.0)])
async def test_a_request_whose_server_died_before_it_noted_its_id_may_be_billed(
    shelf, store, way, route, unsure
):
    claim = await shelf.claimed(store, **({"route": route} if route else {}))
    if way == "cancelled":
        await store.cancel(claim.job.id, claim.job.caller.owner, "enough")
    other = await shelf.open("two")
    (job,) = await other.recover(lambda instance: instance.id == "one", 1)
    assert job.state == way
    assert (await other.spend("ann"))["unsure"] == unsure
    assert await other.unbalanced() == []


async def test_what_a_backend_meets_on_a_full_disk_is_no_bug(house, tools, ann):
    async def full(run):
        raise OSError(errno.ENOSPC, "No space left on device")

    async with house.queue(house.backend(script=full)) as queue:
        job = await queue.wait((await queue.submit(tools.call())).job.id, ann, 10)
    assert (job.state, job.failure.code) == (JobState.FAILED, "storage_failed")
    assert "takes nothing: No space left on device" in job.failure.message


async def test_an_asset_whose_sidecar_finds_no_room_leaves_no_bytes_without_one(
    tmp_path, monkeypatch
):
    def full(*given, **more):
        raise errors.StorageFailed("The disk is full.")

    store = MediaStore(tmp_path)
    await store.put_bytes(b"before", role="text", name="before", provenance={})
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    monkeypatch.setattr(Shelf, "write", full)
    with pytest.raises(errors.StorageFailed):
        await store.put_bytes(b"after", role="text", name="after", provenance={})
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == files


@pytest.mark.parametrize("back", [60.0, 30 * DAY])
async def test_a_webhook_does_not_wait_for_a_clock_that_was_set_back(shelf, store, back):
    await store.end(await shelf.claimed(store, webhook=HOOK), SUCCEEDED)
    shelf.now -= back
    assert await store.next_webhook() == shelf.now
    (delivery,) = await store.take_webhooks(9, 60)
    await store.told(delivery, Told(False, "500", shelf.now + 3600))
    assert await store.take_webhooks(9, 60) == []
    shelf.now = START - 60 * DAY
    assert await store.next_webhook() == shelf.now
    assert [again.attempt for again in await store.take_webhooks(9, 60)] == [2]


def test_a_server_that_lives_is_not_given_up_for_a_clock_that_was_set_forward():
    me = replace(this_instance(), heartbeat=START)
    assert dead(me, START + DAY)
    assert not dead(me, START + DAY, hung=False)
    assert dead(replace(me, pid=2**22 + 1), START, hung=False)
    assert dead(replace(me, host="elsewhere"), START + DAY, hung=False)


async def test_a_server_that_starts_after_a_jump_of_the_clock_leaves_others_their_jobs(
    house, tools, ann
):
    now = [START]
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend, clock=lambda: now[0]) as first:
        job = (await first.submit(tools.call())).job
        await backend.started()
        now[0] += DAY
        async with house.queue(clock=lambda: now[0]) as second:
            held = await second.get(job.id, ann)
    assert (held.state, held.attempt) == (JobState.RUNNING, 1)
