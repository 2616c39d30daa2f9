"""What somebody asks for, before words: partial wishes, and how their open parts are settled."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from spec import (
    ANY_SIZE,
    BACKDROPS,
    COLOURS,
    GROUNDS,
    MAX_ITEMS,
    PATTERNS,
    SHAPES,
    SKIES,
    THINGS,
    WEATHERS,
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


def sample_wish(rng: random.Random) -> Wish:
    """A wish drawn from everything the model is meant to draw."""
    makers = (_one, _two, _counted, _mixed, _three, _plain, _patterned, _landscape)
    weights = (0.2, 0.25, 0.13, 0.05, 0.05, 0.02, 0.09, 0.21)
    return rng.choices(makers, weights)[0](rng)


def _maybe(rng: random.Random, chance: float, values: Sequence[str]) -> str | None:
    return rng.choice(values) if rng.random() < chance else None


def _colour_but(rng: random.Random, *others: str | None) -> str:
    return rng.choice([c for c in COLOURS if c not in others])


def _background(rng: random.Random, groups: Sequence[Group], chance: float = 0.75) -> str | None:
    few = sum(g.count for g in groups) < 4
    things = few and all(g.kind in THINGS for g in groups)
    if things or rng.random() < chance:
        return _colour_but(rng, *(g.colour for g in groups))
    return None


def _group(rng: random.Random, *others: str | None, count: int = 1) -> Group:
    kind = rng.choice(SHAPES if rng.random() < 0.8 else THINGS)
    colour = None if rng.random() < 0.04 else _colour_but(rng, *others)
    if colour and rng.random() < 0.03:
        return Group(None, colour, count=count)
    return Group(kind, colour, _maybe(rng, 0.3, ("small", "big", "medium")), count)


def _one(rng: random.Random) -> Wish:
    group = replace(_group(rng), place=_maybe(rng, 0.5, tuple(PLACES)))
    return Wish("shapes", (group,), background=_background(rng, [group]))


def _two(rng: random.Random) -> Wish:
    first = _group(rng)
    same = (None,) if rng.random() < 0.1 else (first.colour,)
    second = _group(rng, *same)
    relation = rng.choice((*RELATIONS, *RELATIONS, "", "", "inside", "places"))
    if relation == "" and rng.random() < 0.3:
        second = replace(second, kind=first.kind)
    if relation == "inside":
        first = replace(first, size=_maybe(rng, 0.3, ("small",)))
        second = replace(_group(rng, first.colour), size=_maybe(rng, 0.3, ("big",)))
    if relation == "places":
        spots = rng.sample(sorted(PLACES), 2)
        first, second = replace(first, place=spots[0]), replace(second, place=spots[1])
        relation = ""
    groups = (first, second)
    return Wish("shapes", groups, relation, background=_background(rng, groups))


def _counted(rng: random.Random) -> Wish:
    group = _group(rng, count=rng.choices((2, 3, 4, 5, 6), (3, 4, 3, 3, 1))[0])
    line = _maybe(rng, 0.3, ("row", "column")) if group.count < 4 else None
    if group.count < 4 and not line:
        group = replace(group, place=_maybe(rng, 0.2, ("top", "bottom", "left", "right")))
    chance = 0.6 if group.count < 4 else 0.4
    return Wish("shapes", (group,), line or "", background=_background(rng, [group], chance))


def _mixed(rng: random.Random) -> Wish:
    counts = rng.choice(((1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (2, 3), (3, 2), (3, 3)))
    first = replace(_group(rng, count=counts[0]), size=None)
    second = replace(_group(rng, first.colour, count=counts[1]), size=None)
    relation = rng.choice(("", "", *RELATIONS))
    groups = (first, second)
    return Wish("shapes", groups, relation, background=_background(rng, groups, 0.6))


def _three(rng: random.Random) -> Wish:
    groups: list[Group] = []
    for _ in range(3):
        groups.append(replace(_group(rng, *(g.colour for g in groups)), size=None))
    relation = rng.choice(("", "row", "column", "above", "left"))
    if relation in ("", "row") and rng.random() < 0.3:
        groups = [replace(g, kind=groups[0].kind) for g in groups]
    if rng.random() < 0.2:
        relation, groups[2] = "between", groups[1]
    background = _background(rng, groups, 0.6)
    return Wish("shapes", tuple(groups), relation, background=background)


def _plain(rng: random.Random) -> Wish:
    return Wish("shapes", background=_colour_but(rng))


def _patterned(rng: random.Random) -> Wish:
    pattern = rng.choice(PATTERNS)
    colours = rng.sample(sorted(COLOURS), rng.choices((0, 1, 2), (1, 2, 12))[0])
    scale = None if "gradient" in pattern else _maybe(rng, 0.25, ("fine", "wide"))
    return Wish("pattern", pattern=pattern, scale=scale, colours=tuple(colours))


def _landscape(rng: random.Random) -> Wish:
    sky = _maybe(rng, 0.65, SKIES)
    weather = _maybe(rng, 0.5, (*WEATHERS, "rain", "snow"))
    ground = _maybe(rng, 0.6, GROUNDS)
    groups = _land_groups(rng, ground)
    if rng.random() < 0.45:
        groups += _sky_groups(rng, sky)
    backdrop = _maybe(rng, 0.35, BACKDROPS) if ground != "sea" else _maybe(rng, 0.1, BACKDROPS)
    relation = rng.choice(("", "left", "right")) if len(groups) > 1 else ""
    wish = Wish(
        "scene",
        tuple(groups),
        relation,
        sky=sky,
        ground=ground,
        backdrop=backdrop,
        weather=weather,
    )
    return wish


def _land_groups(rng: random.Random, ground: str | None) -> list[Group]:
    if ground == "sea":
        kinds = ["boat"] if rng.random() < 0.6 else []
    else:
        land = [k for k in LAND_KINDS if ground is None or k != "boat"]
        kinds = rng.sample(land, rng.choices((0, 1, 2, 3), (3, 5, 4, 1))[0])
        kinds = ["boat"] if "boat" in kinds else kinds
    groups = [_land_group(rng, kind) for kind in kinds]
    if len(groups) == 1 and rng.random() < 0.2:
        return [replace(groups[0], count=rng.choice((2, 3)), place=None)]
    if len(groups) > 1:
        return [replace(g, place=None) for g in groups]
    return groups


def _land_group(rng: random.Random, kind: str) -> Group:
    colour = _maybe(rng, 0.3 if kind == "tree" else 0.65, tuple(COLOURS))
    place = _maybe(rng, 0.25, ("left", "right", "center"))
    return Group(kind, colour, _maybe(rng, 0.2, ("small", "big")), place=place)


def _sky_groups(rng: random.Random, sky: str | None) -> list[Group]:
    groups = []
    if rng.random() < 0.8:
        kind = {"night": "crescent", None: rng.choice(("sun", "crescent"))}.get(sky, "sun")
        colour = _maybe(rng, 0.3, ("yellow", "white", "orange", "red"))
        groups.append(Group(kind, colour, place=_maybe(rng, 0.35, ("left", "right", "center"))))
    if rng.random() < 0.3:
        groups.append(Group("cloud", _maybe(rng, 0.3, ("white", "gray")), count=rng.choice((1, 2))))
    return groups
