"""A server's life in a process of its own: it does what its callers ask until all have answers.

What befalls it comes at a point of `faultpoints`. What its callers know is written down at once,
since the process may not live to tell.
"""

from __future__ import annotations

import faulthandler
import http.client
import json
import mmap
import os
import signal
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from chaos_rooms import Rooms, submission
from lent import lend_decoder
from media_mcp import faultpoints
from media_mcp.errors import StorageFailed
from media_mcp.faultpoints import Point
from media_mcp.job import Job
from plans import Call, Strike

AGAIN = 0.02
PATIENCE = 25.0
NOT_NOW = 75


@dataclass(frozen=True, slots=True)
class Site:
    """Where a run takes place: `folder` is the servers' (a disk of its own, if `disk` says so);
    `notes` is ours. `place` and `world` are ports.
    """

    folder: Path
    notes: Path
    place: int
    world: int
    disk: bool

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """Ask the world around the servers for something, without any loop."""
        connection = http.client.HTTPConnection("127.0.0.1", self.world, timeout=10)
        try:
            connection.request(method, path, json.dumps(body) if body else None)
            return connection.getresponse().read()
        finally:
            connection.close()


class Notes:
    """Lines that outlive the process, and the server's disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, **fact: Any) -> None:
        os.write(self._file, json.dumps(fact).encode() + b"\n")

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


class Clock:
    """The wall clock of all servers of a run; a jump holds for all of them, and after a restart."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(struct.pack("d", 0.0))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8)
        self._real = time.time

    def __call__(self) -> float:
        return self._real() + struct.unpack("d", self._map[:8])[0]

    def jump(self, seconds: float) -> None:
        self._map[:8] = struct.pack("d", struct.unpack("d", self._map[:8])[0] + seconds)


class Fate:
    """The hook: counts how often a point is met, and strikes."""

    def __init__(
        self, strikes: Sequence[Strike], site: Site, clock: Clock, notes: Notes, name: str
    ) -> None:
        self.workers: Callable[[], Sequence[int]] = tuple
        self._left = list(strikes)
        self._met: dict[Strike, int] = {}
        self._site = site
        self._clock = clock
        self._notes = notes
        self._name = name
        self._turn = threading.Lock()

    def __call__(self, point: Point) -> None:
        with self._turn:
            due = [strike for strike in self._left if self._due(strike, point)]
            for strike in due:
                self._left.remove(strike)
        for strike in due:
            self._notes.write(struck=strike.point.name, fault=strike.fault, server=self._name)
            getattr(self, f"on_{strike.fault}")(strike)

    def _due(self, strike: Strike, point: Point) -> bool:
        if strike.point is not point or (strike.fault == "worker" and not self.workers()):
            return False
        self._met[strike] = self._met.get(strike, 0) + 1
        return self._met[strike] >= strike.nth

    def on_server(self, strike: Strike) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def on_worker(self, strike: Strike) -> None:
        for pid in self.workers():
            os.kill(pid, signal.SIGKILL)

    def on_clock(self, strike: Strike) -> None:
        self._clock.jump(strike.amount)

    def on_gone(self, strike: Strike) -> None:
        self._trouble(what="gone", seconds=strike.amount)

    def on_locked(self, strike: Strike) -> None:
        path = str(self._site.folder / "jobs.sqlite")
        self._trouble(what="locked", path=path, seconds=strike.amount)

    def on_full(self, strike: Strike) -> None:
        if self._site.disk:
            self._trouble(what="full", path=str(self._site.folder), seconds=strike.amount)
        else:
            refuse_bytes(strike.amount)

    def _trouble(self, **asked: Any) -> None:
        self._site.ask("POST", "/trouble", asked)


def refuse_bytes(seconds: float) -> None:
    """Have the system refuse every byte that this process would write to a file, for a while."""
    import resource

    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    timer = threading.Timer(seconds, resource.setrlimit, (resource.RLIMIT_FSIZE, unlimited))
    timer.daemon = True
    timer.start()


def live(
    site: Site,
    name: str,
    calls: Sequence[Call],
    strikes: Sequence[Strike],
    over: Path | None = None,
) -> None:
    """Be a server until every call has its answer; the second of two, until the first is `over`.

    A server that cannot even open its files ends with `NOT_NOW`, to be started again.
    """
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    notes, clock = Notes(site.notes / f"{name}.jsonl"), Clock(site.notes / "clock")
    fate = Fate(strikes, site, clock, notes, name)
    time.time = clock
    faultpoints.install(fate)
    lend_decoder()
    anyio.run(serve, site, notes, clock, fate, calls, over)


async def serve(
    site: Site,
    notes: Notes,
    clock: Clock,
    fate: Fate,
    calls: Sequence[Call],
    over: Path | None,
) -> None:
    known = notes.read()
    answered = {fact["answered"] for fact in known if "answered" in fact}
    jobs = {fact["call"]: fact["job"] for fact in known if "call" in fact}
    left = [call for call in calls if call.number not in answered]
    async with AsyncExitStack() as stack:
        try:
            rooms = await stack.enter_async_context(Rooms(site, clock))
        except StorageFailed:
            os._exit(NOT_NOW)
        fate.workers = rooms.worker_pids
        picture = await keeps_trying(rooms.picture)
        if left and left[0].kind in ("mask", "show"):  # the others find a worker that lives
            await attend(rooms, notes, left.pop(0), jobs, picture)
        notes.write(ready=True)
        async with anyio.create_task_group() as group:
            for call in left:
                group.start_soon(attend, rooms, notes, call, jobs, picture)
        while over is not None and not over.exists():  # noqa: ASYNC110, ASYNC240
            await anyio.sleep(AGAIN)  # another process makes the file
        await rooms.idle()


async def attend(
    rooms: Rooms, notes: Notes, call: Call, jobs: Mapping[int, str], picture: Any
) -> None:
    """Be a caller: ask, until there is a job; wait for it; take the answer."""
    asked = submission(call, rooms, picture)
    job_id = jobs.get(call.number)
    if job_id is None or call.keyed:
        told = await keeps_trying(lambda: rooms.queue.submit(asked))
        if call.keyed and job_id not in (None, told.job.id):
            notes.write(wrong=f"call {call.number} made {told.job.id} beside {job_id}")
        job_id = told.job.id
        notes.write(call=call.number, job=job_id, joined=told.joined)
    caller = asked.caller
    if call.cancel:
        await keeps_trying(lambda: rooms.queue.cancel(job_id, caller))
    job: Job = await keeps_trying(lambda: rooms.queue.wait(job_id, caller, PATIENCE))
    await keeps_trying(lambda: rooms.queue.mark_answered(job.id))
    notes.write(answered=call.number, job=job.id, state=job.state)


async def keeps_trying(ask: Callable[[], Any]) -> Any:
    """Do what a caller does who is told that the disk is full, or the database locked."""
    while True:
        try:
            return await ask()
        except StorageFailed:
            await anyio.sleep(AGAIN)
