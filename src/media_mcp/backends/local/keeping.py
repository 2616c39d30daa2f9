"""What is kept of a place's weights: budgets for its workers, pins, and how long without a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from media_mcp.backends.base import Run
from media_mcp.backends.local.configuration import Configuration
from media_mcp.catalog.model import Model
from media_mcp.job import JSON
from media_mcp.running import Board
from media_mcp.settings import Settings, cache_dir, keep_alive_of

PIN, KEEP_ALIVE = "pin", "keep_alive"


@dataclass(slots=True)
class Keeping:
    """By the settings, by a model's card, and by what `warm` asked for while the server runs."""

    settings: Settings | None = None
    asked: dict[str, Mapping[str, JSON]] = field(default_factory=dict)

    def of(self, run: Run) -> dict[str, JSON]:
        """Return what a run's spec says of keeping its weights."""
        told = self._by_settings(run.model, run.project) | {
            key: run.route.spec[key] for key in (PIN, KEEP_ALIVE) if key in run.route.spec
        }
        return told | dict(self.asked.get(run.model.id, {}))

    def ask(self, model: Model, *, pin: bool | None, keep_alive: float | None) -> None:
        """Remember what was asked for a model, until the server ends; None leaves it as it is."""
        asked = {PIN: pin, KEEP_ALIVE: keep_alive}
        new = {key: value for key, value in asked.items() if value is not None}
        self.asked[model.id] = {**self.asked.get(model.id, {}), **new}

    def _by_settings(self, model: Model, project: str) -> dict[str, JSON]:
        if self.settings is None:
            return {}
        pinned = bool({model.id, model.tool} & set(self.settings.pin))
        return {PIN: pinned, KEEP_ALIVE: keep_alive_of(self.settings, project)}

    @property
    def board(self) -> Board | None:
        """Where workers are noticed, for other commands to see."""
        return Board(self.settings.data_dir) if self.settings else None


def worker_options(place: Configuration, device: str, *, notes: bool) -> list[str]:
    """Return the command line by which a worker knows its budgets, and where it keeps `notes`."""
    options = []
    if place.memory_budget is not None:
        options += ["--memory-budget", str(int(place.memory_budget))]
    if place.host_memory_budget is not None:
        options += ["--host-memory-budget", str(int(place.host_memory_budget))]
    return [*options, "--memory-notes", str(_notes(device))] if notes else options


def _notes(device: str) -> Path:
    return cache_dir() / f"memory-{device.replace(':', '-')}.json"
