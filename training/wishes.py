"""What somebody asks for, before words: partial wishes, and how their open parts are settled."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from spec import (
    ANY_SIZE,
    MAX_ITEMS,
    Item,
    Spec,
)

SKY_KINDS = ("sun", "crescent", "cloud")
LAND_KINDS = ("house", "tree", "flower", "boat", "car")
OWN_COLOUR = {
    "circle": "red",
    "square": "blue",
    "triangle": "green",
    "star": "yellow",
    "diamond": "cyan",
    "heart": "red",
    "ring": "orange",
    "cross": "red",
    "hexagon": "purple",
    "crescent": "yellow",
    "rectangle": "blue",
    "oval": "pink",
    "house": "red",
    "tree": "green",
    "flower": "pink",
    "boat": "red",
    "car": "red",
    "sun": "yellow",
    "cloud": "white",
}
PLACES = {
    "center": (32, 32),
    "left": (16, 32),
    "right": (48, 32),
    "top": (32, 16),
    "bottom": (32, 48),
    "top left": (16, 16),
    "top right": (48, 16),
    "bottom left": (16, 48),
    "bottom right": (48, 48),
}
RELATIONS = ("left", "right", "above", "below")
COUNTS = {1: (32,), 2: (16, 48), 3: (12, 32, 52)}
GRIDS = {
    4: ((16, 16), (48, 16), (16, 48), (48, 48)),
    5: ((12, 12), (52, 12), (32, 32), (12, 52), (52, 52)),
    6: ((12, 16), (32, 16), (52, 16), (12, 48), (32, 48), (52, 48)),
}
LUMINARY = {"day": "sun", "sunset": "sun", "night": "crescent"}


@dataclass(frozen=True)
class Group:
    """Objects of one sort; None where the wish leaves something open."""

    kind: str | None
    colour: str | None
    size: str | None = None
    count: int = 1
    place: str | None = None


@dataclass(frozen=True)
class Wish:
    """A partial description. Fields that its kind does not use stay None."""

    kind: str
    groups: tuple[Group, ...] = ()
    relation: str = ""
    background: str | None = None
    pattern: str = ""
    scale: str | None = None
    colours: tuple[str, ...] = field(default=())
    sky: str | None = None
    ground: str | None = None
    backdrop: str | None = None
    weather: str | None = None


def resolve(wish: Wish) -> Spec:
    """The picture that a wish stands for, with defaults for all it leaves open."""
    settle = {"shapes": _settle_shapes, "pattern": _settle_pattern, "scene": _settle_scene}
    return settle[wish.kind](wish)


def _settle_pattern(wish: Wish) -> Spec:
    first, second = _pattern_colours(wish.colours)
    scale = wish.scale or "normal"
    return Spec("pattern", colour=first, second=second, pattern=wish.pattern, scale=scale)


def _pattern_colours(colours: tuple[str, ...]) -> tuple[str, str]:
    if len(colours) == 2:
        return colours[0], colours[1]
    if not colours:
        return "white", "black"
    return ("black" if colours[0] == "white" else "white"), colours[0]


def _settle_shapes(wish: Wish) -> Spec:
    named = {g.colour for g in wish.groups if g.colour}
    usual = next(c for c in ("white", "black", "gray", "blue", "pink") if c not in named)
    background = wish.background or usual
    groups = _coloured(wish.groups, background)
    items = _order(_arrange(groups, wish.relation), wish.relation)
    return Spec("shapes", colour=background, items=items)


def _coloured(groups: Sequence[Group], background: str) -> list[Group]:
    """Gives every group a kind and a colour that shows on the background."""
    taken = {background} | {g.colour for g in groups if g.colour}
    settled = []
    for group in groups:
        kind = group.kind or "circle"
        colour = group.colour
        if colour is None:
            wanted = (OWN_COLOUR[kind], "blue", "red", "yellow", "green", "orange")
            colour = next(c for c in wanted if c not in taken)
            taken.add(colour)
        settled.append(replace(group, kind=kind, colour=colour))
    return settled


def _item(group: Group, size: int, at: tuple[int, int]) -> Item:
    assert group.kind and group.colour
    return Item(group.kind, group.colour, size, *at)


def _order(items: list[Item], relation: str) -> tuple[Item, ...]:
    """Reading order, whatever the order of the words; the outer object before the inner."""
    if relation == "inside":
        return tuple(items)
    return tuple(sorted(items, key=lambda i: (i.y, i.x)))


def _arrange(groups: list[Group], relation: str) -> list[Item]:
    if not groups:
        return []
    if len(groups) == 1:
        return _arrange_one(groups[0], relation)
    if relation == "inside":
        return [_item(groups[1], 3, (32, 32)), _item(groups[0], 0, (32, 32))]
    if len(groups) == 2 and any(g.place for g in groups):
        return [_item(g, _pair_size(g.size), PLACES[g.place or "center"]) for g in groups]
    if len(groups) == 2:
        return _arrange_two(groups, relation)
    if relation == "between":
        groups = [groups[1], groups[0], groups[2]]
    upright = relation in ("column", "below", "above")
    spots = [(32, s) if upright else (s, 32) for s in COUNTS[3]]
    return [_item(g, 0, at) for g, at in zip(groups, spots, strict=True)]


def _single_size(size: str | None, centred: bool) -> int:
    if centred:
        return {None: ANY_SIZE, "small": 0, "medium": 1, "big": 3}[size]
    return _pair_size(size)


def _pair_size(size: str | None) -> int:
    return {None: 1, "small": 0, "medium": 1, "big": 2}[size]


def _arrange_one(group: Group, relation: str) -> list[Item]:
    count = group.count
    if count == 1:
        place = group.place or "center"
        return [_item(group, _single_size(group.size, place == "center"), PLACES[place])]
    if count > 3:
        size = _pair_size(group.size) if count == 4 and group.size != "big" else 0
        return [_item(group, 1 if count == 4 and size else 0, at) for at in GRIDS[count]]
    size = _pair_size(group.size) if count == 2 else 0
    upright = relation == "column" or group.place in ("left", "right")
    x, y = PLACES[group.place or "center"]
    return [_item(group, size, (x, s) if upright else (s, y)) for s in COUNTS[count]]


def _arrange_two(groups: list[Group], relation: str) -> list[Item]:
    """Two groups: rows when one is above the other or there are several, else columns."""
    several = max(g.count for g in groups)
    upright = relation in ("above", "below") or (not relation and several > 1)
    if relation in ("right", "below"):
        groups = groups[::-1]
    items = []
    for group, line in zip(groups, COUNTS[2], strict=True):
        size = _pair_size(group.size) if several == 1 else int(several < 3)
        for spot in COUNTS[group.count]:
            items.append(_item(group, size, (spot, line) if upright else (line, spot)))
    return items


def _settle_scene(wish: Wish) -> Spec:
    kinds = [g.kind for g in wish.groups]
    weather = wish.weather or "clear"
    sky = wish.sky or ("night" if "crescent" in kinds else "day")
    land = [g for g in wish.groups if g.kind in LAND_KINDS]
    ground = wish.ground or _usual_ground(kinds, weather)
    backdrop = wish.backdrop or ("" if land or wish.ground else "hills")
    items = _on_land(land, wish.relation) + _in_sky(wish, sky, weather)
    return Spec(
        "scene",
        sky=sky,
        ground=ground,
        backdrop="" if backdrop == "none" else backdrop,
        weather=weather,
        items=_order(items[:MAX_ITEMS], ""),
    )


def _usual_ground(kinds: Sequence[str | None], weather: str) -> str:
    if "boat" in kinds:
        return "sea"
    return "snow" if weather == "snow" else "grass"


def _on_land(groups: list[Group], relation: str) -> list[Item]:
    if relation == "right":
        groups = groups[::-1]
    flat = [replace(g, colour=g.colour or OWN_COLOUR[str(g.kind)]) for g in groups]
    flat = [g for g in flat for _ in range(g.count)]
    if len(flat) == 1 and flat[0].place:
        spots: Sequence[int] = (PLACES[flat[0].place][0],)
    else:
        spots = COUNTS[len(flat)] if flat else ()
    return [_standing(g, len(flat), x) for g, x in zip(flat, spots, strict=True)]


def _standing(group: Group, count: int, x: int) -> Item:
    if count == 3:
        size = 0
    elif count == 2 or group.size:
        size = _pair_size(group.size)
    else:
        size = ANY_SIZE
    y = {ANY_SIZE: 40, 0: 44, 1: 40, 2: 36}[size] - (4 if group.kind == "boat" else 0)
    return _item(group, size, (x, y))


def _in_sky(wish: Wish, sky: str, weather: str) -> list[Item]:
    """Sun, moon and clouds; a clear sky has its sun or moon even when nobody names it."""
    groups = [g for g in wish.groups if g.kind in SKY_KINDS]
    if weather == "clear" and not any(g.kind in ("sun", "crescent") for g in groups):
        groups.append(Group(LUMINARY[sky], None))
    free = [52, 12, 32]
    items = []
    for group in sorted(groups, key=lambda g: (g.place is None, g.kind == "cloud")):
        for _ in range(group.count):
            x = {"left": 12, "right": 52, "center": 32}.get(group.place or "", -1)
            x = x if x in free else free[0]
            free.remove(x)
            y = 28 if sky == "sunset" and group.kind == "sun" else 12
            coloured = replace(group, colour=group.colour or OWN_COLOUR[str(group.kind)])
            items.append(_item(coloured, 0, (x, y)))
    return items
