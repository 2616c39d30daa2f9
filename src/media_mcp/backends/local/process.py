"""One worker process: started, listened to, spoken to, and ended."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from subprocess import PIPE
from typing import cast

import anyio

from media_mcp.backends.local.wire import said, to_error
from media_mcp.errors import WorkerDied
from media_mcp.running import WORKER, Board
from media_mcp.worker import protocol
from media_mcp.worker.protocol import FromWorker, Lines, ProtocolError, ToWorker

log = logging.getLogger("media_mcp.worker")

START_SECONDS = 60.0
GOODBYE_SECONDS = 5.0
BOOTSTRAP = Path(__file__).resolve().parents[2] / "worker" / "bootstrap.py"
MOST_STRANGE = 1000  # lines that are no messages
_LAST_WORDS = 200
_NO_JOB = ""  # what is told before there is one
_STDIN, _STDOUT, _STDERR = range(3)


class WorkerProcess(asyncio.SubprocessProtocol):
    """A running worker. `resident` are the ids of the models it has loaded, as last told.

    Make one with `start`; `receive` gives its messages and raises `WorkerDied` when there will be
    no more, or when it was silent for longer than it may be.
    """

    def __init__(self, hang_seconds: float, board: Board | None = None) -> None:
        self.hello: protocol.Hello | None = None
        self.resident: frozenset[str] = frozenset()
        self.held: tuple[protocol.Held, ...] = ()
        self._board = board
        self._hang_seconds = hang_seconds
        self._boxes: dict[str, asyncio.Queue[FromWorker | None]] = {_NO_JOB: asyncio.Queue()}
        self._whose: dict[str, str] = {}
        self._ended = asyncio.Event()
        self._lines = {_STDOUT: Lines(), _STDERR: Lines()}
        self._said = ""
        self._strange = 0

    @classmethod
    async def start(
        cls,
        python: Sequence[str],
        environment: Mapping[str, str],
        device: str,
        hang_seconds: float,
        options: Sequence[str] = (),
        board: Board | None = None,
    ) -> WorkerProcess:
        """Start a worker and wait for its hello, which comes once torch is imported.

        What it holds is noticed on the `board`. Raises `WorkerDied`, or the error the worker met
        while it looked for its device.
        """
        command = [*python, str(BOOTSTRAP), "--device", device]
        _, worker = await asyncio.get_running_loop().subprocess_exec(
            lambda: cls(hang_seconds, board),
            *command,
            *options,
            *("--beat", str(min(5.0, hang_seconds / 4))),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is ours to handle, and its children end with it
        )
        try:
            await worker._greet()
        except BaseException:
            await worker.kill()
            raise
        return worker

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._transport.get_returncode() is None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._transport.get_pid()

    async def _greet(self) -> None:
        while True:
            match await self._next(_NO_JOB, max(START_SECONDS, self._hang_seconds)):
                case protocol.Hello() as hello:
                    self._check(hello)
                    self.ignore(_NO_JOB)
                    return
                case protocol.Failed() as failed:
                    raise to_error(failed)

    def _check(self, hello: protocol.Hello) -> None:
        if hello.protocol != protocol.VERSION:
            raise WorkerDied(
                f"The worker speaks protocol {hello.protocol}, this server {protocol.VERSION}.",
                "Install the same media-mcp for the worker's Python as for the server.",
                retryable=False,
            )
        self.hello = hello

    def open(self, job_id: str, request: str = "") -> None:
        """From now on keep what is told of a job for `receive`, and note in the log whose it is."""
        self._whose[job_id] = f"job={job_id} request={request}" if request else f"job={job_id}"
        self._boxes[job_id] = asyncio.Queue()
        if not self.alive:
            self._boxes[job_id].put_nowait(None)

    def ignore(self, job_id: str) -> None:
        """Keep what is told of a job no longer."""
        self._boxes.pop(job_id, None)
        self._whose.pop(job_id, None)

    def send(self, message: ToWorker) -> None:
        """Write one message. A worker that is gone is noticed by `receive`, not here."""
        stdin = self._transport.get_pipe_transport(_STDIN)
        cast(asyncio.WriteTransport, stdin).write(protocol.encode(message))

    async def receive(self, job_id: str) -> FromWorker:
        """Wait for what is told next of a job, or a sign of life. Raises `WorkerDied`."""
        return await self._next(job_id, self._hang_seconds)

    async def _next(self, job_id: str, patience: float) -> FromWorker:
        try:
            async with asyncio.timeout(patience):
                message = await self._boxes[job_id].get()
        except TimeoutError:
            await self.kill()
            raise WorkerDied(
                f"The worker was silent for {patience:g} s and was ended: it hung.",
                "Run the job again; a fresh worker takes it.",
            ) from None
        if message is None:
            raise await self._death()
        return message

    async def _death(self) -> WorkerDied:
        await self._ended.wait()
        code = self._transport.get_returncode() or 0
        words = f" It last said: {self._said}" if self._said else ""
        return WorkerDied(f"The worker {_how(code)}.{words}", _advice(code))

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        for line in self._lines[fd].feed(data):
            (self._note if fd == _STDOUT else self._overhear)(line)

    def process_exited(self) -> None:
        """End what the worker started, too: it would keep the pipes open."""
        self._kill_group()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport.close()
        self.resident, self.held = frozenset(), ()
        if self._board is not None:
            self._board.drop(WORKER, self.pid)
        self._ended.set()
        for box in self._boxes.values():
            box.put_nowait(None)

    def _note(self, line: bytes) -> None:
        try:
            message = protocol.from_worker(line)
        except ProtocolError as error:
            self._pass_over(error)
            return
        if isinstance(message, protocol.Beat):
            self.resident = frozenset(message.resident)
            self._hold(message.held)
        for job_id, box in self._boxes.items():
            if getattr(message, "job_id", job_id) == job_id:
                box.put_nowait(message)

    def _pass_over(self, error: ProtocolError) -> None:
        """Log a line that is no message; one that writes nothing else is ended."""
        self._strange += 1
        if self._strange <= MOST_STRANGE:
            log.warning("The worker wrote what is no message. %s", error)
        elif self.alive:
            self._said = f"{MOST_STRANGE} lines that are no messages, for which it was ended."
            self._kill_group()

    @property
    def pinned(self) -> bool:
        """Whether it has loaded what is to stay."""
        return any(one.pinned for one in self.held)

    def _hold(self, held: tuple[protocol.Held, ...]) -> None:
        if held == self.held:
            return
        self.held = held
        if self._board is not None and self.hello is not None:
            device = {"device": self.hello.device, "memory": self.hello.device_memory}
            self._board.put(WORKER, self.pid, device | {"held": [asdict(one) for one in held]})

    def _overhear(self, line: bytes) -> None:
        text = line.decode(errors="replace").rpartition("\r")[2].strip()
        log.debug("%s", " ".join([*self._whose.values(), text]))
        self._said = said(text, _LAST_WORDS) or self._said

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS: nobody left to signal
            os.killpg(self.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Ask the worker to leave, and end it if it does not."""
        if self.alive:
            self.send(protocol.Shutdown())
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._ended.wait()
        await self.kill()

    async def kill(self) -> None:
        """End the worker and whatever it started, now. Does nothing to one that has ended."""
        if self.alive:
            self._kill_group()
        with anyio.CancelScope(shield=True):
            await self._ended.wait()


def _how(code: int) -> str:
    if code >= 0:
        return f"left with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was ended by {name}"


def _advice(code: int) -> str:
    if code == -signal.SIGKILL:
        return "Run the job again; if nobody ended it, the system ran out of memory."
    return "Run the job again; a fresh worker takes it."
