"""Who still needs which asset: uploads, and outputs that are kept for a time.

A row of `lifetimes` is an upload (it has no job) or an output whose job has a lifetime. `check_at`
is when to look next whether anybody needs the bytes; it is empty once that was looked at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from media_mcp.job import Asset
from media_mcp.queue.sqlite.connection import transaction
from media_mcp.queue.sqlite.pen import Pen
from media_mcp.queue.store import Upload

MOST = 100  # assets that are looked at in one go

# Of a row of `job_assets`: whether the time of that output is over.
EXPIRED = """EXISTS (SELECT 1 FROM lifetimes WHERE lifetimes.job = job_assets.job
    AND lifetimes.uri = job_assets.uri AND expires_at <= :now)"""
UPLOADED = """EXISTS (SELECT 1 FROM lifetimes WHERE uri = :uri AND job IS NULL
    AND owner = coalesce(:owner, owner) AND (expires_at IS NULL OR expires_at > :now))"""
MADE = f"""EXISTS (SELECT 1 FROM job_assets JOIN jobs ON jobs.n = job_assets.job
    WHERE job_assets.uri = :uri AND side = 'out' AND owner = coalesce(:owner, owner)
    AND NOT {EXPIRED})"""  # noqa: S608
# An input is needed while its job is under way, and as long as its owner has no other claim to it.
USED = """EXISTS (SELECT 1 FROM job_assets JOIN jobs ON jobs.n = job_assets.job
    WHERE job_assets.uri = :uri AND side = 'in' AND owner = coalesce(:owner, owner)
    AND (state IN ('queued', 'running') OR NOT EXISTS (SELECT 1 FROM lifetimes
        WHERE lifetimes.uri = :uri AND lifetimes.job IS NULL AND lifetimes.owner = jobs.owner)))"""


def served(db: sqlite3.Connection, uri: str, now: float) -> bool:
    """Tell whether anybody's upload or output of this content is still to be had."""
    return _ask(db, f"SELECT {UPLOADED} OR {MADE}", uri, None, now)


def needed(db: sqlite3.Connection, uri: str, owner: str | None, now: float) -> bool:
    """Tell whether an owner (None: anybody) has the asset, or a job that works with it."""
    return _ask(db, f"SELECT {UPLOADED} OR {MADE} OR {USED}", uri, owner, now)


def _ask(db: sqlite3.Connection, query: str, uri: str, owner: str | None, now: float) -> bool:
    found = db.execute(query, {"uri": uri, "owner": owner, "now": now})
    return bool(found.fetchone()[0])


def upload(db: sqlite3.Connection, name: str, now: float) -> str | None:
    row = db.execute(
        "SELECT uri FROM lifetimes WHERE name = ? AND (expires_at IS NULL OR expires_at > ?)",
        (name, now),
    ).fetchone()
    return str(row["uri"]) if row else None


def keep_upload(pen: Pen, made: Upload) -> str:
    with transaction(pen.db):
        pen.db.execute(
            "INSERT INTO lifetimes (uri, owner, name, expires_at, check_at) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
            (made.uri, made.owner, made.name, made.expires_at, made.expires_at),
        )
        row = pen.db.execute("SELECT uri FROM lifetimes WHERE name = ?", (made.name,)).fetchone()
    return str(row["uri"]) if row else made.uri


def keep_outputs(pen: Pen, row: sqlite3.Row, assets: Sequence[Asset]) -> None:
    """Note when the outputs of a job that ends now expire, if they do."""
    if row["lifetime"] is None:
        return
    at = row["ended_at"] + row["lifetime"]
    pen.db.executemany(
        "INSERT INTO lifetimes (uri, owner, job, expires_at, check_at) VALUES (?, ?, ?, ?, ?)",
        [(asset.uri, row["owner"], row["n"], at, at) for asset in assets],
    )


def check_inputs(pen: Pen, number: int) -> None:
    """Have the inputs of a job that ends looked at, where only that job kept them."""
    pen.db.execute(
        "UPDATE lifetimes SET check_at = ?1 WHERE expires_at <= ?1 "
        "AND uri IN (SELECT uri FROM job_assets WHERE job = ?2 AND side = 'in')",
        (pen.clock(), number),
    )


def expiring(db: sqlite3.Connection, now: float) -> list[str]:
    rows = db.execute(
        "SELECT uri FROM lifetimes WHERE check_at <= ? ORDER BY check_at LIMIT ?", (now, MOST)
    )
    return list(dict.fromkeys(uri for (uri,) in rows))


def checked(pen: Pen, uri: str, again: float | None) -> None:
    with transaction(pen.db):
        pen.db.execute(
            "UPDATE lifetimes SET check_at = ? WHERE uri = ? AND check_at <= ?",
            (again, uri, pen.clock()),
        )
