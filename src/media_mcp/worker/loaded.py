"""A pipeline before, while and after it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from media_mcp.worker.tiers import Place


@dataclass(frozen=True, slots=True)
class Resident:
    """A loaded pipeline for the time of one job: its weights' bytes, the seconds its load or move
    to the device took (0 when it was there) and the keys of those that had to leave for it."""

    value: Any
    size: int
    load_seconds: float
    evicted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """How to load a pipeline: the estimate of its bytes on the device, made first, and what does
    it. `parts` are the bytes of its components, for advice where the whole can never fit. What
    must be moved otherwise than by `.to(device)` brings `to_host` and `to_device`, which get the
    loaded value; `movable=False` says that it can only be dropped (as one that is offloaded)."""

    size: int
    load: Callable[[], Any]
    parts: Mapping[str, int] = field(default_factory=dict)
    to_host: Callable[[Any], object] | None = None
    to_device: Callable[[Any], object] | None = None
    movable: bool = True


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a model's pipeline: `pin` it, or drop it once idle for `keep_alive` s (0:
    keep it as long as there is room)."""

    pin: bool = False
    keep_alive: float = 0.0


@dataclass(slots=True)
class Loaded:
    """A pipeline that is loaded, where it is, the models it ran and the threads that hold it.
    `lock` lets one job at a time use it, as pipelines hold state."""

    key: str
    size: int
    plan: Plan
    value: Any = None
    place: Place = Place.DEVICE
    movable: bool = True
    models: set[str] = field(default_factory=set)
    users: list[int] = field(default_factory=list)
    last_used: float = 0.0
    lock: Lock = field(default_factory=Lock)


class OnlyLoaded(BaseException):
    """What was to be loaded is; no run follows. Pipelines do not catch it, as it is no error."""

    def __init__(self, resident: Resident) -> None:
        super().__init__()
        self.resident = resident
