"""Runs any diffusers text-to-image pipeline: the embedded sketch and FLUX go the same way.

A card's spec says `weights` (`embedded:NAME`, an absolute folder or a hub id) and may say `class`
(of diffusers; else the one that the weights name), `dtype`, `revision`, `variant`,
`local_files_only`, `threads`, `loras` and `enlarge` (which argument holds the side, in pixels, to
enlarge pictures to). What the pipeline is called with comes ready from the server.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from media_mcp.errors import BadCard, BadOutput, did_you_mean
from media_mcp.worker.device import peak_bytes
from media_mcp.worker.pipelines import loras
from media_mcp.worker.pipelines.faults import readable_faults
from media_mcp.worker.pipelines.steps import counted, view
from media_mcp.worker.protocol import Made
from media_mcp.worker.residency import Plan, Resident
from media_mcp.worker.weights import estimate, local_folder
from media_mcp.worker.work import Product, Work

DTYPES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
COUNT = "num_images"
QUICK = 1  # zlib's level: five times faster than the default for files a fifth larger
OURS = frozenset({"generator", "output_type", "return_dict", "callback_on_step_end"})


def run(work: Work) -> Product:
    """Draw `num_images` pictures (one unless said) with seeds seed, seed + 1 and so on."""
    weights = str(work.run.spec.get("weights", ""))
    with readable_faults(weights, work.device, work.residency):
        dtype = dtype_name(work.run.spec, work.device.kind)
        name = resident_name(work.run.spec, dtype)
        with (
            work.residency.hold(
                name, lambda: _plan_load(work, weights, dtype), model=work.run.model
            ) as resident,
            loras.applied(work, resident.value),
        ):
            return _draw_all(work, resident, dtype)


def _plan_load(work: Work, weights: str, dtype: str) -> Plan:
    find_class(work.run.spec)
    folder = find_weights(work, weights)
    return Plan(estimate(folder, DTYPES[dtype]), lambda: load(work, folder, dtype))


def resident_name(spec: Mapping[str, Any], dtype: str) -> str:
    """Return what tells these weights from others: `black-forest-labs/FLUX.1-schnell bfloat16`."""
    keys = ("weights", "class", "revision", "variant")
    parts = (*(spec.get(key) for key in keys), dtype)
    return " ".join(str(part) for part in parts if part)


def find_class(spec: Mapping[str, Any]) -> Any:
    """Return the class that loads the weights; `DiffusionPipeline` takes the one they name.

    Raises `BadCard` for a `class` that is no pipeline of the diffusers installed here.
    """
    import diffusers

    name = str(spec.get("class") or "DiffusionPipeline")
    kind = getattr(diffusers, name, None) if name.isidentifier() else None
    if isinstance(kind, type) and issubclass(kind, diffusers.DiffusionPipeline):
        return kind
    hint = did_you_mean(name, [known for known in dir(diffusers) if known.endswith("Pipeline")])
    raise BadCard(
        f"class: {name[:80]!r} is no pipeline of diffusers {diffusers.__version__}.",
        hint or "Mend the model's card, or install a newer diffusers.",
    )


def dtype_name(spec: Mapping[str, Any], device: str) -> str:
    """Return the number format to load with: the card's, else float32 on a CPU, bfloat16 beyond."""
    name = str(spec.get("dtype") or ("float32" if device == "cpu" else "bfloat16"))
    if name not in DTYPES:
        raise BadCard(f"dtype: {name!r} is none of {', '.join(DTYPES)}.", "Mend the model's card.")
    return name


def find_weights(work: Work, weights: str) -> Path:
    """Return the folder of `weights`, fetching it from the hub if it is a repository there."""
    folder = local_folder(weights)
    if folder is not None:
        return folder
    from diffusers import DiffusionPipeline

    spec = work.run.spec
    work.log(f"Looking for {weights} on this machine and on the hub.")
    found = DiffusionPipeline.download(
        weights,
        revision=spec.get("revision"),
        variant=spec.get("variant"),
        use_safetensors=True,
        local_files_only=bool(spec.get("local_files_only", False)),
        trust_remote_code=False,
    )
    return Path(found)


def load(work: Work, folder: Path, dtype: str) -> Any:
    """Load the pipeline in `folder` onto the device: safetensors only, no code but diffusers'."""
    import torch

    quieten()
    work.log(f"Loading {work.run.spec['weights']} on {work.device.name}.")
    pipe = find_class(work.run.spec).from_pretrained(
        str(folder),
        dtype=getattr(torch, dtype),
        variant=work.run.spec.get("variant"),
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    work.check()
    return pipe.to(work.device.name)


def quieten() -> None:
    """Keep the libraries' notices and bars out of the log."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def use_threads(spec: Mapping[str, Any]) -> None:
    """Use as many threads as the card says, else OMP_NUM_THREADS, else one for each core.

    A tiny model is nearly as fast on one thread, and on a busy machine many times faster: threads
    that wait for one another at every small layer lose their cores meanwhile.
    """
    import torch

    default = os.environ.get("OMP_NUM_THREADS") or usable_cores()
    torch.set_num_threads(int(spec.get("threads") or default))


def usable_cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Call:
    """What the pipeline is called with, and the arguments that it has no place for."""

    kwargs: Mapping[str, Any]
    ignored: tuple[str, ...]


def plan_call(pipe: Any, call: Mapping[str, Any]) -> Call:
    """Part what the pipeline takes from what it does not."""
    accepted = set(inspect.signature(pipe.__call__).parameters) - OURS
    kwargs = {name: value for name, value in call.items() if name in accepted}
    return Call(kwargs, tuple(sorted(call.keys() - kwargs.keys())))


def _draw_all(work: Work, resident: Resident, dtype: str) -> Product:
    arguments, pipe = work.run.arguments, resident.value
    use_threads(work.run.spec)
    call = plan_call(pipe, _opened(work, work.run.call))
    if call.ignored:
        work.log(f"Ignored, as {type(pipe).__name__} has no use for it: {', '.join(call.ignored)}.")
    count = int(arguments.get(COUNT) or 1)
    started = perf_counter()
    pictures = [_draw(work, pipe, call, index, count) for index in range(count)]
    seconds = perf_counter() - started
    made = [_save(work, picture, index) for index, picture in enumerate(pictures)]
    facts = _facts(work, resident, dtype) | {
        "native_size": f"{pictures[0].width}x{pictures[0].height}",
        "run_seconds": round(seconds, 3),
    }
    return Product(tuple(made), facts | ({"ignored": list(call.ignored)} if call.ignored else {}))


def _opened(work: Work, value: Any) -> Any:
    """Return a call with the pictures in the place of the URIs that stand for them."""
    if isinstance(value, Mapping):
        return {key: _opened(work, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_opened(work, item) for item in value]
    path = work.run.inputs.get(value) if isinstance(value, str) else None
    return _open_picture(path) if path else value


def _open_picture(path: str) -> Any:
    from PIL import Image

    with Image.open(path) as picture:
        return picture.convert("RGB")


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


def _save(work: Work, picture: Any, index: int) -> Made:
    name = f"{work.role}-{index}.png"
    side = work.run.arguments.get(work.run.spec.get("enlarge", ""))
    _enlarged(picture, side).save(work.folder / name, format="PNG", compress_level=QUICK)
    return Made(name, work.role, "image/png")


def _enlarged(picture: Any, side: int | None) -> Any:
    """Return the picture with its longer side at `side` pixels."""
    from PIL.Image import Resampling

    if not side or side == max(picture.size):
        return picture
    factor = side / max(picture.size)
    size = tuple(max(1, round(pixels * factor)) for pixels in picture.size)
    return picture.resize(size, Resampling.LANCZOS)


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
