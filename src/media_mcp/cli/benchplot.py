"""The plot of `media-mcp bench`: bars of seconds and of memory for each setting, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from media_mcp.cli.result import bytes_words

WIDTH, BAR, GAP, LEFT = 720, 18, 34, 16
TIME, MEMORY, INK = "#2f6fdf", "#b8bfca", "#3b4252"
Measured = tuple[str, float, int]  # setting, seconds, bytes


def plot(title: str, rows: Sequence[Measured]) -> str:
    """Return an SVG document with two bars for each setting, each kind on a scale of its own."""
    height = GAP * 2 + len(rows) * (2 * BAR + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-weight="600">{escape(title)}: seconds and memory</text>',
    ]
    longest = max((seconds for _, seconds, _ in rows), default=0.0)
    largest = max((size for *_, size in rows), default=0)
    for number, (setting, seconds, size) in enumerate(rows):
        top = 2 * GAP + number * (2 * BAR + GAP)
        parts.append(f'<text x="{LEFT}" y="{top - 6}">{escape(setting)}</text>')
        parts += _bar(top, seconds / longest if longest else 0, f"{seconds:.3g} s", TIME)
        parts += _bar(top + BAR, size / largest if largest else 0, bytes_words(size), MEMORY)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(top: int, share: float, label: str, colour: str) -> list[str]:
    length = (WIDTH - LEFT - 120) * share
    return [
        f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR - 3}" fill="{colour}"/>',
        f'<text x="{LEFT + length + 6:.1f}" y="{top + 12}" font-size="12">{escape(label)}</text>',
    ]
