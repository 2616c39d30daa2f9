"""Landscapes in words."""

import random
from collections.abc import Sequence

import scene_words as sw
from naming import article, join, noun_phrase, place_phrase, related
from wishes import LAND_KINDS, SKY_KINDS, Group, Wish


def write_scene(wish: Wish, rng: random.Random) -> str:
    """One way to ask for a landscape."""
    extras = _extras(wish, rng)
    things = _things(wish, rng)
    roll = rng.random()
    if roll < 0.12:
        parts = [*things, *extras] or [rng.choice(sw.LANDSCAPES)]
        rng.shuffle(parts)
        return ", ".join(parts) if rng.random() < 0.7 else " ".join(parts)
    if roll < 0.45 or not (things or extras):
        return _as_landscape(wish, things, rng)
    rng.shuffle(extras)
    if not things:
        return _bare_land(extras, rng)
    return _things_first(things, extras, rng)


def _things_first(things: list[str], extras: list[str], rng: random.Random) -> str:
    body = join(things, rng)
    link = rng.choice((" ", " ", ", ", " and "))
    if extras and rng.random() < 0.2:
        return f"{extras[0]}, {link.join([body, *extras[1:]])}"
    return link.join([body, *extras])


def _bare_land(extras: list[str], rng: random.Random) -> str:
    link = rng.choice((" ", ", ", " and ", " over ", " with ", " on ", " in "))
    return link.join(extras)


def _extras(wish: Wish, rng: random.Random) -> list[str]:
    tables = (
        (sw.SKY_PHRASES, wish.sky),
        (sw.WEATHER_PHRASES, wish.weather),
        (sw.GROUND_PHRASES, wish.ground),
        (sw.BACKDROP_PHRASES, wish.backdrop),
    )
    return [_fitting(table[value], wish, rng) for table, value in tables if value]


def _fitting(phrases: Sequence[str], wish: Wish, rng: random.Random) -> str:
    """A phrase that does not contradict the sky: there is no sunny night."""
    dark = wish.sky in ("night", "sunset") or any(g.kind == "crescent" for g in wish.groups)
    bright = ("sunny", "sunshine", "sunlight", " day")
    return rng.choice([p for p in phrases if not (dark and any(b in p for b in bright))])


def _things(wish: Wish, rng: random.Random) -> list[str]:
    land = [_scene_group(g, rng) for g in wish.groups if g.kind in LAND_KINDS]
    if len(land) == 2 and wish.relation:
        land = [related(land[0], land[1], wish.relation, rng)]
    elif wish.relation == "right":
        land = land[::-1]
    above = [_scene_group(g, rng) for g in wish.groups if g.kind in SKY_KINDS]
    if above and rng.random() < 0.25:
        over = rng.choice((" over ", " above ", " over "))
        return [over.join([join(above, rng), *land[:1]]), *land[1:]]
    return above + land if rng.random() < 0.3 else land + above


def _scene_group(group: Group, rng: random.Random) -> str:
    if group.kind in SKY_KINDS and group.kind != "cloud":
        noun = (
            "sun" if group.kind == "sun" else rng.choice(("moon", "moon", "moon", "crescent moon"))
        )
        colour = f"{group.colour} " if group.colour else ""
        phrase = rng.choice(("the", "the", "a", "a", "")) + f" {colour}{noun}"
    else:
        phrase = noun_phrase(group, rng, bare=True)
    if group.kind == "tree" and group.count == 3 and not group.colour and rng.random() < 0.4:
        return rng.choice(sw.FORESTS)
    if group.place is None:
        under = group.kind in ("sun", "crescent") and rng.random() < 0.1
        return f"under {phrase}" if under else phrase
    in_corner = group.kind in SKY_KINDS and group.place != "center" and rng.random() < 0.3
    return f"{phrase} {place_phrase('top ' + group.place if in_corner else group.place, rng)}"


def _as_landscape(wish: Wish, things: list[str], rng: random.Random) -> str:
    """ "A rainy night landscape with ..." and its like."""
    noun = rng.choice(sw.LANDSCAPES)
    said_by_noun = wish.sky is not None and rng.random() < 0.35
    if wish.sky and said_by_noun:
        noun = rng.choice(sw.SKY_NOUNS[wish.sky])
    adjectives: list[str] = []
    phrases: list[str] = []
    weather = wish.weather
    if weather and said_by_noun and not (weather == "clear" and wish.sky != "day"):
        adjectives.append(sw.WEATHER_OF_A_DAY[weather])
        weather = None
    for value, front, back, chance in (
        (weather, sw.WEATHER_ADJECTIVES, sw.WEATHER_PHRASES, 0.65),
        (None if said_by_noun else wish.sky, sw.SKY_ADJECTIVES, sw.SKY_PHRASES, 0.65),
        (wish.ground, sw.GROUND_ADJECTIVES, sw.GROUND_PHRASES, 0.0 if said_by_noun else 0.35),
    ):
        if value and rng.random() < chance:
            adjectives.append(_fitting(front[value], wish, rng))
        elif value:
            phrases.append(_fitting(back[value], wish, rng))
    if wish.backdrop and rng.random() < 0.3 and not said_by_noun:
        noun = {"hills": "hill", "mountains": "mountain"}[wish.backdrop] + " " + noun
    elif wish.backdrop:
        phrases.append(rng.choice(sw.BACKDROP_PHRASES[wish.backdrop]))
    head = " ".join([*adjectives, noun])
    head = article(head) if rng.random() < 0.6 else head
    if things:
        phrases.insert(0, rng.choice(("with ", "with ", "and ")) + join(things, rng))
    return rng.choice((" ", " ", ", ")).join([head, *phrases])
