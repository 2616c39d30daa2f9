"""Writes that share a transaction: none is lost or left without an answer, whoever is cancelled."""

import asyncio
import sqlite3
import threading

import anyio
import pytest

from media_mcp.queue.sqlite.writer import Writer, commit

pytestmark = pytest.mark.anyio


class Lane:
    """Does one thing at a time in a thread; `slow` lets the next one wait before it begins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.slow: list[threading.Event] = []

    async def run(self, work):
        wait = self.slow.pop(0) if self.slow else None

        def guarded():
            if wait is not None:
                wait.wait(10)
            with self._lock:
                work()

        await anyio.to_thread.run_sync(guarded, abandon_on_cancel=True)


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


async def test_a_turn_that_is_cancelled_leaves_the_next_one_its_answer(db, anyio_backend):
    lane, late = Lane(), threading.Event()
    lane.slow = [late]
    writer = Writer(lane.run)
    first = asyncio.ensure_future(writer.write(db, saying(db, "first")))
    await anyio.wait_all_tasks_blocked()
    second = asyncio.ensure_future(writer.write(db, saying(db, "second")))
    await anyio.wait_all_tasks_blocked()
    first.cancel()  # as asyncio does it: no shield holds that off
    assert await second == "second"
    late.set()
    assert await writer.write(db, saying(db, "third")) == "third"
    told = [word for (word,) in db.execute("SELECT word FROM told ORDER BY rowid")]
    assert told == ["first", "second", "third"]


async def test_an_error_that_ends_the_transaction_is_everybodys(db):
    class Broken(Exception):
        pass

    def end():
        db.execute("ROLLBACK")
        raise Broken

    writer = Writer(Lane().run)
    writes = [writer.write(db, write) for write in (saying(db, "a"), end, saying(db, "b"))]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert results[0] == "a" or isinstance(results[0], Broken)
    assert all(isinstance(result, str | Broken) for result in results)


def test_nothing_to_write_is_nothing_done(db):
    commit(db, [])
    assert not db.in_transaction
