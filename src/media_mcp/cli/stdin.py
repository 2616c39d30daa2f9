"""A standard input that can be ended from within, so that a signal closes a stdio server in order.

A thread blocked in `read` cannot be cancelled: the server would hang until its client let go.
"""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_STDIN = 0


class _Endable(io.RawIOBase):
    """Reads from `source` until something is written to the pipe whose other end is `bell`."""

    def __init__(self, source: int, bell: int) -> None:
        self._source = source
        self._bell = bell

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        ready, _, _ = select.select([self._source, self._bell], [], [])
        if self._bell in ready:
            return 0
        data = os.read(self._source, len(buffer))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def endable_stdin() -> Iterator[Callable[[], None]]:
    """Replace `sys.stdin`, and yield what ends it; children read from the null device meanwhile."""
    before, source = sys.stdin, os.dup(_STDIN)
    bell, ring = os.pipe()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, _STDIN)
    os.close(null)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(_Endable(source, bell)), encoding="utf-8")
    try:
        yield lambda: _write(ring)
    finally:
        sys.stdin = before
        os.dup2(source, _STDIN)
        for handle in (source, bell, ring):
            os.close(handle)


def _write(handle: int) -> None:
    os.write(handle, b"\n")
