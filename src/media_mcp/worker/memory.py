"""What the residency asks of a device's memory: move weights, measure, give back."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from media_mcp.worker.device import Device, free_host_memory, resident_bytes

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_FORGET_PEAK = "5"  # proc(5): resets the highest mark of the resident set


class Memory:
    """A memory in which nothing is moved and nothing measured; the others build on it.

    `lazy`: weights are mapped from their files and come in during the first run, so that only later
    ones tell what a run takes.
    """

    lazy = False

    def can_move(self, value: Any) -> bool:
        """Whether `value` can wait in the host's memory."""
        return True

    def to_host(self, value: Any) -> None:
        """Move a pipeline's weights to the host."""

    def to_device(self, value: Any) -> None:
        """Move them back."""

    def release(self) -> None:
        """Give back what was let go."""

    def taken(self) -> int:
        """Return the bytes that are allocated on the device now; 0: not known."""
        return 0

    def begin(self) -> int:
        """Forget the highest mark so far and return what is taken now; 0: not known."""
        return 0

    def peak(self) -> int:
        """Return the most that was taken since `begin`; 0: not known."""
        return 0


class HostMemory(Memory):
    """The machine's own memory, on which a CPU computes, and Apple's GPUs do, too."""

    lazy = True

    def release(self) -> None:
        free_host_memory()
        torch = sys.modules.get("torch")
        if torch is not None and torch.backends.mps.is_available():
            torch.mps.empty_cache()

    def begin(self) -> int:
        try:
            _CLEAR.write_text(_FORGET_PEAK)
        except OSError:  # not Linux, or not allowed: then the mark says nothing of a run
            return 0
        return resident_bytes()

    def peak(self) -> int:
        try:
            lines = _STATUS.read_text().splitlines()
        except OSError:
            return 0
        kilobytes = next((line.split()[1] for line in lines if line.startswith("VmHWM")), "0")
        return int(kilobytes) * 1024


class CudaMemory(Memory):
    """A CUDA or ROCm device's memory, as torch keeps it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def can_move(self, value: Any) -> bool:
        return any(True for _ in _modules(value))

    def to_host(self, value: Any) -> None:
        for module in _modules(value):
            module.to("cpu")

    def to_device(self, value: Any) -> None:
        for module in _modules(value):
            module.to(self._name)

    def release(self) -> None:
        free_host_memory()
        if (torch := sys.modules.get("torch")) is not None:
            torch.cuda.empty_cache()

    def taken(self) -> int:
        return int(_torch().cuda.memory_allocated(self._name))

    def begin(self) -> int:
        _torch().cuda.reset_peak_memory_stats(self._name)
        return self.taken()

    def peak(self) -> int:
        return int(_torch().cuda.max_memory_allocated(self._name))


def memory_of(device: Device) -> Memory:
    """Return the memory of a device."""
    return CudaMemory(device.name) if device.kind == "cuda" else HostMemory()


def _torch() -> Any:
    import torch

    return torch


def _modules(value: Any) -> Iterator[Any]:
    """Yield what of a loaded pipeline holds weights: itself, or what it is made of."""
    if callable(getattr(value, "to", None)):
        yield value
        return
    parts: Any = ()
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, tuple | list):
        parts = value
    elif is_dataclass(value) and not isinstance(value, type):
        parts = [getattr(value, field.name) for field in fields(value)]
    for part in parts:
        yield from _modules(part)
