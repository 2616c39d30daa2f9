"""One connection to one file: how it is opened, migrated and written, and what its errors mean."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from media_mcp.errors import StorageFailed

LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def connect(path: Path, busy_seconds: float, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open the file, making or migrating its tables. Raises `sqlite3.Error` or `StorageFailed`."""
    db = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        db.row_factory = sqlite3.Row
        _switch_to_wal(db, busy_seconds)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA journal_size_limit = 67108864")
        _migrate(db, path, migrations)
    except BaseException:
        db.close()
        raise
    return db


def in_memory(migrations: Sequence[str]) -> sqlite3.Connection:
    """Return empty tables that are nobody's."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    _migrate(db, Path(":memory:"), migrations)
    return db


def _switch_to_wal(db: sqlite3.Connection, busy_seconds: float) -> None:
    """Two servers that start at once may both try; SQLite does not wait for this one lock."""
    deadline = time.monotonic() + busy_seconds
    while db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if primary_code(error) not in LOCKED or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _migrate(db: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    if _version(db) == len(migrations):
        return
    with transaction(db):
        version = _version(db)
        if version > len(migrations):
            raise StorageFailed(
                f"{path} was written by a newer media-mcp (version {version} of its tables; this "
                f"one knows {len(migrations)}).",
                "Upgrade with: pip install -U media-mcp, or point data_dir at another folder.",
            )
        for script in migrations[version:]:
            for statement in _statements(script):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(migrations)}")


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; a trigger holds semicolons of its own."""
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


_WHOLE = ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
_PART = ("SAVEPOINT part", "RELEASE part", "ROLLBACK TO part; RELEASE part")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Write all of it or none. The write lock is taken first, so that reads within hold.

    Within another transaction it is a part of that one, which can fail alone.
    """
    begin, commit, rollback = _PART if db.in_transaction else _WHOLE
    db.execute(begin)
    try:
        yield
        db.execute(commit)
    except BaseException:
        if db.in_transaction:  # some errors have rolled everything back already
            for statement in rollback.split(";"):
                db.execute(statement)
        raise


def primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def storage_failed(error: sqlite3.Error, path: Path) -> StorageFailed | None:
    """Return the error in words, or None for one that no operator can mend (a bug of ours)."""
    words = _WORDS.get(primary_code(error))
    if words is None:
        return None
    message, hint = words
    return StorageFailed(message.format(path=path), hint.format(path=path, folder=path.parent))


_DAMAGED = (
    "The job database {path} is damaged or not a database.",
    "Stop every media-mcp server, then restore a backup of it, or move it away and start afresh: "
    "mv {path} {path}.broken",
)
_LOCKED = (
    "The job database {path} is locked: another program has been writing to it for too long.",
    "Try again; if it stays, find that program with: fuser {path}",
)
_WORDS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_FULL: (
        "The disk is full: {path} could not be written.",
        "Free some space in {folder}, then try again; jobs that were accepted are kept.",
    ),
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: (
        "The job database {path} is read-only.",
        "Make {folder} writable for this user, or point data_dir at another folder.",
    ),
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_CANTOPEN: (
        "The job database {path} cannot be opened.",
        "Check that {folder} exists and that this user may write in it.",
    ),
    sqlite3.SQLITE_IOERR: (
        "The disk failed while {path} was read or written.",
        "Check the disk under {folder}; network file systems are not supported.",
    ),
}
