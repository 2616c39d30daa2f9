"""Pipelines of random weights, built from the libraries' own configs: no hub is asked.

Each has the class and the parts of a real family, in a megabyte or two. `save(name, folder)` writes
one as real weights are laid out.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

ROOMS = ("pictures", "clips", "sounds")


def builder(name: str) -> Callable[[], Any]:
    """Return the function that builds the family `name`."""
    rooms = (import_module(f"tiny.{room}") for room in ROOMS)
    return next(getattr(room, name) for room in rooms if hasattr(room, name))


def save(name: str, folder: Path) -> Path:
    """Build the family `name`, always with the same weights, and save it in `folder`."""
    import torch

    torch.manual_seed(0)
    builder(name)().save_pretrained(str(folder))
    return folder
