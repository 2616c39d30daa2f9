"""Progress and cancellation for any diffusers pipeline, through the progress bar they all call."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

OnStep = Callable[[int, int], None]


class Bar:
    """Stands where a pipeline's tqdm bar would; `on_step(n, total)` may raise to stop the run."""

    def __init__(self, total: int, on_step: OnStep) -> None:
        self.total = total
        self.n = 0
        self._on_step = on_step

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to close."""

    def update(self, n: int = 1) -> None:
        self.n += n
        self._on_step(self.n, self.total)

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Take what else a pipeline tells its bar, as a description, and show none of it."""
        return lambda *args, **kwargs: None


def view(pipe: Any, on_step: OnStep) -> Any:
    """Return a shallow copy of `pipe` for one run, in about a millisecond.

    It shares every module, has a scheduler of its own (they hold state) and reports its steps. The
    `_interrupt` flag of the pipelines is of no use here: it still decodes and returns garbage.
    """
    own = copy.copy(pipe)
    scheduler = getattr(pipe, "scheduler", None)
    if scheduler is not None:
        own.scheduler = type(scheduler).from_config(scheduler.config)

    def progress_bar(iterable: Iterable[Any] | None = None, total: int | None = None) -> Any:
        if iterable is None:
            return Bar(total or 0, on_step)
        return _over(list(iterable), on_step)

    own.progress_bar = progress_bar
    return own


def _over(items: list[Any], on_step: OnStep) -> Iterator[Any]:
    bar = Bar(len(items), on_step)
    for item in items:
        yield item
        bar.update()


def counted(on_step: OnStep, index: int, count: int) -> OnStep:
    """Return a hook for picture `index` of `count`, so that steps grow over all of them.

    A pipeline that fills a second bar in one run starts it at one again; that is not reported.
    """
    furthest = 0

    def step(done: int, total: int) -> None:
        nonlocal furthest
        furthest = min(max(furthest, done), max(total, 1))
        on_step(index * max(total, 1) + furthest, count * max(total, 1))

    return step
