"""What the doctor finds in memory and on disk: devices, what workers hold, weights here."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio

from media_mcp.backends.local.pulling import is_local
from media_mcp.backends.local.wants import wants_of
from media_mcp.backends.local.weights import hub_cache, readiness, snapshot
from media_mcp.catalog.catalog import Catalog
from media_mcp.cli.finding import Finding
from media_mcp.cli.result import bytes_words
from media_mcp.errors import MediaError
from media_mcp.running import WORKER, Board
from media_mcp.settings import Settings

PATIENCE = 120.0
SHOWN = 5
_ASK_DEVICE = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
from media_mcp.errors import MediaError
from media_mcp.worker.device import find_device, present
try:
    torch = version("torch")
except PackageNotFoundError:
    torch = ""
try:
    names = ["cpu"] if sys.argv[1] == "cpu" else present()  # for which torch takes seconds
    found = find_device(names[0] if sys.argv[1] == "auto" else sys.argv[1])
    told = {"name": found.name, "memory": found.memory, "free": found.free, "build": found.build}
    others = [name for name in names if name != found.name]
    print(json.dumps(told | {"torch": torch, "others": others}))
except MediaError as error:
    print(json.dumps({"problem": error.message, "fix": error.hint}))
"""


async def device(settings: Settings) -> Finding:
    """Ask the Python of the worker: only there may torch be imported."""
    python = settings.worker_python or sys.executable
    try:
        with anyio.fail_after(PATIENCE):
            command = [python, "-P", "-c", _ASK_DEVICE, settings.device]
            asked = await anyio.run_process(command, check=False)
        told = json.loads(asked.stdout)
    except (OSError, ValueError, TimeoutError) as error:
        words = f"{python} did not tell: {error}"
        return Finding("device", False, words, "Set worker_python to a Python with media-mcp.")
    if "problem" in told:
        return Finding("device", False, told["problem"], told["fix"])
    return Finding("device", ok=True, words=_device_words(told))


def _device_words(told: Mapping[str, Any]) -> str:
    free = f" ({bytes_words(told['free'])} free)" if told["free"] else ""
    torch = f", torch {told['torch']} for {told['build']}" if told["torch"] else ", no torch"
    others = f"; also here: {', '.join(told['others'])}" if told["others"] else ""
    return f"{told['name']}, {bytes_words(told['memory'])}{free}{torch}{others}"


def loaded(settings: Settings) -> Finding:
    """Say what the workers of the servers on this data folder hold."""
    workers = Board(settings.data_dir).read(WORKER)
    words = "; ".join(_worker_words(told) for told in workers)
    return Finding("loaded", ok=True, words=words or "nothing: no worker runs for this data folder")


def _worker_words(told: Mapping[str, Any]) -> str:
    held = [_held_words(one) for one in told.get("held", ())]
    return f"{told.get('device', '?')} (process {told['pid']}): {', '.join(held) or 'nothing'}"


def _held_words(held: Mapping[str, Any]) -> str:
    marks = [
        mark
        for mark, holds in (
            ("waits in the host's memory", held.get("place") == "host"),
            ("pinned", held.get("pinned")),
            ("in use", held.get("in_use")),
        )
        if holds
    ]
    size = bytes_words(int(held.get("size", 0)))
    return f"{' and '.join(held.get('models', ()))} {', '.join([size, *marks])}"


def weights(settings: Settings) -> Finding:
    """Say which weights of the catalog's models are on this machine, and which came half."""
    cache = hub_cache(dict(os.environ))
    try:
        sizes, halves = _on_disk(Catalog.load(settings.catalog_dirs, settings.doubted_dirs), cache)
    except MediaError as error:
        return Finding("weights", False, error.message, error.hint)
    largest = sorted(sizes.items(), key=lambda one: -one[1])
    listed = ", ".join(f"{repo} {bytes_words(size)}" for repo, size in largest[:SHOWN])
    more = f" and {len(sizes) - SHOWN} more" if len(sizes) > SHOWN else ""
    total = bytes_words(sum(sizes.values()))
    words = f"{total} in {cache}: {listed}{more}" if sizes else f"none in {cache}"
    if halves:
        return Finding("weights", False, f"{words}; not whole: {', '.join(halves)}", _mend(halves))
    return Finding("weights", ok=True, words=words)


def _mend(halves: Mapping[str, str]) -> str:
    return f"Run: media-mcp pull {next(iter(halves.values()))}"


def _on_disk(catalog: Catalog, cache: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Return the bytes of each repository that is here, and those not whole, with a model."""
    sizes: dict[str, int] = {}
    halves: dict[str, str] = {}
    for model in catalog:
        for route in model.routes:
            if not is_local(route.backend):
                continue
            for want in wants_of(route.spec):
                folder = snapshot(cache, want.repo, want.revision)
                if folder is None:
                    continue
                sizes[want.repo] = _bytes_in(folder)
                makes = model.outputs[0].kind
                if not readiness(route.spec, dict(os.environ), makes, model.id).ready:
                    halves.setdefault(want.repo, model.id)
    return sizes, halves


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
