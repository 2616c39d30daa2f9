"""Masks for inpainting: white where a picture is to be repainted, black where it stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from media_mcp.worker.pipelines.tools.faults import check_size, wrong
from media_mcp.worker.pipelines.tools.images import Picture, finish, on_paper, open_image
from media_mcp.worker.work import Product, Work

SMOOTH = 4  # an ellipse is drawn this many times larger and scaled down


def make_mask(
    work: Work,
    shapes: Sequence[Mapping[str, Any]],
    image_url: Path | None = None,
    width: int | None = None,
    height: int | None = None,
    feather: float = 0,
    invert: bool = False,
) -> Product:
    """Draw a mask the size of a picture, or of `width` and `height`, from rectangles and ellipses.

    A shape has `kind`, `x`, `y`, `width` and `height` in pixels; one outside the mask is refused.
    """
    size = _size(image_url, width, height)
    mask = Image.new("L", size, 0)
    for number, shape in enumerate(shapes):
        mask = ImageChops.lighter(mask, _drawn(size, shape, f"shapes[{number}]"))
    return finish(work, edited(mask, feather=feather, invert=invert))


def _size(image: Path | None, width: int | None, height: int | None) -> tuple[int, int]:
    if image is not None:
        return open_image(image).size
    if not (width and height):
        raise wrong("image_url", "the mask has no size.", "Give a picture, or width and height.")
    check_size(width, height)
    return width, height


def _drawn(size: tuple[int, int], shape: Mapping[str, Any], where: str) -> Picture:
    x, y = int(shape.get("x", 0)), int(shape.get("y", 0))
    right, bottom = x + int(shape["width"]), y + int(shape["height"])
    if x >= size[0] or y >= size[1] or right <= 0 or bottom <= 0:
        raise wrong(where, f"it lies outside the {size[0]}x{size[1]} pixels.", "Move it inside.")
    mask = Image.new("L", size, 0)
    if shape.get("kind", "rectangle") == "rectangle":
        ImageDraw.Draw(mask).rectangle((x, y, right - 1, bottom - 1), fill=255)
        return mask
    oval = Image.new("L", (SMOOTH * min(right - x, 8192), SMOOTH * min(bottom - y, 8192)), 0)
    ImageDraw.Draw(oval).ellipse((0, 0, oval.width - 1, oval.height - 1), fill=255)
    mask.paste(oval.resize((right - x, bottom - y), Image.Resampling.BOX), (x, y))
    return mask


def edit_mask(
    work: Work,
    mask_url: Path,
    grow: int = 0,
    feather: float = 0,
    invert: bool = False,
    threshold: int | None = None,
) -> Product:
    """Change a mask: cut grey to black and white, grow or shrink it, soften its edge, invert it."""
    picture = open_image(mask_url)
    mask = picture.getchannel("A") if _says_alpha(picture) else on_paper(picture, "black")
    return finish(
        work,
        edited(
            mask.convert("L"),
            check=work.check,
            grow=grow,
            feather=feather,
            invert=invert,
            threshold=threshold,
        ),
    )


def _says_alpha(picture: Picture) -> bool:
    """Whether a picture is a mask by its transparency: it is clear somewhere, and of one colour."""
    if picture.mode != "RGBA":
        return False
    colours = cast("tuple[tuple[int, int], ...]", picture.convert("RGB").getextrema())
    return all(low == high for low, high in colours)


def edited(
    mask: Picture,
    *,
    check: Callable[[], None] = lambda: None,
    grow: int = 0,
    feather: float = 0,
    invert: bool = False,
    threshold: int | None = None,
) -> Picture:
    """Return a mask cut at `threshold`, then grown, feathered (pixels) and inverted.

    `check` runs for each pixel that it grows.
    """
    if threshold is not None:
        mask = mask.point(lambda value: 255 if value >= threshold else 0)
    step = 1 if grow > 0 else -1
    for _ in range(abs(grow)):
        check()
        mask = mask.filter(ImageFilter.MaxFilter(3) if step > 0 else ImageFilter.MinFilter(3))
    if feather:
        mask = mask.filter(ImageFilter.GaussianBlur(feather))
    return ImageOps.invert(mask) if invert else mask
