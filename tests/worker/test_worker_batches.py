"""Several jobs that a worker is sent as one: each has its own progress, end and cancellation."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import pytest

from media_mcp.errors import BackendFailed, OutOfMemory
from media_mcp.worker import protocol
from media_mcp.worker.loop import FindBatch, Worker
from media_mcp.worker.protocol import Batch, Cancel, Done, Failed, Lines, Progress
from media_mcp.worker.work import Cancelled, Product, Work


class Listening(Worker):
    """A worker that tells the test which commands it has taken in."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.heard: SimpleQueue[Any] = SimpleQueue()

    def _accept(self, command: Any) -> None:
        super()._accept(command)
        self.heard.put(command)


class Server:
    """The other end of a worker's pipes."""

    def __init__(self, worker: Listening, commands: int, events: int) -> None:
        self._worker = worker
        self._commands = commands
        self._messages = self._read(events)

    def _read(self, events: int) -> Iterator[Any]:
        lines = Lines()
        while data := os.read(events, 65_536):
            for line in lines.feed(data):
                yield protocol.from_worker(line)

    def send(self, *messages: Any) -> None:
        for message in messages:
            os.write(self._commands, protocol.encode(message))

    def next(self) -> Any:
        return next(self._messages)

    def heard(self, kind: type) -> None:
        """Wait until the worker has taken in a command of this kind."""
        while not isinstance(self._worker.heard.get(timeout=20), kind):
            pass


@contextmanager
def serving(find_batch: FindBatch) -> Iterator[Server]:
    commands, ours = os.pipe()
    events, theirs = os.pipe()
    left = threading.Event()
    worker = Listening(
        commands,
        theirs,
        lambda name: alone,
        find_batch,
        beat_seconds=1000.0,
        leave=lambda code: left.set(),
    )
    thread = threading.Thread(target=worker.serve, args=("cpu",))
    thread.start()
    try:
        yield Server(worker, ours, events)
    finally:
        os.write(ours, protocol.encode(protocol.Shutdown()))
        thread.join(20)
        os.close(ours)
        assert left.wait(20)
        for end in (commands, events, theirs):
            os.close(end)


def product(work: Work) -> Product:
    return Product((), {"together": False, "seed": work.run.seed})


def alone(work: Work) -> Product:
    if work.run.arguments.get("bad"):
        raise BackendFailed("This one is bad.")
    return product(work)


class Pair:
    """A pipeline that does a batch in four steps, and waits after the second for `go`."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.batches: list[list[str]] = []

    def __call__(self, works: Sequence[Work]) -> list[Product | Exception]:
        self.batches.append([work.run.job_id for work in works])
        if any(work.run.arguments.get("bad") for work in works):
            raise OutOfMemory("Too much at once.")
        ended: dict[str, Product | Exception] = {}
        for n in range(1, 5):
            if n == 3:
                self.go.wait()
            for work in works:
                try:
                    if work.run.job_id not in ended:
                        work.step(n, 4)
                except Cancelled as stop:
                    ended[work.run.job_id] = stop
        made = Product((), {"together": True})
        return [ended.get(work.run.job_id, made) for work in works]


def run(job_id: str, **arguments: Any) -> protocol.Run:
    return protocol.Run(job_id, 1, "tests/m", "pair", {}, arguments, {}, 7, "/nowhere", ())


@pytest.fixture
def pair() -> Pair:
    return Pair()


@pytest.fixture
def server(pair: Pair) -> Iterator[Server]:
    with serving(lambda name: pair) as server:
        yield server
        pair.go.set()


def ends(server: Server, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while len(found) < count:
        message = server.next()
        if isinstance(message, Done | Failed):
            found[message.job_id] = message
    return found


def test_a_batch_is_done_as_one_and_each_job_ends_for_itself(server: Server, pair: Pair) -> None:
    pair.go.set()
    server.send(Batch((run("a"), run("b"))))
    told = ends(server, 2)
    assert {job: end.facts for job, end in told.items()} == {
        "a": {"together": True},
        "b": {"together": True},
    }
    assert pair.batches == [["a", "b"]]


def test_a_job_that_is_cancelled_leaves_its_batch_at_the_next_step(
    server: Server, pair: Pair
) -> None:
    server.send(Batch((run("a"), run("b"))))
    while not (
        isinstance(told := server.next(), Progress) and (told.job_id, told.step) == ("b", 2)
    ):
        pass
    server.send(Cancel("a"))
    server.heard(Cancel)
    pair.go.set()
    told = ends(server, 2)
    assert (told["a"].code, told["b"].facts) == ("cancelled", {"together": True})


def test_a_job_that_was_cancelled_before_never_joins(server: Server, pair: Pair) -> None:
    server.send(Batch((run("x"), run("y"))))
    while not isinstance(server.next(), Progress):
        pass
    server.send(Batch((run("a"), run("b"), run("c"))), Cancel("a"))
    server.heard(Cancel)
    pair.go.set()
    told = ends(server, 5)
    assert told["a"].code == "cancelled"
    assert pair.batches == [["x", "y"], ["b", "c"]]


def test_what_fails_as_one_is_done_one_by_one_and_only_the_bad_one_fails(
    server: Server, pair: Pair
) -> None:
    server.send(Batch((run("a"), run("b", bad=True), run("c"))))
    told = ends(server, 3)
    assert told["b"].message == "This one is bad."
    assert [told[job].facts["together"] for job in ("a", "c")] == [False, False]


def test_a_pipeline_that_cannot_batch_does_them_in_turn() -> None:
    with serving(lambda name: None) as server:
        server.send(Batch((run("a"), run("b"))))
        assert [end.facts["together"] for end in ends(server, 2).values()] == [False, False]
