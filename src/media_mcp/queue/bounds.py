"""What a store can take of what a caller says."""

from __future__ import annotations

import re

MAX_PAGE = 1000
JOB_ID = re.compile(r"[0-9a-z]{18}", re.ASCII)


def bounded(limit: int) -> int:
    return max(1, min(limit, MAX_PAGE))


def bindable(text: str) -> str:
    """Return text that a store can compare with; half a surrogate pair matches nothing anyway."""
    return text.encode("utf-8", "replace").decode()
