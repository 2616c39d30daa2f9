"""Sound as blocks: arrays (channels, samples) of float32 from -1 to 1, one after another.

What is done to sound is done to such blocks, so that nothing holds a whole recording. Between
video and sound the rate is `RATE` and there are two channels; sound alone keeps its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy

from media_mcp.worker.pipelines.tools.clips import opened
from media_mcp.worker.pipelines.tools.faults import unreadable

RATE = 48_000
BLOCK = 48_000  # samples that silence comes in
GAP = 0.03  # seconds by which times in a file may waver
LAYOUTS = {1: "mono", 2: "stereo"}
Blocks = Iterator[Any]


@dataclass(frozen=True, slots=True)
class Track:
    """A sound: samples a second, channels (1 or 2: more are mixed down) and seconds."""

    path: Path
    rate: int
    channels: int
    seconds: float


def open_track(path: Path) -> Track:
    """Look at the sound of a file. Raises `BadMedia` where there is none."""
    with opened(path, "sound") as container:
        stream = _stream(container, path)
        rate, channels = stream.rate or RATE, min(2, stream.channels or 1)
        seconds = _stated(container, stream)
    track = Track(path, rate, channels, seconds)
    if seconds:
        return track
    samples = sum(block.shape[1] for block in read(track, rate=8000, channels=1))
    return Track(path, rate, channels, samples / 8000)


def _stream(container: Any, path: Path) -> Any:
    for stream in container.streams.audio:
        if stream.codec_context is not None:
            return stream
    raise unreadable(path, "sound", "it holds none")


def _stated(container: Any, stream: Any) -> float:
    """Return the duration that a container with a reliable header states, 0 for others."""
    if container.format.name in ("mp3", "aac", "ogg"):
        return 0.0
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    whole = container.duration if not container.streams.video else None
    return float(whole) / av.time_base if whole else 0.0


def read(
    track: Track,
    *,
    rate: int | None = None,
    channels: int | None = None,
    start: float = 0.0,
    end: float | None = None,
) -> Blocks:
    """Yield the sound from `start` to `end` (seconds), to the sample.

    Times count from where the pictures of the file begin, if it has some: what comes late is
    preceded by silence.
    """
    hertz, count = rate or track.rate, channels or track.channels
    wanted = None if end is None else round(end * hertz) - round(start * hertz)
    blocks = (_spread(block, count) for block in _placed(track.path, hertz, track.channels))
    return taken(dropped(blocks, round(start * hertz)), wanted)


def _spread(block: Any, channels: int) -> Any:
    """Return sound on so many channels, as loud as before: one on both, or both as their mean."""
    if len(block) == channels:
        return block
    return block.mean(axis=0, keepdims=True) if channels == 1 else block.repeat(channels, axis=0)


def _placed(path: Path, rate: int, channels: int) -> Blocks:
    with opened(path, "sound") as container:
        stream = _stream(container, path)
        origin = _origin(container, stream)
        resampler = av.AudioResampler(format="fltp", layout=LAYOUTS[channels], rate=rate)
        written, first = 0, True
        for frame in container.decode(stream):
            late = 0.0 if frame.time is None else frame.time - origin - written / rate
            if first or late > 10 * GAP:
                gap = round(late * rate) if late > GAP else 0
                written += gap
                yield from silence(gap, channels)
                first = False
            for block in resampler.resample(frame):
                array = block.to_ndarray()
                written += array.shape[1]
                yield array
        for block in resampler.resample(None):
            yield block.to_ndarray()


def _origin(container: Any, stream: Any) -> float:
    pictures = [s for s in container.streams.video if s.start_time is not None]
    one = pictures[0] if pictures else stream
    return float((one.start_time or 0) * (one.time_base or 1))


def silence(samples: int, channels: int = 2) -> Blocks:
    """Yield so much silence."""
    while samples > 0:
        count = min(BLOCK, samples)
        yield numpy.zeros((channels, count), numpy.float32)
        samples -= count


def dropped(blocks: Iterable[Any], samples: int) -> Blocks:
    """Leave out the first samples."""
    for block in blocks:
        if samples >= block.shape[1]:
            samples -= block.shape[1]
            continue
        yield block[:, samples:]
        samples = 0


def taken(blocks: Iterable[Any], samples: int | None) -> Blocks:
    """Stop after so many samples; None: at the end."""
    for block in blocks:
        if samples is None:
            yield block
            continue
        yield block[:, :samples]
        samples -= block.shape[1]
        if samples <= 0:
            return


def filled(blocks: Iterable[Any], samples: int, channels: int = 2) -> Blocks:
    """Yield exactly so many samples: cut, or with silence after the end."""
    left = samples
    for block in taken(blocks, samples):
        left -= block.shape[1]
        yield block
    yield from silence(left, channels)


def repeated(make: Callable[[], Blocks]) -> Blocks:
    """Yield the same sound again and again; nothing if it is empty."""
    while True:
        some = False
        for block in make():
            some = some or block.shape[1] > 0
            yield block
        if not some:
            return


def faded(
    blocks: Iterable[Any], rate: int, seconds: float, fade_in: float, fade_out: float
) -> Blocks:
    """Let sound of a known length swell at its start and die away at its end."""
    total, at = seconds * rate, 0
    for block in blocks:
        moments = numpy.arange(at, at + block.shape[1])
        gain = numpy.ones(block.shape[1], numpy.float32)
        if fade_in:
            gain *= numpy.clip(moments / (fade_in * rate), 0, 1)
        if fade_out:
            gain *= numpy.clip((total - moments) / (fade_out * rate), 0, 1)
        at += block.shape[1]
        yield (block * gain).astype(numpy.float32)


def louder(blocks: Iterable[Any], gain: float) -> Blocks:
    """Multiply sound by a factor."""
    for block in blocks:
        yield block * numpy.float32(gain)


def mixed(sources: Sequence[Iterable[Any]], channels: int = 2, samples: int = 4800) -> Blocks:
    """Add sounds up until the last one ends; what would be too loud is limited softly."""
    readers = [regular(source, samples) for source in sources]
    while True:
        blocks = [block for reader in readers if (block := next(reader, None)) is not None]
        if not blocks:
            return
        total = numpy.zeros((channels, max(block.shape[1] for block in blocks)), numpy.float32)
        for block in blocks:
            total[:, : block.shape[1]] += block
        yield softened(total)


def softened(block: Any) -> Any:
    """Bend what lies above 0.8 of full scale so that it stays below 0.98."""
    over = numpy.abs(block) > 0.8
    if not over.any():
        return block
    bent = numpy.sign(block) * (0.8 + 0.18 * numpy.tanh((numpy.abs(block) - 0.8) / 0.18))
    return numpy.where(over, bent, block).astype(numpy.float32)


def regular(blocks: Iterable[Any], samples: int) -> Blocks:
    """Yield blocks of one length, but for the last."""
    rest: list[Any] = []
    held = 0
    for block in blocks:
        rest.append(block)
        held += block.shape[1]
        if held >= samples:
            whole = numpy.concatenate(rest, axis=1)
            for at in range(0, held - samples + 1, samples):
                yield whole[:, at : at + samples]
            left = held % samples
            rest, held = [whole[:, held - left :]], left
    if held:
        yield numpy.concatenate(rest, axis=1)


def audio_frame(block: Any, rate: int, at: int) -> Any:
    """Return the frame of a block that begins at sample `at`."""
    values = numpy.ascontiguousarray(block, numpy.float32)
    frame = av.AudioFrame.from_ndarray(values, format="fltp", layout=LAYOUTS[len(values)])
    frame.sample_rate = rate
    frame.pts, frame.time_base = at, Fraction(1, rate)
    return frame
