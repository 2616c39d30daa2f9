"""How much two files of one kind differ, in numbers: for comparing two ways to make the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from media_mcp.errors import BadMedia
from media_mcp.job import Asset, MediaKind
from media_mcp.media.decoding.pictures import eight_bits, open_picture
from media_mcp.media.decoding.streams import frames_at, samples
from media_mcp.media.sniff import HEAD, sniff

FULL = {MediaKind.IMAGE: 255, MediaKind.VIDEO: 255, MediaKind.AUDIO: 32767}
LOOKS = 9  # frames of a video that are compared


@dataclass(frozen=True, slots=True)
class Likeness:
    """The largest difference of any value, as a share of full scale, and the mean square of all."""

    most: float = 0.0
    mean_square: float = 0.0

    @property
    def same(self) -> bool:
        """Whether every value is the same."""
        return self.most == 0

    @property
    def psnr(self) -> float:
        """The peak signal-to-noise ratio in dB; infinite for what is the same."""
        return -10 * math.log10(self.mean_square) if self.mean_square else math.inf


def compare(ones: Sequence[Asset], others: Sequence[Asset]) -> Likeness | None:
    """Compare the assets of two jobs pair by pair: pictures by pixel, videos by frames, sound.

    None where they cannot be compared: other kinds, numbers, sizes or durations.
    """
    if len(ones) != len(others) or not ones:
        return None
    try:
        return _mean([_pair(one, other) for one, other in zip(ones, others, strict=True)])
    except (BadMedia, OSError, ValueError):
        return None


def _mean(found: Sequence[Likeness]) -> Likeness:
    return Likeness(
        max(one.most for one in found), sum(one.mean_square for one in found) / len(found)
    )


def _pair(one: Asset, other: Asset) -> Likeness:
    if one.sha256 == other.sha256:
        return Likeness()
    if one.kind is not other.kind or one.kind not in FULL:
        raise ValueError("not the same kind")
    if one.kind is MediaKind.AUDIO:
        return _sounds(_heard(one), _heard(other))
    pairs = zip_longest(_pictures(one), _pictures(other))
    return _mean([_histogram(first, second) for first, second in pairs])


def _pictures(asset: Asset) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yield the size and the RGB values of a picture, or of frames over all of a video."""
    name = _format(asset.path)
    if asset.kind is MediaKind.IMAGE:
        with open_picture(asset.path, name) as image:
            flat = eight_bits(image).convert("RGB")
            yield flat.size, flat.tobytes()
        return
    moments = [(asset.duration or 0.0) * (n + 0.5) / LOOKS for n in range(LOOKS)]
    for _, frame in frames_at(asset.path, name, moments):
        yield frame.size, frame.convert("RGB").tobytes()


def _histogram(
    one: tuple[tuple[int, int], bytes] | None, other: tuple[tuple[int, int], bytes] | None
) -> Likeness:
    """Compare two pictures of one size by the histogram of their difference."""
    from PIL import Image, ImageChops

    if one is None or other is None or one[0] != other[0]:
        raise ValueError("not the same size")
    first, second = (Image.frombytes("RGB", size, data) for size, data in (one, other))
    counts = ImageChops.difference(first, second).histogram()
    spread = [sum(counts[value::256]) for value in range(256)]
    total = sum(spread)
    squares = sum(count * (value / 255) ** 2 for value, count in enumerate(spread))
    most = max(value for value, count in enumerate(spread) if count)
    return Likeness(most / 255, squares / total)


def _heard(asset: Asset) -> list[int]:
    blocks = samples(asset.path, _format(asset.path), rate=None, mono=False)
    return [value for block in blocks for value in block]


def _sounds(one: Sequence[int], other: Sequence[int]) -> Likeness:
    if len(one) != len(other) or not one:
        raise ValueError("not the same length")
    gaps: Iterable[int] = [abs(a - b) for a, b in zip(one, other, strict=True)]
    full = FULL[MediaKind.AUDIO]
    squares = sum((gap / full) ** 2 for gap in gaps) / len(one)
    return Likeness(max(gaps) / full, squares)


def _format(path: Path) -> str:
    with path.open("rb") as file:
        found = sniff(file.read(HEAD))
    return found.name if found else ""
