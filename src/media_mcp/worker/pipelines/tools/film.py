"""Writing video: frame after frame, with the sound that belongs to each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from media_mcp.errors import BadOutput
from media_mcp.worker import encode
from media_mcp.worker.pipelines.tools.clips import (
    BT709,
    Clip,
    Frame,
    colours_of,
    frame_count,
    opened,
    picture_stream,
    pixels,
)
from media_mcp.worker.pipelines.tools.faults import (
    MAX_ANIMATION,
    MAX_FRAME_PIXELS,
    check_length,
    check_size,
    wrong,
)
from media_mcp.worker.pipelines.tools.tracks_io import RATE, Blocks, audio_frame, filled, regular
from media_mcp.worker.protocol import Made
from media_mcp.worker.work import Product, Work

REPORTS = 100  # how often progress is told, at most


def even(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size that every player shows: sides are even, as video halves its colours."""
    return tuple(max(2, side - side % 2) for side in size)  # type: ignore[return-value]


def finish_film(
    work: Work,
    frames: Iterable[Frame],
    *,
    size: tuple[int, int],
    fps: Fraction,
    count: int,
    sound: Blocks | None = None,
    **facts: Any,
) -> Product:
    """Write `count` frames and their sound as one video and say what it is.

    Sides become even. Raises `InvalidArguments` for a video that is too large, too long or empty.
    """
    seconds = count / float(fps)
    check_size(*size, most=MAX_FRAME_PIXELS)
    check_length(seconds, float(fps))
    asked, size = size, even(size)
    wish = encode.wished(work, encode.CLIPS, "mp4")
    if wish.codec:
        made = _write(work, frames, size, fps, count, sound, wish)
    else:
        made = animate(work, frames, size, fps, count, wish)
    told = {"frames": count, "fps": round(float(fps), 3)} | facts
    if asked != size:
        told["size"] = f"{size[0]}x{size[1]}, as video needs even sides"
    return Product((made,), told)


def _write(
    work: Work,
    frames: Iterable[Frame],
    size: tuple[int, int],
    fps: Fraction,
    count: int,
    sound: Blocks | None,
    wish: encode.Wish,
) -> Made:
    made = encode.place_for(work, None, 0, wish.format)
    with encode.container_for(work.folder / made.path) as container:
        video = encode.video_stream(container, size, float(fps), wish, preset="veryfast")
        voice = (
            _Voice(container, filled(sound, _samples(fps, count)), wish)
            if sound is not None
            else None
        )
        done = 0
        for done, frame in enumerate(limited(frames, count), 1):
            picture = conformed(frame, size)
            picture.pts, picture.time_base = done - 1, 1 / fps
            container.mux(video.encode(picture))
            if voice is not None:
                voice.put_until(done / float(fps))
            tell(work, done, count)
        if not done:
            raise BadOutput("There was no frame to write.", "Take another piece of the video.")
        container.mux(video.encode(None))
        if voice is not None:
            voice.put_until(None)
    return made


def tell(work: Work, done: int, count: int) -> None:
    """Report that frame `done` is done, a hundred times in all; cancel at any."""
    every = max(1, count // REPORTS)
    if done % every == 0 or done == count:
        work.step(done, count)
    else:
        work.check()


def limited(frames: Iterable[Frame], count: int) -> Iterator[Frame]:
    """Yield `count` frames, the last one again where there are too few."""
    done, frame = 0, None
    for frame in frames:
        if done == count:
            return
        yield frame
        done += 1
    for _ in range(count - done if frame is not None else 0):
        yield frame


def conformed(frame: Frame, size: tuple[int, int]) -> Frame:
    """Return a frame as it is encoded: of one size, halved colours, told as HD's."""
    width, height = (None, None) if (frame.width, frame.height) == size else size
    picture = frame.reformat(
        width=width,
        height=height,
        format="yuv420p",
        src_colorspace=None if frame.format.name == "rgb24" else colours_of(frame),
        dst_colorspace=BT709,
        dst_color_range=1,
        interpolation="LANCZOS",
    )
    picture.pict_type = 0  # the encoder decides which are key frames
    return picture


def _sound_stream(container: Any, wish: encode.Wish) -> Any:
    codec = "libopus" if wish.name == "webm" else "aac"
    stream = container.add_stream(codec, rate=RATE)
    stream.codec_context.layout = "stereo"
    stream.codec_context.bit_rate = encode.bits(wish.quality)
    return stream


def _samples(fps: Fraction, count: int) -> int:
    """Return how many samples of sound belong to so many frames."""
    return round(RATE * count / fps)


def animate(
    work: Work,
    frames: Iterable[Frame],
    size: tuple[int, int],
    fps: Fraction,
    count: int,
    wish: encode.Wish,
) -> Made:
    """Write a GIF or WebP that repeats. Raises `InvalidArguments` for one nobody could open."""
    if size[0] * size[1] * count > MAX_ANIMATION:
        raise wrong(
            "result",
            f"{count} frames of {size[0]}x{size[1]} are too many pixels for {wish.name}.",
            f"At most {MAX_ANIMATION:,} (MAX_ANIMATION): take a shorter piece, fewer frames a "
            "second, a smaller width, or mp4.",
        )
    from PIL import Image

    pictures = []
    for done, frame in enumerate(limited(frames, count), 1):
        small = frame if (frame.width, frame.height) == size else conformed(frame, size)
        pictures.append(Image.fromarray(pixels(small)))
        tell(work, done, count)
    if not pictures:
        raise BadOutput("There was no frame to write.", "Take another piece of the video.")
    if wish.name == "gif":
        pictures = in_one_palette(pictures)
    made = encode.place_for(work, None, 0, wish.format)
    encode.write_animation(pictures, work.folder / made.path, float(fps), wish)
    return made


def in_one_palette(pictures: list[Any]) -> list[Any]:
    """Reduce pictures to 256 colours that suit all of them, so that nothing flickers."""
    from PIL import Image

    sample = pictures[:: -(-len(pictures) // 16)]  # sixteen at most, over all of it
    small = [one.resize((max(1, one.width // 2), max(1, one.height // 2))) for one in sample]
    sheet = Image.new("RGB", (small[0].width, small[0].height * len(small)))
    for row, one in enumerate(small):
        sheet.paste(one, (0, row * one.height))
    palette = sheet.quantize(256, method=Image.Quantize.MEDIANCUT)
    return [one.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for one in pictures]


# Pictures that stay as they are.

COPIED: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "mp4": (frozenset({".mp4", ".mov"}), frozenset({"h264", "hevc"})),
    "webm": (frozenset({".webm"}), frozenset({"vp8", "vp9", "av1"})),
}


def with_sound(work: Work, clip: Clip, sound: Blocks | None, frames: Iterable[Frame]) -> Product:
    """Give a clip another sound, or none. Its pictures are copied, without loss, where they can be.

    They cannot for another format or quality; then they are the `frames`, encoded anew.
    """
    wish = encode.wished(work, encode.CLIPS, "mp4")
    if work.run.arguments.get("output_quality") is None and _fits(clip, wish):
        return Product((_copy(work, clip, sound, wish),), {"pictures": "copied without loss"})
    count = frame_count(clip.seconds, clip.fps)
    return finish_film(work, frames, size=clip.size, fps=clip.fps, count=count, sound=sound)


def _fits(clip: Clip, wish: encode.Wish) -> bool:
    suffixes, codecs = COPIED.get(wish.name, (frozenset(), frozenset()))
    return clip.path.suffix.lower() in suffixes and clip.codec in codecs


def _copy(work: Work, clip: Clip, sound: Blocks | None, wish: encode.Wish) -> Made:
    made = encode.place_for(work, None, 0, wish.format)
    total = max(1, frame_count(clip.seconds, clip.fps))
    with opened(clip.path) as source, encode.container_for(work.folder / made.path) as target:
        stream = picture_stream(source, clip.path)
        video = target.add_stream_from_template(stream)
        voice = _Voice(target, sound, wish) if sound is not None else None
        origin = stream.start_time or 0
        for done, packet in enumerate(source.demux(stream), 1):
            if packet.dts is None:
                continue
            packet.pts, packet.dts = packet.pts - origin, packet.dts - origin
            moment, packet.stream = float(packet.dts * packet.time_base), video
            target.mux(packet)
            if voice is not None:
                voice.put_until(moment)
            tell(work, min(done, total), total)
        if voice is not None:
            voice.put_until(None)
    return made


class _Voice:
    """The sound of a video that is being written: put between the pictures, up to a moment."""

    def __init__(self, container: Any, sound: Blocks, wish: encode.Wish) -> None:
        self._container = container
        self._stream = _sound_stream(container, wish)
        self._blocks = regular(sound, RATE // 10)
        self._at = 0

    def put_until(self, moment: float | None) -> None:
        """Put sound up to a moment in seconds; None: all of it, and end."""
        while moment is None or self._at < moment * RATE:
            block = next(self._blocks, None)
            if block is None:
                break
            self._container.mux(self._stream.encode(audio_frame(block, RATE, self._at)))
            self._at += block.shape[1]
        if moment is None:
            self._container.mux(self._stream.encode(None))
