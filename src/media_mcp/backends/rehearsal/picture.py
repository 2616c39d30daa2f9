"""Draws stand-in pictures: a card that names the model, the prompt, the seed and the size."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from media_mcp.backends.rehearsal.wish import Wish
from media_mcp.catalog.model import OutputSpec
from media_mcp.job import Output

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

Colour = tuple[int, int, int]
FORMATS = {"jpeg": "jpg", "jpg": "jpg", "png": "png", "webp": "webp", "gif": "gif"}
MIME_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"}
_QUICK: dict[str, dict[str, int]] = {
    "png": {"compress_level": 1},
    "jpg": {"quality": 85},
    "webp": {"quality": 80, "method": 0},
    "gif": {},
}


LEGIBLE = 96  # pixels of the shorter side under which nobody could read the words


def make_pictures(wish: Wish, output: OutputSpec, folder: Path) -> list[Output]:
    """Write `wish.count` pictures of `wish.size` pixels, each of other colours."""
    ending = picture_ending(wish, output)
    made = []
    for index in range(wish.count):
        path = folder / f"{output.role}-{index}.{ending}"
        card = draw_card(wish, wish.size, index)
        card.save(path, format=_pillow_name(ending), **_QUICK[ending])
        made.append(Output(path, output.role, MIME_TYPES[ending]))
    return made


def picture_ending(wish: Wish, output: OutputSpec) -> str:
    """Return the file ending: as the call asks, else as the card declares, else png."""
    declared = output.mime_type.partition("/")[2]
    return FORMATS.get(wish.wanted_format) or FORMATS.get(declared) or "png"


def _pillow_name(ending: str) -> str:
    return "JPEG" if ending == "jpg" else ending.upper()


def draw_card(wish: Wish, size: tuple[int, int], index: int = 0) -> Image:
    """Draw one card; a blank wish gives a black one, as a model that failed quietly would."""
    from PIL import Image, ImageDraw

    if wish.black:
        return Image.new("RGB", size)
    ground, mark = colours(wish.dice, index)
    card = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(card)
    _draw_mark(draw, size, mark, wish.dice[index % 16])
    if min(size) >= LEGIBLE:
        _draw_words(draw, size, wish)
    return card


def colours(dice: bytes, index: int = 0) -> tuple[Colour, Colour]:
    """Return a dark ground and a bright mark; no two neighbours of `index` share them."""
    red, green, blue = (dice[(index * 3 + i) % 32] for i in range(3))
    ground = (32 + red % 80, 32 + green % 80, 32 + blue % 80)
    return ground, (255 - red % 80, 255 - green % 80, 255 - blue % 80)


def _draw_mark(draw: ImageDraw, size: tuple[int, int], colour: Colour, shift: int) -> None:
    width, height = size
    radius = max(3, min(size) // 5)
    x = radius + shift * max(1, width - 2 * radius) // 256
    y = height - radius - 2
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    draw.line((0, height - 1, width, height - 1), fill=colour, width=max(1, height // 64))


def _draw_words(draw: ImageDraw, size: tuple[int, int], wish: Wish) -> None:
    points = max(8, min(size) // 16)
    across = max(6, size[0] * 2 // points - 2)
    room = max(1, min(4, size[1] // 64))
    lines = [wish.title, *wrap(wish.words, across)[:room], f"seed {wish.seed}, {size[0]}x{size[1]}"]
    draw.multiline_text(
        (points // 2, points // 2), "\n".join(lines), fill="white", font=_font(points), spacing=2
    )


@lru_cache(maxsize=8)
def _font(points: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(points)
