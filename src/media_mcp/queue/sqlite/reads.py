"""What is read from the tables. Nothing here writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from media_mcp.job import Asset, Caller, Event, Job, JobState
from media_mcp.queue.sqlite import turns
from media_mcp.queue.sqlite.holdings import HELD
from media_mcp.queue.sqlite.lifetimes import EXPIRED
from media_mcp.queue.sqlite.rows import load_asset, load_event, load_job
from media_mcp.queue.store import KEY_SECONDS, Join
from media_mcp.queue.terms import Terms

_STANDING = "pinned_at, removed_at, removed_by"


def get(db: sqlite3.Connection, job_id: str, owner: str | None) -> Job | None:
    row = db.execute(
        "SELECT * FROM jobs WHERE id = ? AND owner = coalesce(?, owner)", (job_id, owner)
    ).fetchone()
    return read_job(db, row) if row else None


def read_job(db: sqlite3.Connection, row: sqlite3.Row) -> Job:
    return load_job(row, _outputs(db, row) if row["state"] == "succeeded" else ())


def _outputs(db: sqlite3.Connection, row: sqlite3.Row) -> list[Asset]:
    found = db.execute(
        f"SELECT asset, {_STANDING} FROM job_assets {HELD} "  # noqa: S608
        "WHERE job = :job AND side = 'out' AND attempt = :attempt ORDER BY place",
        {"job": row["n"], "attempt": row["attempt"], "owner": row["owner"]},
    )
    return [load_asset(each["asset"], each) for each in found]


def inputs(db: sqlite3.Connection, number: int) -> dict[str, Asset]:
    found = db.execute(
        "SELECT uri, asset FROM job_assets WHERE job = ? AND side = 'in' ORDER BY place", (number,)
    )
    return {uri: load_asset(asset) for uri, asset in found}


# It made what nobody has had yet, and all of that is there.
_UNHEARD = f"""state = 'succeeded' AND answered_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM job_assets {HELD}
    WHERE job = jobs.n AND side = 'out' AND removed_at IS NOT NULL)"""  # noqa: S608


def joined(db: sqlite3.Connection, caller: Caller, join: Join, now: float) -> sqlite3.Row | None:
    open_to_all = (
        "(created_at > :since OR state IN ('queued', 'running'))"
        if join.exact
        else f"(state IN ('queued', 'running') OR {_UNHEARD})"
    )
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM jobs WHERE owner = :owner AND project = :project AND key = :key "  # noqa: S608
        f"AND {open_to_all} ORDER BY n DESC LIMIT 1",
        {
            "owner": caller.owner,
            "project": caller.project,
            "key": join.key,
            "since": now - KEY_SECONDS,
        },
    ).fetchone()
    return row


def jobs(
    db: sqlite3.Connection,
    owner: str,
    state: JobState | None,
    model: str | None,
    limit: int,
    before: str | None,
) -> list[Job]:
    rows = db.execute(
        "SELECT * FROM jobs WHERE owner = :owner AND (:state IS NULL OR state = :state) "
        "AND (:model IS NULL OR model = :model) "
        "AND (:before IS NULL OR n < (SELECT n FROM jobs WHERE id = :before AND owner = :owner)) "
        "ORDER BY n DESC LIMIT :limit",
        {"owner": owner, "state": state, "model": model, "before": before, "limit": limit},
    )
    return [read_job(db, row) for row in rows.fetchall()]


def events(db: sqlite3.Connection, job_id: str, after: int) -> list[Event]:
    rows = db.execute(
        "SELECT jobs.id, events.* FROM events JOIN jobs ON jobs.n = events.job "
        "WHERE jobs.id = ? AND seq > ? ORDER BY seq",
        (job_id, after),
    )
    return [load_event(row) for row in rows]


def position(db: sqlite3.Connection, job_id: str, terms: Terms) -> int | None:
    row = db.execute("SELECT * FROM jobs WHERE id = ? AND state = 'queued'", (job_id,)).fetchone()
    return turns.ahead(db, terms, row) if row else None


def queued_count(db: sqlite3.Connection, model: str) -> int:
    found = db.execute("SELECT count(*) FROM jobs WHERE state = 'queued' AND model = ?", (model,))
    return int(found.fetchone()[0])


OVERDUE = """
SELECT * FROM jobs WHERE state = 'queued' AND start_by IS NOT NULL
    AND (started_at IS NULL OR spent > 0 OR tried <> '[]')
"""


def overdue(db: sqlite3.Connection, now: float) -> list[sqlite3.Row]:
    """Return queued jobs that were to start by now: retries count, jobs handed back do not."""
    return db.execute(OVERDUE + "AND start_by <= ? ORDER BY start_by", (now,)).fetchall()


def next_due(db: sqlite3.Connection) -> float | None:
    first = db.execute(OVERDUE + "ORDER BY start_by LIMIT 1").fetchone()
    (check,) = db.execute(
        "SELECT min(check_at) FROM lifetimes WHERE check_at IS NOT NULL"
    ).fetchone()
    due = [at for at in (first and first["start_by"], check) if at is not None]
    return min(due, default=None)


def waiting(db: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """Return how many jobs wait, by backend and model; their index holds both."""
    found = db.execute(
        "SELECT backend, model, count(*) FROM jobs WHERE state = 'queued' GROUP BY 1, 2"
    )
    return {(backend, model): count for backend, model, count in found}


def has_queued(db: sqlite3.Connection, backend: str) -> bool:
    found = db.execute(
        "SELECT 1 FROM jobs WHERE state = 'queued' AND backend = ? LIMIT 1", (backend,)
    )
    return found.fetchone() is not None


def assets(
    db: sqlite3.Connection, owner: str, limit: int, before: str | None, now: float
) -> list[Asset]:
    rows = db.execute(
        "WITH made AS (SELECT max(job_assets.n) AS newest, uri FROM job_assets "  # noqa: S608
        "JOIN jobs ON jobs.n = job_assets.job WHERE owner = :owner AND side = 'out' "
        f"AND NOT {EXPIRED} GROUP BY uri) "
        f"SELECT asset, {_STANDING} FROM made JOIN job_assets ON job_assets.n = made.newest {HELD} "
        "WHERE :before IS NULL OR newest < (SELECT newest FROM made WHERE uri = :before) "
        "ORDER BY newest DESC LIMIT :limit",
        {"owner": owner, "before": before, "limit": limit, "now": now},
    )
    return [load_asset(each["asset"], each) for each in rows]


def durations(db: sqlite3.Connection, model: str, backend: str, limit: int) -> list[float]:
    rows = db.execute(
        "SELECT ended_at - started_at FROM jobs "
        "WHERE state = 'succeeded' AND model = ? AND backend = ? AND tried = '[]' "
        "ORDER BY n DESC LIMIT ?",
        (model, backend, limit),
    )
    return [seconds for (seconds,) in rows]


def changed_by_others(
    db: sqlite3.Connection, me: str, seen: int
) -> tuple[int, Sequence[tuple[sqlite3.Row, bool]]]:
    """Return the newest event's number, and the rows that others wrote events for since `seen`."""
    newest = int(db.execute("SELECT coalesce(max(n), 0) FROM events").fetchone()[0])
    rows = db.execute(
        "SELECT jobs.*, max(events.kind = 'state') AS state_changed "
        "FROM events JOIN jobs ON jobs.n = events.job "
        "WHERE events.n > ? AND events.n <= ? AND written_by <> ? "
        "GROUP BY jobs.n ORDER BY max(events.n)",
        (seen, newest, me),
    ).fetchall()
    return newest, [(row, bool(row["state_changed"])) for row in rows]
