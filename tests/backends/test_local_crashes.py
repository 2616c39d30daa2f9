"""A real worker that is killed, frozen or abandoned in the middle of a step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from media_mcp.backends.base import Run
from media_mcp.backends.local import Local
from media_mcp.backends.local.configuration import Configuration
from media_mcp.backends.local.environment import worker_environment
from media_mcp.backends.local.wire import to_wire
from media_mcp.errors import WorkerDied
from media_mcp.worker import protocol

LONG = {"prompt": "a blue square", "steps": 900, "size": 64}
SHORT = {"prompt": "a blue square", "steps": 2, "size": 64}


@pytest.fixture(scope="module")
async def local() -> AsyncIterator[Local]:
    backend = Local(Configuration(name="local", device=("cpu",), hang_seconds=4))
    yield backend
    await backend.aclose()


@pytest.fixture
def draw(run_of: Callable[..., Run], sketch: dict[str, Any]) -> Callable[..., Run]:
    return lambda arguments: run_of(spec=sketch, backend="local", **arguments)


async def strike(local: Local, run: Run, blow: signal.Signals) -> WorkerDied:
    """Send the worker a signal once the run is in mid-step; return what the run raised."""
    async with anyio.create_task_group() as tasks:

        async def hit() -> None:
            await run.report.reached.wait()
            (pid,) = local.worker_pids
            os.kill(pid, blow)

        tasks.start_soon(hit)
        with pytest.raises(WorkerDied) as caught:
            await local.run(run)
    return caught.value


@pytest.mark.anyio
async def test_a_killed_worker_is_a_retryable_failure_and_a_fresh_one_takes_the_next_run(
    local: Local, draw: Callable[..., Run]
) -> None:
    error = await strike(local, draw(LONG), signal.SIGKILL)

    assert error.retryable
    assert "was ended by SIGKILL" in error.message
    assert "out of memory" in error.hint
    assert local.warm() == frozenset()
    assert not local.worker_pids
    assert (await local.run(draw(SHORT))).outputs


@pytest.mark.anyio
async def test_a_worker_that_falls_silent_is_ended_and_a_fresh_one_takes_the_next_run(
    local: Local, draw: Callable[..., Run]
) -> None:
    await local.run(draw(SHORT))
    before = local.worker_pids

    error = await strike(local, draw(LONG), signal.SIGSTOP)

    assert error.retryable
    assert "silent for 4 s" in error.message
    assert (await local.run(draw(SHORT))).outputs
    assert local.worker_pids != before


def test_a_worker_leaves_in_mid_step_when_its_server_is_gone(draw: Callable[..., Run]) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", "media_mcp.worker", "--device", "cpu"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=worker_environment(os.environ),
    )
    with worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(protocol.encode(to_wire(draw(LONG))))
        worker.stdin.flush()
        for line in worker.stdout:
            if isinstance(protocol.from_worker(line), protocol.Progress):
                break

        worker.stdin.close()

        assert worker.wait(timeout=20) == 0


def test_the_server_s_side_never_imports_torch_or_numpy(tmp_path: Path) -> None:
    program = """
import sys, anyio
from media_mcp.backends.local import Local
assert anyio.run(Local().readiness).ready
print([name for name in ("torch", "numpy", "diffusers", "transformers") if name in sys.modules])
"""
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert said.stdout.strip() == "[]"
