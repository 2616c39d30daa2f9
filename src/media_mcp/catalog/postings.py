"""Postings: which models a word stands for and how much, as compact bytes.

Model numbers rise, so each is written as the step from the one before, in groups of seven bits, the
last group marked; then one byte of weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

FULL = 200  # the byte that stands for a weight of 1
_MARK = 0x80


def encode(weights: Mapping[int, float]) -> bytes:
    """Write model number → weight (0 to 1.27)."""
    made = bytearray()
    last = -1
    for number in sorted(weights):
        step, last = number - last, number
        while step >= _MARK:
            made.append(step & 0x7F)
            step >>= 7
        made.append(step | _MARK)
        made.append(max(1, min(255, round(weights[number] * FULL))))
    return bytes(made)


def decode(postings: bytes) -> Iterator[tuple[int, float]]:
    """Yield what `encode` wrote."""
    number, step, shift = -1, 0, 0
    parts = iter(postings)
    for part in parts:
        step |= (part & 0x7F) << shift
        shift += 7
        if part & _MARK:
            number += step
            step = shift = 0
            yield number, next(parts) / FULL
