"""Draws what an agent sees of its assets: one small JPEG."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from media_mcp.errors import BadMedia
from media_mcp.job import MediaKind
from media_mcp.media.decoding.pictures import eight_bits, open_picture
from media_mcp.media.decoding.protocol import Sight
from media_mcp.media.decoding.streams import frames_at, samples
from media_mcp.media.sniff import HEAD, Format, sniff

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 512  # pixels on the long side
LEAST = 256  # smaller pictures are enlarged to this
MAX_BYTES = 40_000
TILES = 9
MARGIN = 4
LABEL = 14  # pixels high
INK, PAPER, WAVE = (32, 32, 32), (245, 245, 245), (40, 90, 160)
RATE = 4000  # hertz; enough to draw loudness


def render(assets: Sequence[Sight]) -> bytes | None:
    """Return a JPEG of at most 512 px and 40 kB that shows `assets`, or None."""
    if len(assets) == 1:
        picture = _alone(assets[0])
    else:
        shown = assets[:TILES]
        tiles = [(_label(i, assets), tile) for i, a in enumerate(shown) if (tile := _tile(a))]
        picture = _sheet(tiles) if tiles else None
    return _jpeg(picture) if picture is not None else None


def render_picture(image: Image) -> bytes:
    """Return what `render` would of the file that a picture was just decoded from."""
    return _jpeg(_small(image))


def _alone(asset: Sight) -> Image | None:
    if asset.kind is not MediaKind.VIDEO:
        return _tile(asset)
    with suppress(BadMedia, OSError):
        return _sheet([(f"{at:.1f} s", frame) for at, frame in _frames(asset, TILES)])
    return None


def _tile(asset: Sight) -> Image | None:
    """Return one picture of an asset, or None where it cannot be shown."""
    with suppress(BadMedia, OSError):
        found = _format(Path(asset.path))
        if found is not None and asset.kind is MediaKind.IMAGE:
            return _thumbnail(Path(asset.path), found.name)
        if found is not None and asset.kind is MediaKind.AUDIO:
            return _waveform(asset, found.name)
        if asset.kind is MediaKind.VIDEO:
            return next((frame for _, frame in _frames(asset, 1)), None)
    return None


def _label(index: int, assets: Sequence[Sight]) -> str:
    asset, more = assets[index], len(assets) - TILES
    size = f" · {asset.width}x{asset.height}" if asset.width and asset.height else ""
    rest = f" (+{more} more)" if more > 0 and index == TILES - 1 else ""
    return f"{index + 1}{size}{rest}"


def _format(path: Path) -> Format | None:
    with path.open("rb") as file:
        return sniff(file.read(HEAD))


def _thumbnail(path: Path, name: str) -> Image:
    with open_picture(path, name) as image:
        image.draft("RGB", (2 * SIDE, 2 * SIDE))  # lets JPEG decode at a fraction of its size
        return _small(image)


def _small(image: Image) -> Image:
    from PIL import Image as pillow
    from PIL import ImageOps

    small = eight_bits(image).convert("RGBA" if image.has_transparency_data else "RGB")
    small.thumbnail((SIDE, SIDE), pillow.Resampling.LANCZOS)
    return _flat(_enlarged(ImageOps.exif_transpose(small)))


def _enlarged(image: Image) -> Image:
    from PIL import Image as pillow

    factor = math.ceil(LEAST / max(image.size))
    if factor < 2:
        return image
    return image.resize((image.width * factor, image.height * factor), pillow.Resampling.NEAREST)


def _flat(image: Image) -> Image:
    """Lay a transparent picture on white."""
    from PIL import Image as pillow

    if image.mode != "RGBA":
        return image
    paper = pillow.new("RGBA", image.size, (255, 255, 255, 255))
    return pillow.alpha_composite(paper, image).convert("RGB")


def _frames(asset: Sight, count: int) -> Iterator[tuple[float, Image]]:
    """Yield up to `count` frames, each from the middle of an equal share of the video."""
    found, seconds = _format(Path(asset.path)), asset.duration or 0.0
    moments = [seconds * (i + 0.5) / count for i in range(count)]
    return frames_at(Path(asset.path), found.name, moments) if found else iter(())


def _sheet(tiles: Sequence[tuple[str, Image]]) -> Image | None:
    """Lay pictures out in a grid, each with its label below, within 512 px."""
    from PIL import Image as pillow
    from PIL import ImageDraw

    if not tiles:
        return None
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    width = SIDE // columns
    height = min(SIDE // rows, _tallest(tiles, width - MARGIN) + LABEL + MARGIN)
    sheet = pillow.new("RGB", (width * columns, height * rows), PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, (label, picture) in enumerate(tiles):
        left, top = i % columns * width, i // columns * height
        small = _fit(picture, width - MARGIN, height - LABEL - MARGIN)
        sheet.paste(small, (left + (width - small.width) // 2, top + MARGIN // 2))
        draw.text((left + MARGIN, top + height - LABEL), label, fill=INK)
    return sheet


def _tallest(tiles: Sequence[tuple[str, Image]], width: int) -> int:
    return max(math.ceil(picture.height * width / picture.width) for _, picture in tiles)


def _fit(picture: Image, width: int, height: int) -> Image:
    from PIL import Image as pillow

    factor = min(width / picture.width, height / picture.height)
    size = (max(1, int(picture.width * factor)), max(1, int(picture.height * factor)))
    method = pillow.Resampling.NEAREST if factor > 1 else pillow.Resampling.LANCZOS
    return picture.convert("RGB").resize(size, method)


def _waveform(asset: Sight, name: str) -> Image:
    """Draw loudness over time: the peak of each of 512 shares of the sound."""
    from PIL import Image as pillow
    from PIL import ImageDraw

    height = SIDE // 4
    image = pillow.new("RGB", (SIDE, height), PAPER)
    draw = ImageDraw.Draw(image)
    for x, peak in enumerate(_peaks(asset, name)):
        reach = peak / 32768 * (height / 2 - 1)
        draw.line((x, height / 2 - reach, x, height / 2 + reach), fill=WAVE)
    draw.text((MARGIN, height - LABEL), f"{asset.duration or 0:.1f} s", fill=INK)
    return image


def _peaks(asset: Sight, name: str) -> list[int]:
    total = (asset.duration or 0.0) * RATE
    peaks, column, seen = [0] * SIDE, 0, 0
    for block in samples(Path(asset.path), name, rate=RATE, mono=True):
        while block and column < SIDE:
            edge = math.ceil((column + 1) * total / SIDE)
            part, block = block[: edge - seen], block[edge - seen :]
            peaks[column] = max(peaks[column], max(part, default=0), -min(part, default=0))
            seen += len(part)
            column += seen >= edge
    return peaks


def _jpeg(image: Image) -> bytes:
    """Encode within 40 kB: lower the quality first, then the size."""
    while True:
        for quality in (85, 75, 65, 55, 45, 35):
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=quality, optimize=True)
            if buffer.tell() <= MAX_BYTES:
                return buffer.getvalue()
        image = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)))
