"""Writes that share a transaction: none is left without an answer."""

import asyncio
import sqlite3

import anyio
import pytest

from media_mcp.queue.sqlite.writer import Writer, commit

pytestmark = pytest.mark.anyio


async def in_thread(work):
    await anyio.to_thread.run_sync(work)


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


def test_nothing_to_write_is_nothing_done(db):
    commit(db, [])
    assert not db.in_transaction
