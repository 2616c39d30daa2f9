"""What the catalog costs: time until it is ready, memory, and the time of a search."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import reach
from bench import HERE, Bench, Row, in_turn
from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.sources import WORDS, shipped_folder
from wire import Server

LOADS, COMPILES, READINGS = 15, 3, 5
CARD = {
    "id": "only/one",
    "title": "Only one",
    "task": "text-to-image",
    "licence": "MIT",
    "description": "The only model.",
    "inputs": {"prompt": {"type": "string", "required": True, "description": "What to draw."}},
    "outputs": {"images": {"kind": "image", "mime_type": "image/png"}},
    "featured": True,
}
_LOAD = """
from time import perf_counter
from media_mcp.catalog.catalog import Catalog
began = perf_counter()
catalog = Catalog.load()
loaded = perf_counter()
count = len(catalog.heads)
print((loaded - began) * 1000, (perf_counter() - began) * 1000, count)
"""


def ready(bench: Bench) -> Row:
    """Measure until every model is ready in a fresh process, compiled before or now, in ms."""
    bench.forget()
    compiled = []
    for _ in range(COMPILES):
        compiled.append(_load(bench)[0])
        bench.forget()
    _load(bench)
    times = [_load(bench) for _ in range(LOADS)]
    mine = median(ready for _, ready, _ in times)
    return Row(
        f"{times[0][2]} models ready from the compiled catalog, in a fresh process",
        "ms",
        mine,
        median(compiled),
        "compiling it, once after a change",
        "≤ 60 ms",
        mine <= 60,
        f"{LOADS} processes; {median(load for load, *_ in times):.1f} ms of it until it is open, "
        f"the rest reading a row of each model; {COMPILES} times compiled",
    )


def memory(bench: Bench) -> Iterator[Row]:
    """Measure what the whole catalog adds to the server's memory once tools are listed, in MB."""
    folder = _one_card(bench.folder / "one-card")
    for tools in ("featured", "all"):

        def whole(tools: str = tools) -> float:
            return _listed(bench.ours(tools))

        def one(tools: str = tools) -> float:
            command = [sys.executable, str(HERE / "one_card.py"), str(folder), *bench.serve(tools)]
            return _listed(Server(command, bench.environment))

        in_turn(1, whole, one)
        mine, theirs = (median(side) for side in in_turn(READINGS, whole, one))
        yield Row(
            f"resident memory with the whole catalog, {tools} tools listed",
            "MB",
            mine,
            theirs,
            "the same server with one card",
            "≤ 25 MB more",
            mine - theirs <= 25,
            f"{READINGS} readings each; the catalog adds {mine - theirs:.1f} MB",
        )


def search(_: Bench) -> Row:
    """Measure a search of the whole catalog, over the requests of the reach benchmark, in ms."""
    answers = reach.measure(Catalog.load(), reach.requests())
    spent = [answer.seconds * 1000 for answer in answers]
    late = quantiles(spent, n=20)[-1]
    return Row(
        "a search of the whole catalog",
        "ms",
        median(spent),
        None,
        "",
        "95% ≤ 20 ms",
        late <= 20,
        f"{len(spent)} requests, each the median of {reach.TIMES}; p95 {late:.1f} ms, "
        f"slowest {max(spent):.1f} ms",
    )


def _load(bench: Bench) -> tuple[float, float, int]:
    environment = {**os.environ, **bench.environment}
    told = subprocess.check_output([sys.executable, "-c", _LOAD], text=True, env=environment)
    opened, ready, count = told.split()
    return float(opened), float(ready), int(count)


def _listed(server: Server) -> float:
    with server:
        server.tools()
        return server.memory()


def _one_card(folder: Path) -> Path:
    """Make a folder whose only model may run on every backend that the whole catalog's may."""
    routes = [{"backend": backend} for backend in sorted(Catalog.load().backends())]
    shutil.copytree(shipped_folder() / WORDS, folder / WORDS)
    (folder / "one.yaml").write_text(json.dumps(CARD | {"routes": routes}), encoding="utf-8")
    return folder
