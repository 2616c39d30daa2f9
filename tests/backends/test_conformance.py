"""What every backend must do, whatever it runs on."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image

from media_mcp.backends.base import Backend, Run
from media_mcp.backends.fal import Fal
from media_mcp.backends.fal.configuration import configuration
from media_mcp.backends.instances import Instance
from media_mcp.backends.local import Local
from media_mcp.backends.local.configuration import Configuration
from media_mcp.backends.rehearsal import Rehearsal
from media_mcp.catalog.model import Model, Param
from media_mcp.errors import BackendFailed, MediaError

pytestmark = pytest.mark.anyio


# What the far server runs, for the backend that sends jobs there.
CARDS = """
task: text-to-image
licence: MIT
description: For tests.
inputs:
  prompt: {type: string, required: true, description: What to draw.}
  seed: {type: integer, minimum: 0, maximum: 2147483647, description: The seed.}
  width: {type: integer, default: 64, description: Pixels.}
  height: {type: integer, default: 64, description: Pixels.}
  num_images: {type: integer, minimum: 1, maximum: 8, default: 1, description: How many.}
outputs:
  output: {kind: image, mime_type: image/png, shape: files}
variants:
  - {id: far/quick, title: Quick, routes: [{backend: rehearsal, spec: {seconds: 0.4, steps: 4}}]}
  - {id: far/slow, title: Slow, routes: [{backend: rehearsal, spec: {seconds: 60, steps: 600}}]}
  - {id: far/fails, title: Fails, routes: [{backend: rehearsal, spec: {failure: out_of_memory}}]}
"""
LISTENS = re.compile(r"listens on (http://\S+?)/mcp")


@dataclass
class Stage:
    """A backend and calls that make it draw quickly, draw slowly, and fail.

    `cost` is what a run is known to cost; `timed` says that it knows how long its runs took.
    """

    backend: Backend
    quick: dict[str, Any]
    slow: dict[str, Any]
    failing: dict[str, Any]
    arguments: dict[str, Any] = field(default_factory=dict)
    slow_arguments: dict[str, Any] = field(default_factory=dict)
    model: Model | None = None
    cost: float | None = 0.0
    timed: bool = True


def rehearsal_stage() -> Stage:
    return Stage(
        Rehearsal(),
        quick={"steps": 4},
        slow={"seconds": 60, "steps": 600},
        failing={"failure": "out_of_memory"},
        arguments={"prompt": "a red circle", "width": 64, "height": 64},
        slow_arguments={"prompt": "a red circle", "width": 64, "height": 64},
    )


def local_stage(sketch: dict[str, Any]) -> Stage:
    usual = {"prompt": "a red circle on a blue background", "guidance": 3.0, "size": 128}
    return Stage(
        Local(Configuration(name="local", device=("cpu",))),
        quick=sketch,
        slow=sketch,
        failing=sketch | {"weights": "embedded:nothing"},
        arguments=usual | {"steps": 3},
        slow_arguments=usual | {"steps": 900},
    )


@contextmanager
def far_server(folder: Path) -> Iterator[str]:
    """Run another media-mcp; yields its address."""
    (folder / "cards").mkdir()
    (folder / "cards" / "far.yaml").write_text(CARDS)
    settings = {
        "MEDIA_MCP_DATA_DIR": str(folder),
        "MEDIA_MCP_CATALOG_DIRS": json.dumps([str(folder / "cards")]),
    }
    code = "from media_mcp.cli import main; main(['serve', '--http', '0'])"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, env=os.environ | settings, stderr=subprocess.PIPE, text=True, cwd=folder
    ) as server:
        assert server.stderr is not None
        told = (LISTENS.search(line) for line in server.stderr)
        yield next(found for found in told if found)[1]
        server.terminate()
        try:
            server.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            raise


def fal_stage(url: str, folder: Path, model: Model) -> Stage:
    lines = {"url": url, "poll_first_seconds": 0.02, "polls_per_second": 200}
    usual = {"prompt": "a red circle", "width": 64, "height": 64}
    return Stage(
        Fal(configuration(Instance("fal", lines)), None, folder / "fal"),
        quick={"endpoint": "far/quick"},
        slow={"endpoint": "far/slow"},
        failing={"endpoint": "far/fails"},
        arguments=usual,
        slow_arguments=usual,
        model=replace(model, inputs=(Param("seed", "integer"),)),
        cost=None,
        timed=False,
    )


@pytest.fixture(scope="module", params=["rehearsal", "local", "fal"])
async def stage(
    request: pytest.FixtureRequest,
    sketch: dict[str, Any],
    model_of: Callable[..., Model],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stage]:
    with ExitStack() as stack:
        if request.param == "fal":
            folder = tmp_path_factory.mktemp("far")
            made = fal_stage(stack.enter_context(far_server(folder)), folder, model_of())
        else:
            made = rehearsal_stage() if request.param == "rehearsal" else local_stage(sketch)
        yield made
        await made.backend.aclose()
        await made.backend.aclose()


@pytest.fixture
def call(stage: Stage, run_of: Callable[..., Run]) -> Callable[..., Run]:
    """Make a quick run on the stage's backend."""

    def make(**changes: Any) -> Run:
        spec = changes.pop("spec", stage.quick)
        given = stage.arguments | changes
        return run_of(stage.model, spec, backend=stage.backend.name, **given)

    return make


async def test_it_is_ready_and_says_its_name(stage: Stage) -> None:
    assert (await stage.backend.readiness()).ready
    assert stage.backend.name in ("rehearsal", "local", "fal")
    assert stage.backend.concurrency >= 1
    assert stage.backend.remote in (True, False)


async def test_a_run_leaves_files_of_the_declared_kind_in_its_folder(
    stage: Stage, call: Callable[..., Run]
) -> None:
    run = call()

    result = await stage.backend.run(run)

    assert [output.role for output in result.outputs] == ["output"]
    for output in result.outputs:
        assert output.path.parent == run.folder
        assert output.mime_type == "image/png"
        with Image.open(output.path) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert len(picture.getcolors(2**24) or []) > 1
    assert result.facts["seed"] == run.seed
    assert result.cost == stage.cost


async def test_as_many_pictures_come_as_were_asked_for(
    stage: Stage, call: Callable[..., Run]
) -> None:
    result = await stage.backend.run(call(num_images=3))

    pictures = [output.path.read_bytes() for output in result.outputs]
    assert len(set(pictures)) == 3


async def test_progress_grows_and_ends_at_its_total(stage: Stage, call: Callable[..., Run]) -> None:
    run = call()

    await stage.backend.run(run)

    steps = run.report.steps
    assert steps == sorted(set(steps))
    assert steps[-1][0] == steps[-1][1]


async def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    stage: Stage, call: Callable[..., Run]
) -> None:
    results = [await stage.backend.run(call(seed=seed)) for seed in (7, 7, 8)]

    first, second, other = (result.outputs[0].path.read_bytes() for result in results)
    assert first == second
    assert first != other


async def stopped(backend: Backend, run: Run) -> None:
    """Run until that is cancelled; a place elsewhere may tell what became of its request then."""
    try:
        await backend.run(run)
    except BackendFailed as error:
        assert backend.remote and "cancelled" in error.message
        raise asyncio.CancelledError from None


async def cancel_by_scope(backend: Backend, run: Run) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stopped, backend, run)
        await run.report.reached.wait()
        tasks.cancel_scope.cancel()


async def cancel_by_task(backend: Backend, run: Run) -> None:
    task = asyncio.create_task(stopped(backend, run))
    await run.report.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("cancel", [cancel_by_scope, cancel_by_task])
async def test_a_cancelled_run_stops_within_a_step_and_the_next_run_works(
    stage: Stage, call: Callable[..., Run], cancel: Callable[..., Any]
) -> None:
    await stage.backend.run(call())
    warm = stage.backend.warm()
    run = call(spec=stage.slow, **stage.slow_arguments)

    await cancel(stage.backend, run)

    said = len(run.report.steps)
    assert said < (run.report.steps[-1][1] or 0)
    assert not list(run.folder.iterdir())
    assert (await stage.backend.run(call())).outputs
    assert len(run.report.steps) == said
    assert stage.backend.warm() == warm


async def test_failures_are_errors_that_say_what_to_do(
    stage: Stage, call: Callable[..., Run]
) -> None:
    with pytest.raises(MediaError) as caught:
        await stage.backend.run(call(spec=stage.failing))

    assert caught.value.message
    assert caught.value.hint


async def test_a_quote_says_what_is_known_and_after_a_run_the_time(
    stage: Stage, call: Callable[..., Run], model_of: Callable[..., Model]
) -> None:
    run = call()
    await stage.backend.run(run)

    quote = stage.backend.quote(run.model, run.route, run.arguments)

    assert (quote.low, quote.high, quote.ready) == (stage.cost, stage.cost, True)
    assert (quote.seconds is not None) is stage.timed
    assert quote.backend == stage.backend.name


async def test_what_a_model_has_loaded_is_told(stage: Stage, call: Callable[..., Run]) -> None:
    run = call()
    await stage.backend.run(run)

    assert stage.backend.warm() <= {run.model.id}
