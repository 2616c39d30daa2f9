"""What a write is made with, and the events that go with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from media_mcp.backends.base import Report
from media_mcp.queue.sqlite.rows import text
from media_mcp.queue.store import Instance
from media_mcp.queue.terms import FREE, Terms


@dataclass(frozen=True, slots=True)
class Pen:
    """Who writes, where, what time it is for them (Unix seconds), and on which terms jobs wait."""

    db: sqlite3.Connection
    instance: Instance
    clock: Callable[[], float]
    terms: Terms = FREE


def tell(pen: Pen, number: int, report: Report | None, kind: str, message: str) -> None:
    step, total = (report.step, report.total) if report else (None, None)
    pen.db.execute(
        "INSERT INTO events (job, seq, at, kind, step, total, message, written_by) "
        "SELECT ?1, coalesce(max(seq), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7 FROM events WHERE job = ?1",
        (number, pen.clock(), kind, step, total, text(message), pen.instance.id),
    )


def tell_state(pen: Pen, number: int, message: str) -> None:
    tell(pen, number, None, "state", message)
