"""Finds the weights that a card names and loads them onto the device, each set once."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from media_mcp.worker.pipelines.diffusers.classes import find_class, is_modular
from media_mcp.worker.pipelines.diffusers.family import Family
from media_mcp.worker.weights import local_folder
from media_mcp.worker.work import Work

FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")


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
