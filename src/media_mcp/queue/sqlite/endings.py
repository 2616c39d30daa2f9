"""How a job ends, and what goes with that: always a part of a bigger transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from media_mcp import faultpoints
from media_mcp.faultpoints import Point
from media_mcp.job import Asset, Failure, Job, JobState
from media_mcp.queue.sqlite import ledger, lifetimes, webhooks
from media_mcp.queue.sqlite.pen import Pen, tell_state
from media_mcp.queue.sqlite.rows import dump_failure, load_job

# What an earlier try cost is not all where a request is out that nobody has heard of.
_COST = "cost = CASE WHEN remote_id IS NULL THEN cost END"


def cancelled(pen: Pen, number: int, reason: str, *, unsure: bool = False) -> Job:
    tell_state(pen, number, f"cancelled: {reason}")
    pen.db.execute(
        "UPDATE jobs SET state = 'cancelled', claimed_by = NULL, ended_at = ?, message = ?, "  # noqa: S608
        f"{_COST} WHERE n = ?",
        (pen.clock(), reason, number),
    )
    return settled(pen, row_of(pen, number), unsure=unsure)


def failed(
    pen: Pen, number: int, state: JobState, failure: Failure, *, unsure: bool = False
) -> Job:
    """End a job that no attempt holds."""
    tell_state(pen, number, f"{state}: {failure.message}")
    pen.db.execute(
        f"UPDATE jobs SET state = ?, claimed_by = NULL, ended_at = ?, failure = ?, {_COST} "  # noqa: S608
        "WHERE n = ?",
        (state, pen.clock(), dump_failure(failure), number),
    )
    row = row_of(pen, number)
    return settled(pen, row, unsure=unsure or row["remote_id"] is not None)


def settled(
    pen: Pen, row: sqlite3.Row, assets: Sequence[Asset] = (), *, unsure: bool = False
) -> Job:
    """Do what goes with the end of a job, in its transaction, and return the job.

    `unsure`: it may be billed, and nobody knows.
    """
    _settle(pen, row, unsure)
    if row["webhook"] is not None:
        webhooks.due(pen, row["n"])
    if row["parents"] != "[]":
        lifetimes.check_inputs(pen, row["n"])
    if row["private"]:
        _wipe(pen, row["n"])
        row = row_of(pen, row["n"])
    faultpoints.reached(Point.IN_END)
    return load_job(row, assets)


def _settle(pen: Pen, row: sqlite3.Row, unsure: bool) -> None:
    """Turn what the job had set aside into what it cost.

    What succeeded at a price that nobody told, and what was stopped or lost where it has an id,
    counts as what was set aside: it may be billed.
    """
    left = row["state"] in (JobState.CANCELLED, JobState.LOST) and row["remote_id"] is not None
    unsure = unsure or left or row["state"] == JobState.SUCCEEDED
    usd = row["cost"]
    if usd is None and unsure and row["reserved"]:
        ledger.charge(pen, row["n"], row["reserved"], row["gpu_seconds"], unsure=True)
    else:
        ledger.charge(pen, row["n"], usd or 0.0, row["gpu_seconds"])
    ledger.release(pen, row)


def row_of(pen: Pen, number: int) -> sqlite3.Row:
    row: sqlite3.Row = pen.db.execute("SELECT * FROM jobs WHERE n = ?", (number,)).fetchone()
    return row


def _wipe(pen: Pen, number: int) -> None:
    """Forget what a private job was given and what it said on the way."""
    pen.db.execute(
        "UPDATE jobs SET arguments = '{}', "
        "message = CASE state WHEN 'cancelled' THEN message ELSE '' END WHERE n = ?",
        (number,),
    )
    pen.db.execute("DELETE FROM events WHERE job = ? AND kind = 'log'", (number,))
    pen.db.execute("UPDATE events SET message = '' WHERE job = ? AND kind = 'progress'", (number,))
