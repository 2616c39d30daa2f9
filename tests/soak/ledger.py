"""The figures of a soak: as a table to print, as JSON, and as a page with a plot for the docs."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from books import Books, peak_of

if TYPE_CHECKING:
    from chaoskit import Findings
    from soak import Soak

DOCS = Path(__file__).resolve().parents[2] / "docs"
WIDTH, HEIGHT, LEFT = 720, 260, 50


def figures(soak: Soak, books: Books, found: Findings) -> dict[str, Any]:
    """Return what there is to tell of a run."""
    asks = soak.record.asks.values()
    doors = Counter(door for ask in asks for door in [ask.door] * len(ask.ids))
    known = {job_id for ask in asks for job_id in ask.ids}
    unheard = sum(row.id not in known for row in books.rows)
    return {
        "made": datetime.now(UTC).strftime("%Y-%m-%d"),
        "seconds": soak.seconds,
        "seed": soak.seed,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "accepted": soak.record.acknowledged,
        "unheard": unheard,
        "doors": dict(sorted(doors.items())),
        "ended": dict(sorted(Counter(row.state for row in books.rows).items())),
        "attempts": sum(row.attempt for row in books.rows),
        "blows": dict(sorted(soak.tally.items())),
        "billed": round(found.billed, 4),
        "charged": round(found.charged, 4),
        "unsure": round(found.unsure, 4),
        "reserved": round(books.reserved, 4),
        "budgets": {
            name or "all": [most, round(peak_of(books, name), 4)]
            for name, most in books.ground.limits.items()
        },
        "assets": found.assets,
        "webhooks": dict(Counter(books.hooks.values())),
        "answers": dict(sorted(soak.record.seen.items())),
        "end": soak.end,
    }


def table(told: Mapping[str, Any]) -> str:
    """Return the figures in words, one line each, as a table of Markdown."""
    ended, blows = told["ended"], told["blows"]
    rows = [
        ("jobs accepted, by the clients' own record", told["accepted"]),
        ("jobs made though the answer was lost", told["unheard"]),
        ("jobs ended", f"{sum(ended.values())}: {_listed(ended)}"),
        ("through which doors", _listed(told["doors"])),
        ("attempts", told["attempts"]),
        ("blows", _listed(blows)),
        ("billed by the place", f"${told['billed']:.2f}"),
        ("charged by our ledger", f"${told['charged']:.2f}, and ${told['unsure']:.2f} unsure"),
        ("still set aside", f"${told['reserved']:.2f}"),
        ("budgets: most used of limit", _budgets(told["budgets"])),
        ("assets, each whole", told["assets"]),
        ("webhooks", _listed(told["webhooks"])),
        ("the last server at its end", _listed(told["end"])),
    ]
    return "\n".join(["| what | |", "| --- | --- |", *(f"| {name} | {v} |" for name, v in rows)])


def _listed(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items()) or "0"


def _budgets(budgets: Mapping[str, Sequence[float]]) -> str:
    return ", ".join(f"{name} ${used:.2f} of ${most:.2f}" for name, (most, used) in budgets.items())


def write(
    told: Mapping[str, Any],
    samples: Sequence[Mapping[str, float]],
    strikes: Sequence[tuple[float, str]],
) -> None:
    """Write docs/soak.json, .md and .svg."""
    (DOCS / "soak.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    page = [
        "# The soak\n",
        "<!-- Made by tests/soak/soak.py (make soak). -->\n",
        f"{told['seconds'] / 60:.0f} minutes with seed {told['seed']} on {told['machine']} "
        f"({told['made']}): seven callers ask through every door, on a paid place that breaks, a "
        "worker of their own and the rehearsal, while servers and workers are killed every few "
        "seconds. At the end the books of the clients, of the place and ours are compared job by "
        "job.\n",
        table(told),
        "\n![Jobs accepted and ended over time, with every blow](soak.svg)",
    ]
    (DOCS / "soak.md").write_text("\n".join(page) + "\n", encoding="utf-8")
    (DOCS / "soak.svg").write_text(plot(samples, strikes), encoding="utf-8")


def plot(samples: Sequence[Mapping[str, float]], strikes: Sequence[tuple[float, str]]) -> str:
    """Return accepted and ended jobs over time as lines, and each blow as a tick below them."""
    last = max((sample["at"] for sample in samples), default=1.0) or 1.0
    most = max((sample["accepted"] for sample in samples), default=1) or 1
    across, up = (WIDTH - LEFT - 16) / last, (HEIGHT - 60) / most
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#3b4252">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for name, colour in (("accepted", "#b8bfca"), ("ended", "#2f6fdf")):
        points = " ".join(
            f"{LEFT + s['at'] * across:.1f},{HEIGHT - 40 - s[name] * up:.1f}" for s in samples
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
    for at, _ in strikes:
        x = LEFT + at * across
        parts.append(f'<path d="M{x:.1f} {HEIGHT - 34} v10" stroke="#bf616a" stroke-width="0.7"/>')
    words = f"{most} jobs accepted (grey) and ended (blue) in {last / 60:.0f} min; red: blows"
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 8}">{escape(words)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
