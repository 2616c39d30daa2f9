"""Tools: what is done to media without weights, on any CPU.

A card's spec says `tool`, one of `TOOLS`. A tool is a function of the work and of keyword arguments
that are called as the card's inputs are; media come as paths. The format and the quality of what is
made are the call's `output_format` and `output_quality` (see `worker/encode.py`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from media_mcp.errors import BadCard, did_you_mean
from media_mcp.worker.pipelines.tools.faults import readable_faults
from media_mcp.worker.work import Product, Work

Tool = Callable[..., Product]

THEMES: Mapping[str, tuple[str, ...]] = {
    "tracing": ("vtracer",),
    "probing": ("probe",),
    "pictures": (
        "resize-image",
        "crop-image",
        "pad-image",
        "rotate-image",
        "adjust-image",
        "convert-image",
        "upscale-image",
        "remove-metadata",
    ),
    "layers": ("composite-images", "image-grid", "text-on-image"),
    "masks": ("make-mask", "edit-mask"),
    "cuts": ("trim-video", "concat-videos", "loop-video", "reverse-video", "change-speed"),
    "stills": ("extract-frames", "contact-sheet", "video-to-gif"),
    "canvas": ("scale-video", "crop-video", "pad-video", "change-fps"),
    "overlays": ("overlay-video", "burn-subtitles"),
    "tracks": ("add-audio", "remove-audio", "extract-audio"),
    "slides": ("images-to-video", "animation-to-video"),
    "sounds": (
        "trim-audio",
        "concat-audio",
        "mix-audio",
        "fade-audio",
        "convert-audio",
        "normalize-loudness",
        "remove-silence",
    ),
    "voices": ("change-voice",),
    "speech": ("flite", "espeak"),
    "hearing": ("transcribe",),
}
TOOLS: Mapping[str, str] = {name: theme for theme, names in THEMES.items() for name in names}
ENCODERS_OWN = frozenset({"output_format", "output_quality"})


def run(work: Work) -> Product:
    """Do the job with the tool that the card names."""
    tool = find_tool(str(work.run.spec.get("tool", "")))
    arguments = arguments_for(tool, work)
    with readable_faults(work):
        return tool(work, **arguments)


def find_tool(name: str) -> Tool:
    """Return the tool called `name`. Raises `BadCard` with the nearest names."""
    theme = TOOLS.get(name)
    if theme is None:
        hint = did_you_mean(name, sorted(TOOLS)) or "Mend the model's card."
        raise BadCard(f"tool: {name[:40]!r} is none that this worker has.", hint)
    module = import_module(f"{__name__}.{theme}")
    tool: Tool = getattr(module, name.replace("-", "_"))
    return tool


def arguments_for(tool: Tool, work: Work) -> dict[str, Any]:
    """Return what `tool` is called with, paths in the place of `media://` URIs.

    Raises `BadCard` where card and tool do not know the same arguments.
    """
    given = {k: v for k, v in work.run.call.items() if k not in ENCODERS_OWN}
    arguments = {name: _opened(work, value) for name, value in given.items()}
    try:
        inspect.signature(tool).bind(work, **arguments)
    except TypeError as error:
        name = str(work.run.spec.get("tool"))
        raise BadCard(f"The card's inputs do not fit {name}: {error}.", "Mend the card.") from None
    return arguments


def _opened(work: Work, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _opened(work, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_opened(work, item) for item in value]
    path = work.run.inputs.get(value) if isinstance(value, str) else None
    return Path(path) if path else value
