"""Landscapes: sky, luminaries and weather, backdrop, ground and the things that stand on it."""

import random

import numpy as np
from PIL import Image, ImageDraw

from draw import CLOUD, DIM, FULL, GROUND, HILL, RGB, SCALE, SKY, STARS, Point, draw_items
from spec import HORIZON, SIDE, Item, Spec

SKY_ITEMS = ("sun", "crescent", "cloud", "star")
LINE = HORIZON * SCALE


def paint_scene(spec: Spec, rng: random.Random) -> Image.Image:
    """The landscape of a description; the seed mirrors hills, clouds and stars."""
    flip = rng.random() < 0.5
    image = _sky(spec.sky, spec.weather)
    draw = ImageDraw.Draw(image)
    if spec.sky == "night" and spec.weather == "clear":
        _stars(draw, flip)
    above = [item for item in spec.items if in_sky(item)]
    draw_items(draw, above, rng, (8,))
    if (spec.sky, spec.weather) in CLOUD:
        _clouds(draw, CLOUD[spec.sky, spec.weather], flip)
    _land(draw, spec, flip)
    _falling(draw, spec)
    draw_items(draw, [i for i in spec.items if not in_sky(i)], rng, (12, 15))
    return image


def in_sky(item: Item) -> bool:
    """Whether the object hangs in the sky, behind hills and mountains."""
    return item.kind in SKY_ITEMS


def _sky(sky: str, weather: str) -> Image.Image:
    top, low = (np.array(c, float) for c in SKY[sky, weather])
    part = np.minimum(np.arange(FULL) / LINE, 1)[:, None, None]
    rows = top * (1 - part) + low * part
    return Image.fromarray(np.broadcast_to(rows, (FULL, FULL, 3)).round().astype(np.uint8))


def _flip(x: float, flip: bool) -> float:
    return SIDE - x if flip else x


def _stars(draw: ImageDraw.ImageDraw, flip: bool) -> None:
    for x, y in STARS:
        cx, cy = _flip(x, flip) * SCALE, y * SCALE
        draw.rectangle([cx - 3, cy - 3, cx + 2, cy + 2], fill=(255, 255, 230))


def _clouds(draw: ImageDraw.ImageDraw, colour: RGB, flip: bool) -> None:
    for x, y, r in ((10, 9, 9), (32, 15, 10), (54, 8, 9)):
        cx, cy, size = _flip(x, flip) * SCALE, y * SCALE, r * SCALE
        for dx, dy, part in ((-0.6, 0.15, 0.4), (0, -0.1, 0.55), (0.6, 0.15, 0.4)):
            mx, my, mr = cx + dx * size, cy + dy * size, part * size
            draw.ellipse([mx - mr, my - mr, mx + mr, my + mr], fill=colour)


def dim(colour: RGB, spec: Spec) -> RGB:
    """A colour of the land by the light of the scene."""
    factor = DIM[spec.sky] * (0.85 if spec.weather == "rain" else 1)
    red, green, blue = (round(c * factor) for c in colour)
    return red, green, blue


def _land(draw: ImageDraw.ImageDraw, spec: Spec, flip: bool) -> None:
    if spec.backdrop == "mountains":
        _mountains(draw, spec, flip)
    elif spec.backdrop == "hills":
        _hills(draw, spec, flip)
    draw.rectangle([0, LINE, FULL, FULL], fill=dim(GROUND[spec.ground], spec))
    if spec.ground == "sea":
        for y in (44, 52, 60):
            top = y * SCALE
            draw.rectangle([0, top, FULL, top + SCALE - 1], fill=dim((75, 150, 210), spec))


def _mountains(draw: ImageDraw.ImageDraw, spec: Spec, flip: bool) -> None:
    for x, height in ((44, 26), (16, 20)):
        cx, tall = _flip(x, flip) * SCALE, height * SCALE
        _peak(draw, (cx, LINE - tall), tall, dim((112, 108, 118), spec))
        _peak(draw, (cx, LINE - tall), tall * 0.3, dim((246, 248, 250), spec))


def _peak(draw: ImageDraw.ImageDraw, top: Point, tall: float, colour: RGB) -> None:
    x, y = top
    draw.polygon([(x - tall * 0.8, y + tall), (x, y), (x + tall * 0.8, y + tall)], fill=colour)


def _hills(draw: ImageDraw.ImageDraw, spec: Spec, flip: bool) -> None:
    colour = dim(HILL[spec.ground], spec)
    for x, half, height in ((16, 30, 12), (52, 26, 8)):
        cx, wide, tall = _flip(x, flip) * SCALE, half * SCALE, height * SCALE
        draw.ellipse([cx - wide, LINE - tall, cx + wide, LINE + tall], fill=colour)


def _falling(draw: ImageDraw.ImageDraw, spec: Spec) -> None:
    if spec.weather not in ("rain", "snow"):
        return
    for row in range(8):
        for column in range(8):
            x, y = column * 8 + (2 if row % 2 else 5), row * 8 + (2 if column % 2 else 5)
            if spec.weather == "rain":
                ends = [(x + 1) * SCALE, (y - 2) * SCALE, (x - 1) * SCALE, (y + 2) * SCALE]
                draw.line(ends, fill=_streak(spec.sky), width=SCALE)
            else:
                draw.rectangle(
                    [x * SCALE - 3, y * SCALE - 3, x * SCALE + 4, y * SCALE + 4], "white"
                )


def _streak(sky: str) -> RGB:
    return (130, 150, 200) if sky == "night" else (185, 210, 240)
