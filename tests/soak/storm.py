"""What happens to the servers of a soak: kills, a locked database, a full disk, a place that is
gone. The same seed draws the same blows, and when they come."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from fleet import Server, command_of, descendants

from faultproxy import ODDS, Fault

FULL_BYTES = 4096  # of any file that may still be written while the disk is full


@dataclass
class Weather:
    """What calls to the paid place meet: its usual faults, or nothing but broken lines."""

    draw: random.Random
    gone: bool = False

    def choose(self, _: bytes) -> Fault:
        if self.gone:
            return "reset before"
        return self.draw.choices(list(ODDS), list(ODDS.values()))[0]


@dataclass
class Storm:
    """Strikes every few seconds, `pace` on average, until it is cancelled."""

    servers: list[Server]
    weather: Weather
    database: Path
    draw: random.Random
    tally: Counter[str]
    pace: float = 4.0
    strikes: list[tuple[float, str]] = field(default_factory=list)

    async def rage(self) -> None:
        blows: dict[Callable[[], Awaitable[bool]], float] = {
            self._kill_server: 8,
            self._kill_worker: 6,
            self._lock: 2,
            self._fill_disk: 2,
            self._take_place_away: 2,
            self._halt: 1,
            self._restart: 1,
        }
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(self.draw.uniform(0.3, 1.7) * self.pace)
                (blow,) = self.draw.choices(list(blows), list(blows.values()))
                self.strikes.append((loop.time() - began, blow.__name__.strip("_")))
                group.create_task(blow())

    def _one(self) -> Server | None:
        up = [server for server in self.servers if server.pid is not None]
        return self.draw.choice(up) if up else None

    async def _kill_server(self) -> bool:
        server = self._one()
        return server is not None and server.kill()

    async def _kill_worker(self) -> bool:
        """Kill what a server started: a worker with a job, or a decoder of media."""
        server = self._one()
        children = descendants(server.pid) if server is not None and server.pid else []
        if not children:
            return await self._kill_server()
        victim = self.draw.choice(children)
        kind = "workers killed" if "media_mcp.worker" in command_of(victim) else "decoders killed"
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
            self.tally[kind] += 1
        return True

    async def _lock(self) -> bool:
        """Hold the database's write lock, shorter or longer than a server waits for it."""
        seconds = self.draw.uniform(1, 8)
        with closing(sqlite3.connect(self.database, timeout=0, isolation_level=None)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            self.tally["database locked"] += 1
            await asyncio.sleep(seconds)
            db.execute("ROLLBACK")
        return True

    async def _fill_disk(self) -> bool:
        """Make every write beyond a few bytes of a file fail, as one to a full disk does."""
        server = self._one()
        if server is None:
            return False
        server.limit_files(FULL_BYTES)
        self.tally["disk full"] += 1
        try:
            await asyncio.sleep(self.draw.uniform(1, 5))
        finally:
            server.limit_files(-1)
        return True

    async def _take_place_away(self) -> bool:
        self.weather.gone = True
        self.tally["place gone"] += 1
        try:
            await asyncio.sleep(self.draw.uniform(2, 8))
        finally:
            self.weather.gone = False
        return True

    async def _halt(self) -> bool:
        """Stop a server's clock for a while, as a machine does that sleeps."""
        server = self._one()
        if server is None:
            return False
        server.signal(signal.SIGSTOP)
        self.tally["servers halted"] += 1
        try:
            await asyncio.sleep(self.draw.uniform(1, 4))
        finally:
            with suppress(ProcessLookupError):
                server.signal(signal.SIGCONT)
        return True

    async def _restart(self) -> bool:
        server = self._one()
        if server is None or not server.wanted:
            return False
        await server.down()
        server.wanted = True
        await server.up()
        return True
