"""Whose turn it is: callers take turns at a backend, and each caller's jobs go in a line.

A line is one owner's jobs of one project, backend and rank. `turns.turn` says when a line is next:
the lowest is, and each job that is taken moves its line on by a step (start-time fair queueing). A
line that comes new stands where the first one does, so nobody gains by having been away, and nobody
pays for what they did while nobody else was there. Nothing here reads the queue as a whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

from media_mcp.job import Caller
from media_mcp.queue.sqlite.pen import Pen
from media_mcp.queue.store import Wish
from media_mcp.queue.terms import SHARE, TURN, Full, Terms

LEAD = 4 * TURN  # how far a line whose model is loaded may get ahead of the first one
LOOKS = 16  # how many lines are asked for a loaded model
RISING = 500  # how many jobs rise at once
PREFERRED, PLAIN, BUSY = range(3)

_HEAD = """
SELECT n, model, created_at FROM jobs INDEXED BY jobs_queued
WHERE state = 'queued' AND backend = :backend AND rank = :rank
    AND owner = :owner AND project = :project AND model > :after
    AND (start_by IS NULL OR start_by > :now
        OR started_at IS NOT NULL AND spent = 0 AND tried = '[]')
ORDER BY model, n LIMIT 1
"""
_OF_LINE = (
    "SELECT 1 FROM jobs INDEXED BY jobs_queued "
    "WHERE state = 'queued' AND backend = ? AND rank = ? AND owner = ? AND project = ?"
)
_LINES = """
SELECT n, owner, project, turn FROM turns WHERE backend = ? AND rank = ? ORDER BY turn, n
"""
_LINE_UP = """
INSERT INTO turns (backend, rank, owner, project, turn)
VALUES (?1, ?2, ?3, ?4, coalesce(
    (SELECT turn FROM turns WHERE backend = ?1 AND rank = ?2 ORDER BY turn LIMIT 1), 0))
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A caller's line: its row's number, who they are, and when it is next."""

    row: int
    owner: str
    project: str
    turn: int


@dataclass(frozen=True, slots=True)
class Head:
    """The job that a line would give next, and how gladly it is taken: the least, the most so."""

    number: int
    model: str
    liking: int


@dataclass(slots=True)
class _Walk:
    """What was found along the lines: the first that could give a job, and the best.

    Of the lines that could not, `waiting` says that some stand before the first, and `gone` are
    those that have no jobs any more.
    """

    first: Line | None = None
    best: tuple[Line, Head] | None = None
    looked: int = 0
    waiting: bool = False
    gone: list[int] = field(default_factory=list)

    def note(self, line: Line, head: Head) -> None:
        self.first = self.first or line
        self.looked += 1
        if self.best is None or head.liking < self.best[1].liking:
            self.best = line, head

    def ends_at(self, line: Line, *, choosy: bool) -> bool:
        """Tell whether no line from this one on can be better."""
        if self.first is None or self.best is None:
            return False
        enough = not choosy or self.best[1].liking == PREFERRED or self.looked >= LOOKS
        return enough or line.turn > self.first.turn + LEAD


class Look:
    """Looks for the next job of a backend; those of models in `full` have to wait."""

    def __init__(self, pen: Pen, backend: str, wish: Wish) -> None:
        self._pen = pen
        self._db = pen.db
        self._backend = backend
        self._wish = wish
        self._now = pen.clock()
        self._choosy = bool(wish.warm or wish.busy)

    def next(self, full: Collection[str]) -> Head | None:
        """Return the job that is next, and move its line on; None if none can start."""
        for rank in ranks(self._db, self._backend):
            walk = self._walk(rank, full)
            if walk.gone:
                self._db.executemany("DELETE FROM turns WHERE n = ?", [(n,) for n in walk.gone])
            if walk.best is not None:
                self._move(rank, walk)
                return walk.best[1]
        return None

    def _walk(self, rank: int, full: Collection[str]) -> _Walk:
        walk = _Walk()
        with closing(self._db.execute(_LINES, (self._backend, rank))) as rows:
            for row in rows:
                line = Line(*row)
                if walk.ends_at(line, choosy=self._choosy):
                    break
                head = self._head(rank, line, full)
                if head is not None:
                    walk.note(line, head)
                elif not self._has_jobs(rank, line):
                    walk.gone.append(line.row)
                elif walk.first is None:
                    walk.waiting = True
        return walk

    def _head(self, rank: int, line: Line, full: Collection[str]) -> Head | None:
        """Return the best of a line's jobs: overdue, warm, not busy, oldest; the first of each
        model stands for all of them.
        """
        wish = self._wish
        heads = [
            (created >= wish.overdue, model not in wish.warm, model in wish.busy, number, model)
            for number, model, created in self._firsts(rank, line)
            if model not in full
        ]
        if not heads:
            return None
        early, cold, busy, number, model = min(heads)
        liking = BUSY if busy and cold and early else PLAIN if cold and early else PREFERRED
        return Head(number, model, liking)

    def _firsts(self, rank: int, line: Line) -> Iterator[tuple[int, str, float]]:
        """Yield the first job of each model in a line that may start."""
        values = {
            "backend": self._backend,
            "rank": rank,
            "owner": line.owner,
            "project": line.project,
            "now": self._now,
            "after": "",
        }
        while (found := self._db.execute(_HEAD, values).fetchone()) is not None:
            yield found["n"], found["model"], found["created_at"]
            values["after"] = found["model"]

    def _has_jobs(self, rank: int, line: Line) -> bool:
        whose = (self._backend, rank, line.owner, line.project)
        return self._db.execute(f"{_OF_LINE} LIMIT 1", whose).fetchone() is not None

    def _move(self, rank: int, walk: _Walk) -> None:
        """Move the line that gives a job; those that had to wait get no turns for it later."""
        assert walk.first and walk.best  # noqa: S101
        line = walk.best[0]
        self._db.execute(
            "UPDATE turns SET turn = ? WHERE n = ?",
            (line.turn + self._pen.terms.step(line.owner), line.row),
        )
        if walk.waiting:
            self._db.execute(
                "UPDATE turns SET turn = ?3 WHERE backend = ?1 AND rank = ?2 AND turn < ?3",
                (self._backend, rank, walk.first.turn),
            )


def ranks(db: sqlite3.Connection, backend: str) -> Iterator[int]:
    """Yield the ranks of a backend's queued jobs, the highest first."""
    rank = 2**62
    while rank is not None:
        (rank,) = db.execute(
            "SELECT max(rank) FROM jobs INDEXED BY jobs_rising "
            "WHERE state = 'queued' AND backend = ? AND rank < ?",
            (backend, rank),
        ).fetchone()
        if rank is not None:
            yield rank


def line_up(db: sqlite3.Connection, job: sqlite3.Row) -> None:
    """See to it that a job which waits from now on has a line."""
    db.execute(_LINE_UP, (job["backend"], job["rank"], job["owner"], job["project"]))


def mend(db: sqlite3.Connection) -> None:
    """Give every queued job a line: those that an earlier version wrote have none."""
    db.execute(
        "INSERT INTO turns (backend, rank, owner, project, turn) "
        "SELECT DISTINCT backend, rank, owner, project, 0 FROM jobs WHERE state = 'queued' "
        "ON CONFLICT DO NOTHING"
    )


def rise(pen: Pen, backend: str) -> None:
    """Let jobs that have waited for long go with those of the highest rank."""
    top, *lower = [*ranks(pen.db, backend)] or [0]
    for rank in lower:
        rows = pen.db.execute(
            "UPDATE jobs SET rank = ? WHERE n IN (SELECT n FROM jobs INDEXED BY jobs_rising "
            "WHERE state = 'queued' AND backend = ? AND rank = ? AND created_at <= ? "
            "ORDER BY created_at LIMIT ?) RETURNING backend, rank, owner, project",
            (top, backend, rank, pen.clock() - pen.terms.rise_seconds, RISING),
        ).fetchall()
        for row in {tuple(row): row for row in rows}.values():
            line_up(pen.db, row)


def check_room(pen: Pen, backend: str, caller: Caller) -> None:
    """Raise `Full` where too many jobs wait already for another of this caller's.

    The fuller it is, the fewer a caller may have there: one alone never takes the last places.
    """
    terms = pen.terms
    _check_room(pen.db, terms.most, "max_queued", "", caller)
    name = f"backends.{backend}.max_queued"
    _check_room(pen.db, terms.most_for.get(backend), name, backend, caller)


def _check_room(
    db: sqlite3.Connection, most: int | None, setting: str, backend: str, caller: Caller
) -> None:
    if most is None:
        return
    values = {"backend": backend, "owner": caller.owner, "project": caller.project}
    there = "SELECT 1 FROM jobs INDEXED BY jobs_queued WHERE state = 'queued'"
    there += " AND backend = :backend" if backend else ""
    waiting = _count(db, there, values)
    left = most - waiting
    if waiting < SHARE * left:
        return
    own = _count(db, f"{there} AND owner = :owner AND project = :project", values)
    if own >= SHARE * left:
        raise Full(waiting, own, most, setting, backend)


def ahead(db: sqlite3.Connection, terms: Terms, job: sqlite3.Row) -> int:
    """Return how many queued jobs of its backend go before a queued job, as things stand.

    What is warm, overdue or capped is left out: that changes with every job.
    """
    where = (job["backend"], job["rank"])
    higher = _count(
        db, "SELECT 1 FROM jobs WHERE state = 'queued' AND backend = ? AND rank > ?", where
    )
    whose = (job["owner"], job["project"])
    own = _count(db, f"{_OF_LINE} AND n < ?", (*where, *whose, job["n"]))
    lines = [(Line(*row), count) for *row, count in db.execute(_LENGTHS, where)]
    mine = next((line for line, _ in lines if (line.owner, line.project) == whose), None)
    if mine is None:  # a moment's sight, between two transactions
        return higher + own
    at = (mine.turn + own * terms.step(mine.owner), mine.row)
    others = (min(count, _turns(line, terms, at)) for line, count in lines if line != mine)
    return higher + own + int(sum(others))


_LENGTHS = """
SELECT n, owner, project, turn, (SELECT count(*) FROM jobs INDEXED BY jobs_queued
    WHERE state = 'queued' AND jobs.backend = turns.backend AND jobs.rank = turns.rank
        AND jobs.owner = turns.owner AND jobs.project = turns.project)
FROM turns WHERE backend = ? AND rank = ?
"""


def _turns(line: Line, terms: Terms, at: tuple[int, int]) -> int:
    """Return how many turns a line has before a moment: a turn and, of the same turn, a row."""
    gap, step = at[0] - line.turn, terms.step(line.owner)
    return max(0, gap // step + 1 if line.row < at[1] else -(-gap // step))


def _count(
    db: sqlite3.Connection, query: str, values: tuple[object, ...] | Mapping[str, object]
) -> int:
    return int(db.execute(f"SELECT count(*) FROM ({query})", values).fetchone()[0])  # noqa: S608
