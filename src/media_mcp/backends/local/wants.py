"""What a local route needs from the hub: the repositories that its spec names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from media_mcp.backends.local.weights import EMBEDDED, is_hub_id
from media_mcp.job import JSON
from media_mcp.worker.orders import Want

PIPELINE, MODEL, ADAPTER = "pipeline", "model", "adapter"


def wants_of(spec: Mapping[str, JSON]) -> list[Want]:
    """Return the repositories that a route's spec names, the weights first.

    What is embedded or lies in a folder of one's own is not among them.
    """
    return list(dict.fromkeys(want for want in _named(spec) if is_hub_id(want.repo)))


def is_here_anyway(spec: Mapping[str, JSON]) -> bool:
    """Whether a route's weights come with media-mcp, or it has none."""
    weights = str(spec.get("weights") or EMBEDDED)
    return weights.startswith(EMBEDDED)


def _named(spec: Mapping[str, JSON]) -> Iterator[Want]:
    variant = str(spec.get("variant") or "")
    revision = str(spec.get("revision") or "main")
    yield Want(str(spec.get("weights", "")), "weights", _layout(spec), revision, variant)
    for key in ("components", "companions"):
        for role, place in _mapping(spec.get(key)).items():
            yield Want(str(place), str(role), MODEL)
    loras = spec.get("loras") or ()
    few_step = spec.get("few_step")
    for lora in [*loras, *([few_step] if few_step else [])]:
        yield Want(str(_mapping(lora).get("path", "")), "lora", ADAPTER)


def _layout(spec: Mapping[str, JSON]) -> str:
    """Tell diffusers' ordinary pipelines from what reads whole repositories."""
    modular = "Modular" in str(spec.get("class") or "")
    return PIPELINE if spec.get("pipeline") == "diffusers" and not modular else MODEL


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, dict) else {}
