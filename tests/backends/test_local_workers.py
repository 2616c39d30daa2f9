"""The local backend against workers that misbehave: programs that stand in a worker's place."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from media_mcp import trail
from media_mcp.backends.base import Report, Run
from media_mcp.backends.instances import Instance
from media_mcp.backends.local import Local, create
from media_mcp.backends.local.configuration import Configuration
from media_mcp.errors import (
    BackendFailed,
    BadOutput,
    BadSettings,
    MissingExtra,
    NotConfigured,
    OutOfMemory,
    StorageFailed,
    WorkerDied,
)
from media_mcp.settings import Settings
from media_mcp.tables import ProjectRules

pytestmark = pytest.mark.anyio

START = """
import json, os, time
def say(type, **fields):
    print(json.dumps({"type": type, **fields}), flush=True)
def job():
    return json.loads(input())
def hello(protocol=3):
    say("hello", protocol=protocol, pid=os.getpid(), python="3", packages={}, device="cpu",
        device_memory=1)
"""
HELLO = START + "hello()\n"
ECHO = (
    HELLO
    + """
while True:
    told = job()
    if told["type"] == "shutdown":
        break
    if told["type"] == "cancel":
        continue
    with open(os.path.join(told["folder"], "a.png"), "w") as file:
        file.write("a picture")
    say("log", job_id="another", message="not for this job")
    say("beat", rss=1, resident=[told["model"]])
    say("done", job_id=told["job_id"], facts={"load_seconds": 0.0},
        outputs=[{"path": "a.png", "role": "output", "mime_type": "image/png"}])
"""
)


@asynccontextmanager
async def local_with(python: str, **changes: Any) -> AsyncIterator[Local]:
    own = {name: changes.pop(name) for name in ("cancel_seconds",) if name in changes}
    told = {"device": ("cpu",), "worker_python": python} | changes
    backend = Local(Configuration(name="local", **told), **own)
    try:
        yield backend
    finally:
        await backend.aclose()


async def test_a_worker_serves_many_runs_and_is_told_goodbye(
    scripted: Callable[..., str], run_of: Callable[..., Run]
) -> None:
    async with local_with(scripted(ECHO)) as local:
        first = run_of()
        assert (await local.run(first)).outputs[0].path == first.folder / "a.png"
        pids = local.worker_pids
        assert (await local.run(run_of())).outputs
        assert local.worker_pids == pids
        assert local.warm() == {first.model.id}
    assert not local.worker_pids
    assert local.warm() == frozenset()


async def test_runs_take_turns(scripted: Callable[..., str], run_of: Callable[..., Run]) -> None:
    async with local_with(scripted(ECHO)) as local, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(local.run, run_of())


async def test_lines_that_are_no_messages_are_passed_over(
    scripted: Callable[..., str], run_of: Callable[..., Run]
) -> None:
    noise = 'print("a stray print"); print("[1]"); print("x" * 3_000_000); print(\'{"type": 3}\')\n'
    async with local_with(scripted(noise + ECHO)) as local:
        assert (await local.run(run_of())).outputs


async def test_a_worker_of_another_version_is_refused_with_the_remedy(
    scripted: Callable[..., str], run_of: Callable[..., Run]
) -> None:
    body = START + "hello(99)\ntime.sleep(100)\n"
    async with local_with(scripted(body)) as local:
        with pytest.raises(WorkerDied, match="speaks protocol 99, this server 3") as caught:
            await local.run(run_of())
    assert not caught.value.retryable
    assert "same media-mcp" in caught.value.hint


async def test_a_worker_that_cannot_find_its_device_says_so(
    scripted: Callable[..., str], run_of: Callable[..., Run]
) -> None:
    body = START + (
        'say("beat", rss=1, resident=[])\n'
        'say("failed", job_id="", code="bad_settings", message="No cuda.", hint="Use cpu.")\n'
    )
    async with local_with(scripted(body)) as local:
        with pytest.raises(BadSettings, match=r"No cuda\. Use cpu\."):
            await local.run(run_of())


async def test_a_worker_s_last_words_are_passed_on(
    scripted: Callable[..., str], run_of: Callable[..., Run]
) -> None:
    body = HELLO + 'job(); print("the driver is gone", file=sys.stderr); sys.exit(3)'
    async with local_with(scripted(body)) as local:
        with pytest.raises(WorkerDied) as caught:
            await local.run(run_of())
    assert caught.value.message == (
        "The worker left with exit code 3. It last said: the driver is gone"
    )


async def test_the_order_names_the_call_and_so_do_the_worker_s_lines(
    scripted: Callable[..., str], run_of: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "media_mcp.worker")
    told = 'print("asked by", job()["request"], file=sys.stderr); sys.exit(3)'
    run = run_of()
    async with local_with(scripted(HELLO + told)) as local:
        with trail.on(trail.Trail("build-7/42")), pytest.raises(WorkerDied):
            await local.run(run)
    line = f"job={run.job_id} request=build-7/42 asked by build-7/42"
    assert line in [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (40, "signal 40")])
async def test_a_worker_s_signal_is_named(
    scripted: Callable[..., str], run_of: Callable[..., Run], number: int, name: str
) -> None:
    async with local_with(scripted(HELLO + f"job(); os.kill(os.getpid(), {int(number)})")) as local:
        with pytest.raises(WorkerDied, match=f"was ended by {name}"):
            await local.run(run_of())


async def test_children_of_a_dead_worker_do_not_keep_its_pipes_open(
    scripted: Callable[..., str], run_of: Callable[..., Run]
) -> None:
    body = HELLO + "job()\nif os.fork(): os._exit(5)\ntime.sleep(100)"
    async with local_with(scripted(body)) as local:
        with pytest.raises(WorkerDied, match="exit code 5"):
            await local.run(run_of())


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "absent.png", "."])
async def test_outputs_outside_the_job_s_folder_are_refused(
    scripted: Callable[..., str], run_of: Callable[..., Run], path: str, tmp_path: Path
) -> None:
    (tmp_path / "secret.png").write_text("not yours")
    body = ECHO.replace('"path": "a.png"', f'"path": {path!r}')
    async with local_with(scripted(body)) as local:
        with pytest.raises(BadOutput, match="no file in the job's folder"):
            await local.run(run_of())


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("out_of_memory", OutOfMemory),
        ("missing_extra", MissingExtra),
        ("not_configured", NotConfigured),
        ("unheard_of", BackendFailed),
        ("backend_failed", BackendFailed),
    ],
)
async def test_a_worker_s_failure_becomes_the_error_of_its_code(
    scripted: Callable[..., str], run_of: Callable[..., Run], code: str, kind: type
) -> None:
    body = HELLO + (
        f'say("failed", job_id=job()["job_id"], code={code!r}, message="It failed.",'
        ' hint="Do this.", retryable=True)\ninput()'
    )
    async with local_with(scripted(body)) as local:
        with pytest.raises(kind, match=r"^It failed\. Do this\.$") as caught:
            await local.run(run_of())
    if isinstance(caught.value, BackendFailed):
        assert caught.value.retryable


@pytest.mark.parametrize(("given_up", "seconds"), [(True, 0.2), (False, 3000)])
async def test_a_step_that_does_not_end_after_a_cancellation_ends_the_worker(
    scripted: Callable[..., str], run_of: Callable[..., Run], given_up: bool, seconds: float
) -> None:
    """Whoever wants the job no more may wait a while; a server that leaves has no time for it."""
    body = (
        HELLO
        + """
told = job()
say("progress", job_id=told["job_id"], step=1, total=9)
say("progress", job_id=told["job_id"], step=2, total=9)
time.sleep(100)
"""
    )
    async with local_with(scripted(body), cancel_seconds=seconds) as local:
        run = replace(run_of(), given_up=lambda: given_up)
        task = asyncio.create_task(local.run(run))
        await run.report.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not local.worker_pids


async def test_a_report_that_cannot_be_kept_stops_the_job(
    scripted: Callable[..., str], run_of: Callable[..., Run]
) -> None:
    async def full(report: Report) -> None:
        if report.kind == "progress":
            raise StorageFailed("The disk is full.", "Free some space.")

    body = (
        HELLO
        + """
while True:
    told = job()
    if told["type"] == "run":
        say("progress", job_id=told["job_id"], step=1, total=9)
    if told["type"] == "cancel":
        say("failed", job_id=told["job_id"], code="cancelled", message="Cancelled.")
    if told["type"] == "shutdown":
        break
"""
    )
    async with local_with(scripted(body)) as local:
        with pytest.raises(StorageFailed):
            await local.run(run_of(report=full))
        assert local.worker_pids


async def test_a_start_that_is_cancelled_leaves_no_process(
    scripted: Callable[..., str], run_of: Callable[..., Run], tmp_path: Path
) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    body = "import os, time\nwith open({!r}, 'w') as file: file.write(str(os.getpid()))\n"
    python = scripted(body.format(str(started)) + "time.sleep(100)")
    async with local_with(python) as local:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(local.run, run_of())
            pid = int(await anyio.Path(started).read_text())
            tasks.cancel_scope.cancel()
        assert not local.worker_pids
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_worker_that_will_not_leave_is_ended(
    scripted: Callable[..., str], run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_mcp.backends.local.process.GOODBYE_SECONDS", 0.1)
    stubborn = ECHO.replace('if told["type"] == "shutdown":\n        break', "pass")
    async with local_with(scripted(stubborn)) as local:
        await local.run(run_of())
    assert not local.worker_pids


async def test_an_idle_worker_is_let_go_and_a_new_one_comes_when_needed(
    scripted: Callable[..., str], run_of: Callable[..., Run], tmp_path: Path
) -> None:
    left = tmp_path / "left"
    os.mkfifo(left)
    body = ECHO + f"open({str(left)!r}, 'w').write('bye')"
    async with local_with(scripted(body), idle_seconds=0.05) as local:
        await local.run(run_of())
        assert await anyio.Path(left).read_text() == "bye"
        assert (await local.run(run_of())).outputs
        assert await anyio.Path(left).read_text() == "bye"


async def test_a_call_too_large_for_a_line_is_refused_and_the_worker_lives(
    scripted: Callable[..., str], run_of: Callable[..., Run]
) -> None:
    async with local_with(scripted(ECHO)) as local:
        with pytest.raises(BackendFailed, match=r"cannot be sent to the worker: A run has \d+"):
            await local.run(run_of(prompt="x" * 2**20))
        assert (await local.run(run_of())).outputs


async def test_another_python_that_lacks_packages_is_named_with_the_command(
    scripted: Callable[..., str], run_of: Callable[..., Run], sketch: dict[str, Any]
) -> None:
    python = scripted("", lacks='["torch", "diffusers"]')
    async with local_with(python) as local:
        assert local.quote(run_of().model, run_of(spec=sketch).route, {}).ready
        told = await local.readiness()
        assert told.reason == f"{python} lacks torch, diffusers."
        assert told.fix == f'Run: {python} -m pip install "media-mcp[local]"'
        with pytest.raises(MissingExtra, match="lacks torch, diffusers"):
            await local.run(run_of())
        quote = local.quote(run_of().model, run_of().route, {})
        assert not quote.ready
        assert "pip install" in quote.reason


async def test_a_worker_python_that_is_not_there_is_named_with_the_setting(
    run_of: Callable[..., Run], tmp_path: Path
) -> None:
    async with local_with(str(tmp_path / "nowhere")) as local:
        told = await local.readiness()
        assert "cannot be started: No such file or directory" in told.reason
        assert "worker_python" in told.fix
        with pytest.raises(NotConfigured, match="cannot be started"):
            await local.run(run_of())


async def test_a_worker_python_that_is_no_python_is_named_with_the_setting() -> None:
    async with local_with("/bin/true") as local:
        told = await local.readiness()
        assert told.reason == "worker_python '/bin/true' does not answer as Python does."


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "None"),
        ({"offline": True}, "1"),
        ({"projects": {"films": ProjectRules(offline=True)}}, "1"),
    ],
    ids=["online", "offline", "one project offline"],
)
async def test_offline_the_worker_looks_for_nothing_on_the_hub(
    scripted: Callable[..., str],
    run_of: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    told: str,
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    body = HELLO + "job(); print(os.environ.get('HF_HUB_OFFLINE'), file=sys.stderr); sys.exit(3)"
    local = create(
        Settings(worker_python=scripted(body), device="cpu", **settings), Instance("local")
    )
    try:
        with pytest.raises(WorkerDied, match=f"It last said: {told}"):
            await local.run(run_of())
    finally:
        await local.aclose()


async def test_the_settings_make_the_backend() -> None:
    local = create(Settings(worker_python="/nowhere/python"), Instance("local"))
    assert not (await local.readiness()).ready
