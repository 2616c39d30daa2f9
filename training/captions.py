"""Wishes in words: many ways to say the same thing, in any order, with words that mean nothing."""

import random
import string
from collections.abc import Callable, Sequence
from dataclasses import replace

import words as w
from wishes import LAND_KINDS, SKY_KINDS, Group, Wish


def caption(wish: Wish, rng: random.Random) -> str:
    """One way to ask for a wish."""
    write = {"shapes": _shapes, "pattern": _pattern, "scene": _scene}[wish.kind]
    text = _frame(write(wish, rng), rng)
    text = _with_odd_words(text, rng)
    return " ".join(_with_case(text, rng).split())


def _frame(text: str, rng: random.Random) -> str:
    if rng.random() < 0.3:
        text = f"{rng.choice(w.OPENINGS)} {text}"
    if rng.random() < 0.08:
        text = f"{text}{rng.choice((',', ''))} {rng.choice(w.CLOSINGS)}"
    if rng.random() < 0.12:
        text += rng.choice((".", "!", "?"))
    return text


def _odd(rng: random.Random) -> str:
    """A word that the vocabulary does not hold."""
    return "zq" + "".join(rng.choices(string.ascii_lowercase, k=3))


def _with_odd_words(text: str, rng: random.Random) -> str:
    parts = [_odd(rng) if part == "<odd>" else part for part in text.split()]
    if rng.random() < 0.12:
        for _ in range(rng.choice((1, 1, 2))):
            extra = _odd(rng) if rng.random() < 0.7 else rng.choice(w.ADJECTIVES)
            parts.insert(rng.randrange(len(parts) + 1), extra)
    return " ".join(parts)


def _with_case(text: str, rng: random.Random) -> str:
    text = text.replace(" ,", ",").replace(" ;", ";").replace(" .", ".").replace(" :", ":")
    roll = rng.random()
    if roll < 0.08:
        return text.capitalize()
    return text.replace(",", "") if roll < 0.2 else text


def _article(phrase: str) -> str:
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def _join(parts: Sequence[str], rng: random.Random) -> str:
    """A list of phrases the way people write lists."""
    if len(parts) < 2:
        return "".join(parts)
    style = rng.random()
    if style < 0.45:
        return ", ".join(parts[:-1]) + " and " + parts[-1]
    if style < 0.7:
        return " and ".join(parts)
    return ", ".join(parts) if style < 0.9 else " with ".join(parts)


def noun_phrase(group: Group, rng: random.Random, bare: bool = False) -> str:
    """Count, size, colour and noun, in one of several orders."""
    noun = rng.choice(w.ITEM_WORDS[group.kind] if group.kind else w.OPEN_NOUNS)
    if group.count > 1:
        noun = w.PLURALS.get(noun, noun if noun == "<odd>" else noun + "s")
    size = rng.choice(w.SIZE_WORDS[group.size]) if group.size else ""
    colour = _colour(group.colour, rng) if group.colour else ""
    if group.kind is None and group.count == 1 and rng.random() < 0.25:
        return f"something {colour}"
    return _with_count(group, _described(size, colour, noun, rng), rng, bare)


def _colour(colour: str, rng: random.Random) -> str:
    word = rng.choice(w.COLOUR_WORDS[colour])
    if rng.random() < 0.05:
        word = f"{rng.choice(w.COLOUR_MODIFIERS)} {word}"
    return word


def _described(size: str, colour: str, noun: str, rng: random.Random) -> str:
    roll = rng.random()
    if not colour or roll < 0.8:
        front = [size, colour] if rng.random() < 0.92 else [colour, size]
        if rng.random() < 0.04:
            front.insert(0, rng.choice(w.ADJECTIVES))
        return " ".join(part for part in (*front, noun) if part)
    forms = (
        f"{noun} {colour}",
        f"{noun} in {colour}",
        f"{colour} colored {noun}",
        f"{colour}-coloured {noun}",
        f"{noun} that is {colour}",
        f"{noun} ({colour})",
    )
    return f"{size} {rng.choice(forms)}".strip()


def _with_count(group: Group, phrase: str, rng: random.Random, bare: bool) -> str:
    roll = rng.random()
    if group.count > 1:
        vague = w.VAGUE_COUNTS.get(group.count)
        if vague and not bare and roll < 0.08:
            return f"{rng.choice(vague)} {phrase}"
        if group.count == 3 and not bare and 0.08 <= roll < 0.14 and "dots" not in phrase:
            return phrase
        return f"{rng.choice(w.COUNT_WORDS[group.count])} {phrase}"
    if roll < 0.72:
        return _article(phrase)
    if roll < 0.77:
        return f"the {phrase}"
    return phrase if roll < 0.94 else f"{rng.choice(w.COUNT_WORDS[1])} {phrase}"


def _place(place: str, rng: random.Random) -> str:
    return rng.choice(w.PLACE_PHRASES[place]).replace("{in}", rng.choice(("in", "in", "at", "on")))


def _shapes(wish: Wish, rng: random.Random) -> str:
    if not wish.groups:
        return rng.choice(w.PLAIN_PHRASES).format(c=_colour(str(wish.background), rng))
    body = _bodies(len(wish.groups))(wish, rng)
    if wish.background is None:
        return body
    colour = _colour(wish.background, rng)
    if rng.random() < 0.3:
        return f"{rng.choice(w.BACKGROUND_BEFORE).format(c=colour)} {body}"
    return f"{body} {rng.choice(w.BACKGROUND_AFTER).format(c=colour)}"


def _bodies(count: int) -> Callable[[Wish, random.Random], str]:
    return {1: _body_one, 2: _body_two, 3: _body_three}[count]


def _body_one(wish: Wish, rng: random.Random) -> str:
    group = wish.groups[0]
    phrase = noun_phrase(group, rng)
    if wish.relation in ("row", "column"):
        tails = w.ROW_PHRASES if wish.relation == "row" else w.COLUMN_PHRASES
        if rng.random() < 0.25:
            head = ("row", "line") if wish.relation == "row" else ("column", "stack")
            return f"a {rng.choice(head)} of {noun_phrase(group, rng, bare=True)}"
        return f"{phrase} {rng.choice(tails)}"
    return _placed(phrase, group.place, rng)


def _placed(phrase: str, place: str | None, rng: random.Random) -> str:
    if place is None:
        return phrase
    where = _place(place, rng)
    if rng.random() < 0.15:
        return f"{where}{rng.choice((',', ' is', ' there is', ''))} {phrase}"
    return f"{phrase}{rng.choice(('', '', '', ','))} {where}"


def _body_two(wish: Wish, rng: random.Random) -> str:
    first, second = wish.groups
    if first.place and second.place:
        return _join([_placed(noun_phrase(g, rng), g.place, rng) for g in wish.groups], rng)
    if first.kind == second.kind and not wish.relation and rng.random() < 0.6:
        return _shared_noun(wish.groups, rng)
    a, b = noun_phrase(first, rng), noun_phrase(second, rng)
    if not wish.relation:
        link = rng.choice(
            (" and ", " and ", " and ", ", ", " with ", " next to ", " beside ", " & ")
        )
        return f"{a}{link}{b}"
    return _related(a, b, wish.relation, rng)


def _shared_noun(groups: Sequence[Group], rng: random.Random) -> str:
    """ "A red and a blue circle", "red and blue circles": one noun for all."""
    if any(g.count > 1 or not g.colour or g.size for g in groups):
        return _join([noun_phrase(g, rng) for g in groups], rng)
    kind = groups[0].kind
    noun = rng.choice(w.ITEM_WORDS[kind] if kind else w.OPEN_NOUNS[:5])
    many = w.PLURALS.get(noun, noun + "s")
    colours = [_colour(str(g.colour), rng) for g in groups]
    listed = ", ".join(colours[:-1]) + " and " + colours[-1]
    number = rng.choice(w.COUNT_WORDS[len(groups)][:2])
    ones = " and ".join(f"one {c}" for c in colours)
    articles = " and ".join(_article(c) for c in colours)
    forms = (f"{listed} {many}", f"{articles} {noun}", f"{number} {many}, {ones}")
    return rng.choice(forms)


def _related(a: str, b: str, relation: str, rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.15:
        return rng.choice(w.TURNED_PHRASES[relation]).format(a=a, b=b)
    if relation != "inside" and roll < 0.65:
        if rng.random() < 0.5:
            a, b, relation = b, a, w.OPPOSITE[relation]
        if roll < 0.32:
            return _split(a, b, relation, rng)
    phrase = rng.choice(w.RELATION_PHRASES[relation])
    if roll > 0.93:
        verb = rng.choice(("is", "there is", ","))
        return f"{phrase.removeprefix('is ').removeprefix('sits ')} {b} {verb} {a}"
    return f"{a} {phrase} {b}"


def _split(a: str, b: str, relation: str, rng: random.Random) -> str:
    """Each object with its own place: "A on the left and B on the right"."""
    place = {"above": "top", "below": "bottom"}.get(relation, relation)
    other = {"top": "bottom", "bottom": "top", "left": "right", "right": "left"}[place]
    pa, pb = _place(place, rng), _place(other, rng)
    if rng.random() < 0.2:
        return f"{pa} {a}, {pb} {b}"
    return f"{a} {pa}{rng.choice((' and', ','))} {b} {pb}"


def _body_three(wish: Wish, rng: random.Random) -> str:
    names = [noun_phrase(g, rng) for g in wish.groups]
    if wish.relation == "between":
        if wish.groups[1] == wish.groups[2]:
            pair = noun_phrase(replace(wish.groups[1], count=2), rng, bare=True)
            return f"{names[0]} between {pair}"
        return f"{names[0]} between {names[1]} and {names[2]}"
    if wish.relation in ("above", "left"):
        return f" {rng.choice(w.RELATION_PHRASES[wish.relation][:3])} ".join(names)
    listed = _join(names, rng)
    if len({g.kind for g in wish.groups}) == 1 and rng.random() < 0.6:
        listed = _shared_noun(wish.groups, rng)
    if not wish.relation:
        return listed
    tail = rng.choice(w.ROW_PHRASES if wish.relation == "row" else w.COLUMN_PHRASES)
    return f"{tail}: {listed}" if rng.random() < 0.12 else f"{listed} {tail}"


def _pattern(wish: Wish, rng: random.Random) -> str:
    scale = rng.choice(w.SCALE_WORDS[wish.scale]) if wish.scale else ""
    name = rng.choice([p for p in w.PATTERN_WORDS[wish.pattern] if not scale or "{s}" in p])
    if "gradient" in wish.pattern and len(wish.colours) == 2 and rng.random() < 0.6:
        return _gradient(wish, name, rng)
    name = " ".join(name.replace("{s}", scale).split())
    if not name.endswith("s") or rng.random() < 0.15:
        name += rng.choice((" pattern", " pattern", " texture", "", " background", " wallpaper"))
    if len(wish.colours) == 2 and rng.random() < 0.3:
        return _adjective_first(wish, scale, rng)
    return rng.choice(("", "", "", "a pattern of ", "a ")) + _in_colours(wish, name, rng)


def _adjective_first(wish: Wish, scale: str, rng: random.Random) -> str:
    """ "Vertical red and white stripes", "small green dots on white"."""
    first, _, last = wish.pattern.rpartition(" ")
    noun = rng.choice(
        {"checks": ("checks", "checkerboard"), "stripes": ("stripes",)}.get(last, (last,))
    )
    a, b = (_colour(c, rng) for c in wish.colours)
    forms = [f"{a} and {b} {noun}", f"{a} {b} {noun}"]
    if noun.endswith("s"):
        forms += [f"{b} {noun} on {a}", f"{b} {noun} on a {a} background"]
    words = [scale, first] if rng.random() < 0.5 else [first, scale]
    return " ".join(word for word in (*words, rng.choice(forms)) if word)


def _gradient(wish: Wish, name: str, rng: random.Random) -> str:
    a, b = (_colour(c, rng) for c in wish.colours)
    if wish.pattern.startswith("vertical") and rng.random() < 0.4:
        forms = (f"{a} fading to {b}", f"{a} fading into {b}", f"{a} on top fading to {b}")
        return rng.choice(forms)
    forms = (
        f"{name} from {a} to {b}",
        f"{a} to {b} {name}",
        f"a {name} of {a} to {b}",
        f"{name} {a} to {b}",
        f"from {a} to {b} {name}",
    )
    return rng.choice(forms)


def _in_colours(wish: Wish, name: str, rng: random.Random) -> str:
    colours = [_colour(c, rng) for c in wish.colours]
    if not colours:
        return name
    if len(colours) == 1:
        return rng.choice((f"{colours[0]} {name}", f"{name} in {colours[0]}"))
    a, b = colours
    forms = [f"{a} and {b} {name}"] * 4 + [f"{name} in {a} and {b}", f"{name} {a} and {b}"]
    forms += [f"{name}, {a} and {b}", f"{a}/{b} {name}", f"{a} {b} {name}", f"{a}-{b} {name}"]
    if name.endswith("s"):
        forms += [f"{b} {name} on {a}", f"{b} {name} on a {a} background"] * 2
        forms += [f"{a} with {b} {name}", f"{a} background with {b} {name}"]
        forms += [f"{name} of {a} and {b}"]
    return rng.choice(forms)


def _scene(wish: Wish, rng: random.Random) -> str:
    extras = _extras(wish, rng)
    things = _things(wish, rng)
    roll = rng.random()
    if roll < 0.12:
        parts = [*things, *extras] or [rng.choice(w.LANDSCAPES)]
        rng.shuffle(parts)
        return ", ".join(parts) if rng.random() < 0.7 else " ".join(parts)
    if roll < 0.45 or not (things or extras):
        return _as_landscape(wish, things, rng)
    rng.shuffle(extras)
    if not things:
        return _bare_land(extras, rng)
    return _things_first(things, extras, rng)


def _things_first(things: list[str], extras: list[str], rng: random.Random) -> str:
    body = _join(things, rng)
    link = rng.choice((" ", " ", ", ", " and "))
    if extras and rng.random() < 0.2:
        return f"{extras[0]}, {link.join([body, *extras[1:]])}"
    return link.join([body, *extras])


def _bare_land(extras: list[str], rng: random.Random) -> str:
    link = rng.choice((" ", ", ", " and ", " over ", " with ", " on ", " in "))
    return link.join(extras)


def _extras(wish: Wish, rng: random.Random) -> list[str]:
    tables = (
        (w.SKY_PHRASES, wish.sky),
        (w.WEATHER_PHRASES, wish.weather),
        (w.GROUND_PHRASES, wish.ground),
        (w.BACKDROP_PHRASES, wish.backdrop),
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
        land = [_related(land[0], land[1], wish.relation, rng)]
    elif wish.relation == "right":
        land = land[::-1]
    above = [_scene_group(g, rng) for g in wish.groups if g.kind in SKY_KINDS]
    if above and rng.random() < 0.25:
        over = rng.choice((" over ", " above ", " over "))
        return [over.join([_join(above, rng), *land[:1]]), *land[1:]]
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
        return rng.choice(w.FORESTS)
    if group.place is None:
        under = group.kind in ("sun", "crescent") and rng.random() < 0.1
        return f"under {phrase}" if under else phrase
    in_corner = group.kind in SKY_KINDS and group.place != "center" and rng.random() < 0.3
    return f"{phrase} {_place('top ' + group.place if in_corner else group.place, rng)}"


def _as_landscape(wish: Wish, things: list[str], rng: random.Random) -> str:
    """ "A rainy night landscape with ..." and its like."""
    noun = rng.choice(w.LANDSCAPES)
    said_by_noun = wish.sky is not None and rng.random() < 0.35
    if wish.sky and said_by_noun:
        noun = rng.choice(w.SKY_NOUNS[wish.sky])
    adjectives: list[str] = []
    phrases: list[str] = []
    for value, front, back, chance in (
        (wish.weather, w.WEATHER_ADJECTIVES, w.WEATHER_PHRASES, 0.65),
        (None if said_by_noun else wish.sky, w.SKY_ADJECTIVES, w.SKY_PHRASES, 0.65),
        (wish.ground, w.GROUND_ADJECTIVES, w.GROUND_PHRASES, 0.0 if said_by_noun else 0.35),
    ):
        if value and rng.random() < chance:
            adjectives.append(_fitting(front[value], wish, rng))
        elif value:
            phrases.append(_fitting(back[value], wish, rng))
    if wish.backdrop and rng.random() < 0.3 and not said_by_noun:
        noun = {"hills": "hill", "mountains": "mountain"}[wish.backdrop] + " " + noun
    elif wish.backdrop:
        phrases.append(rng.choice(w.BACKDROP_PHRASES[wish.backdrop]))
    head = " ".join([*adjectives, noun])
    head = _article(head) if rng.random() < 0.6 else head
    if things:
        phrases.insert(0, rng.choice(("with ", "with ", "and ")) + _join(things, rng))
    return rng.choice((" ", " ", ", ")).join([head, *phrases])
