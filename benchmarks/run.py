"""Measures media-mcp beside its peers in one run, and writes docs/benchmarks.md and .svg."""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from measures import Bench, drawing, memory, no_op, start
from report import page, plot

HERE = Path(__file__).resolve().parents[1]


def main() -> int:
    rows = []
    with tempfile.TemporaryDirectory(prefix="media-mcp-bench-") as folder:
        bench = Bench.make(Path(folder), HERE / ".bench")
        for measure in (start, no_op, drawing, memory):
            row = measure(bench)
            rows.append(row)
            print(f"{row.name}: {row.ours:.3g} {row.unit}, {row.peer_name}: {row.peer:.3g}", end="")
            print(f", ratio {row.ratio:.2f}, goal {row.goal}: {'met' if row.met else 'not met'}")
    made = datetime.now(UTC).strftime("%Y-%m-%d")
    (HERE / "docs" / "benchmarks.md").write_text(page(rows, made), encoding="utf-8")
    (HERE / "docs" / "benchmarks.svg").write_text(plot(rows), encoding="utf-8")
    print("Written: docs/benchmarks.md, docs/benchmarks.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
