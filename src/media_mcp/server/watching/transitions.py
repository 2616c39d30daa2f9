"""A line of the log for each change of a job's state, as JSON or as words.

No line holds what a caller said: neither prompts nor URLs, and no key. A job's id leads to all of
that, for those who may see it.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

from media_mcp import trail
from media_mcp.job import JSON, Job
from media_mcp.media.names import printable
from media_mcp.queue import Queue

_PLAIN = re.compile(r"[\w.:/@+~-]+")

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
        "request": job.request or None,
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
        return " ".join(f"{name}={_word(value)}" for name, value in self.told.items())


def _word(value: JSON) -> str:
    """Return a value as it is, if it is one plain word, and else quoted."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def plain(text: str) -> str:
    """Return a text on one line, without what would steer a terminal."""
    return " ".join(printable(text).splitlines())


class TextFormatter(logging.Formatter):
    """Writes each record as one line of words; the lines of a traceback below it are indented."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: ")

    def formatMessage(self, record: logging.LogRecord) -> str:
        message = plain(record.getMessage())
        request = trail.here().request
        known = f" request={request}" if request and "request=" not in message else ""
        return super().formatMessage(record) + message + known

    def formatException(self, ei: Any) -> str:
        lines = super().formatException(ei).splitlines()
        return "\n".join(f"  {plain(line)}" for line in lines)


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
            told |= {"request": trail.here().request} if trail.here().request else {}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


def set_up(level: str, form: str) -> None:
    """Send the log to standard error, as `json` or as `text`, from `level` on."""
    handler = logging.StreamHandler()
    if form == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("media_mcp").setLevel(level.upper())
