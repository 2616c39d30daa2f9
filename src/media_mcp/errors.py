"""Every error media-mcp raises on purpose, by who caused it and who can mend it.

MediaError                  the root; nothing else is caught at a door
├── BadInput                the caller: change the call and try again
│   ├── InvalidArguments    an argument is missing, unknown, of the wrong type or out of range
│   ├── NotFound            no such model, tool, job, asset or task (or not yours)
│   ├── BadMedia            an input cannot be read, is too big, of the wrong type or out of bounds
│   └── BadArchive          a file to import is damaged, cut off, hostile or of a newer version
├── Refused                 the rules: policy, budget, licence or consent says no
│   ├── NeedsConsent        it may cost more than may be spent unasked; `hint` says how to agree
│   ├── OverBudget          it may cost more than is left; nothing ran and nothing was spent
│   ├── Forbidden           the caller's key does not allow it
│   ├── TooMany             the caller has too many jobs, or asks too often; `retry_after` seconds
│   │   └── QueueFull       so many jobs wait that no other may
│   └── ContentRefused      the place that ran it will not make this; the same call fails again
├── NotConfigured           the operator: something must be installed, set or freed first
│   ├── MissingExtra        a Python package is absent; the message holds the pip command
│   ├── BadSettings         media-mcp.toml, the environment or a flag holds a bad value
│   ├── BadCard             a model card is wrong; the message holds file and line
│   └── PortTaken           another process listens on the port
├── BackendFailed           the place that ran the job; `retryable` says whether to try again
│   ├── WorkerDied          the worker process crashed or hung; retryable
│   ├── OutOfMemory         the device or the host is full
│   ├── BadOutput           it answered, but with nothing usable
│   └── MaybeSpent          it may have run, and be billed, but its result cannot be had (now)
├── GoingDown               the server leaves; what was asked for goes on once it is back
└── StorageFailed           the disk is full, read-only or the database is locked

Every error carries what is wrong (`message`), what to do next (`hint`) and a stable `code` for
programs. None of them may hold a secret or a traceback: they are shown to agents word by word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

LONGEST = 200  # characters of a wrong name that are compared with known ones


class MediaError(Exception):
    """One sentence on what is wrong and one on what to do next.

    `cost` is what was billed for it all the same (US dollars), where that is known.
    """

    code = "error"
    cost: float | None = None

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class BadInput(MediaError):
    code = "bad_input"


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of one argument: where it is (`prompt`, `images[2]`) and what is wrong with it."""

    field: str
    message: str


class InvalidArguments(BadInput):
    code = "invalid_arguments"

    def __init__(self, problems: Sequence[Problem], hint: str = "") -> None:
        super().__init__(" ".join(f"{p.field}: {p.message}" for p in problems), hint)
        self.problems = tuple(problems)


class NotFound(BadInput):
    code = "not_found"


class BadMedia(BadInput):
    code = "bad_media"


class BadArchive(BadInput):
    code = "bad_archive"


class Refused(MediaError):
    code = "refused"


class NeedsConsent(Refused):
    """Its code is that of what the rules refuse: to programs it is no other case."""


class OverBudget(Refused):
    code = "over_budget"


class Forbidden(Refused):
    code = "forbidden"


class TooMany(Refused):
    code = "too_many"

    def __init__(self, message: str, hint: str = "", *, retry_after: float = 1.0) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class QueueFull(TooMany):
    code = "queue_full"


class ContentRefused(Refused):
    code = "content_refused"


class NotConfigured(MediaError):
    code = "not_configured"


class MissingExtra(NotConfigured):
    code = "missing_extra"

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"This needs the Python package {package}, which is not installed.",
            f'Run: pip install "media-mcp[{extra}]"',
        )


class BadSettings(NotConfigured):
    code = "bad_settings"


class BadCard(NotConfigured):
    code = "bad_card"


class PortTaken(NotConfigured):
    code = "port_taken"


class BackendFailed(MediaError):
    code = "backend_failed"

    def __init__(self, message: str, hint: str = "", *, retryable: bool = False) -> None:
        super().__init__(message, hint)
        self.retryable = retryable


class WorkerDied(BackendFailed):
    code = "worker_died"

    def __init__(self, message: str, hint: str = "", *, retryable: bool = True) -> None:
        super().__init__(message, hint, retryable=retryable)


class OutOfMemory(BackendFailed):
    code = "out_of_memory"


class BadOutput(BackendFailed):
    code = "bad_output"


class MaybeSpent(BackendFailed):
    """`retryable` only where another try takes up the same request and cannot be billed again."""

    code = "maybe_spent"


class GoingDown(MediaError):
    code = "going_down"


class StorageFailed(MediaError):
    code = "storage_failed"


def did_you_mean(wrong: str, known: Sequence[str], limit: int = 3) -> str:
    """Return `"Did you mean a, b?"` for the nearest names, or an empty string."""
    near = get_close_matches(wrong[:LONGEST], dict.fromkeys(known), n=limit, cutoff=0.5)
    return f"Did you mean {', '.join(near)}?" if near else ""
