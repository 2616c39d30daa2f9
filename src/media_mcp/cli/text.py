"""Lines and tables for people, JSON for programs; both on standard output."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence

from media_mcp.job import JSON

_GAP = "  "
_NARROWEST = 9  # what a column keeps while the first one is whole


def say(line: str = "") -> None:
    """Write one line."""
    sys.stdout.write(f"{line}\n")


def say_json(value: JSON) -> None:
    """Write a value as JSON, indented, Unicode as it is."""
    say(json.dumps(value, indent=2, ensure_ascii=False, default=str))


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
    return "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)


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
