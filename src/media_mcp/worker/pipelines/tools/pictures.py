"""What is done to one picture: size, edges, turning, colours, format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from media_mcp.worker.pipelines.tools.faults import check_size, wrong
from media_mcp.worker.pipelines.tools.images import (
    Picture,
    anchored,
    box_of,
    canvas,
    colour_of,
    finish,
    fitting,
    open_image,
)
from media_mcp.worker.work import Product, Work

LANCZOS = Image.Resampling.LANCZOS
TURNS: Mapping[int, Image.Transpose] = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}


def resize_image(
    work: Work,
    image_url: Path,
    width: int | None = None,
    height: int | None = None,
    mode: str = "fit",
) -> Product:
    """Scale a picture: into the box, to fill it (the rest is cut off), or to exactly that size."""
    picture = open_image(image_url)
    return finish(work, resized(picture, width, height, mode), picture.format)


def resized(picture: Picture, width: int | None, height: int | None, mode: str) -> Picture:
    """Return a picture scaled to `fit`, `fill` or be `exact`ly a box; one side may be open."""
    box = box_of(picture.size, width, height)
    check_size(*box)
    if mode == "fill":
        return ImageOps.fit(picture, box, LANCZOS)
    whole = mode == "exact" or not (width and height)
    size = box if whole else fitting(picture.size, box)
    return picture.resize(size, LANCZOS, reducing_gap=3.0)


def crop_image(
    work: Work,
    image_url: Path,
    width: int | None = None,
    height: int | None = None,
    x: int | None = None,
    y: int | None = None,
    position: str = "center",
    aspect_ratio: str | None = None,
) -> Product:
    """Cut a piece out of a picture: of a size or an aspect ratio, at a place or a position."""
    picture = open_image(image_url)
    box = piece(picture.size, width, height, x, y, position, aspect_ratio)
    return finish(work, picture.crop(box), picture.format)


def piece(
    size: tuple[int, int],
    width: int | None,
    height: int | None,
    x: int | None,
    y: int | None,
    position: str,
    aspect_ratio: str | None,
) -> tuple[int, int, int, int]:
    """Return left, upper, right and lower edge of what is cut out.

    Raises `InvalidArguments` where it is not wholly inside.
    """
    if aspect_ratio:
        inner = fitting(_ratio(aspect_ratio), size)
    elif width or height:
        inner = (width or size[0], height or size[1])
    else:
        raise wrong("width", "no size is given.", "Give width, height or aspect_ratio.")
    left, top = anchored(position, size, inner)
    left, top = (left if x is None else x), (top if y is None else y)
    box = (left, top, left + inner[0], top + inner[1])
    if left < 0 or top < 0 or box[2] > size[0] or box[3] > size[1]:
        raise wrong(
            "width",
            f"the piece from ({left}, {top}) to ({box[2]}, {box[3]}) is not inside the "
            f"{size[0]}x{size[1]} pixels there are.",
            "Take a smaller piece or another place.",
        )
    return box


def _ratio(given: str) -> tuple[int, int]:
    width, _, height = given.partition(":")
    try:
        ratio = float(width), float(height)
    except ValueError:
        ratio = (0.0, 0.0)
    if not all(0.001 <= side <= 10_000 for side in ratio):
        raise wrong("aspect_ratio", f"{given[:20]!r} is none.", "Write it as 16:9.")
    return round(ratio[0] * 10_000), round(ratio[1] * 10_000)


def pad_image(
    work: Work,
    image_url: Path,
    width: int | None = None,
    height: int | None = None,
    aspect_ratio: str | None = None,
    margin: int = 0,
    position: str = "center",
    color: str = "white",
) -> Product:
    """Put a picture on a larger ground: of a size, an aspect ratio, or a margin all around."""
    picture = open_image(image_url)
    size = ground_size(picture.size, width, height, aspect_ratio, margin)
    ground = canvas(size, colour_of("color", color))
    place = anchored(position, size, picture.size, margin)
    return finish(work, laid(ground, picture, place), picture.format)


def ground_size(
    size: tuple[int, int],
    width: int | None,
    height: int | None,
    aspect_ratio: str | None,
    margin: int = 0,
) -> tuple[int, int]:
    """Return how large the ground is that something of `size` is put on.

    Raises `InvalidArguments` where it is smaller than that.
    """
    inner = (size[0] + 2 * margin, size[1] + 2 * margin)
    if aspect_ratio:
        ratio = _ratio(aspect_ratio)
        height_for_width = round(inner[0] * ratio[1] / ratio[0])
        if height_for_width >= inner[1]:
            return inner[0], height_for_width
        return round(inner[1] * ratio[0] / ratio[1]), inner[1]
    if not (width or height or margin):
        raise wrong("width", "no size is given.", "Give width, height, aspect_ratio or margin.")
    outer = (width or inner[0], height or inner[1])
    if outer[0] < inner[0] or outer[1] < inner[1]:
        raise wrong(
            "width",
            f"{outer[0]}x{outer[1]} is smaller than what it is to hold, {inner[0]}x{inner[1]}.",
            "Make it larger, or scale or crop first.",
        )
    return outer


def laid(ground: Picture, picture: Picture, place: tuple[int, int]) -> Picture:
    """Return the ground with a picture on it, clear parts of which let it through."""
    if picture.mode != "RGBA":
        ground.paste(picture, place)
        return ground
    mode = ground.mode
    ground = ground.convert("RGBA")
    layer = Image.new("RGBA", ground.size, (0, 0, 0, 0))
    layer.paste(picture, place)
    return Image.alpha_composite(ground, layer).convert(mode)


def rotate_image(
    work: Work,
    image_url: Path,
    angle: float = 0,
    flip: str = "none",
    color: str = "transparent",
) -> Product:
    """Turn a picture clockwise, by any angle, and mirror it. Corners that open get `color`."""
    picture = open_image(image_url)
    if flip in ("horizontal", "both"):
        picture = _kept(picture, ImageOps.mirror(picture))
    if flip in ("vertical", "both"):
        picture = _kept(picture, ImageOps.flip(picture))
    return finish(work, _turned(picture, angle % 360, color), picture.format)


def _kept(before: Picture, after: Picture) -> Picture:
    after.format = before.format
    return after


def _turned(picture: Picture, angle: float, color: str) -> Picture:
    if angle == 0:
        return picture
    if turn := TURNS.get(int(angle)) if angle == int(angle) else None:
        return picture.transpose(turn)
    ground = colour_of("color", color)
    if ground[3] == 255 and picture.mode == "RGB":
        return picture.rotate(-angle, Image.Resampling.BICUBIC, expand=True, fillcolor=ground[:3])
    return picture.convert("RGBA").rotate(
        -angle, Image.Resampling.BICUBIC, expand=True, fillcolor=ground
    )


def adjust_image(
    work: Work,
    image_url: Path,
    brightness: float = 1,
    contrast: float = 1,
    saturation: float = 1,
    blur: float = 0,
    sharpen: float = 0,
    effect: str = "none",
) -> Product:
    """Change light and colour (1 leaves them), blur by a radius in pixels, sharpen, tint."""
    picture = open_image(image_url)
    colours = picture.convert("RGB")
    for kind, factor in (
        (ImageEnhance.Brightness, brightness),
        (ImageEnhance.Contrast, contrast),
        (ImageEnhance.Color, saturation),
    ):
        colours = kind(colours).enhance(factor) if factor != 1 else colours
    colours = _effect(colours, effect)
    changed = _with_clear(picture, colours)
    if blur:
        changed = changed.filter(ImageFilter.GaussianBlur(blur))
    if sharpen:
        changed = changed.filter(ImageFilter.UnsharpMask(radius=2, percent=round(100 * sharpen)))
    return finish(work, changed, picture.format)


def _effect(picture: Picture, effect: str) -> Picture:
    if effect == "grayscale":
        return ImageOps.grayscale(picture).convert("RGB")
    if effect == "sepia":
        return ImageOps.colorize(ImageOps.grayscale(picture), "#1c1208", "#fff2d8", mid="#a08058")
    if effect == "invert":
        return ImageOps.invert(picture)
    return ImageOps.autocontrast(picture, cutoff=0.5) if effect == "auto_contrast" else picture


def _with_clear(before: Picture, colours: Picture) -> Picture:
    """Give changed colours the transparency that the picture had."""
    if before.mode == "RGBA":
        colours = colours.convert("RGBA")
        colours.putalpha(before.getchannel("A"))
    return colours


def convert_image(work: Work, image_url: Path) -> Product:
    """Save a picture in the format and quality asked for; clear parts turn white in JPEG."""
    return finish(work, open_image(image_url))


def remove_metadata(work: Work, image_url: Path) -> Product:
    """Save a picture without camera, place, author, profile or any other data beside its pixels."""
    picture = open_image(image_url)
    return finish(work, picture, picture.format)


def upscale_image(work: Work, image_url: Path, scale: float = 2, sharpen: float = 0.3) -> Product:
    """Enlarge a picture by Lanczos and sharpen it a little; nothing is invented."""
    picture = open_image(image_url)
    size = (round(picture.width * scale), round(picture.height * scale))
    check_size(*size)
    large = picture.resize(size, LANCZOS)
    if sharpen:
        unsharp = ImageFilter.UnsharpMask(radius=scale, percent=round(100 * sharpen), threshold=2)
        large = large.filter(unsharp)
    return finish(work, large, picture.format)
