"""What the guards cost a no-op job: keys, budgets, limits and checks of outputs on, beside off."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

from bench import HERE, Bench, Row, in_turn
from guards_server import OWNER
from media_mcp.server.keyring import KeyRing
from ports import free_port
from queue_client import Line, get, post, request_id
from wire import OLD, WebServer

CARDS = """\
licence: MIT
description: For measurements.
routes: [{backend: priced, price: {amount: 0.001, unit: call}}]
inputs:
  prompt: {type: string, required: true, description: What to say.}
  seed: {type: integer, minimum: 0, maximum: 2147483647, description: The seed.}
variants:
  - id: guards/picture
    title: Picture
    task: text-to-image
    inputs:
      width: {type: integer, minimum: 16, maximum: 4096, default: 64, description: Width.}
      height: {type: integer, minimum: 16, maximum: 4096, default: 64, description: Height.}
    outputs:
      images: {kind: image, mime_type: image/png, shape: files}
"""
MODEL, TOOL = "guards/picture", "guards_picture"
JOBS, WARM = 200, 20
EARLIER = 10_000  # jobs of other days, which limits of all days count, too
OTHER_DAY = 86_400.0  # seconds ago


@dataclass(frozen=True, slots=True)
class Place:
    """A server with its guards on or off, and the key that it asks for."""

    server: WebServer
    port: int
    key: str


def guards(bench: Bench) -> Iterator[Row]:
    """Measure a no-op job from submit to result through both doors, in milliseconds."""
    with ExitStack() as stack:
        on, off = (stack.enter_context(_Opened(bench, how)) for how in ("on", "off"))
        seeds = count()
        ways = {
            "the queue API": partial(_by_queue, seeds),
            "MCP over HTTP": partial(_by_mcp, seeds),
        }
        for name, way in ways.items():
            in_turn(WARM, way(on), way(off))
            yield _row(name, *in_turn(JOBS, way(on), way(off)))


def _row(name: str, on: list[float], off: list[float]) -> Row:
    ratio = median(on) / median(off)
    return Row(
        f"no-op job with a picture, submit to result through {name}, every guard on",
        "ms",
        median(on),
        median(off),
        "the same server, its guards off",
        "≤ 1.3 ×",
        ratio <= 1.3,
        f"{JOBS} jobs each, {EARLIER:,} of other days before; on: a key, budgets and limits of "
        "all, of the project and of the caller in money and GPU-seconds, outputs looked into in a "
        "process of their own; off: none of them, files opened in a thread; both write whose the "
        f"job is; p95 {quantiles(on, n=20)[-1]:.1f} ms beside {quantiles(off, n=20)[-1]:.1f} ms",
    )


class _Opened:
    """A server on a data folder with a history of its own, for as long as it is measured."""

    def __init__(self, bench: Bench, guards: str) -> None:
        self._bench = bench
        self._guards = guards
        self._data = bench.folder / f"guards-{guards}"

    def __enter__(self) -> Place:
        self._data.mkdir()
        key = KeyRing(self._data).create(OWNER, "run")[1] if self._guards == "on" else ""
        with self._serve(key) as server:  # it makes the tables, and a job to copy
            server.call(TOOL, {"prompt": "x"})
        _remember(self._data / "jobs.sqlite", EARLIER)
        self._server = self._serve(key)
        return Place(self._server, self._port, key)

    def _serve(self, key: str) -> WebServer:
        cards, self._port = self._bench.folder / "cards", free_port()
        cards.mkdir(exist_ok=True)
        (cards / "guards.yaml").write_text(CARDS, encoding="utf-8")
        command = [sys.executable, str(HERE / "guards_server.py"), str(cards), str(self._data)]
        command += [str(self._port), self._guards]
        return WebServer(command, self._bench.environment, self._port, OLD, key)

    def __exit__(self, *raised: object) -> None:
        self._server.__exit__(None, None, None)


def _remember(path: Path, many: int) -> None:
    """Write the last job of a folder so many times again, as one that was paid the day before."""
    with closing(sqlite3.connect(path)) as db, db:
        db.row_factory = sqlite3.Row
        job = dict(db.execute("SELECT * FROM jobs ORDER BY n DESC LIMIT 1").fetchone())
        line = dict(db.execute("SELECT * FROM ledger WHERE kind = 'charge'").fetchone())
        for row in (job, line):
            row.pop("n")
        job |= {"key": None, "created_at": job["created_at"] - OTHER_DAY}
        line["at"] -= OTHER_DAY
        for number in range(many):
            job["id"] = f"{number:018}"
            line["job"] = _insert(db, "jobs", job)
            _insert(db, "ledger", line)


def _insert(db: sqlite3.Connection, table: str, row: dict[str, object]) -> int | None:
    marks = ", ".join(f":{name}" for name in row)
    told = db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", row)
    return told.lastrowid


def _by_mcp(seeds: Iterator[int], place: Place) -> Callable[[], float]:
    place.server.hang_up()  # a connection that nobody used for a while is closed there
    return lambda: place.server.call(TOOL, {"prompt": "x", "seed": next(seeds)})[0] * 1000


def _by_queue(seeds: Iterator[int], place: Place) -> Callable[[], float]:
    loop = asyncio.new_event_loop()
    line = loop.run_until_complete(Line.to(place.port, place.key))
    return lambda: loop.run_until_complete(_queued(line, next(seeds))) * 1000


async def _queued(line: Line, seed: int) -> float:
    """Submit a job, follow its status until it is over, and fetch the result; return seconds."""
    began, where = perf_counter(), f"/queue/{MODEL}"
    asked = post(where, {"prompt": "x", "seed": seed})
    request = f"{where}/requests/{request_id(await line.ask(asked))}"
    if b'"COMPLETED"' not in await line.ask(get(f"{request}/status/stream")):
        raise RuntimeError("The stream ended before the job.")
    if b'"images"' not in await line.ask(get(request)):
        raise RuntimeError("There is no picture.")
    return perf_counter() - began
