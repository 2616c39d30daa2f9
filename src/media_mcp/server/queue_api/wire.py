"""Our words in the protocol's: states, errors, headers and log lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from media_mcp.errors import MediaError
from media_mcp.job import JSON, Event, Job, JobState
from media_mcp.server.queue_api.calls import RawHeaders, Reply, replied
from media_mcp.server.queue_api.faults import detail

NAMESPACES = ("workflows", "comfy")
CANCELLED = "Request was cancelled"
PROBLEMS = "problems"  # the fact of a failed job that holds its `detail` list
WAITING = (JobState.QUEUED, JobState.RUNNING)
Links: TypeAlias = dict[str, str]

_LEVELS = (("failed", "ERROR"), ("lost", "ERROR"), ("cancelled", "WARN"), ("queued again", "WARN"))
_SOURCES = {"log": "model", "progress": "progress", "state": "queue"}


@dataclass(frozen=True, slots=True)
class Rule:
    """How the protocol says one of our error codes: status, type, whether another try may help.

    A fault of the `model` has a list of details; one of the platform is a sentence.
    """

    status: int
    type: str
    model: bool = False
    retryable: bool = False


_RULES: Mapping[str, Rule] = {
    "invalid_arguments": Rule(422, "value_error", model=True),
    "bad_media": Rule(422, "file_download_error", model=True),
    "refused": Rule(403, "forbidden"),  # by a rule of ours; content is refused by those who look
    "content_refused": Rule(422, "content_policy_violation", model=True),
    "over_budget": Rule(403, "forbidden"),
    "forbidden": Rule(403, "forbidden"),
    "too_many": Rule(429, "concurrent_requests_limit", retryable=True),
    "queue_full": Rule(429, "queue_full", retryable=True),
    "bad_output": Rule(422, "no_media_generated", model=True),
    "not_found": Rule(400, "downstream_service_error", model=True),
    "backend_failed": Rule(500, "internal_server_error", model=True),
    "maybe_spent": Rule(500, "downstream_service_unavailable", model=True),
    "out_of_memory": Rule(500, "internal_server_error", model=True, retryable=True),
    "worker_died": Rule(503, "runner_disconnected", retryable=True),
    "not_configured": Rule(503, "runner_scheduling_failure"),
    "missing_extra": Rule(503, "runner_scheduling_failure"),
    "bad_settings": Rule(503, "runner_scheduling_failure"),
    "bad_card": Rule(503, "runner_scheduling_failure"),
    "storage_failed": Rule(500, "internal_error", retryable=True),
    "lost": Rule(500, "internal_error", retryable=True),
    "request_timeout": Rule(504, "request_timeout", retryable=True),
    "going_down": Rule(504, "request_timeout"),  # what clients do not try again: it goes on
    "cancelled": Rule(499, "client_cancelled"),
}
_AT_ONCE: Mapping[str, Rule] = {  # what these codes mean where no job came of the request
    "not_found": Rule(404, "not_found"),
    "unauthorized": Rule(401, "unauthorized"),
    "bad_target": Rule(412, "bad_request"),
    "too_large": Rule(413, "bad_request"),
    "bad_input": Rule(400, "bad_request"),
    "bad_request": Rule(400, "bad_request"),
}
_BUG = Rule(500, "internal_error")


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as it is answered: its rule, the `detail` of the body and one sentence."""

    rule: Rule
    detail: JSON
    message: str

    def reply(self, headers: RawHeaders | None = None) -> Reply:
        """Return the answer; `headers` come before those of the error."""
        kind = self.rule.type.encode()
        retry = b"true" if self.rule.retryable else b"false"
        told = [(b"x-fal-error-type", kind), (b"x-fal-retryable", retry)]
        if self.rule.type == "request_timeout":  # neither client may try again on its own
            told.append((b"x-fal-request-timeout-type", b"user"))
        return replied(self.rule.status, self.body(), [*(headers or ()), *told])

    def body(self) -> dict[str, JSON]:
        """Return the body: `detail` is what Python shows, `message` what JavaScript shows."""
        return {"detail": self.detail, "error_type": self.rule.type, "message": self.message}


class Failed(Exception):
    """A job that made nothing, where an answer of its own says so."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def fault_of_job(job: Job) -> Fault | None:
    """Return why a job that is over made nothing; None for one that did."""
    if job.state is JobState.SUCCEEDED:
        return None
    if job.state is JobState.CANCELLED:
        return Fault(_RULES["cancelled"], CANCELLED, CANCELLED)
    code = job.failure.code if job.failure else "bug"
    message = f"{job.failure.message} {job.failure.hint}".strip() if job.failure else job.message
    rule = _RULES.get(code, _BUG)
    if not rule.model:
        return Fault(rule, message, message)
    problems = job.facts.get(PROBLEMS)
    if problems:
        kinds = {str(problem["type"]) for problem in problems}
        kind = kinds.pop() if len(kinds) == 1 else rule.type
        return Fault(Rule(rule.status, kind, True, rule.retryable), problems, message)
    return Fault(rule, [detail([], message, rule.type, {}, None)], message)


def fault_of_error(error: MediaError) -> Fault:
    """Return the answer for an error that came before there was a job."""
    rule = _AT_ONCE.get(error.code) or _RULES.get(error.code, _BUG)
    return Fault(rule, str(error), str(error))


def bug() -> Fault:
    """Return the answer for an exception that nobody expected: it says nothing of the insides."""
    message = "The server failed on this request; its log (stderr) holds the details."
    return Fault(_BUG, message, message)


def not_found() -> Reply:
    """Return the answer for a request id that is not known, or not the caller's."""
    return replied(404, {"status": "NOT_FOUND"}, [(b"x-fal-error-type", b"not_found")])


def wrong_method(*allowed: str) -> Reply:
    headers = [(b"allow", ", ".join(allowed).encode())]
    return replied(405, {"detail": "Method Not Allowed", "message": "Method Not Allowed"}, headers)


def app_of(model_id: str) -> str:
    """Return the part of an endpoint id that stands in the address of a request."""
    parts = model_id.split("/")
    return "/".join(parts[: 3 if parts[0] in NAMESPACES else 2])


def links(job: Job, base: str) -> Links:
    """Return the three addresses of a request."""
    response = f"{base}/{app_of(job.model)}/requests/{job.id}"
    return {
        "response_url": response,
        "status_url": f"{response}/status",
        "cancel_url": f"{response}/cancel",
    }


def status_of(
    job: Job, base: str, position: int | None, logs: Sequence[JSON] | None
) -> dict[str, JSON]:
    """Return the status object, every key always there.

    `logs` are None unless they were asked for. A job that is over is COMPLETED whatever became of
    it; `error` and `error_type` tell.
    """
    fault = fault_of_job(job) if job.state.terminal else None
    return {
        "status": state_of(job),
        "request_id": job.id,
        "queue_position": (position or 0) if job.state is JobState.QUEUED else None,
        "logs": logs,
        "metrics": {"inference_time": job.seconds} if job.state.terminal else {},
        "error": fault.message if fault else None,
        "error_type": fault.rule.type if fault else None,
        **links(job, base),
    }


def state_of(job: Job) -> str:
    if job.state is JobState.QUEUED:
        return "IN_QUEUE"
    return "IN_PROGRESS" if job.state is JobState.RUNNING else "COMPLETED"


def status_code(job: Job) -> int:
    """Return 202 while a job waits or runs, 200 once it is over."""
    return 200 if job.state.terminal else 202


def identity(job: Job) -> RawHeaders:
    """Return the header that names the request."""
    return [(b"x-fal-request-id", job.id.encode())]


def result_headers(job: Job) -> RawHeaders:
    """Return the headers of a result, good or bad."""
    units = (b"x-fal-billable-units", f"{billable_units(job):.6g}".encode())
    server = (b"x-fal-served-from", job.route.backend.encode("ascii", "replace"))
    return [*identity(job), units, *([server] if job.started_at is not None else [])]


def billable_units(job: Job) -> float:
    """Return how many units of its price a job was billed for, as far as they are known."""
    if job.state is not JobState.SUCCEEDED:
        return 0.0
    price = job.route.price
    paid = job.cost if job.cost is not None else job.quoted
    if price is None or not price.amount or paid is None:
        return 1.0
    return paid / price.amount


class LogBook:
    """Turns events into log lines: each only once, and of a long count of steps a line a percent.

    `seen` is the number of the last event that was taken.
    """

    def __init__(self) -> None:
        self.lines: list[JSON] = []
        self.seen = 0
        self._percent: int | None = None

    def take(self, events: Sequence[Event]) -> list[JSON]:
        """Add what is new in `events`, which are in order, and return that."""
        fresh = [event for event in events if event.seq > self.seen]
        added = [line for event in fresh if (line := self._line(event)) is not None]
        if fresh:
            self.seen = fresh[-1].seq
        self.lines += added
        return added

    def _line(self, event: Event) -> JSON:
        source = _SOURCES.get(event.kind)
        message = self._progress(event) if event.kind == "progress" else event.message
        if not source or not message:
            return None
        at = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds")
        return {
            "message": message,
            "timestamp": at.replace("+00:00", "Z"),
            "level": _level(event),
            "source": source,
        }

    def _progress(self, event: Event) -> str:
        if event.step is None or not event.total:
            return event.message
        percent = 100 * event.step // event.total
        if percent == self._percent:
            return ""
        self._percent = percent
        words = f"step {event.step} of {event.total}"
        return f"{words}: {event.message}" if event.message else words


def _level(event: Event) -> str:
    if event.kind != "state":
        return "INFO"
    return next((level for start, level in _LEVELS if event.message.startswith(start)), "INFO")
