"""Writes that share a transaction: none is left without an answer."""

import asyncio
import sqlite3
import threading

import anyio
import pytest

from media_mcp.queue.sqlite.writer import Writer, commit

pytestmark = pytest.mark.anyio


async def in_thread(work):
    await anyio.to_thread.run_sync(work)


class Lane:
    """Lets one thread at a time begin, when told to, as the store's does."""

    def __init__(self):
        self.open = anyio.Event()
        self.asked = 0
        self._lock = threading.Lock()

    async def run(self, work):
        self.asked += 1
        await self.open.wait()
        await anyio.to_thread.run_sync(self._alone, work)

    def _alone(self, work):
        with self._lock:
            work()


@pytest.fixture
def db():
    made = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    made.execute("CREATE TABLE told (word TEXT)")
    yield made
    made.close()


def saying(db, word):
    def write():
        db.execute("INSERT INTO told VALUES (?)", (word,))
        return word

    return write


async def test_an_error_that_ends_the_transaction_is_everybodys(db):
    class Broken(Exception):
        pass

    def end():
        db.execute("ROLLBACK")
        raise Broken

    writer = Writer(in_thread)
    writes = [writer.write(db, write) for write in (saying(db, "a"), end, saying(db, "b"))]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert results[0] == "a" or isinstance(results[0], Broken)
    assert all(isinstance(result, str | Broken) for result in results)


def words(db):
    return [word for (word,) in db.execute("SELECT word FROM told ORDER BY rowid")]


async def asked(lane, times):
    while lane.asked < times:
        await anyio.lowlevel.checkpoint()


async def test_who_is_cancelled_before_the_thread_begins_takes_nobody_along(db):
    """By asyncio itself: a task that is cancelled so heeds no shield."""
    lane = Lane()
    writer = Writer(lane.run)
    leader = asyncio.ensure_future(writer.write(db, saying(db, "leader")))
    await asked(lane, 1)
    others = [asyncio.ensure_future(writer.write(db, saying(db, word))) for word in "ab"]
    leader.cancel()
    await asyncio.wait([leader])
    await asked(lane, 2)
    lane.open.set()
    assert await asyncio.gather(*others) == ["a", "b"]
    assert leader.cancelled()
    assert words(db) == ["a", "b"]


async def test_who_is_cancelled_while_the_thread_writes_has_written(db):
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        begun.set()
        go_on.wait(10)
        return saying(db, "leader")()

    lane = Lane()
    lane.open.set()
    writer = Writer(lane.run)
    leader = asyncio.ensure_future(writer.write(db, slow))
    await anyio.to_thread.run_sync(begun.wait, 10)
    leader.cancel()
    await asyncio.wait([leader])
    other = asyncio.ensure_future(writer.write(db, saying(db, "other")))
    await asked(lane, 2)
    go_on.set()
    assert await other == "other"
    assert words(db) == ["leader", "other"]


async def test_who_waits_for_a_turn_and_is_cancelled_has_not_written(db):
    lane = Lane()
    writer = Writer(lane.run)
    leader = asyncio.ensure_future(writer.write(db, saying(db, "leader")))
    await asked(lane, 1)
    waiting = asyncio.ensure_future(writer.write(db, saying(db, "waiting")))
    await anyio.lowlevel.checkpoint()
    waiting.cancel()
    await asyncio.wait([waiting])
    lane.open.set()
    assert await leader == "leader"
    assert words(db) == ["leader"]


def test_nothing_to_write_is_nothing_done(db):
    commit(db, [])
    assert not db.in_transaction
