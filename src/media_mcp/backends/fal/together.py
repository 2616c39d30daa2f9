"""Does several things at once, as far as their number is bounded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import anyio

T = TypeVar("T")
R = TypeVar("R")


async def together(most: int, work: Callable[[T], Awaitable[R]], things: Sequence[T]) -> list[R]:
    """Do `work` for each of `things`, `most` at once; return what came of it, in their order.

    The first error stops the rest and is raised as it is, not in a group.
    """
    done: dict[int, R] = {}
    slots = anyio.Semaphore(most)

    async def one(index: int) -> None:
        async with slots:
            done[index] = await work(things[index])

    try:
        async with anyio.create_task_group() as group:
            for index in range(len(things)):
                group.start_soon(one, index)
    except BaseExceptionGroup as failed:
        raise next(_leaves(failed)) from None
    return [done[index] for index in range(len(things))]


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
