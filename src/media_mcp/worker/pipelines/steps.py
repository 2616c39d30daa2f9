"""Progress and cancellation for any diffusers pipeline, through the progress bar they all call."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
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

    It shares every module, has schedulers and a guider of its own (they hold which step it is) and
    reports its steps. The `_interrupt` flag of the pipelines is of no use here: it still decodes
    and returns garbage.
    A modular pipeline's bars are its blocks': the copy has blocks of its own.
    """
    own = copy.copy(pipe)
    for name in [name for name in vars(pipe) if name.endswith("scheduler")]:
        if (scheduler := getattr(pipe, name)) is not None:
            setattr(own, name, type(scheduler).from_config(scheduler.config))
    if (guider := getattr(pipe, "guider", None)) is not None:
        own.guider = copy.copy(guider)
    own.progress_bar = _bars(on_step)
    if hasattr(pipe, "blocks"):
        own._blocks = _with_bars(pipe._blocks, own.progress_bar)
    return own


def _bars(on_step: OnStep) -> Callable[..., Any]:
    """Return what makes bars as tqdm does, for things or for a total."""

    def progress_bar(
        iterable: Iterable[Any] | None = None, total: int | None = None, **_: Any
    ) -> Any:
        if iterable is None:
            return Bar(total or 0, on_step)
        return _over(list(iterable), on_step)

    return progress_bar


def _with_bars(block: Any, progress_bar: Callable[..., Any]) -> Any:
    """Return a copy of a block, and of those in it, that fills such bars."""
    own = copy.copy(block)
    own.sub_blocks = type(block.sub_blocks)(
        (name, _with_bars(one, progress_bar)) for name, one in block.sub_blocks.items()
    )
    own.progress_bar = progress_bar
    return own


@contextmanager
def shown_bars(own: Any) -> Iterator[None]:
    """Have loops that fill a bare tqdm fill a view's bars, as Wan-Animate's do.

    The name is replaced in the modules of the view's blocks; a worker runs one job at a time.
    """
    modules: set[Any] = {
        module
        for block in _all_blocks(getattr(own, "_blocks", None))
        if hasattr(module := sys.modules[type(block).__module__], "tqdm")
    }
    with ExitStack() as stack:
        for module in modules:
            stack.callback(setattr, module, "tqdm", module.tqdm)
            module.tqdm = own.progress_bar
        yield


def _all_blocks(block: Any) -> Iterator[Any]:
    if block is not None:
        yield block
        for one in block.sub_blocks.values():
            yield from _all_blocks(one)


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
