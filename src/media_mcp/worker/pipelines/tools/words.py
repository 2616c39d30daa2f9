"""Words drawn on pictures, in the typeface that comes with Pillow and so is always there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from media_mcp.worker.pipelines.tools.faults import wrong
from media_mcp.worker.pipelines.tools.images import Picture, anchored

SAFE = 0.05  # the share of a picture at each edge that words keep clear of
LEAST = 8  # pixels; smaller letters cannot be read
Colour = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Style:
    """How words look: height of a line in pixels, colours, where they stand (see `ANCHORS`)."""

    size: int
    ink: Colour = (255, 255, 255, 255)
    outline: Colour = (0, 0, 0, 255)
    paper: Colour | None = None
    align: str = "center"
    position: str = "bottom"


@lru_cache(maxsize=64)
def font_of(size: int) -> Any:
    """Return the typeface at `size` pixels."""
    return ImageFont.load_default(max(LEAST, size))


def draw_words(text: str, size: tuple[int, int], style: Style) -> Picture:
    """Return a clear picture of `size` with the words on it.

    Lines are broken at the safe edges; words too many for the picture are made smaller. Raises
    `InvalidArguments` where even the smallest do not fit.
    """
    edge = round(SAFE * min(size))
    room = (size[0] - 2 * edge, size[1] - 2 * edge)
    layer = Image.new("RGBA", size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    font_size = style.size
    while True:
        font, width = font_of(font_size), max(1, round(font_size / 12))
        lines = wrapped(text, font, room[0] - 2 * width)
        box = draw.multiline_textbbox(
            (0, 0), lines, font=font, stroke_width=width, spacing=font_size // 5
        )
        extent = (round(box[2] - box[0]), round(box[3] - box[1]))
        if extent[0] <= room[0] and extent[1] <= room[1]:
            break
        if font_size <= LEAST:
            words = f"its {len(text)} characters do not fit on {size[0]}x{size[1]} pixels."
            raise wrong("text", words, "Shorten it, or take a larger picture.")
        font_size = max(LEAST, font_size * 4 // 5)
    left, top = anchored(style.position, size, extent, edge)
    if style.paper:
        pad = font_size // 4
        ground = (left - pad, top - pad, left + extent[0] + pad, top + extent[1] + pad)
        draw.rounded_rectangle(ground, radius=pad, fill=style.paper)
    draw.multiline_text(
        (left - box[0], top - box[1]),
        lines,
        font=font,
        fill=style.ink,
        stroke_width=width if style.outline[3] else 0,
        stroke_fill=style.outline,
        spacing=font_size // 5,
        align=style.align,
    )
    return layer


def wrapped(text: str, font: Any, width: int) -> str:
    """Break lines between words, and within a word that is longer than a line."""
    return "\n".join("\n".join(_lines(line, font, width)) for line in text.splitlines()) or text


def _lines(line: str, font: Any, width: int) -> list[str]:
    lines, now = [], ""
    for word in line.split():
        longer = f"{now} {word}".strip()
        if font.getlength(longer) <= width:
            now = longer
            continue
        lines += [now] if now else []
        now = word
        while font.getlength(now) > width and len(now) > 1:
            cut = next(
                n for n in range(len(now) - 1, 0, -1) if n == 1 or font.getlength(now[:n]) <= width
            )
            lines.append(now[:cut])
            now = now[cut:]
    return [*lines, now]
