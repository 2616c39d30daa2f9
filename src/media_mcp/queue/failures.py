"""How an error that ended an attempt is told."""

from __future__ import annotations

from media_mcp.errors import MediaError
from media_mcp.job import Failure


def only(error: Exception) -> Exception:
    """Take a lone error out of the groups that task groups wrap it in."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def failure_of(error: Exception, backend: str) -> Failure:
    """Return the caller's words for an error; a bug's own words may hold anything, so not those."""
    if isinstance(error, MediaError):
        return Failure(error.code, error.message, error.hint)
    return Failure(
        "bug",
        f"Running it on {backend} hit a bug ({type(error).__name__}).",
        "The server's log (stderr) holds the traceback: please report it with that.",
    )


def billed(outcome: object) -> float | None:
    """Return what a failure cost (US dollars), where its place told."""
    return outcome.cost if isinstance(outcome, MediaError) else None
