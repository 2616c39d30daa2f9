"""What a user waits for: the start, a call, a picture; and the server's memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import IO, Any

from bench import PEER, Bench, Row, in_turn
from media_mcp.catalog.catalog import Catalog
from wire import Server

STARTS, CALLS, DRAWINGS = 15, 200, 30
PROMPT = "a red circle above a blue square on a yellow background"
TINY = {"width": 64, "height": 64}
# Threads that wait for each other make a busy machine's figures a lottery.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def start(bench: Bench) -> Row:
    """Measure from starting the process to the answer to `initialize`, in seconds."""

    def once(start: Callable[[], Server]) -> float:
        with start() as server:
            return server.start_seconds

    ours, peer = in_turn(STARTS, lambda: once(bench.ours), lambda: once(bench.peer))
    return Row(
        "process start to `initialize` answered, stdio",
        "s",
        median(ours),
        median(peer),
        f"{PEER}, same tools",
        "≤ 0.8 ×",
        median(ours) / median(peer) <= 0.8,
        f"{STARTS} starts each",
    )


def no_op(bench: Bench) -> Row:
    """Measure a call of a model that does nothing, its job and picture kept on disk, in ms."""
    seeds = count()
    with bench.ours() as ours, bench.peer() as peer:

        def kept() -> float:
            arguments = {"prompt": "x", "seed": next(seeds), **TINY}
            return ours.call("rehearsal_image", arguments)[0] * 1000

        def canned() -> float:
            return peer.call("sketch", {"prompt": "x", "seed": next(seeds)})[0] * 1000

        in_turn(20, kept, canned)
        mine, theirs = in_turn(CALLS, kept, canned)
    return Row(
        "no-op call over stdio, job and picture durably written",
        "ms",
        median(mine),
        median(theirs),
        f"{PEER}, a tool that keeps nothing",
        "≤ 10 ms",
        median(mine) <= 10,
        f"{CALLS} calls each; p95 {quantiles(mine, n=20)[-1]:.1f} ms; each waits for the disk four "
        f"times, and one fsync takes {sync_ms(bench.folder):.2f} ms here",
    )


def drawing(bench: Bench) -> Row:
    """Measure the embedded model through MCP and bare, both loaded before, in seconds."""
    seeds = count(1)
    with bench.ours(**ONE_THREAD) as ours, bare_pipeline(bench.folder) as ask:

        def through() -> float:
            return ours.call("sketch", {**_call(seeds), "size": 64})[0]

        def bare() -> float:
            return ask(_call(seeds))

        in_turn(2, through, bare)
        mine, theirs = in_turn(DRAWINGS, through, bare)
    return Row(
        "a picture by `sketch`, warm",
        "s",
        median(mine),
        median(theirs),
        "the bare diffusers pipeline",
        "≤ 1.05 ×",
        median(mine) / median(theirs) <= 1.05,
        f"{DRAWINGS} pictures each, 12 steps, one thread each",
    )


def memory(bench: Bench) -> Row:
    """Measure the resident memory once the tools are listed, and ours after twenty calls, in MB."""
    with bench.ours() as ours, bench.peer() as peer:
        for server in (ours, peer):
            server.ask("tools/list", {})
        mine, theirs = ours.memory(), peer.memory()
        for seed in range(20):
            ours.call("rehearsal_image", {"prompt": "x", "seed": seed, **TINY})
        later = ours.memory()
    return Row(
        "resident memory of the server, its tools listed",
        "MB",
        mine,
        theirs,
        f"{PEER}, same tools",
        "≤ 90 MB",
        mine <= 90,
        f"one reading each; ours after 20 rehearsed pictures {later:.0f} MB",
    )


def sync_ms(folder: Path) -> float:
    """Return how long this disk takes to keep a small file for good, in ms: the median of 50."""
    times = []
    for number in range(50):
        with (folder / f"sync-{number}").open("wb") as file:
            file.write(b"x" * 1500)
            file.flush()
            started = perf_counter()
            os.fsync(file.fileno())
            times.append((perf_counter() - started) * 1000)
    return median(times)


def _call(seeds: Any) -> dict[str, Any]:
    return {"prompt": PROMPT, "seed": next(seeds), "steps": 12, "guidance": 1}


@contextmanager
def bare_pipeline(folder: Path) -> Iterator[Callable[[dict[str, Any]], float]]:
    """Load the pipeline in a process of its own; yield what has it draw and tells the seconds."""
    from media_mcp import worker

    weights = Path(worker.__path__[0]) / "sketch"
    fixed = Catalog.load().get("sketch").routes[0].spec["set"]
    command = [sys.executable, str(Path(__file__).with_name("bare.py"))]
    command += [str(weights), json.dumps(fixed), str(folder / "bare.png")]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | ONE_THREAD,
    ) as process:
        yield lambda call: _draw(process.stdin, process.stdout, call)
        assert process.stdin is not None
        process.stdin.close()


def _draw(sink: IO[str] | None, source: IO[str] | None, call: dict[str, Any]) -> float:
    assert sink is not None and source is not None
    sink.write(json.dumps(call) + "\n")
    sink.flush()
    return float(source.readline())
