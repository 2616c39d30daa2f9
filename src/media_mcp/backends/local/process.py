"""One worker process: started, listened to, spoken to, and ended."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress

from ...errors import MediaError, WorkerDied
from ...worker import protocol
from ...worker.protocol import FromWorker, Lines, ProtocolError, ToWorker
from .wire import to_error

log = logging.getLogger("media_mcp.worker")

START_SECONDS = 60.0
GOODBYE_SECONDS = 5.0
_READ = 2**16
_LAST_WORDS = 200


class WorkerProcess:
    """A running worker. `resident` are the ids of the models it has loaded, as last told.

    Make one with `start`; `receive` gives its messages and raises `WorkerDied` when there will be
    no more, or when it was silent for longer than it may be.
    """

    def __init__(self, process: Process, hang_seconds: float) -> None:
        self.hello: protocol.Hello | None = None
        self.resident: frozenset[str] = frozenset()
        self._process = process
        self._hang_seconds = hang_seconds
        self._inbox: asyncio.Queue[FromWorker | None] = asyncio.Queue()
        self._listening = False
        self._said = ""
        self._tasks = [
            asyncio.create_task(self._read_events()),
            asyncio.create_task(self._read_stderr()),
        ]

    @classmethod
    async def start(
        cls, python: str, environment: Mapping[str, str], device: str, hang_seconds: float
    ) -> WorkerProcess:
        """Start a worker and wait for its hello, which comes once torch is imported.

        Raises `WorkerDied`, or the error the worker met while it looked for its device.
        """
        command = [python, "-P", "-m", "media_mcp.worker", "--device", device]
        process = await asyncio.create_subprocess_exec(
            *command,
            *("--beat", str(min(5.0, hang_seconds / 4))),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
            start_new_session=True,  # so that Ctrl-C is ours to handle, and its children end with it
        )
        worker = cls(process, hang_seconds)
        try:
            await worker._greet()
        except BaseException:
            await worker.kill()
            raise
        return worker

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def _greet(self) -> None:
        self.listen()
        while True:
            match await self._next(max(START_SECONDS, self._hang_seconds)):
                case protocol.Hello() as hello:
                    self._check(hello)
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

    def listen(self) -> None:
        """From now on keep messages for `receive`; what came before is of no interest."""
        self._inbox = asyncio.Queue()
        self._listening = True
        if not self.alive:
            self._inbox.put_nowait(None)

    def ignore(self) -> None:
        """Keep messages no longer; beats are still noted."""
        self._listening = False

    async def send(self, message: ToWorker) -> None:
        """Write one message. A worker that is gone is noticed by `receive`, not here."""
        data = protocol.encode(message)
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101
        with suppress(ConnectionError):
            stdin.write(data)
            await stdin.drain()

    async def receive(self) -> FromWorker:
        """Wait for the next message while listening. Raises `WorkerDied`."""
        return await self._next(self._hang_seconds)

    async def _next(self, patience: float) -> FromWorker:
        try:
            async with asyncio.timeout(patience):
                message = await self._inbox.get()
        except TimeoutError:
            await self.kill()
            raise WorkerDied(
                f"The worker was silent for {patience:g} s and was ended: it hung.",
                "Run the job again; a fresh worker takes it.",
            ) from None
        if message is None:
            raise await self._death()
        return message

    async def _death(self) -> MediaError:
        await asyncio.wait(self._tasks)
        code = await self._process.wait()
        said = f" It last said: {self._said}" if self._said else ""
        return WorkerDied(f"The worker {_how(code)}.{said}", _advice(code))

    async def _read_events(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101
        lines = Lines()
        while data := await stdout.read(_READ):
            for line in lines.feed(data):
                self._note(line)
        self._inbox.put_nowait(None)

    def _note(self, line: bytes) -> None:
        try:
            message = protocol.from_worker(line)
        except ProtocolError as error:
            log.warning("The worker wrote what is no message. %s", error)
            return
        if isinstance(message, protocol.Beat):
            self.resident = frozenset(message.resident)
        if self._listening:
            self._inbox.put_nowait(message)

    async def _read_stderr(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None  # noqa: S101
        lines = Lines()
        while data := await stderr.read(_READ):
            for line in lines.feed(data):
                text = line.decode(errors="replace").rpartition("\r")[2].strip()
                log.debug("%s", text)
                self._said = text[:_LAST_WORDS] or self._said

    async def close(self) -> None:
        """Ask the worker to leave, and end it if it does not."""
        await self.send(protocol.Shutdown())
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """End the worker and whatever it started, now. Does nothing to one that has ended."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await asyncio.wait(self._tasks)
        self.resident = frozenset()


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
