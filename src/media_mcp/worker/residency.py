"""Which pipelines are loaded, within a budget of bytes. The least recently used makes room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from time import perf_counter
from typing import Any

from media_mcp.errors import OutOfMemory


@dataclass(slots=True)
class Resident:
    """A loaded pipeline: its weights' bytes, the seconds its last load took (0 when it was warm)
    and the models it ran. `lock` lets one job at a time use it, as pipelines hold state."""

    value: Any
    size: int
    load_seconds: float
    models: set[str] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to load a pipeline: the estimate of its bytes, made first, and what does it."""

    size: int
    load: Callable[[], Any]


class Residency:
    """Loads lazily, keeps what fits `budget` bytes, evicts the least recently used.

    `release` is called after an eviction, to give the memory back to device and system.
    """

    def __init__(self, budget: int, release: Callable[[], None]) -> None:
        self.budget = budget
        self._release = release
        self._held: OrderedDict[str, Resident] = OrderedDict()
        self._lock = Lock()
        self.models: tuple[str, ...] = ()  # replaced as a whole: another thread reads it

    @property
    def used(self) -> int:
        """Bytes of weights that are loaded now."""
        return sum(resident.size for resident in self._held.values())

    @contextmanager
    def hold(self, key: str, prepare: Callable[[], Plan], *, model: str) -> Iterator[Resident]:
        """Give the pipeline called `key` for the time of one job, loading it if need be.

        `prepare` is called only then. Raises `OutOfMemory` for what can never fit.
        """
        with self._lock:
            resident = self._fetch(key, prepare)
            resident.models.add(model)
            self._tell()
        with resident.lock:
            yield resident

    def _fetch(self, key: str, prepare: Callable[[], Plan]) -> Resident:
        resident = self._held.get(key)
        if resident is None:
            return self._load(key, prepare())
        self._held.move_to_end(key)
        resident.load_seconds = 0.0
        return resident

    def _load(self, key: str, plan: Plan) -> Resident:
        if plan.size > self.budget:
            raise OutOfMemory(
                f"{key} needs {gigabytes(plan.size)} for its weights; "
                f"this device gives them {gigabytes(self.budget)}.",
                "Use a smaller model, a smaller dtype or a device with more memory.",
            )
        self._make_room(plan.size)
        started = perf_counter()
        value = plan.load()
        resident = Resident(value, plan.size, perf_counter() - started)
        self._held[key] = resident
        return resident

    def _make_room(self, size: int) -> None:
        evicted = False
        while self.used + size > self.budget:
            self._held.popitem(last=False)
            evicted = True
        if evicted:
            self._tell()
            self._release()

    def clear(self) -> None:
        """Let every pipeline go, after the device ran out of memory."""
        self._held.clear()
        self._tell()
        self._release()

    def _tell(self) -> None:
        self.models = tuple(sorted({m for r in self._held.values() for m in r.models}))


def gigabytes(size: int) -> str:
    """Write a number of bytes for people: `7.8 MB`, `12.3 GB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
