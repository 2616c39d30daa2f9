"""Pixel checks: does a picture show what its description says? No model is involved."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import find_objects, label

from draw import GROUND, SKY, pattern_mix, render
from scenery import dim
from spec import COLOURS, HORIZON, RADII, SHAPES, SIDE, THINGS, Item, Spec

Picture: TypeAlias = npt.NDArray[np.uint8]
Mask: TypeAlias = npt.NDArray[np.bool_]
NAMES = tuple(COLOURS)
PALETTE = np.array([COLOURS[name] for name in NAMES], float)
NEAR = 6
SMALLEST = 12
MIRRORED = (0, 1)


def check(picture: Picture, spec: Spec) -> dict[str, bool]:
    """The result of every test that applies to the picture, by category."""
    checks = {"shapes": _check_shapes, "pattern": _check_pattern, "scene": _check_scene}
    return checks[spec.kind](picture, spec)


def labels(picture: Picture) -> npt.NDArray[np.int64]:
    """The nearest palette colour of every pixel, as an index into the palette."""
    distance = np.linalg.norm(picture[:, :, None].astype(float) - PALETTE, axis=-1)
    return distance.argmin(-1)


def blobs(mask: Mask) -> list[Mask]:
    """The connected parts of a mask that are large enough to count."""
    parts, count = label(mask)
    masks = [parts == i + 1 for i in range(count)]
    return [part for part in masks if part.sum() >= SMALLEST]


def middle(mask: Mask) -> tuple[float, float]:
    """The centre (x, y) of a mask's bounding box."""
    rows, columns = find_objects(mask.astype(int))[0]
    return (columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2


def _check_shapes(picture: Picture, spec: Spec) -> dict[str, bool]:
    seen = labels(picture)
    border = np.concatenate([seen[:2].ravel(), seen[-2:].ravel(), seen[:, :2].ravel()])
    right = np.bincount(border, minlength=len(NAMES)).argmax() == NAMES.index(spec.colour)
    result = {"background": bool(right)}
    if not spec.items:
        return result
    by_colour = {c: blobs(seen == NAMES.index(c)) for c in {i.colour for i in spec.items}}
    result["binding"] = all(_found(by_colour[i.colour], i, 3 * NEAR) for i in spec.items)
    result["position"] = all(_found(by_colour[i.colour], i, _reach(i)) for i in spec.items)
    if not any(i.kind in THINGS for i in spec.items):
        result["count"] = all(
            len(parts) == sum(i.colour == c for i in spec.items) for c, parts in by_colour.items()
        )
        result["shape"] = all(_is_shape(by_colour[i.colour], i) for i in spec.items)
    return result


def _reach(item: Item) -> float:
    """How far the named colour may lie off: of a boat, say, only the hull has it."""
    return 2 * NEAR if item.kind in THINGS else NEAR


def _found(parts: Sequence[Mask], item: Item, reach: float) -> bool:
    return any(np.hypot(x - item.x, y - item.y) <= reach for x, y in map(middle, parts))


def _is_shape(parts: Sequence[Mask], item: Item) -> bool:
    """Whether the part nearest to the object looks most like the shape it should be."""
    if not parts:
        return False
    near = min(parts, key=lambda p: np.hypot(middle(p)[0] - item.x, middle(p)[1] - item.y))
    return guess_shape(near) == item.kind


def guess_shape(part: Mask) -> str:
    """The shape whose outline overlaps a part best."""
    seen = _normal(part)
    overlap = {s: (seen & t).sum() / (seen | t).sum() for s, t in templates()}
    best: dict[str, float] = {}
    for (shape, _), value in overlap.items():
        best[shape] = max(best.get(shape, 0.0), value)
    return max(best, key=lambda shape: best[shape])


@lru_cache(maxsize=1)
def templates() -> tuple[tuple[tuple[str, int], Mask], ...]:
    """Every shape at every size, cut out and scaled to a common frame."""
    found = []
    for shape in SHAPES:
        for size in range(len(RADII)):
            spec = Spec("shapes", colour="white", items=(Item(shape, "black", size, 32, 32),))
            dark = labels(render(spec, 0)) == NAMES.index("black")
            found.append(((shape, size), _normal(dark)))
    return tuple(found)


def _normal(part: Mask, side: int = 32) -> Mask:
    rows, columns = find_objects(part.astype(int))[0]
    half = max(rows.stop - rows.start, columns.stop - columns.start) / 2
    x, y = middle(part)
    image = Image.fromarray(part.astype(np.uint8) * 255)
    box = (x - half, y - half, x + half, y + half)
    return np.asarray(image.transform((side, side), Image.Transform.EXTENT, box)) > 127


def _check_pattern(picture: Picture, spec: Spec) -> dict[str, bool]:
    if spec.pattern.endswith("gradient"):
        return {"pattern": _is_gradient(picture, spec)}
    seen = labels(picture)
    first, second = NAMES.index(spec.colour), NAMES.index(spec.second)
    mix = pattern_mix(spec.pattern, spec.scale).reshape(SIDE, 4, SIDE, 4).mean((1, 3))
    sure = (mix < 0.2) | (mix > 0.8)
    wanted = np.where(mix > 0.5, second, first)
    return {"pattern": bool((seen == wanted)[sure].mean() > 0.9)}


def _is_gradient(picture: Picture, spec: Spec) -> bool:
    upright = spec.pattern.startswith("vertical")
    lines = picture.astype(float).mean(1 if upright else 0)
    first, second = np.array(COLOURS[spec.colour]), np.array(COLOURS[spec.second])
    part = (np.arange(SIDE)[:, None] + 0.5) / SIDE
    error = np.abs(lines - (first * (1 - part) + second * part)).mean()
    across = picture.astype(float).std(1 if upright else 0).mean()
    return bool(error < 14 and across < 14)


def _check_scene(picture: Picture, spec: Spec) -> dict[str, bool]:
    sky, weather = _guess_sky(picture, spec)
    result = {"sky": sky == spec.sky, "weather": weather == spec.weather}
    result["ground"] = _guess_ground(picture, spec) == spec.ground
    result["backdrop"] = _backdrop_seen(picture, spec)
    if spec.items:
        result["things"] = all(_thing_seen(picture, item) for item in spec.items)
    return result


def _guess_sky(picture: Picture, spec: Spec) -> tuple[str, str]:
    """The sky and weather whose true rendering is nearest above the land."""
    seen = picture[:28].astype(float)
    errors = {}
    for sky, weather in SKY:
        other = replace(spec, sky=sky, weather=weather)
        views = (render(other, seed)[:28] for seed in MIRRORED)
        errors[sky, weather] = min(float(np.abs(view - seen).mean()) for view in views)
    return min(errors, key=lambda key: errors[key])


def _guess_ground(picture: Picture, spec: Spec) -> str:
    tone = np.median(picture[54:].reshape(-1, 3).astype(float), axis=0)
    wanted = {ground: np.array(dim(colour, spec), float) for ground, colour in GROUND.items()}
    return min(wanted, key=lambda ground: float(np.linalg.norm(wanted[ground] - tone)))


def _backdrop_seen(picture: Picture, spec: Spec) -> bool:
    """The strip above the horizon looks like that of a true rendering, either way round."""
    strip = picture[HORIZON - 9 : HORIZON - 1].astype(float)
    errors = []
    for backdrop in ("", "hills", "mountains"):
        views = (render(replace(spec, backdrop=backdrop), seed) for seed in MIRRORED)
        error = min(np.abs(view[HORIZON - 9 : HORIZON - 1] - strip).mean() for view in views)
        errors.append((error, backdrop))
    return min(errors)[1] == spec.backdrop


def _thing_seen(picture: Picture, item: Item) -> bool:
    """Enough of the object's colour within its own square, compared with a true rendering."""
    reach = RADII[item.size] if item.size >= 0 else 13
    top, left = max(0, item.y - reach), max(0, item.x - reach)
    area = np.s_[top : item.y + reach, left : item.x + reach]
    share = (labels(picture[area]) == NAMES.index(item.colour)).mean()
    return bool(share > 0.08)
