"""Stores that earlier versions wrote are read as they were, and work on."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from media_mcp.job import Asset, Caller, Event, Failure, Job, JobState, MediaKind, Route
from media_mcp.queue.budget import Limit
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.queue.sqlite.connection import connect
from media_mcp.queue.sqlite.migrations import INLINE, MIGRATIONS
from media_mcp.queue.store import Ending, Instance, Upload
from support import first_claim

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0
RED = f"media://{'a' * 64}.png"
# As version 1 wrote them: a success, a failure, and one that waits with an input.
ROWS = f"""
INSERT INTO jobs (n, id, owner, project, model, state, door, arguments, seed, backend, route,
        why_route, quoted, reserved, cost, priority, created_at, started_at, ended_at, attempt,
        facts, findings, failure, parents) VALUES
    (1, 'done', 'ann', 'default', 'sketch', 'succeeded', 'mcp', '{{"prompt":"a"}}', 7, 'local',
        '["local",{{"pipeline":"x"}},null]', 'ready', 0.5, 0, 0.25, 0, 10, 11, 13, 1,
        '{{"seed":7}}', '["dark"]', NULL, '[]'),
    (2, 'failed', 'ann', 'default', 'sketch', 'failed', 'cli', '{{}}', NULL, 'local',
        '["local",{{}},null]', '', NULL, 0, NULL, 0, 20, 21, 22, 1,
        '{{}}', '[]', '["bug","It broke.","Mend it."]', '[]'),
    (3, 'waits', 'bob', 'films', 'sketch', 'queued', 'mcp', '{{"prompt":"b"}}', 1, 'local',
        '["local",{{}},null]', '', NULL, 0, NULL, 2, 30, NULL, NULL, 0,
        '{{}}', '[]', NULL, '["{RED}"]');
INSERT INTO events (job, seq, at, kind, message, written_by) VALUES
    (1, 1, 10, 'state', 'queued for local', 'old'), (3, 1, 30, 'state', 'queued', 'old');
INSERT INTO job_assets (job, attempt, side, place, uri, asset) VALUES
    (1, 1, 'out', 0, '{RED}', '["{RED}","/a.png","image","image/png",9,4,2,null,"images"]'),
    (3, 0, 'in', 0, '{RED}', '["{RED}","/a.png","image","image/png",9,4,2,null,"image"]')
"""
HAS_LEDGER = 6  # from this version on, what was spent stands in a table of its own
CHARGED = """
INSERT INTO ledger (job, owner, project, model, backend, at, kind, usd, gpu_seconds)
    VALUES (1, 'ann', 'default', 'sketch', 'local', 13, 'charge', 0.25, 0)
"""
PICTURE = Asset(RED, Path("/a.png"), MediaKind.IMAGE, "image/png", 9, 4, 2, None, "images")


@pytest.fixture(params=range(1, len(MIGRATIONS)))
async def store(request, tmp_path, anyio_backend):
    """A store on a file of each version before this one, with rows."""
    path = tmp_path / "jobs.sqlite"
    with closing(connect(path, 1.0, MIGRATIONS[: request.param])) as db:
        for statement in ROWS.split(";\n"):
            db.execute(statement)
        if request.param >= HAS_LEDGER:
            db.execute(CHARGED)
    opened = SqliteStore(path, Instance("new", 1, "here", ""), clock=lambda: NOW)
    await opened.open()
    yield opened
    await opened.aclose()


async def test_jobs_events_and_assets_are_read_as_they_were(store):
    assert await store.get("done") == Job(
        id="done",
        model="sketch",
        state=JobState.SUCCEEDED,
        caller=Caller("ann"),
        arguments={"prompt": "a"},
        route=Route("local", {"pipeline": "x"}),
        seed=7,
        door="mcp",
        created_at=10,
        started_at=11,
        ended_at=13,
        attempt=1,
        why_route="ready",
        assets=(PICTURE,),
        facts={"seed": 7},
        findings=("dark",),
        cost=0.25,
        quoted=0.5,
    )
    assert (await store.get("failed")).failure == Failure("bug", "It broke.", "Mend it.")
    assert await store.events("done") == [Event("done", 1, 10, "state", message="queued for local")]
    assert await store.assets("ann") == [PICTURE]
    assert (await store.spend("ann"))["cost"] == 0.25


async def test_what_was_spent_counts_against_the_limits(store):
    whose = {"all": {}, "ann": {"owner": "ann"}, "bob": {"owner": "bob"}}
    days = {"then": {"since": 0.0}, "today": {"since": NOW - NOW % 86_400}}
    limits = [Limit("usd", 1.0, name, **given) for name, given in (whose | days).items()]
    left = {"all": 0.75, "ann": 0.75, "bob": 1.0, "then": 0.75, "today": 1.0}
    assert await store.left(limits) == left


async def test_what_waited_runs(store):
    claim = await first_claim(store, "local")
    assert (claim.job.id, claim.job.priority, list(claim.inputs)) == ("waits", 2, [RED])
    job = await store.end(claim, Ending(JobState.SUCCEEDED))
    assert job.batch is None
    assert (job.private, job.start_by, job.lifetime, job.webhook) == (False, None, None, None)
    assert await store.next_webhook() is None


async def test_who_had_named_the_backend_of_what_is_not_over_is_known(tmp_path):
    path = tmp_path / "jobs.sqlite"
    with closing(connect(path, 1.0, MIGRATIONS[:3])) as db:
        for statement in ROWS.split(";\n"):
            db.execute(statement)
        db.execute("UPDATE jobs SET why_route = 'local: asked for' WHERE id <> 'done'")
    store = SqliteStore(path, Instance("new", 1, "here", ""), clock=lambda: NOW)
    await store.open()
    pinned = [(await store.get(name)).pinned for name in ("done", "failed", "waits")]
    await store.aclose()
    assert pinned == [False, False, True]


async def test_who_had_asked_for_pictures_in_the_result_has_them_there(tmp_path):
    path = tmp_path / "jobs.sqlite"
    with closing(connect(path, 1.0, MIGRATIONS[: MIGRATIONS.index(INLINE)])) as db:
        for statement in ROWS.split(";\n"):
            db.execute(statement)
        db.execute("UPDATE jobs SET arguments = '{\"sync_mode\":true}' WHERE id = 'done'")
        db.execute("UPDATE jobs SET arguments = '{\"sync_mode\":\"loop\"}' WHERE id = 'waits'")
    store = SqliteStore(path, Instance("new", 1, "here", ""), clock=lambda: NOW)
    await store.open()
    inline = [(await store.get(name)).inline for name in ("done", "failed", "waits")]
    await store.aclose()
    assert inline == [True, False, False]


async def test_what_was_kept_does_not_expire(store):
    assert await store.next_due() is None
    assert (await store.holders(RED), await store.owns("ann", RED)) == (["ann"], True)
    assert await store.owns("bob", RED)  # as an input
    await store.keep_upload(Upload(RED, "eve", None, NOW - 1))
    assert await store.expiring() == [("eve", RED)]
    assert not await store.owns("eve", RED)


async def test_a_file_of_this_version_is_left_as_it_is(store):
    with closing(sqlite3.connect(store.path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
