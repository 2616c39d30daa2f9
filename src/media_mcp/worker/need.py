"""How much memory a run takes besides the weights, guessed from what it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

USUAL_SIDE = 1024
_LEAST = 2**28
_PER_PIXEL = 2600  # FLUX and SDXL at one megapixel in bfloat16: some 2.7 GB, most for the VAE
_FRAMES_FOR_ONE = 13  # video VAEs decode piece by piece: a frame more costs this part of a picture


def run_units(call: Mapping[str, Any], batch: int = 1) -> int:
    """Return the size of a run in pixels, frames counted for the part that each adds.

    `call` is what the pipeline is called with: `width`, `height` and `num_frames` are looked at.
    """
    width, height = (_number(call.get(side)) or USUAL_SIDE for side in ("width", "height"))
    frames = _number(call.get("num_frames")) or 1
    return max(1, width * height * (_FRAMES_FOR_ONE + frames - 1) // _FRAMES_FOR_ONE * batch)


def allowance(units: int) -> int:
    """Return the bytes to keep free for a run of which none like it was measured yet."""
    return _LEAST + _PER_PIXEL * units


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
