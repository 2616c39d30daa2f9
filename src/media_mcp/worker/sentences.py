"""Cuts a long text into parts that a voice can speak in one breath, at the best places for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

_SENTENCE = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[”’」』]*|\n+")
_CLAUSE = re.compile(r"[,;:](?=\s)|[，、；：]")
_WORD = re.compile(r"\S+\s*")


def parts(text: str, most: int) -> list[str]:
    """Return `text` in parts of at most `most` characters: whole sentences as far as they fit, else
    clauses, words, and at last pieces of words. Nothing but white space is lost."""
    return list(_packed(_pieces(text, most), most))


def sentences(text: str) -> list[str]:
    """Return the sentences of `text`, without white space around them."""
    return [found for piece in _cut(text, _SENTENCE) if (found := piece.strip())]


def turns(script: str, mark: str) -> list[str]:
    """Return the turns of a script in which each begins with what `mark`, a pattern, matches.

    What stands before the first mark is a turn of its own.
    """
    starts = [match.start() for match in re.finditer(mark, script)]
    cuts = [0, *starts, len(script)]
    found = (script[a:b].strip() for a, b in pairwise(cuts))
    return [turn for turn in found if turn]


def _pieces(text: str, most: int) -> Iterator[str]:
    for sentence in sentences(text):
        if len(sentence) <= most:
            yield sentence
        else:
            yield from _packed(_clauses(sentence, most), most)


def _clauses(sentence: str, most: int) -> Iterator[str]:
    for clause in _cut(sentence, _CLAUSE):
        if len(clause) <= most:
            yield clause
        else:
            yield from _words(clause, most)


def _cut(text: str, after: re.Pattern[str]) -> Iterator[str]:
    """Cut text behind each match of `after`."""
    at = 0
    for match in after.finditer(text):
        yield text[at : match.end()]
        at = match.end()
    yield text[at:]


def _words(clause: str, most: int) -> Iterator[str]:
    for word in _WORD.findall(clause):
        yield from (word[at : at + most] for at in range(0, len(word), most))


def _packed(pieces: Iterator[str], most: int) -> Iterator[str]:
    """Put pieces together while they fit into `most` characters."""
    held = ""
    for piece in (one.strip() for one in pieces):
        if held and len(held) + 1 + len(piece) > most:
            yield held
            held = piece
        elif piece:
            held = f"{held} {piece}".strip()
    if held:
        yield held
