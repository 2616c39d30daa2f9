"""Finds the class and the weights that a card names, and loads them onto the device."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from media_mcp.errors import BadCard, did_you_mean
from media_mcp.worker import speed
from media_mcp.worker.weights import local_folder
from media_mcp.worker.work import Work

DTYPES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}


def resident_name(spec: Mapping[str, Any], dtype: str, speed: str = "") -> str:
    """Return what tells these weights from others: `black-forest-labs/FLUX.1-schnell bfloat16`.

    `speed` are the settings that they are loaded with.
    """
    keys = ("weights", "class", "revision", "variant")
    parts = (*(spec.get(key) for key in keys), dtype, speed)
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
    loader = speed.Loader(work)
    pipe = find_class(work.run.spec).from_pretrained(
        str(folder),
        dtype=getattr(torch, dtype),
        variant=work.run.spec.get("variant"),
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        **loader.arguments(folder),
    )
    work.check()
    return loader.finish(pipe)


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
