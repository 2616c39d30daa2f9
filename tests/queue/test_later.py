"""What the clock brings: start timeouts, media whose time is over, and the outbox."""

from __future__ import annotations

import logging
import time

import anyio
import pytest

from media_mcp.job import Caller, Failure, JobState, Webhook
from media_mcp.media import MediaStore
from media_mcp.queue import Told, Upload, later, retention
from media_mcp.queue.liveness import STALE_SECONDS, this_instance
from media_mcp.queue.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

HOOK = Webhook("https://example.com/", "https://here")
BRIEFLY = 0.05
A_WHILE = 0.5  # enough for what must happen first


def soon(seconds=BRIEFLY):
    return time.time() + seconds


class Looked(SqliteStore):
    """A store that tells the test of each look at an asset whose time is over."""

    def __init__(self, folder):
        super().__init__(folder / "jobs.sqlite", this_instance())
        self._told, self._looks = anyio.create_memory_object_stream(100)

    async def checked(self, owner, uri, again=None):
        await super().checked(owner, uri, again)
        self._told.send_nowait((uri, again))

    async def look(self):
        """Wait for the next look; returns the asset's URI and when to look again."""
        with anyio.fail_after(10):
            return await self._looks.receive()

    async def aclose(self):
        await super().aclose()
        self._told.close()
        self._looks.close()


class Said(logging.Handler):
    """Waits for words in the log."""

    def __init__(self, words):
        super().__init__()
        self._words = words
        self._event = anyio.Event()

    def emit(self, record):
        if self._words in record.getMessage():
            self._event.set()

    async def heard(self):
        with anyio.fail_after(10):
            await self._event.wait()


@pytest.fixture
def said():
    """Listen to the log: `said("words")`; then await `.heard()`."""
    added = []

    def listen(words):
        added.append(Said(words))
        later.log.addHandler(added[-1])
        return added[-1]

    yield listen
    for handler in added:
        later.log.removeHandler(handler)


@pytest.fixture
def store(house):
    return Looked(house.folder)


@pytest.fixture
def media(house):
    return MediaStore(house.folder / "media")


async def uploaded(queue, media, data, seconds=None, owner="ann"):
    """Keep bytes as an upload of `owner`, for so many seconds."""
    asset = await media.of(owner).put_bytes(data, role="input", name="x", provenance={})
    expires_at = None if seconds is None else time.time() + seconds
    await queue.uploads.keep(Upload(asset.uri, owner, None, expires_at))
    return asset


async def test_a_job_that_waits_too_long_fails_and_the_others_go_on(house, tools, ann):
    event = anyio.Event()
    backend = house.backend(script=lambda run: tools.gone(event))
    async with house.queue(backend) as queue:
        first = await queue.submit(tools.call("first"))
        await backend.started()
        hurried = (await queue.submit(tools.call("hurried", start_by=soon()))).job
        patient = (await queue.submit(tools.call("patient", start_by=soon(60)))).job
        job = await queue.wait(hurried.id, ann, 10)
        assert (job.state, job.failure.code) == (JobState.FAILED, "request_timeout")
        assert (await queue.get(first.job.id, ann)).state is JobState.RUNNING
        event.set()
        assert (await queue.wait(patient.id, ann, 10)).state is JobState.SUCCEEDED
    assert [run.arguments["prompt"] for run in backend.runs] == ["first", "patient"]


async def test_a_job_that_began_in_time_is_not_cut_off(house, tools, ann):
    async def script(run):
        await anyio.sleep(A_WHILE + BRIEFLY)

    async with house.queue(house.backend(script=script)) as queue:
        job = (await queue.submit(tools.call(start_by=soon(A_WHILE)))).job
        assert (await queue.wait(job.id, ann, 10)).state is JobState.SUCCEEDED


async def test_a_start_timeout_holds_over_a_restart(house, tools, ann):
    slow = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(slow) as queue:
        await queue.submit(tools.call("first"))
        await slow.started()
        late = (await queue.submit(tools.call("late", start_by=soon()))).job
        coming = (await queue.submit(tools.call("coming", start_by=soon(A_WHILE)))).job
    await anyio.sleep(2 * BRIEFLY)
    again = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(again) as queue:
        assert (await queue.wait(late.id, ann, 10)).failure.code == "request_timeout"
        assert (await queue.wait(coming.id, ann, 10)).failure.code == "request_timeout"
    assert [run.arguments["prompt"] for run in again.runs] == ["first"]


async def test_what_another_server_took_in_times_out_here(house, tools, ann):
    backend = house.backend(name="other", script=lambda run: anyio.sleep_forever())
    elsewhere = tools.model("poem", "other")
    async with house.queue(house.backend()) as queue, house.queue(backend) as other:
        await other.submit(tools.call("first", of=elsewhere))
        await backend.started()
        other._later.stir = lambda: None  # it hangs
        waiting = await other.submit(tools.call("second", of=elsewhere, start_by=soon()))
        job = await queue.wait(waiting.job.id, ann, 10)
    assert job.failure.code == "request_timeout"


async def test_a_sleep_of_the_machine_does_not_stop_the_timers(house, tools, ann):
    clock = [1000.0]
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend, clock=lambda: clock[0]) as queue:
        await queue.submit(tools.call("first"))
        await backend.started()
        late = (await queue.submit(tools.call("late", start_by=4000.0, webhook=HOOK))).job
        clock[0] += 3600
        assert clock[0] - 1000 > STALE_SECONDS
        await queue._watch.beat()
        assert (await queue.wait(late.id, ann, 10)).failure.code == "request_timeout"


async def test_an_upload_is_removed_once_its_time_is_over(house, store, media):
    async with house.queue(media=media, store=store) as queue:
        kept = await uploaded(queue, media, b"kept")
        gone = await uploaded(queue, media, b"gone", A_WHILE)
        assert await queue.uploads.holders(gone.uri)
        assert await store.look() == (gone.uri, None)
        assert not await queue.uploads.holders(gone.uri)
        assert not await queue.owns(Caller("ann"), gone.uri)
        assert (gone.path.exists(), kept.path.read_bytes()) == (False, b"kept")
    left = {path.name for path in media.folder.rglob("*.json")}
    assert left == {f"{kept.sha256}.json"}


async def test_an_upload_whose_time_is_over_is_removed_at_the_next_start(house, store, media):
    async with house.queue(media=media) as queue:
        queue._later.stir = lambda: None
        asset = await uploaded(queue, media, b"gone", -1)
    assert asset.path.exists()
    async with house.queue(media=media, store=store):
        assert await store.look() == (asset.uri, None)
    assert not asset.path.exists()


async def test_an_input_is_kept_until_its_job_is_done(house, tools, ann, store, media):
    event = anyio.Event()
    backend = house.backend(script=lambda run: tools.gone(event))
    async with house.queue(backend, media=media, store=store) as queue:
        asset = await uploaded(queue, media, b"input", A_WHILE)
        job = (await queue.submit(tools.call(inputs={asset.uri: asset}))).job
        await backend.started()
        assert await store.look() == (asset.uri, None)
        assert not await queue.uploads.holders(asset.uri)
        assert asset.path.read_bytes() == b"input"
        event.set()
        await queue.wait(job.id, ann, 10)
        assert await store.look() == (asset.uri, None)
    assert not asset.path.exists()


async def test_outputs_are_removed_when_their_lifetime_is_over(house, tools, ann, store, media):
    async with house.queue(house.backend(), media=media, store=store) as queue:
        brief = await queue.submit(tools.call("brief", lifetime=BRIEFLY))
        lasting = await queue.submit(tools.call("lasting", lifetime=60.0))
        first, second = [await queue.wait(each.job.id, ann, 10) for each in (brief, lasting)]
        assert await store.look() == (first.assets[0].uri, None)
        assert [job.assets[0].path.exists() for job in (first, second)] == [False, True]
        assert await queue.assets(ann) == [second.assets[0]]
        (kept,) = (await queue.get(first.id, ann)).assets
        assert kept.removed.endswith(", as its time was over")
        assert tools.replace(kept, removed="") == first.assets[0]


async def test_an_output_that_another_job_made_for_good_stays(house, tools, ann, store, media):
    async def same(run):
        return tools.wrote(run, "same")

    async with house.queue(house.backend(script=same), media=media, store=store) as queue:
        for prompt, lifetime in (("a", 2 * A_WHILE), ("b", None)):
            submitted = await queue.submit(tools.call(prompt, lifetime=lifetime))
            job = await queue.wait(submitted.job.id, ann, 10)
        assert await store.look() == (job.assets[0].uri, None)
        assert job.assets[0].path.exists()
        assert await queue.uploads.holders(job.assets[0].uri)


async def test_bytes_that_came_again_are_given_time_to_be_claimed(house, monkeypatch, store, media):
    monkeypatch.setattr(retention, "GRACE_SECONDS", 2 * A_WHILE)
    async with house.queue(media=media, store=store) as queue:
        asset = await uploaded(queue, media, b"twice", A_WHILE)
        await media.of("ann").put_bytes(b"twice", role="input", name="x", provenance={})
        uri, again = await store.look()
        assert (uri, asset.path.exists()) == (asset.uri, True)
        assert time.time() < again <= soon(2 * A_WHILE)
        assert await store.look() == (asset.uri, None)
    assert not asset.path.exists()


async def test_a_disk_that_fails_is_tried_again(house, monkeypatch, said, store, media):
    monkeypatch.setattr(later, "AGAIN_SECONDS", BRIEFLY)
    words = said("What is due has to wait")
    async with house.queue(media=media, store=store) as queue:
        asset = await uploaded(queue, media, b"gone", A_WHILE)
        lock = media.of("ann").folder / ".lock"
        lock.unlink()
        lock.mkdir()
        await words.heard()
        lock.rmdir()
        assert await store.look() == (asset.uri, None)
    assert not asset.path.exists()


async def test_a_bug_in_one_pass_does_not_end_all_of_them(house, monkeypatch, said, store, media):
    monkeypatch.setattr(later, "AGAIN_SECONDS", BRIEFLY)
    words = said("What was due could not be done")
    async with house.queue(media=media, store=store) as queue:
        asset = await uploaded(queue, media, b"gone", A_WHILE)
        index = media.of("ann").folder / "index" / asset.sha256[:2] / f"{asset.sha256}.json"
        good = index.read_text()
        index.write_text(good.replace('"file"', '"again": "never",\n "file"'))
        await words.heard()
        index.write_text(good)
        assert await store.look() == (asset.uri, None)


async def test_a_private_job_leaves_no_trace_in_the_media(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        submitted = await queue.submit(tools.call("my secret", private=True))
        job = await queue.wait(submitted.job.id, ann, 10)
        assert (job.state, job.arguments) == (JobState.SUCCEEDED, {})
        side = await MediaStore(house.folder / "media").of("ann").sidecar(job.assets[0].uri)
    assert side["provenance"]["arguments"] == {}
    assert job.assets[0].path.name.startswith("poem-")
    assert "secret" not in job.assets[0].path.name


async def test_a_refused_call_is_a_job_that_failed(house, tools, ann):
    failure = Failure("invalid_arguments", "prompt: is missing.")
    heard = []
    async with house.queue() as queue:
        queue.subscribe(heard.append)
        call = tools.call(door="queue", key="k", webhook=HOOK)
        refused = await queue.refuse(call, failure, {"problems": ["p"]})
        assert (refused.job.state, refused.joined) == (JobState.FAILED, False)
        assert await queue.get(refused.job.id, ann) == refused.job
        assert (refused.job.failure, refused.job.facts) == (failure, {"problems": ["p"]})
        assert (refused.job.route.backend, refused.job.seed) == ("local", None)
        again = await queue.refuse(call, failure, {})
        assert (again.job, again.joined) == (refused.job, True)
        homeless = tools.replace(tools.model(), routes=())
        assert (
            await queue.refuse(tools.call(of=homeless), failure, {})
        ).job.route.backend == "none"
        assert heard[0] == refused.job
        assert [d.job for d in await queue.outbox.next(9)] == [refused.job]


async def test_waiting_jobs_of_a_model_are_counted(house, tools):
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend) as queue:
        for number in range(3):
            await queue.submit(tools.call(f"{number}"))
        await backend.started()
        assert await queue.books.queued("poem") == 2


async def test_the_outbox_tells_of_the_end_at_once_and_again_when_asked_to(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        job = (await queue.submit(tools.call(webhook=HOOK))).job
        await queue.submit(tools.call("another"))
        with anyio.fail_after(10):
            (first,) = await queue.outbox.next(9)
            assert (first.job.id, first.job.webhook, first.attempt) == (job.id, HOOK, 1)
            assert first.job.state is JobState.SUCCEEDED
            await queue.outbox.told(first, Told(False, "500", soon()))
            (again,) = await queue.outbox.next(9)
            assert (again.number, again.attempt) == (first.number, 2)
        await queue.outbox.told(again, Told(True, "200"))
        with anyio.move_on_after(2 * BRIEFLY) as waiting:
            await queue.outbox.next(9)
        assert waiting.cancelled_caught


async def test_a_webhook_that_waits_is_found_at_the_next_start(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        submitted = await queue.submit(tools.call(webhook=HOOK))
        await queue.wait(submitted.job.id, ann, 10)
    async with house.queue() as queue:
        with anyio.fail_after(10):
            (delivery,) = await queue.outbox.next(1)
    assert delivery.job.id == submitted.job.id


async def test_names_of_uploads_are_looked_up_safely(house):
    async with house.queue() as queue:
        assert await queue.uploads.find("../../x\ud800") is None
        assert not await queue.uploads.holders("media://nothing")
        assert await queue.uploads.keep(Upload("media://x", "ann", "name")) == "media://x"
        assert await queue.uploads.find("name") == "media://x"
