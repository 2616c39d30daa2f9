"""The ledger: what jobs set aside, give back and cost. Lines are added to it and never changed.

Each function is a part of a bigger transaction, so the ledger and the jobs cannot disagree: what is
set aside and not given back belongs to jobs that have not ended, and a job is charged for once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from media_mcp.queue.budget import DAY_SECONDS, Limit, Need, too_many_a_minute, too_many_at_once
from media_mcp.queue.sqlite.pen import Pen
from media_mcp.queue.store import Tally

# What is counted against a limit: what was billed, or may have been.
MINUTE = 60.0
SPENT = "kind IN ('charge', 'unsure')"


def crowded(pen: Pen, owner: str, need: Need) -> None:
    """Raise `TooMany` for a caller who has, or made in the last minute, as many jobs as allowed."""
    if need.at_once is not None and _unfinished(pen.db, owner) >= need.at_once:
        raise too_many_at_once(need.at_once)
    if need.per_minute is None:
        return
    oldest = pen.db.execute(
        "SELECT created_at FROM jobs WHERE owner = ? AND created_at <= ? "
        "ORDER BY n DESC LIMIT 1 OFFSET ?",
        (owner, pen.clock(), need.per_minute - 1),  # the clock may have gone back since
    ).fetchone()
    wait = oldest[0] + MINUTE - pen.clock() if oldest else 0.0
    if wait > 0:
        raise too_many_a_minute(need.per_minute, wait)


def _unfinished(db: sqlite3.Connection, owner: str) -> int:
    """Count by the indexes of queued and of running jobs, which hold no others."""
    count = "(SELECT count(*) FROM jobs INDEXED BY jobs_{0} WHERE state = '{0}' AND owner = :owner)"
    query = f"SELECT {count.format('queued')} + {count.format('running')}"
    return int(db.execute(query, {"owner": owner}).fetchone()[0])


def reserve(pen: Pen, number: int, need: Need) -> None:
    """Set aside what a job may cost. Raises `OverBudget` where a limit leaves less than that."""
    binding = list(need.binding())
    counted = used(pen.db, [limit for limit, _ in binding])
    for (limit, wanted), total in zip(binding, counted, strict=True):
        limit.check(total, wanted)
    left = [
        limit.most - total
        for (limit, _), total in zip(binding, counted, strict=True)
        if limit.unit == "gpu_seconds"
    ]
    _set_aside(pen, number, "reserve", need.usd, need.seconds(left))


def release(pen: Pen, row: sqlite3.Row) -> None:
    """Give back what a job has set aside."""
    _set_aside(pen, row["n"], "release", -row["reserved"], -row["reserved_gpu"])


def _set_aside(pen: Pen, number: int, kind: str, usd: float, gpu_seconds: float) -> None:
    if usd or gpu_seconds:
        _write(pen, number, kind, usd, gpu_seconds)
        pen.db.execute(
            "UPDATE jobs SET reserved = max(0, ?), reserved_gpu = max(0, ?) WHERE n = ?",
            (usd, gpu_seconds, number),
        )


def charge(pen: Pen, number: int, usd: float, gpu_seconds: float, *, unsure: bool = False) -> None:
    """Write what a job cost, or may have cost. A second line for one job is not written."""
    _write(pen, number, "unsure" if unsure else "charge", usd, gpu_seconds)


def _write(pen: Pen, number: int, kind: str, usd: float, gpu_seconds: float) -> None:
    if usd or gpu_seconds:
        pen.db.execute(_LINE, (pen.clock(), kind, usd, gpu_seconds, number))


_LINE = """
INSERT INTO ledger (job, owner, project, model, backend, at, kind, usd, gpu_seconds)
SELECT n, owner, project, model, backend, ?, ?, ?, ? FROM jobs WHERE n = ?
ON CONFLICT DO NOTHING
"""


def used(db: sqlite3.Connection, limits: Iterable[Limit]) -> list[float]:
    """Return what is spent and set aside of each limit; where there is none, nothing is read."""
    asked = list(limits)
    aside = db.execute(_ASIDE).fetchall() if asked else []
    return [_spent(db, limit) + _aside(aside, limit) for limit in asked]


_ASIDE = """
SELECT owner, project, total(reserved) AS usd, total(reserved_gpu) AS gpu_seconds FROM jobs
WHERE reserved > 0 OR reserved_gpu > 0 GROUP BY project, owner
"""


def _aside(rows: Iterable[sqlite3.Row], limit: Limit) -> float:
    return sum(
        float(row[limit.unit])
        for row in rows
        if limit.owner in (None, row["owner"]) and limit.project in (None, row["project"])
    )


def _spent(db: sqlite3.Connection, limit: Limit) -> float:
    """The table `spent` has a line for each day, owner and project, and one for all days."""
    days = "day = -1" if limit.since is None else "day >= :day"
    (total,) = db.execute(
        f"SELECT total({limit.unit}) FROM spent WHERE {days} "  # noqa: S608
        "AND owner = coalesce(:owner, owner) AND project = coalesce(:project, project)",
        {
            "owner": limit.owner,
            "project": limit.project,
            "day": int((limit.since or 0.0) // DAY_SECONDS),
        },
    ).fetchone()
    return float(total)


def left(db: sqlite3.Connection, limits: Sequence[Limit]) -> dict[str, float]:
    """Return what is left of each limit, by the name of its setting."""
    counted = zip(limits, used(db, limits), strict=True)
    return {limit.setting: max(0.0, limit.most - total) for limit, total in counted}


def spend(db: sqlite3.Connection, owner: str) -> dict[str, Any]:
    """Return what an owner's jobs cost and took, in all and by model, route and day."""
    seconds, count, reserved = db.execute(
        "SELECT total(ended_at - started_at), count(*), total(reserved) FROM jobs WHERE owner = ?",
        (owner,),
    ).fetchone()
    cost, gpu_seconds, unsure = db.execute(
        f"SELECT total(usd), total(gpu_seconds), total(usd * (kind = 'unsure')) "  # noqa: S608
        f"FROM ledger WHERE owner = ? AND {SPENT}",
        (owner,),
    ).fetchone()
    totals = {"cost": cost, "unsure": unsure, "gpu_seconds": gpu_seconds, "seconds": seconds}
    parts = {"by_model": "model", "by_route": "backend", "by_day": _DAY}
    return {
        **totals,
        "jobs": count,
        "reserved": reserved,
        **{name: _spend_by(db, owner, what) for name, what in parts.items()},
    }


_DAY = "date({}, 'unixepoch')"


def _spend_by(db: sqlite3.Connection, owner: str, what: str) -> dict[str, dict[str, Any]]:
    """A job that cost nothing and took no device has no line, but is counted."""
    jobs, lines = what.format("created_at"), what.format("at")
    rows = db.execute(
        f"SELECT part, total(usd), total(gpu), total(seconds), total(jobs) FROM ("  # noqa: S608
        f"SELECT {jobs} AS part, 0 AS usd, 0 AS gpu, total(ended_at - started_at) AS seconds, "
        f"count(*) AS jobs FROM jobs WHERE owner = :owner GROUP BY 1 UNION ALL "
        f"SELECT {lines}, total(usd), total(gpu_seconds), 0, 0 FROM ledger "
        f"WHERE owner = :owner AND {SPENT} GROUP BY 1) GROUP BY 1 ORDER BY 1",
        {"owner": owner},
    )
    return {
        name: {"cost": usd, "gpu_seconds": gpu, "seconds": seconds, "jobs": int(count)}
        for name, usd, gpu, seconds, count in rows
    }


def tally(db: sqlite3.Connection) -> Tally:
    """Return what is so at the moment; the indexes of unfinished jobs hold no others."""
    unfinished = {
        (backend, state): count
        for state in ("queued", "running")
        for backend, count in db.execute(
            f"SELECT backend, count(*) FROM jobs WHERE state = '{state}' GROUP BY 1"  # noqa: S608
        )
    }
    spent = db.execute(
        f"SELECT backend, total(usd), total(gpu_seconds) FROM ledger WHERE {SPENT} GROUP BY 1"  # noqa: S608
    )
    (reserved,) = db.execute("SELECT total(reserved) FROM jobs WHERE reserved > 0").fetchone()
    return Tally(unfinished, {name: (usd, held) for name, usd, held in spent}, reserved)


def unbalanced(db: sqlite3.Connection) -> list[str]:
    """Return the ids of jobs whose lines do not add up; none, if all is well.

    What is set aside and not given back must be what the job's row says, and that must be nothing
    once the job has ended.
    """
    rows = db.execute(
        "SELECT id FROM jobs LEFT JOIN (SELECT job, total(usd) AS usd, total(gpu_seconds) AS gpu "
        "FROM ledger WHERE kind IN ('reserve', 'release') GROUP BY job) ON job = n "
        "WHERE abs(coalesce(usd, 0) - reserved) > 1e-6 OR abs(coalesce(gpu, 0) - reserved_gpu) > "
        "1e-6 OR (state NOT IN ('queued', 'running') AND (reserved > 0 OR reserved_gpu > 0))"
    )
    return [job_id for (job_id,) in rows]
