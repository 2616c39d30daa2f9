"""Looks at what a model made: is it black, silent, empty, or not what was asked for?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from anyio import to_thread

from media_mcp.errors import BadMedia
from media_mcp.job import JSON, Asset, MediaKind
from media_mcp.media.pictures import eight_bits, open_picture
from media_mcp.media.sniff import HEAD, Format, sniff
from media_mcp.media.streams import frames_at, samples

if TYPE_CHECKING:
    from PIL.Image import Image

BLACK = 8  # of 255: nothing brighter counts as black
FLAT = 4  # of 255: a spread within what lossy encoding adds
SILENCE = 33  # of 32768: -60 dB of full scale
CLIPPED = 0.01  # the share of samples at full scale that is heard
DRIFT = 0.1  # the share by which a duration may differ
MOMENTS = (0.05, 0.25, 0.5, 0.75, 0.95)  # where in a video its pictures are looked at
MAX_TEXT = 2**20
NUMBER = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?(?:s|px)?")


async def check_output(asset: Asset, expected: Mapping[str, JSON]) -> tuple[str, ...]:
    """Return what is wrong with an output, one sentence each; empty: nothing was found.

    `expected` may hold `kind`, `width` and `height` (pixels) and `duration` (seconds).
    """
    looks = await to_thread.run_sync(_look, asset)
    return (*_compare(asset, expected), *looks)


def _compare(asset: Asset, expected: Mapping[str, JSON]) -> list[str]:
    findings = []
    kind = expected.get("kind")
    if kind is not None and kind != asset.kind:
        findings.append(f"The output is of kind {asset.kind} ({asset.mime_type}), not {kind}.")
    for side in ("width", "height"):
        asked, got = _number(expected.get(side)), getattr(asset, side)
        if asked is not None and got is not None and asked != got:
            findings.append(f"The {side} is {got} px; {asked:g} px were asked for.")
    asked, got = _number(expected.get("duration")), asset.duration
    if asked and got is not None and abs(got - asked) > DRIFT * asked:
        findings.append(f"The duration is {got:.2f} s; {asked:.2f} s were asked for.")
    return findings


def _number(value: JSON) -> float | None:
    """Return what was asked for as a number: models take durations as `5`, `"5"` and `"5s"`."""
    match = NUMBER.fullmatch(str(value))
    return float(match.group(1)) if match else None


def _look(asset: Asset) -> list[str]:
    look = LOOKS.get(asset.kind)
    if look is None:
        return []
    try:
        with asset.path.open("rb") as file:
            found = sniff(file.read(HEAD))
        return look(asset, found)
    except BadMedia as error:
        return [error.message]
    except OSError as error:
        return [f"The file cannot be opened: {(error.strerror or 'unknown').lower()}."]


def _look_at_image(asset: Asset, found: Format | None) -> list[str]:
    if found is None:
        return []
    with open_picture(asset.path, found.name) as image:
        if image.has_transparency_data and _extrema(image, "RGBA")[3][1] == 0:
            return ["The image is fully transparent."]
        words = _plain(eight_bits(image))
    return [f"The image is {words}."] if words else []


def _look_at_video(asset: Asset, found: Format | None) -> list[str]:
    name, seconds = found.name if found else "", asset.duration or 0.0
    moments = [seconds * share for share in MOMENTS]
    seen = [_plain(frame) for _, frame in frames_at(asset.path, name, moments)]
    findings = [f"The video is {seen[0]} throughout."] if seen and all(seen) else []
    return findings + _sound(asset.path, name, "The sound track")


def _look_at_audio(asset: Asset, found: Format | None) -> list[str]:
    return _sound(asset.path, found.name if found else "", "The audio")


def _look_at_text(asset: Asset, found: Format | None) -> list[str]:
    with asset.path.open("rb") as file:
        return [] if file.read(MAX_TEXT).strip() else ["The text is empty."]


Look = Callable[[Asset, Format | None], list[str]]
LOOKS: dict[MediaKind, Look] = {
    MediaKind.IMAGE: _look_at_image,
    MediaKind.VIDEO: _look_at_video,
    MediaKind.AUDIO: _look_at_audio,
    MediaKind.TEXT: _look_at_text,
}


def _plain(image: Image) -> str:
    """Return `all black`, `one flat colour (r, g, b)` or nothing."""
    spread = _extrema(image, "RGB")
    if max(high for _, high in spread) <= BLACK:
        return "all black"
    if all(high - low <= FLAT for low, high in spread):
        return f"one flat colour ({', '.join(str(low) for low, _ in spread)})"
    return ""


def _extrema(image: Image, mode: str) -> tuple[tuple[int, int], ...]:
    """Return the least and the greatest value of each channel."""
    return cast("tuple[tuple[int, int], ...]", image.convert(mode).getextrema())


def _sound(path: Path, name: str, what: str) -> list[str]:
    count = full = peak = 0
    for block in samples(path, name, rate=None, mono=False):
        count += len(block)
        full += block.count(32767) + block.count(-32768)
        peak = max(peak, max(block, default=0), -min(block, default=0))
    if count and peak <= SILENCE:
        return [f"{what} is silent."]
    if count and full / count > CLIPPED:
        return [f"{what} is clipped: {full / count:.0%} of its samples are at full scale."]
    return []
