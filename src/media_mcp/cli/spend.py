"""`media-mcp spend`: what jobs have cost, as tables, as JSON or as a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from media_mcp.catalog.catalog import Catalog
from media_mcp.cli.outcome import ExitCode
from media_mcp.cli.rooms import reading, run_async
from media_mcp.cli.text import facts, say, say_json, table
from media_mcp.errors import BadSettings
from media_mcp.job import Caller
from media_mcp.settings import Settings

PARTS = {"by_day": "DAY", "by_model": "MODEL", "by_route": "ROUTE"}
BAR = 24  # characters of the longest bar
_WIDTH, _LINE, _LEFT = 840, 22, 330  # pixels of the plot
_LONGEST = 44  # characters of a name that find room there
Rows = Mapping[str, Mapping[str, Any]]


def show_spend(settings: Settings, plot: Path | None, as_json: bool) -> int:
    """Print what was spent, and draw it into the file `plot` (SVG) if one is given."""
    return run_async(partial(_show, settings, plot, as_json))


async def _show(settings: Settings, plot: Path | None, as_json: bool) -> int:
    async with reading(settings, Catalog(())) as queue:
        spent = await queue.books.spend(Caller(project=settings.project))
    if plot is not None:
        _write(plot, svg(spent))
    if as_json:
        say_json(spent)
    else:
        _print(spent)
    return ExitCode.OK


def _print(spent: Mapping[str, Any]) -> None:
    facts(
        [
            ("spent", _usd(spent["cost"])),
            ("of that, maybe not billed", _usd(spent["unsure"]) if spent["unsure"] else ""),
            ("set aside for what runs", _usd(spent["reserved"]) if spent["reserved"] else ""),
            ("GPU-seconds", f"{spent['gpu_seconds']:.1f}" if spent["gpu_seconds"] else ""),
            ("jobs", str(spent["jobs"])),
        ]
    )
    for name, left in spent["left"].items():
        say(f"left of {name}  {left:.4g}")
    for part, head in PARTS.items():
        if spent[part]:
            say()
            _bars(head, spent[part])


def _bars(head: str, rows: Rows) -> None:
    most = max(row["cost"] for row in rows.values())
    cells = [
        (
            name,
            _usd(row["cost"]),
            f"{row['gpu_seconds']:.1f}",
            str(row["jobs"]),
            "█" * round(BAR * row["cost"] / most) if most else "",
        )
        for name, row in rows.items()
    ]
    table((head, "COST", "GPU-S", "JOBS", ""), cells)


def _usd(value: float) -> str:
    return f"${value:.2f}" if value >= 1 or not value else f"${value:.4f}"


def svg(spent: Mapping[str, Any]) -> str:
    """Return a plot: a bar for each day, model and route, each part on a scale of its own."""
    lines: list[str] = []
    for part, head in PARTS.items():
        rows: Rows = spent[part]
        if not rows:
            continue
        lines += [""] if lines else []  # a line of air
        lines += _heading(head.capitalize(), len(lines))
        most = max((row["cost"] for row in rows.values()), default=0.0)
        for name, row in rows.items():
            lines += [_bar(name, row["cost"], most, len(lines))]
    lines = lines or [f'<text x="12" y="{_LINE}">Nothing was spent: there are no jobs.</text>']
    height = _LINE * (len(lines) + 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="13">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(lines) + "\n</svg>\n"
    )


def _heading(text: str, line: int) -> Sequence[str]:
    y = _LINE * (line + 1)
    return [f'<text x="12" y="{y}" font-weight="bold">{text}: US dollars</text>']


def _bar(name: str, cost: float, most: float, line: int) -> str:
    y, length = _LINE * (line + 1), (_WIDTH - _LEFT - 90) * cost / most if most else 0
    return (
        f'<text x="12" y="{y}">{escape(_short(name))}</text>'
        f'<rect x="{_LEFT}" y="{y - 12}" width="{length:.1f}" height="14" fill="#2f6fdf"/>'
        f'<text x="{_LEFT + length + 6:.1f}" y="{y}">{_usd(cost)}</text>'
    )


def _short(name: str) -> str:
    """Keep the end of a name that is too long: models of one family differ there."""
    return name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadSettings(
            f"The plot cannot be written to {path}: {error.strerror}.", "Name another file."
        ) from None
