"""What a store can take of what a caller says."""

from __future__ import annotations

MAX_PAGE = 1000


def bounded(limit: int) -> int:
    return max(1, min(limit, MAX_PAGE))


def bindable(text: str) -> str:
    """Return text that a store can compare with; half a surrogate pair matches nothing anyway."""
    return text.encode("utf-8", "replace").decode()
