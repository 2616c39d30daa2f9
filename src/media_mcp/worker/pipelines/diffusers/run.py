"""Runs any diffusers text-to-image pipeline: the embedded sketch and FLUX go the same way.

A card's spec says `weights` (`embedded:NAME`, an absolute folder or a hub id) and may say `class`
(of diffusers; else the one that the weights name), `dtype`, `revision`, `variant`,
`local_files_only`, `threads`, `loras` and `enlarge` (which argument holds the side, in pixels, to
enlarge pictures to). What the pipeline is called with comes ready from the server.
"""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any

from media_mcp.errors import BadOutput
from media_mcp.worker import speed
from media_mcp.worker.device import peak_bytes
from media_mcp.worker.encode import save_images
from media_mcp.worker.pipelines import loras
from media_mcp.worker.pipelines.diffusers.calling import Call, opened, plan_call
from media_mcp.worker.pipelines.diffusers.loading import (
    DTYPES,
    dtype_name,
    find_class,
    find_weights,
    load,
    resident_name,
    use_threads,
)
from media_mcp.worker.pipelines.diffusers.outputs import enlarged
from media_mcp.worker.pipelines.faults import readable_faults
from media_mcp.worker.pipelines.steps import counted, view
from media_mcp.worker.residency import Plan, Resident
from media_mcp.worker.weights import estimate
from media_mcp.worker.work import Product, Work

COUNT = "num_images"


def run(work: Work) -> Product:
    """Draw `num_images` pictures (one unless said) with seeds seed, seed + 1 and so on."""
    weights = str(work.run.spec.get("weights", ""))
    with readable_faults(weights, work.device, work.residency):
        dtype = dtype_name(work.run.spec, work.device.kind)
        name = resident_name(work.run.spec, dtype, speed.resident_part(work))
        with (
            work.residency.hold(
                name, lambda: _plan_load(work, weights, dtype), model=work.run.model
            ) as resident,
            loras.applied(work, resident.value),
            speed.applied(work, resident.value) as lossy,
        ):
            product = _draw_all(work, resident, dtype)
            return replace(product, facts={**product.facts, "speed": lossy}) if lossy else product


def _plan_load(work: Work, weights: str, dtype: str) -> Plan:
    find_class(work.run.spec)
    folder = find_weights(work, weights)
    return Plan(estimate(folder, DTYPES[dtype]), lambda: load(work, folder, dtype))


def _draw_all(work: Work, resident: Resident, dtype: str) -> Product:
    arguments, pipe = work.run.arguments, resident.value
    use_threads(work.run.spec)
    call = plan_call(pipe, opened(work, work.run.call))
    if call.ignored:
        work.log(f"Ignored, as {type(pipe).__name__} has no use for it: {', '.join(call.ignored)}.")
    count = int(arguments.get(COUNT) or 1)
    started = perf_counter()
    pictures = [_draw(work, pipe, call, index, count) for index in range(count)]
    seconds = perf_counter() - started
    side = arguments.get(work.run.spec.get("enlarge", ""))
    made = save_images(work, [enlarged(picture, side) for picture in pictures])
    facts = _facts(work, resident, dtype) | {
        "native_size": f"{pictures[0].width}x{pictures[0].height}",
        "run_seconds": round(seconds, 3),
    }
    return Product(tuple(made), facts | ({"ignored": list(call.ignored)} if call.ignored else {}))


def _draw(work: Work, pipe: Any, call: Call, index: int, count: int) -> Any:
    """Draw one picture; each has a run of its own, as some pipelines fail on lists of prompts."""
    import torch

    work.check()
    own = view(pipe, counted(work.step, index, count))
    # On the CPU whatever the device is, so that a seed means the same picture everywhere.
    generator = torch.Generator("cpu").manual_seed(work.run.seed + index)
    pictures = own(**call.kwargs, generator=generator, output_type="pil").images
    if not pictures:
        raise BadOutput(f"{type(pipe).__name__} returned no picture.", "Try another seed.")
    return pictures[0]


def _facts(work: Work, resident: Resident, dtype: str) -> dict[str, Any]:
    return {
        "seed": work.run.seed,
        "steps": work.run.call.get("num_inference_steps"),
        "load_seconds": round(resident.load_seconds, 3),
        "device": work.device.name,
        "dtype": dtype,
        "peak_memory_bytes": _peak(work.device.name),
    }


def _peak(device: str) -> int:
    """Return the most memory held so far: on a CUDA device the device's, else the process's."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    return peak_bytes()
