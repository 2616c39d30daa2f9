"""One job: hold the weights, let the room of the model's task do it, tell what was done."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from time import perf_counter
from typing import Any

from media_mcp.worker.pipelines.faults import readable_faults
from media_mcp.worker.pipelines.spec import dtype_name, resident_name, use_threads
from media_mcp.worker.pipelines.transformers.calling import Call
from media_mcp.worker.pipelines.transformers.classes import find_class, task_of
from media_mcp.worker.pipelines.transformers.loading import companions, plan
from media_mcp.worker.residency import Resident
from media_mcp.worker.work import Product, Work

Task = Callable[[Call], Product]
_HERE = "media_mcp.worker.pipelines.transformers"
ROOMS: Mapping[str, str] = {
    "caption": "seeing",
    "music": "music",
    "speech": "speaking",
    "transcript": "hearing",
    "vectors": "vectors",
}


def run(work: Work) -> Product:
    """Do what the class in the card is for; the files and facts are those of its room."""
    import torch

    spec = work.run.spec
    with readable_faults(str(spec.get("weights", "")), work.device, work.residency):
        task = room_of(find_class(spec).__name__)
        dtype = dtype_name(spec, work.device.kind)
        name = " ".join([resident_name(spec, dtype), *companions(spec).values()])
        with (
            work.residency.hold(name, lambda: plan(work, dtype), model=work.run.model) as resident,
            torch.inference_mode(),
        ):
            use_threads(spec)
            return _done(work, task, resident, dtype)


def room_of(name: str) -> Task:
    """Return what runs a class."""
    task: Task = import_module(f"{_HERE}.{ROOMS[task_of(name)]}").run
    return task


def _done(work: Work, task: Task, resident: Resident, dtype: str) -> Product:
    call = Call.of(work, resident.value)
    call.seeded()
    started = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the libraries tell their programmers
        product = task(call)
    seconds = perf_counter() - started
    return replace(product, facts=dict(product.facts) | _facts(call, resident, dtype, seconds))


def _facts(call: Call, resident: Resident, dtype: str, seconds: float) -> dict[str, Any]:
    ignored = call.ignored()
    return {
        "seed": call.work.run.seed,
        "load_seconds": round(resident.load_seconds, 3),
        "run_seconds": round(seconds, 3),
        "device": call.work.device.name,
        "dtype": dtype,
    } | ({"ignored": ignored} if ignored else {})
