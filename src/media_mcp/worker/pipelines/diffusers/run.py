"""Does one job with any pipeline of diffusers: the embedded sketch and FLUX go the same way.

What a card's spec may say is listed in CONTRIBUTING.md. What the pipeline is called with comes
ready from the server, but for media, sizes and frames, which depend on the class (`calling`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from media_mcp.worker import speed
from media_mcp.worker.device import peak_bytes
from media_mcp.worker.need import run_units
from media_mcp.worker.pipelines import loras
from media_mcp.worker.pipelines.diffusers.calling import Call, plan_call, readable_refusals
from media_mcp.worker.pipelines.diffusers.classes import find_class
from media_mcp.worker.pipelines.diffusers.loading import find_weights, load
from media_mcp.worker.pipelines.diffusers.outputs import Result, read, save
from media_mcp.worker.pipelines.diffusers.words import REQUIRED, parameters
from media_mcp.worker.pipelines.faults import readable_faults
from media_mcp.worker.pipelines.spec import (
    DTYPES,
    components_of,
    dtype_name,
    resident_name,
    use_threads,
)
from media_mcp.worker.pipelines.steps import counted, shown_bars, view
from media_mcp.worker.residency import Plan
from media_mcp.worker.weights import parts
from media_mcp.worker.work import Product, Work

COUNT = "num_images"


def run(work: Work) -> Product:
    """Make `num_images` results (one unless said) with seeds seed, seed + 1 and so on."""
    with held(work) as ready:
        call = plan_call(work, ready.pipe)
        count = count_of(work)
        started = perf_counter()
        results = [_make(work, ready.pipe, call, index, count) for index in range(count)]
        return finished(work, ready, call, results, perf_counter() - started)


def count_of(work: Work) -> int:
    """Return how many results a job makes."""
    return int(work.run.arguments.get(COUNT) or 1)


@dataclass(frozen=True, slots=True)
class Ready:
    """A pipeline for the time of one job, the seconds its load took, how many others had to leave
    for it, the speed settings that change what comes out and the LoRAs that match in part."""

    pipe: Any
    dtype: str
    load_seconds: float
    evicted: int
    lossy: tuple[str, ...]
    partly: tuple[str, ...]


@contextmanager
def held(work: Work, batch: int = 1) -> Iterator[Ready]:
    """Have the pipeline of the card's class, its weights loaded, its LoRAs and settings applied.

    `batch` is how many results one call of it will make.
    """
    spec, weights = work.run.spec, str(work.run.spec.get("weights", ""))
    with readable_faults(weights, work.device, work.residency):
        dtype = dtype_name(spec, work.device.kind)
        name = resident_name(spec, dtype, speed.resident_part(work))
        with work.residency.hold(
            name,
            lambda: _plan_load(work, weights, dtype),
            model=work.run.model,
            units=run_units(work.run.call, batch),
        ) as resident:
            use_threads(spec)
            pipe = resident.value.pipeline(work)
            with loras.applied(work, pipe) as partly, speed.applied(work, pipe) as lossy:
                seconds, left = resident.load_seconds, len(resident.evicted)
                yield Ready(pipe, dtype, seconds, left, lossy, partly)


def _plan_load(work: Work, weights: str, dtype: str) -> Plan:
    find_class(work.run.spec)
    folder = find_weights(work, weights)
    more, variant = components_of(work.run.spec), work.run.spec.get("variant")
    sizes = parts(folder, DTYPES[dtype], variant, more)
    return speed.planned(work, sizes, DTYPES[dtype], lambda: load(work, folder, dtype))


def _make(work: Work, pipe: Any, call: Call, index: int, count: int) -> Result:
    """Make one result; each has a run of its own, as some pipelines fail on lists of prompts."""
    work.check()
    own = view(pipe, counted(work.step, index, count))
    with readable_refusals(work), shown_bars(own):
        returned = own(**call.kwargs, **ours(pipe, [work.run.seed + index]))
    return read(pipe, returned)


def ours(pipe: Any, seeds: list[int]) -> dict[str, Any]:
    """Return what we pass ourselves: a generator for each seed, and in what form we want results.

    Generators are on the CPU whatever the device is, so that a seed means the same everywhere.
    """
    import torch

    takes = parameters(pipe)
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    given: dict[str, Any] = {}
    if "generator" in takes:
        given["generator"] = generators if len(seeds) > 1 else generators[0]
    else:
        torch.manual_seed(seeds[0])
    if takes.get("output_type") in ("pil", REQUIRED):
        plain = "num_frames" in takes and not hasattr(pipe, "blocks")
        given["output_type"] = "np" if plain else "pil"  # in arrays, numbers that are none are seen
    return given


def finished(
    work: Work, ready: Ready, call: Call, results: list[Result], seconds: float
) -> Product:
    """Save what was made and say what was done."""
    if call.ignored:
        name = type(ready.pipe).__name__
        work.log(f"Ignored, as {name} has no use for it: {', '.join(call.ignored)}.")
    changed = [*ready.partly, *call.changed, *_differences(call, results[0])]
    facts = _facts(work, ready) | {"run_seconds": round(seconds, 3)}
    if size := results[0].size:
        facts["native_size"] = _by(size)
    told = {
        "evicted": ready.evicted,
        "changed": changed,
        "ignored": list(call.ignored),
        "speed": ready.lossy,
    }
    made = save(work, results, call.fps)
    return Product(tuple(made), facts | {name: value for name, value in told.items() if value})


def _differences(call: Call, result: Result) -> Iterator[str]:
    """Say what came out otherwise than was asked for."""
    if call.size and result.size and result.size != call.size:
        yield f"size {_by(result.size)} instead of {_by(call.size)}"
    frames = call.kwargs.get("num_frames")
    if frames and result.frames is not None and len(result.frames) != frames:
        yield f"{len(result.frames)} frames instead of {frames}"


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _facts(work: Work, ready: Ready) -> dict[str, Any]:
    return {
        "seed": work.run.seed,
        "steps": work.run.call.get("num_inference_steps"),
        "load_seconds": round(ready.load_seconds, 3),
        "device": work.device.name,
        "dtype": ready.dtype,
        "peak_memory_bytes": _peak(work.device.name),
    }


def _peak(device: str) -> int:
    """Return the most memory held so far: on a CUDA device the device's, else the process's."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    return peak_bytes()
