"""Reading video: upright frames at an even rate, one after another, from any moment.

Nothing holds a whole clip: frames are decoded while they are asked for, and a seek goes to the key
frame before the moment that is wanted. The demuxer is named after the file, which the server named
after its bytes: playlists, which would open further files, are out of reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av

from media_mcp.worker.pipelines.tools.faults import MAX_FRAME_PIXELS, unreadable

DEMUXERS: Mapping[str, str] = {
    ".mp4": "mov",
    ".mov": "mov",
    ".m4a": "mov",
    ".webm": "matroska",
    ".weba": "matroska",
    ".mkv": "matroska",
    ".mka": "matroska",
    ".avi": "avi",
    ".ogv": "ogg",
    ".ogg": "ogg",
    ".opus": "ogg",
    ".wav": "wav",
    ".mp3": "mp3",
    ".flac": "flac",
    ".aac": "aac",
}
SEEKABLE = ("mov", "matroska")  # others are read from their start, which is exact
NEAR = 2.0  # seconds; to a moment before that it is quicker to read than to seek
MOST_FPS = 120
USUAL_FPS = Fraction(25)
BT709, BT601, UNSPECIFIED = 1, 5, 2
HD = 720  # lines from which on untold colours are those of HD
Frame = Any  # av.VideoFrame


@contextmanager
def opened(path: Path, what: str = "a video") -> Iterator[Any]:
    """Open audio or video to read. Raises `BadMedia`, for what goes wrong while it is read, too."""
    demuxer = DEMUXERS.get(path.suffix.lower())
    if demuxer is None:
        raise unreadable(path, what, f"a file of the kind {path.suffix or 'unknown'} is none")
    try:
        with av.open(
            f"file:{path.absolute()}",
            format=demuxer,
            options={"protocol_whitelist": "file"},
            metadata_errors="replace",
        ) as container:
            yield container
    except av.FFmpegError as error:
        raise unreadable(path, what, (error.strerror or "damaged").lower()) from None
    except (ValueError, ArithmeticError):
        raise unreadable(path, what, "its data contradict each other") from None


@dataclass(frozen=True, slots=True)
class Clip:
    """A video: its size as it is seen (pixels), frames a second, seconds, whether it has sound.

    `turned` is how far it must be turned, clockwise, to stand upright.
    """

    path: Path
    width: int
    height: int
    fps: Fraction
    seconds: float
    has_sound: bool
    turned: int = 0
    codec: str = ""

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


def open_clip(path: Path) -> Clip:
    """Look at a video. Raises `BadMedia` for what holds no moving pictures."""
    with opened(path) as container:
        stream = picture_stream(container, path)
        first = next(container.decode(stream), None)
        if first is None:
            raise unreadable(path, "a video", "no frame of it can be decoded")
        turned = -first.rotation % 360
        size = _square(stream, first)
        if size[0] * size[1] > MAX_FRAME_PIXELS:
            words = f"its frames of {size[0]}x{size[1]} pixels are too large"
            raise unreadable(path, "a video", words)
        size = size[::-1] if turned % 180 else size
        sound = bool(container.streams.audio)
        fps = _rate(stream)
        seconds = _stated(container, stream)
        codec = stream.codec_context.codec.canonical_name
    return Clip(path, *size, fps, seconds or _counted(path), sound, turned, codec)


def picture_stream(container: Any, path: Path) -> Any:
    """Return the stream of moving pictures; cover art does not count."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None:
            stream.codec_context.thread_count = 2
            return stream
    raise unreadable(path, "a video", "it holds no moving pictures")


def _square(stream: Any, frame: Frame) -> tuple[int, int]:
    """Return the size in square pixels, wide or narrow ones scaled across."""
    ratio = stream.sample_aspect_ratio
    if not ratio or ratio == 1 or not 0.1 < ratio < 10:
        return frame.width, frame.height
    return max(1, round(frame.width * ratio)), frame.height


def _rate(stream: Any) -> Fraction:
    rate = stream.average_rate or stream.guessed_rate
    return min(Fraction(rate), Fraction(MOST_FPS)) if rate else USUAL_FPS


def _stated(container: Any, stream: Any) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and not container.streams.audio:
        return max(0.0, float(container.duration) / av.time_base - _start(stream))
    return 0.0


def _start(stream: Any) -> float:
    return float((stream.start_time or 0) * (stream.time_base or 1))


def _counted(path: Path) -> float:
    """Return how long a video lasts by its packets, where it does not say so itself."""
    with opened(path) as container:
        stream = picture_stream(container, path)
        start, end, step = _start(stream), 0.0, float(1 / _rate(stream))
        for packet in container.demux(stream):
            if packet.pts is not None:
                long = float((packet.duration or 0) * packet.time_base) or step
                end = max(end, float(packet.pts * packet.time_base) + long)
    return max(0.0, end - start)


def timed(clip: Clip, start: float = 0.0) -> Iterator[tuple[float, Frame]]:
    """Yield moment and frame, as decoded, from the last one at or before `start` seconds on."""
    frames = _from(clip, start, seek=start > NEAR and _seekable(clip.path))
    first = next(frames, None)
    if first is None or (start > NEAR and first[0] > start + 1e-3):
        frames = _from(clip, start, seek=False)  # the index leads astray: read it all
    elif first:
        frames = chain([first], frames)
    before = None
    for moment, frame in frames:
        if before is not None and moment > start + 1e-6:
            yield before
        before = (moment, frame)
    if before is not None:
        yield before


def _seekable(path: Path) -> bool:
    return DEMUXERS.get(path.suffix.lower()) in SEEKABLE


def _from(clip: Clip, start: float, *, seek: bool) -> Iterator[tuple[float, Frame]]:
    with opened(clip.path) as container:
        stream = picture_stream(container, clip.path)
        origin = _start(stream)
        if seek:
            with suppress(av.FFmpegError):  # without an index it is read from its start
                container.seek(int((origin + start) / stream.time_base), stream=stream)
        last = -1.0
        for frame in container.decode(stream):
            moment = frame.time - origin if frame.time is not None else last + float(1 / clip.fps)
            last = moment
            yield moment, frame


def frames(
    clip: Clip,
    check: Callable[[], None],
    *,
    start: float = 0.0,
    end: float | None = None,
    fps: Fraction | None = None,
    speed: float = 1.0,
) -> Iterator[Frame]:
    """Yield upright frames from `start` to `end` (seconds), an even `fps` of them a second.

    At each moment it is the frame that shows then: of an uneven or another rate, frames are
    repeated or left out. `speed` 2 goes through them twice as fast. `check` runs for each frame.
    """
    rate = fps or clip.fps
    count = frame_count((end if end is not None else clip.seconds) - start, rate, speed)
    source = timed(clip, start)
    now = next(source, None)
    later = next(source, None)
    upright = _upright(clip)
    shown, made = None, None
    for number in range(count):
        check()
        moment = start + number * speed / float(rate)
        while later is not None and later[0] <= moment + 0.25 / float(clip.fps):
            now, later = later, next(source, None)
        if now is None:
            return
        if now is not shown:
            shown, made = now, upright(now[1])
        yield made


def frame_count(seconds: float, fps: Fraction, speed: float = 1.0) -> int:
    """Return how many frames `seconds` become at `fps` a second, played at `speed`."""
    return max(0, round(seconds * float(fps) / speed))


def _upright(clip: Clip) -> Callable[[Frame], Frame]:
    """Return what turns a decoded frame into one as it is seen, of the clip's size."""

    def turn(frame: Frame) -> Frame:
        flat = clip.size[::-1] if clip.turned % 180 else clip.size
        if (frame.width, frame.height) != flat:
            frame = scaled(frame, flat)
        return painted(frame, lambda array: _rotated(array, clip.turned)) if clip.turned else frame

    return turn


def _rotated(array: Any, angle: int) -> Any:
    import numpy

    return numpy.rot90(array, -angle // 90)


# Single frames.


def colours_of(frame: Frame) -> int:
    """Return the number of a frame's matrix of colours; untold ones are guessed as players do."""
    if frame.colorspace in (UNSPECIFIED, 0):
        return BT709 if frame.height >= HD else BT601
    return int(frame.colorspace)


def scaled(frame: Frame, size: tuple[int, int]) -> Frame:
    """Return a frame of another size in pixels, by Lanczos."""
    return frame.reformat(width=size[0], height=size[1], interpolation="LANCZOS")


def pixels(frame: Frame) -> Any:
    """Return a frame as an array (height, width, 3) of red, green and blue."""
    if frame.format.name == "rgb24":
        return frame.to_ndarray()
    return frame.reformat(format="rgb24", src_colorspace=colours_of(frame)).to_ndarray()


def from_pixels(array: Any) -> Frame:
    """Return the frame of an array (height, width, 3)."""
    import numpy

    return av.VideoFrame.from_ndarray(numpy.ascontiguousarray(array), format="rgb24")


def painted(frame: Frame, paint: Callable[[Any], Any]) -> Frame:
    """Return a frame whose pixels `paint` has changed."""
    return from_pixels(paint(pixels(frame)))
