"""One caller never sees another's jobs or assets; lists come in pages, newest first."""

import pytest

from media_mcp import errors
from media_mcp.job import Caller, JobState

pytestmark = pytest.mark.anyio

BOB = Caller("bob")


async def test_another_owners_job_is_not_found_in_the_same_words_as_none(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        theirs = (await queue.submit(tools.call())).job
        await queue.wait(theirs.id, ann, 10)
        for ask in (queue.get, queue.events, lambda i, c: queue.wait(i, c, 0)):
            words = []
            for job_id in (theirs.id, "0" * 18):
                with pytest.raises(errors.NotFound) as caught:
                    await ask(job_id, BOB)
                words.append(caught.value.message.replace(job_id, "…"))
                assert caught.value.hint == "List your jobs with list_jobs (or: media-mcp jobs)."
            assert words == ["There is no job '…'."] * 2


async def test_lists_and_assets_hold_the_callers_own_only(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        mine = (await queue.submit(tools.call("mine", seed=1))).job
        theirs = (await queue.submit(tools.call("theirs", seed=1, owner="bob"))).job
        mine = await queue.wait(mine.id, ann, 10)
        theirs = await queue.wait(theirs.id, BOB, 10)
        assert [job.id for job in await queue.jobs(ann)] == [mine.id]
        assert await queue.assets(BOB) == list(theirs.assets)
        uri = mine.assets[0].uri
        assert (await queue.owns(ann, uri), await queue.owns(BOB, uri)) == (True, False)
        with pytest.raises(errors.NotFound, match="There is no asset"):
            await queue.assets(BOB, before=uri)
        with pytest.raises(errors.NotFound):
            await queue.jobs(BOB, before=mine.id)


async def test_two_owners_of_the_same_bytes_both_own_them(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        for owner in ("ann", "bob"):
            submitted = await queue.submit(tools.call("same", seed=1, owner=owner))
            job = await queue.wait(submitted.job.id, Caller(owner), 10)
        uri = job.assets[0].uri
        assert await queue.owns(ann, uri)
        assert await queue.owns(BOB, uri)


@pytest.mark.parametrize("uri", ["", "media://", "media://x.png", "\ud800", "media://" + "0" * 64])
async def test_odd_uris_belong_to_nobody(house, uri, ann):
    async with house.queue(house.backend()) as queue:
        assert not await queue.owns(ann, uri)


async def test_jobs_are_listed_newest_first_in_pages_and_by_state_and_model(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        made = []
        for n in range(5):
            submitted = await queue.submit(tools.call(f"{n}", of=tools.model(f"m{n % 2}")))
            made.append((await queue.wait(submitted.job.id, ann, 10)).id)
        newest_first = made[::-1]
        first = await queue.jobs(ann, limit=2)
        second = await queue.jobs(ann, limit=2, before=first[-1].id)
        assert [job.id for job in first + second] == newest_first[:4]
        assert len(await queue.jobs(ann, limit=0)) == 1
        assert len(await queue.jobs(ann, state=JobState.SUCCEEDED)) == 5
        assert await queue.jobs(ann, state=JobState.FAILED) == []
        assert [job.id for job in await queue.jobs(ann, model="m1")] == [made[3], made[1]]
        assert await queue.jobs(ann, model="\ud800") == []
        assert first[0].assets


async def test_assets_are_listed_newest_first_in_pages_each_once(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        uris = []
        for n in (1, 2, 3, 1):
            call = tools.call(f"{n}", seed=1, fresh=True)
            job = await queue.wait((await queue.submit(call)).job.id, ann, 10)
            uris.append(job.assets[0].uri)
        newest_first = [uris[3], uris[2], uris[1]]
        assert [asset.uri for asset in await queue.assets(ann)] == newest_first
        page = await queue.assets(ann, limit=2)
        rest = await queue.assets(ann, limit=2, before=page[-1].uri)
        assert [asset.uri for asset in page + rest] == newest_first


@pytest.mark.parametrize("job_id", ["", "x", "0" * 18, "\ud800" * 18, "'; --", "٣" * 18])
async def test_odd_job_ids_are_not_found(house, job_id, ann):
    async with house.queue(house.backend()) as queue:
        with pytest.raises(errors.NotFound):
            await queue.get(job_id, ann)
        assert await queue.position(job_id) is None
        await queue.mark_answered(job_id)


async def test_events_after_an_event_are_the_later_ones(house, tools, ann):
    async with house.queue(house.backend()) as queue:
        submitted = await queue.submit(tools.call())
        await queue.wait(submitted.job.id, ann, 10)
        events = await queue.events(submitted.job.id, ann)
        assert await queue.events(submitted.job.id, ann, after=1) == events[1:]
        assert await queue.events(submitted.job.id, ann, after=10**30) == []
        assert await queue.events(submitted.job.id, ann, after=-5) == events
