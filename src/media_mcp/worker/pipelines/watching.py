"""Progress and cancellation for models that have no bar of their own: their passes are counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from media_mcp.worker.work import Work

REPORTS = 200  # steps of one run that are told; every one of them looks for a cancellation


class Steps:
    """Counts what a model does and reports it: `total` steps are expected, fewer may come."""

    def __init__(self, work: Work, total: int) -> None:
        self.total = max(1, total)
        self.done = 0
        self.work = work
        self._told = -1

    def tick(self, *_: Any) -> None:
        """One step is done. Raises `Cancelled`."""
        self.reach(self.done + 1)

    def reach(self, done: int) -> None:
        """So many steps are done. Raises `Cancelled`."""
        self.done = min(max(done, self.done), self.total)
        share = self.done * REPORTS // self.total if self.total > REPORTS else self.done
        if share == self._told:
            self.work.check()
            return
        self._told = share
        self.work.step(self.done, self.total)

    def end(self) -> None:
        """All is done, however many steps it took."""
        self.reach(self.total)


@contextmanager
def watched(steps: Steps, *modules: Any) -> Iterator[Steps]:
    """Count every pass through `modules`: for a model that writes token by token, its tokens.

    A cancellation leaves the model from within such a pass, whatever loop it is in.
    """
    hooks = [module.register_forward_hook(steps.tick) for module in modules]
    try:
        yield steps
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def set_to(holder: Any, values: Mapping[str, Any]) -> Iterator[None]:
    """Set attributes for the time of a run: models are shared by jobs, one after another."""
    before = {name: getattr(holder, name) for name in values}
    try:
        for name, value in values.items():
            setattr(holder, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(holder, name, value)
