"""What is laid over moving pictures: a picture, another video, subtitles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy

from media_mcp.worker.pipelines.tools.canvas import remade
from media_mcp.worker.pipelines.tools.clips import (
    Clip,
    Frame,
    frames,
    from_pixels,
    open_clip,
    painted,
    pixels,
    scaled,
)
from media_mcp.worker.pipelines.tools.faults import check_size, wrong
from media_mcp.worker.pipelines.tools.images import colour_of, open_image
from media_mcp.worker.pipelines.tools.layers import placed
from media_mcp.worker.pipelines.tools.titles import Cue, read_cues
from media_mcp.worker.pipelines.tools.words import Style, draw_words
from media_mcp.worker.work import Product, Work


def overlay_video(
    work: Work,
    video_url: Path,
    image_url: Path | None = None,
    overlay_video_url: Path | None = None,
    position: str = "bottom_right",
    x: int | None = None,
    y: int | None = None,
    overlay_width: int | None = None,
    opacity: float = 1,
    margin: int = 16,
    start: float = 0,
    end: float | None = None,
) -> Product:
    """Lay a picture or a video over a video, from `start` to `end` (seconds); its sound stays."""
    clip = open_clip(video_url)
    if (image_url is None) == (overlay_video_url is None):
        raise wrong("image_url", "give one picture or one video to lay over.")
    if start >= clip.seconds or (end is not None and end <= start):
        words = f"from {start:g} s on it would not be seen: the video lasts {clip.seconds:.2f} s."
        raise wrong("start", words, "Show it while the video runs.")
    stop = clip.seconds if end is None else end
    if image_url is not None:
        size, layers = _one_picture(image_url, overlay_width)
    else:
        size, layers = _moving(work, open_clip(overlay_video_url or video_url), overlay_width, clip)
    place = placed(clip.size, size, position, x, y, margin)

    def shown() -> Iterator[Frame]:
        for number, frame in enumerate(frames(clip, work.check)):
            moment = number / float(clip.fps)
            layer = next(layers, None) if start - 1e-6 <= moment < stop - 1e-6 else None
            yield frame if layer is None else _on(frame, layer, place, opacity)

    return remade(work, clip, shown(), clip.size)


def _one_picture(path: Path, width: int | None) -> tuple[tuple[int, int], Iterator[Any]]:
    from PIL import Image

    picture = open_image(path).convert("RGBA")
    if width:
        size = (width, max(1, round(picture.height * width / picture.width)))
        check_size(*size)
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    array = numpy.asarray(picture)
    return picture.size, repeat(array)


def _moving(
    work: Work, clip: Clip, width: int | None, under: Clip
) -> tuple[tuple[int, int], Iterator[Any]]:
    """Return size and frames of a video, at the rate of the one that it is laid over."""
    size = clip.size
    if width:
        size = (width, max(1, round(clip.height * width / clip.width)))
        check_size(*size)
    shown = frames(clip, work.check, fps=under.fps)
    return size, (_solid(one, size) for one in shown)


def _solid(frame: Frame, size: tuple[int, int]) -> Any:
    return pixels(frame if (frame.width, frame.height) == size else scaled(frame, size))


def _on(frame: Frame, layer: Any, place: tuple[int, int], opacity: float) -> Frame:
    return painted(frame, lambda array: blended(array, layer, place, opacity))


def blended(array: Any, layer: Any, place: tuple[int, int], opacity: float) -> Any:
    """Return pixels with a layer (RGB or RGBA) on them; what lies outside is cut off."""
    left, top = max(0, place[0]), max(0, place[1])
    right = min(array.shape[1], place[0] + layer.shape[1])
    bottom = min(array.shape[0], place[1] + layer.shape[0])
    part = layer[top - place[1] : bottom - place[1], left - place[0] : right - place[0]]
    whole = array.copy()
    under = whole[top:bottom, left:right].astype(numpy.float32)
    alpha = numpy.float32(opacity)
    if part.shape[2] == 4:
        alpha = part[..., 3:].astype(numpy.float32) * (opacity / 255)
    mixed = under + (part[..., :3].astype(numpy.float32) - under) * alpha
    whole[top:bottom, left:right] = mixed.round().astype(numpy.uint8)
    return whole


def burn_subtitles(
    work: Work,
    video_url: Path,
    subtitles_url: Path | None = None,
    subtitles: str | None = None,
    position: str = "bottom",
    size: int | None = None,
    color: str = "white",
    outline: str = "black",
    background: str | None = None,
    shift: float = 0,
) -> Product:
    """Write subtitles (SRT or VTT, a file or its text) into the pictures, for all to see."""
    clip = open_clip(video_url)
    cues = read_cues(subtitles_url, subtitles, shift)
    style = Style(
        size=size or max(12, clip.height // 18),
        ink=colour_of("color", color),
        outline=colour_of("outline", outline),
        paper=colour_of("background", background) if background else None,
        position=position,
    )
    seen = [cue for cue in cues if cue.start < clip.seconds and cue.end > 0]
    if not seen:
        first, last = cues[0].start, cues[-1].end
        words = f"they run from {first:.1f} to {last:.1f} s; the video lasts {clip.seconds:.1f} s."
        raise wrong("subtitles", words, "Give those of this video, or shift them.")
    write = _writer(seen, clip, style)
    shown = (write(n / float(clip.fps), one) for n, one in enumerate(frames(clip, work.check)))
    return remade(work, clip, shown, clip.size, cues=len(seen))


def _writer(cues: list[Cue], clip: Clip, style: Style) -> Callable[[float, Frame], Frame]:
    """Return what puts on a frame the words of its moment, drawn once for all frames they stand."""
    now, layer = "", None

    def write(moment: float, frame: Frame) -> Frame:
        nonlocal now, layer
        text = "\n".join(cue.text for cue in cues if cue.start <= moment < cue.end)
        if text != now:
            now = text
            layer = numpy.asarray(draw_words(text, clip.size, style)) if text else None
        return frame if layer is None else from_pixels(blended(pixels(frame), layer, (0, 0), 1))

    return write
