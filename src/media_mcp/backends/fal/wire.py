"""The protocol's words, read with care: answers, statuses, request ids, addresses."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time
from typing import Literal

from media_mcp.job import JSON
from media_mcp.media.jsontext import loads

REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)
ENDPOINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*", re.ASCII)
NAMESPACES = ("workflows", "comfy")
LONGEST_RUN = 1e9  # seconds that a place may say a request took
LONGEST_WAIT = 120.0  # seconds that a place may ask us to wait at once
MOST_LINES = 200  # log lines of one status
LONGEST_LINE = 500
_LEGACY = re.compile(r"([0-9]+)-([A-Za-z0-9-]+)", re.ASCII)
_STEPS = (
    re.compile(r"\bstep (\d{1,9}) of (\d{1,9})\b"),
    re.compile(r"(?<![\d/])(\d{1,9})/(\d{1,9}) \["),  # as tqdm draws it
)

State = Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a place answered; header names are lower-case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> JSON:
        """Return what the body holds, None where it is no JSON, or too much of it."""
        try:
            return loads(self.body)
        except ValueError:
            return None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def request_id(self) -> str:
        """The id in the headers; empty where there is none that could be one."""
        return checked_id(self.headers.get("x-fal-request-id"))

    @property
    def busy(self) -> bool:
        """Whether the same call may go better in a while: it was not the model that answered."""
        theirs = "x-fal-request-id" in self.headers
        return self.status in (408, 429) or (self.status >= 500 and not theirs)

    @property
    def took_nothing(self) -> bool:
        """Whether a submit that was answered so is certain to have started nothing."""
        return self.status in (429, 503)

    @property
    def units(self) -> float | None:
        """How many units of its price a request is billed for, where that is told."""
        number = _number(self.headers.get("x-fal-billable-units", ""))
        return number if number is not None and number >= 0 else None

    def flag(self, *names: str) -> bool | None:
        """Return what the first of some headers that is there says: yes or no."""
        said = next((self.headers[name].lower() for name in names if name in self.headers), None)
        return None if said is None else said in ("1", "true", "yes")


@dataclass(frozen=True, slots=True)
class Status:
    """Where a request is: its place in the queue, its log, and what it took (seconds).

    The log is `said` lines long so far; `lines` are the latest of them.
    """

    state: State
    position: int | None = None
    said: int = 0
    lines: tuple[str, ...] = ()
    seconds: float | None = None

    def since(self, seen: int) -> tuple[str, ...]:
        """Return the lines, as far as they are at hand, after the first `seen`."""
        fresh = max(self.said - seen, 0)
        return self.lines[max(len(self.lines) - fresh, 0) :]


def status_of(answer: Answer) -> Status | None:
    """Read a status object; None for anything else."""
    told = answer.json()
    if not isinstance(told, dict) or not answer.ok:
        return None
    state = told.get("status")
    if state not in ("IN_QUEUE", "IN_PROGRESS", "COMPLETED"):
        return None
    position, metrics = told.get("queue_position"), told.get("metrics")
    lines = _lines(told.get("logs"))
    taken = metrics.get("inference_time") if isinstance(metrics, dict) else None
    timed = isinstance(taken, int | float) and 0 <= taken <= LONGEST_RUN
    return Status(
        state,
        position if type(position) is int and position >= 0 else None,
        len(lines),
        tuple(line[:LONGEST_LINE].rstrip() for line in lines[-MOST_LINES:]),
        taken if timed else None,
    )


def steps_in(line: str) -> tuple[int, int] | None:
    """Return the step and the total that a log line tells, if it does."""
    for pattern in _STEPS:
        if match := pattern.search(line):
            step, total = int(match[1]), int(match[2])
            return (step, total) if 0 <= step <= total and total else None
    return None


def submitted_id(answer: Answer) -> str:
    """Return the request id that a submit brought; empty where it brought none."""
    told = answer.json()
    given = told.get("request_id") if isinstance(told, dict) else None
    return checked_id(given) or answer.request_id


def checked_id(given: JSON) -> str:
    """Return a request id that is safe to write into an address, else nothing."""
    return given if isinstance(given, str) and REQUEST_ID.fullmatch(given) else ""


def app_of(endpoint: str) -> str:
    """Return the part of an endpoint id that status, result and cancel are asked under."""
    parts = endpoint.split("/")
    if len(parts) == 1 and (legacy := _LEGACY.fullmatch(endpoint)):
        return f"{legacy[1]}/{legacy[2]}"
    return "/".join(parts[: 3 if parts[0] in NAMESPACES else 2])


def wait_of(answer: Answer) -> float | None:
    """Return the seconds that `Retry-After` asks for, as a number or a date, within bounds."""
    said = answer.headers.get("retry-after", "").strip()
    seconds = _number(said)
    if seconds is None and said:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time()
        except (ValueError, TypeError, OverflowError):
            return None
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_WAIT)


def _lines(logs: JSON) -> list[str]:
    rows = logs if isinstance(logs, list) else []
    said = [row.get("message") if isinstance(row, dict) else row for row in rows]
    return [line if isinstance(line, str) else "" for line in said]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
