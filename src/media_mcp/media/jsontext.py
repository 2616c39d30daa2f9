"""Reads JSON that strangers wrote: so many values, so deep, and no number that JSON has not."""

from __future__ import annotations

import json
import math
from typing import Any

from media_mcp.job import JSON

MOST_VALUES = 300_000  # each takes up to a hundred times its text; media are one long text
MOST_DEEP = 100


def values_in(content: bytes) -> int:
    """Return how many values a piece of JSON holds at most; commas within texts count, too."""
    return sum(map(content.count, (b",", b"[", b"{")))


def loads(content: bytes) -> JSON:
    """Return what `content` holds, with null for NaN, Infinity and what is too great for a float.

    Raises `ValueError` for what is no JSON, holds too much or nests too deeply.
    """
    if values_in(content) > MOST_VALUES:
        raise ValueError(f"it holds more than {MOST_VALUES:,} values")
    try:
        found = json.loads(content, parse_constant=_nothing, parse_float=_finite)
    except RecursionError:
        raise ValueError("it nests without end") from None
    if deeper(found, MOST_DEEP):
        raise ValueError(f"it nests more than {MOST_DEEP} deep")
    return found


def deeper(value: Any, levels: int) -> bool:
    """Tell whether lists and objects lie more than so many levels deep in each other."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(deeper(one, levels - 1) for one in inner)


def _nothing(_: str) -> None:
    return None


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
