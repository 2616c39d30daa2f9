"""Time: cutting a piece out, joining pieces, again and again, backwards, faster and slower."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy

from media_mcp.worker.pipelines.tools.canvas import fitted
from media_mcp.worker.pipelines.tools.clips import Clip, Frame, frame_count, frames, open_clip
from media_mcp.worker.pipelines.tools.faults import check_length, wrong
from media_mcp.worker.pipelines.tools.film import even, finish_film, limited
from media_mcp.worker.pipelines.tools.filters import tempo, varispeed
from media_mcp.worker.pipelines.tools.sounding import sound_of
from media_mcp.worker.pipelines.tools.tracks_io import RATE, Blocks, filled, open_track, read
from media_mcp.worker.work import Product, Work

HELD = 128 * 2**20  # bytes of frames that are held to play them backwards


def span(
    length: float, start: float, end: float | None, seconds: float | None, what: str
) -> tuple[float, float]:
    """Return start and end of a piece of something `length` seconds long.

    A start below zero counts from the end. Raises `InvalidArguments` for a piece that is not there.
    """
    if end is not None and seconds is not None:
        raise wrong("seconds", "it is given along with end.", "Give one of them.")
    begin = max(0.0, length + start) if start < 0 else start
    if begin >= length - 1e-6:
        words = f"{start:g} s is past the end: the {what} lasts {length:.2f} s."
        raise wrong("start", words, "Begin earlier.")
    stop = begin + seconds if seconds is not None else length if end is None else end
    if stop > length + 0.05:
        field = "seconds" if seconds is not None else "end"
        words = f"the piece would end at {stop:g} s, and the {what} lasts {length:.2f} s."
        raise wrong(field, words, "End earlier, or leave it out for all that follows.")
    if stop <= begin:
        raise wrong("end", f"{stop:g} s is not after the start at {begin:g} s.", "End later.")
    return begin, min(stop, length)


def trim_video(
    work: Work,
    video_url: Path,
    start: float = 0.0,
    end: float | None = None,
    seconds: float | None = None,
) -> Product:
    """Cut a piece out of a video, exact to the frame, with its sound."""
    clip = open_clip(video_url)
    begin, stop = span(clip.seconds, start, end, seconds, "video")
    return finish_film(
        work,
        frames(clip, work.check, start=begin, end=stop),
        size=clip.size,
        fps=clip.fps,
        count=frame_count(stop - begin, clip.fps),
        sound=sound_of(clip, begin, stop),
    )


def concat_videos(
    work: Work,
    video_urls: Sequence[Path],
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    fit: str = "pad",
) -> Product:
    """Play videos one after another; those of another size or rate are brought to the first's.

    `fit` says how: with black edges (`pad`) or cut (`fill`). Silent ones stay silent.
    """
    clips = [open_clip(path) for path in video_urls]
    if bool(width) != bool(height):
        raise wrong("width", "width and height go together.", "Give both, or none.")
    size = even((width, height) if width and height else clips[0].size)
    rate = Fraction(fps).limit_denominator(1001) if fps else clips[0].fps
    counts = [frame_count(clip.seconds, rate) for clip in clips]
    check_length(sum(clip.seconds for clip in clips), float(rate))

    def pictures() -> Iterator[Frame]:
        for clip, count in zip(clips, counts, strict=True):
            shown = frames(clip, work.check, fps=rate, end=count / float(rate))
            yield from (fitted(frame, size, fit) for frame in limited(shown, count))

    loud = any(clip.has_sound for clip in clips)
    return finish_film(
        work,
        pictures(),
        size=size,
        fps=rate,
        count=sum(counts),
        sound=_joined(clips, counts, rate) if loud else None,
    )


def _joined(clips: Sequence[Clip], counts: Sequence[int], rate: Fraction) -> Blocks:
    """Yield the sound of each clip, exactly as long as its pictures."""
    for clip, count in zip(clips, counts, strict=True):
        yield from filled(sound_of(clip) or iter(()), round(RATE * count / rate))


def loop_video(
    work: Work, video_url: Path, times: int | None = None, seconds: float | None = None
) -> Product:
    """Play a video several times, or over and over for so many seconds."""
    clip = open_clip(video_url)
    if (times is None) == (seconds is None):
        raise wrong("times", "give either times or seconds.", "times: 3 plays it three times.")
    once = frame_count(clip.seconds, clip.fps)
    count = once * times if times else frame_count(seconds or 0.0, clip.fps)
    check_length(count / float(clip.fps), float(clip.fps))

    def pictures() -> Iterator[Frame]:
        while True:
            yield from limited(frames(clip, work.check), once)

    def sounds() -> Blocks:
        while True:
            yield from filled(sound_of(clip) or iter(()), round(RATE * once / clip.fps))

    sound = sounds() if clip.has_sound else None
    return finish_film(work, pictures(), size=clip.size, fps=clip.fps, count=count, sound=sound)


def change_speed(
    work: Work, video_url: Path, speed: float = 2.0, sound: str = "keep_pitch"
) -> Product:
    """Play a video faster or slower. Sound keeps its pitch, changes with the speed, or goes."""
    clip = open_clip(video_url)
    heard = None
    if clip.has_sound and sound != "remove":
        track = open_track(clip.path)
        change = tempo if sound == "keep_pitch" else varispeed
        heard = change(read(track, rate=RATE, channels=2), RATE, speed)
    return finish_film(
        work,
        frames(clip, work.check, speed=speed),
        size=clip.size,
        fps=clip.fps,
        count=frame_count(clip.seconds, clip.fps, speed),
        sound=heard,
    )


def reverse_video(work: Work, video_url: Path, sound: str = "reverse") -> Product:
    """Play a video backwards. Sound goes backwards, too, stays as it is (`keep`) or goes."""
    clip = open_clip(video_url)
    count = frame_count(clip.seconds, clip.fps)
    heard = None
    if clip.has_sound and sound != "remove":
        forth = filled(sound_of(clip) or iter(()), round(RATE * count / clip.fps))
        heard = forth if sound == "keep" else backwards(work, forth)
    return finish_film(
        work,
        _from_the_end(work, clip, count),
        size=clip.size,
        fps=clip.fps,
        count=count,
        sound=heard,
    )


def _from_the_end(work: Work, clip: Clip, count: int) -> Iterator[Frame]:
    """Yield frames from the last to the first, a window of them at a time from its own start."""
    window = max(1, HELD // (clip.width * clip.height * 3))
    fps = float(clip.fps)
    for stop in range(count, 0, -window):
        begin = max(0, stop - window)
        held = list(frames(clip, work.check, start=begin / fps, end=stop / fps))
        yield from reversed(held)


def backwards(work: Work, blocks: Blocks) -> Blocks:
    """Yield sound from its end to its start, by way of a file."""
    with tempfile.TemporaryFile(dir=work.folder) as file:
        lengths = []
        for block in blocks:
            work.check()
            file.write(numpy.ascontiguousarray(block.T, numpy.float32).tobytes())
            lengths.append(block.shape[1])
        at = 8 * sum(lengths)
        for length in reversed(lengths):
            at -= 8 * length
            file.seek(at)
            samples: Any = numpy.frombuffer(file.read(8 * length), numpy.float32)
            yield samples.reshape(-1, 2)[::-1].T
