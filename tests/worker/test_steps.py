"""Progress and cancellation through the bar that every pipeline fills."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from media_mcp.worker.pipelines.steps import Bar, counted, view
from media_mcp.worker.work import Cancelled


class Scheduler:
    def __init__(self) -> None:
        self.config = {"shift": 3}

    @classmethod
    def from_config(cls, config: dict[str, int]) -> Scheduler:
        return cls()


def test_a_bar_reports_each_step_and_takes_what_else_it_is_told() -> None:
    steps: list[tuple[int, int]] = []
    with Bar(3, lambda n, total: steps.append((n, total))) as bar:
        bar.update()
        bar.set_description("denoising", refresh=False)
        bar.update(2)

    assert steps == [(1, 3), (3, 3)]


def test_a_view_shares_everything_but_what_knows_the_step() -> None:
    pipe = SimpleNamespace(scheduler=Scheduler(), transformer=object(), guider=SimpleNamespace())

    own = view(pipe, lambda n, total: None)

    assert own.transformer is pipe.transformer
    assert own.scheduler is not pipe.scheduler
    assert own.guider is not pipe.guider
    assert not hasattr(pipe, "progress_bar")
    assert not hasattr(view(SimpleNamespace(), lambda n, total: None), "scheduler")


def test_a_bar_over_things_reports_each_once_it_is_done() -> None:
    seen: list[Any] = []
    own = view(SimpleNamespace(), lambda n, total: seen.append((n, total)))

    for thing in own.progress_bar(iter("ab")):
        seen.append(thing)
    with own.progress_bar(total=1) as bar:
        bar.update()

    assert seen == ["a", (1, 2), "b", (2, 2), (1, 1)]


def test_what_a_hook_raises_ends_the_loop_of_the_pipeline() -> None:
    def stop(done: int, total: int) -> None:
        raise Cancelled

    own = view(SimpleNamespace(), stop)
    with pytest.raises(Cancelled):
        list(own.progress_bar(range(9)))


def test_steps_grow_over_several_pictures_and_a_second_bar_never_goes_back() -> None:
    steps: list[tuple[int, int]] = []
    for index in range(2):
        hook = counted(lambda n, total: steps.append((n, total)), index, 2)
        for done in (1, 2, 3, 1):
            hook(done, 3)

    assert steps == [(1, 6), (2, 6), (3, 6), (3, 6), (4, 6), (5, 6), (6, 6), (6, 6)]
