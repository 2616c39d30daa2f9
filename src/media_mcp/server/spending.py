"""What was spent, told in the room that an answer has: totals first, then the days, models, routes
that cost most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from media_mcp.job import JSON
from media_mcp.server import answer

_DAYS, _MOST = 7, 5


def spending(spent: Mapping[str, Any]) -> dict[str, JSON]:
    """Return the answer of the tool `spend`: at most 300 tokens."""
    told = {
        "cost_usd": round(spent["cost"], 4),
        "maybe_not_billed_usd": round(spent["unsure"], 4),
        "set_aside_usd": round(spent["reserved"], 4),
        "gpu_seconds": round(spent["gpu_seconds"], 1),
        "jobs": spent["jobs"],
    }
    facts: dict[str, JSON] = {k: v for k, v in told.items() if v or k in ("cost_usd", "jobs")}
    days = sorted(spent["by_day"].items(), reverse=True)[:_DAYS]
    parts = {
        "left": {name: round(left, 4) for name, left in spent["left"].items()},
        "by_day": dict(map(_row, days)),
        "by_route": _dearest(spent["by_route"].items()),
        "by_model": _dearest(spent["by_model"].items()),
    }
    return answer.added(facts, parts)


def _dearest(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, JSON]:
    """Return the rows that cost most, and of those that cost nothing the ones with most jobs."""
    ranked = sorted(rows, key=lambda row: (-row[1]["cost"], -row[1]["jobs"]))
    return dict(map(_row, ranked[:_MOST]))


def _row(row: tuple[str, Mapping[str, Any]]) -> tuple[str, JSON]:
    name, of = row
    return name, {"usd": round(of["cost"], 4), "jobs": of["jobs"]}
