"""The servers of a soak, each a process that is killed and started again."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import socket
import subprocess
from collections import Counter
from contextlib import suppress
from pathlib import Path
from time import monotonic

import httpx2
from ground import MEDIA_MCP, Ground

START_SECONDS = 60.0
STOP_SECONDS = 10.0  # in which a server that is asked to leave has to be gone
DISK = ("error: The disk", "error: The job database")
PORTS = range(12_000, 30_000)  # below those that the system hands out to clients


class Server:
    """One server on the shared data folder. `wanted` says whether it is to run.

    `kills` and `starts` count; `slowest_stop` is seconds.
    """

    def __init__(self, ground: Ground, name: str, port: int, tally: Counter[str]) -> None:
        self.name = name
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = ground.folder / f"{name}.log"
        self.wanted = False
        self.faults: list[str] = []
        self.slowest_stop = 0.0
        self._ground = ground
        self._tally = tally
        self._process: asyncio.subprocess.Process | None = None
        self._asked_to_leave: asyncio.subprocess.Process | None = None
        self._changed = asyncio.Event()
        self._answers = asyncio.Event()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def ready(self) -> bool:
        """Whether it runs and has answered."""
        return self._answers.is_set() and self.pid is not None

    async def keep(self) -> None:
        """Run the server as long as it is wanted, and start it again whenever it has died."""
        while True:
            while not self.wanted:
                self._changed.clear()
                await self._changed.wait()
            process = await self._started()
            looking = asyncio.create_task(self._look())
            hearing = asyncio.create_task(self._write_down(process))
            try:
                code = await process.wait()
                await asyncio.wait([hearing], timeout=5)  # what it started may hold the pipe open
            finally:
                looking.cancel()
                hearing.cancel()
            if process is not self._asked_to_leave and code != -signal.SIGKILL:
                self._note_end(code)
                await asyncio.sleep(0.5)
            self._answers.clear()

    def _note_end(self, code: int) -> None:
        """A server may only end by itself as it starts, where the disk will not have it."""
        words = self._last_words()
        if code == 1 and not self._answers.is_set() and any(word in words for word in DISK):
            self._tally["starts that the disk refused"] += 1
        else:
            self.faults.append(f"{self.name} ended by itself with {code}: {words}")

    async def up(self) -> None:
        """Have it run, and return once it answers. Raises `TimeoutError`."""
        self.wanted = True
        self._changed.set()
        try:
            await asyncio.wait_for(self._answers.wait(), START_SECONDS)
        except TimeoutError:
            raise TimeoutError(f"{self.name} does not answer: {self._last_words()}") from None

    async def down(self) -> None:
        """Ask it to leave, as an operator would; note if that takes too long or goes wrong."""
        self.wanted = False
        process, ready = self._process, self.ready
        if process is None or process.returncode is not None:
            return
        began, self._asked_to_leave = monotonic(), process
        process.terminate()
        self._tally["servers asked to leave"] += 1
        try:
            code = await asyncio.wait_for(process.wait(), 3 * STOP_SECONDS)
        except TimeoutError:
            process.kill()
            code = await process.wait()
        took = monotonic() - began
        self.slowest_stop = max(self.slowest_stop, took)
        orderly = code == 0 or (code == -signal.SIGTERM and not ready)
        killed = code == -signal.SIGKILL and took < STOP_SECONDS  # by a blow meanwhile
        if took > STOP_SECONDS or not (orderly or killed):
            self.faults.append(f"{self.name}, asked to leave, took {took:.1f} s and ended {code}")

    def kill(self) -> bool:
        """Kill it on the spot, if it runs."""
        if self.pid is None:
            return False
        os.kill(self.pid, signal.SIGKILL)
        self._tally["servers killed"] += 1
        return True

    def signal(self, number: int) -> None:
        if self.pid is not None:
            os.kill(self.pid, number)

    def limit_files(self, size: int) -> None:
        """Let neither it nor what it started write beyond so many bytes of any file."""
        if self.pid is not None:
            for pid in (self.pid, *descendants(self.pid)):
                with suppress(ProcessLookupError):
                    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
                    if hard == resource.RLIM_INFINITY:  # decoders write nothing anyway
                        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    async def _started(self) -> asyncio.subprocess.Process:
        command = [str(MEDIA_MCP), "serve", "--http", f"127.0.0.1:{self.port}", "--wait", "20"]
        self._process = await asyncio.create_subprocess_exec(
            *command,
            env=self._ground.environment,
            cwd=self._ground.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._tally["starts"] += 1
        return self._process

    async def _write_down(self, process: asyncio.subprocess.Process) -> None:
        """Keep what it says; through a pipe, as a full disk must not silence it."""
        assert process.stdout is not None
        with self.log.open("ab", buffering=0) as log:
            while said := await process.stdout.read(2**16):
                log.write(said)

    async def _look(self) -> None:
        """Ask until it answers."""
        async with httpx2.AsyncClient(trust_env=False, timeout=2) as http:
            while not self._answers.is_set():
                with suppress(httpx2.HTTPError):
                    if (await http.get(f"{self.url}/healthz")).status_code == 200:
                        self._answers.set()
                await asyncio.sleep(0.1)

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-600:] if self.log.exists() else ""


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they did."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *descendants(child)]
    return found


def command_of(pid: int) -> str:
    """Return the command line of a process; empty once it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def memory_of(pid: int) -> tuple[float, int]:
    """Return the resident MB and the open files of a process; zeros once it is gone."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
        return resident * 1024 / 1e6, len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return 0.0, 0


def free_port(draw: random.Random) -> int:
    """Return a port that nobody listens on, and that no client of this machine is given."""
    while True:
        port = draw.choice(PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
