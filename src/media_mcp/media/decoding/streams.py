"""Reads audio and video through PyAV, within bounds.

The demuxer is always named by us, after the bytes: playlists and other formats that make FFmpeg
open further files or URLs are out of reach.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from media_mcp.job import MediaKind
from media_mcp.media.decoding.containers import doctype, missing_bytes
from media_mcp.media.facts import (
    MAX_CHANNELS,
    MAX_PACKETS,
    MAX_RATE,
    MAX_SECONDS,
    MAX_STREAMS,
    PATIENCE,
    Facts,
    broken,
    check_pixels,
    too_much,
)

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream, Packet, VideoStream
    from av.container import InputContainer
    from PIL.Image import Image

STATED = ("mov", "flac", "matroska", "avi")  # containers whose own duration can be relied on
TRIES = 200  # packets given to a decoder before its first frame must have come
MAX_FRAME_STEPS = 600  # frames decoded to reach one moment

# demuxer: (mime type and extension with pictures, mime type and extension with sound only)
TYPES: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "mov": (("video/mp4", "mp4"), ("audio/mp4", "m4a")),
    "qt": (("video/quicktime", "mov"), ("audio/mp4", "m4a")),
    "webm": (("video/webm", "webm"), ("audio/webm", "weba")),
    "matroska": (("video/matroska", "mkv"), ("audio/matroska", "mka")),
    "avi": (("video/x-msvideo", "avi"), ("video/x-msvideo", "avi")),
    "ogg": (("video/ogg", "ogv"), ("audio/ogg", "ogg")),
    "wav": (("audio/wav", "wav"), ("audio/wav", "wav")),
    "mp3": (("audio/mpeg", "mp3"), ("audio/mpeg", "mp3")),
    "flac": (("audio/flac", "flac"), ("audio/flac", "flac")),
    "aac": (("audio/aac", "aac"), ("audio/aac", "aac")),
}


@contextmanager
def open_streams(path: Path, name: str) -> Iterator[InputContainer]:
    """Open audio or video with the demuxer `name`. Raises `BadMedia`.

    What goes wrong while the caller decodes is put into words, too.
    """
    import av

    try:
        with av.open(
            f"file:{path.absolute()}",
            format=name,
            options={"protocol_whitelist": "file"},
            metadata_errors="replace",
            timeout=PATIENCE,
        ) as container:
            if len(container.streams) > MAX_STREAMS:
                raise too_much(
                    f"{name} file", f"{len(container.streams)} streams", f"{MAX_STREAMS}"
                )
            yield container
    except av.FFmpegError as error:
        raise broken(f"{name} file", (error.strerror or "damaged").lower()) from None
    except (ValueError, ArithmeticError):
        raise broken(f"{name} file", "its data contradict each other") from None


def picture_stream(container: InputContainer) -> VideoStream | None:
    """Return the first stream of moving pictures; cover art does not count."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise broken("video", "its codec is not known")
            stream.codec_context.thread_count = 1
            check_pixels("video", stream.codec_context.width, stream.codec_context.height)
            return stream
    return None


def sound_stream(container: InputContainer) -> AudioStream | None:
    """Return the first stream of sound that can be decoded. Raises `BadMedia`."""
    for stream in container.streams.audio:
        if stream.codec_context is not None:
            if stream.rate > MAX_RATE or stream.channels > MAX_CHANNELS:
                given = f"{stream.rate:,} Hz in {stream.channels} channels"
                raise too_much("sound", given, f"{MAX_RATE:,} Hz in {MAX_CHANNELS}")
            return stream
    return None


def probe_streams(path: Path, name: str) -> Facts:
    """Read every packet, decode a first frame of each kind, return the facts. Raises `BadMedia`."""
    missing = missing_bytes(path, name)
    if missing:
        raise broken(f"{name} file", f"its last {missing:,} bytes are missing")
    with open_streams(path, name) as container:
        video, audio = picture_stream(container), sound_stream(container)
        if video is None and audio is None:
            raise broken(f"{name} file", "it holds neither pictures nor sound")
        survey = _survey(container, video, audio, name)
        stated = container.duration / 1_000_000 if container.duration else 0.0
        _check_complete(name, stated, survey)
        return _facts(path, name, video, audio, survey)


@dataclass(slots=True)
class _Survey:
    """What reading every packet told: first and last moment, frames, streams that decode."""

    first: float = MAX_SECONDS
    last: float = 0.0
    frames: int = 0
    opened: int = 0

    @property
    def seconds(self) -> float:
        return max(0.0, self.last - max(0.0, self.first))

    def see(self, packet: Packet[Any]) -> None:
        if packet.pts is not None and packet.time_base is not None:
            start = float(packet.pts * packet.time_base)
            self.first = min(self.first, start)
            self.last = max(self.last, start + float((packet.duration or 0) * packet.time_base))


def _survey(
    container: InputContainer, video: VideoStream | None, audio: AudioStream | None, name: str
) -> _Survey:
    wanted = [stream for stream in (video, audio) if stream is not None]
    survey, closed = _Survey(), {stream.index: TRIES for stream in wanted}
    deadline = time.monotonic() + PATIENCE
    for count, packet in enumerate(container.demux(wanted)):
        survey.see(packet)
        if packet.stream is video and packet.size:
            survey.frames += 1
        if packet.stream.index in closed and _opens(packet, closed):
            del closed[packet.stream.index]
        if survey.last > MAX_SECONDS:
            raise too_much(f"{name} file", f"{survey.last:,.0f} s", f"{MAX_SECONDS:,.0f} s")
        if count > MAX_PACKETS or time.monotonic() > deadline:
            raise too_much(
                f"{name} file", f"more than {count:,} packets", f"what {PATIENCE:g} s can read"
            )
    if closed:
        raise broken(f"{name} file", "no frame of it can be decoded")
    return survey


def _opens(packet: Packet[Any], tries: dict[int, int]) -> bool:
    import av

    tries[packet.stream.index] -= 1
    if tries[packet.stream.index] < 0:
        return False
    with suppress(av.FFmpegError):
        return bool(packet.decode())
    return False


def _check_complete(name: str, stated: float, survey: _Survey) -> None:
    short = stated - survey.seconds
    if name in STATED and short > max(0.5, stated / 10):
        raise broken(
            f"{name} file",
            f"it ends after {survey.seconds:.2f} s of the {stated:.2f} s it declares",
        )


def _facts(
    path: Path, name: str, video: VideoStream | None, audio: AudioStream | None, survey: _Survey
) -> Facts:
    mime_type, extension = TYPES[doctype(path, name)][0 if video else 1]
    codec = video.codec_context if video else None
    rate = video.average_rate if video else None
    return Facts(
        MediaKind.VIDEO if video else MediaKind.AUDIO,
        mime_type,
        extension,
        width=codec.width if codec else None,
        height=codec.height if codec else None,
        duration=round(survey.seconds, 3),
        fps=round(float(rate), 3) if rate else None,
        channels=audio.channels if audio else None,
        frames=survey.frames if video else None,
        sample_rate=audio.rate if audio else None,
    )


def frames_at(path: Path, name: str, moments: list[float]) -> Iterator[tuple[float, Image]]:
    """Yield `(seconds, picture)` for each moment that can be decoded. Raises `BadMedia`."""
    with open_streams(path, name) as container:
        video = picture_stream(container)
        if video is None:
            return
        for moment in moments:
            picture = _frame_at(container, video, moment)
            if picture is not None:
                yield moment, picture


def _frame_at(container: InputContainer, video: VideoStream, moment: float) -> Image | None:
    base = float(video.time_base or 1)
    start = float((video.start_time or 0) * base)
    container.seek(int((start + moment) / base), stream=video)
    frame = None
    for step, frame in enumerate(container.decode(video)):
        if frame.time is None or frame.time >= start + moment - 1e-3 or step > MAX_FRAME_STEPS:
            break
    return cast("Image", frame.to_image()) if frame is not None else None  # type: ignore[no-untyped-call]


def frames_numbered(path: Path, name: str, wanted: Collection[int]) -> Iterator[tuple[int, Image]]:
    """Yield `(number, picture)` for the frames that are `wanted`, counted from 0.

    None past `MAX_FRAME_STEPS` is reached. Raises `BadMedia`.
    """
    last = min(max(wanted), MAX_FRAME_STEPS)
    with open_streams(path, name) as container:
        video = picture_stream(container)
        if video is None:
            return
        for number, frame in enumerate(container.decode(video)):
            if number in wanted:
                yield number, cast("Image", frame.to_image())  # type: ignore[no-untyped-call]
            if number >= last:
                return


def float_samples(path: Path, name: str) -> Iterator[float]:
    """Yield the sum of each block of sound that is stored as floats; other sound has no NaN."""
    with open_streams(path, name) as container:
        audio = sound_stream(container)
        if audio is None or not audio.codec_context.name.startswith(("pcm_f32", "pcm_f64")):
            return
        kind = "d" if "f64" in audio.codec_context.name else "f"
        for frame in container.decode(audio):
            for plane in frame.planes:
                size = array(kind).itemsize * frame.samples * _per_plane(frame)
                yield sum(array(kind, bytes(plane)[:size]))


def _per_plane(frame: AudioFrame) -> int:
    return 1 if frame.format.is_planar else len(frame.layout.channels)


def samples(path: Path, name: str, *, rate: int | None, mono: bool) -> Iterator[array[int]]:
    """Yield the sound as blocks of signed 16-bit samples, channels interleaved.

    `rate` in hertz resamples (None: as it is); `mono` mixes the channels down. Raises `BadMedia`.
    """
    from av import AudioResampler

    with open_streams(path, name) as container:
        audio = sound_stream(container)
        if audio is None:
            return
        convert = AudioResampler("s16", "mono" if mono else audio.layout, rate)
        deadline = time.monotonic() + PATIENCE
        for frame in container.decode(audio):
            for block in convert.resample(frame):
                width = 2 * (1 if mono else len(block.layout.channels))
                yield array("h", bytes(block.planes[0])[: block.samples * width])
            if time.monotonic() > deadline:
                return
