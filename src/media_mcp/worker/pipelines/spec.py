"""What a card's spec says of the weights that are loaded, whichever library runs them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from media_mcp.errors import BadCard

DTYPES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}  # bytes of a number


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


def components_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts that a card takes from elsewhere, by name."""
    found = spec.get("components") or {}
    if not isinstance(found, Mapping):
        raise BadCard("components: this is no {name: weights}.", "Mend the model's card.")
    return dict(found)


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
