"""Several workers of one place: who does which job, and what a death among them costs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from media_mcp.backends.base import Run, Together
from media_mcp.backends.local import Local
from media_mcp.backends.local.configuration import Configuration
from media_mcp.backends.local.devices import every_device
from media_mcp.catalog.model import Model
from media_mcp.errors import WorkerDied

pytestmark = pytest.mark.anyio

# Says which process did a job, keeps the last two models, and waits in a job until its gate opens.
PROGRAM = """
import json, os, sys
def say(type, **fields):
    print(json.dumps({"type": type, **fields}), flush=True)
say("hello", protocol=3, pid=os.getpid(), python="3", packages={}, device="cpu", device_memory=1)
held = []
for line in sys.stdin:
    told = json.loads(line)
    if told["type"] == "shutdown":
        break
    if told["type"] == "cancel":
        continue
    for run in told["runs"] if told["type"] == "batch" else [told]:
        say("progress", job_id=run["job_id"], step=1, total=2)
        if gate := run["arguments"].get("gate"):
            open(gate).close()
        held = [m for m in held if m != run["model"]][-1:] + [run["model"]]
        with open(os.path.join(run["folder"], "a.png"), "w") as file:
            file.write("x")
        say("beat", rss=1, resident=held)
        say("done", job_id=run["job_id"], facts={"pid": os.getpid(), "as": told["type"]},
            outputs=[{"path": "a.png", "role": "output", "mime_type": "image/png"}])
"""


@pytest.fixture
async def local(scripted: Callable[..., str]) -> AsyncIterator[Local]:
    python = scripted(PROGRAM)
    made = Local(Configuration(name="local", device=("cpu", "cpu"), worker_python=python))
    yield made
    await made.aclose()


@pytest.fixture
def gate(tmp_path: Path) -> str:
    """A pipe at which a job waits until somebody opens the other end."""
    os.mkfifo(tmp_path / "gate")
    return str(tmp_path / "gate")


async def pid_of(local: Local, run: Run) -> int:
    return int((await local.run(run)).facts["pid"])


class Held:
    """A job that waits at its gate in a worker."""

    def __init__(self, local: Local, run: Run, gate: str) -> None:
        run.report.until = 1
        self.gate = gate
        self.run = run
        self.task = asyncio.create_task(pid_of(local, run))

    async def reached(self) -> Held:
        await self.run.report.reached.wait()
        return self

    async def end(self) -> int:
        await anyio.Path(self.gate).write_text("")
        return await self.task


async def test_two_workers_take_two_jobs_at_once(
    local: Local, run_of: Callable[..., Run], gate: str
) -> None:
    held = await Held(local, run_of(gate=gate), gate).reached()
    other = await pid_of(local, run_of())
    assert other != await held.end()
    assert len(local.worker_pids) == 2


async def test_a_job_goes_where_its_model_is_loaded(
    local: Local, run_of: Callable[..., Run], gate: str, model_of: Callable[..., Model]
) -> None:
    a, b = (model_of(id=f"tests/{name}") for name in "ab")
    held = await Held(local, run_of(a, gate=gate), gate).reached()
    has_b = await pid_of(local, run_of(b))
    assert local.busy() == {"tests/a"}
    assert local.warm() == {"tests/b"}
    has_a = await held.end()
    assert [await pid_of(local, run_of(m)) for m in (a, b, b, a)] == [has_a, has_b, has_b, has_a]
    assert local.busy() == frozenset()


async def test_a_new_model_goes_to_the_emptier_worker(
    local: Local, run_of: Callable[..., Run], model_of: Callable[..., Model]
) -> None:
    models = [model_of(id=f"tests/{name}") for name in "abcd"]
    pids = [await pid_of(local, run_of(model)) for model in models]
    assert pids[0] == pids[2] != pids[1] == pids[3]


async def test_a_seat_that_becomes_free_goes_to_whoever_s_model_is_there(
    local: Local, run_of: Callable[..., Run], model_of: Callable[..., Model], tmp_path: Path
) -> None:
    gates = [str(tmp_path / f"gate{n}") for n in range(2)]
    for path in gates:
        os.mkfifo(path)
    a, b = (model_of(id=f"tests/{name}") for name in "ab")
    held = [
        await Held(local, run_of(model, gate=path), path).reached()
        for model, path in zip((a, b), gates, strict=True)
    ]
    waiting = [asyncio.create_task(pid_of(local, run_of(model))) for model in (a, b)]
    has_b = await held[1].end()
    assert await waiting[1] == has_b
    has_a = await held[0].end()
    assert await waiting[0] in (has_a, has_b)


async def test_a_worker_s_death_costs_its_own_job_and_no_other(
    local: Local, run_of: Callable[..., Run], gate: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "other")
    held = await Held(local, run_of(gate=gate), gate).reached()
    (before,) = local.worker_pids
    other = await Held(local, run_of(gate=str(tmp_path / "other")), "").reached()
    (victim,) = {*local.worker_pids} - {before}
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(WorkerDied, match="was ended by SIGKILL"):
        await other.task
    assert await held.end() == before
    assert local.worker_pids == (before,)


async def test_a_batch_goes_to_one_worker_as_one_message(
    local: Local, run_of: Callable[..., Run]
) -> None:
    runs = together(run_of(), run_of(), run_of())
    results = await asyncio.gather(*(local.run(run) for run in runs))
    assert {result.facts["as"] for result in results} == {"batch"}
    assert len(local.worker_pids) == 1
    assert all(
        result.outputs[0].path.parent == run.folder
        for result, run in zip(results, runs, strict=True)
    )


async def test_a_batch_too_long_for_one_message_goes_in_several(
    local: Local, run_of: Callable[..., Run]
) -> None:
    runs = together(*(run_of(prompt="x" * 300_000) for _ in range(2)))
    results = await asyncio.gather(*(local.run(run) for run in runs))
    assert {result.facts["as"] for result in results} == {"run"}


async def test_who_never_comes_does_not_keep_the_batch_waiting(
    local: Local, run_of: Callable[..., Run]
) -> None:
    came, never = together(run_of(), run_of())
    task = asyncio.create_task(local.run(came))
    never.together.decide(never.job_id)
    assert (await task).facts["as"] == "run"


async def test_one_that_is_cancelled_leaves_its_batch_and_the_worker_alone(
    local: Local, run_of: Callable[..., Run], gate: str
) -> None:
    held, stays = together(run_of(gate=gate), run_of())
    held.report.until = 1
    tasks = [asyncio.create_task(local.run(run)) for run in (held, stays)]
    await held.report.reached.wait()
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    await anyio.Path(gate).write_text("")
    assert (await tasks[1]).outputs
    assert (await local.run(run_of())).facts["pid"] == local.worker_pids[0]


async def test_a_batch_whose_worker_cannot_start_fails_for_all(
    run_of: Callable[..., Run], tmp_path: Path
) -> None:
    local = Local(Configuration(name="local", worker_python=str(tmp_path / "nowhere")))
    runs = together(run_of(), run_of())
    ended = await asyncio.gather(*(local.run(run) for run in runs), return_exceptions=True)
    assert ["cannot be started" in str(error) for error in ended] == [True, True]
    await local.aclose()


def together(*runs: Run) -> list[Run]:
    """Make runs a batch."""
    made = Together(run.job_id for run in runs)
    return [replace(run, together=made) for run in runs]


@pytest.mark.parametrize(
    ("environment", "files", "found"),
    [
        ({}, (), ("auto",)),
        ({}, ("dev/nvidia0", "dev/nvidia1", "dev/nvidiactl"), ("cuda:0", "cuda:1")),
        ({"CUDA_VISIBLE_DEVICES": "3"}, ("dev/nvidia0", "dev/nvidia1"), ("cuda:0",)),
        ({"CUDA_VISIBLE_DEVICES": ""}, ("dev/nvidia0",), ("auto",)),
        ({"HIP_VISIBLE_DEVICES": "0,1,-1,2"}, (), ("cuda:0", "cuda:1")),
    ],
)
def test_every_gpu_that_the_system_shows_is_found(
    environment: dict[str, str], files: tuple[str, ...], found: tuple[str, ...], tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert every_device(environment, tmp_path) == found


def test_amd_gpus_are_told_from_their_processors(tmp_path: Path) -> None:
    for number, cores in enumerate((0, 304, 304)):
        node = tmp_path / "sys/class/kfd/kfd/topology/nodes" / str(number)
        node.mkdir(parents=True)
        (node / "properties").write_text(f"cpu_cores_count 8\nsimd_count {cores}\n")
    assert every_device({}, tmp_path) == ("cuda:0", "cuda:1")
