"""Random wishes: what training and the check ask for."""

import random
from collections.abc import Sequence
from dataclasses import replace

from spec import BACKDROPS, COLOURS, GROUNDS, PATTERNS, SHAPES, SKIES, THINGS, WEATHERS
from wishes import LAND_KINDS, PLACES, RELATIONS, Group, Wish


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
    if len(groups) == 2 and rng.random() < 0.3:
        more = rng.randrange(2)
        groups[more] = replace(groups[more], count=2)
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
