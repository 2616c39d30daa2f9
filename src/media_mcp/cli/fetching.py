"""Shows how a download gets on: a bar for each repository on a terminal, else nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from media_mcp.backends.local.pulling import Fetching

Hear = Callable[[Fetching], object]


@contextmanager
def showing() -> Iterator[Hear]:
    """Yield what shows the bytes, on standard error."""
    if not sys.stderr.isatty():
        yield lambda told: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def hear(told: Fetching) -> None:
            words = f"{told.repo}{', comparing' if told.checking else ''}"
            if words not in tasks:
                tasks[words] = bars.add_task(words, total=told.total)
            bars.update(tasks[words], completed=told.done, total=told.total)

        yield hear
