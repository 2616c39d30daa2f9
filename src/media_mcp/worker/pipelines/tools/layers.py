"""Several pictures in one: laid over another, in a grid, and with words on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw

from media_mcp.worker.pipelines.tools.faults import check_size, wrong
from media_mcp.worker.pipelines.tools.images import (
    Picture,
    anchored,
    canvas,
    colour_of,
    finish,
    fitting,
    on_paper,
    open_image,
)
from media_mcp.worker.pipelines.tools.words import Style, draw_words, face_for, font_of
from media_mcp.worker.work import Product, Work

LANCZOS = Image.Resampling.LANCZOS
BLENDS: Mapping[str, Callable[[Picture, Picture], Picture]] = {
    "multiply": ImageChops.multiply,
    "screen": ImageChops.screen,
    "overlay": ImageChops.overlay,
    "soft_light": ImageChops.soft_light,
    "difference": ImageChops.difference,
    "add": ImageChops.add,
    "darken": ImageChops.darker,
    "lighten": ImageChops.lighter,
}


def composite_images(
    work: Work,
    image_url: Path,
    overlay_url: Path,
    mask_url: Path | None = None,
    position: str = "center",
    x: int | None = None,
    y: int | None = None,
    overlay_width: int | None = None,
    opacity: float = 1,
    blend: str = "normal",
    margin: int = 0,
) -> Product:
    """Lay a picture over another: where, how wide (pixels), how opaque, through which mask."""
    ground, layer = open_image(image_url), open_image(overlay_url)
    if overlay_width:
        size = (overlay_width, max(1, round(layer.height * overlay_width / layer.width)))
        check_size(*size)
        layer = layer.resize(size, LANCZOS)
    layer = _seen(layer, opacity, open_image(mask_url) if mask_url else None)
    place = placed(ground.size, layer.size, position, x, y, margin)
    return finish(work, blended(ground, layer, place, blend), ground.format)


def placed(
    outer: tuple[int, int],
    inner: tuple[int, int],
    position: str,
    x: int | None,
    y: int | None,
    margin: int,
) -> tuple[int, int]:
    """Return where something is laid. Raises `InvalidArguments` where none of it would be seen."""
    left, top = anchored(position, outer, inner, margin)
    left, top = (left if x is None else x), (top if y is None else y)
    if left >= outer[0] or top >= outer[1] or left + inner[0] <= 0 or top + inner[1] <= 0:
        raise wrong(
            "x",
            f"at ({left}, {top}) none of the {inner[0]}x{inner[1]} pixels would be seen on "
            f"{outer[0]}x{outer[1]}.",
            "Lay it at least in part inside.",
        )
    return left, top


def _seen(layer: Picture, opacity: float, mask: Picture | None) -> Picture:
    """Return a layer with its opacity and its mask (white shows) as transparency."""
    layer = layer.convert("RGBA")
    alpha = layer.getchannel("A")
    if mask is not None:
        grey = on_paper(mask, "black").convert("L").resize(layer.size, LANCZOS)
        alpha = ImageChops.multiply(alpha, grey)
    if opacity < 1:
        alpha = alpha.point(lambda value: round(value * opacity))
    layer.putalpha(alpha)
    return layer


def blended(ground: Picture, layer: Picture, place: tuple[int, int], blend: str) -> Picture:
    """Return the ground with a layer on it; its colours meet those below as `blend` says."""
    mode, whole = ground.mode, ground.convert("RGBA")
    spread = Image.new("RGBA", whole.size, (0, 0, 0, 0))
    spread.paste(layer, place)
    if meet := BLENDS.get(blend):
        colours = meet(whole.convert("RGB"), spread.convert("RGB")).convert("RGBA")
        colours.putalpha(spread.getchannel("A"))
        spread = colours
    return Image.alpha_composite(whole, spread).convert(mode)


def image_grid(
    work: Work,
    image_urls: Sequence[Path],
    columns: int | None = None,
    tile_width: int = 512,
    tile_height: int | None = None,
    gap: int = 8,
    color: str = "white",
    labels: Sequence[str] = (),
) -> Product:
    """Lay pictures out in a grid, each whole within its tile, with its label if there are any."""
    pictures = [open_image(path) for path in image_urls]
    if labels and len(labels) != len(pictures):
        words = f"there are {len(labels)} for {len(pictures)} pictures."
        raise wrong("labels", words, "Give one for each picture.")
    tile = (tile_width, tile_height or _tallest(pictures, tile_width))
    sheet = laid_out(pictures, labels, columns, tile, gap, colour_of("color", color))
    return finish(work, sheet, columns=columns or _columns(len(pictures)))


def _tallest(pictures: Sequence[Picture], width: int) -> int:
    return max(max(1, round(one.height * width / one.width)) for one in pictures)


def _columns(count: int) -> int:
    return math.ceil(math.sqrt(count))


def laid_out(
    pictures: Sequence[Picture],
    labels: Sequence[str],
    columns: int | None,
    tile: tuple[int, int],
    gap: int,
    ground: tuple[int, int, int, int],
) -> Picture:
    """Return a sheet of pictures, from left to right and from top to bottom."""
    across = min(columns or _columns(len(pictures)), len(pictures))
    down = math.ceil(len(pictures) / across)
    text = max(13, tile[1] // 11) if labels else 0
    cell = (tile[0] + gap, tile[1] + gap + (round(1.5 * text)))
    sheet = canvas((across * cell[0] + gap, down * cell[1] + gap), ground)
    draw = ImageDraw.Draw(sheet)
    face = face_for("".join(labels))
    ink = (0, 0, 0) if sum(ground[:3]) > 380 or ground[3] < 128 else (255, 255, 255)
    for index, picture in enumerate(pictures):
        left, top = gap + index % across * cell[0], gap + index // across * cell[1]
        small = picture.resize(fitting(picture.size, tile), LANCZOS)
        place = (left + (tile[0] - small.width) // 2, top + (tile[1] - small.height) // 2)
        sheet.paste(small, place, small if small.mode == "RGBA" else None)
        if labels:
            where = (left + tile[0] // 2, top + tile[1] + round(0.2 * text))
            draw.text(where, labels[index][:80], fill=ink, font=font_of(text, face), anchor="ma")
    return sheet


def text_on_image(
    work: Work,
    image_url: Path,
    text: str,
    position: str = "bottom",
    size: int | None = None,
    color: str = "white",
    outline: str = "black",
    background: str | None = None,
    align: str = "center",
) -> Product:
    """Write words on a picture, wrapped within its edges; `size` is in pixels."""
    picture = open_image(image_url)
    style = Style(
        size=size or max(12, picture.height // 14),
        ink=colour_of("color", color),
        outline=colour_of("outline", outline),
        paper=colour_of("background", background) if background else None,
        align=align,
        position=position,
    )
    layer = draw_words(text, picture.size, style)
    written = Image.alpha_composite(picture.convert("RGBA"), layer).convert(picture.mode)
    return finish(work, written, picture.format)
