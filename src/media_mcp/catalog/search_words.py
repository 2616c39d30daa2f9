"""Text as the words that search compares: stems, versions, and names written together or apart."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

_RAW = re.compile(r"[^\W_]+(?:\.\d+[a-z]*)*")
_NUMBER = re.compile(r"v?(\d+(?:\.\d+)*)")
_NAMED = re.compile(r"([a-z]{2,})(\d+(?:\.\d+)*)([a-z]?)")  # veo3.1, hunyuan3d
_WHOLE = frozenset(("mp3", "mp4"))  # not a name and its version
_AMOUNT = re.compile(
    r"\b\d+(?:[.,]\d+)?\s*(?:s|secs?|seconds?|mins?|minutes?|hours?|x|fps|px|mb|gb|khz|hz|%|cents?"
    r"|dollars?|usd|words?|characters?|frames?)(?=\W|$)|\b\d+\s*[:x×]\s*\d+\b|[$€£]\s*\d+(?:[.,]\d+)?"
)
_IZE = re.compile(r"(?<=\w{4})is(e[ds]?|ing|ers?|ation)$")  # vectorise, stylised
_PLURALS = ("ss", "us", "is")
_SHORTEST = 3
_LONGEST, _MOST = 500, 40  # characters and words of a query that are read
_VERSION = 2  # digits


def words(text: str) -> list[str]:
    """Split text into lower-case words and versions: `Veo3.1 [fast]` becomes veo, 3.1, fast."""
    plain = unicodedata.normalize("NFKD", text.lower())
    plain = (
        "".join(c for c in plain if not unicodedata.combining(c)).replace("'s", "").replace("'", "")
    )
    return [stem(part) for raw in _RAW.findall(plain) for part in _parts(raw)]


def asked_words(query: str) -> list[str]:
    """Split what somebody asks into words; amounts (`10 seconds`, `9:16`, `4x`) are no versions.

    Of a long text the beginning is read.
    """
    return words(_AMOUNT.sub(_unit, query[:_LONGEST].lower()))[:_MOST]


def joined(parts: list[str]) -> Iterator[str]:
    """Yield neighbours written together (nano, banana: nanobanana) and versions (25 or 2, 5: 2.5).

    What they yield is what a name may mean; a name says which by being known.
    """
    for one, other in zip(parts, [*parts[1:], ""], strict=True):
        if re.fullmatch(r"[1-5]\d", one):
            yield f"{one[0]}.{one[1]}"
        if one.isalpha() and other.isalpha():
            yield one + other
        if one.isdigit() and other.isdigit() and len(one + other) == _VERSION:
            yield f"{one}.{other}"


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """Cut the commonest English endings, the same way for what is asked and what is known."""
    word = _singular(_american(word))
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) > _SHORTEST:
            word = _undouble(word[: -len(ending)])
            break
    return word[:-1] if word.endswith("e") and len(word) > _SHORTEST + 1 else word


def is_version(word: str) -> bool:
    return word[0].isdigit() and word.replace(".", "").isdigit()


def _american(word: str) -> str:
    return _IZE.sub(r"iz\1", word.replace("colour", "color"))


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > _SHORTEST + 1:
        return word[:-3] + "y"
    if word.endswith("s") and len(word) > _SHORTEST and not word.endswith(_PLURALS):
        return word[:-1]
    return word


def _undouble(word: str) -> str:
    twice = word[-1] == word[-2] and word[-1] not in "lsz"
    return word[:-1] if twice else word


def _parts(raw: str) -> Iterator[str]:
    if number := _NUMBER.fullmatch(raw):
        yield _version(number[1])
        return
    named = _NAMED.fullmatch(raw)
    if named and raw not in _WHOLE and named[3] in ("", "d"):
        yield named[1]
        yield f"{named[2]}d" if named[3] else _version(named[2])
        return
    yield raw


def _version(number: str) -> str:
    whole = re.sub(r"(?:\.0)+$", "", number)
    return whole.lstrip("0") or "0"


def _unit(amount: re.Match[str]) -> str:
    """Keep the unit of an amount, which says what is meant."""
    units = re.findall(r"[a-z]{2,}", amount[0])
    return f" {' '.join(units)} " if ":" not in amount[0] else " ratio "
