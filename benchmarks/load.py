"""Two thousand jobs queued and two hundred clients waiting, for half an hour; writes
docs/benchmarks-load.json, .md and .svg.

LOAD_SECONDS, LOAD_QUEUED and LOAD_CLIENTS make it shorter or smaller; what takes less than ten
minutes is printed and not written. Exits 1 where a goal is not met.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import httpx2

from bench import OURS, Bench, Row
from load_clients import Crowd, dismissed
from ports import free_port, wait_for
from report import line, machine, table
from report import write as write_rows

DOCS = Path(__file__).resolve().parents[1] / "docs"
NAME = "benchmarks-load"
CARDS = """\
task: text-to-image
licence: MIT
description: For measurements.
inputs:
  prompt: {type: string, required: true, description: What to draw.}
  width: {type: integer, minimum: 16, maximum: 512, default: 64, description: Width.}
  height: {type: integer, minimum: 16, maximum: 512, default: 64, description: Height.}
outputs:
  images: {kind: image, mime_type: image/png, shape: files}
variants:
  - id: bench/half
    title: Half a second
    routes: [{backend: rehearsal, spec: {seconds: 0.5, steps: 2}}]
"""
SHORTEST_WRITTEN = 600.0
FILL_SECONDS = 600.0  # until all that is to be queued is; more is a server that hangs
STALL = 0.05
TERMINAL = ("succeeded", "failed", "cancelled", "lost")


@dataclass(frozen=True, slots=True)
class Sample:
    """The server's own process at a time: seconds since the start, resident MB, open files."""

    at: float
    mb: float
    files: int
    waiting: int


@dataclass
class Load:
    """One run and what it saw. `warm` is how long the server has to get warm, in seconds."""

    seconds: float
    queued: int
    clients: int
    folder: Path
    port: int = field(default_factory=free_port)
    samples: list[Sample] = field(default_factory=list)
    stalls: dict[float, float] = field(default_factory=dict)
    before: dict[float, float] = field(default_factory=dict)
    stopped: tuple[float, int] = (0.0, 0)

    @property
    def warm(self) -> float:
        return min(300.0, 0.25 * self.seconds)

    @property
    def database(self) -> Path:
        return self.folder / "data" / "jobs.sqlite"

    async def run(self) -> Crowd:
        crowd = Crowd(self.port, self.queued)
        with self._serving() as process:
            await self._figures()
            async with asyncio.timeout(FILL_SECONDS):
                await crowd.bring(self.queued)
            waiting = crowd.wait(self.clients)
            feeding = asyncio.create_task(self._feed(crowd))
            await self._watch(process.pid)
            feeding.cancel()
            crowd.leaving = True
            self.stopped = await asyncio.to_thread(_stop, process)
            await dismissed(waiting)
        return crowd

    async def drain(self) -> None:
        """Start again, and return once every job is over."""
        with self._serving() as process:
            while self.count("ended_at IS NULL"):  # noqa: ASYNC110
                await asyncio.sleep(0.5)
            await asyncio.to_thread(_stop, process)

    def count(self, where: str) -> int:
        with closing(sqlite3.connect(self.database, timeout=30)) as db:
            found = db.execute(f"SELECT count(*) FROM jobs WHERE {where}").fetchone()
        return int(found[0])

    @contextmanager
    def _serving(self) -> Iterator[subprocess.Popen[bytes]]:
        bench = Bench(self.folder, Path())
        (self.folder / "cards").mkdir(exist_ok=True)
        (self.folder / "cards" / "load.yaml").write_text(CARDS, encoding="utf-8")
        own = {
            "MEDIA_MCP_CATALOG_DIRS": json.dumps([str(self.folder / "cards")]),
            "MEDIA_MCP_MAX_QUEUED": str(2 * self.queued + 1000),  # all are one caller's
        }
        command = [OURS, *bench.serve("featured"), "--http", f"127.0.0.1:{self.port}"]
        with (self.folder / "server.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **bench.environment, **own},
            )  # fmt: skip
        try:
            wait_for(self.port)
            yield process
        finally:
            process.kill()
            process.wait()

    async def _feed(self, crowd: Crowd) -> None:
        """Bring as many jobs as have ended."""
        while True:
            waiting = await asyncio.to_thread(self.count, "state = 'queued'")
            if waiting < self.queued:
                await crowd.bring(self.queued - waiting)
            await asyncio.sleep(0.5)

    async def _watch(self, pid: int) -> None:
        began = perf_counter()
        while (at := perf_counter() - began) < self.seconds:
            if not self.before and at >= self.warm:
                self.before = await self._figures()
            waiting = await asyncio.to_thread(self.count, "state = 'queued'")
            self.samples.append(Sample(at, *_process(pid), waiting))
            await asyncio.sleep(1)
        self.stalls = await self._figures()

    async def _figures(self) -> dict[float, float]:
        """Return how many turns of the event loop came so many seconds late at most."""
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
            text = (await http.get(f"http://127.0.0.1:{self.port}/metrics")).text
        name = 'media_mcp_loop_stall_seconds_bucket{le="'
        lines = [each for each in text.splitlines() if each.startswith(name)]
        parts = [each.removeprefix(name).partition('"} ') for each in lines]
        return {float(bound): float(number) for bound, _, number in parts}


def _process(pid: int) -> tuple[float, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    resident = next(int(each.split()[1]) for each in lines if each.startswith("VmRSS:"))
    return resident * 1024 / 1e6, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _stop(process: subprocess.Popen[bytes]) -> tuple[float, int]:
    """Ask a server to leave; return the seconds that it took and its exit code."""
    began = perf_counter()
    process.send_signal(signal.SIGTERM)
    code = process.wait(60)
    return perf_counter() - began, code


def rows(load: Load, crowd: Crowd, left: dict[str, int]) -> Iterator[Row]:
    """Tell what came of a run; `left` is what its end left in the database, by state."""
    warm = [each for each in load.samples if each.at >= load.warm]
    tenth = max(1, len(warm) // 10)
    first, last = warm[:tenth], warm[-tenth:]
    minutes = f"{load.seconds / 60:g} min, {load.queued} queued, {load.clients} clients"
    ended = load.count("ended_at IS NOT NULL")
    grown = median(s.mb for s in last) - median(s.mb for s in first)
    yield _row(
        "resident memory of the server gained after warm-up", "MB", grown, 20,
        f"{minutes}; {median(s.mb for s in first):.0f} MB after {load.warm:.0f} s and "
        f"{median(s.mb for s in last):.0f} MB at the end, medians of a tenth of the rest each; "
        f"{ended} jobs ended, {sum(crowd.waited.values())} waits were answered "
        f"({', '.join(f'{n} {way}' for way, n in sorted(crowd.waited.items()))})",
    )  # fmt: skip
    files = median(s.files for s in last) - median(s.files for s in first)
    yield _row(
        "open files of the server gained after warm-up", "files", files, 10,
        f"{median(s.files for s in first):.0f} and {median(s.files for s in last):.0f}",
    )  # fmt: skip
    yield _stalls(load)
    seconds, code = load.stopped
    yield _row(
        "asked to leave under this load, until the process is gone", "s", seconds, 10,
        f"exit code {code}; then {left.get('queued', 0)} jobs queued and "
        f"{left.get('running', 0)} running by their rows, of which none may run",
        and_also=code == 0 and not left.get("running"),
    )  # fmt: skip
    yield _row(
        "jobs lost, or ended more than once, after the restart", "jobs",
        len(wrong(load, crowd)), 0,
        f"of {load.count('1')}, {len(crowd.accepted)} of them accepted by submit; "
        f"{load.count('attempt > 1')} were begun more than once; "
        f"{len(crowd.failed)} waits failed before the stop",
        and_also=not crowd.failed,
    )  # fmt: skip


def _row(
    name: str, unit: str, ours: float, most: float, detail: str, *, and_also: bool = True
) -> Row:
    made = datetime.now(UTC).strftime("%Y-%m-%d")
    met = ours <= most and and_also
    return Row(name, unit, ours, None, "", f"≤ {most:g} {unit}", met, detail, made)


def _stalls(load: Load) -> Row:
    """Tell how late the latest of a thousand turns of the event loop came."""
    turns = {bound: n - load.before.get(bound, 0.0) for bound, n in sorted(load.stalls.items())}
    every = max(turns.values(), default=0.0)
    below, under = 0.0, 0.0
    late = float("inf")
    for bound, number in turns.items():
        if number >= 0.999 * every:
            share = (0.999 * every - under) / max(1.0, number - under)
            late = below + share * (bound - below)
            break
        below, under = bound, number
    shares = ", ".join(
        f"{1 - n / max(1.0, every):.4%} over {bound * 1000:g} ms"
        for bound, n in turns.items()
        if 0.005 <= bound <= 1
    )
    return _row(
        "stalls of the event loop, the 99.9th percentile", "ms", late * 1000, STALL * 1000,
        f"{every:.0f} turns, one each 25 ms, measured in the server (media_mcp_loop_stall_seconds)"
        f"; {shares}",
    )  # fmt: skip


def wrong(load: Load, crowd: Crowd) -> list[str]:
    """Return the jobs that are missing, not over, or over more than once."""
    with closing(sqlite3.connect(load.database)) as db:
        states = dict(db.execute("SELECT id, state FROM jobs"))
        ends = dict(
            db.execute(
                "SELECT jobs.id, count(*) FROM events JOIN jobs ON jobs.n = job WHERE "
                "kind = 'state' AND (events.message = 'succeeded' OR events.message GLOB "
                "'failed:*' OR events.message GLOB 'cancelled:*' OR events.message GLOB 'lost:*') "
                "GROUP BY 1"
            )
        )
    missing = [job_id for job_id in crowd.accepted if job_id not in states]
    odd = [one for one, state in states.items() if state not in TERMINAL or ends.get(one) != 1]
    lost = [one for one in crowd.accepted if states.get(one) not in (None, "succeeded")]
    return [*missing, *odd, *lost]


def plot(samples: Sequence[Sample]) -> str:
    """Return resident memory over time as a line, and open files as another."""
    width, height, left = 720, 240, 56
    across = (width - left - 16) / max(1.0, samples[-1].at)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#3b4252">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    lines: list[tuple[str, str, list[float]]] = [
        ("MB resident", "#2f6fdf", [s.mb for s in samples]),
        ("open files", "#b8bfca", [float(s.files) for s in samples]),
    ]
    for number, (name, colour, values) in enumerate(lines):
        up = (height - 70) / max(values)
        points = " ".join(
            f"{left + s.at * across:.1f},{height - 40 - value * up:.1f}"
            for s, value in zip(samples, values, strict=True)
        )
        words = (
            f"{name}: {values[0]:.0f} at first, {max(values):.0f} at most, {values[-1]:.0f} last"
        )
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<text x="{left + number * 320}" y="{height - 14}">{words}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def write(found: Sequence[Row], load: Load) -> None:
    write_rows(DOCS / f"{NAME}.json", {"load": found})
    text = "\n".join(
        [
            "# Benchmarks under load\n",
            "<!-- Made by benchmarks/load.py (make load). -->\n",
            f"Measured on {machine()}, the clients on the same machine. Jobs of half a second, "
            "eight at a time, each a picture that is checked and kept; clients wait by status "
            "streams, polls, `run` and MCP sessions of both eras that come and go.\n",
            *table(found, f"{NAME}.svg"),
        ]
    )
    (DOCS / f"{NAME}.md").write_text(text + "\n", encoding="utf-8")
    (DOCS / f"{NAME}.svg").write_text(plot(load.samples), encoding="utf-8")


def main() -> int:
    given: dict[str, Any] = {
        "seconds": float(os.environ.get("LOAD_SECONDS") or 1800),
        "queued": int(os.environ.get("LOAD_QUEUED") or 2000),
        "clients": int(os.environ.get("LOAD_CLIENTS") or 200),
    }
    logging.disable(logging.CRITICAL)  # of clients whose server leaves
    with tempfile.TemporaryDirectory(prefix="media-mcp-load-") as folder:
        load = Load(folder=Path(folder), **given)
        crowd = asyncio.run(load.run())
        left = {state: load.count(f"state = '{state}'") for state in ("queued", "running")}
        asyncio.run(load.drain())
        found = list(rows(load, crowd, left))
        said = (load.folder / "server.log").read_text(errors="replace")
    for row in found:
        print(line(row), "\n  ", row.detail, flush=True)
    for fault in crowd.failed[:20]:
        print("  failed:", fault)
    if load.seconds >= SHORTEST_WRITTEN:
        write(found, load)
    if "Traceback" in said:
        print(said[-4000:])
    return 0 if all(row.met for row in found) and "Traceback" not in said else 1


if __name__ == "__main__":
    sys.exit(main())
