"""The worker's life: one job at a time on the main thread; other threads listen and beat."""

from __future__ import annotations

import os
import platform
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from queue import Empty, SimpleQueue

from media_mcp.errors import BackendFailed, MediaError
from media_mcp.worker import protocol
from media_mcp.worker.device import Device, find_device, resident_bytes
from media_mcp.worker.limits import Limits, residency_on
from media_mcp.worker.protocol import FromWorker, Lines, ProtocolError, ToWorker
from media_mcp.worker.residency import Residency
from media_mcp.worker.room import load, with_room
from media_mcp.worker.work import Cancelled, Pipeline, Product, Together, Work

PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "safetensors", "peft")
FindPipeline = Callable[[str], Pipeline]
FindBatch = Callable[[str], Together | None]
_READ = 2**16
_LONGEST_REASON = 300


class Worker:
    """Reads commands from one file descriptor and writes what happens to another.

    `leave` ends the process at once; it is called when the server's end of a pipe is gone, even in
    the middle of a step, since nobody is left to want the result.
    """

    def __init__(
        self,
        commands: int,
        events: int,
        find_pipeline: FindPipeline,
        find_batch: FindBatch = lambda name: None,
        *,
        beat_seconds: float = 5.0,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self._commands = commands
        self._events = events
        self._find_pipeline = find_pipeline
        self._find_batch = find_batch
        self._beat_seconds = beat_seconds
        self._leave = leave
        self._writing = threading.Lock()
        self._jobs: SimpleQueue[Sequence[protocol.Run] | None] = SimpleQueue()
        self._cancelled: dict[str, threading.Event] = {}
        self._ended = threading.Event()
        self._residency: Residency | None = None

    def serve(self, device: str, limits: Limits | None = None) -> None:
        """Work until `Shutdown` comes.

        Beats start before torch is imported, which takes seconds. A device that is not here is told
        as a `Failed` of no job.
        """
        for target in (self._beat_on, self._listen):
            threading.Thread(target=target, daemon=True).start()
        try:
            found = find_device(device)
        except MediaError as error:
            self._send(explain("", error))
            return
        self._residency = residency_on(found, limits or Limits())
        self._send(_hello(found))
        for runs in self._take_jobs():
            self._do_all(runs, found, self._residency)
            self._beat()
        self._ended.set()

    def _take_jobs(self) -> Iterator[Sequence[protocol.Run]]:
        while (runs := self._next_jobs()) is not None:
            yield runs

    def _next_jobs(self) -> Sequence[protocol.Run] | None:
        """Wait for a job or a batch; meanwhile pipelines that nobody wants any more are dropped."""
        while True:
            try:
                return self._jobs.get(timeout=self._beat_seconds)
            except Empty:
                if self._residency is not None:
                    self._residency.expire()

    def _send(self, message: FromWorker) -> None:
        data = protocol.encode(message)
        try:
            with self._writing:
                while data:
                    data = data[os.write(self._events, data) :]
        except OSError:
            self._leave(0)

    # The thread that listens.

    def _listen(self) -> None:
        lines = Lines()
        while data := os.read(self._commands, _READ):
            for line in lines.feed(data):
                self._obey(line)
        self._leave(0)

    def _obey(self, line: bytes) -> None:
        try:
            command = protocol.to_worker(line)
        except ProtocolError as error:
            print(f"media-mcp worker: {error}", file=sys.stderr)  # noqa: T201
            return
        self._accept(command)

    def _accept(self, command: ToWorker) -> None:
        match command:
            case protocol.Run():
                self._put([command])
            case protocol.Batch():
                self._put(command.runs)
            case protocol.Cancel():
                if flag := self._cancelled.get(command.job_id):
                    flag.set()
            case _:
                for flag in list(self._cancelled.values()):
                    flag.set()
                self._jobs.put(None)

    def _put(self, runs: Sequence[protocol.Run]) -> None:
        self._cancelled |= {run.job_id: threading.Event() for run in runs}
        self._jobs.put(runs)

    # The thread that beats.

    def _beat_on(self) -> None:
        while not self._ended.is_set():
            self._beat()
            self._ended.wait(self._beat_seconds)

    def _beat(self) -> None:
        residency = self._residency
        told = () if residency is None else (residency.models, told_of(residency))
        self._send(protocol.Beat(resident_bytes(), *told))

    # The main thread.

    def _do_all(self, runs: Sequence[protocol.Run], device: Device, residency: Residency) -> None:
        """Do a job, or a batch of them as one; what fails as one is done again one by one."""
        works = [self._work(run, device, residency) for run in runs]
        wanted = [work for work in works if not self._cancelled[work.run.job_id].is_set()]
        together = self._find_batch(runs[0].pipeline) if len(wanted) > 1 else None
        if together is not None and self._do_together(together, wanted):
            works = [work for work in works if work not in wanted]
        for work in works:
            self._end(work, partial(self._do, work))

    def _do_together(self, together: Together, works: Sequence[Work]) -> bool:
        """Do a batch and tell how each of its jobs ended; False if it failed as a whole."""
        try:
            results = with_room(works[0], lambda: together(works))
        except Exception as error:  # of whichever job; each by itself will say it is its own
            print(f"media-mcp worker: as one: {error}", file=sys.stderr)  # noqa: T201
            return False
        for work, result in zip(works, results, strict=True):
            self._end(work, partial(given, result))
        return True

    def _do(self, work: Work) -> Product:
        work.check()
        do = load if work.run.load_only else with_room
        return do(work, lambda: self._find_pipeline(work.run.pipeline)(work))

    def _end(self, work: Work, make: Callable[[], Product]) -> None:
        """Make a job's product and tell how it ended."""
        job_id = work.run.job_id
        try:
            product = make()
            self._beat()  # what is loaded now is known before the job's end is
            self._send(protocol.Done(job_id, product.outputs, product.facts))
        except Cancelled:
            self._send(protocol.Failed(job_id, "cancelled", "The job was cancelled."))
        except Exception as error:
            print(f"media-mcp worker: {_named(work.run)} failed", file=sys.stderr)  # noqa: T201
            self._send(explain(job_id, error))
        finally:
            self._cancelled.pop(job_id, None)

    def _work(self, run: protocol.Run, device: Device, residency: Residency) -> Work:
        flag = self._cancelled[run.job_id]

        def check() -> None:
            if flag.is_set():
                raise Cancelled

        def step(done: int, total: int) -> None:
            self._send(protocol.Progress(run.job_id, done, total))
            check()

        def log(line: str) -> None:
            self._send(protocol.Log(run.job_id, line))

        return Work(run, device, residency, step, check, log)


def _named(run: protocol.Run) -> str:
    return f"job={run.job_id}" + (f" request={run.request}" if run.request else "")


def given(result: Product | Exception) -> Product:
    """Return what came of one job of a batch, or raise it."""
    if isinstance(result, Exception):
        raise result
    return result


def explain(job_id: str, error: Exception) -> protocol.Failed:
    """Say in one line what went wrong; the traceback of a surprise goes to stderr, for the log."""
    if isinstance(error, MediaError):
        retryable = isinstance(error, BackendFailed) and error.retryable
        return protocol.Failed(job_id, error.code, error.message, error.hint, retryable)
    traceback.print_exception(error)
    said = str(error).strip().splitlines() or [""]
    reason = f"{type(error).__name__}: {said[0]}"[:_LONGEST_REASON]
    return protocol.Failed(
        job_id,
        "backend_failed",
        f"The pipeline failed: {reason}",
        "Check the arguments against the model's limits; the server's log holds the traceback.",
    )


def told_of(residency: Residency) -> tuple[protocol.Held, ...]:
    """Say what is loaded, in the protocol's words."""
    return tuple(
        protocol.Held(
            tuple(sorted(one.models)),
            one.size,
            one.place.value,
            residency.is_pinned(one),
            bool(one.users),
        )
        for one in residency.held()
    )


def _hello(device: Device) -> protocol.Hello:
    return protocol.Hello(
        protocol.VERSION,
        os.getpid(),
        platform.python_version(),
        dict(_installed()),
        device.name,
        device.memory,
    )


def _installed() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue
