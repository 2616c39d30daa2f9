"""What goes wrong in a tool, in words that say what to do next; and the bounds of what is made."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from media_mcp.errors import (
    BadMedia,
    InvalidArguments,
    MediaError,
    MissingExtra,
    OutOfMemory,
    Problem,
    StorageFailed,
)
from media_mcp.worker.work import Cancelled, Work

EXTRA = "tools"
MAX_PIXELS = 8192 * 8192  # of one picture that is made
MAX_FRAME_PIXELS = 4096 * 4096  # of one frame of a video
MAX_SIDE = 16_384  # pixels of the longer side
MAX_SECONDS = 3 * 3600.0  # of a video or sound that is made
MAX_FRAMES = 500_000  # of a video that is made
MAX_ANIMATION = 250_000_000  # pixels of all frames of a GIF or WebP together


def wrong(field: str, message: str, hint: str = "") -> InvalidArguments:
    """Return the error for one argument."""
    return InvalidArguments([Problem(field, message)], hint)


def unreadable(path: Path, what: str, why: str) -> BadMedia:
    """Return the error for media that cannot be read as `what` (`a video`)."""
    return BadMedia(
        f"{path.name[:80]} cannot be read as {what}: {why}.", "Make or export the file again."
    )


def check_size(width: int, height: int, *, most: int = MAX_PIXELS) -> None:
    """Raise `InvalidArguments` for a result too large to be made, or with nothing in it."""
    if width < 1 or height < 1:
        raise wrong(
            "result",
            f"it would be {width}x{height} pixels: nothing.",
            "Ask for at least one pixel.",
        )
    if max(width, height) > MAX_SIDE or width * height > most:
        name = "MAX_PIXELS" if most == MAX_PIXELS else "MAX_FRAME_PIXELS"
        raise wrong(
            "result",
            f"it would be {width}x{height} pixels.",
            f"At most {most:,} in all ({name}) and {MAX_SIDE:,} a side (MAX_SIDE) are made.",
        )


def check_length(seconds: float, fps: float = 0.0) -> None:
    """Raise `InvalidArguments` for a result that is too long to be made, or has no length."""
    if seconds <= 0 or (fps and round(seconds * fps) < 1):
        raise wrong(
            "result", f"it would last {max(0.0, seconds):g} s: nothing.", "Ask for a longer piece."
        )
    if seconds > MAX_SECONDS or seconds * fps > MAX_FRAMES:
        frames = f", {seconds * fps:,.0f} frames" if fps else ""
        raise wrong(
            "result",
            f"it would last {seconds:,.0f} s{frames}.",
            f"At most {MAX_SECONDS:,.0f} s (MAX_SECONDS) and {MAX_FRAMES:,} frames (MAX_FRAMES) "
            "are made.",
        )


@contextmanager
def readable_faults(work: Work) -> Iterator[None]:
    """Let cancellations and our own errors through; explain what libraries raise.

    Files that were begun are removed, whatever happened.
    """
    try:
        yield
    except BaseException as error:
        _tidy(work)
        if isinstance(error, Cancelled | MediaError) or not isinstance(error, Exception):
            raise
        if explained := explain(error):
            raise explained from error
        raise


def explain(error: Exception) -> MediaError | None:
    """Return what an exception means for the caller or the operator; None if that is not known."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return MissingExtra(error.name.partition(".")[0], EXTRA)
    if isinstance(error, MemoryError):
        return OutOfMemory("This machine has too little memory for that.", "Ask for less at once.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFailed("The disk is full.", "Free some space and try again.")
    module = type(error).__module__
    if module.startswith(("av.", "PIL")):
        said = (getattr(error, "strerror", "") or str(error)).partition("\n")[0].rstrip(".")
        return BadMedia(f"The media cannot be worked on: {said[:160]}.", "Export the file again.")
    return None


def _tidy(work: Work) -> None:
    for path in work.folder.glob("*"):
        if path.is_file():
            path.unlink(missing_ok=True)
