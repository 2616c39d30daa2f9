"""How a rehearsal goes: latencies, steps and failures on request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PosixPath
from threading import Event

import anyio
import pytest

from media_mcp.backends.base import Run
from media_mcp.backends.rehearsal import Rehearsal, create
from media_mcp.backends.rehearsal.failures import FAILURES
from media_mcp.catalog.model import Model
from media_mcp.errors import BackendFailed, BadSettings, MediaError, OutOfMemory, Refused
from media_mcp.settings import Settings

pytestmark = pytest.mark.anyio


async def test_at_zero_latency_there_are_no_steps(run_of: Callable[..., Run]) -> None:
    run = run_of(width=64, height=64)

    await Rehearsal().run(run)

    assert run.report.reports == []


async def test_a_latency_is_reported_in_ten_steps_unless_said(run_of: Callable[..., Run]) -> None:
    usual, chosen = run_of(width=64, height=64), run_of(spec={"steps": 3}, width=64, height=64)

    await Rehearsal(seconds=0.01).run(usual)
    await Rehearsal(seconds=0.01).run(chosen)

    assert usual.report.steps == [(n, 10) for n in range(1, 11)]
    assert chosen.report.steps == [(1, 3), (2, 3), (3, 3)]


async def test_the_quote_says_how_long_it_will_take(run_of: Callable[..., Run]) -> None:
    run, backend = run_of(spec={"seconds": 2.5}), Rehearsal(seconds=1.0)

    assert backend.quote(run.model, run.route, {}).seconds == 2.5
    assert backend.quote(run.model, run_of().route, {}).seconds == 1.0


@pytest.mark.parametrize("name", FAILURES)
async def test_each_failure_of_the_error_tree_can_be_rehearsed(
    run_of: Callable[..., Run], name: str
) -> None:
    run = run_of(spec={"failure": name, "steps": 4})

    with pytest.raises(MediaError) as caught:
        await Rehearsal().run(run)

    assert caught.value.message
    assert caught.value.hint
    assert run.report.steps == [(1, 4), (2, 4)]
    assert not list(run.folder.iterdir())


async def test_failures_are_retryable_or_not_as_named(run_of: Callable[..., Run]) -> None:
    told = {}
    for name in ("backend_failed", "retryable", "timeout", "worker_died", "out_of_memory"):
        with pytest.raises(BackendFailed) as caught:
            await Rehearsal(failure=name).run(run_of())
        told[name] = caught.value.retryable

    assert told == {
        "backend_failed": False,
        "retryable": True,
        "timeout": True,
        "worker_died": True,
        "out_of_memory": False,
    }


async def test_a_refused_content_is_no_fault_of_the_backend(run_of: Callable[..., Run]) -> None:
    with pytest.raises(Refused, match="content check"):
        await Rehearsal(failure="content_refused").run(run_of())


async def test_a_crash_is_an_exception_that_no_backend_should_raise(
    run_of: Callable[..., Run],
) -> None:
    with pytest.raises(RuntimeError, match="crashed"):
        await Rehearsal(failure="crash").run(run_of())


async def test_only_the_first_attempts_fail_when_so_said(run_of: Callable[..., Run]) -> None:
    spec = {"failure": "out_of_memory", "fail_attempts": 2}

    for attempt in (1, 2):
        with pytest.raises(OutOfMemory):
            await Rehearsal().run(run_of(spec=spec, attempt=attempt))
    assert (await Rehearsal().run(run_of(spec=spec, attempt=3, width=64, height=64))).outputs


async def test_the_route_wins_over_the_setting(run_of: Callable[..., Run]) -> None:
    backend = create(Settings(rehearse_failure="refused"))

    with pytest.raises(Refused):
        await backend.run(run_of())
    assert (await backend.run(run_of(spec={"failure": ""}, width=64, height=64))).outputs


async def test_another_backend_s_route_says_nothing_to_a_rehearsal(
    run_of: Callable[..., Run],
) -> None:
    run = run_of(spec={"failure": "refused", "steps": 9}, backend="fal", width=64, height=64)

    assert (await Rehearsal().run(run)).outputs
    assert run.report.reports == []


async def test_a_hang_lasts_until_it_is_cancelled(run_of: Callable[..., Run]) -> None:
    run = run_of(spec={"failure": "hang", "steps": 2})
    run.report.until = 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Rehearsal().run, run)
        await run.report.reached.wait()
        tasks.cancel_scope.cancel()

    assert not list(run.folder.iterdir())


class Watched(PosixPath):
    """A folder that tells when its first file is named, from whatever thread."""

    named: Event

    def __truediv__(self, name: str) -> Path:
        self.named.set()
        return Path(self).joinpath(name)


def film(run_of: Callable[..., Run], model: Model) -> tuple[Run, Event]:
    run = run_of(model, width=64, height=48, num_frames=100_000, generate_audio=True)
    folder = Watched(run.folder)
    folder.named = Event()
    return replace(run, make_folder=lambda: folder), folder.named


async def test_filming_stops_at_the_next_frame_when_cancelled(
    run_of: Callable[..., Run], model_of: Callable[..., Model]
) -> None:
    run, filming = film(run_of, model_of("video"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Rehearsal().run, run)
        await anyio.to_thread.run_sync(filming.wait)
        tasks.cancel_scope.cancel()

    run, filming = film(run_of, model_of("video"))
    task = asyncio.create_task(Rehearsal().run(run))
    await anyio.to_thread.run_sync(filming.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_unknown_failure_is_refused_with_the_known_ones(
    run_of: Callable[..., Run],
) -> None:
    with pytest.raises(BadSettings) as caught:
        create(Settings(rehearse_failure="out_of_memry"))
    assert caught.value.message == (
        "Setting rehearse_failure: 'out_of_memry' is no failure that can be rehearsed."
    )
    assert caught.value.hint == "Did you mean out_of_memory?"
    with pytest.raises(BadSettings, match=r"Card: failure: 'xyz' .*Known: backend_failed,"):
        await Rehearsal().run(run_of(spec={"failure": "xyz"}))
