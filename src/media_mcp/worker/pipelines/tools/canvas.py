"""Frames in another size: scaled, cut, on a larger ground, more or fewer a second."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy

from media_mcp.worker.pipelines.tools.clips import (
    Clip,
    Frame,
    frame_count,
    frames,
    from_pixels,
    open_clip,
    painted,
    pixels,
    scaled,
)
from media_mcp.worker.pipelines.tools.faults import MAX_FRAME_PIXELS, check_size
from media_mcp.worker.pipelines.tools.film import even, finish_film
from media_mcp.worker.pipelines.tools.images import anchored, box_of, colour_of, fitting
from media_mcp.worker.pipelines.tools.pictures import ground_size, piece
from media_mcp.worker.pipelines.tools.sounding import sound_of
from media_mcp.worker.work import Product, Work


def remade(
    work: Work,
    clip: Clip,
    pictures: Iterable[Frame],
    size: tuple[int, int],
    fps: Fraction | None = None,
    **facts: Any,
) -> Product:
    """Write a clip with other pictures and its own sound."""
    rate = fps or clip.fps
    return finish_film(
        work,
        pictures,
        size=size,
        fps=rate,
        count=frame_count(clip.seconds, rate),
        sound=sound_of(clip),
        **facts,
    )


def scale_video(
    work: Work,
    video_url: Path,
    width: int | None = None,
    height: int | None = None,
    mode: str = "fit",
    color: str = "black",
) -> Product:
    """Scale a video: into a box, to fill it, on a ground of that size, or to exactly that size."""
    clip = open_clip(video_url)
    box = box_of(clip.size, width, height)
    check_size(*box, most=MAX_FRAME_PIXELS)
    inside = mode == "fit" and bool(width and height)
    size = even(fitting(clip.size, box) if inside else box)
    ink = colour_of("color", color)[:3]
    shown = (fitted(one, size, mode, ink) for one in frames(clip, work.check))
    return remade(work, clip, shown, size)


def fitted(
    frame: Frame, size: tuple[int, int], mode: str, colour: tuple[int, ...] = (0, 0, 0)
) -> Frame:
    """Return a frame of exactly `size`: on a ground (`pad`), cut (`fill`) or as it comes."""
    now = (frame.width, frame.height)
    if now == size:
        return frame
    if mode not in ("pad", "fill") or now[0] * size[1] == now[1] * size[0]:
        return scaled(frame, size)
    small = fitting(now, size, cover=mode == "fill")
    array = pixels(scaled(frame, small))
    if mode == "fill":
        left, top = anchored("center", small, size)
        return from_pixels(array[top : top + size[1], left : left + size[0]])
    return from_pixels(on_ground(array, size, anchored("center", size, small), colour))


def on_ground(
    array: Any, size: tuple[int, int], place: tuple[int, int], colour: tuple[int, ...]
) -> Any:
    """Return pixels on a ground of one colour, which holds them wholly."""
    ground: Any = numpy.empty((size[1], size[0], 3), numpy.uint8)
    ground[:] = colour
    height, width = array.shape[:2]
    ground[place[1] : place[1] + height, place[0] : place[0] + width] = array
    return ground


def crop_video(
    work: Work,
    video_url: Path,
    width: int | None = None,
    height: int | None = None,
    x: int | None = None,
    y: int | None = None,
    position: str = "center",
    aspect_ratio: str | None = None,
) -> Product:
    """Cut a piece out of every frame: of a size or an aspect ratio, at a place or a position."""
    clip = open_clip(video_url)
    left, top, right, bottom = piece(clip.size, width, height, x, y, position, aspect_ratio)
    wide, high = even((right - left, bottom - top))

    def cut(array: Any) -> Any:
        return array[top : top + high, left : left + wide]

    asked = (right - left, bottom - top)
    shown = (painted(one, cut) for one in frames(clip, work.check))
    return remade(work, clip, shown, asked)


def pad_video(
    work: Work,
    video_url: Path,
    width: int | None = None,
    height: int | None = None,
    aspect_ratio: str | None = None,
    position: str = "center",
    color: str = "black",
) -> Product:
    """Put a video on a larger ground, of a size or an aspect ratio."""
    clip = open_clip(video_url)
    size = ground_size(clip.size, width, height, aspect_ratio)
    size = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    check_size(*size, most=MAX_FRAME_PIXELS)
    place = anchored(position, size, clip.size)
    ink = colour_of("color", color)[:3]

    def pad(array: Any) -> Any:
        return on_ground(array, size, place, ink)

    shown = (painted(one, pad) for one in frames(clip, work.check))
    return remade(work, clip, shown, size)


def change_fps(work: Work, video_url: Path, fps: float = 30) -> Product:
    """Show more or fewer frames a second; it lasts as long as before, and none are made up."""
    clip = open_clip(video_url)
    rate = Fraction(fps).limit_denominator(1001)
    return remade(work, clip, frames(clip, work.check, fps=rate), clip.size, rate)
