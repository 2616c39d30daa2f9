"""How one object, a colour, a place or a relation is put into words."""

import random
from collections.abc import Sequence

import scene_words as sw
import words as w
from wishes import Group


def article(phrase: str) -> str:
    """A phrase with "a" or "an" before it."""
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def join(parts: Sequence[str], rng: random.Random) -> str:
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
    colour = colour_word(group.colour, rng) if group.colour else ""
    if group.kind is None and group.count == 1 and rng.random() < 0.25:
        return f"something {colour}"
    return _with_count(group, _described(size, colour, noun, rng), rng, bare)


def colour_word(colour: str, rng: random.Random) -> str:
    """A word for a colour, at times with "light" or "dark", which change nothing."""
    word = rng.choice(w.COLOUR_WORDS[colour])
    if rng.random() < 0.05:
        word = f"{rng.choice(w.COLOUR_MODIFIERS)} {word}"
    return word


def _described(size: str, colour: str, noun: str, rng: random.Random) -> str:
    roll = rng.random()
    if not colour or roll < 0.8:
        front = [size, colour] if rng.random() < 0.92 else [colour, size]
        if rng.random() < 0.04:
            front.insert(0, rng.choice(sw.ADJECTIVES))
        return " ".join(part for part in (*front, noun) if part)
    forms = (
        f"{noun} {colour}",
        f"{noun} in {colour}",
        f"{colour} colored {noun}",
        f"{colour}-coloured {noun}",
        f"{noun} that is {colour}",
        f"{noun} coloured {colour}",
        f"{noun}, colored {colour},",
        f"{noun} ({colour})",
    )
    if rng.random() < 0.1:
        return ", ".join(part for part in (noun, colour, size) if part)
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
        return article(phrase)
    if roll < 0.77:
        return f"the {phrase}"
    return phrase if roll < 0.94 else f"{rng.choice(w.COUNT_WORDS[1])} {phrase}"


def place_phrase(place: str, rng: random.Random) -> str:
    """Words for a place in the picture."""
    return rng.choice(w.PLACE_PHRASES[place]).replace("{in}", rng.choice(("in", "in", "at", "on")))


def related(a: str, b: str, relation: str, rng: random.Random) -> str:
    """Two phrases and what the first is to the second."""
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
    pa, pb = place_phrase(place, rng), place_phrase(other, rng)
    if rng.random() < 0.2:
        return f"{pa} {a}, {pb} {b}"
    return f"{a} {pa}{rng.choice((' and', ','))} {b} {pb}"
