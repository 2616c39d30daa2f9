"""Which jobs are taken to be run; that this instance lives, which every claim says, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from media_mcp import faultpoints
from media_mcp.faultpoints import Point
from media_mcp.queue.sqlite import reads, turns
from media_mcp.queue.sqlite.connection import transaction
from media_mcp.queue.sqlite.pen import Pen, tell_state
from media_mcp.queue.sqlite.rows import load_job
from media_mcp.queue.store import Claim, Wish


def claim(pen: Pen, backend: str, wish: Wish, most: int) -> list[Claim]:
    if not reads.has_queued(pen.db, backend):
        return []
    with transaction(pen.db):
        room = Room(pen, backend)
        numbers = _mates if wish.mate else _next
        return _taken(pen, backend, numbers(pen, backend, wish, most, room))


def take_at_once(pen: Pen, backend: str, number: int) -> Claim:
    """Take a job that has just been written, where no other waits."""
    (claim,) = _taken(pen, backend, [number])
    return claim


class Room:
    """What the caps leave of a backend, over all servers: jobs of models in `full` have to wait."""

    def __init__(self, pen: Pen, backend: str) -> None:
        self.full: set[str] = set()
        self._left: dict[str, int] = {}
        self._all: int | None = None
        terms = pen.terms
        if not terms.capped:
            return
        running = pen.db.execute(_RUNNING).fetchall()
        if (most := terms.backends.get(backend)) is not None:
            self._all = most - sum(row["jobs"] for row in running if row["backend"] == backend)
        for model, most in terms.models.items():
            self._left[model] = most - sum(row["jobs"] for row in running if row["model"] == model)
        self.full = {model for model, left in self._left.items() if left <= 0}

    def takes(self, model: str) -> bool:
        """Tell whether a job of this model may start."""
        return self.open and model not in self.full

    @property
    def open(self) -> bool:
        """Whether any job may start."""
        return self._all is None or self._all > 0

    def take(self, model: str) -> None:
        """Count a job that starts."""
        if self._all is not None:
            self._all -= 1
        if model in self._left:
            self._left[model] -= 1
            if self._left[model] <= 0:
                self.full.add(model)


_RUNNING = """
SELECT backend, model, count(*) AS jobs FROM jobs WHERE state = 'running' GROUP BY 1, 2
"""


def _next(pen: Pen, backend: str, wish: Wish, most: int, room: Room) -> Iterator[int]:
    """Yield the numbers of the jobs that are next, each before the next is looked for."""
    turns.rise(pen, backend)
    look = turns.Look(pen, backend, wish)
    for _ in range(most):
        head = look.next(room.full) if room.open else None
        if head is None:
            return
        room.take(head.model)
        yield head.number


def _mates(pen: Pen, backend: str, wish: Wish, most: int, room: Room) -> Iterator[int]:
    """Yield what can run as one with a job that was taken. It costs no turn: it takes no slot."""
    assert wish.mate is not None  # noqa: S101
    mate = wish.mate
    rows = pen.db.execute(_MATES, (mate.batch, mate.priority, backend, pen.clock(), most))
    for (number,) in rows.fetchall():
        if not room.takes(mate.model):
            return
        room.take(mate.model)
        yield number


_MATES = """
SELECT n FROM jobs WHERE state = 'queued' AND batch = ?1 AND priority = ?2 AND backend = ?3
    AND (start_by IS NULL OR start_by > ?4
        OR started_at IS NOT NULL AND spent = 0 AND tried = '[]')
ORDER BY n LIMIT ?5
"""


def _taken(pen: Pen, backend: str, numbers: Iterable[int]) -> list[Claim]:
    """Take jobs within the transaction that is open."""
    faultpoints.reached(Point.BEFORE_CLAIM)
    claims = [_take(pen, backend, number) for number in numbers]
    if claims:
        say_alive(pen)
        faultpoints.reached(Point.IN_CLAIM)
    return claims


def _take(pen: Pen, backend: str, number: int) -> Claim:
    (row,) = pen.db.execute(_TAKE, (pen.instance.id, pen.clock(), number)).fetchall()
    tell_state(pen, row["n"], f"running on {backend}, attempt {row['attempt']}")
    inputs = reads.inputs(pen.db, row["n"]) if row["parents"] != "[]" else {}
    return Claim(row["n"], load_job(row), pen.instance.id, row["spent"], inputs)


_TAKE = """
UPDATE jobs SET state = 'running', claimed_by = ?1, attempt = attempt + 1,
    started_at = coalesce(started_at, ?2), step = NULL, total = NULL, message = ''
WHERE n = ?3 RETURNING *
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
