"""What a pipeline's class takes, and the words that it and the catalog have for one thing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

OURS = frozenset(
    {"self", "generator", "output_type", "return_dict", "callback_on_step_end", "output", "state"}
)
# What the catalog calls an input, and what classes call it: the first that the class takes.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "image_url": ("image", "control_image"),
    "image_urls": ("image", "reference_images"),
    "end_image_url": ("last_image", "image_end"),
    "tail_image_url": ("last_image", "image_end"),
    "reference_image_urls": ("reference_images", "references", "image"),
    "control_image_url": ("control_image", "image"),
    "mask_url": ("mask_image", "mask"),
    "mask_image_url": ("mask_image", "mask"),
    "video_url": ("video", "driving_video"),
    "mask_video_url": ("mask",),
    "audio_url": ("src_audio", "audio", "initial_audio_waveforms"),
    "steps": ("num_inference_steps",),
    "guidance": ("guidance_scale", "true_cfg_scale"),
    "guidance_scale": ("true_cfg_scale",),
    "cfg_scale": ("guidance_scale", "true_cfg_scale"),
    "fps": ("frame_rate",),
    "frame_rate": ("fps",),
    "frames_per_second": ("frame_rate", "fps"),
    "seconds": ("duration", "audio_duration", "audio_end_in_s", "audio_length_in_s"),
    "duration": ("audio_duration", "audio_end_in_s", "audio_length_in_s"),
}


REQUIRED = inspect.Parameter.empty


def parameters(pipe: Any) -> dict[str, Any]:
    """Return what a pipeline can be called with and the defaults; `REQUIRED` where there is none.

    Modular pipelines have no signature; their blocks declare what they read.
    """
    if blocks := getattr(pipe, "blocks", None):
        return {one.name: _default(one) for one in blocks.inputs if one.name}
    return dict(_signature(type(pipe).__call__))


@lru_cache(maxsize=100)
def _signature(call: Callable[..., Any]) -> Mapping[str, Any]:
    found = list(inspect.signature(call).parameters.values())[1:]  # without `self`
    return {one.name: one.default for one in found if one.kind is not one.VAR_KEYWORD}


def accepted(pipe: Any) -> dict[str, Any]:
    """Return those that a call may set; the others are ours."""
    return {name: default for name, default in parameters(pipe).items() if name not in OURS}


def _default(given: Any) -> Any:
    return REQUIRED if given.required else given.default


def in_its_words(call: Mapping[str, Any], takes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call with the words that the class has for what it does not know by ours."""
    said: dict[str, Any] = {}
    for name, value in call.items():
        if name in takes:
            said[name] = value
            continue
        known = (word for word in SYNONYMS.get(name, ()) if word in takes and word not in call)
        said.setdefault(next(known, name), value)
    return said


def in_our_words(spec: Mapping[str, Any], arguments: Mapping[str, Any], word: str) -> str:
    """Return the argument that a word of the class was made of, to name it to the caller."""
    rules = spec.get("map")
    for name, rule in (rules if isinstance(rules, Mapping) else {}).items():
        to = rule.get("to") if isinstance(rule, Mapping) else rule
        if word in (to if isinstance(to, list | tuple) else [to]):
            return str(name)
    same = (name for name, words in SYNONYMS.items() if word in words and name in arguments)
    return word if word in arguments else next(same, word)
