"""When a job that has waited for long goes before those whose model is loaded."""

from __future__ import annotations

from collections.abc import Callable

EARLY = 0.75  # of the bound: several jobs may come of age at once, and each takes its time


class Ageing:
    """Says which jobs are overdue, so that none waits longer than `bound` seconds for its turn.

    Each such job may need another model than those that are loaded. Loading is kept to half of the
    time: with more work than can be done all jobs are overdue, and plain order of arrival would
    load a model for nearly each of them.
    """

    def __init__(self, bound: float, clock: Callable[[], float]) -> None:
        self._bound = bound
        self._clock = clock
        self._loaded_at = 0.0
        self._load_seconds = 0.0

    def overdue(self) -> float:
        """Return the time (Unix seconds) before which jobs were made that are next; 0: none is."""
        now = self._clock()
        rested = now - self._loaded_at >= self._load_seconds
        return now - EARLY * self._bound if rested else 0.0

    def loaded(self, seconds: float) -> None:
        """Note that a model was loaded for a job that has just ended, which took so long."""
        if seconds > 0:
            self._loaded_at, self._load_seconds = self._clock(), min(seconds, self._bound)
