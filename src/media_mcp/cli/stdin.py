"""A standard input that can be ended from within, so that a signal closes a stdio server in order.

A thread blocked in `read` cannot be cancelled: the server would hang until its client let go.
"""

from __future__ import annotations

import io
import os
import re
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from media_mcp.server.garbled import CUT, MOST_LINE

_STDIN = 0
_PARTS = re.compile(rb"[^\n]*\n|[^\n]+")


class _Endable(io.RawIOBase):
    """Reads from `source` until something is written to the pipe whose other end is `bell`.

    Of a line of more than `MOST_LINE` bytes the rest is dropped, and what came of it ends in `CUT`.
    """

    def __init__(self, source: int, bell: int) -> None:
        self._source = source
        self._bell = bell
        self._length = 0  # of the line so far

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            ready, _, _ = select.select([self._source, self._bell], [], [])
            data = b"" if self._bell in ready else os.read(self._source, len(buffer))
            kept = b"".join(map(self._bounded, _PARTS.findall(data)))
            if kept or not data:
                buffer[: len(kept)] = kept
                return len(kept)

    def _bounded(self, part: bytes) -> bytes:
        """Return what is kept of a part of one line, which is no longer than the part."""
        body, end = part.removesuffix(b"\n"), part[-1:] == b"\n"
        before, now = self._length, self._length + len(body)
        self._length = 0 if end else now
        if now <= MOST_LINE:
            return part
        fits = body[: max(MOST_LINE - before - 1, 0)] + CUT.encode() if before <= MOST_LINE else b""
        return fits + b"\n" * end


@contextmanager
def endable_stdin() -> Iterator[Callable[[], None]]:
    """Replace `sys.stdin`, and yield what ends it; children read from the null device meanwhile."""
    before, source = sys.stdin, os.dup(_STDIN)
    bell, ring = os.pipe()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, _STDIN)
    os.close(null)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(_Endable(source, bell), 2**16), encoding="utf-8")
    try:
        yield lambda: _write(ring)
    finally:
        sys.stdin = before
        os.dup2(source, _STDIN)
        for handle in (source, bell, ring):
            os.close(handle)


def _write(handle: int) -> None:
    os.write(handle, b"\n")
