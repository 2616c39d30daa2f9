"""Which class of diffusers runs the weights: the card's, or the one that their index file names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from media_mcp.errors import BadCard, NotConfigured, did_you_mean

INDEX = "model_index.json"
MODULAR_INDEX = "modular_model_index.json"
MODULAR = "ModularPipeline"
ANY = "DiffusionPipeline"


def find_class(spec: Mapping[str, Any], named: str = ANY) -> Any:
    """Return the class that the card names or, where it names none, the one called `named`.

    Raises `BadCard` for a `class` that is no pipeline of the diffusers installed here,
    `NotConfigured` for such a one that the weights name.
    """
    import diffusers

    given = spec.get("class")
    name = str(given or named)
    kind = _class_called(name)
    if kind is not None:
        return kind
    if not given:
        raise NotConfigured(
            f"The weights are for {name[:80]!r}, which diffusers {diffusers.__version__} lacks.",
            "Install a newer diffusers, or name a `class` in the card; code that comes with "
            "weights is never run.",
        )
    known = [one for one in dir(diffusers) if one.endswith("Pipeline")]
    raise BadCard(
        f"class: {name[:80]!r} is no pipeline of diffusers {diffusers.__version__}.",
        did_you_mean(name, known) or "Mend the model's card, or install a newer diffusers.",
    )


def _class_called(name: str) -> Any:
    import diffusers

    kind = getattr(diffusers, name, None) if name.isidentifier() else None
    bases = (diffusers.DiffusionPipeline, diffusers.ModularPipeline)
    return kind if isinstance(kind, type) and issubclass(kind, bases) else None


def is_modular(kind: Any) -> bool:
    """Whether a class is one of Modular Diffusers, which load and are called in another way."""
    import diffusers

    return issubclass(kind, diffusers.ModularPipeline)


def named_in(folder: Path) -> str:
    """Return the class that the index file in `folder` names; modular ones go by their base.

    A repository that has both files is of an ordinary pipeline. One that brings code of its own
    names its file, too, which is no class of ours.
    """
    return str(index_of(folder, INDEX).get("_class_name") or MODULAR)


def index_of(folder: Path, name: str) -> dict[str, Any]:
    """Return what an index file holds; nothing for one that is absent or broken."""
    try:
        found = json.loads((folder / name).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
