"""Opening and saving pictures, the same for every tool."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms, ImageColor, ImageOps, UnidentifiedImageError

from media_mcp.worker import encode
from media_mcp.worker.pipelines.tools.faults import (
    MAX_PIXELS,
    MAX_SIDE,
    check_size,
    unreadable,
    wrong,
)
from media_mcp.worker.protocol import Made
from media_mcp.worker.work import Product, Work

READ = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
Picture = Image.Image


def open_image(path: Path) -> Picture:
    """Return a picture upright, in RGB or RGBA and in the colours of the screen (sRGB).

    Of an animation it is the first frame. Raises `BadMedia` for what is no picture.
    """
    try:
        with Image.open(path, formats=READ) as image:
            if image.width * image.height > MAX_PIXELS or max(image.size) > 2 * MAX_SIDE:
                raise unreadable(path, "a picture", f"{image.width}x{image.height} is too large")
            format_, profile = image.format, image.info.get("icc_profile")
            upright = ImageOps.exif_transpose(image)
            picture = _in_srgb(_plain(upright), profile)
    except UnidentifiedImageError:
        raise unreadable(path, "a picture", "its bytes are none that are known") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        said = str(error).partition("\n")[0].rstrip(".")[:120]
        raise unreadable(path, "a picture", said or "it is damaged") from None
    picture.info.clear()
    picture.format = format_
    return picture


def _plain(image: Picture) -> Picture:
    if image.mode in _DEEP:
        image = image.convert("F").point(lambda value: value / 257).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _in_srgb(picture: Picture, profile: bytes | None) -> Picture:
    """Turn the colours of another profile into the screen's; one that is damaged does not count."""
    if not profile:
        return picture
    import io

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        turned = ImageCms.profileToProfile(picture, source, target, outputMode=picture.mode)
    except (ImageCms.PyCMSError, OSError):
        return picture
    return turned or picture


def finish(work: Work, picture: Picture, like: str | None = None, **facts: Any) -> Product:
    """Save one picture, in the format of the one it was made of (`like`) unless told otherwise."""
    return Product((save(work, picture, like=like),), facts)


def save(work: Work, picture: Picture, *, like: str | None = None, index: int = 0) -> Made:
    """Save a picture as the call or the card says, else as `like`, else as PNG."""
    check_size(*picture.size)
    usual = (like or "png").lower()
    wish = encode.wished(work, encode.PICTURES, usual if usual in encode.PICTURES else "png")
    if wish.name == "jpeg":
        picture = on_paper(picture)
    made = encode.place_for(work, None, index, wish.format)
    encode.write_picture(picture, work.folder / made.path, wish)
    return made


def on_paper(picture: Picture, colour: str = "white") -> Picture:
    """Lay a picture that is clear in places on one colour."""
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    paper = Image.new("RGBA", picture.size, colour)
    return Image.alpha_composite(paper, picture).convert("RGB")


def colour_of(field: str, given: str) -> tuple[int, int, int, int]:
    """Return red, green, blue and opacity of `red`, `#f80`, `#ff8800cc` or `transparent`.

    Raises `InvalidArguments` for a word that names no colour.
    """
    if given.strip().lower() == "transparent":
        return (0, 0, 0, 0)
    try:
        red, green, blue, *rest = ImageColor.getrgb(given.strip())
    except ValueError:
        hint = "Write red, #ff8800, #ff8800cc (with opacity), rgb(255,136,0) or transparent."
        raise wrong(field, f"{given[:40]!r} is no colour.", hint) from None
    return (red, green, blue, rest[0] if rest else 255)


def canvas(size: tuple[int, int], colour: tuple[int, int, int, int]) -> Picture:
    """Return an even picture: RGB where the colour covers, RGBA where it is clear in part."""
    check_size(*size)
    return (
        Image.new("RGBA", size, colour) if colour[3] < 255 else Image.new("RGB", size, colour[:3])
    )


ANCHORS: Mapping[str, tuple[float, float]] = {
    "center": (0.5, 0.5),
    "top": (0.5, 0),
    "bottom": (0.5, 1),
    "left": (0, 0.5),
    "right": (1, 0.5),
    "top_left": (0, 0),
    "top_right": (1, 0),
    "bottom_left": (0, 1),
    "bottom_right": (1, 1),
}


def anchored(
    position: str, outer: tuple[int, int], inner: tuple[int, int], margin: int = 0
) -> tuple[int, int]:
    """Return where the left upper corner of `inner` lies in `outer`, `margin` from its edges."""
    across, down = ANCHORS.get(position, ANCHORS["center"])
    left = margin + across * (outer[0] - inner[0] - 2 * margin)
    top = margin + down * (outer[1] - inner[1] - 2 * margin)
    return round(left), round(top)


def fitting(size: tuple[int, int], box: tuple[int, int], *, cover: bool = False) -> tuple[int, int]:
    """Return `size` scaled, in proportion, to lie within `box`, or to cover it."""
    factors = (box[0] / size[0], box[1] / size[1])
    factor = max(factors) if cover else min(factors)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def box_of(size: tuple[int, int], width: int | None, height: int | None) -> tuple[int, int]:
    """Return the box that is asked for, a side that is left open in proportion.

    Raises `InvalidArguments` where neither side is given.
    """
    if not width and not height:
        raise wrong("width", "neither width nor height is given.", "Give at least one of them.")
    if width and height:
        return width, height
    if width:
        return width, max(1, round(size[1] * width / size[0]))
    return max(1, round(size[0] * (height or 1) / size[1])), height or 1
