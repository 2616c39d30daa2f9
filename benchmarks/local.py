"""Pipelines on a CPU: the first picture of a cold start, and swaps of models and of LoRAs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from bench import Bench, Row, in_turn
from measures import ONE_THREAD, PROMPT, bare_pipeline

STARTS, SWAPS = 3, 12
CALL = {"prompt": PROMPT, "seed": 7, "steps": 12, "guidance": 1}


def cold_start(bench: Bench) -> Row:
    """Measure from starting the server to the first picture of `sketch`, in seconds."""

    def through() -> float:
        started = perf_counter()
        with bench.ours(**ONE_THREAD) as server:
            server.call("sketch", {**CALL, "size": 64})
            return perf_counter() - started

    def bare() -> float:
        started = perf_counter()
        with bare_pipeline(bench.folder) as ask:
            ask(CALL)
            return perf_counter() - started

    in_turn(1, through, bare)
    mine, theirs = in_turn(STARTS, through, bare)
    return Row(
        "cold start to the first picture by `sketch`",
        "s",
        median(mine),
        median(theirs),
        "a bare script with diffusers",
        "≤ 8 s",
        median(mine) <= 8,
        f"{STARTS} starts each: of the server, of its worker, torch imported, weights loaded, a "
        "picture drawn; the script does the last three",
    )


def swap(bench: Bench) -> Row:
    """Measure what it costs to run a model when another fills the memory, in seconds."""
    told = _swapping(bench)
    return Row(
        "swap between two tiny families (FLUX, SDXL), the budget for one",
        "s",
        told["swap"],
        told["load"],
        "loading alone, by diffusers",
        "≤ 0.4 s",
        told["swap"] <= 0.4,
        f"{SWAPS} swaps: a run with the other model loaded less a warm run; eviction, loading and "
        "giving memory back are in it",
    )


def lora(bench: Bench) -> Row:
    """Measure what it costs to draw with another LoRA than the run before, in milliseconds."""
    told = _swapping(bench)
    return Row(
        "swap between two LoRAs",
        "ms",
        told["lora_switch"] * 1000,
        told["lora_bare"] * 1000,
        "loading and unloading by diffusers",
        "≤ 0.5 ×",
        told["lora_switch"] <= 0.5 * told["lora_bare"],
        f"{SWAPS} swaps on a tiny FLUX: a run with the other LoRA less a warm run without any; "
        f"the first use of a file takes {told['lora_first'] * 1000:.0f} ms",
    )


_TOLD: dict[Path, dict[str, Any]] = {}


def _swapping(bench: Bench) -> dict[str, Any]:
    """Measure in a process that holds torch, once for both rows."""
    if bench.folder not in _TOLD:
        command = [sys.executable, str(Path(__file__).with_name("swapping.py"))]
        command += [str(bench.folder), str(SWAPS)]
        told = subprocess.check_output(command, text=True, env=os.environ | ONE_THREAD)
        _TOLD[bench.folder] = json.loads(told.splitlines()[-1])
    return _TOLD[bench.folder]
