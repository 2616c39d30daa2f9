"""Failures on request: each word that `rehearse_failure` and a card's `failure` may hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from media_mcp.errors import (
    BackendFailed,
    BadMedia,
    BadOutput,
    BadSettings,
    ContentRefused,
    InvalidArguments,
    MediaError,
    MissingExtra,
    NotConfigured,
    NotFound,
    OutOfMemory,
    Problem,
    Refused,
    StorageFailed,
    WorkerDied,
    did_you_mean,
)

_SAID = "as this rehearsal was asked to."
_NEXT = "This is a rehearsed failure: unset `rehearse_failure` or the card's `failure` to succeed."

FAILURES: Mapping[str, Callable[[], MediaError]] = {
    "backend_failed": lambda: BackendFailed(f"The backend failed, {_SAID}", _NEXT),
    "retryable": lambda: BackendFailed(
        f"The backend failed for now, {_SAID}", _NEXT, retryable=True
    ),
    "timeout": lambda: BackendFailed(f"The backend timed out, {_SAID}", _NEXT, retryable=True),
    "content_refused": lambda: ContentRefused(
        f"The backend's content check said no, {_SAID}", _NEXT
    ),
    "refused": lambda: Refused(f"The backend refused, {_SAID}", _NEXT),
    "out_of_memory": lambda: OutOfMemory(f"The device ran out of memory, {_SAID}", _NEXT),
    "bad_output": lambda: BadOutput(f"The backend returned nothing usable, {_SAID}", _NEXT),
    "worker_died": lambda: WorkerDied(f"The worker died, {_SAID}", _NEXT),
    "invalid_arguments": lambda: InvalidArguments([Problem("prompt", f"refused, {_SAID}")], _NEXT),
    "not_found": lambda: NotFound(f"The backend does not know this model, {_SAID}", _NEXT),
    "bad_media": lambda: BadMedia(f"The backend cannot read the input, {_SAID}", _NEXT),
    "not_configured": lambda: NotConfigured(f"The backend is not set up, {_SAID}", _NEXT),
    "missing_extra": lambda: MissingExtra("torch", "local"),
    "storage_failed": lambda: StorageFailed(f"The disk is full, {_SAID}", _NEXT),
}
CRASH, HANG = "crash", "hang"
# Failures that look like successes: nothing in any output, black pictures, no sound, half a file.
BLANK, BLACK, SILENT, CUT = "blank", "black", "silent", "cut"
QUIET = (BLANK, BLACK, SILENT, CUT)
NAMES = (*FAILURES, CRASH, HANG, *QUIET)


def checked_failure(name: str, where: str) -> str:
    """Return `name` if it is a failure that can be rehearsed (or empty), else raise BadSettings."""
    if name and name not in NAMES:
        hint = did_you_mean(name, NAMES) or f"Known: {', '.join(NAMES)}."
        raise BadSettings(f"{where}: {name!r} is no failure that can be rehearsed.", hint)
    return name


def rehearsed(name: str) -> Exception:
    """Return the exception that `name` stands for; `crash` is one no backend should raise."""
    if name == CRASH:
        return RuntimeError("The rehearsal crashed, as it was asked to.")
    return FAILURES[name]()
