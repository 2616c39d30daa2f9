"""Writes the results as a page with a table and as a plot in SVG."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from bench import Row
from wire import cores

WIDTH, BAR, GAP, LEFT = 720, 18, 26, 16
OURS, PEER, INK = "#2f6fdf", "#b8bfca", "#3b4252"


def read(path: Path) -> dict[str, list[Row]]:
    """Return the rows of earlier runs, by what was measured."""
    if not path.is_file():
        return {}
    kept = json.loads(path.read_text(encoding="utf-8"))
    return {name: [Row(**row) for row in rows] for name, rows in kept.items()}


def write(path: Path, rows: Mapping[str, Sequence[Row]]) -> None:
    """Keep rows, for the next page."""
    kept = {name: [asdict(row) for row in some] for name, some in rows.items()}
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def page(rows: Sequence[Row]) -> str:
    """Return docs/benchmarks.md."""
    lines = [
        "# Benchmarks\n",
        "<!-- Made by benchmarks/run.py (make bench). -->\n",
        f"Measured on {machine()}. Both sides of a row ran by turns in one run; figures are "
        "medians. Ratios carry over to other machines better than seconds do. FastMCP is set up "
        "for its fastest listing (benchmarks/peer.py). The queue alone is measured by "
        "`python benchmarks/run.py queue status subscribers`.\n",
        *table(rows, "benchmarks.svg"),
    ]
    return "\n".join(lines) + "\n"


def table(rows: Sequence[Row], plotted: str) -> list[str]:
    """Return the lines of a table, of the plot beside it, and of how each row was measured."""
    return [
        "| what | media-mcp | peer | ratio | goal | met |",
        "| --- | --- | --- | --- | --- | --- |",
        *map(_line, rows),
        f"\n![Bars of media-mcp beside its peers]({plotted})\n",
        "How each was measured:\n",
        *(f"- {row.name}: {row.detail}. ({row.made})" for row in rows),
    ]


def machine() -> str:
    """Return what matters of this machine, and nothing that names it."""
    return f"{cores()} cores ({platform.machine()}), Python {platform.python_version()}"


def plot(rows: Sequence[Row]) -> str:
    """Return docs/benchmarks.svg: two bars a row, each row on a scale of its own."""
    height = len(rows) * (2 * BAR + 2 * GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, row in enumerate(rows):
        parts += _bars(row, GAP + number * (2 * BAR + 2 * GAP))
    return "\n".join([*parts, "</svg>"]) + "\n"


def line(row: Row) -> str:
    """Return a line of plain text on a row."""
    peer = "" if row.peer is None else f"; {row.peer_name}: {_figure(row.peer, row.unit)}"
    met = "met" if row.met else "not met"
    return f"{row.name}: {_figure(row.ours, row.unit)}{peer}{_ratio(row)}; {row.goal}: {met}"


def _line(row: Row) -> str:
    peer = "" if row.peer is None else f"{_figure(row.peer, row.unit)} ({row.peer_name})"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    met = "yes" if row.met else "no"
    ours = _figure(row.ours, row.unit)
    return f"| {row.name} | {ours} | {peer} | {ratio} | {row.goal} | {met} |"


def _bars(row: Row, top: int) -> list[str]:
    title = f"{row.name.replace('`', '')} (goal {row.goal}{_ratio(row)})"
    parts = [f'<text x="{LEFT}" y="{top}" font-weight="600">{escape(title)}</text>']
    sides = [("media-mcp", row.ours, OURS)]
    sides += [] if row.peer is None else [(row.peer_name, row.peer, PEER)]
    for number, (name, value, colour) in enumerate(sides):
        y = top + 8 + number * BAR
        length = 360 * value / (max(value for _, value, _ in sides) or 1)
        label = f"{_figure(value, row.unit)}  {name}"
        parts += [
            f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 3}" fill="{colour}"/>',
            f'<text x="{LEFT + length + 6:.1f}" y="{y + 12}" font-size="12">{escape(label)}</text>',
        ]
    return parts


def _ratio(row: Row) -> str:
    return "" if row.ratio is None else f", ratio {row.ratio:.2f}"


def _figure(value: float, unit: str) -> str:
    return f"{value:.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"
