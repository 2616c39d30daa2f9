"""Who still needs which asset: uploads, and outputs that are kept for a time.

A row of `lifetimes` is an upload (it has no job) or an output whose job has a lifetime. `check_at`
is when to look next whether anybody needs the bytes; it is empty once that was looked at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from media_mcp.job import Asset
from media_mcp.queue.sqlite import holdings
from media_mcp.queue.sqlite.connection import transaction
from media_mcp.queue.sqlite.pen import Pen
from media_mcp.queue.store import Upload

MOST = 100  # assets that are looked at in one go

# Of a row of `job_assets`: whether the time of that output is over.
EXPIRED = """EXISTS (SELECT 1 FROM lifetimes WHERE lifetimes.job = job_assets.job
    AND lifetimes.uri = job_assets.uri AND expires_at <= :now)"""
UPLOADED = """EXISTS (SELECT 1 FROM lifetimes WHERE uri = :uri AND job IS NULL
    AND owner = :owner AND (expires_at IS NULL OR expires_at > :now))"""
MADE = f"""EXISTS (SELECT 1 FROM job_assets JOIN jobs ON jobs.n = job_assets.job
    WHERE job_assets.uri = :uri AND side = 'out' AND owner = :owner AND NOT {EXPIRED})"""  # noqa: S608
# An input is needed while its job is under way, and as long as its owner has no other claim to it.
USED = """EXISTS (SELECT 1 FROM job_assets JOIN jobs ON jobs.n = job_assets.job
    WHERE job_assets.uri = :uri AND side = 'in' AND owner = :owner
    AND (state IN ('queued', 'running') OR NOT EXISTS (SELECT 1 FROM lifetimes
        WHERE lifetimes.uri = :uri AND lifetimes.job IS NULL AND lifetimes.owner = jobs.owner)))"""
HOLDS = f"{UPLOADED} OR {MADE}"
CLAIMANTS = """SELECT owner FROM lifetimes WHERE uri = :uri UNION
    SELECT owner FROM job_assets JOIN jobs ON jobs.n = job_assets.job WHERE uri = :uri ORDER BY 1"""


def needed(db: sqlite3.Connection, uri: str, owner: str, now: float) -> bool:
    """Tell whether an owner has the asset, or a job that works with it."""
    values = {"uri": uri, "owner": owner, "now": now}
    return bool(db.execute(f"SELECT {HOLDS} OR {USED}", values).fetchone()[0])


def holders(db: sqlite3.Connection, uri: str, now: float) -> list[str]:
    """Return whose upload or output of this content is still to be had."""
    holds = HOLDS.replace(":owner", "claimant.owner")
    query = f"SELECT owner FROM ({CLAIMANTS}) AS claimant WHERE {holds}"  # noqa: S608
    return [owner for (owner,) in db.execute(query, {"uri": uri, "now": now})]


def upload(db: sqlite3.Connection, name: str, now: float) -> Upload | None:
    row = db.execute(
        "SELECT uri, owner, name, expires_at FROM lifetimes WHERE name = ? "
        "AND (expires_at IS NULL OR expires_at > ?)",
        (name, now),
    ).fetchone()
    return Upload(*row) if row else None


def keep_upload(pen: Pen, made: Upload) -> str:
    with transaction(pen.db):
        pen.db.execute(
            "INSERT INTO lifetimes (uri, owner, name, expires_at, check_at) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
            (made.uri, made.owner, made.name, made.expires_at, made.expires_at),
        )
        row = pen.db.execute("SELECT uri FROM lifetimes WHERE name = ?", (made.name,)).fetchone()
        kept = str(row["uri"]) if row else made.uri
        if kept == made.uri:
            holdings.use(pen, made.owner, made.uri, made.size)
    return kept


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


def expiring(db: sqlite3.Connection, now: float) -> list[tuple[str, str]]:
    rows = db.execute(
        "SELECT owner, uri FROM lifetimes WHERE check_at <= ? ORDER BY check_at LIMIT ?",
        (now, MOST),
    )
    return list(dict.fromkeys((owner, uri) for owner, uri in rows))


def checked(pen: Pen, owner: str, uri: str, again: float | None) -> None:
    with transaction(pen.db):
        pen.db.execute(
            "UPDATE lifetimes SET check_at = ? WHERE owner = ? AND uri = ? AND check_at <= ?",
            (again, owner, uri, pen.clock()),
        )
