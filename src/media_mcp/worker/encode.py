"""Files from what pipelines make: pictures, clips with or without sound, sound and text.

The format and its quality are the call's (`output_format`, `output_quality`), else the card's
(`output: {format, quality, codec}` in a route's spec), else PNG, MP4 (h264, AAC) and WAV. A quality
is 1 to 100, or low, medium, high, maximum; formats without loss have none. Nothing here needs
torch; numpy is imported when used.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from media_mcp.errors import BadOutput, MissingExtra
from media_mcp.worker.formats import CLIPS, PICTURES, SOUNDS, Format, Wish, wished
from media_mcp.worker.protocol import Made
from media_mcp.worker.work import Work

__all__ = [  # what `formats` holds is had here, too
    "CLIPS",
    "PICTURES",
    "QUICK",
    "SOUNDS",
    "SOUND_ENCODERS",
    "Format",
    "Sound",
    "Wish",
    "as_picture",
    "bits",
    "container_for",
    "pixels",
    "place_for",
    "save_images",
    "save_sound",
    "save_text",
    "save_video",
    "video_stream",
    "waves",
    "wished",
    "write_animation",
    "write_picture",
]
QUICK = 1  # zlib's level: five times faster than the default for files a fifth larger
_LAYOUTS = {1: "mono", 2: "stereo"}
_BT709 = 1  # the colours of HD video, as every number of ITU-T H.273 that says so


@dataclass(frozen=True, slots=True)
class Sound:
    """Samples as an array (channels, n) or (n,), floats from -1 to 1 or int16, at `rate` Hz."""

    samples: Any
    rate: int


def save_images(
    work: Work, pictures: Sequence[Any], *, role: str | None = None, first: int = 0
) -> list[Made]:
    """Save pictures (PIL, or arrays (h, w, channels) as in `pixels`), numbered from `first`."""
    wish = wished(work, PICTURES, "png")
    made = []
    for index, picture in enumerate(pictures, first):
        place = place_for(work, role, index, wish.format)
        write_picture(as_picture(picture), work.folder / place.path, wish)
        made.append(place)
    return made


def save_video(
    work: Work,
    frames: Sequence[Any],
    fps: float,
    sound: Sound | None = None,
    *,
    role: str | None = None,
    index: int = 0,
) -> Made:
    """Save frames (as `save_images` takes pictures, all of one size) and the sound with them.

    Sides that a codec cannot halve are kept, with colours at full resolution. GIF and WebP hold no
    sound, which is logged. Raises `BadOutput` for no frame or frames of several sizes.
    """
    if len(frames) == 0 or len({_size(frame) for frame in frames}) != 1:
        raise BadOutput("The model returned no frames of one size.", "Try another seed.")
    wish = wished(work, CLIPS, "mp4")
    place = place_for(work, role, index, wish.format)
    if wish.codec:
        _encode_clip(work.folder / place.path, frames, fps, sound, wish)
        return place
    if sound is not None:
        work.log(f"The sound is left out: {wish.name} holds none.")
    write_animation([as_picture(frame) for frame in frames], work.folder / place.path, fps, wish)
    return place


def save_sound(
    work: Work, samples: Any, rate: int, *, role: str | None = None, index: int = 0
) -> Made:
    """Save samples of one or two channels, shaped as in `Sound`. Raises `BadOutput` for others."""
    wish = wished(work, SOUNDS, "wav")
    place = place_for(work, role, index, wish.format)
    path, heard = work.folder / place.path, waves(samples)
    if codec := SOUND_ENCODERS.get(wish.name):
        _encode_sound(path, Sound(heard, rate), codec, wish.quality)
    else:
        _write_sound(path, heard, rate, wish)
    return place


def save_text(
    work: Work, text: str, suffix: str, mime: str, *, role: str | None = None, index: int = 0
) -> Made:
    """Save `text` as UTF-8 in a file that ends in `suffix` (`srt`), of the type `mime`."""
    place = place_for(work, role, index, Format(suffix, mime))
    (work.folder / place.path).write_text(text, encoding="utf-8")
    return place


def place_for(work: Work, role: str | None, index: int, kind: Format) -> Made:
    """Return where output `index` of a role goes, and what it is."""
    role = role or work.role
    return Made(f"{role}-{index}.{kind.suffix}", role, kind.mime)


# Pictures.


def as_picture(picture: Any) -> Any:
    """Return a PIL picture; an array is one as `pixels` reads it."""
    from PIL import Image

    return picture if isinstance(picture, Image.Image) else Image.fromarray(pixels(picture))


def pixels(picture: Any) -> Any:
    """Return a picture as uint8 (h, w, 3 or 4); arrays hold uint8, or floats from 0 to 1.

    Raises `BadOutput` for numbers that are none, which come of too small a number format.
    """
    import numpy

    if hasattr(picture, "getbands"):
        picture = picture if picture.mode in ("RGB", "RGBA") else picture.convert("RGB")
    values = numpy.asarray(picture)
    if values.ndim == 2:
        values = values[..., None]
    if values.shape[-1] == 1:
        values = numpy.repeat(values, 3, axis=-1)
    if values.dtype == numpy.uint8:
        return values
    _check_numbers(values)
    return (values.clip(0, 1) * 255).round().astype(numpy.uint8)


def _check_numbers(values: Any) -> None:
    import numpy

    if not numpy.isfinite(values).all():
        raise BadOutput(
            "The model returned numbers that are none (NaN).",
            "Use float32 or bfloat16 for it instead of float16, or another seed.",
        )


def _size(picture: Any) -> tuple[int, ...]:
    return picture.size if hasattr(picture, "getbands") else tuple(picture.shape[1::-1])


def write_picture(picture: Any, path: Path, wish: Wish) -> None:
    """Write a PIL picture as is wished; JPEG drops what is clear."""
    if wish.name == "png":
        picture.save(path, format="PNG", compress_level=QUICK)
    elif wish.name == "avif":
        picture.save(path, format="AVIF", quality=wish.quality)
    elif wish.name == "webp":
        picture.save(path, format="WEBP", quality=wish.quality, lossless=wish.quality == 100)
    else:
        picture.convert("RGB").save(path, format="JPEG", quality=wish.quality, subsampling=0)


def write_animation(pictures: list[Any], path: Path, fps: float, wish: Wish) -> None:
    """Write a GIF or WebP that repeats for ever; GIF counts time in hundredths of a second."""
    more = {"quality": wish.quality, "method": 4} if wish.name == "webp" else {"optimize": False}
    first, *rest = pictures
    first.save(
        path,
        format=wish.name.upper(),
        save_all=True,
        append_images=rest,
        duration=_milliseconds(len(pictures), fps, 10 if wish.name == "gif" else 1),
        loop=0,
        **more,
    )


def _milliseconds(count: int, fps: float, unit: int) -> list[int]:
    """Return how long each frame shows, in multiples of `unit`, with no drift over the clip."""
    ends = [round(1000 * n / fps / unit) * unit for n in range(count + 1)]
    return [max(unit, end - start) for start, end in pairwise(ends)]


# Clips and compressed sound, by PyAV.

SOUND_ENCODERS: Mapping[str, str] = {"mp3": "libmp3lame", "opus": "libopus", "m4a": "aac"}
# With AVX-512, the MB-tree of x264 (as in PyAV 18.1) makes several files of one clip; with less it
# makes one, in the same time. MB-tree off makes files twice as large. No other processors than x86
# are known to do this; numpy runs on none of them without SSE 4.2.
_X86 = platform.machine().lower() in ("x86_64", "amd64")
_SAME_BYTES = {"x264-params": "asm=sse4.2"} if _X86 else {}
_ENCODERS = {"h264": "libx264", "h265": "libx265", "vp9": "libvpx-vp9"}


def _encode_clip(
    path: Path, frames: Sequence[Any], fps: float, sound: Sound | None, wish: Wish
) -> None:
    with container_for(path) as container:
        video = video_stream(container, _size(frames[0]), fps, wish)
        video.codec_context.thread_count = 1  # so that the bytes are the same on every machine
        audio = None
        if sound is not None:
            sound = Sound(waves(sound.samples), sound.rate)
            codec = "libopus" if wish.name == "webm" else "aac"
            audio = _sound_stream(container, sound, codec, wish.quality)
        for frame in frames:
            container.mux(video.encode(_video_frame(frame, video.codec_context.pix_fmt)))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            _mux_sound(container, audio, sound)


def container_for(path: Path) -> Any:
    """Open a file to write in, that holds no date and no number drawn at random."""
    import av

    options = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
    container = av.open(str(path), "w", options=options)
    exact: Any = av.container.Flags.bitexact
    container.flags |= exact.value
    return container


def video_stream(
    container: Any, size: tuple[int, ...], fps: float, wish: Wish, preset: str = "medium"
) -> Any:
    """Add a stream of pictures. `preset` is how long x264 and x265 look for smaller files."""
    rate = Fraction(fps).limit_denominator(1001)
    stream = container.add_stream(_ENCODERS[wish.codec], rate=rate, options=_options(wish, preset))
    stream.width, stream.height = size
    halved = wish.codec == "vp9" or not any(side % 2 for side in size)
    stream.pix_fmt = "yuv420p" if halved else "yuv444p"
    context = stream.codec_context
    context.color_range = 1  # limited, as players expect
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    if wish.codec == "h265":
        context.codec_tag = "hvc1"  # else Apple's players refuse it
    return stream


def _options(wish: Wish, preset: str) -> dict[str, str]:
    """Return what makes a codec as good as is wished: 85 is crf 18 in x264, no visible loss."""
    crf = round(40 - 0.26 * wish.quality)
    if wish.codec == "h265":
        return {"crf": str(crf + 3), "preset": preset, "x265-params": "log-level=error"}
    if wish.codec == "vp9":
        return {"crf": str(min(63, crf + 8)), "b": "0", "deadline": "good", "cpu-used": "4"}
    return {"crf": str(crf), "preset": preset} | _SAME_BYTES


def _video_frame(frame: Any, pixel_format: str) -> Any:
    import av
    import numpy

    values = numpy.ascontiguousarray(pixels(frame)[..., :3])
    picture = av.VideoFrame.from_ndarray(values, format="rgb24")
    return picture.reformat(format=pixel_format, dst_colorspace="ITU709")


def _encode_sound(path: Path, sound: Sound, codec: str, quality: int) -> None:
    with container_for(path) as container:
        _mux_sound(container, _sound_stream(container, sound, codec, quality), sound)


def _sound_stream(container: Any, sound: Sound, codec: str, quality: int) -> Any:
    """Add a stream at the sound's own rate, or at the next higher one that the codec knows."""
    import av

    rates = sorted(av.codec.Codec(codec, "w").audio_rates or ()) or [sound.rate]
    rate = next((known for known in rates if known >= sound.rate), rates[-1])
    stream = container.add_stream(codec, rate=rate)
    stream.codec_context.layout = _LAYOUTS[len(sound.samples)]
    stream.codec_context.bit_rate = bits(quality)
    return stream


def bits(quality: int) -> int:
    """Return the bits a second: 192,000 at the usual quality, 320,000 at most."""
    steps = (64, 96, 128, 192, 256, 320)
    return 1000 * steps[min(5, max(0, round((quality - 34) / 17)))]


def _mux_sound(container: Any, stream: Any, sound: Sound) -> None:
    import av
    import numpy

    values = numpy.ascontiguousarray(sound.samples)
    frame = av.AudioFrame.from_ndarray(values, format="fltp", layout=_LAYOUTS[len(values)])
    frame.sample_rate = sound.rate
    frame.pts, frame.time_base = 0, Fraction(1, sound.rate)
    container.mux(stream.encode(frame))  # which resamples and cuts it as the codec needs
    container.mux(stream.encode(None))


# Sound without loss, by soundfile.


def waves(samples: Any) -> Any:
    """Return samples as float32 (channels, n) from -1 to 1. Raises `BadOutput` for what is none."""
    import numpy

    values = numpy.asarray(samples)
    values = values[None] if values.ndim == 1 else values
    if values.ndim != 2 or values.shape[0] not in _LAYOUTS or not values.size:
        shape = "x".join(map(str, values.shape))
        raise BadOutput(
            f"The model returned sound of the shape {shape}; (channels, samples) of one or two "
            "channels is what can be saved."
        )
    if values.dtype == numpy.int16:
        return values.astype(numpy.float32) / 2**15
    _check_numbers(values)
    return values.astype(numpy.float32).clip(-1, 1)


def _write_sound(path: Path, heard: Any, rate: int, wish: Wish) -> None:
    try:
        import soundfile
    except ImportError:
        raise MissingExtra("soundfile", "local") from None
    subtypes = {"ogg": "VORBIS", "flac": "PCM_24"}
    subtype = subtypes.get(wish.name) or wish.codec.upper()
    more = {"compression_level": 1 - wish.quality / 100} if wish.name == "ogg" else {}
    soundfile.write(path, heard.T, rate, format=wish.name.upper(), subtype=subtype, **more)
