"""Finds models by what one wants: names, phrases of want, near spellings, filters.

When a catalog is compiled, `compile_words` makes one mapping of keys to bytes. A plain key is a
word, a key that begins with `:` a mark (a task, a trait, a kind of media that goes in); both hold
postings. Two more keys hold what a search reads once: `:meanings` (the phrases of `intents.yaml` as
JSON) and `:likely` (a byte per model: how likely it is meant before anything is asked). `Search`
reads all of them through the one function that it is given, and neither YAML nor any model.

The score of a model is the sum of what its words tell (rarer words and better places tell more),
what its marks answer of the wants, and how likely it is meant; it shrinks for each wish that the
model does not answer: the purpose, a name, the kind of media, a manner.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from media_mcp.catalog.head import Found, Head, Wish
from media_mcp.catalog.intents import TASK, Meaning, Meanings
from media_mcp.catalog.marks import Marks, Shown, weights_of
from media_mcp.catalog.model import Model
from media_mcp.catalog.postings import decode, encode
from media_mcp.catalog.question import Question, Reader
from media_mcp.catalog.search_words import is_version

INTENTS = "intents.yaml"
_MEANINGS, _LIKELY = ":meanings", ":likely"
_SHIFT, _STEPS = 6.0, 25.0  # how a likelihood is written as a byte
# What the parts of a score are worth.
_TRAIT, _TASK, _MANNER, _LIKELIHOOD, _WHOLE = 5.0, 4.2, 2.0, 1.0, 1.5
_BESIDE = 0.15  # the share of further purposes that a model answers
_RAREST, _VERSION, _LONE_VERSION = 5.0, 2.5, 0.5
# What is left of it where the model does not answer.
_NO_PURPOSE, _NO_NAME, _NO_KIND, _NO_MANNER, _RETIRED = 0.5, 0.55, 0.6, 0.85, 0.85
_NAME = 0.75  # the weight from which a word is part of a name
_NAMED, _SURE = 0.12, 0.7  # the most models that a name may have, the least that its word counts
_TAIL = 0.25  # the share of the best score that is still an answer
_SIBLING, _SIBLINGS, _MIXED = 0.06, 4, 60
_OWN, _OWN_WORTH = ":own", 18.0  # models of the user's own cards, for words that they hold

Postings: TypeAlias = Callable[[str], bytes]
Ranked: TypeAlias = list[tuple[float, int]]


def compile_words(
    models: Sequence[Model], heads: Sequence[Head], intents: Path
) -> dict[str, bytes]:
    """Return all that `Search` needs of models besides their heads: words, marks, meanings.

    Models and heads are in the same order, whose numbers the postings hold. `intents` is our
    `words/intents.yaml`.
    """
    raw = _declared(intents)
    shown = [Shown(n, model, heads[n]) for n, model in enumerate(models)]
    marks = Marks(raw, shown)
    found = marks.postings()
    for one in shown:
        for word, weight in weights_of(one).items():
            found.setdefault(word, {})[one.number] = weight
    likely = bytes(round((marks.likely(one) + _SHIFT) * _STEPS) for one in shown)
    found[_OWN] = {one.number: 1.0 for one in shown if one.model.own}
    compiled = {word: encode(weights) for word, weights in found.items() if weights}
    return compiled | {_MEANINGS: Meanings.of(raw).dumps(), _LIKELY: likely}


@dataclass(slots=True)
class _Tally:
    """Scores by model, and which models answer a name or a purpose.

    `covered` counts the words that a model's name holds, `said` sums what all its words weigh.
    """

    scores: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    covered: Counter[int] = field(default_factory=Counter)
    said: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    named: set[int] = field(default_factory=set)
    meant: set[int] = field(default_factory=set)


class Search:
    """Search over the models of one index. Any thread may search."""

    def __init__(
        self, heads: Sequence[Head], vocabulary: Sequence[str], postings: Postings
    ) -> None:
        self._heads = heads
        self._vocabulary = vocabulary
        self._postings = postings

    def find(self, wish: Wish) -> list[Found]:
        """Return the models that fit, best first.

        Filters that leave only models which the words do not speak of still give those.
        """
        filters = _filters(wish)
        fits = [n for n, head in enumerate(self._heads) if all(test(head) for test in filters)]
        tally = self._tally(self._reader.read(wish.query))
        scores = {n: tally.scores[n] for n in fits if n in tally.scores}
        least = _TAIL * max(scores.values(), default=0.0)
        answers = {n: score for n, score in scores.items() if score >= least}
        if not answers and (tally.scores or not wish.query.strip()):
            answers = dict.fromkeys(fits, 0.0)
        ranked = self._ranked(answers)
        if not tally.named:
            ranked = self._mixed(ranked, wish.limit)
        return [Found(self._heads[n], score) for score, n in ranked[: wish.limit]]

    def _ranked(self, scores: dict[int, float]) -> Ranked:
        likely = self._likely
        summed = [(s + _LIKELIHOOD * (likely[n] / _STEPS - _SHIFT), n) for n, s in scores.items()]
        return sorted(summed, key=lambda row: (-row[0], row[1]))

    def _mixed(self, ranked: Ranked, limit: int) -> Ranked:
        """Let other families pass before the further siblings of one."""
        rest = ranked[:_MIXED]
        families = {n: _family(self._heads[n].id) for _, n in rest}
        seen: Counter[str] = Counter()
        mixed: Ranked = []
        while rest and len(mixed) < limit:
            shrunk = [(s - abs(s) * _SIBLING * seen[families[n]], n) for s, n in rest]
            best = max(range(len(rest)), key=lambda i: shrunk[i][0])
            del rest[best]
            mixed.append(shrunk[best])
            family = families[shrunk[best][1]]
            seen[family] = min(seen[family] + 1, _SIBLINGS)
        return mixed + rest + ranked[_MIXED:]

    def _tally(self, question: Question) -> _Tally:
        tally = _Tally()
        for word, share in question.terms.items():
            self._add_word(tally, word, share, word in question.names)
        for word, pair in question.joined.items():
            apart = set.intersection(*({n for n, _ in self._read(part)} for part in pair))
            self._add_word(tally, word, 1.0, True, apart)
        self._add_versions(tally, question)
        self._add_purposes(tally, question.meaning)
        self._add_manners(tally, question.meaning)
        self._shrink(tally, question.meaning)
        for n, _ in self._read(_OWN):
            if said := tally.said.get(n):
                tally.scores[n] += _OWN_WORTH * said / question.asked
        return tally

    def _add_word(
        self, tally: _Tally, word: str, share: float, naming: bool, skip: Set[int] = frozenset()
    ) -> None:
        found = [(n, weight) for n, weight in self._read(word) if n not in skip]
        names = [n for n, weight in found if weight >= _NAME]
        tally.covered.update(names)
        if not found or is_version(word):
            return
        worth = share * min(_RAREST, math.log(len(self._heads) / len(found)))
        for n, weight in found:
            tally.scores[n] += worth * weight
            tally.said[n] += weight
        if naming and share >= _SURE and len(found) < max(1.0, _NAMED * len(self._heads)):
            tally.named.update(names)

    def _add_versions(self, tally: _Tally, question: Question) -> None:
        """Count versions of what is named, and reward names that hold all that is asked."""
        worth = _VERSION if tally.named else _LONE_VERSION
        for word, share in question.terms.items():
            for n, weight in self._read(word) if is_version(word) else ():
                if n in tally.named or not tally.named:
                    tally.scores[n] += worth * share * weight
        for n, words in tally.covered.items():
            if words >= question.asked > 1:
                tally.scores[n] += _WHOLE

    def _add_purposes(self, tally: _Tally, meaning: Meaning) -> None:
        best: dict[int, float] = {}
        total: dict[int, float] = defaultdict(float)
        for mark, weight in meaning.purposes.items():
            worth = weight * (_TASK if mark.startswith(TASK) else _TRAIT)
            for n, share in self._read(mark):
                total[n] += worth * share
                best[n] = max(worth * share, best.get(n, 0.0))
        for n, most in best.items():
            tally.scores[n] += most + _BESIDE * (total[n] - most)
        tally.meant.update(best)

    def _add_manners(self, tally: _Tally, meaning: Meaning) -> None:
        for mark, weight in meaning.manners.items():
            shares = dict(self._read(mark))
            for n in tally.meant or tally.named or set(shares):
                if n in shares:
                    tally.scores[n] += _MANNER * weight * shares[n]
                else:
                    tally.scores[n] *= _NO_MANNER

    def _shrink(self, tally: _Tally, meaning: Meaning) -> None:
        kinds = {n for mark in meaning.kinds for n, _ in self._read(mark)}
        wanted = ((tally.meant if meaning.sure else (), _NO_PURPOSE), (tally.named, _NO_NAME))
        for n in tally.scores:
            for answering, left in (*wanted, (kinds, _NO_KIND)):
                if answering and n not in answering:
                    tally.scores[n] *= left
            if self._heads[n].retired:
                tally.scores[n] *= _RETIRED

    def _read(self, key: str) -> Iterable[tuple[int, float]]:
        return decode(self._postings(key))

    @cached_property
    def _likely(self) -> bytes:
        return self._postings(_LIKELY)

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self._vocabulary, Meanings.loads(self._postings(_MEANINGS)))


def _declared(intents: Path) -> Any:
    """Read what is declared, every value as text: `on` is a word here."""
    import yaml  # only to compile: a search needs none

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    return yaml.load(intents.read_text(encoding="utf-8"), loader)  # noqa: S506 - texts only


def _family(model_id: str) -> str:
    """Return the first name in an id: that of `fal-ai/flux-2-pro` is flux."""
    name = model_id.removeprefix("fal-ai/").removeprefix("local/")
    return re.split(r"[^A-Za-z]", name, maxsplit=1)[0]


def _filters(wish: Wish) -> list[Callable[[Head], bool]]:
    """Return a test for each filter that is set."""
    most = math.inf if wish.max_price is None else wish.max_price
    provider, licence = _plain(wish.provider), _plain(wish.licence)
    tests: list[tuple[object, Callable[[Head], bool]]] = [
        (wish.task, lambda head: head.task == wish.task),
        (provider, lambda head: _mentions(head.provider, provider)),
        (licence, lambda head: _mentions(head.licence, licence)),
        (wish.max_price is not None, lambda head: head.high is not None and head.high <= most),
        (
            wish.backends is not None,
            lambda head: not (wish.backends or frozenset()).isdisjoint(head.backends),
        ),
        (wish.media_in, lambda head: wish.media_in in head.media_in),
        (wish.media_out, lambda head: wish.media_out in head.media_out),
    ]
    return [test for given, test in tests if given]


def _mentions(text: str, wanted: Sequence[str]) -> bool:
    """Whether every word that is wanted begins a word of the text."""
    known = _plain(text)
    return all(any(word.startswith(w) for word in known) for w in wanted)


def _plain(text: str) -> list[str]:
    """Split a name or a licence into words; `non-commercial` is one."""
    joined = re.sub(r"\bnon[ -]", "non", text.casefold())
    return re.findall(r"[^\W_]+(?:\.\d+)*", joined)
