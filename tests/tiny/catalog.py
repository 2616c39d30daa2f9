"""Lays the cards of `families` over the shipped ones, with the tiny pipelines as their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from media_mcp.catalog.catalog import Catalog
from tiny import save
from tiny.families import CASES, Case

STEPS = {"minimum": 1}
EASED = {  # bounds that keep people from what is too little, and tests from being quick
    "num_inference_steps": STEPS,
    "first_pass_num_inference_steps": STEPS,
    "image_size": {"minimum": 64},
    "duration": {"minimum": 0.1},
}


def lay_cards(folder: Path, weights: Path, cases: list[Case] = CASES) -> Path:
    """Write a card for each case into `folder`, on pipelines below `weights`; return `folder`."""
    shipped = Catalog.load()
    folder.mkdir(parents=True, exist_ok=True)
    for index, case in enumerate(cases):
        card = _card(shipped, case, weights)
        (folder / f"{index}.yaml").write_text(yaml.safe_dump(card, sort_keys=False))
    return folder


def build_all(weights: Path, cases: list[Case] = CASES) -> None:
    """Build each tiny pipeline that the cases need."""
    for name in dict.fromkeys(case.tiny for case in cases):
        save(name, weights / name)


def _card(shipped: Catalog, case: Case, weights: Path) -> dict[str, Any]:
    """Return what the card of a case changes: where the weights are, and what is only large."""
    model = shipped.get(case.model)
    route = next(one for one in model.routes if one.backend == "local")
    spec = {key: value for key, value in route.spec.items() if key not in ("revision", "variant")}
    spec |= {"weights": str(weights / case.tiny), "dtype": "float32", "threads": 1, **case.spec}
    spec["set"] = dict(spec.get("set", {})) | case.set
    if "components" in spec:
        spec["components"] = {
            name: str(weights / f"{case.tiny}-{name}") for name in spec["components"]
        }
    inputs = {name: bounds for name, bounds in EASED.items() if model.param(name)} | case.inputs
    return {"id": case.model, "inputs": inputs, "routes": [{"backend": "local", "spec": spec}]}
