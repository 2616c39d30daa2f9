"""Which jobs are taken to be run; that this instance lives, which every claim says, too."""

from __future__ import annotations

import sqlite3

from media_mcp import faultpoints
from media_mcp.faultpoints import Point
from media_mcp.queue.sqlite import reads
from media_mcp.queue.sqlite.connection import transaction
from media_mcp.queue.sqlite.pen import Pen, tell_state
from media_mcp.queue.sqlite.rows import dumps, load_job
from media_mcp.queue.store import Claim, Wish


def claim(pen: Pen, backend: str, wish: Wish, most: int) -> list[Claim]:
    if not reads.has_queued(pen.db, backend):
        return []
    with transaction(pen.db):
        return take_next(pen, backend, wish, most)


def take_next(pen: Pen, backend: str, wish: Wish, most: int) -> list[Claim]:
    """Take jobs within the transaction that is open."""
    mate = wish.mate
    faultpoints.reached(Point.BEFORE_CLAIM)
    rows = pen.db.execute(
        _CLAIM,
        {
            "me": pen.instance.id,
            "now": pen.clock(),
            "backend": backend,
            "warm": dumps(sorted(wish.warm)),
            "busy": dumps(sorted(wish.busy)),
            "overdue": wish.overdue,
            "batch": mate and mate.batch,
            "priority": mate and mate.priority,
            "most": most,
        },
    ).fetchall()
    if rows:
        say_alive(pen)
        faultpoints.reached(Point.IN_CLAIM)
    return [_claimed(pen, backend, row) for row in sorted(rows, key=lambda row: row["n"])]


def _claimed(pen: Pen, backend: str, row: sqlite3.Row) -> Claim:
    tell_state(pen, row["n"], f"running on {backend}, attempt {row['attempt']}")
    inputs = reads.inputs(pen.db, row["n"]) if row["parents"] != "[]" else {}
    return Claim(row["n"], load_job(row), pen.instance.id, row["spent"], inputs)


_CLAIM = """
UPDATE jobs SET state = 'running', claimed_by = :me, attempt = attempt + 1,
    started_at = coalesce(started_at, :now), step = NULL, total = NULL, message = ''
WHERE n IN (
    SELECT n FROM jobs WHERE state = 'queued' AND backend = :backend
        AND (start_by IS NULL OR start_by > :now
            OR started_at IS NOT NULL AND spent = 0 AND tried = '[]')
        AND (:batch IS NULL OR batch = :batch AND priority = :priority)
    ORDER BY priority DESC, created_at < :overdue DESC,
        model IN (SELECT value FROM json_each(:warm)) DESC,
        model IN (SELECT value FROM json_each(:busy)), n
    LIMIT :most)
RETURNING *
"""


def beat(pen: Pen) -> None:
    with transaction(pen.db):
        say_alive(pen)


def say_alive(pen: Pen) -> None:
    me = pen.instance
    pen.db.execute(
        "INSERT INTO instances (id, pid, host, started, heartbeat) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET heartbeat = excluded.heartbeat",
        (me.id, me.pid, me.host, me.started, pen.clock()),
    )
