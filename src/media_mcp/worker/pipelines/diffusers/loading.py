"""Finds the weights that a card names and loads them onto the device, each set once."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from media_mcp.errors import BadCard
from media_mcp.worker.pipelines.diffusers.classes import find_class, is_modular
from media_mcp.worker.pipelines.diffusers.family import Family, components_of
from media_mcp.worker.weights import local_folder
from media_mcp.worker.work import Work

DTYPES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")


def resident_name(spec: Mapping[str, Any], dtype: str, speed: str = "") -> str:
    """Return what tells these weights from others: `black-forest-labs/FLUX.1-schnell bfloat16`.

    Which class runs them is no part of it: text-to-image and image-to-image share one load. `speed`
    are the settings that they are loaded with.
    """
    keys = ("weights", "revision", "variant")
    more = [f"{name}={place}" for name, place in sorted(components_of(spec).items())]
    parts = (*(spec.get(key) for key in keys), *more, dtype, speed)
    return " ".join(str(part) for part in parts if part)


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
    work.log(f"Looking for {weights} on this machine and on the hub.")
    fetch = _fetch_modular if is_modular(find_class(work.run.spec)) else _fetch_ordinary
    return Path(fetch(work.run.spec, weights))


def _fetch_ordinary(spec: Mapping[str, Any], weights: str) -> str:
    from diffusers import DiffusionPipeline

    return str(
        DiffusionPipeline.download(
            weights,
            revision=spec.get("revision"),
            variant=spec.get("variant"),
            use_safetensors=True,
            local_files_only=bool(spec.get("local_files_only", False)),
            trust_remote_code=False,
        )
    )


def _fetch_modular(spec: Mapping[str, Any], weights: str) -> str:
    from huggingface_hub import snapshot_download

    return str(
        snapshot_download(
            weights,
            revision=spec.get("revision"),
            allow_patterns=list(FILES),
            local_files_only=bool(spec.get("local_files_only", False)),
        )
    )


def load(work: Work, folder: Path, dtype: str) -> Family:
    """Load the pipeline in `folder` onto the device: safetensors only, no code but diffusers'."""
    quieten()
    _set_libraries_aside(work)
    work.log(f"Loading {work.run.spec['weights']} on {work.device.name}.")
    family = Family(folder, dtype, work.device.name)
    family.pipeline(work)
    work.check()
    return family


def _set_libraries_aside(work: Work) -> None:
    """Keep what is imported out of every later search for garbage, of which an eviction makes one.

    That halves a swap of small models. Not while weights are loaded: those would never be found.
    """
    if not work.residency.models:
        gc.collect()
        gc.freeze()


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
