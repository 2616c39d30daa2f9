"""The queue over HTTP: no-op jobs beside other queues, status calls, and fal's own client."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import queue_client as client
from bench import HERE, Bench, Row
from peer_env import CELERY, NATS, queue_python
from ports import free_port, wait_for
from queue_client import Pace

CARDS = """\
task: text-generation
licence: MIT
description: For measurements.
inputs:
  prompt: {type: string, required: true, description: What to say.}
outputs:
  text: {kind: text, mime_type: text/plain, shape: value}
values: {said: string}
variants:
  - id: bench/no-op
    title: No-op
    routes: [{backend: no-op}]
  - id: bench/second
    title: Second
    routes: [{backend: rehearsal, spec: {seconds: 1, steps: 4}}]
  - id: bench/hour
    title: Hour
    routes: [{backend: rehearsal, spec: {seconds: 3600, steps: 1}}]
"""
LOADS = [[1, 150], [8, 400], [64, 1200]]  # so many in flight, so many jobs
TURNS = 3
ABSENT = "could not be installed here"
RUNNING = 8  # as many as the rehearsal backend takes
STATUS_SECONDS, STATUS_TURNS = 3.0, 5
SUBSCRIBERS = 200
CALLS = {"submit, status stream and result": client.by_queue, "one call of `run`": client.by_run}
PEERS = {f"Celery {CELERY} + Redis": "celery", f"NATS JetStream {NATS}": "nats"}


@contextmanager
def serving(bench: Bench, name: str) -> Iterator[tuple[int, int]]:
    """Serve with the no-op backend; yields the port and the process's id."""
    cards = bench.folder / "cards"
    cards.mkdir(exist_ok=True)
    (cards / "queue.yaml").write_text(CARDS, encoding="utf-8")
    port, data = free_port(), str(bench.folder / name)
    with subprocess.Popen(
        [sys.executable, str(HERE / "queue_server.py"), str(cards), data, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **bench.environment},
    ) as process:
        try:
            wait_for(port)
            yield port, process.pid
        finally:
            process.terminate()


def jobs(bench: Bench) -> Iterator[Row]:
    """Measure no-op jobs a second, and from submit to result in ms, one and many in flight."""
    pythons = {peer: queue_python(HERE.parent / ".bench", peer) for peer in PEERS.values()}
    ours: dict[str, list[list[Pace]]] = {name: [] for name in CALLS}
    theirs: dict[str, list[list[Pace]]] = {name: [] for name in PEERS}
    durable: dict[str, list[list[Pace]]] = {name: [] for name in PEERS}
    for turn in range(TURNS):
        with serving(bench, f"queue-{turn}") as (port, _):
            for name, call in CALLS.items():
                ours[name].append(list(_loads(port, call)))
        for name, peer in PEERS.items():
            if python := pythons[peer]:
                theirs[name].append(_peer(bench, python, peer, "often", turn))
                durable[name].append(_peer(bench, python, peer, "always", turn))
    for name, mine in ours.items():
        for peer in PEERS:
            yield from _rows(name, peer, mine, theirs[peer], durable[peer])


def _loads(port: int, call: client.Way) -> Iterator[Pace]:
    for at_once, count in [[8, 100], *LOADS]:
        measured = asyncio.run(client.pace(port, call, "bench/no-op", at_once, count))
        if [at_once, count] in LOADS:
            yield measured


def _peer(bench: Bench, python: Path, peer: str, sync: str, turn: int) -> list[Pace]:
    folder = bench.folder / f"{peer}-{sync}-{turn}"
    folder.mkdir()
    command = [str(python), str(HERE / "queue_peers.py"), peer, str(folder), sync]
    told = subprocess.check_output([*command, json.dumps(LOADS)], text=True)
    return [Pace(**json.loads(line)) for line in told.splitlines()]


def _rows(
    name: str, peer: str, mine: list[list[Pace]], theirs: list[list[Pace]], synced: list[list[Pace]]
) -> Iterator[Row]:
    """Compare how many jobs a second with most in flight, and how long a lone one takes."""
    first, most = 0, len(LOADS) - 1
    rate, lone = _median(mine, most).rate, _median(mine, first)
    other = _median(theirs, most).rate if theirs else None
    yield Row(
        f"no-op jobs through HTTP, durably written, {LOADS[most][0]} in flight ({name})",
        "jobs/s",
        rate,
        other,
        peer,
        "≥ 600 jobs/s",
        rate >= 600,
        f"{_all(mine)}; peer {_all(theirs)}; peer with every write synced, as ours are, "
        f"{_all(synced)}; medians of {TURNS} turns",
    )
    yield Row(
        f"a no-op job from submit to result, one in flight ({name})",
        "ms",
        lone.p50,
        _median(theirs, first).p50 if theirs else None,
        peer,
        "≤ 5 ms",
        lone.p50 <= 5,
        f"p95 {lone.p95:.1f} ms; peer {_lone(theirs)}; peer with every write synced "
        f"{_lone(synced)}",
    )


def _median(turns: list[list[Pace]], load: int) -> Pace:
    return Pace(*(median(values) for values in zip(*(turn[load] for turn in turns), strict=True)))


def _lone(turns: list[list[Pace]]) -> str:
    if not turns:
        return ABSENT
    pace = _median(turns, 0)
    return f"{pace.p50:.1f} ms, p95 {pace.p95:.1f} ms"


def _all(turns: list[list[Pace]]) -> str:
    if not turns:
        return ABSENT
    paces = [(at_once, _median(turns, n)) for n, (at_once, _) in enumerate(LOADS)]
    shown = (f"{pace.rate:.0f} ({pace.p50:.1f} ms) with {at_once}" for at_once, pace in paces)
    return f"{', '.join(shown)} in flight"


def status(bench: Bench) -> Row:
    """Measure how many status calls a second the server answers on one core."""
    with serving(bench, "status") as (port, pid):
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(pid, {min(os.sched_getaffinity(0))})
        paths = asyncio.run(_running(port))
        rates = [client.statuses(port, paths, STATUS_SECONDS) for _ in range(STATUS_TURNS)]
    return Row(
        "status calls of running jobs, the server on one core",
        "calls/s",
        median(rates),
        None,
        "",
        "≥ 2,500 calls/s",
        median(rates) >= 2500,
        f"{RUNNING} jobs and connections, {STATUS_TURNS} times {STATUS_SECONDS:g} s; the slowest "
        f"{min(rates):.0f}",
    )


async def _running(port: int) -> list[str]:
    """Submit long jobs, and return the addresses of their status once they run."""
    line = await client.Line.to(port)
    submit = client.post("/queue/bench/hour", {"prompt": "x"})
    ids = [client.request_id(await line.ask(submit)) for _ in range(RUNNING)]
    paths = [f"/queue/bench/hour/requests/{name}/status" for name in ids]
    for path in paths:
        while b'"IN_PROGRESS"' not in await line.ask(client.get(path)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    line.close()
    return paths


def subscribers(bench: Bench) -> Row:
    """Have many subscribers of fal's own client wait for jobs of a second each, all at once."""
    with serving(bench, "subscribers") as (port, _):
        command = [sys.executable, str(HERE / "queue_subscribers.py"), str(port), "bench/second"]
        told = json.loads(subprocess.check_output([*command, str(SUBSCRIBERS)], text=True))
    return Row(
        f"{SUBSCRIBERS} concurrent `subscribe` calls of fal-client that failed",
        "calls",
        told["failed"],
        None,
        "",
        "0",
        told["failed"] == 0,
        f"jobs of 1 s, 8 at a time; all done after {told['seconds']:.0f} s",
    )
