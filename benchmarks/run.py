"""Measures media-mcp beside its peers, and writes docs/benchmarks.json, .md and .svg.

`run.py NAME…` measures only those (of NAMES below), and leaves the rows of the others as they are.
With `--dry` nothing is written.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import guards
import listing
import loading
import local
import measures
import queueing
from bench import Bench, Row
from report import line, page, plot, read, write

HERE = Path(__file__).resolve().parents[1]
Measure = Callable[[Bench], Row | Iterator[Row]]
DOCS = HERE / "docs"
HERE_ALONE = ("drawing", "cold-start", "swap", "lora")
WITHOUT_PEER = frozenset(
    {"queue", "status", "subscribers", "guards", *HERE_ALONE}
)  # FastMCP is none of theirs
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
    "guards": guards.guards,
    "drawing": measures.drawing,
    "cold-start": local.cold_start,
    "swap": local.swap,
    "lora": local.lora,
    "memory": measures.memory,
    "catalog-memory": loading.memory,
}


def main(names: Sequence[str]) -> int:
    dry = "--dry" in names
    wanted = [name for name in names if name != "--dry"] or list(NAMES)
    known = read(DOCS / "benchmarks.json")
    with tempfile.TemporaryDirectory(prefix="media-mcp-bench-") as folder:
        own = set(wanted) <= WITHOUT_PEER
        bench = Bench(Path(folder), Path()) if own else Bench.make(Path(folder), HERE / ".bench")
        for name in wanted:
            known[name] = []
            for row in _measured(bench, NAMES[name]):
                known[name].append(row)
                print(line(row), flush=True)
    return 0 if dry else _write({name: known[name] for name in NAMES if name in known})


def _write(rows: Mapping[str, Sequence[Row]]) -> int:
    every = [row for some in rows.values() for row in some]
    write(DOCS / "benchmarks.json", rows)
    (DOCS / "benchmarks.md").write_text(page(every), encoding="utf-8")
    (DOCS / "benchmarks.svg").write_text(plot(every), encoding="utf-8")
    print("Written: docs/benchmarks.json, .md, .svg")
    return 0


def _measured(bench: Bench, measure: Measure) -> Iterator[Row]:
    found = measure(bench)
    made = datetime.now(UTC).strftime("%Y-%m-%d")
    rows = [found] if isinstance(found, Row) else found
    return (replace(row, made=made) for row in rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
