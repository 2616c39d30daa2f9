"""A disk that is full, a file that is locked or damaged: what is said, and that nothing is lost."""

import sqlite3
from contextlib import closing

import anyio
import pytest

from media_mcp.backends.base import Report
from media_mcp.errors import StorageFailed
from media_mcp.job import JobState
from media_mcp.media import MediaStore
from media_mcp.queue import attempt
from media_mcp.queue.liveness import this_instance
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.queue.sqlite.connection import connect
from media_mcp.queue.sqlite.migrations import MIGRATIONS

pytestmark = pytest.mark.anyio


@pytest.fixture
def file(tmp_path):
    return tmp_path / "jobs.sqlite"


@pytest.fixture
async def store(file, anyio_backend):
    """A store that gives up on a lock soon."""
    return SqliteStore(file, this_instance(), busy_seconds=0.05)


@pytest.fixture
def locker(file):
    """Another program with the file in hand: `BEGIN IMMEDIATE` locks it."""
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    yield other
    other.close()


async def test_a_full_disk_refuses_a_call_in_words_and_keeps_what_was_accepted(
    house, tools, store, ann
):
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend, store=store) as queue:
        kept = await queue.submit(tools.call("kept"))
        await backend.started()
        db = store._pen.db
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        with pytest.raises(StorageFailed) as caught:
            for n in range(100):
                await queue.submit(tools.call(f"{n}" + "x" * 4000))
        assert (await queue.get(kept.job.id, ann)).state is JobState.RUNNING
        db.execute("PRAGMA max_page_count = 100000")
        await queue.submit(tools.call("there is room again"))
    assert caught.value.message == f"The disk is full: {store.path} could not be written."
    assert caught.value.hint.startswith(f"Free some space in {store.path.parent}")


async def test_a_locked_database_is_named_as_such(house, tools, store, locker):
    async with house.queue(house.backend(), store=store) as queue:
        locker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageFailed, match="is locked: another program") as caught:
            await queue.submit(tools.call())
        locker.execute("ROLLBACK")
        await queue.submit(tools.call())
    assert "fuser" in caught.value.hint


async def test_a_read_only_database_is_named_as_such(house, tools, store):
    async with house.queue(house.backend(), store=store) as queue:
        store._pen.db.execute("PRAGMA query_only = ON")
        with pytest.raises(StorageFailed, match="is read-only") as caught:
            await queue.submit(tools.call())
        store._pen.db.execute("PRAGMA query_only = OFF")
    assert "point data_dir at another folder" in caught.value.hint


async def test_a_file_that_is_no_database_is_named_as_such(house, file):
    file.write_bytes(b"GIF89a" * 1000)
    with pytest.raises(StorageFailed, match="is damaged or not a database") as caught:
        async with house.queue():
            pass
    assert f"mv {file} {file}.broken" in caught.value.hint
    assert file.read_bytes() == b"GIF89a" * 1000


async def test_a_damaged_database_is_named_as_such(house, tools, file, ann):
    async with house.queue(house.backend()) as queue:
        await queue.wait((await queue.submit(tools.call())).job.id, ann, 10)
    whole = bytearray(file.read_bytes())
    whole[4096:] = b"\xff" * (len(whole) - 4096)
    file.write_bytes(whole)
    with pytest.raises(StorageFailed, match="is damaged or not a database"):
        async with house.queue() as queue:
            await queue.jobs(ann)


async def test_a_folder_in_the_place_of_the_file_cannot_be_opened(house, file):
    file.mkdir()
    with pytest.raises(StorageFailed, match="cannot be opened"):
        async with house.queue():
            pass


async def test_a_data_folder_that_cannot_be_made_is_named(house, tmp_path):
    (tmp_path / "taken").write_text("a file")
    house.folder = tmp_path / "taken"
    with pytest.raises(StorageFailed, match=r"taken cannot be made: File exists\."):
        async with house.queue():
            pass


async def test_a_database_of_a_newer_version_is_left_alone(house, file):
    db = connect(file, 1.0, MIGRATIONS)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StorageFailed, match=r"newer media-mcp \(version 99") as caught:
        async with house.queue():
            pass
    assert "pip install -U media-mcp" in caught.value.hint


async def test_a_database_that_is_locked_at_the_start_is_named_as_such(store, file, locker):
    connect(file, 1.0, MIGRATIONS).close()
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageFailed, match="is locked"):
        await store.open()
    locker.execute("ROLLBACK")


async def test_a_new_file_that_is_locked_is_named_as_such(store, locker):
    """Before it is in WAL mode, an exclusive lock keeps even readers out."""
    locker.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageFailed, match="is locked"):
        await store.open()
    locker.execute("ROLLBACK")
    await store.open()
    await store.aclose()


async def test_a_new_file_that_somebody_reads_cannot_become_shared_and_is_named(store, locker):
    locker.execute("CREATE TABLE theirs (n)")
    locker.execute("BEGIN")
    locker.execute("SELECT * FROM theirs").fetchall()
    with pytest.raises(StorageFailed, match="is locked"):
        await store.open()
    locker.execute("ROLLBACK")
    await store.open()
    await store.aclose()


async def test_a_disk_that_fills_up_under_the_outputs_fails_the_job_in_words(house, tools, ann):
    class FullDisk(MediaStore):
        async def draft(self, *args, **facts):
            raise StorageFailed("The disk is full.", "Free some space.")

    async with house.queue(house.backend(), media=FullDisk(house.folder / "media")) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
    assert (job.state, job.failure.code) == (JobState.FAILED, "storage_failed")
    assert (job.failure.message, job.failure.hint) == ("The disk is full.", "Free some space.")
    assert job.cost == 0.25


async def test_a_work_folder_that_cannot_be_made_fails_the_job_in_words(house, tools, ann):
    (house.folder / "work").write_text("in the way")
    async with house.queue(house.backend()) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
    assert job.failure.code == "storage_failed"
    assert "cannot be made: Not a directory" in job.failure.message


async def said(caplog, words):
    while words not in caplog.text:
        await anyio.lowlevel.checkpoint()


async def test_a_result_waits_until_the_database_takes_it(
    house, tools, store, locker, ann, caplog, monkeypatch
):
    monkeypatch.setattr(attempt, "STORE_AGAIN_SECONDS", 0.01)
    backend = house.backend()

    async def lock(run):
        locker.execute("BEGIN IMMEDIATE")

    backend.script = lock
    async with house.queue(backend, store=store) as queue:
        submitted = await queue.submit(tools.call())
        await said(caplog, f"The end of job {submitted.job.id} waits: The job database")
        locker.execute("ROLLBACK")
        job = await queue.wait(submitted.job.id, ann, 10)
    assert (job.state, len(job.assets), job.attempt) == (JobState.SUCCEEDED, 1, 1)


async def test_progress_that_cannot_be_written_is_written_later(
    house, tools, store, locker, ann, caplog
):
    backend = house.backend()

    async def lock(run):
        locker.execute("BEGIN IMMEDIATE")
        await run.report(Report("progress", 1, 2))
        await said(caplog, "was not kept")
        await run.report(Report("log", message="a line"))
        locker.execute("ROLLBACK")

    backend.script = lock
    async with house.queue(backend, store=store) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
        kinds = [event.kind for event in await queue.events(job.id, ann)]
    assert (job.state, job.step, job.message) == (JobState.SUCCEEDED, 1, "a line")
    assert kinds == ["state", "state", "progress", "log", "state"]


async def test_a_claim_that_the_database_refuses_is_made_again(
    house, tools, store, locker, ann, caplog
):
    gate = anyio.Event()
    first, second = house.backend(script=lambda run: tools.gone(gate)), house.backend(name="b")
    async with house.queue(first, second, store=store) as queue:
        submitted = await queue.submit(tools.call(of=tools.model("poem", "b")))
        await queue.wait(submitted.job.id, ann, 10)
        waiting = tools.call("another", of=tools.model("poem", "c"))
        job = waiting.job(waiting.model.routes[0], 1, "", None, 0.0)
        while not queue._dispatcher.reserve("b"):  # so that its lane takes nothing until told to
            await anyio.lowlevel.checkpoint()
        await store.add(tools.replace(job, route=second_route(tools)), (), None)
        locker.execute("BEGIN IMMEDIATE")
        queue._dispatcher.hand("b", None)
        queue._dispatcher.ring()
        await said(caplog, "No job could be taken for b")
        locker.execute("ROLLBACK")
        assert (await queue.wait(job.id, ann, 10)).state is JobState.SUCCEEDED


def second_route(tools):
    return tools.model("poem", "b").routes[0]


async def test_looking_and_leaving_survive_a_locked_database(
    house, tools, store, locker, ann, caplog
):
    backend = house.backend(script=lambda run: anyio.sleep_forever())
    async with house.queue(backend, store=store) as queue:
        submitted = await queue.submit(tools.call())
        await backend.started()
        locker.execute("BEGIN IMMEDIATE")
        await said(caplog, "The store could not be looked at")
    assert "Unfinished jobs wait for the next start" in caplog.text
    locker.execute("ROLLBACK")
    backend.script = None
    async with house.queue(backend) as queue:
        left = await queue.get(submitted.job.id, ann)
    assert (left.state, left.attempt) == (JobState.RUNNING, 1)


async def test_tables_of_the_first_version_are_migrated_with_their_rows(house, tools, file, ann):
    async with house.queue(house.backend()) as queue:
        before = await queue.wait((await queue.submit(tools.call())).job.id, ann, 10)
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    more = (
        *MIGRATIONS,
        "ALTER TABLE jobs ADD COLUMN note TEXT NOT NULL DEFAULT 'none'; CREATE TABLE more (n)",
    )
    store = SqliteStore(file, this_instance(), migrations=more)
    async with house.queue(house.backend(), store=store) as queue:
        assert await queue.get(before.id, ann) == before
        assert store._pen.db.execute("SELECT note FROM jobs").fetchone()[0] == "none"
        assert store._pen.db.execute("PRAGMA user_version").fetchone()[0] == len(more)


async def test_a_migration_that_fails_changes_nothing(file):
    connect(file, 1.0, MIGRATIONS).close()
    with pytest.raises(sqlite3.OperationalError):
        connect(file, 1.0, (*MIGRATIONS, "CREATE TABLE more (n); CREATE NONSENSE"))
    db = connect(file, 1.0, MIGRATIONS)
    assert db.execute("SELECT name FROM sqlite_master WHERE name = 'more'").fetchone() is None
    db.close()


async def test_the_file_is_safe_against_power_loss_and_shared(store, file):
    await store.open()
    db = store._pen.db
    facts = {
        name: db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    await store.aclose()
    assert facts == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 50,
    }
    assert file.stat().st_mode & 0o777 in (0o600, 0o644)


async def test_an_error_of_ours_is_not_dressed_up_as_trouble_with_the_disk(store):
    await store.open()
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        await store._writing.run(lambda: store._pen.db.execute("SELECT nonsense"))
    await store.aclose()


async def test_a_store_that_was_never_opened_can_be_closed(store):
    await store.aclose()
