"""Which sizes and counts of frames a pipeline can make, as its own parts say."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

_SPATIAL = ("vae_scale_factor_spatial", "vae_spatial_compression_ratio", "vae_scale_factor")
_TEMPORAL = (
    "vae_scale_factor_temporal",
    "vae_temporal_compression_ratio",
    "vae_temporal_scale_factor",
)
_NATIVE = 1024


def side_multiple(pipe: Any) -> int:
    """Return what both sides of a picture must be multiples of: the autoencoder's factor times the
    denoiser's patch, or what the pipeline's own processor asks for."""
    if own := _number(pipe, "canvas_multiple"):
        return own
    spatial = next(filter(None, (_number(pipe, name) for name in _SPATIAL)), 1)
    processors = (getattr(pipe, name, None) for name in ("image_processor", "video_processor"))
    asked = [_number(getattr(one, "config", None), "vae_scale_factor") for one in processors]
    return max(1, spatial * _patch(pipe), *asked)


def _patch(pipe: Any) -> int:
    """Return how many latents wide the denoiser's patches are."""
    config = getattr(_denoiser(pipe), "config", None)
    for name in ("patch_size", "all_patch_size"):
        given = getattr(config, name, None)
        found = max(given) if isinstance(given, tuple | list) and given else given
        if isinstance(found, int):
            return found
    return 1


def _denoiser(pipe: Any) -> Any:
    return getattr(pipe, "transformer", None) or getattr(pipe, "transformer_2", None)


def frame_step(pipe: Any) -> int:
    """Return n where the pipeline makes n * k + 1 frames; 1 where any count is right."""
    return next(filter(None, (_number(pipe, name) for name in _TEMPORAL)), 1)


def most_frames(pipe: Any, spec: Mapping[str, Any]) -> int:
    """Return how many frames there can be: the card's `max_frames`, or how many the denoiser can
    place; 0 where neither is known."""
    if given := spec.get("max_frames"):
        return int(given)
    places = _number(getattr(_denoiser(pipe), "config", None), "rope_max_seq_len")
    return (places - 1) * frame_step(pipe) + 1 if places else 0


def native_area(pipe: Any) -> int:
    """Return the pixels of the pictures that the weights were made for."""
    sample, factor = _number(pipe, "default_sample_size"), _number(pipe, "vae_scale_factor")
    return (sample * factor or _NATIVE) ** 2


def _number(holder: Any, name: str) -> int:
    """Return an attribute that is a whole number, or 0."""
    try:
        value = getattr(holder, name, None)
    except Exception:  # a property of a pipeline that lacks the part it reads
        return 0
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def nearest(value: int, step: int, plus: int = 0) -> int:
    """Return the positive number nearest to `value` that is a multiple of `step`, and `plus`."""
    return max(plus or step, round((value - plus) / step) * step + plus)


def scaled(size: tuple[int, int], area: int, multiple: int, *, up: bool) -> tuple[int, int]:
    """Return `size` brought to `area` pixels (only down unless `up`), sides in multiples."""
    factor = sqrt(area / (size[0] * size[1]))
    factor = factor if up else min(1.0, factor)
    width, height = (nearest(round(side * factor), multiple) for side in size)
    return width, height


def from_table(
    table: Mapping[str, Any], resolution: Any, ratio: Any, picture: tuple[int, int] | None
) -> tuple[int, int] | None:
    """Return the size of a card's `sizes: {resolution: {ratio: [width, height]}}`.

    A ratio that is not there (`auto`) is the one nearest to the picture's, else the first.
    """
    shapes = table.get(str(resolution)) or next(iter(table.values()), None)
    if not isinstance(shapes, Mapping) or not shapes:
        return None
    found = shapes.get(str(ratio))
    if found is None and picture:
        found = min(shapes.values(), key=lambda one: abs(one[0] / one[1] - picture[0] / picture[1]))
    width, height = found or next(iter(shapes.values()))
    return int(width), int(height)
