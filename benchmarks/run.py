"""Measures media-mcp beside its peers in one run, and writes docs/benchmarks.md and .svg.

`run.py NAME…` measures only those (of NAMES below), prints them and writes nothing.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import affinity
import listing
import loading
import measures
import queueing
from bench import Bench, Row
from report import line, page, plot

HERE = Path(__file__).resolve().parents[1]
Measure = Callable[[Bench], Row | Iterator[Row]]
NAMES: Mapping[str, Measure] = {
    "start": measures.start,
    "first-list": listing.first_list,
    "ready": loading.ready,
    "stdio": listing.over_stdio,
    "http": listing.over_http,
    "search": loading.search,
    "no-op": measures.no_op,
    "queue": queueing.jobs,
    "status": queueing.status,
    "subscribers": queueing.subscribers,
    "loads": affinity.loads,
    "real-loads": affinity.real_loads,
    "drawing": measures.drawing,
    "memory": measures.memory,
    "catalog-memory": loading.memory,
}


def main(names: Iterable[str]) -> int:
    wanted = [NAMES[name] for name in names]
    rows = []
    with tempfile.TemporaryDirectory(prefix="media-mcp-bench-") as folder:
        bench = Bench.make(Path(folder), HERE / ".bench")
        for row in _measured(bench, wanted or NAMES.values()):
            rows.append(row)
            print(line(row), flush=True)
    if wanted:
        return 0
    made = datetime.now(UTC).strftime("%Y-%m-%d")
    (HERE / "docs" / "benchmarks.md").write_text(page(rows, made), encoding="utf-8")
    (HERE / "docs" / "benchmarks.svg").write_text(plot(rows), encoding="utf-8")
    print("Written: docs/benchmarks.md, docs/benchmarks.svg")
    return 0


def _measured(bench: Bench, wanted: Iterable[Measure]) -> Iterator[Row]:
    for measure in wanted:
        found = measure(bench)
        yield from [found] if isinstance(found, Row) else found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
