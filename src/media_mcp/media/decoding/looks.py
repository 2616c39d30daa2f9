"""Looks into a file that a model made: is it black, flat, still, silent, clipped or empty?"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from media_mcp.job import MediaKind
from media_mcp.media.decoding.drawing import render_picture
from media_mcp.media.decoding.pictures import eight_bits, holds_nan, open_picture
from media_mcp.media.decoding.probing import probe_file
from media_mcp.media.decoding.streams import (
    MAX_FRAME_STEPS,
    float_samples,
    frames_at,
    frames_numbered,
    samples,
)
from media_mcp.media.facts import Facts, Flaw, Seen, broken
from media_mcp.media.sniff import HEAD, sniff

if TYPE_CHECKING:
    from PIL.Image import Image

BLACK = 8  # of 255: nothing brighter counts as black
FLAT = 4  # of 255: a spread within what lossy encoding adds
STILL = 3  # of 255: what encoding alone changes in a picture of 32 pixels a side
SMALL = (32, 32)
SILENCE = 33  # of 32768: -60 dB of full scale
CLIPPED = 0.01  # the share of samples at full scale that is heard
MOMENTS = (0.05, 0.25, 0.5, 0.75, 0.95)  # where in a video its pictures are looked at
EDGE = 3  # frames at its beginning and end: one that is black there is no fade
MAX_TEXT = 2**20
SHAPES = re.compile(
    rb"<(?:\w{1,20}:)?(?:path|rect|circle|ellipse|line|polyline|polygon|text|image|use)[\s/>]"
)
EMPTY = (b"", b"{}", b"[]", b"null", b'""')


def read(path: Path, claimed: str | None = None, *, draw: bool = False) -> Seen:
    """Return what a file is and what is wrong with it, decoding a still picture but once.

    Asked to `draw`, a small JPEG of a picture is there, too. Raises `BadMedia`.
    """
    first: list[Flaw | None] = []
    drawn: list[bytes] = []

    def see(image: Image) -> None:
        first.append(_first_flaw(image))
        if draw:
            with suppress(Exception):  # a picture that cannot be drawn is none the worse for it
                drawn.append(render_picture(image))

    facts = probe_file(path, claimed, see)
    jpeg = drawn[0] if drawn else None
    if facts.kind is MediaKind.IMAGE and facts.frames == 1 and first:
        return Seen(facts, _of_image(first), jpeg)
    return Seen(facts, look(path, facts), jpeg)


def look(path: Path, facts: Facts) -> tuple[Flaw, ...]:
    """Return what is wrong with what a file holds. Raises `BadMedia` where it does not decode."""
    looked = LOOKS.get(facts.kind)
    return tuple(looked(path, facts)) if looked else ()


def _name(path: Path) -> str:
    with path.open("rb") as file:
        found = sniff(file.read(HEAD))
    return found.name if found else ""


def _look_at_image(path: Path, facts: Facts) -> list[Flaw]:
    if facts.extension == "svg":
        drawn = _any_shape(path)
        return [] if drawn else [Flaw("empty", "The drawing has no shapes.")]
    with open_picture(path, _name(path)) as image:
        frames = _some_frames(image, facts.frames or 1)
        return list(_of_image([_first_flaw(frame) for frame in frames]))


def _of_image(found: Sequence[Flaw | None]) -> tuple[Flaw, ...]:
    """Return what is wrong with a picture of these frames: only what is so with each of them."""
    if (first := found[0]) is None or not all(found):
        return ()
    return (Flaw(first.code, f"The image {first.message}."),)


def _first_flaw(image: Image) -> Flaw | None:
    if image.mode == "F" and holds_nan(image):
        return Flaw("nan", "holds values that are no numbers (NaN)")
    plain = _plainness(image)
    return Flaw(plain.code, f"is {plain.message}") if plain else None


def _some_frames(image: Image, count: int) -> list[Image]:
    """Return the first, middle and last frame of an animation; of a still, that one."""
    frames = []
    for number in sorted({0, count // 2, count - 1}):
        if number:
            image.seek(number)
        frames.append(image.copy() if count > 1 else image)
    return frames


def _any_shape(path: Path) -> bool:
    rest = b""
    with path.open("rb") as file:
        while chunk := file.read(MAX_TEXT):
            if SHAPES.search(rest + chunk):
                return True
            rest = chunk[-64:]
    return False


def _look_at_video(path: Path, facts: Facts) -> list[Flaw]:
    name = _name(path)
    return [*_moving(path, name, facts), *_sound(path, name, "The sound track", "silent_track")]


@dataclass(frozen=True, slots=True)
class _Shot:
    """What is kept of a frame: if it is plain, how bright it is (0 to 255), and it made small."""

    plain: Flaw | None
    bright: float
    small: Image

    @classmethod
    def of(cls, image: Image) -> _Shot:
        small = image.convert("RGB").resize(SMALL, reducing_gap=2.0)
        mean = cast("int", small.convert("L").resize((1, 1)).getpixel((0, 0)))
        return cls(_plainness(image), float(mean), small)


def _moving(path: Path, name: str, facts: Facts) -> list[Flaw]:
    count, edges = facts.frames or 0, {0, EDGE - 1}
    if count <= MAX_FRAME_STEPS:  # decoded once: each seek would decode from a key frame on
        numbers = [min(count - 1, int(share * count)) for share in MOMENTS]
        shots = _numbered(path, name, {*numbers, *edges, count - EDGE, count - 1})
        seen = [shots[n] for n in sorted(set(numbers)) if n in shots]
    else:
        moments = [(facts.duration or 0.0) * share for share in MOMENTS]
        seen = [_Shot.of(image) for _, image in frames_at(path, name, moments)]
        shots = _numbered(path, name, edges)
    if not seen:
        return []
    if all(shot.plain for shot in seen) and (plain := seen[0].plain):
        return [Flaw(plain.code, f"The video is {plain.message} throughout.")]
    if len(seen) > 2 and all(_alike(seen[0], other) for other in seen[1:]):
        return [Flaw("still", "The video stands still: all its frames are the same.")]
    usual = seen[len(seen) // 2].bright
    return _edges(shots, count, usual) if count >= 4 * EDGE else []


def _numbered(path: Path, name: str, numbers: set[int]) -> dict[int, _Shot]:
    found = frames_numbered(path, name, {n for n in numbers if n >= 0})
    return {number: _Shot.of(image) for number, image in found}


def _edges(shots: Mapping[int, _Shot], count: int, usual: float) -> list[Flaw]:
    """Find a first or last frame that is black though its neighbours are as bright as the rest."""
    found = []
    for what, edge, inner in (("first", 0, EDGE - 1), ("last", count - 1, count - EDGE)):
        if edge in shots and inner in shots and (plain := shots[edge].plain):
            bright = shots[inner].bright
            if plain.code == "black" and bright > 2 * BLACK and bright >= usual / 2:
                found.append(Flaw("black_edge", f"The {what} frame of the video is black."))
    return found


def _alike(one: _Shot, other: _Shot) -> bool:
    from PIL import ImageChops

    spread = _extrema(ImageChops.difference(one.small, other.small), "RGB")
    return max(high for _, high in spread) <= STILL


def _look_at_audio(path: Path, facts: Facts) -> list[Flaw]:
    return _sound(path, _name(path), "The audio", "silent")


def _look_at_text(path: Path, facts: Facts) -> list[Flaw]:
    with path.open("rb") as file:
        text = file.read(MAX_TEXT).strip()
    if text.removeprefix(codecs.BOM_UTF8) in EMPTY:
        return [Flaw("empty", "The text is empty.")]
    if facts.extension in ("vtt", "srt") and b"-->" not in text:
        return [Flaw("empty", "The subtitles hold no line.")]
    return []


def _look_at_model(path: Path, facts: Facts) -> list[Flaw]:
    with path.open("rb") as file:
        head = file.read(20) if facts.extension == "glb" else b""
        length = int.from_bytes(head[12:16], "little") if head else MAX_TEXT * 16
        text = file.read(min(length, MAX_TEXT * 16))
    try:
        scene = json.loads(text)
    except (ValueError, RecursionError):
        raise broken("glTF model", "its JSON is damaged") from None
    meshes = scene.get("meshes") if isinstance(scene, dict) else None
    return [] if meshes else [Flaw("empty", "The 3D model holds no mesh.")]


Look = Callable[[Path, Facts], list[Flaw]]
LOOKS: dict[MediaKind, Look] = {
    MediaKind.IMAGE: _look_at_image,
    MediaKind.VIDEO: _look_at_video,
    MediaKind.AUDIO: _look_at_audio,
    MediaKind.TEXT: _look_at_text,
    MediaKind.MODEL3D: _look_at_model,
}


def _plainness(image: Image) -> Flaw | None:
    """Say whether a picture is `fully transparent`, `all black` or `one flat colour (r, g, b)`."""
    if image.has_transparency_data and _extrema(image, "RGBA")[3][1] == 0:
        return Flaw("transparent", "fully transparent")
    seen = eight_bits(image)
    if _black(seen):
        return Flaw("black", "all black")
    spread = _extrema(seen, "RGB")
    if all(high - low <= FLAT for low, high in spread):
        colour = ", ".join(str(low) for low, _ in spread)
        return Flaw("flat", f"one flat colour ({colour})")
    return None


def _black(image: Image) -> bool:
    return max(high for _, high in _extrema(image, "RGB")) <= BLACK


def _extrema(image: Image, mode: str) -> tuple[tuple[int, int], ...]:
    """Return the least and the greatest value of each channel."""
    return cast("tuple[tuple[int, int], ...]", image.convert(mode).getextrema())


def _sound(path: Path, name: str, what: str, silent: str) -> list[Flaw]:
    if any(total != total for total in float_samples(path, name)):
        return [Flaw("nan", f"{what} holds samples that are no numbers (NaN).")]
    count = full = peak = 0
    for block in samples(path, name, rate=None, mono=False):
        count += len(block)
        full += block.count(32767) + block.count(-32768)
        peak = max(peak, max(block, default=0), -min(block, default=0))
    if count and peak <= SILENCE:
        return [Flaw(silent, f"{what} is silent.")]
    if count and full / count > CLIPPED:
        share = f"{full / count:.0%}"
        return [Flaw("clipped", f"{what} is clipped: {share} of its samples are at full scale.")]
    return []
