"""What people mean: phrases of want, read from `words/intents.yaml` and asked of a query.

The file is read when a catalog is compiled (`Meanings.of`). What a query needs of it travels in the
index as one JSON text (`dumps`, `loads`), so that a search reads no YAML.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

from media_mcp.catalog.search_words import stem, words

TASK = ":task:"
KIND = ":in:"
_KINDS = ("video", "audio")  # that a query names; a picture is what most traits mean unsaid
_APART = 4  # how far apart the words of an ordered phrase may stand
_LEAST = 0.4  # the weight of a phrase besides what its words tell
_ALONE = 0.7

_INTO = frozenset(("to", "into", "2", "as", "become", "en", "zu"))

Order: TypeAlias = Literal["", ">", "=>"]
_Said: TypeAlias = tuple[tuple[str, ...], Order, bool]  # words, order, only alone


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that mean something together. `wants` are marks of models (`:task:…`, `:<trait>`).

    `order` is empty if any will do; `=>` asks for a word like `into` between two of them.
    """

    words: tuple[str, ...]
    order: Order
    alone: bool
    weight: float
    wants: tuple[str, ...]

    def said(self, concepts: Sequence[str]) -> bool:
        if not self.order:
            return all(word in concepts for word in self.words)
        starts = (i for i, concept in enumerate(concepts) if concept == self.words[0])
        return any(self._follows(concepts, start) for start in starts)

    def _follows(self, concepts: Sequence[str], at: int) -> bool:
        for word in self.words[1:]:
            near = concepts[at + 1 : at + 1 + _APART]
            if word not in near:
                return False
            step = near.index(word)
            if self.order == "=>" and _INTO.isdisjoint(near[:step]):
                return False
            at += 1 + step
        return True


@dataclass(slots=True)
class Meaning:
    """What a query asks for, as marks of models with weights.

    `purposes` say what is to be done (`sure` if not only guessed), `manners` how, `kinds` to which
    media. `heard` are the words of the query that said so.
    """

    purposes: dict[str, float] = field(default_factory=dict)
    manners: dict[str, float] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    heard: frozenset[str] = frozenset()
    manner_words: frozenset[str] = frozenset()
    sure: bool = False


@dataclass(frozen=True)
class Meanings:
    """All phrases, and what is known of single words."""

    same: Mapping[str, str]
    small: frozenset[str]
    common: frozenset[str]
    names: Mapping[str, Sequence[str]]
    phrases: Sequence[Phrase]
    manners: Mapping[str, str]  # the trait's mark, and the task that it brings if none is named
    kinds: Mapping[str, str]
    weights: Mapping[str, float]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Meanings:
        """Make the meanings that `intents.yaml` declares."""
        same = {stem(word): stem(group[0]) for group in raw["same"] for word in group}
        small = frozenset(stem(word) for word in raw["small"])
        traits = raw["traits"].items()
        return cls(
            same=same,
            small=small,
            common=frozenset(stem(word) for word in raw["common"]),
            names={" ".join(words(name)): words(known) for name, known in raw["known_as"].items()},
            phrases=tuple(_weighed(_gathered(_declared(raw), same, small), small)),
            manners={f":{name}": t.get("brings", "") for name, t in traits if "manner" in t},
            kinds={f":{name}": t["kind"] for name, t in traits if "kind" in t},
            weights={f":{name}": float(t["weight"]) for name, t in traits if "weight" in t},
        )

    def dumps(self) -> bytes:
        phrases = [[" ".join(p.words), p.order, p.alone, p.weight, *p.wants] for p in self.phrases]
        known = [
            dict(self.same),
            sorted(self.small),
            sorted(self.common),
            dict(self.names),
            phrases,
        ]
        known += [dict(self.manners), dict(self.kinds), dict(self.weights)]
        return json.dumps(known, separators=(",", ":")).encode()

    @classmethod
    def loads(cls, text: bytes) -> Meanings:
        same, small, common, names, told, *rules = json.loads(text)
        phrases = tuple(Phrase(tuple(t[0].split()), t[1], t[2], t[3], tuple(t[4:])) for t in told)
        return cls(same, frozenset(small), frozenset(common), names, phrases, *rules)

    @cached_property
    def spoken(self) -> frozenset[str]:
        """Every word that a phrase may hold, so that none of them is taken for a misspelling."""
        return frozenset(self._by_word).union(self.same, self.small, self.common)

    def meant(self, asked: Sequence[str]) -> Meaning:
        """Return what the words of a query mean."""
        concepts = [self.same.get(word, word) for word in asked]
        found = list(self._said(concepts))
        manners = _longest([p for p in found if self._is_manner(p)])
        purposes = [p for p in found if not self._is_manner(p)]
        sure = _longest([p for p in purposes if not p.alone])
        heard = {word for phrase in sure for word in phrase.words}
        how = {word for phrase in manners for word in phrase.words}
        meaning = Meaning(
            purposes=self._wants(sure or [p for p in purposes if p.alone]),
            manners=self._wants(manners),
            heard=frozenset(w for w, c in zip(asked, concepts, strict=True) if c in heard),
            manner_words=frozenset(w for w, c in zip(asked, concepts, strict=True) if c in how),
            sure=bool(sure),
        )
        self._complete(meaning, concepts)
        return meaning

    def _is_manner(self, phrase: Phrase) -> bool:
        return all(want in self.manners for want in phrase.wants)

    def _wants(self, found: Iterable[Phrase]) -> dict[str, float]:
        wants: dict[str, float] = {}
        for phrase in found:
            for want in phrase.wants:
                weight = phrase.weight * self.weights.get(want, 1.0)
                wants[want] = max(wants.get(want, 0.0), weight)
        return wants

    def _said(self, concepts: Sequence[str]) -> Iterator[Phrase]:
        for concept in dict.fromkeys(concepts):
            yield from (p for p in self._by_word.get(concept, ()) if p.said(concepts))

    def _complete(self, meaning: Meaning, concepts: Sequence[str]) -> None:
        """Add the task that a manner speaks of, and the kinds of media that a purpose may have."""
        brought = [task for mark in meaning.manners if (task := self.manners[mark])]
        if brought and not meaning.sure:
            meaning.purposes = {f"{TASK}{task}": _ALONE for task in brought}
        usual = {self.kinds[mark] for mark in meaning.purposes if mark in self.kinds}
        named = [kind for kind in _KINDS if usual and kind in concepts]
        meaning.kinds = tuple(f"{KIND}{kind}" for kind in named or sorted(usual))

    @cached_property
    def _by_word(self) -> Mapping[str, list[Phrase]]:
        by_word: dict[str, list[Phrase]] = defaultdict(list)
        for phrase in self.phrases:
            by_word[max(phrase.words, key=len)].append(phrase)
            for word in phrase.words:
                by_word[word] += ()
        return by_word


def _declared(raw: Mapping[str, Any]) -> Iterator[tuple[str, bool, str]]:
    """Yield each phrase as it is written, whether it counts only alone, and what it wants."""
    tasks = {f"{TASK}{task}": said for task, said in raw["tasks"].items()}
    traits = {f":{trait}": said for trait, said in raw["traits"].items()}
    for mark, said in (tasks | traits).items():
        yield from ((phrase, False, mark) for phrase in said["asked"])
        yield from ((phrase, True, mark) for phrase in said.get("alone", ()))


def _gathered(
    declared: Iterable[tuple[str, bool, str]], same: Mapping[str, str], small: frozenset[str]
) -> Mapping[_Said, list[str]]:
    """Bring together all that a phrase wants. A phrase with small words has an order."""
    wants: dict[_Said, list[str]] = defaultdict(list)
    for text, alone, want in declared:
        stems = words(text)
        concepts = [same.get(word, word) for word in stems]
        order = _order(text, len(stems) > 1 and not small.isdisjoint(stems))
        said = tuple(concepts if order else sorted(set(concepts)))
        marks = wants[said, order, alone]
        if want not in marks:
            marks.append(want)
    return wants


def _order(text: str, has_small: bool) -> Order:
    if "=>" in text:
        return "=>"
    return ">" if ">" in text or has_small else ""


def _weighed(gathered: Mapping[_Said, list[str]], small: frozenset[str]) -> Iterator[Phrase]:
    """Weigh phrases by their words: one that few wants share tells more."""
    shared = Counter(
        word for said, marks in gathered.items() for word in set(said[0]) for _ in marks
    )
    whole = math.log(shared.total())
    for (said, order, alone), marks in gathered.items():
        told = sum(1 - math.log(shared[word]) / whole for word in set(said) - small)
        weight = _ALONE if alone else round(_LEAST + 0.7 * told, 2)
        yield Phrase(said, order, alone, weight, tuple(marks))


def _longest(found: Sequence[Phrase]) -> list[Phrase]:
    """Leave out phrases that a longer one contains."""
    sets = [frozenset(phrase.words) for phrase in found]
    pairs = zip(found, sets, strict=True)
    return [phrase for phrase, own in pairs if not any(own < other for other in sets)]
