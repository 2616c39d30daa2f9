"""Which device this worker computes on, and how much memory it has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from media_mcp.errors import BadSettings

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Device:
    """A torch device by name (`cpu`, `cuda:0`, `mps`) and its memory in bytes."""

    name: str
    memory: int

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]

    @property
    def budget(self) -> int:
        """Bytes that weights may take; the rest is for what a run computes."""
        return int(self.memory * (0.88 if self.kind == "cuda" else 0.75))


def find_device(wanted: str) -> Device:
    """Return the device `wanted` names; `auto` takes CUDA, else MPS, else the CPU.

    Without torch the CPU is the answer. Raises `BadSettings` for a device that is not here.
    """
    if wanted == "cpu":  # and torch need not be asked, which takes seconds
        return _measured(wanted)
    names = _present()
    if wanted == "auto":
        return _measured(next(iter(names)))
    if wanted == "cuda" and "cuda:0" in names:
        return _measured("cuda:0")
    if wanted not in names:
        raise BadSettings(
            f"Setting device: {wanted!r} is not here; this machine has {', '.join(names)}.",
            "Set device to auto or to one of these.",
        )
    return _measured(wanted)


def _present() -> list[str]:
    """Return the devices torch can use, the best first."""
    try:
        import torch
    except (ImportError, OSError):  # absent, or its libraries are
        return ["cpu"]
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


def _measured(name: str) -> Device:
    if name.startswith("cuda"):
        import torch

        return Device(name, int(torch.cuda.get_device_properties(name).total_memory))
    return Device(name, host_memory())


def host_memory() -> int:
    """Return the bytes of memory this machine, or the container around us, has."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(memory, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no cgroup, or "max"
        return memory


def resident_bytes() -> int:
    """Return how much memory this process holds now, in bytes."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_bytes()


def peak_bytes() -> int:
    """Return the most memory this process ever held, in bytes."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_host_memory() -> None:
    """Collect garbage and give freed pages back to the system: glibc keeps them otherwise."""
    import ctypes
    import gc

    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):  # not glibc
        return
