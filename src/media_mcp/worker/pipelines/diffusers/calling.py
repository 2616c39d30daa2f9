"""Says a job in the words of a pipeline's class."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from media_mcp.worker.work import Work

OURS = frozenset({"generator", "output_type", "return_dict", "callback_on_step_end"})


@dataclass(frozen=True, slots=True)
class Call:
    """What the pipeline is called with, and the arguments that it has no place for."""

    kwargs: Mapping[str, Any]
    ignored: tuple[str, ...]


def plan_call(pipe: Any, call: Mapping[str, Any]) -> Call:
    """Part what the pipeline takes from what it does not."""
    accepted = set(inspect.signature(pipe.__call__).parameters) - OURS
    kwargs = {name: value for name, value in call.items() if name in accepted}
    return Call(kwargs, tuple(sorted(call.keys() - kwargs.keys())))


def opened(work: Work, value: Any) -> Any:
    """Return a call with the pictures in the place of the URIs that stand for them."""
    if isinstance(value, Mapping):
        return {key: opened(work, item) for key, item in value.items()}
    if isinstance(value, list):
        return [opened(work, item) for item in value]
    path = work.run.inputs.get(value) if isinstance(value, str) else None
    return _open_picture(path) if path else value


def _open_picture(path: str) -> Any:
    from PIL import Image

    with Image.open(path) as picture:
        return picture.convert("RGB")
