"""Lines and tables for people, JSON for programs; both on standard output."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence

from media_mcp.job import JSON

_GAP = "  "


def say(line: str = "") -> None:
    """Write one line."""
    sys.stdout.write(f"{line}\n")


def say_json(value: JSON) -> None:
    """Write a value as JSON, indented, Unicode as it is."""
    say(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows in aligned columns; on a terminal, the last column is cut to fit its width."""
    lines = [list(head), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head) - 1)]
    room = _room(widths)
    for line in lines:
        start = _GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=False))
        say(f"{start}{_GAP if start else ''}{_cut(line[-1], room)}".rstrip())


def clean(text: str) -> str:
    """Return text on one line and without control characters, which could move the cursor."""
    return "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Write `name  value` lines, the values aligned; empty ones are left out."""
    known = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        say(f"{name.ljust(width)}{_GAP}{value}")


def _room(widths: Sequence[int]) -> int | None:
    if not sys.stdout.isatty():
        return None
    columns = shutil.get_terminal_size().columns
    return max(columns - sum(widths) - len(_GAP) * len(widths), 10)


def _cut(text: str, room: int | None) -> str:
    return text if room is None or len(text) <= room else f"{text[: room - 1]}…"
