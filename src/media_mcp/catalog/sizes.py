"""How large a picture or clip comes out, as far as its arguments say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from media_mcp.catalog.model import Param
from media_mcp.catalog.spans import Call, Span, Unsaid, automatic, not_given, number_of
from media_mcp.job import JSON, Asset, MediaKind

PRESETS: Mapping[str, tuple[int, int]] = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
SIZES = ("image_size", "video_size", "size", "output_size")
RESOLUTIONS = ("resolution", "output_resolution", "target_resolution", "video_resolution")
FACTORS = ("upscale_factor", "upscaling_factor", "scale_factor")
_WIDE = 16 / 9
_LINES_OF_K = {2.0: 1440.0, 4.0: 2160.0, 8.0: 4320.0}  # what video calls 2k, 4k and 8k
_PAIR = re.compile(r"^\s*(\d{1,5})\s*[x×*]\s*(\d{1,5})\s*$", re.IGNORECASE)
_RATIO = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*:\s*(\d+(?:\.\d+)?)\s*$")
_WORD = re.compile(r"^(?:auto_|true_)?(\d+(?:\.\d+)?)(p|k|mp)$")


@dataclass(frozen=True, slots=True)
class Size:
    """Width times height in `pixels`; `height` is the shorter side, as in `720p`."""

    pixels: Span
    height: Span


def size(call: Call) -> Size:
    """Return the size of each picture or frame that a call makes. Raises `Unsaid`."""
    for read in (_by_name, _by_sides, _by_resolution, _like_input):
        if (found := read(call)) is not None:
            return found
    raise Unsaid("the size of what it makes")


def pixels(call: Call) -> Span:
    """Return the pixels of each picture or frame that a call makes. Raises `Unsaid`."""
    return size(call).pixels


def height(call: Call) -> Span:
    """Return the shorter side of what a call makes, in pixels. Raises `Unsaid`."""
    return size(call).height


def input_sizes(call: Call) -> list[int]:
    """Return the pixels of each picture that a call brings along. Raises `Unsaid`."""
    params = call.media(MediaKind.IMAGE)
    assets = [a for p in params for a in call.assets(p, f"the size of {p.name}")]
    sides = [(asset.width or 0) * (asset.height or 0) for asset in assets]
    if not all(sides):
        raise Unsaid("the size of an input")
    return sides


def _by_name(call: Call) -> Size | None:
    name = next(filter(call.has, SIZES), None)
    if name is None:
        return None
    value = call.value(name)
    if value is None or automatic(value):
        return _like_input(call) or _all_named(call, name)
    return _read(call, value, name)


def _all_named(call: Call, name: str) -> Size:
    """Return what an automatic size comes to: anything, unless a list of sizes bounds it."""
    param = call.model.param(name)
    named = [value for value in param.enum if not automatic(value)] if param else []
    if not named or (param and param.form == "size"):
        raise not_given(name)
    return _widest(_read(call, value, name) for value in named)


def _by_sides(call: Call) -> Size | None:
    if call.value("width") is None and call.value("height") is None and _pictures(call):
        return None
    width, height = call.number("width"), call.number("height")
    if width is None or height is None:
        return None
    sides = Span(min(width.low, height.low), min(width.high, height.high))
    return Size(width.times(height), sides)


def _by_resolution(call: Call) -> Size | None:
    name = next(filter(call.has, RESOLUTIONS), None)
    if name is None or call.value("upscale_mode") == "factor":
        return None
    value = call.value(name)
    if value is not None and not automatic(value):
        return _read(call, value, name)
    param = call.model.param(name)
    known = [one for one in param.enum if not automatic(one)] if param else []
    return _widest(_read(call, one, name) for one in known) if known else None


def _read(call: Call, value: JSON, name: str) -> Size:
    """Return the size that one value names. Raises `Unsaid` for a word that names none."""
    if (sides := sides_of(value)) is not None:
        return _exactly(*sides)
    number = number_of(value)
    if number is not None:
        return Size(Span.exactly(number * number), _short_of(call, number))
    if (word := _WORD.match(str(value).lower())) is None:
        raise Unsaid(f"what {name} {str(value)[:20]!r} comes to")
    return _worded(call, float(word[1]), word[2])


def sides_of(value: JSON) -> tuple[int, int] | None:
    """Return width and height of a preset, of `1280x720` or of `{width, height}`."""
    if isinstance(value, Mapping):
        width, height = number_of(value.get("width")), number_of(value.get("height"))
        return (int(width), int(height)) if width and height else None
    pair = _PAIR.match(value) if isinstance(value, str) else None
    return (int(pair[1]), int(pair[2])) if pair else PRESETS.get(str(value))


def _worded(call: Call, number: float, unit: str) -> Size:
    """Return the size of `720p`, `2K` or `4MP`, which leave the shape open."""
    if unit == "mp":
        return Size(Span.exactly(number * 1e6), _short_of(call, (number * 1e6) ** 0.5))
    if unit == "k" and not _makes_video(call):
        return Size(Span.exactly((number * 1024) ** 2), _short_of(call, number * 1024))
    lines = number if unit == "p" else _LINES_OF_K.get(number, number * 540)
    # Models take 720p in another shape as 720 lines, or as the pixels of 1280x720.
    areas = [lines * lines * ratio for ratio in (*_ratios(call), _WIDE)]
    return Size(Span.of(areas), Span.exactly(lines))


def _short_of(call: Call, side: float) -> Span:
    """Return the shorter side of what has as many pixels as a square of `side`."""
    return Span.of(side / ratio**0.5 for ratio in _ratios(call) or [1.0])


def _ratios(call: Call) -> list[float]:
    """Return the shapes that may come out, as longer by shorter side."""
    param, value = call.model.param("aspect_ratio"), call.value("aspect_ratio")
    if value is not None and not automatic(value):
        return _longer([value])
    shapes = [f"{a.width}:{a.height}" for a in _first_pictures(call) if a.width and a.height]
    return _longer(shapes or (param.enum if param else ()))


def _longer(shapes: Sequence[JSON]) -> list[float]:
    found = [match for shape in shapes if (match := _RATIO.match(str(shape)))]
    sides = [(float(match[1]), float(match[2])) for match in found]
    return [max(both) / min(both) for both in sides if min(both) > 0]


def _like_input(call: Call) -> Size | None:
    """Return the size of the first picture or clip that comes in, enlarged by what is asked."""
    assets = [a for p in _shown(call) for a in call.assets(p, f"the size of {p.name}")]
    if not assets:
        return None
    width, height = assets[0].width, assets[0].height
    if not width or not height:
        raise Unsaid("the size of an input")
    factor = call.number(*FACTORS) or Span.exactly(1)
    given = _exactly(width, height)
    return Size(given.pixels.times(factor).times(factor), given.height.times(factor))


def _shown(call: Call) -> list[Param]:
    return [param for param in _pictures(call) if param.role != "mask"]


def _first_pictures(call: Call) -> list[Asset]:
    """Return the first picture or clip that comes in, if it is known already."""
    try:
        return [a for p in _shown(call) for a in call.assets(p, "")][:1]
    except Unsaid:
        return []


def _pictures(call: Call) -> list[Param]:
    return call.media(MediaKind.IMAGE, MediaKind.VIDEO)


def _makes_video(call: Call) -> bool:
    return any(output.kind is MediaKind.VIDEO for output in call.model.outputs)


def _exactly(width: float, height: float) -> Size:
    return Size(Span.exactly(width * height), Span.exactly(min(width, height)))


def _widest(sizes: Iterable[Size]) -> Size:
    found = list(sizes)
    return Size(Span.around(one.pixels for one in found), Span.around(one.height for one in found))
