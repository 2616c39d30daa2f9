"""Measures in which order jobs run, and writes docs/benchmarks-scheduling.md and .svg.

`scheduling.py NAME…` measures only those (loads, depth, real-loads, batches), prints them and
writes nothing.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import affinity
import batching
import depth
from bench import Row
from report import line, machine, plot, table

DOCS = Path(__file__).resolve().parents[1] / "docs"
NAME = "benchmarks-scheduling"
Measure = Callable[[Path], Row | Iterator[Row]]
NAMES: Mapping[str, Measure] = {
    "loads": affinity.loads,
    "depth": depth.claims,
    "real-loads": affinity.real_loads,
    "batches": batching.together,
}


def main(names: Iterable[str]) -> int:
    wanted = [NAMES[name] for name in names]
    rows, made = [], datetime.now(UTC).strftime("%Y-%m-%d")
    with tempfile.TemporaryDirectory(prefix="media-mcp-bench-") as folder:
        for measure in wanted or NAMES.values():
            for row in _rows(measure(Path(folder))):
                rows.append(replace(row, made=made))
                print(line(row), flush=True)
    if not wanted:
        text = "\n".join(
            [
                "# Benchmarks of scheduling\n",
                "<!-- Made by benchmarks/scheduling.py. -->\n",
                f"Measured on {machine()}. What is asked for is a zipf stream: model k in "
                "proportion to 1/k.\n",
                *table(rows, f"{NAME}.svg"),
            ]
        )
        (DOCS / f"{NAME}.md").write_text(text + "\n", encoding="utf-8")
        (DOCS / f"{NAME}.svg").write_text(plot(rows), encoding="utf-8")
    return 0


def _rows(found: Row | Iterator[Row]) -> Iterator[Row]:
    yield from [found] if isinstance(found, Row) else found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
