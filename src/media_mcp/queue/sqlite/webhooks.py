"""Which ends of jobs are still to be told to whom."""

from __future__ import annotations

import sqlite3

from media_mcp.queue.sqlite import reads
from media_mcp.queue.sqlite.connection import transaction
from media_mcp.queue.sqlite.pen import Pen
from media_mcp.queue.sqlite.rows import text
from media_mcp.queue.store import Delivery, Told

LONGEST = 2 * 3600.0  # seconds between two tries at most


def due(pen: Pen, number: int) -> None:
    pen.db.execute(
        "INSERT INTO webhooks (job, state, next_at) VALUES (?, 'due', ?)", (number, pen.clock())
    )


# The clock may have been set back since: what was never tried, or seems to be due after a longer
# rest than there is, is due now.
_AT = (
    f"CASE WHEN attempts = 0 OR next_at > :now + {LONGEST} THEN min(next_at, :now) ELSE next_at END"
)


def next_at(db: sqlite3.Connection, now: float) -> float | None:
    (at,) = db.execute(
        f"SELECT min({_AT}) FROM webhooks WHERE state = 'due'",  # noqa: S608
        {"now": now},
    ).fetchone()
    return None if at is None else float(at)


def take(pen: Pen, most: int, hold: float) -> list[Delivery]:
    with transaction(pen.db):
        taken = pen.db.execute(
            "UPDATE webhooks SET attempts = attempts + 1, next_at = :now + :hold WHERE job IN "  # noqa: S608
            f"(SELECT job FROM webhooks WHERE state = 'due' AND {_AT} <= :now "
            "ORDER BY next_at LIMIT :most) RETURNING job, attempts",
            {"now": pen.clock(), "hold": hold, "most": most},
        ).fetchall()
        return [_delivery(pen, number, attempt) for number, attempt in sorted(map(tuple, taken))]


def _delivery(pen: Pen, number: int, attempt: int) -> Delivery:
    row = pen.db.execute("SELECT * FROM jobs WHERE n = ?", (number,)).fetchone()
    return Delivery(number, attempt, reads.read_job(pen.db, row))


def told(pen: Pen, delivery: Delivery, how: Told) -> None:
    """Write what came of a delivery, unless it took so long that another one was begun."""
    state = "due" if how.again_at is not None else "delivered" if how.delivered else "failed"
    with transaction(pen.db):
        pen.db.execute(
            "UPDATE webhooks SET state = ?, next_at = coalesce(?, next_at), answer = ? "
            "WHERE job = ? AND attempts = ? AND state = 'due'",
            (state, how.again_at, text(how.answer), delivery.number, delivery.attempt),
        )
