"""Reads images through Pillow, within bounds."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from media_mcp.errors import BadMedia
from media_mcp.job import MediaKind
from media_mcp.media.facts import (
    MAX_FRAMES,
    MAX_PIXELS,
    PATIENCE,
    Facts,
    broken,
    check_pixels,
    too_much,
)

if TYPE_CHECKING:
    from PIL.Image import Image

EXTENSIONS = {
    "PNG": "png",
    "JPEG": "jpg",
    "WEBP": "webp",
    "GIF": "gif",
    "BMP": "bmp",
    "TIFF": "tiff",
    "AVIF": "avif",
}
DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
ANIMATED = ("PNG", "WEBP", "GIF", "AVIF")


See = Callable[["Image"], None]


@contextmanager
def open_picture(path: Path, name: str) -> Iterator[Image]:
    """Open an image of the format `name`, not yet decoded. Raises `BadMedia`.

    What goes wrong while the caller decodes it is put into words, too.
    """
    from PIL import Image as pillow
    from PIL import UnidentifiedImageError

    try:
        with pillow.open(path, formats=[name]) as image:
            check_pixels(f"{name} image", *image.size)
            yield image
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning):
        bound = f"{MAX_PIXELS:,} pixels"
        raise too_much(f"{name} image", f"more than {bound}", bound) from None
    except UnidentifiedImageError:
        raise broken(f"{name} image", "its header is damaged or incomplete") from None
    except (BadMedia, MemoryError):
        raise
    except Exception as error:  # given hostile bytes, the decoders raise nearly anything
        raise broken(f"{name} image", _words(error)) from None


def probe_picture(path: Path, name: str, see: See | None = None) -> Facts:
    """Decode every frame of an image and return its facts; `see` is shown the first.

    Raises `BadMedia`.
    """
    with open_picture(path, name) as image:
        width, height = image.size
        image.load()
        if see is not None:
            see(image)
        frames, seconds = _animation(image) if name in ANIMATED else (1, 0.0)
    extension = EXTENSIONS[name]
    return Facts(
        MediaKind.IMAGE,
        f"image/{'jpeg' if name == 'JPEG' else extension}",
        extension,
        width,
        height,
        duration=seconds or None,
        fps=round(frames / seconds, 3) if seconds else None,
        frames=frames,
    )


def holds_nan(image: Image) -> bool:
    """Tell whether a picture of floats has pixels that are no numbers."""
    total = sum(array("f", image.tobytes()))
    return total != total


def eight_bits(image: Image) -> Image:
    """Return a picture of deep pixels scaled to 8 bits a channel, any other as it is.

    16-bit pixels keep their scale; 32-bit integers and floats are stretched to their extremes.
    """
    if image.mode not in DEEP:
        return image
    extremes = image.getextrema() if image.mode in ("I", "F") else (0, 65535)
    low, high = cast("tuple[float, float]", extremes)
    scale = 255 / ((high - low) or 1)
    return image.convert("F").point(lambda value: value * scale - low * scale).convert("L")


def _animation(image: Image) -> tuple[int, float]:
    """Decode frame after frame; return how many there are and how many seconds they last."""
    if not getattr(image, "is_animated", False):
        return 1, 0.0
    deadline, milliseconds = time.monotonic() + PATIENCE, 0.0
    for frame in range(MAX_FRAMES):
        try:
            image.seek(frame)
        except EOFError:
            return frame, milliseconds / 1000
        image.load()
        milliseconds += float(image.info.get("duration") or 0)
        if time.monotonic() > deadline:
            raise too_much(
                "animation", f"more than {frame} frames", f"what {PATIENCE:g} s can decode"
            )
    raise too_much("animation", f"more than {MAX_FRAMES} frames", f"{MAX_FRAMES}")


def _words(error: Exception) -> str:
    """Return what an `OSError` of Pillow says; the words of others help nobody."""
    text = str(error).partition("\n")[0].rstrip(".")
    plain = isinstance(error, OSError) and 0 < len(text) < 120
    return text if plain else "its data are damaged or incomplete"
