"""Reads the sound of any audio or video file through PyAV, a bounded piece at a time.

Only these containers are opened: playlists and others that lead to further files are out of reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from media_mcp.errors import BadMedia

if TYPE_CHECKING:
    from av import AudioStream
    from av.container import InputContainer
    from numpy import ndarray

CONTAINERS = "wav,mp3,flac,ogg,mov,mp4,m4a,matroska,webm,aac,avi"
SILENCE = 10 ** (-60 / 20)  # of full scale
PAUSE = 0.15  # seconds between parts that are spoken apart
LONGEST = 6 * 3600.0  # seconds
MOST_CHANNELS = 64
MOST_RATE = 768_000
_CUT_FROM = 0.8  # of a window: the quietest moment behind it is where it is cut
_MOMENT = 0.1  # seconds over which loudness is taken
_HINT = "Give a recording that plays, as WAV, MP3, FLAC, OGG, M4A, MP4 or WebM."


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of a recording: mono samples in -1 … 1, and the second at which it begins."""

    start: float
    samples: ndarray[Any, Any]
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    @property
    def silent(self) -> bool:
        return peak(self.samples) <= SILENCE


def peak(samples: ndarray[Any, Any]) -> float:
    """Return the largest distance from zero."""
    return float(max(samples.max(initial=0.0), -samples.min(initial=0.0)))


def read(path: str, rate: int, *, most: float = LONGEST, name: str = "audio") -> Window:
    """Return a whole recording, mono at `rate` hertz, at most `most` seconds of it.

    Raises `BadMedia`, which begins with `name`, for what is no sound, silent, empty or longer.
    """
    import numpy

    samples = numpy.concatenate([numpy.zeros(0, "float32"), *blocks(path, rate, most, name)])
    window = Window(0.0, samples, rate)
    if not len(samples):
        raise BadMedia(f"{name}: the recording is empty: 0 seconds of sound.", _HINT)
    if window.silent:
        raise silent(name)
    return window


def windows(
    path: str, rate: int, seconds: float, *, most: float = LONGEST, name: str = "audio"
) -> Iterator[Window]:
    """Yield a recording in windows of at most `seconds`, cut where it is quietest.

    No more than two of them are held at a time. Raises like `read`, but for silence.
    """
    import numpy

    held: ndarray[Any, Any] = numpy.zeros(0, "float32")
    size, start = int(seconds * rate), 0
    for block in blocks(path, rate, most, name):
        held = numpy.concatenate([held, block])
        while len(held) > size:
            cut = quietest(held[:size], rate)
            yield Window(start / rate, held[:cut], rate)
            held, start = held[cut:], start + cut
    if len(held):
        yield Window(start / rate, held, rate)
    elif not start:
        raise BadMedia(f"{name}: the recording is empty: 0 seconds of sound.", _HINT)


def quietest(samples: ndarray[Any, Any], rate: int) -> int:
    """Return the sample at the middle of the quietest moment in the last fifth."""
    step = max(1, int(_MOMENT * rate))
    first = int(len(samples) * _CUT_FROM)
    count = (len(samples) - first) // step
    if count < 1:
        return len(samples)
    moments = samples[first : first + count * step].reshape(count, step)
    return first + int((moments**2).mean(axis=1).argmin()) * step + step // 2


def blocks(path: str, rate: int, most: float, name: str) -> Iterator[ndarray[Any, Any]]:
    """Yield a recording as blocks of mono float32 samples of `rate` hertz."""
    import av

    count = 0
    with _opened(path, name) as container:
        stream = _stream(container, name)
        convert = av.AudioResampler("flt", "mono", rate)
        for frame in chain(container.decode(stream), [None]):
            for block in convert.resample(frame):
                samples = block.to_ndarray()[0]
                count += len(samples)
                if count > most * rate:
                    raise BadMedia(
                        f"{name}: the recording is longer than the {most:g} seconds that fit here.",
                        "Cut it into parts and send them one by one.",
                    )
                yield samples


def silent(name: str) -> BadMedia:
    """Return the error for a recording without a sound in it."""
    return BadMedia(
        f"{name}: the recording is silent: nothing in it is louder than -60 dB.",
        "Check the recording, and that its sound track is the right one.",
    )


@contextmanager
def _opened(path: str, name: str) -> Iterator[InputContainer]:
    """Open a file; what goes wrong while it is decoded is put into words, too."""
    import av

    container = None
    try:
        container = av.open(
            f"file:{Path(path).absolute()}",
            options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
        yield container
    except av.FFmpegError as error:
        reason = (error.strerror or "damaged").lower()
        fault = f"its sound is damaged: {reason}" if container else "it is no audio or video file"
        raise BadMedia(f"{name}: {fault}.", _HINT) from None
    finally:
        if container is not None:
            container.close()


def _stream(container: InputContainer, name: str) -> AudioStream:
    stream = next((s for s in container.streams.audio if s.codec_context is not None), None)
    if stream is None:
        raise BadMedia(f"{name}: it holds no sound that can be read.", _HINT)
    if stream.rate > MOST_RATE or stream.channels > MOST_CHANNELS:
        given = f"{stream.rate:,} Hz in {stream.channels} channels"
        raise BadMedia(f"{name}: {given} are more than can be read.", "Give an ordinary recording.")
    return stream


def joined(spoken: Sequence[Any], rate: int, pause: float = PAUSE) -> Any:
    """Return sounds one after the other, with `pause` seconds of silence between them."""
    import numpy

    gap: Any = numpy.zeros(round(pause * rate), "float32")
    pieces = [piece for sound in spoken for piece in (gap, sound)]
    return numpy.concatenate(pieces[1:])


def seconds(path: str, name: str = "audio") -> float:
    """Return how long a recording says it is; 0 where it does not. Raises `BadMedia`."""
    with _opened(path, name) as container:
        stream = _stream(container, name)
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return container.duration / 1_000_000 if container.duration else 0.0
