"""What every store must do about deadlines, webhooks, privacy and the lifetimes of media."""

from __future__ import annotations

from dataclasses import replace

import pytest

from media_mcp.backends.base import Report
from media_mcp.job import Failure, JobState, Webhook
from media_mcp.queue.store import Ending, Join, Told, Upload
from stores import START, SUCCEEDED, asset
from support import first_claim

pytestmark = pytest.mark.anyio

A, B = asset("a"), asset("b")
HOOK = Webhook("https://example.com/told?k=1", "https://queue.fal.run")
REFUSED = {
    "state": JobState.FAILED,
    "ended_at": START,
    "facts": {"problems": [1]},
    "failure": Failure("invalid_arguments", "prompt: is missing.", "Send one."),
}


async def serves(store, uri):
    return bool(await store.holders(uri))


async def needs(store, uri):
    return await store.owns("ann", uri) or await store.owns("bob", uri)


async def ended(shelf, store, assets=(), **changes):
    """Run a job to its end and return it."""
    return await store.end(await shelf.claimed(store, **changes), replace(SUCCEEDED, assets=assets))


async def test_what_is_wanted_of_a_job_is_read_as_it_was_written(shelf, store):
    job = shelf.job(start_by=START + 9, private=True, lifetime=60.0, webhook=HOOK)
    await store.add(job, (), None)
    assert await store.get(job.id) == job


async def test_a_refused_job_is_written_with_its_end(shelf, store):
    job = shelf.job(**REFUSED)
    added = await store.add(job, (), Join("k", "f", exact=True), take=True)
    assert (added.job, added.claim) == (job, None)
    assert await store.get(job.id) == job
    assert await first_claim(store, "local") is None
    (event,) = await store.events(job.id)
    assert (event.kind, event.message) == ("state", "failed: prompt: is missing.")
    assert (await store.add(shelf.job(), (), Join("k", "f", exact=True))).joined


async def test_waiting_jobs_are_counted_by_model_whoever_asks(shelf, store):
    for changes in ({}, {"caller": replace(shelf.job().caller, owner="bob")}, {"model": "song"}):
        await store.add(shelf.job(**changes), (), None)
    assert [await store.queued_count(m) for m in ("poem", "song", "nothing")] == [2, 1, 0]
    await first_claim(store, "local")
    assert await store.queued_count("poem") == 1


async def test_a_job_that_is_not_started_in_time_fails(shelf, store):
    job = shelf.job(start_by=START + 12)
    await store.add(job, (), None)
    assert await store.time_out() == []
    assert await store.next_due() == START + 12
    shelf.now += 12
    assert await first_claim(store, "local") is None
    (late,) = await store.time_out()
    assert late == await store.get(job.id)
    assert (late.state, late.ended_at) == (JobState.FAILED, START + 12)
    assert (late.failure.code, late.failure.message) == (
        "request_timeout",
        "It was not started within 12 s, as its caller had asked.",
    )
    assert await store.next_due() is None
    assert await store.time_out() == []


async def test_a_job_whose_time_is_over_as_it_comes_is_not_taken(shelf, store):
    added = await store.add(shelf.job(start_by=START - 1), (), None, take=True)
    assert added.claim is None
    assert [job.id for job in await store.time_out()] == [added.job.id]


async def test_a_job_that_began_in_time_may_run_on_but_a_retry_must_begin_in_time(shelf, store):
    claim = await shelf.claimed(store, start_by=START + 5)
    shelf.now += 6
    assert await store.time_out() == []
    await store.leave()  # its server stops: the job had begun
    assert await store.time_out() == []
    claim = await first_claim(store, "local")
    await store.retry(claim, "it crashed", ())
    assert [job.id for job in await store.time_out()] == [claim.job.id]


@pytest.mark.parametrize("way", ["ended", "cancelled", "lost", "late", "refused"])
async def test_a_private_job_forgets_what_it_was_given_and_said(shelf, store, way):
    secret = {"private": True, "start_by": START + 5}
    if way == "refused":
        job = (await store.add(shelf.job(**secret, **REFUSED), (), None)).job
    else:
        job = await ended_somehow(shelf, store, way, secret)
    assert job == await store.get(job.id)
    assert (job.arguments, job.private) == ({}, True)
    said = [(e.kind, e.message) for e in await store.events(job.id) if e.kind != "state"]
    assert said in ([], [("progress", "")])
    assert job.message == ("stop" if way == "cancelled" else "")


async def ended_somehow(shelf, store, way, changes):
    if way == "late":
        await store.add(shelf.job(**changes), (), None)
        shelf.now += 9
        return (await store.time_out())[0]
    victim = await shelf.open("victim") if way == "lost" else store
    claim = await shelf.claimed(victim, **changes)
    said = [Report("progress", 1, 2, "a secret"), Report("log", message="a secret")]
    await victim.report(claim, said)
    if way == "ended":
        return await store.end(claim, SUCCEEDED)
    if way == "lost":
        return (await store.recover(lambda instance: True, 1))[0]
    await store.cancel(claim.job.id, "ann", "stop")
    return await store.retry(claim, "why", ())


@pytest.mark.parametrize("way", ["ended", "cancelled", "lost", "late", "refused"])
async def test_a_webhook_is_due_once_its_job_has_ended(shelf, store, way):
    changes = {"webhook": HOOK, "start_by": START + 5}
    await store.add(shelf.job("another"), (), None)
    assert await store.next_webhook() is None
    if way == "refused":
        job = (await store.add(shelf.job(**changes, **REFUSED), (), None)).job
    else:
        job = await ended_somehow(shelf, store, way, changes | {"priority": 1})
    assert await store.next_webhook() == job.ended_at
    (delivery,) = await store.take_webhooks(9, 60)
    assert (delivery.job, delivery.attempt) == (job, 1)
    await store.told(delivery, Told(True, "200"))
    assert (await store.next_webhook(), await store.take_webhooks(9, 60)) == (None, [])


async def test_a_webhook_brings_the_job_with_its_outputs(shelf, store):
    job = await ended(shelf, store, (A,), webhook=HOOK)
    (delivery,) = await store.take_webhooks(1, 60)
    assert (delivery.job, delivery.job.assets) == (job, (A,))


async def test_a_webhook_is_taken_by_one_server_and_again_if_that_says_nothing(shelf, store):
    other = await shelf.open("two")
    for _ in range(3):
        await ended(shelf, store, webhook=HOOK)
    first = await store.take_webhooks(2, 60)
    (third,) = await other.take_webhooks(9, 60)
    await other.told(third, Told(True, "200"))
    assert len(first) == 2
    assert await other.take_webhooks(9, 60) == []
    shelf.now += 60
    again = await other.take_webhooks(2, 60)
    assert [(d.number, d.attempt) for d in again] == [(d.number, 2) for d in first]
    await store.told(first[0], Told(True, "200"))  # too late: it is the other's now
    await other.told(again[0], Told(False, "500", START + 100))
    await other.told(again[1], Told(False, "302"))
    shelf.now = START + 99
    assert [d.attempt for d in await store.take_webhooks(9, 60)] == []
    shelf.now = START + 100
    assert await store.next_webhook() == START + 100
    (last,) = await store.take_webhooks(1, 60)
    assert (last.number, last.attempt) == (first[0].number, 3)


async def test_an_upload_is_its_owners_until_its_time_is_over(shelf, store):
    kept = Upload(A.uri, "ann", "name", START + 60)
    assert await store.keep_upload(kept) == A.uri
    assert await store.upload("name") == kept
    assert await store.owns("ann", A.uri)
    assert await serves(store, A.uri)
    assert not await store.owns("bob", A.uri)
    assert not await serves(store, B.uri)
    assert (await store.next_due(), await store.expiring()) == (START + 60, [])
    shelf.now += 60
    assert await store.upload("name") is None
    assert not await store.owns("ann", A.uri)
    assert not await serves(store, A.uri)
    assert not await needs(store, A.uri)
    assert await store.expiring() == [("ann", A.uri)]
    await store.checked("ann", A.uri)
    assert (await store.next_due(), await store.expiring()) == (None, [])


async def test_a_look_can_be_put_off(shelf, store):
    await store.keep_upload(Upload(A.uri, "ann", None, START))
    await store.checked("ann", A.uri, START + 9)
    assert (await store.next_due(), await store.expiring()) == (START + 9, [])
    shelf.now += 9
    assert await store.expiring() == [("ann", A.uri)]


async def test_the_name_of_an_upload_is_taken_once(shelf, store):
    await store.keep_upload(Upload(A.uri, "ann", "name"))
    assert await store.keep_upload(Upload(A.uri, "ann", "name")) == A.uri
    assert await store.keep_upload(Upload(B.uri, "ann", "name")) == A.uri
    assert (await store.upload("name")).uri == A.uri
    assert not await store.owns("ann", B.uri)
    assert await store.keep_upload(Upload(B.uri, "ann")) == B.uri
    assert await store.owns("ann", B.uri)


async def test_outputs_with_a_lifetime_are_to_be_had_for_so_long_after_the_end(shelf, store):
    await ended(shelf, store, (A, B), lifetime=60.0)
    await ended(shelf, store, (B,))
    assert [a.uri for a in await store.assets("ann")] == [B.uri, A.uri]
    shelf.now += 60
    assert [await serves(store, a.uri) for a in (A, B)] == [False, True]
    assert [await store.owns("ann", a.uri) for a in (A, B)] == [False, True]
    assert [await needs(store, a.uri) for a in (A, B)] == [False, True]
    assert [a.uri for a in await store.assets("ann")] == [B.uri]
    assert sorted(await store.expiring()) == [("ann", A.uri), ("ann", B.uri)]


@pytest.mark.parametrize("longer", ["upload", "another's output", "for good"])
async def test_what_expires_for_one_is_kept_for_another(shelf, store, longer):
    await store.keep_upload(Upload(A.uri, "ann", None, START + 10))
    if longer == "upload":
        await store.keep_upload(Upload(A.uri, "bob", None, START + 20))
    else:
        bob = replace(shelf.job().caller, owner="bob")
        lifetime = None if longer == "for good" else 20.0
        await ended(shelf, store, (A,), caller=bob, lifetime=lifetime)
    shelf.now += 10
    assert (await needs(store, A.uri), await serves(store, A.uri)) == (True, True)
    assert [await store.owns(owner, A.uri) for owner in ("ann", "bob")] == [False, True]
    shelf.now += 10
    assert await needs(store, A.uri) is (longer == "for good")


async def test_an_input_is_needed_while_its_job_is_under_way(shelf, store):
    await store.keep_upload(Upload(A.uri, "ann", None, START + 10))
    await store.add(shelf.job(parents=(A.uri,)), (A,), None)
    shelf.now += 10
    assert (await serves(store, A.uri), await needs(store, A.uri)) == (False, True)
    await store.checked("ann", A.uri)
    assert await store.next_due() is None
    shelf.now += 5
    await store.end(await first_claim(store, "local"), SUCCEEDED)
    assert await store.next_due() == START + 15  # now is the time to look again
    assert not await needs(store, A.uri)


async def test_an_input_that_nobody_uploaded_stays_its_owners(shelf, store):
    claim = await shelf.claimed(store, parents=(A.uri,))
    await store.end(claim, SUCCEEDED)
    await store.add(shelf.job(parents=(B.uri,)), (B,), None)
    await store.end(await first_claim(store, "local"), SUCCEEDED)
    assert (await store.owns("ann", B.uri), await serves(store, B.uri)) == (True, False)
    await store.keep_upload(Upload(B.uri, "bob", None, START))
    assert [await store.owns(owner, B.uri) for owner in ("ann", "bob")] == [True, False]


async def test_a_failed_job_with_a_lifetime_leaves_nothing_to_expire(shelf, store):
    claim = await shelf.claimed(store, lifetime=5.0)
    await store.end(claim, Ending(JobState.FAILED, failure=Failure("bug", "It broke.")))
    assert await store.next_due() is None
