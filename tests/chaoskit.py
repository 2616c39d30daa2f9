"""What must hold of a data folder whatever befell its servers: every job over, whole and paid once.

`check_everything(data_dir, book)` reads the folder as it lies there, past all of our own readers,
and compares the ledger with the book of the place that bills. Servers may not run meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from media_mcp.job import Asset
from media_mcp.media.shelf import Shelf
from media_mcp.queue.sqlite import ledger
from media_mcp.queue.sqlite.rows import load_asset, load_failure

OVER = ("succeeded", "failed", "cancelled", "lost")
CENT = 1e-6
DAYS = 2 * 86_400.0
MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True, slots=True)
class Billed:
    """A line of the place's own book: what it asks for one request, and of which job that is."""

    job: str
    request: str
    usd: float


@dataclass
class Findings:
    """What was found: `faults` in words, the jobs by state and the figures that are to be 0."""

    faults: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    assets: int = 0
    lost_assets: int = 0
    double_charges: int = 0
    billed: float = 0.0
    charged: float = 0.0
    unsure: float = 0.0

    def blame(self, what: str) -> None:
        self.faults.append(what)


def check_everything(
    data_dir: Path,
    book: Sequence[Billed] = (),
    *,
    billing: Iterable[str] = (),
    media: str = "assets",
) -> Findings:
    """Look into all of a data folder. `billing` are the backends whose charges `book` holds."""
    found = Findings()
    with closing(sqlite3.connect(data_dir / "jobs.sqlite", isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        jobs = [dict(row) for row in db.execute("SELECT * FROM jobs ORDER BY n")]
        check_database(db, found)
        check_jobs(jobs, found)
        check_joins(jobs, found)
        check_money(db, jobs, book, frozenset(billing), found)
        check_outputs(db, found)
    for shelf in shelves(data_dir / media):
        check_shelf(shelf, found)
        check_staging(shelf, found)
    check_leftovers(data_dir, found)
    return found


def shelves(media: Path) -> Iterator[Path]:
    """Yield the folders of media: that of the local caller, and one for each other."""
    if media.is_dir():
        yield media
        yield from media.glob("callers/*")


def check_database(db: sqlite3.Connection, found: Findings) -> None:
    """The file is sound, the ledger adds up, and nothing is still to be told."""
    for (said,) in db.execute("PRAGMA integrity_check"):
        if said != "ok":
            found.blame(f"the database is damaged: {said}")
    for job_id in ledger.unbalanced(db):
        found.blame(f"the ledger of job {job_id} does not add up")
    (aside,) = db.execute("SELECT total(reserved) + total(reserved_gpu) FROM jobs").fetchone()
    if aside:
        found.blame(f"{aside} is still set aside")
    (due,) = db.execute("SELECT count(*) FROM webhooks WHERE state = 'due'").fetchone()
    if due:
        found.blame(f"{due} webhooks were never told")


def check_jobs(jobs: Sequence[dict[str, Any]], found: Findings) -> None:
    """Every job is over, and one that did not succeed says why."""
    for job in jobs:
        found.states[job["state"]] += 1
        if job["state"] not in OVER:
            found.blame(f"job {job['id']} is {job['state']} for ever")
        if job["state"] in OVER and (job["ended_at"] is None or job["claimed_by"] is not None):
            found.blame(f"job {job['id']} is over, and its row says that it runs")
        if job["state"] in ("failed", "lost"):
            check_reason(job, found)


def check_reason(job: dict[str, Any], found: Findings) -> None:
    failure = load_failure(job["failure"])
    if failure is None or not failure.message:
        return found.blame(f"job {job['id']} is {job['state']}, and does not say why")
    found.failures[failure.code] += 1
    if failure.code == "bug" or (failure.code == "lost") != (job["state"] == "lost"):
        found.blame(f"job {job['id']} is {job['state']}: {failure.code}: {failure.message}")


def check_joins(jobs: Sequence[dict[str, Any]], found: Findings) -> None:
    """The same call, made again, joined its job unless that was over."""
    calls: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for job in jobs:
        if job["key"] is not None:
            calls[job["owner"], job["project"], job["key"]].append(job)
    for (*_, key), same in calls.items():
        if key.startswith("own:") and len(same) > 1:
            found.blame(f"one key made {len(same)} jobs: {[job['id'] for job in same]}")
        for earlier in same[:-1]:
            if earlier["state"] == "succeeded" and earlier["answered_at"] is None:
                found.blame(f"a call did not join job {earlier['id']}, whose answer nobody had")


def check_money(
    db: sqlite3.Connection,
    jobs: Sequence[dict[str, Any]],
    book: Sequence[Billed],
    billing: frozenset[str],
    found: Findings,
) -> None:
    """What was billed is in the ledger, once; what may have been is told apart."""
    lines: dict[str, list[sqlite3.Row]] = defaultdict(list)
    query = "SELECT jobs.id AS job, ledger.* FROM ledger JOIN jobs ON jobs.n = ledger.job"
    for line in db.execute(f"{query} WHERE kind IN ('charge', 'unsure')"):
        lines[line["job"]].append(line)
    billed: dict[str, list[Billed]] = defaultdict(list)
    for one in book:
        billed[one.job].append(one)
    known = {job["id"] for job in jobs}
    for job_id in billed.keys() - known:
        found.blame(f"the place billed {billed[job_id]}, and there is no such job")
    for job in jobs:
        _settled_once(job, lines[job["id"]], billed[job["id"]], billing, found)


def _settled_once(
    job: dict[str, Any],
    lines: Sequence[sqlite3.Row],
    billed: Sequence[Billed],
    billing: frozenset[str],
    found: Findings,
) -> None:
    asked = sum(one.usd for one in billed)
    found.billed += asked
    if len(lines) > 1 or len(billed) > 1:
        found.double_charges += 1
        found.blame(f"job {job['id']} is charged {len(lines)} and billed {len(billed)} times")
    if not lines:
        if asked:
            found.blame(f"job {job['id']} ({job['state']}) was billed {asked}, which no line tells")
        return
    usd, unsure = lines[0]["usd"], lines[0]["kind"] == "unsure"
    found.unsure += usd if unsure else 0.0
    found.charged += 0.0 if unsure else usd
    if asked > usd + CENT:
        found.blame(f"job {job['id']} was billed {asked}, and the ledger says {usd}")
    hosted = job["backend"] in billing
    if hosted and not unsure and abs(usd - asked) > CENT:
        found.blame(f"job {job['id']} ({job['state']}) is charged {usd}, billed {asked}")
    if hosted and not unsure and abs(usd - (job["cost"] or 0.0)) > CENT:
        found.blame(f"job {job['id']} cost {job['cost']}, and the ledger says {usd}")


def check_outputs(db: sqlite3.Connection, found: Findings) -> None:
    """What a job that succeeded made is there: its hash is its name, and its sidecar knows it."""
    rows = db.execute(
        "SELECT id, uri, asset FROM job_assets JOIN jobs ON jobs.n = job_assets.job "
        "WHERE side = 'out' AND state = 'succeeded' AND job_assets.attempt = jobs.attempt "
        "AND NOT EXISTS (SELECT 1 FROM lifetimes WHERE lifetimes.job = jobs.n "
        "AND lifetimes.uri = job_assets.uri AND check_at IS NULL AND expires_at IS NOT NULL)"
    )
    for job_id, uri, asset in rows.fetchall():
        found.assets += 1
        if why := amiss(load_asset(asset)):
            found.lost_assets += 1
            found.blame(f"job {job_id}: {uri[:24]}…: {why}")


def amiss(asset: Asset) -> str:
    """Return what is wrong with an asset that a row names; empty if nothing is."""
    sha256, path = asset.sha256, asset.path
    shelf = path.parents[1]  # of its owner
    if not path.is_file():
        return "its file is gone"
    if hash_of(path) != sha256 or path.stat().st_size != asset.size:
        return "its file holds something else"
    sidecar = shelf / "index" / sha256[:2] / f"{sha256}.json"
    if not sidecar.is_file():
        return "it has no sidecar"
    if shelf / json.loads(sidecar.read_text())["file"] != path:
        return "its sidecar names another file"
    return ""


def check_shelf(media: Path, found: Findings) -> None:
    """Of every asset, named by a row or not, there is all or nothing."""
    sidecars = {path.stem: json.loads(path.read_text()) for path in media.glob("index/*/*.json")}
    files = {side["file"]: sha256 for sha256, side in sidecars.items()}
    for path in published(media):
        sha256 = files.get(str(path.relative_to(media)))
        if sha256 is None:
            found.blame(f"{path.name} has no sidecar")
        elif hash_of(path) != sha256:
            found.blame(f"{path.name} holds something else than its sidecar says")


def published(media: Path) -> Iterator[Path]:
    """Yield the files under readable names."""
    for folder in media.iterdir() if media.is_dir() else ():
        if MONTH.fullmatch(folder.name):
            yield from folder.iterdir()


def check_leftovers(data_dir: Path, found: Findings) -> None:
    """No work folder is left."""
    work = data_dir / "work"
    for path in work.iterdir() if work.is_dir() else ():
        found.blame(f"the work folder {path.name} is left")


def check_staging(media: Path, found: Findings) -> None:
    """Nothing half done is left, after a day."""
    later = time.time() + DAYS
    with patch("media_mcp.media.shelf.time.time", lambda: later):
        Shelf(media)._open()
    for path in (media / "staging").iterdir():
        found.blame(f"{path.name} stays in the staging folder")


def hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
