"""Pictures out of a video: single frames, a contact sheet, a GIF."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image

from media_mcp.worker import encode
from media_mcp.worker.pipelines.tools.canvas import fitted
from media_mcp.worker.pipelines.tools.clips import (
    Clip,
    frame_count,
    frames,
    open_clip,
    pixels,
)
from media_mcp.worker.pipelines.tools.cuts import span
from media_mcp.worker.pipelines.tools.faults import check_size, unreadable, wrong
from media_mcp.worker.pipelines.tools.film import animate
from media_mcp.worker.pipelines.tools.images import finish, fitting, save
from media_mcp.worker.pipelines.tools.layers import laid_out
from media_mcp.worker.work import Product, Work

PAPER = (245, 245, 245, 255)


def extract_frames(
    work: Work,
    video_url: Path,
    at: str = "first",
    seconds: float | None = None,
    count: int = 1,
) -> Product:
    """Take pictures out of a video: the first, the last, the one at a moment, or several evenly."""
    clip = open_clip(video_url)
    moments = _moments(clip, at, seconds, count)
    made = []
    for number, moment in enumerate(moments):
        made.append(save(work, still(clip, moment), index=number))
        work.step(number + 1, len(moments))
    told = [round(moment, 3) for moment in moments]
    return Product(tuple(made), {"moments": told if len(told) <= 16 else [*told[:15], told[-1]]})


def _moments(clip: Clip, at: str, seconds: float | None, count: int) -> list[float]:
    last = max(0.0, clip.seconds - 1 / float(clip.fps))
    if seconds is not None:
        moment = clip.seconds + seconds if seconds < 0 else seconds
        if not 0 <= moment <= clip.seconds + 1e-6:
            words = f"{seconds:g} s is outside the video, which lasts {clip.seconds:.2f} s."
            raise wrong("seconds", words, "Take a moment within it.")
        return [min(moment, last)]
    if at == "last":
        return [last]
    if at == "first":
        return [0.0]
    if at == "middle":
        return [clip.seconds / 2]
    return [clip.seconds * (number + 0.5) / count for number in range(count)]


def still(clip: Clip, moment: float) -> Any:
    """Return the picture that shows at a moment (seconds)."""
    fps = float(clip.fps)
    found = next(frames(clip, lambda: None, start=moment, end=moment + 1 / fps), None)
    if found is None:
        raise unreadable(clip.path, "a video", f"there is no frame at {moment:.2f} s")
    return Image.fromarray(pixels(found))


def contact_sheet(
    work: Work,
    video_url: Path,
    count: int = 9,
    columns: int | None = None,
    tile_width: int = 320,
    labels: bool = True,
) -> Product:
    """Lay frames of a video out in one picture, evenly over its length, with their moments."""
    clip = open_clip(video_url)
    moments = _moments(clip, "evenly", None, count)
    tile = (tile_width, max(1, round(tile_width * clip.height / clip.width)))
    across = min(columns or math.ceil(math.sqrt(count)), count)
    check_size(across * tile[0], math.ceil(count / across) * tile[1])
    pictures = []
    for number, moment in enumerate(moments):
        picture = still(clip, moment)
        picture.thumbnail(tile, Image.Resampling.LANCZOS)
        pictures.append(picture)
        work.step(number + 1, count)
    words = [f"{moment:.2f} s" for moment in moments] if labels else []
    return finish(work, laid_out(pictures, words, across, tile, 8, PAPER))


def video_to_gif(
    work: Work,
    video_url: Path,
    start: float = 0.0,
    end: float | None = None,
    seconds: float | None = None,
    fps: float = 12,
    max_width: int = 480,
    speed: float = 1.0,
) -> Product:
    """Make an animation that repeats, GIF or WebP, of a video or of a piece of it."""
    clip = open_clip(video_url)
    begin, stop = span(clip.seconds, start, end, seconds, "video")
    size = fitting(clip.size, (min(max_width, clip.width), 10 * max_width))
    rate = Fraction(min(fps, 50)).limit_denominator(1001)
    count = max(1, frame_count(stop - begin, rate, speed))
    shown = frames(clip, work.check, start=begin, end=stop, fps=rate, speed=speed)
    small = (fitted(one, size, "exact") for one in shown)
    wish = encode.wished(work, ANIMATIONS, "gif")
    made = animate(work, small, size, rate, count, wish)
    facts = {"frames": count, "fps": round(float(rate), 3)}
    return Product((made,), facts)


ANIMATIONS = {name: encode.CLIPS[name] for name in ("gif", "webp")}
