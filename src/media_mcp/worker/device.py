"""Which device this worker computes on, and how much memory it has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from media_mcp.errors import BadSettings

_SHARES = {"cuda": 0.88, "mps": 0.9}  # what MPS recommends is less than all already
_MEMINFO = Path("/proc/meminfo")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Device:
    """A torch device by name (`cpu`, `cuda:0`, `mps`), its memory in bytes, how much of that is
    free now (0: not known) and what torch was built for (`CUDA 13.0`, `ROCm 7.1`, `MPS`, `CPU`)."""

    name: str
    memory: int
    free: int = 0
    build: str = ""

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]

    @property
    def budget(self) -> int:
        """Bytes that weights may take; the rest is for what a run computes.

        What other programs hold of a card of its own is theirs.
        """
        share = int(self.memory * _SHARES.get(self.kind, 0.75))
        return max(0, share - self.theirs)

    @property
    def theirs(self) -> int:
        """Bytes of a CUDA device that other programs held when it was looked at."""
        return self.memory - self.free if self.kind == "cuda" and self.free else 0


def find_device(wanted: str) -> Device:
    """Return the device `wanted` names; `auto` takes CUDA, else MPS, else the CPU.

    Without torch the CPU is the answer. Raises `BadSettings` for a device that is not here.
    """
    if wanted == "cpu":  # and torch need not be asked, which takes seconds
        return _measured(wanted)
    names = present()
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


def present() -> list[str]:
    """Return the devices torch can use, the best first."""
    try:
        import torch
    except (ImportError, OSError):  # absent, or its libraries are
        return ["cpu"]
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


def _measured(name: str) -> Device:
    """Look at a device's memory. ROCm's devices are `cuda` to torch, too."""
    if name == "cpu":
        return Device(name, host_memory(), free_bytes(), "CPU")
    import torch

    if (
        name == "mps"
    ):  # the memory is the machine's; Metal says how much of it a program should take
        return Device(name, int(torch.mps.recommended_max_memory()), free_bytes(), "MPS")
    free, total = torch.cuda.mem_get_info(name)
    hip = getattr(torch.version, "hip", None)
    build = f"ROCm {hip}" if hip else f"CUDA {torch.version.cuda}"
    return Device(name, int(total), int(free), build)


def host_memory() -> int:
    """Return the bytes of memory this machine, or the container around us, has."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(memory, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no cgroup, or "max"
        return memory


def free_bytes() -> int:
    """Return the bytes of the host's memory that programs can still get."""
    try:
        lines = _MEMINFO.read_text().splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
        return min(free * 1024, host_memory())
    except (OSError, StopIteration, ValueError):  # not Linux
        return host_memory() // 2


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
