"""The servers' books of a soak, read from their database past all of our own readers, and held
against what the clients have written down themselves."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from ground import Ground
from record import Ask, Record

CENT = 0.01
AGREES = {"failed": ("failed", "lost")}  # fal's protocol has no word for what is lost


@dataclass(frozen=True, slots=True)
class Row:
    """A job as its row tells it."""

    id: str
    owner: str
    model: str
    state: str
    tag: str
    attempt: int


class Books:
    """Everything that the database of a data folder says, read once."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        with closing(sqlite3.connect(ground.data / "jobs.sqlite")) as db:
            self.ledger = db.execute(
                "SELECT jobs.id, ledger.owner, kind, usd, ledger.at FROM ledger "
                "JOIN jobs ON jobs.n = job ORDER BY ledger.n"
            ).fetchall()
            self.rows = list(_rows(db))
            self.ends = db.execute(
                "SELECT jobs.id, count(*) FROM events JOIN jobs ON jobs.n = job WHERE "
                "kind = 'state' AND (events.message = 'succeeded' OR events.message GLOB "
                "'failed:*' OR events.message GLOB 'cancelled:*' OR events.message GLOB 'lost:*') "
                "GROUP BY 1"
            ).fetchall()
            self.hooks = dict(
                db.execute("SELECT id, webhooks.state FROM webhooks JOIN jobs ON jobs.n = job")
            )
            (self.reserved,) = db.execute("SELECT total(reserved) FROM jobs").fetchone()
        self.by_id = {row.id: row for row in self.rows}


def _rows(db: sqlite3.Connection) -> Iterator[Row]:
    query = "SELECT id, owner, model, state, arguments, attempt FROM jobs ORDER BY n"
    for job_id, owner, model, state, arguments, attempt in db.execute(query):
        tag = json.loads(arguments).get("prompt", "")
        yield Row(job_id, owner, model, state, tag, attempt)


def faults(books: Books, record: Record) -> list[str]:
    """Return where the books and what the clients know differ; nothing, if all is well."""
    return [
        *record.wrong,
        *_missing(books, record),
        *_strange(books, record),
        *_ends(books, record),
        *_overspent(books),
        *_webhooks(books, record),
    ]


def _missing(books: Books, record: Record) -> Iterator[str]:
    for ask in record.asks.values():
        for job_id in ask.ids - books.by_id.keys():
            yield f"job {job_id} was accepted ({ask.door}, {ask.caller}) and is gone"


def _strange(books: Books, record: Record) -> Iterator[str]:
    made = Counter(row.tag for row in books.rows)
    for row in books.rows:
        ask = record.asks.get(row.tag)
        if ask is None or (ask.caller, ask.model) != (row.owner, row.model):
            yield f"job {row.id} of {row.owner} ({row.model}) is none that was asked for"
    for tag, ask in record.asks.items():
        most = 1 if ask.once else ask.tries - ask.refused
        if ask.once and ask.refused == ask.tries:
            most = 0
        if made[tag] > most:
            yield f"{made[tag]} jobs of {ask.caller} for {_words(ask)}: at most {most}"


def _words(ask: Ask) -> str:
    return f"{ask.tag} ({ask.door}, {ask.tries} tries, {ask.refused} of them refused)"


def _ends(books: Books, record: Record) -> Iterator[str]:
    ends = dict(books.ends)
    for row in books.rows:
        if ends.get(row.id) != 1:
            yield f"job {row.id} ended {ends.get(row.id, 0)} times"
    for ask in record.asks.values():
        for job_id, told in ask.ended.items():
            row = books.by_id.get(job_id)
            if row and row.state not in AGREES.get(told, (told,)):
                yield f"job {job_id} was told to have {told}, and has {row.state}"


def _overspent(books: Books) -> Iterator[str]:
    for name, most in books.ground.limits.items():
        peak = peak_of(books, name)
        if peak > most + CENT / 1e4:
            yield f"the budget of {name or 'all'} was ${most:.4f}, and ${peak:.4f} was used of it"


def peak_of(books: Books, owner: str) -> float:
    """Return the most that was spent and set aside at any time; of all callers, if none is named.

    What a job cost stands in the ledger before what it gives back: that is one transaction.
    """
    used = peak = 0.0
    lines = [line for line in books.ledger if not owner or line[1] == owner]
    for at, (job_id, _, kind, usd, _) in enumerate(lines):
        used += usd
        following = lines[at + 1] if at + 1 < len(lines) else None
        settled = kind in ("charge", "unsure") and following and following[0] == job_id
        peak = peak if settled else max(peak, used)
    return peak


def _webhooks(books: Books, record: Record) -> Iterator[str]:
    for ask in record.asks.values():
        for job_id in ask.ids if ask.hook else ():
            if job_id not in books.hooks:
                yield f"nobody was to be told of job {job_id}, and its caller had asked for it"
    for job_id, state in books.hooks.items():
        heard = record.hooks.get(job_id, [])
        row = books.by_id[job_id]
        if state == "failed" or (state == "delivered" and not heard):
            yield f"the webhook of job {job_id} is {state}, and was heard {len(heard)} times"
        wanted = "OK" if row.state == "succeeded" else "ERROR"
        if any(told != wanted for told in heard):
            yield f"the webhook of job {job_id} ({row.state}) told {heard}"
