"""The pipelines a worker can run, by the word that a card's `pipeline` holds; loaded when used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from media_mcp.errors import NotConfigured, did_you_mean
from media_mcp.worker.work import Pipeline, Together

PIPELINES: Mapping[str, str] = {
    "chatterbox": "media_mcp.worker.pipelines.chatterbox:run",
    "diffusers": "media_mcp.worker.pipelines.diffusers:run",
    "kokoro": "media_mcp.worker.pipelines.kokoro:run",
    "tools": "media_mcp.worker.pipelines.tools:run",
    "transformers": "media_mcp.worker.pipelines.transformers:run",
}


def find_pipeline(name: str) -> Pipeline:
    """Return the pipeline called `name`. Raises `NotConfigured` with the known names."""
    place = PIPELINES.get(name)
    if place is None:
        known = sorted(PIPELINES)
        hint = did_you_mean(name, known) or f"Known: {', '.join(known)}."
        raise NotConfigured(f"The card's pipeline {name!r} is none that this worker has.", hint)
    module, _, function = place.partition(":")
    pipeline: Pipeline = getattr(import_module(module), function)
    return pipeline


def find_batch(name: str) -> Together | None:
    """Return what does several jobs of a pipeline as one: the `run_batch` beside its `run`."""
    if name not in PIPELINES:
        return None
    module = import_module(PIPELINES[name].partition(":")[0])
    together: Together | None = getattr(module, "run_batch", None)
    return together
