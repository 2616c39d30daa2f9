"""Reads a query: its words mended, with how much each counts, and what they mean together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from media_mcp.catalog.intents import Meaning, Meanings
from media_mcp.catalog.search_words import asked_words, joined
from media_mcp.catalog.spelling import Speller

MARK = ":"  # begins what is in the index and is no word
_COMMON, _HEARD, _ALIAS, _BEGUN = 0.12, 0.4, 0.8, 0.75
_BEGINNING = 5  # letters that two words share if one is the other's beginning
_LONGEST_NAME = 3  # words


@dataclass(frozen=True, slots=True)
class Question:
    """`terms` are known words with how much each counts (up to 1); `names` those that may name.

    `joined` are names that may be meant by two words; `asked` is how many words ask for something.
    """

    terms: dict[str, float]
    names: frozenset[str]
    joined: dict[str, tuple[str, str]]
    asked: int
    meaning: Meaning


class Reader:
    """Reads queries for one catalog."""

    def __init__(self, vocabulary: Sequence[str], meanings: Meanings) -> None:
        self._known = frozenset(word for word in vocabulary if not word.startswith(MARK))
        self._meanings = meanings

    def read(self, query: str) -> Question:
        asked = asked_words(query)
        mended = [near for word in asked for near in self._mended(word)]
        meaning = self._meanings.meant([word for word, _ in mended])
        terms: dict[str, float] = {}
        for word, share in (*self._weighed(mended, meaning.heard), *self._aliases(asked)):
            if word in self._known:
                terms[word] = max(share, terms.get(word, 0.0))
        return Question(
            terms,
            names=frozenset(terms) - meaning.heard - meaning.manner_words,
            joined=dict(self._joined(asked, meaning.heard)),
            asked=len(set(asked) - self._meanings.small),
            meaning=meaning,
        )

    def _mended(self, word: str) -> list[tuple[str, float]]:
        if word in self._known or word in self._meanings.spoken:
            return [(word, 1.0)]
        near = self._begun(word) or self._speller.near(word)
        spoken = [one for one in near if one[0] in self._meanings.spoken]
        return spoken or near

    def _begun(self, word: str) -> list[tuple[str, float]]:
        """Return known words that begin with this one."""
        if len(word) < _BEGINNING:
            return []
        return [(known, _BEGUN) for known in self._known if known.startswith(word)][:_LONGEST_NAME]

    def _weighed(
        self, mended: Sequence[tuple[str, float]], heard: Set[str]
    ) -> Iterator[tuple[str, float]]:
        telling = [(word, share) for word, share in mended if word not in self._meanings.small]
        for word, share in telling:
            common = _COMMON if word in self._meanings.common and len(telling) > 1 else 1.0
            yield word, share * min(common, _HEARD if word in heard else 1.0)
            if word not in self._known:
                yield from self._begun(word)

    def _aliases(self, asked: Sequence[str]) -> Iterator[tuple[str, float]]:
        """Yield what names of other houses stand for here."""
        for i in range(len(asked)):
            for j in range(i + 1, min(i + _LONGEST_NAME, len(asked)) + 1):
                known = self._meanings.names.get(" ".join(asked[i:j]), ())
                yield from ((word, _ALIAS) for word in known)

    def _joined(
        self, asked: Sequence[str], heard: Set[str]
    ) -> Iterator[tuple[str, tuple[str, str]]]:
        plain = self._meanings.common | heard
        for pair in pairwise(asked):
            if self._meanings.small.isdisjoint(pair) and not plain.issuperset(pair):
                yield from ((word, pair) for word in joined(list(pair)) if word in self._known)

    @cached_property
    def _speller(self) -> Speller:
        return Speller(self._known | self._meanings.spoken)
