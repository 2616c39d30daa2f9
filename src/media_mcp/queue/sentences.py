"""What the queue says of jobs and keys, in the same words whichever store it has."""

from __future__ import annotations

from media_mcp.errors import BadInput, Forbidden, NotFound
from media_mcp.job import Failure, Job


def key_reused(job_id: str) -> BadInput:
    """Return the error for a key that came back with another request."""
    return BadInput(
        f"This idempotency key was used for another request (job {job_id}).",
        "Send a new key with a new request, or the same arguments with this one.",
    )


def forbidden(what: str) -> Forbidden:
    """Return the error for a caller whose key only reads."""
    return Forbidden(f"This key only reads: it {what}.", "Use a key with the scope run.")


def no_such_job(job_id: str) -> NotFound:
    """Return the error for a job that is not there or not the caller's: nobody can tell which."""
    return NotFound(
        f"There is no job {job_id[:80]!r}.",
        "List your jobs with list_jobs (or: media-mcp jobs).",
    )


def timed_out(job: Job) -> Failure:
    """Return why a job failed that was not started in time."""
    seconds = (job.start_by or 0.0) - job.created_at
    return Failure(
        "request_timeout",
        f"It was not started within {seconds:g} s, as its caller had asked.",
        "Try again later, or allow it more time to start.",
    )


def lost(job: Job, spent: int, attempts: int) -> Failure:
    """Return why a job whose server died is lost, with what is known of it."""
    reached = f" at step {job.step} of {job.total}" if job.step is not None else ""
    remote = f" Its id at the backend is {job.remote_id}." if job.remote_id else ""
    return Failure(
        "lost",
        f"The server that ran it on {job.route.backend} died{reached}, in attempt {spent} of "
        f"{attempts}.{remote}",
        "Run it again with fresh: true; if the server dies again, look at its log.",
    )


def was_removed(uri: str, removed: str) -> NotFound:
    """Return the error for an asset whose file went; `removed` is `on 2026-11-30 by retention`."""
    return NotFound(
        f"{uri} was removed {removed}.",
        "Make it again (get_job shows how it was made), or pass the file it came from.",
    )
