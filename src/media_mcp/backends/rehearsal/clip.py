"""Films stand-in video: the card with a block that crosses it, as MP4, with sound if asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from media_mcp.backends.rehearsal.picture import colours, draw_card
from media_mcp.backends.rehearsal.sound import RATE, samples
from media_mcp.backends.rehearsal.wish import Wish
from media_mcp.catalog.model import OutputSpec
from media_mcp.job import Output

if TYPE_CHECKING:
    from av import AudioStream, VideoFrame, VideoStream
    from av.container import OutputContainer

Step = Callable[[], None]
_SAMPLES_A_FRAME = 1024


def make_clip(wish: Wish, output: OutputSpec, folder: Path, step: Step) -> list[Output]:
    """Write one MP4 of `wish.frames` frames; `step` is called before each and may raise to stop."""
    import av

    path = folder / f"{output.role}.mp4"
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        video = _video_stream(container, wish)
        audio = container.add_stream("aac", rate=RATE, layout="mono") if wish.sound else None
        for frame in _film(wish):
            step()
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            _play(container, audio, samples(wish, wish.frames / wish.rate), step)
    return [Output(path, output.role, "video/mp4")]


def _video_stream(container: OutputContainer, wish: Wish) -> VideoStream:
    from av import codecs_available

    # One thread: the encoder writes its thread count into the stream, and bytes must not vary.
    if "libx264" in codecs_available:
        options = {"preset": "ultrafast", "crf": "28", "threads": "1"}
        video = container.add_stream("libx264", rate=wish.rate, options=options)
    else:
        video = container.add_stream("mpeg4", rate=wish.rate, options={"threads": "1"})
    video.width, video.height = wish.clip_size
    video.pix_fmt = "yuv420p"
    return video


def _film(wish: Wish) -> Iterator[VideoFrame]:
    from av import VideoFrame

    card = draw_card(wish, wish.clip_size).convert("RGBA")  # what from_bytes reads
    width, height = wish.clip_size
    side = max(4, min(width, height) // 6)
    _, colour = colours(wish.dice, 1)
    for index in range(wish.frames):
        picture = card.copy()
        if not wish.black:
            x = (wish.dice[0] + index * (width - side) // max(1, wish.frames - 1)) % (width - side)
            picture.paste(colour, (x, height // 2, x + side, height // 2 + side))
        frame = VideoFrame.from_bytes(picture.tobytes(), width, height, format="rgba")
        frame.pts, frame.time_base = index, Fraction(1, wish.rate)
        yield frame


def _play(container: OutputContainer, audio: AudioStream, sound: bytes, step: Step) -> None:
    from av import AudioFrame, AudioResampler

    resampler = AudioResampler(format="fltp", layout="mono", rate=RATE)
    size = 2 * _SAMPLES_A_FRAME
    for start in range(0, len(sound), size):
        step()
        part = sound[start : start + size]
        frame = AudioFrame(format="s16", layout="mono", samples=len(part) // 2)
        frame.planes[0].update(part.ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate, frame.pts = RATE, start // 2
        frame.time_base = Fraction(1, RATE)
        for piece in resampler.resample(frame):
            container.mux(audio.encode(piece))
    container.mux(audio.encode(None))
