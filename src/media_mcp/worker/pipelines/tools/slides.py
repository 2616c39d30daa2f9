"""Pictures as a video: each for its time, one fading into the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from media_mcp.worker.pipelines.tools.canvas import on_ground
from media_mcp.worker.pipelines.tools.clips import Frame, from_pixels
from media_mcp.worker.pipelines.tools.faults import (
    MAX_FRAME_PIXELS,
    MAX_FRAMES,
    check_length,
    check_size,
    wrong,
)
from media_mcp.worker.pipelines.tools.film import even, finish_film
from media_mcp.worker.pipelines.tools.images import (
    READ,
    Picture,
    anchored,
    colour_of,
    fitting,
    on_paper,
    open_image,
)
from media_mcp.worker.pipelines.tools.tracks_io import (
    RATE,
    faded,
    filled,
    open_track,
    read,
    repeated,
)
from media_mcp.worker.work import Product, Work

FASTEST = 50  # frames a second; GIF has no more
LONGEST_SIDE = 1920  # pixels of a video whose size is not said
LANCZOS = Image.Resampling.LANCZOS


def images_to_video(
    work: Work,
    image_urls: Sequence[Path],
    seconds_each: float = 3,
    durations: Sequence[float] = (),
    width: int | None = None,
    height: int | None = None,
    fps: float = 25,
    fit: str = "pad",
    color: str = "black",
    fade: float = 0,
    audio_url: Path | None = None,
) -> Product:
    """Show pictures one after another, each for `seconds_each` or for its own of `durations`.

    `fade` seconds of each go over into the next. Sound is repeated or cut to the length.
    """
    shown = [float(one) for one in durations] or [float(seconds_each)] * len(image_urls)
    if len(shown) != len(image_urls):
        words = f"there are {len(shown)} for {len(image_urls)} pictures."
        raise wrong("durations", words, "Give one for each picture.")
    if fade and fade > min(shown):
        words = f"{fade:g} s is longer than the shortest picture shows, {min(shown):g} s."
        raise wrong("fade", words, "Fade faster, or show them longer.")
    size = _size(image_urls[0], width, height)
    rate = Fraction(fps).limit_denominator(1001)
    check_length(sum(shown), float(rate))
    ends = [round(sum(shown[: n + 1]) * float(rate)) for n in range(len(shown))]
    ground = colour_of("color", color)[:3]
    pictures = (_slide(open_image(path), size, fit, ground) for path in image_urls)
    sound = None
    if audio_url is not None:
        track, long = open_track(audio_url), ends[-1] / float(rate)
        again = repeated(lambda: read(track, rate=RATE, channels=2))
        sound = faded(filled(again, round(long * RATE)), RATE, long, 0, min(1.0, long / 4))
    return finish_film(
        work,
        _frames(pictures, ends, round(fade * float(rate))),
        size=size,
        fps=rate,
        count=ends[-1],
        sound=sound,
    )


def _size(first: Path, width: int | None, height: int | None) -> tuple[int, int]:
    picture = open_image(first)
    if width and height:
        size = (width, height)
    elif width or height:
        side = (width or 10**6, height or 10**6)
        size = fitting(picture.size, side)
    else:
        box = (min(LONGEST_SIDE, picture.width), min(LONGEST_SIDE, picture.height))
        size = fitting(picture.size, box)
    check_size(*size, most=MAX_FRAME_PIXELS)
    return even(size)


def _slide(picture: Picture, size: tuple[int, int], fit: str, ground: tuple[int, ...]) -> Any:
    """Return a picture as the pixels of a frame: whole on a ground (`pad`) or cut (`fill`)."""
    colour = "#{:02x}{:02x}{:02x}".format(*ground)
    small = fitting(picture.size, size, cover=fit == "fill")
    array = numpy.asarray(on_paper(picture, colour).resize(small, LANCZOS))
    if fit == "fill":
        left, top = anchored("center", small, size)
        return array[top : top + size[1], left : left + size[0]]
    return on_ground(array, size, anchored("center", size, small), ground)


def _frames(pictures: Iterator[Any], ends: Sequence[int], fade: int) -> Iterator[Frame]:
    """Yield each picture until its end; the first frames of the next mix with it."""
    before, start = None, 0
    for picture, end in zip(pictures, ends, strict=True):
        for number in range(start, end):
            share = (number - start + 1) / (fade + 1) if before is not None else 1
            if before is None or share >= 1:
                yield from_pixels(picture)
            else:
                mixed = before + (picture.astype(numpy.float32) - before) * share
                yield from_pixels(mixed.round().astype(numpy.uint8))
        before, start = picture.astype(numpy.float32), end


def animation_to_video(
    work: Work, image_url: Path, times: int = 1, color: str = "white"
) -> Product:
    """Make a video of an animated GIF, WebP, PNG or AVIF, shown so often; clear parts get a colour.

    Raises `InvalidArguments` for a still picture.
    """
    seconds, size = _durations(image_url)
    if len(seconds) < 2:
        raise wrong("image_url", "it is a still picture.", "Show stills with images_to_video.")
    check_size(*size, most=MAX_FRAME_PIXELS)
    fps = Fraction(min(FASTEST, max(10, round(1 / min(seconds)))))
    check_length(sum(seconds) * times, float(fps))
    ends = [round(sum(seconds[: n + 1]) * fps) for n in range(len(seconds))]
    colour_of("color", color)
    each = (_frames(_animated(image_url, color), ends, 0) for _ in range(times))
    shown = chain.from_iterable(each)
    return finish_film(work, shown, size=size, fps=fps, count=ends[-1] * times)


def _durations(path: Path) -> tuple[list[float], tuple[int, int]]:
    """Return how many seconds each frame of an animation shows, and its size."""
    open_image(path)  # which says what is wrong with a file that is no picture
    seconds = []
    with Image.open(path, formats=READ) as image:
        for number in range(min(getattr(image, "n_frames", 1), MAX_FRAMES)):
            image.seek(number)
            image.load()
            seconds.append(max(0.02, float(image.info.get("duration") or 100) / 1000))
        return seconds, image.size


def _animated(path: Path, color: str) -> Iterator[Any]:
    with Image.open(path, formats=READ) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            yield numpy.asarray(on_paper(image.convert("RGBA"), color))
