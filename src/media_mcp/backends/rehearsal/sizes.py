"""Reads how wide and high a picture was asked to be, in the many ways models have of asking."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import sqrt

from media_mcp.job import JSON, Asset, MediaKind

Size = tuple[int, int]
SMALLEST, LARGEST = 16, 4096

PRESETS: Mapping[str, Size] = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
_PAIR = re.compile(r"^\s*(\d{1,5})\s*[x×*]\s*(\d{1,5})\s*$", re.IGNORECASE)
_RATIO = re.compile(r"^\s*(\d{1,3}(?:\.\d+)?)\s*:\s*(\d{1,3}(?:\.\d+)?)\s*$")
_LINES = re.compile(r"^\s*(\d{3,4})p\s*$", re.IGNORECASE)
_THOUSANDS = re.compile(r"^\s*(\d(?:\.\d)?)k\s*$", re.IGNORECASE)


def asked_size(
    arguments: Mapping[str, JSON], inputs: Iterable[Asset] = (), *, video: bool = False
) -> Size:
    """Return width and height in pixels, each 16 to 4096 (and even for video)."""
    width, height = (
        _both_sides(arguments)
        or _named_size(arguments)
        or _shaped(arguments, video)
        or _like_input(inputs)
        or ((1280, 720) if video else (1024, 1024))
    )
    width, height = _bounded(width), _bounded(height)
    return (width - width % 2, height - height % 2) if video else (width, height)


def _bounded(pixels: float) -> int:
    return max(SMALLEST, min(LARGEST, round(pixels)))


def whole(value: JSON) -> int | None:
    """Return a positive whole number, or None for anything else (`True` is not a number)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        return None
    return round(value) or None


def _both_sides(arguments: Mapping[str, JSON]) -> Size | None:
    width, height = whole(arguments.get("width")), whole(arguments.get("height"))
    return (width, height) if width and height else None


def _named_size(arguments: Mapping[str, JSON]) -> Size | None:
    for name in ("image_size", "video_size", "size", "resolution"):
        size = _read_size(arguments.get(name))
        if size:
            return size
    return None


def _read_size(value: JSON) -> Size | None:
    if isinstance(value, Mapping):
        return _both_sides(value)
    if isinstance(value, str):
        pair = _PAIR.match(value)
        return (int(pair[1]), int(pair[2])) if pair else PRESETS.get(value)
    side = whole(value)
    return (side, side) if side else None


def _shaped(arguments: Mapping[str, JSON], video: bool) -> Size | None:
    """Return a size from `aspect_ratio` and `resolution` (`720p`, `2K`), if either is readable."""
    ratio = _ratio(arguments.get("aspect_ratio"))
    short = _short_side(arguments.get("resolution"), ratio)
    if ratio is None and short is None:
        return None
    ratio = ratio or (16 / 9 if video else 1.0)
    if short is None:
        short = 720 if video else 1024 * sqrt(min(ratio, 1 / ratio))
    long = short * max(ratio, 1 / ratio)
    return (_eighth(long), _eighth(short)) if ratio >= 1 else (_eighth(short), _eighth(long))


def _eighth(pixels: float) -> int:
    return max(8, round(pixels / 8) * 8)


def _ratio(value: JSON) -> float | None:
    match = _RATIO.match(value) if isinstance(value, str) else None
    if not match or not float(match[1]) or not float(match[2]):
        return None
    return min(16.0, max(1 / 16, float(match[1]) / float(match[2])))


def _short_side(value: JSON, ratio: float | None) -> float | None:
    if not isinstance(value, str):
        return None
    if lines := _LINES.match(value):
        return float(lines[1])
    if thousands := _THOUSANDS.match(value):
        return 1024 * float(thousands[1]) * sqrt(min(ratio or 1.0, 1 / (ratio or 1.0)))
    return None


def _like_input(inputs: Iterable[Asset]) -> Size | None:
    for asset in inputs:
        if asset.kind in (MediaKind.IMAGE, MediaKind.VIDEO) and asset.width and asset.height:
            return asset.width, asset.height
    return None
