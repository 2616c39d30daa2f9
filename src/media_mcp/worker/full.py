"""What is done, and said, when a memory is full."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from media_mcp.errors import OutOfMemory

T = TypeVar("T")
_CPU_FULL = re.compile(r"can't allocate memory|not enough memory|you tried to allocate (\d+) bytes")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that the device or the host is full."""
    return is_host_full(error) or type(error).__name__ == "OutOfMemoryError"


def is_host_full(error: BaseException) -> bool:
    """Whether it is the host's memory that is full, and not the device's."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and bool(_CPU_FULL.search(str(error)))


def more_room(
    act: Callable[[], T],
    relieve: Callable[[BaseException], bool],
    refusal: Callable[[], OutOfMemory],
) -> T:
    """Do `act`; where memory is full, `relieve` it and, if that let anything go, do it once more.

    Raises `refusal()` where it is full to the end.
    """
    full = None
    for _ in range(2):
        try:
            return act()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            full = error.with_traceback(None)  # its frames hold the tensors that fill the memory
        if not relieve(full):
            break
    raise refusal() from full


def gigabytes(size: float) -> str:
    """Write a number of bytes for people: `7.8 MB`, `12.3 GB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def never_fits(key: str, size: int, budget: int, parts: Mapping[str, int]) -> OutOfMemory:
    """Say by how much a pipeline is too large for the device, and what would make it fit."""
    ways = [*_settings_that_fit(budget, parts), "a smaller model", "a device with more memory"]
    return OutOfMemory(
        f"{key} needs {gigabytes(size)} for its weights; "
        f"this device gives them {gigabytes(budget)}.",
        f"Use {', '.join(ways[:-1])} or {ways[-1]}.",
    )


def _settings_that_fit(budget: int, parts: Mapping[str, int]) -> list[str]:
    """Name the speed settings with which the weights would fit, each with what it needs."""
    if not parts:
        return []
    name, largest = max(parts.items(), key=lambda part: part[1])
    small = sum(parts.values()) - largest // 2
    offload = f"the speed setting offload = model (needs {gigabytes(largest)}, its {name})"
    if largest > budget:
        offload = "the speed setting offload = group (slow; a few layers at a time)"
    fp8 = f"the speed setting fp8_storage (needs {gigabytes(small)})"
    return [offload, fp8] if small <= budget else [offload]


def still_full(key: str, size: int) -> OutOfMemory:
    """Say that a load found no memory though all that may leave has left."""
    return OutOfMemory(
        f"There is no memory left to load {key}, which needs {gigabytes(size)} for its weights; "
        "all else that could leave has left.",
        "Free memory that other programs hold, lower memory_budget or use a smaller model.",
    )


def full_run(device: str, memory: int, weights: int) -> OutOfMemory:
    """Say that a run found no memory though all that may leave has left."""
    return OutOfMemory(
        f"{device} ran out of memory: of its {gigabytes(memory)}, loaded weights took "
        f"{gigabytes(weights)} and this run more than the other {gigabytes(memory - weights)}.",
        "Ask for a smaller size, fewer frames or fewer pictures, or use a model with smaller "
        "weights. The speed settings vae_tiling, offload and fp8_storage need less, too.",
    )
