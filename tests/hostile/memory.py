"""How much memory something takes at most."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def grown() -> Iterator[Callable[[], int]]:
    """Yield what says, afterwards, by how many bytes of Python's this process grew at most."""
    already = tracemalloc.is_tracing()
    if not already:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    peak = before

    def more() -> int:
        return peak - before

    try:
        yield more
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        if not already:
            tracemalloc.stop()
