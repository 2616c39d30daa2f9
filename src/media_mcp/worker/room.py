"""Does a job's work with the memory it needs: others leave if it is full, and it is tried again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from media_mcp.worker.full import full_run, is_host_full, more_room
from media_mcp.worker.loaded import OnlyLoaded
from media_mcp.worker.residency import Wish
from media_mcp.worker.work import Product, Work

T = TypeVar("T")


def with_room(work: Work, act: Callable[[], T]) -> T:
    """Return what `act` does for this job; done a second time where other models had to leave.

    Raises `OutOfMemory`, with numbers, where memory is full though they left.
    """
    run, residency, device = work.run, work.residency, work.device
    residency.wish(run.model, wish_of(run.spec))

    def relieve(error: BaseException) -> bool:
        left = residency.relieve(drop=is_host_full(error), but=run.model)
        if left:
            work.log(f"{device.name} ran out of memory: other models leave, and it is tried again.")
        return left

    return more_room(act, relieve, lambda: full_run(device.name, device.memory, residency.used))


def load(work: Work, act: Callable[[], object]) -> Product:
    """Load what `act` would run this job with, and leave it at that."""
    try:
        with work.residency.loading_only():
            with_room(work, act)
    except OnlyLoaded as loaded:
        resident = loaded.resident
        facts = {"load_seconds": round(resident.load_seconds, 3), "bytes": resident.size}
        return Product((), facts | {"evicted": len(resident.evicted), "device": work.device.name})
    return Product((), {"load_seconds": 0.0, "bytes": 0, "evicted": 0, "device": work.device.name})


def wish_of(spec: Mapping[str, Any]) -> Wish:
    """Read what a route's spec wants of its pipeline: `pin`, `keep_alive` in seconds."""
    return Wish(bool(spec.get("pin", False)), float(spec.get("keep_alive") or 0.0))
