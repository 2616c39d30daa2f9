"""What is written to the tables: each function is one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from media_mcp import faultpoints
from media_mcp.backends.base import Report
from media_mcp.faultpoints import Point
from media_mcp.job import Asset, Caller, Job, JobState
from media_mcp.queue.budget import Need
from media_mcp.queue.sentences import key_reused, lost, timed_out
from media_mcp.queue.sqlite import holdings, ledger, lifetimes, reads, turns
from media_mcp.queue.sqlite.claims import Room, take_at_once
from media_mcp.queue.sqlite.connection import transaction
from media_mcp.queue.sqlite.endings import cancelled, failed, row_of, settled
from media_mcp.queue.sqlite.pen import Pen, tell, tell_state
from media_mcp.queue.sqlite.rows import (
    dump_asset,
    dump_failure,
    dump_job,
    dump_route,
    dumps,
    load_job,
    text,
)
from media_mcp.queue.store import (
    Added,
    Again,
    Cancelling,
    Claim,
    Detour,
    Ending,
    Instance,
    Join,
    Stale,
)

# Taking up a request that is known costs nothing, so a server that dies meanwhile is no failed
# attempt; but what kills one server after the other must end.
TAKEN_UP = 20


def add(
    pen: Pen, job: Job, inputs: Sequence[Asset], join: Join | None, take: bool, need: Need
) -> Added:
    columns = dump_job(job)
    with transaction(pen.db):
        if join is not None:
            earlier = find(pen, job.caller, join)
            if earlier is not None:
                return Added(earlier, joined=True)
            columns |= {"key": join.key, "fingerprint": join.fingerprint}
        ledger.crowded(pen, job.caller.owner, need)
        free = not job.state.terminal and _free(pen, job, take)
        if not job.state.terminal:
            holdings.take(pen, job.caller.owner, inputs)
        number = _insert(pen.db, columns)
        _keep_assets(pen.db, number, 0, "in", inputs)
        if job.state.terminal:
            return Added(_refused(pen, number, job))
        ledger.reserve(pen, number, need)
        tell_state(pen, number, f"queued for {job.route.backend}")
        backend = job.route.backend
        claim = take_at_once(pen, backend, number) if free else None
        added = Added(job, claim=claim) if claim else Added(job, ahead=_line_up(pen, number))
        faultpoints.reached(Point.IN_ROW)
        return added


def _free(pen: Pen, job: Job, take: bool) -> bool:
    """Tell whether a job can start as it comes. Raises `Full` where it may not wait.

    It starts only where no other waits for its backend, and no cap is met.
    """
    backend = job.route.backend
    in_time = job.start_by is None or job.start_by > pen.clock()
    first = take and in_time and not reads.has_queued(pen.db, backend)
    if first and Room(pen, backend).takes(job.model):
        return True
    turns.check_room(pen, backend, job.caller)
    return False


def _line_up(pen: Pen, number: int) -> int:
    """Have a queued job wait for its turn; return how many go before it."""
    row = row_of(pen, number)
    turns.line_up(pen.db, row)
    return turns.ahead(pen.db, pen.terms, row)


def _refused(pen: Pen, number: int, job: Job) -> Job:
    """Write the end of a job that was refused as it came."""
    tell_state(pen, number, f"{job.state}: {job.failure.message if job.failure else job.message}")
    return settled(pen, row_of(pen, number))


def find(pen: Pen, caller: Caller, join: Join) -> Job | None:
    if join.fresh and not join.exact:
        return None
    row = reads.joined(pen.db, caller, join, pen.clock())
    if row is None:
        return None
    if row["fingerprint"] != join.fingerprint:
        raise key_reused(row["id"])
    return reads.read_job(pen.db, row)


def _insert(db: sqlite3.Connection, columns: dict[str, object]) -> int:
    names = ", ".join(columns)
    marks = ", ".join(f":{name}" for name in columns)
    written = db.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", columns)  # noqa: S608
    return int(written.lastrowid or 0)


def _keep_assets(
    db: sqlite3.Connection, number: int, attempt: int, side: str, assets: Sequence[Asset]
) -> None:
    if assets:
        db.executemany(
            "INSERT INTO job_assets (job, attempt, side, place, uri, asset) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [(number, attempt, side, i, a.uri, dump_asset(a)) for i, a in enumerate(assets)],
        )


def report(pen: Pen, held: Claim, reports: Sequence[Report]) -> Job:
    with transaction(pen.db):
        return load_job(_write_reports(pen, held, reports))


def _write_reports(pen: Pen, held: Claim, reports: Sequence[Report]) -> sqlite3.Row:
    progress = next((r for r in reversed(reports) if r.kind == "progress"), None)
    remote = next((r for r in reversed(reports) if r.kind == "remote"), None)
    said = next((r.message for r in reversed(reports) if r.kind != "remote" and r.message), None)
    row = _held(
        pen,
        held,
        "step = coalesce(:step, step), total = coalesce(:total, total), "
        "message = coalesce(:message, message), "
        "remote_id = nullif(coalesce(:remote, remote_id), '')",
        step=progress.step if progress else None,
        total=progress.total if progress else None,
        message=None if said is None else text(said),
        remote=text(remote.message) if remote else None,
    )
    for each in reports:
        tell(pen, held.number, each, each.kind, each.message)
    return row


def _held(pen: Pen, held: Claim, changes: str, **values: object) -> sqlite3.Row:
    """Write the row of a claim that still holds, or raise `Stale`."""
    rows = pen.db.execute(
        f"UPDATE jobs SET {changes} WHERE n = :n AND state = 'running' "  # noqa: S608
        "AND claimed_by = :instance AND attempt = :attempt RETURNING *",
        values | {"n": held.number, "instance": held.instance, "attempt": held.job.attempt},
    ).fetchall()
    if not rows:
        raise Stale(held.job.id)
    row: sqlite3.Row = rows[0]
    return row


def end(pen: Pen, held: Claim, ending: Ending) -> Job:
    with transaction(pen.db):
        if ending.reports:
            _write_reports(pen, held, ending.reports)
        row = _held(
            pen,
            held,
            "state = :state, ended_at = :now, claimed_by = NULL, cost = :cost, "
            "gpu_seconds = :gpu_seconds, facts = :facts, findings = :findings, failure = :failure, "
            "message = coalesce(:message, message), seed = coalesce(:seed, seed)",
            state=ending.state,
            seed=ending.seed,
            now=pen.clock(),
            cost=ending.cost,
            gpu_seconds=ending.gpu_seconds,
            facts=dumps(ending.facts),
            findings=dumps(ending.findings),
            failure=dump_failure(ending.failure),
            message=text(ending.message) or None,
        )
        _keep_assets(pen.db, held.number, held.job.attempt, "out", ending.assets)
        holdings.give(pen, row["owner"], ending.assets)
        lifetimes.keep_outputs(pen, row, ending.assets)
        tell_state(pen, held.number, _ended(ending))
        return settled(pen, row, ending.assets, unsure=ending.unsure)


def _ended(ending: Ending) -> str:
    why = ending.failure.message if ending.failure else ending.message
    return f"{ending.state}: {why}" if why else str(ending.state)


def retry(
    pen: Pen,
    held: Claim,
    why: str,
    reports: Sequence[Report],
    gpu_seconds: float,
    need: Need | None,
) -> Job:
    with transaction(pen.db):
        row = _ran(pen, held, reports, gpu_seconds)
        if need is not None and row["cancel_requested"] is None:
            ledger.release(pen, row)
            ledger.reserve(pen, row["n"], need.after(row["cost"] or 0.0, gpu_seconds))
        return _let_go(pen, row, why)


def _ran(pen: Pen, held: Claim, reports: Sequence[Report], gpu_seconds: float) -> sqlite3.Row:
    """Write what an attempt that did not end the job had to say."""
    if reports:
        _write_reports(pen, held, reports)
    return _held(pen, held, "spent = spent + 1, batch = NULL, gpu_seconds = :gpu", gpu=gpu_seconds)


def reroute(
    pen: Pen, held: Claim, detour: Detour, reports: Sequence[Report], gpu_seconds: float
) -> Job:
    with transaction(pen.db):
        row = _ran(pen, held, reports, gpu_seconds)
        if row["cancel_requested"] is not None:
            return cancelled(pen, row["n"], row["cancel_requested"])
        backend, need = detour.route.backend, detour.need or Need(detour.quoted or 0.0)
        ledger.release(pen, row)
        tell_state(pen, row["n"], f"queued for {backend}: {detour.why}")
        rows = pen.db.execute(
            _REROUTE,
            {
                "n": row["n"],
                "backend": backend,
                "route": dump_route(detour.route),
                "why_route": text(detour.why_route),
                "quoted": detour.quoted,
                "gpu_quoted": need.gpu_seconds,
                "tried": detour.tried,
                "message": text(detour.why),
                "batch": detour.batch,
            },
        ).fetchall()
        ledger.reserve(pen, row["n"], need.after(row["cost"] or 0.0, gpu_seconds))
        turns.line_up(pen.db, rows[0])
        return load_job(rows[0])


_REROUTE = """
UPDATE jobs SET state = 'queued', claimed_by = NULL, spent = 0, remote_id = NULL,
    step = NULL, total = NULL, backend = :backend, route = :route, why_route = :why_route,
    quoted = :quoted, gpu_quoted = :gpu_quoted, message = :message, batch = :batch,
    tried = json_insert(tried, '$[#]', :tried)
WHERE n = :n
RETURNING *
"""


def again(pen: Pen, held: Claim, second: Again) -> Job:
    with transaction(pen.db):
        row = _held(
            pen,
            held,
            "seed = :seed, cost = coalesce(:cost, reserved), gpu_seconds = :gpu, remote_id = NULL",
            seed=second.seed,
            cost=second.cost,
            gpu=second.gpu_seconds,
        )
        ledger.release(pen, row)
        ledger.reserve(pen, row["n"], second.need.after(row["cost"], second.gpu_seconds))
        return load_job(row)


def _let_go(pen: Pen, row: sqlite3.Row, why: str, *, unsure: bool = False) -> Job:
    """Queue a running job again, or cancel it if its caller asked for that meanwhile."""
    if row["cancel_requested"] is not None:
        return cancelled(pen, row["n"], row["cancel_requested"], unsure=unsure)
    tell_state(pen, row["n"], f"queued again: {why}")
    (again,) = pen.db.execute(
        "UPDATE jobs SET state = 'queued', claimed_by = NULL, message = ? WHERE n = ? RETURNING *",
        (text(why), row["n"]),
    ).fetchall()
    turns.line_up(pen.db, again)
    return load_job(again)


def time_out(pen: Pen) -> list[Job]:
    if not reads.overdue(pen.db, pen.clock()):
        return []
    with transaction(pen.db):
        rows = reads.overdue(pen.db, pen.clock())
        return [failed(pen, row["n"], JobState.FAILED, timed_out(load_job(row))) for row in rows]


def cancel(pen: Pen, job_id: str, owner: str, reason: str) -> Cancelling | None:
    with transaction(pen.db):
        row = pen.db.execute(
            "SELECT * FROM jobs WHERE id = ? AND owner = ?", (job_id, owner)
        ).fetchone()
        if row is None:
            return None
        if row["state"] == JobState.QUEUED:
            return Cancelling(cancelled(pen, row["n"], text(reason)), changed=True)
        if row["state"] != JobState.RUNNING:
            return Cancelling(reads.read_job(pen.db, row))
        _ask_to_stop(pen, row, text(reason))
        return Cancelling(load_job(row), here=row["claimed_by"] == pen.instance.id)


def _ask_to_stop(pen: Pen, row: sqlite3.Row, reason: str) -> None:
    if row["cancel_requested"] is None:
        pen.db.execute("UPDATE jobs SET cancel_requested = ? WHERE n = ?", (reason, row["n"]))
        tell(pen, row["n"], None, "log", f"Asked to stop: {reason}")


def answered(pen: Pen, job_id: str) -> None:
    # Not worth waiting for the disk: without it, the same call joins a job that has ended.
    alone = not pen.db.in_transaction
    if alone:
        pen.db.execute("PRAGMA synchronous = NORMAL")
    try:
        pen.db.execute(
            "UPDATE jobs SET answered_at = ? WHERE id = ? AND answered_at IS NULL",
            (pen.clock(), job_id),
        )
    finally:
        if alone:
            pen.db.execute("PRAGMA synchronous = FULL")


def leave(pen: Pen) -> list[Job]:
    with transaction(pen.db):
        rows = pen.db.execute(
            "SELECT * FROM jobs WHERE state = 'running' AND claimed_by = ?", (pen.instance.id,)
        ).fetchall()
        handed = [_let_go(pen, row, "the server that ran it was stopped") for row in rows]
        pen.db.execute("DELETE FROM instances WHERE id = ?", (pen.instance.id,))
    return handed


def recover(pen: Pen, dead: Callable[[Instance], bool], attempts: int) -> list[Job]:
    if not _others(pen):
        return []
    with transaction(pen.db):
        faultpoints.reached(Point.RECOVERY)
        recovered = [_recover(pen, row, attempts) for row in _orphans(pen, dead)]
        if recovered:
            faultpoints.reached(Point.IN_RECOVERY)
    return recovered


def _others(pen: Pen) -> bool:
    found = pen.db.execute(
        "SELECT 1 FROM jobs WHERE state = 'running' AND claimed_by <> ? LIMIT 1",
        (pen.instance.id,),
    )
    return found.fetchone() is not None


def _orphans(pen: Pen, dead: Callable[[Instance], bool]) -> list[sqlite3.Row]:
    """Strike the dead instances off, and return the jobs whose claimant is no longer listed."""
    for row in pen.db.execute("SELECT * FROM instances").fetchall():
        other = Instance(*row)
        if other.id != pen.instance.id and dead(other):
            pen.db.execute("DELETE FROM instances WHERE id = ?", (other.id,))
    return pen.db.execute(
        "SELECT * FROM jobs WHERE state = 'running' AND claimed_by <> ? "
        "AND claimed_by NOT IN (SELECT id FROM instances) ORDER BY n",
        (pen.instance.id,),
    ).fetchall()


def _recover(pen: Pen, row: sqlite3.Row, attempts: int) -> Job:
    known = row["remote_id"] is not None and row["attempt"] < TAKEN_UP
    spent = row["spent"] + (not known)
    pen.db.execute("UPDATE jobs SET spent = ?, batch = NULL WHERE n = ?", (spent, row["n"]))
    again, job = spent < attempts and (known or not row["once"]), load_job(row)
    unsure = not job.route.ours  # it may have died between the sending and the noting of a request
    if again or row["cancel_requested"] is not None:
        counted = "its request there is taken up" if known else f"attempt {spent} of {attempts}"
        why = f"the server that ran it died ({counted})"
        return _let_go(pen, row, why, unsure=unsure)
    return failed(pen, row["n"], JobState.LOST, lost(job, spent, attempts), unsure=unsure)
