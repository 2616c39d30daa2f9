"""What a pipeline is given to do its work with, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media_mcp.worker.device import Device
from media_mcp.worker.protocol import Made, Run
from media_mcp.worker.residency import Residency


class Cancelled(Exception):
    """The job was cancelled. Pipelines let it through."""


@dataclass(frozen=True, slots=True)
class Work:
    """One job. `step(n, total)` reports step n and raises `Cancelled` once the job is cancelled;
    `check()` raises likewise without reporting; `log(line)` tells people something."""

    run: Run
    device: Device
    residency: Residency
    step: Callable[[int, int], None]
    check: Callable[[], None]
    log: Callable[[str], None]

    @property
    def folder(self) -> Path:
        """Where the files go that are made."""
        return Path(self.run.folder)

    @property
    def role(self) -> str:
        """The role of the first output."""
        return self.run.roles[0] if self.run.roles else "output"


@dataclass(frozen=True, slots=True)
class Product:
    """What a pipeline made: files in the job's folder and facts for the caller."""

    outputs: tuple[Made, ...]
    facts: Mapping[str, Any]


Pipeline = Callable[[Work], Product]
# Does several jobs as one, in their order; what ends one of them alone stands in its place.
Together = Callable[[Sequence[Work]], Sequence[Product | Exception]]
