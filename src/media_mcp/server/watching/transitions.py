"""A line of the log for each change of a job's state, as JSON or as words.

No line holds what a caller said: neither prompts nor URLs, and no key. A job's id leads to all of
that, for those who may see it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from media_mcp.job import JSON, Job
from media_mcp.queue import Queue

log = logging.getLogger("media_mcp.jobs")


def follow(queue: Queue) -> Callable[[], None]:
    """Log every transition from now on; returns how to stop that."""
    return queue.subscribe(tell)


def tell(job: Job) -> None:
    """Log a job's state as it is now."""
    if log.isEnabledFor(logging.INFO):
        log.info("%s", Line(facts(job)))


def facts(job: Job) -> dict[str, JSON]:
    """Return what a line tells of a job."""
    known: dict[str, JSON] = {
        "job": job.id,
        "state": job.state.value,
        "model": job.model,
        "route": job.route.backend,
        "caller": job.caller.owner,
        "project": job.caller.project,
        "door": job.door,
        "attempt": job.attempt or None,
        "remote_id": job.remote_id,
        "seconds": None if job.seconds is None else round(job.seconds, 3),
        "cost_usd": job.cost,
        "error": job.failure.code if job.failure else None,
    }
    return {name: value for name, value in known.items() if value is not None}


class Line:
    """Facts that a formatter can write its own way: as text they are `name=value` pairs."""

    def __init__(self, told: dict[str, JSON]) -> None:
        self.told = told

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.told.items())


class JsonFormatter(logging.Formatter):
    """Writes each record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, JSON] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        line = record.args[0] if isinstance(record.args, tuple) and record.args else None
        if isinstance(line, Line):
            told |= line.told
        else:
            told["message"] = record.getMessage()
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False, default=str)


def set_up(level: str, form: str) -> None:
    """Send the log to standard error, as `json` or as `text`, from `level` on."""
    handler = logging.StreamHandler()
    if form == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("media_mcp").setLevel(level.upper())
