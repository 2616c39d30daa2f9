"""What a probe found out, the bounds it keeps, and the words for what it refuses."""

from __future__ import annotations

from dataclasses import dataclass

from media_mcp.errors import BadMedia
from media_mcp.job import MediaKind

MAX_PIXELS = 8192 * 8192  # of one picture or frame
MAX_SIDE = 32_768  # pixels of the longer side
MAX_FRAMES = 5000  # of an animated image
MAX_SECONDS = 6 * 3600.0  # of audio or video
MAX_RATE = 768_000  # samples a second; more makes resampling take minutes
MAX_CHANNELS = 64
MAX_STREAMS = 32
MAX_PACKETS = 3_000_000
PATIENCE = 60.0  # seconds of work on one file

READABLE = {
    MediaKind.IMAGE: "png, jpeg, webp, gif, bmp, tiff or avif",
    MediaKind.VIDEO: "mp4, mov, webm, mkv, avi or ogv",
    MediaKind.AUDIO: "wav, mp3, flac, ogg, opus, m4a or aac",
    MediaKind.TEXT: "plain text, json, srt or vtt in UTF-8",
    MediaKind.MODEL3D: "glb",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the bytes of a file say. Pixels, seconds, frames per second and hertz; None: unknown."""

    kind: MediaKind
    mime_type: str
    extension: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    fps: float | None = None
    channels: int | None = None
    frames: int | None = None
    sample_rate: int | None = None


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with what a file holds: a `code` for programs (`black`) and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decoder saw of a file; `jpeg` shows it small, where it was asked to draw."""

    facts: Facts
    flaws: tuple[Flaw, ...] = ()
    jpeg: bytes | None = None


UNKNOWN = Facts(MediaKind.FILE, "application/octet-stream", "bin")


def broken(what: str, why: str) -> BadMedia:
    """Return the error for media that begin like a `what` but cannot be read."""
    return BadMedia(f"The {what} cannot be read: {why}.", "Make or export the file again.")


def too_much(what: str, given: str, bound: str) -> BadMedia:
    """Return the error for media that would take too much to decode."""
    return BadMedia(f"The {what} has {given}; at most {bound} are read.", "Make a smaller one.")


def check_pixels(what: str, width: int, height: int) -> None:
    """Raise `BadMedia` when a picture of this size would take too much memory."""
    if max(width, height) > MAX_SIDE:
        raise too_much(what, f"{width}x{height} pixels", f"{MAX_SIDE:,} on a side")
    if width * height > MAX_PIXELS:
        given = f"{width}x{height} = {width * height:,} pixels"
        raise too_much(what, given, f"{MAX_PIXELS:,} pixels")
