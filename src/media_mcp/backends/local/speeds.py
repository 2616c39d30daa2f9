"""What a run's speed settings come to: those of its project over those of the model's card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from media_mcp import speed
from media_mcp.errors import BadCard, BadSettings
from media_mcp.job import JSON
from media_mcp.speed import Choice

PIPELINES = frozenset({"diffusers"})  # those that have speed settings
FEW_STEP = "few_step"


@dataclass(frozen=True, slots=True)
class Quickened:
    """A route's spec as the worker gets it, and what its settings change in the call."""

    spec: dict[str, JSON]
    call: Mapping[str, JSON]


def quickened(spec: Mapping[str, JSON], asked: Choice) -> Quickened:
    """Put the settings that hold into a route's spec.

    Raises `BadCard` for wrong ones of the card and `BadSettings` where the few-step LoRA is asked
    for by name and the card names none.
    """
    if spec.get("pipeline") not in PIPELINES:
        return Quickened(dict(spec), {})
    wanted = asked.over(_of_card(spec))
    told: dict[str, JSON] = wanted.told()
    found = dict(spec) | {"speed": told}
    if (dtype := wanted.keys.get("dtype", "auto")) != "auto":
        found["dtype"] = dtype
    if not _few_steps(wanted, spec):
        return Quickened(found, {})
    lora, call = _few_step_lora(spec[FEW_STEP])
    told[FEW_STEP] = True
    found["loras"] = [lora, *spec.get("loras", ())]
    return Quickened(found, call)


def _of_card(spec: Mapping[str, JSON]) -> Choice:
    try:
        return speed.choice(spec.get("speed") or {})
    except ValueError as error:
        raise BadCard(f"speed: {error}.", "Mend the model's card.") from None


def _few_steps(wanted: Choice, spec: Mapping[str, JSON]) -> bool:
    asked = wanted.keys.get(FEW_STEP)
    if asked and FEW_STEP not in spec:
        raise BadSettings(
            "The speed setting few_step = true cannot be had: the model's card names no such LoRA.",
            "Leave it to the bundle turbo, which takes it where there is one.",
        )
    brought = speed.bundled(wanted.bundle or speed.EXACT, "").get(FEW_STEP, False)
    return FEW_STEP in spec and bool(brought if asked is None else asked)


def _few_step_lora(told: Any) -> tuple[dict[str, JSON], Mapping[str, JSON]]:
    """Read `{path, scale, set}`: a LoRA, and what the pipeline is called with to use it."""
    try:
        lora = {"path": str(told["path"]), "scale": float(told.get("scale", 1))}
        return lora, dict(told.get("set", {}))
    except (TypeError, ValueError, KeyError, AttributeError):
        words = f"few_step: {str(told)[:80]} is no {{path: …, scale: number, set: {{…}}}}."
        raise BadCard(words, "Mend the model's card.") from None
