"""Jobs and what belongs to them as records that travel, and back: each is whole by itself.

A record is one of `{"job": …, "events": …, "assets": …, "ledger": …, "lifetimes": …}`,
`{"holding": …}` and `{"upload": …}`; columns stand under their names. Webhooks stay behind: their
addresses may hold secrets, and whoever listened there was told by the first machine.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from media_mcp.errors import BadArchive
from media_mcp.job import JSON, Failure, Job, JobState, MediaKind
from media_mcp.queue.archive import damaged
from media_mcp.queue.bounds import JOB_ID
from media_mcp.queue.holdings import MISSING
from media_mcp.queue.sqlite import endings, ledger
from media_mcp.queue.sqlite.connection import in_memory, transaction
from media_mcp.queue.sqlite.migrations import MIGRATIONS
from media_mcp.queue.sqlite.pen import Pen
from media_mcp.queue.sqlite.rows import load_asset, load_event, load_job
from media_mcp.queue.uploads import NAME, URI

Where = Callable[[str, str], Path | None]  # where an owner's asset lies by now, by its URI

STAYS = ("n", "claimed_by", "webhook", "cancel_requested")  # columns of a job that do not travel
EVENT = ("seq", "at", "kind", "step", "total", "message", "written_by")
ASSET = ("attempt", "side", "place", "uri", "asset")
LINE = ("owner", "project", "model", "backend", "at", "kind", "usd", "gpu_seconds")
LIFETIME = ("uri", "expires_at")
HOLDING = ("owner", "uri", "size", "pinned_at", "removed_at", "removed_by")
UPLOAD = ("uri", "owner", "name", "expires_at")
PARTS = {"events": EVENT, "assets": ASSET, "ledger": LINE, "lifetimes": LIFETIME}
TABLES = {"events": "events", "assets": "job_assets", "ledger": "ledger", "lifetimes": "lifetimes"}
COLUMN = re.compile(r"[a-z_]{1,40}")
LONGEST = 1000  # characters of an owner, a project, a model


@dataclass(frozen=True, slots=True)
class Which:
    """Which jobs travel; what is None does not narrow it. `since` is Unix seconds of creation."""

    since: float | None = None
    owner: str | None = None
    project: str | None = None

    @property
    def narrow(self) -> bool:
        return self.since is not None or self.project is not None


def dump(db: sqlite3.Connection, which: Which) -> Iterator[dict[str, JSON]]:
    """Yield the records of one moment, jobs in the order they were made. Needs a transaction."""
    values = {"since": which.since, "owner": which.owner, "project": which.project}
    for job in db.execute(f"SELECT * FROM jobs WHERE {_WHICH} ORDER BY n", values):  # noqa: S608
        yield _job(db, job)
    mine = f"uri IN (SELECT uri FROM job_assets JOIN jobs ON jobs.n = job WHERE {_WHICH})"  # noqa: S608
    narrow = f"(:owner IS NULL OR owner = :owner) AND {mine if which.narrow else '1'}"
    for kind, columns, query in (
        ("holding", HOLDING, f"holdings WHERE {narrow} ORDER BY owner, uri"),
        ("upload", UPLOAD, f"lifetimes WHERE job IS NULL AND {narrow} ORDER BY n"),
    ):
        for row in db.execute(f"SELECT * FROM {query}", values):  # noqa: S608
            yield {kind: {name: row[name] for name in columns}}


_WHICH = (
    "(:since IS NULL OR created_at >= :since) AND (:owner IS NULL OR owner = :owner) "
    "AND (:project IS NULL OR project = :project)"
)


def _job(db: sqlite3.Connection, job: sqlite3.Row) -> dict[str, JSON]:
    record: dict[str, JSON] = {"job": {k: job[k] for k in job.keys() if k not in STAYS}}  # noqa: SIM118
    for part, columns in PARTS.items():
        rows = db.execute(
            f"SELECT * FROM {TABLES[part]} WHERE job = ? ORDER BY n",  # noqa: S608
            (job["n"],),
        )
        record[part] = [{name: row[name] for name in columns} for row in rows]
    return record


class Checker:
    """Tells whether records are such as a store of ours can hold, by having one hold them."""

    def __init__(self, pen: Pen) -> None:
        db = in_memory(MIGRATIONS)
        self._pen = Pen(db, pen.instance, pen.clock)

    def check(self, record: Mapping[str, Any]) -> None:
        """Raise `BadArchive` for a record that nothing of ours wrote."""
        self._pen.db.execute("BEGIN")
        try:
            put(self._pen, record, lambda owner, uri: None)
            if "job" in record:
                self._read(record)
        except BadArchive:
            raise
        except Exception as error:  # whatever a row like this would have raised in a reader
            raise damaged(f"a record is wrong ({type(error).__name__})") from None
        finally:
            self._pen.db.execute("ROLLBACK")

    def _read(self, record: Mapping[str, Any]) -> None:
        db = self._pen.db
        row = db.execute("SELECT * FROM jobs").fetchone()
        _check_job(load_job(row))
        for event in db.execute("SELECT jobs.id, events.* FROM events JOIN jobs ON jobs.n = job"):
            _need(load_event(event).kind in ("state", "progress", "log", "remote"), "an event")
        for asset in db.execute("SELECT asset FROM job_assets"):
            _check_asset(json.loads(asset["asset"]))
        for line in db.execute("SELECT * FROM ledger"):
            sign = -1 if line["kind"] == "release" else 1
            _need(sign * line["usd"] >= 0 and sign * line["gpu_seconds"] >= 0, "a ledger line")
            _need(line["owner"] == row["owner"] and _finite(line["at"]), "a ledger line")
        _need(not ledger.unbalanced(db), f"the ledger of job {row['id']}")

    def close(self) -> None:
        self._pen.db.close()


def put_all(pen: Pen, given: Iterable[Mapping[str, Any]], where: Where) -> int:
    """Write records; return how many jobs were new."""
    with transaction(pen.db):
        return sum(put(pen, record, where) and "job" in record for record in given)


def put(pen: Pen, record: Mapping[str, Any], where: Where) -> bool:
    """Write a record; False where there is one like it. Needs a transaction.

    A job that was not over arrives as lost: it may go on where it came from. Raises `BadArchive`.
    """
    if "job" in record:
        return _put_job(pen, record, where)
    if "holding" in record:
        return _put_holding(pen, _columns(record["holding"], HOLDING), where)
    if "upload" in record:
        return _put_upload(pen, _columns(record["upload"], UPLOAD))
    raise damaged("it holds a record of no kind that is known")


def _put_job(pen: Pen, record: Mapping[str, Any], where: Where) -> bool:
    job = record["job"]
    _need(isinstance(job, dict) and set(record) == {"job", *PARTS}, "a job")
    _need(isinstance(job.get("id"), str) and bool(JOB_ID.fullmatch(job["id"])), "a job's id")
    if pen.db.execute("SELECT 1 FROM jobs WHERE id = ?", (job["id"],)).fetchone():
        return False
    number = _insert(pen.db, "jobs", {k: v for k, v in job.items() if k not in STAYS})
    for part, columns in PARTS.items():
        rows = record[part]
        _need(isinstance(rows, list), part)
        for each in rows:
            row = _columns(each, columns) | {"job": number}
            if part == "assets":
                row["asset"] = _moved(row, job.get("owner"), where)
            elif part == "lifetimes":
                row |= {"owner": job.get("owner"), "check_at": row["expires_at"]}
            _insert(pen.db, TABLES[part], row)
    if job.get("state") in (JobState.QUEUED, JobState.RUNNING):
        endings.failed(pen, number, JobState.LOST, _left_behind(job))
    return True


def _left_behind(job: Mapping[str, Any]) -> Failure:
    remote = f" Its id at the backend is {job['remote_id']}." if job.get("remote_id") else ""
    return Failure(
        "lost",
        f"It was {job['state']} on another machine when it was exported from there.{remote}",
        "Look for its result there; to make it here, run it again with fresh: true.",
    )


def _moved(row: Mapping[str, Any], owner: Any, where: Where) -> str:
    """Return the asset of a row, with the path that its file has here."""
    asset = json.loads(row["asset"])
    _check_asset(asset)
    _need(asset[0] == row["uri"], "an asset")
    path = where(str(owner), row["uri"])
    return json.dumps([asset[0], str(path or Path(asset[1]).name), *asset[2:]])


def _put_holding(pen: Pen, row: dict[str, Any], where: Where) -> bool:
    _check_name(row["owner"])
    _need(isinstance(row["uri"], str) and bool(URI.fullmatch(row["uri"])), "a URI")
    _need(isinstance(row["size"], int) and row["size"] >= 0, "a size")
    _need(all(row[k] is None or _finite(row[k]) for k in ("pinned_at", "removed_at")), "a time")
    if where(row["owner"], row["uri"]) is not None:
        row |= {"removed_at": None, "removed_by": None}
    elif row["removed_at"] is None:
        row |= {"removed_at": pen.clock(), "removed_by": MISSING}
    here = pen.db.execute(
        "SELECT n, removed_at FROM holdings WHERE owner = ? AND uri = ?", (row["owner"], row["uri"])
    ).fetchone()
    if here is None:
        _insert(pen.db, "holdings", row | {"used_at": pen.clock()})
        return True
    if here["removed_at"] is not None and row["removed_at"] is None:
        pen.db.execute(
            "UPDATE holdings SET removed_at = NULL, removed_by = NULL, used_at = ? WHERE n = ?",
            (pen.clock(), here["n"]),
        )
    return False


def _put_upload(pen: Pen, row: dict[str, Any]) -> bool:
    _check_name(row["owner"])
    _need(isinstance(row["uri"], str) and bool(URI.fullmatch(row["uri"])), "a URI")
    _need(row["name"] is None or bool(NAME.fullmatch(row["name"])), "an upload's name")
    _need(row["expires_at"] is None or _finite(row["expires_at"]), "a time")
    known = pen.db.execute(
        "SELECT 1 FROM lifetimes WHERE job IS NULL AND (name = :name OR "
        "name IS :name AND owner = :owner AND uri = :uri AND expires_at IS :expires_at)",
        row,
    ).fetchone()
    if known is None:
        _insert(pen.db, "lifetimes", row | {"check_at": row["expires_at"]})
    return known is None


def _columns(row: Any, names: Sequence[str]) -> dict[str, Any]:
    _need(isinstance(row, dict) and set(row) == set(names), "a record")
    return dict(row)


@cache
def _columns_of(table: str) -> frozenset[str]:
    """Return the columns of a table as this version makes it."""
    with closing(in_memory(MIGRATIONS)) as db:
        return frozenset(each["name"] for each in db.execute(f"PRAGMA table_info({table})"))


def _insert(db: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> int:
    known = _columns_of(table)
    for name, value in row.items():
        _need(isinstance(name, str) and bool(COLUMN.fullmatch(name)) and name in known, "a column")
        plain = value is None or type(value) in (str, int, float)
        _need(
            plain and (not isinstance(value, float) or math.isfinite(value)), f"{name} of {table}"
        )
    names = ", ".join(row)
    marks = ", ".join(f":{name}" for name in row)
    written = db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", dict(row))  # noqa: S608
    return int(written.lastrowid or 0)


def _check_job(job: Job) -> None:
    for name in (job.caller.owner, job.caller.project, job.model, job.route.backend):
        _check_name(name)
    texts = (job.message, job.why_route, job.door, *job.findings, *job.parents, *job.tried)
    _need(all(isinstance(text, str) for text in texts), "a job's words")
    _need(
        all(isinstance(each, dict) for each in (job.arguments, job.facts, job.route.spec)), "a job"
    )
    numbers = (job.created_at, job.started_at, job.ended_at, job.cost, job.quoted, job.lifetime)
    _need(all(n is None or _finite(n) for n in (*numbers, job.gpu_seconds)), "a job's numbers")
    _need(_finite(job.created_at) and job.priority == int(job.priority), "a job's numbers")
    failure = job.failure
    parts = (failure.code, failure.message, failure.hint) if failure else ()
    _need(all(isinstance(part, str) for part in parts), "a failure")


def _check_asset(asset: Any) -> None:
    _need(isinstance(asset, list) and len(asset) == 9, "an asset")
    uri, path, kind, mime_type, size, *measures, role = asset
    _need(all(isinstance(each, str) for each in (uri, path, mime_type, role)), "an asset")
    _need(bool(URI.fullmatch(uri)) and kind in set(MediaKind) and type(size) is int, "an asset")
    _need(all(each is None or _finite(each) for each in measures), "an asset's measures")
    load_asset(json.dumps(asset))


def _check_name(name: Any) -> None:
    _need(isinstance(name, str) and 0 < len(name) <= LONGEST, "a name")


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _need(sound: bool, what: str) -> None:
    if not sound:
        raise damaged(f"{what} in it is not as we write it")
