"""Words drawn on pictures: in the typeface that comes with Pillow where ASCII is enough, else in
Roboto, a package of its own, which writes European languages; for other scripts a typeface of the
system's is looked for, of those in `FACES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from media_mcp.worker.pipelines.tools.faults import wrong
from media_mcp.worker.pipelines.tools.images import Picture, anchored

SAFE = 0.05  # the share of a picture at each edge that words keep clear of
LEAST = 8  # pixels; smaller letters cannot be read
Colour = tuple[int, int, int, int]
FACES = (
    "NotoSans-Regular.ttf",
    "DejaVuSans.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansArabic-Regular.ttf",
    "NotoSansHebrew-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "wqy-zenhei.ttc",
    "Arial Unicode.ttf",
    "arialuni.ttf",
    "arial.ttf",
    "msyh.ttc",
)


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
def font_of(size: int, face: str = "") -> Any:
    """Return a typeface at `size` pixels: Pillow's, or that in the file `face` (name or path)."""
    size = max(LEAST, size)
    return ImageFont.truetype(face, size) if face else ImageFont.load_default(size)


def face_for(text: str) -> str:
    """Return the first typeface that has every letter of a text, `""` for Pillow's own.

    Raises `InvalidArguments` where none on this machine has.
    """
    letters = frozenset(sign for sign in text if not sign.isspace() and sign.isprintable())
    least = letters
    for face in ("", *_roboto(), *FACES):
        lacking = _lacking(letters, face)
        if not lacking:
            return face
        least = min(least, lacking, key=len)
    words = ", ".join(repr(sign) for sign in sorted(least)[:5])
    hint = (
        "Install one that has them, such as Noto (apt install fonts-noto), or write them otherwise."
    )
    raise wrong("text", f"no typeface on this machine has all its letters; {words} lack.", hint)


@lru_cache(maxsize=1)
def _roboto() -> tuple[str, ...]:
    """Return the file of Roboto, if its package is there; the package itself is not imported."""
    found = find_spec("font_roboto")
    if found is None or found.origin is None:
        return ()
    return (str(Path(found.origin).with_name("files") / "Roboto-Regular.ttf"),)


@lru_cache(maxsize=256)
def _lacking(letters: frozenset[str], face: str) -> frozenset[str]:
    """Return the letters that a typeface draws as it draws what it does not have."""
    try:
        font = font_of(32, face)
    except OSError:  # no such file
        return letters
    absent = _drawn(font, "\U0010fffe")
    return frozenset(sign for sign in letters if _drawn(font, sign) == absent)


def _drawn(font: Any, sign: str) -> bytes:
    return bytes(font.getmask(sign))


def draw_words(text: str, size: tuple[int, int], style: Style) -> Picture:
    """Return a clear picture of `size` with the words on it.

    Lines are broken at the safe edges; words too many for the picture are made smaller. Raises
    `InvalidArguments` where even the smallest do not fit.
    """
    edge = round(SAFE * min(size))
    layer = Image.new("RGBA", size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    block = _fitted(draw, text, (size[0] - 2 * edge, size[1] - 2 * edge), style)
    left, top = anchored(style.position, size, block.extent, edge)
    if style.paper:
        pad = block.font_size // 4
        right, bottom = left + block.extent[0] + pad, top + block.extent[1] + pad
        ground = (left - pad, top - pad, right, bottom)
        draw.rounded_rectangle(ground, radius=pad, fill=style.paper)
    draw.multiline_text(
        (left - block.corner[0], top - block.corner[1]),
        block.lines,
        fill=style.ink,
        stroke_fill=style.outline,
        align=style.align,
        **(block.drawing | ({} if style.outline[3] else {"stroke_width": 0})),
    )
    return layer


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines that fit: their letters' height, extent and corner in pixels, how they are drawn."""

    lines: str
    font_size: int
    corner: tuple[float, float]
    extent: tuple[int, int]
    drawing: dict[str, Any]


def _fitted(draw: Any, text: str, room: tuple[int, int], style: Style) -> _Block:
    """Return a text in lines, as large as is wished, or smaller until it fits."""
    face, size = face_for(text), style.size
    while True:
        font, width = font_of(size, face), max(1, round(size / 12))
        lines = wrapped(text, font, room[0] - 2 * width)
        drawing = {"font": font, "stroke_width": width, "spacing": size // 5}
        box = draw.multiline_textbbox((0, 0), lines, **drawing)
        extent = (round(box[2] - box[0]), round(box[3] - box[1]))
        if extent[0] <= room[0] and extent[1] <= room[1]:
            return _Block(lines, size, (box[0], box[1]), extent, drawing)
        if size <= LEAST:
            words = f"its {len(text)} characters do not fit into {room[0]}x{room[1]} pixels."
            raise wrong("text", words, "Shorten it, or take a larger picture.")
        size = max(LEAST, size * 4 // 5)


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
            cut = _fitting_length(now, font, width)
            lines.append(now[:cut])
            now = now[cut:]
    return [*lines, now]


def _fitting_length(word: str, font: Any, width: int) -> int:
    """Return how many letters of a word, one at least, fit into a line."""
    lengths = range(len(word) - 1, 0, -1)
    return next((n for n in lengths if font.getlength(word[:n]) <= width), 1)
