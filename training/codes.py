"""The numbers that the text encoder writes for a picture, and that the picture model reads.

A prompt becomes `SLOTS` tokens (picture kind and background, second colour or ground, weather,
then up to six objects), followed by constant anchors that tell every patch where it is. A token
that says nothing (an absent object, a word of the prompt) is all zeros.
"""

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from spec import (
    BACKDROPS,
    COLOURS,
    GROUNDS,
    ITEMS,
    MAX_ITEMS,
    PATTERNS,
    RADII,
    SCALES,
    SIDE,
    SKIES,
    WEATHERS,
    Item,
    Spec,
)

Code: TypeAlias = npt.NDArray[np.float32]
PATCH = 8
GRID = SIDE // PATCH
SLOTS = 3 + MAX_ITEMS
ANCHORS = 2 * GRID
WIDTH = 128
THETA = 30
AXIS = 12
# The rotary frequencies let attention find a place; the two high ones tell half patches apart.
FREQUENCIES = [THETA ** (-2 * i / AXIS) for i in range(AXIS // 2)] + [math.pi / 2, math.pi]
KINDS = ("shapes", "pattern", "scene")

_FIELDS: dict[str, tuple[str, ...]] = {
    "present": ("yes",),
    "kind": KINDS,
    "item": ITEMS,
    "colour": tuple(COLOURS),
    "size": tuple(map(str, range(len(RADII)))),
    "sky": SKIES,
    "ground": GROUNDS,
    "backdrop": BACKDROPS,
    "weather": WEATHERS,
    "pattern": PATTERNS,
    "scale": SCALES,
    "anchor": ("row", "column"),
}
INDEX = {
    pair: i
    for i, pair in enumerate((field, value) for field, vs in _FIELDS.items() for value in vs)
}
PLACE = len(INDEX)
USED = PLACE + 4 * len(FREQUENCIES)


def encode(spec: Spec) -> Code:
    """The slot tokens of a picture."""
    code: Code = np.zeros((SLOTS, USED), np.float32)
    _mark(code[0], kind=spec.kind, colour=spec.colour, pattern=spec.pattern)
    _mark(code[0], scale=spec.scale, sky=spec.sky)
    if spec.second or spec.ground:
        _mark(code[1], colour=spec.second, ground=spec.ground, backdrop=spec.backdrop)
    if spec.weather:
        _mark(code[2], weather=spec.weather)
    for row, item in zip(code[3:], spec.items, strict=False):
        _mark_item(row, item)
    return code


def anchors() -> Code:
    """The constant tokens, one for each row and each column of patches."""
    code: Code = np.zeros((ANCHORS, USED), np.float32)
    half = 2 * len(FREQUENCIES)
    for i in range(GRID):
        _mark(code[i], anchor="row")
        code[i, PLACE : PLACE + half] = _waves(i)
        _mark(code[GRID + i], anchor="column")
        code[GRID + i, PLACE + half :] = _waves(i)
    return code


def _mark(row: Code, **values: str) -> None:
    row[INDEX["present", "yes"]] = 1
    for field, value in values.items():
        if value:
            row[INDEX[field, value]] = 1


def _mark_item(row: Code, item: Item) -> None:
    _mark(row, item=item.kind, colour=item.colour)
    if item.size >= 0:
        _mark(row, size=str(item.size))
    row[PLACE:] = np.concatenate([_waves(_patches(item.y)), _waves(_patches(item.x))])


def _patches(pixel: int) -> float:
    """A pixel coordinate in patches, counted from the middle of the first patch."""
    return (pixel - PATCH / 2) / PATCH


def _waves(place: float) -> Code:
    angles = np.array(FREQUENCIES) * place
    return np.concatenate([np.cos(angles), np.sin(angles)]).astype(np.float32)
