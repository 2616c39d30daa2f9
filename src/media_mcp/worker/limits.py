"""How much memory a worker may fill, by the settings or by what the device has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from media_mcp.worker.device import Device, free_bytes
from media_mcp.worker.memory import memory_of
from media_mcp.worker.notes import Notes
from media_mcp.worker.residency import Residency


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings say of a worker's memory: `device` bytes for weights (0: by the device),
    `host` bytes for those that wait (None: half of what is free), and where notes are kept."""

    device: int = 0
    host: int | None = None
    notes: Path | None = None


def residency_on(device: Device, limits: Limits) -> Residency:
    """Make the residency of a device, within the limits."""
    memory = memory_of(device)
    budget = limits.device or device.budget
    return Residency(
        budget,
        memory.release,
        host_budget=_host_budget(device, limits.host),
        reserve=max(0, device.memory - device.theirs - budget),
        memory=memory,
        notes=Notes(limits.notes),
    )


def _host_budget(device: Device, wanted: int | None) -> int:
    """Return the bytes for weights that wait: none where the device's memory is the host's."""
    if device.kind != "cuda":
        return 0
    if wanted is not None:
        return wanted
    import torch

    workers = max(1, int(torch.cuda.device_count()))  # each device has one of its own
    return free_bytes() // (2 * workers)
