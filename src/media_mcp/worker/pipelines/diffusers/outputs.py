"""Reads what a pipeline returns and saves it."""

from __future__ import annotations

from typing import Any


def enlarged(picture: Any, side: int | None) -> Any:
    """Return the picture with its longer side at `side` pixels."""
    from PIL.Image import Resampling

    if not side or side == max(picture.size):
        return picture
    factor = side / max(picture.size)
    size = tuple(max(1, round(pixels * factor)) for pixels in picture.size)
    return picture.resize(size, Resampling.LANCZOS)
