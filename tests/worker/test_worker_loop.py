"""The worker's life, with pipelines that wait for the test instead of computing."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from media_mcp.errors import BackendFailed, NotConfigured
from media_mcp.worker import protocol
from media_mcp.worker.loop import Worker
from media_mcp.worker.protocol import Beat, Cancel, Done, Failed, Hello, Lines, Log, Made, Progress
from media_mcp.worker.residency import Plan
from media_mcp.worker.work import Pipeline, Product, Work

GATES: dict[str, threading.Event] = {}


class Server:
    """The other end of a worker's pipes."""

    def __init__(self, commands: int, events: int) -> None:
        self.commands = commands
        self.left = threading.Event()
        self._messages = self._read(events)

    def _read(self, events: int) -> Iterator[Any]:
        lines = Lines()
        while data := os.read(events, 65_536):
            for line in lines.feed(data):
                yield protocol.from_worker(line)

    def send(self, *messages: Any) -> None:
        for message in messages:
            os.write(self.commands, protocol.encode(message))

    def until(self, kind: type) -> list[Any]:
        """Read up to the first message of this kind, which is the last of the list."""
        found = []
        for message in self._messages:
            found.append(message)
            if isinstance(message, kind):
                return found
        raise AssertionError(f"the worker said no {kind.__name__}")


def run(job_id: str = "a", pipeline: str = "steps", **arguments: Any) -> protocol.Run:
    return protocol.Run(job_id, 1, "tests/model", pipeline, {}, arguments, {}, 7, "/nowhere", ())


def gate_of(job_id: str) -> threading.Event:
    """Return what the job waits at in mid-step; job ids are not used twice."""
    return GATES.setdefault(job_id, threading.Event())


def steps(work: Work) -> Product:
    """Takes four steps; after the second it waits until it may go on, or was cancelled."""
    gate = gate_of(work.run.job_id)
    for n in range(1, 5):
        if n == 3:
            gate.wait()
        work.step(n, 4)
    return Product((Made("a.png", work.role, "image/png"),), {"seed": work.run.seed})


def endless(work: Work) -> Product:
    """Takes steps until it is cancelled."""
    for n in itertools.count(1):
        work.step(n, 10**9)
    raise AssertionError


def fail(work: Work) -> Product:
    raise {
        "ours": NotConfigured("There are no weights.", "Fetch them."),
        "retryable": BackendFailed("The driver hiccuped.", "Again.", retryable=True),
        "surprise": KeyError("x" * 5000 + "\nsecond line"),
        "silent": ValueError(),
    }[work.run.arguments["how"]]


def nonsense(work: Work) -> Product:
    return Product((), {"nan": float("nan")})


def load(work: Work) -> Product:
    with work.residency.hold("weights", lambda: Plan(10, str), model=work.run.model):
        work.log(f"Loaded into {work.folder}.")
    return Product((), {})


PIPELINES: dict[str, Pipeline] = {
    "steps": steps,
    "endless": endless,
    "fail": fail,
    "nonsense": nonsense,
    "load": load,
}


@contextmanager
def serving(device: str = "cpu", *, beat_seconds: float = 1000.0) -> Iterator[Server]:
    commands, server_commands = os.pipe()
    server_events, events = os.pipe()
    server = Server(server_commands, server_events)
    worker = Worker(
        commands,
        events,
        PIPELINES.__getitem__,
        beat_seconds=beat_seconds,
        leave=lambda code: server.left.set(),
    )
    thread = threading.Thread(target=worker.serve, args=(device,))
    thread.start()
    try:
        yield server
    finally:
        server.send(protocol.Shutdown())
        for gate in GATES.values():
            gate.set()
        thread.join(20)
        os.close(server_commands)
        assert server.left.wait(20)
        for end in (commands, events, server_events):
            os.close(end)
        assert not thread.is_alive()


def test_it_says_hello_with_its_versions_and_its_device() -> None:
    with serving() as server:
        hello = server.until(Hello)[-1]

    assert (hello.protocol, hello.device) == (protocol.VERSION, "cpu")
    assert hello.device_memory > 2**20
    assert "torch" in hello.packages
    assert hello.pid == os.getpid()


def test_a_package_that_is_not_here_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_mcp.worker.loop.PACKAGES", ("pytest", "no-such-package"))
    with serving() as server:
        assert list(server.until(Hello)[-1].packages) == ["pytest"]


def test_it_reports_each_step_and_the_result() -> None:
    gate_of("a").set()
    with serving() as server:
        server.send(run())
        said = server.until(Done)

    assert [m for m in said if isinstance(m, Progress)] == [
        Progress("a", n, 4) for n in range(1, 5)
    ]
    assert said[-1] == Done("a", (Made("a.png", "output", "image/png"),), {"seed": 7})


def test_a_cancellation_arrives_in_mid_step() -> None:
    gate_of("b").set()
    with serving() as server:
        server.send(run("endless", "endless"), run("b"))
        server.until(Progress)
        server.send(Cancel("endless"))
        failed = server.until(Failed)[-1]
        assert server.until(Done)[-1].job_id == "b"

    assert (failed.job_id, failed.code) == ("endless", "cancelled")


def test_a_job_cancelled_before_its_turn_never_starts() -> None:
    with serving() as server:
        server.send(run("first", "endless"), run("next", "endless"), Cancel("nobody"))
        server.send(Cancel("next"), Cancel("first"))
        assert server.until(Failed)[-1].job_id == "first"
        said = server.until(Failed)

    assert (said[-1].job_id, said[-1].code) == ("next", "cancelled")
    assert not [m for m in said if isinstance(m, Progress)]


def test_a_shutdown_stops_the_job_that_runs() -> None:
    with serving() as server:
        server.send(run("endless", "endless"))
        server.until(Progress)
        server.send(protocol.Shutdown())
        assert server.until(Failed)[-1].code == "cancelled"


@pytest.mark.parametrize(
    ("how", "code", "retryable", "start"),
    [
        ("ours", "not_configured", False, "There are no weights."),
        ("retryable", "backend_failed", True, "The driver hiccuped."),
        ("surprise", "backend_failed", False, "The pipeline failed: KeyError: 'xxx"),
        ("silent", "backend_failed", False, "The pipeline failed: ValueError: "),
    ],
)
def test_a_failure_is_told_in_one_line(how: str, code: str, retryable: bool, start: str) -> None:
    with serving() as server:
        server.send(run(pipeline="fail", how=how))
        failed = server.until(Failed)[-1]

    assert (failed.code, failed.retryable) == (code, retryable)
    assert failed.message.startswith(start)
    assert "\n" not in failed.message
    assert len(failed.message) < 400
    assert failed.hint


def test_facts_that_cannot_be_told_are_a_failure_of_the_pipeline() -> None:
    with serving() as server:
        server.send(run(pipeline="nonsense"))
        assert "Done cannot be written" in server.until(Failed)[-1].message


def test_lines_that_are_no_commands_are_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        os.write(server.commands, b"make tea\n" + b"x" * 3_000_000 + b"\n")
        server.send(run(pipeline="load"))
        server.until(Done)

    said = capsys.readouterr().err
    assert "A line is not JSON." in said
    assert "A line has more than 1048576 bytes." in said


def test_it_beats_while_a_job_runs_and_says_what_is_loaded() -> None:
    with serving(beat_seconds=0.01) as server:
        server.send(run("l", pipeline="load"))
        said = server.until(Done)
        assert Log("l", "Loaded into /nowhere.") in said
        assert next(m for m in reversed(said) if isinstance(m, Beat)).resident == ("tests/model",)

        server.send(run("g"))
        server.until(Progress)
        server.until(Progress)
        beats = [server.until(Beat)[-1] for _ in range(3)]
        gate_of("g").set()
        server.until(Done)

    assert all(beat.rss > 2**20 for beat in beats)


def test_a_device_that_is_not_here_is_told_instead_of_a_hello() -> None:
    with serving("cuda:77") as server:
        failed = server.until(Failed)[-1]

    assert (failed.job_id, failed.code) == ("", "bad_settings")
    assert "'cuda:77' is not here; this machine has" in failed.message


def test_it_leaves_when_nobody_reads_what_it_says(tmp_path: Path) -> None:
    left = threading.Event()
    commands, server_commands = os.pipe()
    closed = os.open(tmp_path / "read-only", os.O_RDONLY | os.O_CREAT)
    worker = Worker(
        commands, closed, PIPELINES.__getitem__, beat_seconds=1000, leave=lambda code: left.set()
    )
    os.write(server_commands, protocol.encode(protocol.Shutdown()))

    worker.serve("cpu")

    assert left.is_set()
    for end in (commands, server_commands, closed):
        os.close(end)
