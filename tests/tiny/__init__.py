"""Pipelines of random weights, built from the libraries' own configs: no hub is asked.

Each has the class and the parts of a real family, in a megabyte or two. `save(name, folder)` writes
one as real weights are laid out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tiny import clips, pictures, sounds


def builder(name: str) -> Callable[[], Any]:
    """Return the function that builds the family `name`."""
    rooms = (pictures, clips, sounds)
    return next(getattr(room, name) for room in rooms if hasattr(room, name))


def save(name: str, folder: Path) -> Path:
    """Build the family `name`, always with the same weights, and save it in `folder`.

    Parts that real weights leave to a card's `components` go into folders beside it, as
    `hidream-text_encoder_4`.
    """
    import torch

    with quiet():
        torch.manual_seed(0)
        builder(name)().save_pretrained(str(folder))
        for part, model in pictures.COMPONENTS.get(name, dict)().items():
            model.save_pretrained(str(folder.with_name(f"{folder.name}-{part}")))
    return folder


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries from telling of what they miss and what they write."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    with warnings.catch_warnings(action="ignore"):
        yield
