"""Renders a picture description: drawn at four times the size, then box-reduced."""

import math
import random
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from spec import ANY_SIZE, COLOURS, RADII, SIDE, Item, Spec

RGB = tuple[int, int, int]
Point = tuple[float, float]
SCALE = 4
FULL = SIDE * SCALE

DARK: RGB = (80, 48, 30)
ROOF: RGB = (92, 52, 38)
GLASS: RGB = (190, 225, 245)
CREAM: RGB = (250, 236, 205)
SKY: dict[tuple[str, str], tuple[RGB, RGB]] = {
    ("day", "clear"): ((110, 185, 245), (195, 228, 250)),
    ("day", "cloudy"): ((140, 170, 200), (200, 213, 226)),
    ("day", "rain"): ((95, 110, 130), (140, 152, 168)),
    ("day", "snow"): ((160, 174, 192), (200, 210, 220)),
    ("sunset", "clear"): ((235, 105, 60), (252, 205, 120)),
    ("sunset", "cloudy"): ((190, 105, 95), (235, 170, 130)),
    ("sunset", "rain"): ((120, 85, 95), (170, 120, 110)),
    ("sunset", "snow"): ((190, 130, 125), (225, 180, 165)),
    ("night", "clear"): ((12, 16, 50), (45, 45, 95)),
    ("night", "cloudy"): ((25, 28, 50), (55, 57, 80)),
    ("night", "rain"): ((15, 18, 32), (35, 40, 58)),
    ("night", "snow"): ((30, 34, 60), (65, 70, 100)),
}
GROUND: dict[str, RGB] = {
    "grass": (105, 190, 75),
    "sand": (230, 205, 140),
    "snow": (240, 244, 250),
    "sea": (30, 100, 170),
}
HILL: dict[str, RGB] = {
    "grass": (75, 150, 65),
    "sand": (212, 180, 115),
    "snow": (218, 228, 238),
    "sea": (75, 150, 65),
}
CLOUD: dict[tuple[str, str], RGB] = {
    ("day", "cloudy"): (248, 248, 250),
    ("sunset", "cloudy"): (250, 225, 205),
    ("night", "cloudy"): (105, 108, 132),
    ("day", "rain"): (70, 76, 90),
    ("sunset", "rain"): (85, 62, 72),
    ("night", "rain"): (60, 64, 80),
}
DIM: dict[str, float] = {"day": 1.0, "sunset": 0.85, "night": 0.5}
STARS = ((5, 6), (14, 20), (20, 4), (27, 13), (36, 5), (41, 21), (60, 30), (9, 33), (32, 28))


def render(spec: Spec, seed: int) -> npt.NDArray[np.uint8]:
    """The picture of a description as a 64x64x3 array; the seed settles what it leaves open."""
    rng = random.Random(seed)
    painters = {"shapes": _shapes, "pattern": _pattern, "scene": _scene}
    image = painters[spec.kind](spec, rng)
    return np.asarray(image.reduce(SCALE))


def _canvas(colour: RGB) -> Image.Image:
    return Image.new("RGB", (FULL, FULL), colour)


def _shapes(spec: Spec, rng: random.Random) -> Image.Image:
    image = _canvas(COLOURS[spec.colour])
    draw_items(ImageDraw.Draw(image), spec.items, rng, (15, 20))
    return image


def draw_items(
    draw: ImageDraw.ImageDraw, items: Sequence[Item], rng: random.Random, open_radii: Sequence[int]
) -> None:
    """Draws objects in order; one whose size is open takes a radius from `open_radii`."""
    for item in items:
        radius = rng.choice(open_radii) if item.size == ANY_SIZE else RADII[item.size]
        paint = PAINTERS[item.kind]
        paint(draw, item.x * SCALE, item.y * SCALE, radius * SCALE, COLOURS[item.colour])


def _regular(cx: float, cy: float, r: float, n: int, turn: float, inner: float = 1) -> list[Point]:
    """Corners of a regular polygon, or of a star when `inner` is below one."""
    count = n * 2 if inner < 1 else n
    points = []
    for i in range(count):
        length = r * (inner if inner < 1 and i % 2 else 1)
        angle = turn + 2 * math.pi * i / count
        points.append((cx + length * math.cos(angle), cy + length * math.sin(angle)))
    return points


def _disc(draw: ImageDraw.ImageDraw, cx: float, cy: float, r: float, colour: RGB) -> None:
    draw.ellipse([cx - r, cy - r, cx + r, cy + r], fill=colour)


def _box(
    draw: ImageDraw.ImageDraw, cx: float, cy: float, half: tuple[float, float], colour: RGB
) -> None:
    draw.rectangle([cx - half[0], cy - half[1], cx + half[0], cy + half[1]], fill=colour)


def _circle(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    _disc(draw, x, y, r, c)


def _square(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    _box(draw, x, y, (r * 0.9, r * 0.9), c)


def _triangle(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    draw.polygon([(x, y - r), (x + r, y + r * 0.85), (x - r, y + r * 0.85)], fill=c)


def _star(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    draw.polygon(_regular(x, y + r * 0.08, r * 1.08, 5, -math.pi / 2, 0.42), fill=c)


def _diamond(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    draw.polygon([(x, y - r), (x + r * 0.75, y), (x, y + r), (x - r * 0.75, y)], fill=c)


def _heart(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    points = []
    for i in range(48):
        t = 2 * math.pi * i / 48
        up = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((x + 16 * math.sin(t) ** 3 * r / 16, y - (up + 2.5) * r / 15.5))
    draw.polygon(points, fill=c)


def _ring(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    draw.ellipse([x - r, y - r, x + r, y + r], outline=c, width=int(r * 0.38))


def _cross(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    _box(draw, x, y, (r * 0.32, r), c)
    _box(draw, x, y, (r, r * 0.32), c)


def _hexagon(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    draw.polygon(_regular(x, y, r, 6, 0), fill=c)


def _crescent(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    outer = [(x + r * math.cos(a), y + r * math.sin(a)) for a in np.radians(np.linspace(50, 310))]
    centre = x + r * 0.62
    bite = math.hypot(outer[0][0] - centre, outer[0][1] - y)
    start = math.atan2(outer[-1][1] - y, outer[-1][0] - centre) % (2 * math.pi)
    stop = math.atan2(outer[0][1] - y, outer[0][0] - centre) % (2 * math.pi)
    inner = [
        (centre + bite * math.cos(a), y + bite * math.sin(a)) for a in np.linspace(start, stop, 40)
    ]
    draw.polygon(outer + inner, fill=c)


def _rectangle(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    _box(draw, x, y, (r, r * 0.5), c)


def _oval(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    draw.ellipse([x - r, y - r * 0.55, x + r, y + r * 0.55], fill=c)


def _house(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    _box(draw, x, y + r * 0.45, (r * 0.8, r * 0.55), c)
    draw.polygon([(x - r, y - r * 0.1), (x, y - r), (x + r, y - r * 0.1)], fill=ROOF)
    _box(draw, x - r * 0.35, y + r * 0.65, (r * 0.17, r * 0.35), DARK)
    _box(draw, x + r * 0.35, y + r * 0.4, (r * 0.2, r * 0.2), GLASS)


def _tree(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    _box(draw, x, y + r * 0.6, (r * 0.16, r * 0.4), (105, 65, 35))
    for dx, dy, size in ((-0.42, -0.1, 0.45), (0.42, -0.1, 0.45), (0, -0.48, 0.52)):
        _disc(draw, x + dx * r, y + dy * r, size * r, c)


def _flower(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    _box(draw, x, y + r * 0.55, (r * 0.09, r * 0.45), (40, 120, 50))
    for dx, dy in _regular(0, 0, r * 0.4, 6, 0):
        _disc(draw, x + dx, y - r * 0.35 + dy, r * 0.27, c)
    middle = COLOURS["brown"] if c == COLOURS["yellow"] else COLOURS["yellow"]
    _disc(draw, x, y - r * 0.35, r * 0.24, middle)


def _boat(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    _box(draw, x, y - r * 0.3, (r * 0.06, r * 0.7), DARK)
    sail = [(x + r * 0.12, y - r), (x + r * 0.12, y + r * 0.2), (x + r * 0.85, y + r * 0.2)]
    draw.polygon(sail, fill=CREAM)
    hull = [
        (x - r, y + r * 0.35),
        (x + r, y + r * 0.35),
        (x + r * 0.6, y + r),
        (x - r * 0.6, y + r),
    ]
    draw.polygon(hull, fill=c)


def _car(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    _box(draw, x, y + r * 0.3, (r, r * 0.35), c)
    cabin = [(x - r * 0.6, y), (x - r * 0.4, y - r * 0.5), (x + r * 0.4, y - r * 0.5)]
    draw.polygon([*cabin, (x + r * 0.65, y)], fill=c)
    _box(draw, x, y - r * 0.2, (r * 0.3, r * 0.16), GLASS)
    for dx in (-0.5, 0.5):
        _disc(draw, x + dx * r, y + r * 0.7, r * 0.3, (30, 30, 34))


def _sun(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    draw.polygon(_regular(x, y, r, 8, 0, 0.68), fill=c)
    _disc(draw, x, y, r * 0.7, c)


def _cloud(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, c: RGB) -> None:
    for dx, dy, size in ((-0.55, 0.15, 0.42), (0, -0.15, 0.55), (0.55, 0.15, 0.42)):
        _disc(draw, x + dx * r, y + dy * r, size * r, c)


PAINTERS: dict[str, Callable[[ImageDraw.ImageDraw, float, float, float, RGB], None]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "diamond": _diamond,
    "heart": _heart,
    "ring": _ring,
    "cross": _cross,
    "hexagon": _hexagon,
    "crescent": _crescent,
    "rectangle": _rectangle,
    "oval": _oval,
    "house": _house,
    "tree": _tree,
    "flower": _flower,
    "boat": _boat,
    "car": _car,
    "sun": _sun,
    "cloud": _cloud,
}


def _pattern(spec: Spec, _rng: random.Random) -> Image.Image:
    first, second = np.array(COLOURS[spec.colour]), np.array(COLOURS[spec.second])
    mix = pattern_mix(spec.pattern, spec.scale)[..., None]
    return Image.fromarray((first * (1 - mix) + second * mix).round().astype(np.uint8))


def pattern_mix(pattern: str, scale: str) -> npt.NDArray[np.float64]:
    """How much of the second colour each (enlarged) pixel takes, from 0 to 1."""
    half = {"fine": 4, "normal": 8, "wide": 16}[scale]
    y, x = (np.mgrid[0:FULL, 0:FULL] + 0.5) / SCALE
    if pattern.endswith("gradient"):
        return (y if pattern.startswith("vertical") else x) / SIDE
    if pattern == "dots":
        period = 2 * half
        dx, dy = x % period - half, y % period - half
        return (np.hypot(dx, dy) < half * 0.62).astype(float)
    phase = {
        "horizontal stripes": y // half,
        "vertical stripes": x // half,
        "diagonal stripes": (x + y) // half,
        "checks": x // half + y // half,
    }[pattern]
    return phase % 2


def _scene(spec: Spec, rng: random.Random) -> Image.Image:
    from scenery import paint_scene

    return paint_scene(spec, rng)
