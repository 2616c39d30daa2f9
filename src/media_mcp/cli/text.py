"""Lines and tables for people, JSON for programs; both on standard output."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence

from media_mcp.job import JSON
from media_mcp.media.names import escaped, printable

_GAP = "  "
_LINES = "\n\t"
_NARROWEST = 9  # what a column keeps while the first one is whole


def say(text: str = "") -> None:
    """Write one line, or several; what could command a terminal is taken out."""
    sys.stdout.write(f"{printable(text, keep=_LINES)}\n")


def say_json(value: JSON) -> None:
    """Write a value as JSON, indented, Unicode as it is but for what cannot be seen."""
    sys.stdout.write(f"{escaped(json.dumps(value, indent=2, ensure_ascii=False, default=str))}\n")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows in aligned columns; on a terminal, cells are cut so that a line fits its width."""
    lines = [list(head), *([clean(cell) for cell in row] for row in rows)]
    widths = _fitted([max(len(line[i]) for line in lines) for i in range(len(head))])
    for line in lines:
        cells = [_cut(cell, width) for cell, width in zip(line, widths, strict=True)]
        *first, last = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        say(_GAP.join([*first, last]).rstrip())


def clean(text: str) -> str:
    """Return text on one line and without control characters, which could move the cursor."""
    return printable(text)


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Write `name  value` lines, the values aligned; empty ones are left out."""
    known = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        say(f"{name.ljust(width)}{_GAP}{value}")


def _fitted(widths: list[int]) -> list[int]:
    """Narrow columns until they fit the terminal, if there is one: the widest first, and the first
    column, which names the row, only once the others are narrow.
    """
    if not sys.stdout.isatty():
        return widths
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - shutil.get_terminal_size().columns
    for _ in range(over):
        widest = max(widths[1:], default=0)
        gives = widths.index(widest, 1) if widest > _NARROWEST else 0
        widths[gives] = max(1, widths[gives] - 1)
    return widths


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"
