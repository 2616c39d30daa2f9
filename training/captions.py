"""Wishes in words: many ways to say the same thing, in any order, with words that mean nothing."""

import random
import string
from collections.abc import Callable, Sequence
from dataclasses import replace

import scene_words as sw
import words as w
from naming import article, colour_word, join, noun_phrase, place_phrase, related
from scene_captions import write_scene
from wishes import Group, Wish


def caption(wish: Wish, rng: random.Random) -> str:
    """One way to ask for a wish."""
    write = {"shapes": _shapes, "pattern": _pattern, "scene": write_scene}[wish.kind]
    text = _frame(write(wish, rng), rng)
    text = _with_odd_words(text, rng)
    return " ".join(_with_case(text, rng).split())


def _frame(text: str, rng: random.Random) -> str:
    if rng.random() < 0.3:
        text = f"{rng.choice(sw.OPENINGS)} {text}"
    if rng.random() < 0.08:
        text = f"{text}{rng.choice((',', ''))} {rng.choice(sw.CLOSINGS)}"
    if rng.random() < 0.12:
        text += rng.choice((".", "!", "?"))
    return text


def _odd(rng: random.Random) -> str:
    """A word that the vocabulary does not hold."""
    return "zq" + "".join(rng.choices(string.ascii_lowercase, k=3))


def nonsense(rng: random.Random) -> str:
    """A prompt without one known thing in it: it gets a landscape."""
    body = " ".join(_odd(rng) for _ in range(rng.choice((1, 1, 2, 3))))
    article = rng.choice(("a ", "a ", "the ", "", ""))
    return f"{rng.choice(sw.OPENINGS)} {article}{body}" if rng.random() < 0.3 else article + body


def _with_odd_words(text: str, rng: random.Random) -> str:
    parts = [_odd(rng) if part == "<odd>" else part for part in text.split()]
    if rng.random() < 0.12:
        for _ in range(rng.choice((1, 1, 2))):
            extra = _odd(rng) if rng.random() < 0.7 else rng.choice(sw.ADJECTIVES)
            parts.insert(rng.randrange(len(parts) + 1), extra)
    return " ".join(parts)


def _with_case(text: str, rng: random.Random) -> str:
    text = text.replace(" ,", ",").replace(" ;", ";").replace(" .", ".").replace(" :", ":")
    roll = rng.random()
    if roll < 0.08:
        return text.capitalize()
    return text.replace(",", "") if roll < 0.2 else text


def _shapes(wish: Wish, rng: random.Random) -> str:
    if not wish.groups:
        return rng.choice(w.PLAIN_PHRASES).format(c=colour_word(str(wish.background), rng))
    body = _bodies(len(wish.groups))(wish, rng)
    if wish.background is None:
        return body
    colour = colour_word(wish.background, rng)
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
    where = place_phrase(place, rng)
    if rng.random() < 0.15:
        return f"{where}{rng.choice((',', ' is', ' there is', ''))} {phrase}"
    return f"{phrase}{rng.choice(('', '', '', ','))} {where}"


def _body_two(wish: Wish, rng: random.Random) -> str:
    first, second = wish.groups
    if first.place and second.place:
        return join([_placed(noun_phrase(g, rng), g.place, rng) for g in wish.groups], rng)
    if first.kind == second.kind and not wish.relation and rng.random() < 0.6:
        return _shared_noun(wish.groups, rng)
    a, b = noun_phrase(first, rng), noun_phrase(second, rng)
    if not wish.relation:
        link = rng.choice(
            (" and ", " and ", " and ", ", ", " with ", " next to ", " beside ", " & ")
        )
        return f"{a}{link}{b}"
    return related(a, b, wish.relation, rng)


def _shared_noun(groups: Sequence[Group], rng: random.Random) -> str:
    """ "A red and a blue circle", "red and blue circles": one noun for all."""
    if any(g.count > 1 or not g.colour or g.size for g in groups):
        return join([noun_phrase(g, rng) for g in groups], rng)
    kind = groups[0].kind
    noun = rng.choice(w.ITEM_WORDS[kind] if kind else w.OPEN_NOUNS[:5])
    many = w.PLURALS.get(noun, noun + "s")
    colours = [colour_word(str(g.colour), rng) for g in groups]
    listed = ", ".join(colours[:-1]) + " and " + colours[-1]
    number = rng.choice(w.COUNT_WORDS[len(groups)][:2])
    ones = " and ".join(f"one {c}" for c in colours)
    articles = " and ".join(article(c) for c in colours)
    forms = (f"{listed} {many}", f"{articles} {noun}", f"{number} {many}, {ones}")
    return rng.choice(forms)


def _body_three(wish: Wish, rng: random.Random) -> str:
    names = [noun_phrase(g, rng) for g in wish.groups]
    if wish.relation == "between":
        if wish.groups[1] == wish.groups[2]:
            pair = noun_phrase(replace(wish.groups[1], count=2), rng, bare=True)
            return f"{names[0]} between {pair}"
        return f"{names[0]} between {names[1]} and {names[2]}"
    if wish.relation in ("above", "left"):
        return f" {rng.choice(w.RELATION_PHRASES[wish.relation][:3])} ".join(names)
    listed = join(names, rng)
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
    a, b = (colour_word(c, rng) for c in wish.colours)
    forms = [f"{a} and {b} {noun}", f"{a} {b} {noun}"]
    if noun.endswith("s"):
        forms += [f"{b} {noun} on {a}", f"{b} {noun} on a {a} background"]
    words = [scale, first] if rng.random() < 0.5 else [first, scale]
    return " ".join(word for word in (*words, rng.choice(forms)) if word)


def _gradient(wish: Wish, name: str, rng: random.Random) -> str:
    a, b = (colour_word(c, rng) for c in wish.colours)
    if wish.pattern.startswith("vertical") and rng.random() < 0.4:
        fading = (f"{a} fading to {b}", f"{a} fading into {b}", f"{a} on top fading to {b}")
        return rng.choice(fading)
    forms = (
        f"{name} from {a} to {b}",
        f"{a} to {b} {name}",
        f"a {name} of {a} to {b}",
        f"{name} {a} to {b}",
        f"from {a} to {b} {name}",
    )
    return rng.choice(forms)


def _in_colours(wish: Wish, name: str, rng: random.Random) -> str:
    colours = [colour_word(c, rng) for c in wish.colours]
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
    if wish.pattern == "checks":
        forms += [f"{name} of {a} and {b} squares", f"{a} and {b} squares {name}"] * 2
    return rng.choice(forms)
