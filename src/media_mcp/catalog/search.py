"""Finds models by what one wants: words, their beginnings and near spellings, rarer words first."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from media_mcp.catalog.model import Model

_WORD = re.compile(r"[a-z0-9]+")
_STOP = frozenset(
    _WORD.findall("a an and as at by for from in into is it me my of on or the to with")
)
_FIELDS = (("id", 4.0), ("title", 4.0), ("task", 3.0), ("search_hint", 3.0), ("provider", 2.0))
_PROSE = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """A model and how well it fits; scores compare within one search only."""

    model: Model
    score: float


def words(text: str) -> list[str]:
    """Split text into lower-case words and numbers, small words left out."""
    return [word for word in _WORD.findall(text.lower()) if word not in _STOP]


class Index:
    """An inverted index: word → model → weight of the best field that holds it."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._models = list(models)
        self._postings: dict[str, dict[int, float]] = defaultdict(dict)
        for number, model in enumerate(self._models):
            for word, weight in _weights(model).items():
                self._postings[word][number] = weight
        self._vocabulary = list(self._postings)

    def find(self, query: str, *, task: str = "", limit: int = 10) -> list[Found]:
        asked = words(query)
        scores = self._score(asked) if asked else dict.fromkeys(range(len(self._models)), 1.0)
        fits = [n for n in scores if not task or self._models[n].task == task]
        ranked = sorted(fits, key=lambda n: (-scores[n] * self._boost(n), n))
        return [Found(self._models[n], scores[n]) for n in ranked[:limit]]

    def _boost(self, number: int) -> float:
        return 1.5 if self._models[number].featured else 1.0

    def _score(self, asked: Iterable[str]) -> dict[int, float]:
        scores: Counter[int] = Counter()
        for word in asked:
            best: dict[int, float] = {}
            for known, closeness in self._near(word):
                rarity = math.log(1 + len(self._models) / len(self._postings[known]))
                for number, weight in self._postings[known].items():
                    best[number] = max(best.get(number, 0.0), closeness * rarity * weight)
            scores.update(best)
        return dict(scores)

    def _near(self, word: str) -> list[tuple[str, float]]:
        if word in self._postings:
            return [(word, 1.0)]
        begins = [(k, 0.7) for k in self._vocabulary if _same_stem(k, word)]
        if begins:
            return begins
        return [(k, 0.5) for k in get_close_matches(word, self._vocabulary, n=3, cutoff=0.75)]


def _same_stem(one: str, other: str) -> bool:
    shorter = min(len(one), len(other))
    return shorter >= 4 and (one.startswith(other) or other.startswith(one))


def _weights(model: Model) -> dict[str, float]:
    weights: dict[str, float] = {}
    for word in words(model.description):
        weights[word] = _PROSE
    for field, weight in reversed(_FIELDS):
        for word in words(str(getattr(model, field))):
            weights[word] = max(weight, weights.get(word, 0.0))
    return weights
