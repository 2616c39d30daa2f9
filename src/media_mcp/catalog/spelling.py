"""Near spellings: which known word somebody meant."""

from __future__ import annotations

from collections.abc import Iterable

_SHORTEST = 4  # a shorter word is too near to too many others
_SHORT = 5  # a word below this is mended with less trust
_MOST = 4
_LONG = 7  # from here on two slips are forgiven


class Speller:
    """Finds the known words nearest to a misspelt one. Made once, at the first unknown word."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        self._known = [(_letters(word), word) for word in vocabulary if len(word) >= _SHORTEST]

    def near(self, wrong: str) -> list[tuple[str, float]]:
        """Return known words with how near they are (1 would be the same), nearest first."""
        if len(wrong) < _SHORTEST or not wrong.isalpha():
            return []
        most = 2 if len(wrong) >= _LONG else 1
        letters = _letters(wrong)
        found: list[tuple[int, str]] = []
        for mask, word in self._known:
            if (mask ^ letters).bit_count() > 2 * most or abs(len(word) - len(wrong)) > most:
                continue
            slips = distance(wrong, word, most)
            if slips <= most and _likely(wrong, word, slips):
                found.append((slips, word))
        best = min((slips for slips, _ in found), default=0)
        trust = 0.75 if best == 1 and len(wrong) >= _SHORT else 0.6
        return [(word, trust) for slips, word in found if slips == best][:_MOST]


def _likely(wrong: str, word: str, slips: int) -> bool:
    """Whether one was meant by the other: not if another word was made of it by an ending."""
    ending = slips > 1 and (wrong.startswith(word) or word.startswith(wrong))
    return not ending and (wrong[0] == word[0] or (slips == 1 and len(wrong) >= _SHORT))


def distance(one: str, other: str, most: int) -> int:
    """Count the slips (a letter too many, too few, another, or two swapped), up to `most` + 1."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        last, row = row, [i, *row[1:]]
        for j, target in enumerate(other, 1):
            row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != target))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == target:
                row[j] = min(row[j], before[j - 2] + 1)
        if min(row) > most:
            return most + 1
        before = last
    return row[-1]


def _letters(word: str) -> int:
    """Return the set of letters of a word as bits: unlike sets mean unlike words."""
    bits = 0
    for letter in word:
        bits |= 1 << (ord(letter) & 31)
    return bits
