"""A mixed load on real servers that are killed every few seconds, and books that must balance.

`soak.py [--docs]`: SOAK_SECONDS (3600) long, with SOAK_SEED (drawn, and printed). Exits 1 and says
what is wrong where the books do not balance; the folder is kept then. With `--docs`, a run of half
an hour or more is written to docs/soak.json, .md and .svg.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import re
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from contextlib import AsyncExitStack, closing
from pathlib import Path
from time import monotonic
from typing import Any

import books
import httpx2
import ledger
from agents import Agent, Subscriber
from doors import FREE, Door
from fleet import Server, command_of, descendants, free_port, memory_of
from ground import Ground, prepare
from paidplace import PaidPlace
from record import Record
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from storm import Storm, Weather

from chaoskit import check_everything
from falplace import served
from faultproxy import faulty

PAID = ("soak/paid",)
LAST_SECONDS = 15.0  # for what callers are still waiting for when the storm is over
DRAIN_SECONDS = 150.0
TO_THE_LAST_HOOK = 300.0  # a soak as long as this waits until every webhook is told
HOOK_SECONDS = 200.0  # more than a killed delivery is held back for
LINES = {"ann": 4, "bob": 2, "cyd": 3, "dan": 2, "eve": 4, "fay": 2, "gus": 3}
REST = 0.3  # seconds between two things that one line of a caller does


_TRACEBACK = re.compile(r"^Traceback \(most recent call last\):\n(?: .*\n)+(.*)", re.MULTILINE)


class Soak:
    """One run: its servers, its callers, its storm and its place."""

    def __init__(self, seconds: float, seed: int, folder: Path) -> None:
        self.seconds = seconds
        self.seed = seed
        self.folder = folder
        self.record = Record(seed)
        self.tally: Counter[str] = Counter()
        self.place = PaidPlace(self._draw("place"))
        self.weather = Weather(self._draw("weather"))
        self.samples: list[dict[str, float]] = []
        self.faults: list[str] = []
        self.end: dict[str, Any] = {}
        self._began = monotonic()
        self.storm: Storm
        self.ground: Ground
        self.servers: list[Server] = []

    def _draw(self, what: str) -> random.Random:
        return random.Random(f"{self.seed} {what}")

    async def run(self) -> None:
        async with AsyncExitStack() as stack:
            self.place.base = await stack.enter_async_context(served(self.place.app()))
            proxy = await stack.enter_async_context(faulty(self.place.base, self.weather.choose))
            self.place.base = proxy.url  # where its files are, too
            hook = await stack.enter_async_context(served(self._hooks()))
            self.ground = await asyncio.to_thread(
                prepare, self.folder, proxy.url, list(LINES), self._limits()
            )
            draw = self._draw("ports")
            self.servers = [
                Server(self.ground, name, free_port(draw), self.tally) for name in ("one", "two")
            ]
            async with asyncio.TaskGroup() as group:
                keepers = [group.create_task(server.keep()) for server in self.servers]
                try:
                    await self._load(hook)
                    await self._drain()
                finally:
                    for server in self.servers:
                        await server.down()
                    for keeper in keepers:
                        keeper.cancel()
            self.faults += [fault for server in self.servers for fault in server.faults]

    def _say(self, words: str) -> None:
        accepted, kills = self.record.acknowledged, self.tally["servers killed"]
        at = monotonic() - self._began
        print(f"{at:7.1f} s  {words}: {accepted} jobs, {kills} servers killed", flush=True)

    def _limits(self) -> dict[str, float]:
        """Budgets that some callers meet early, and all together late."""
        per_second = {"": 0.02, "bob": 0.003, "fay": 0.001}
        return {name: round(0.05 + usd * self.seconds, 2) for name, usd in per_second.items()}

    def _hooks(self) -> Starlette:
        draw = self._draw("hooks")

        async def hook(request: Request) -> Response:
            told = await request.json()
            if draw.random() < 0.1:
                return Response(status_code=500)
            self.record.hooks.setdefault(told["request_id"], []).append(told["status"])
            return Response()

        return Starlette(routes=[Route("/hook", hook, methods=["POST"])])

    # The load

    async def _load(self, hook: str) -> None:
        one, two = self.servers
        await one.up()
        self.tally.clear()
        self.tally["starts"] = 1
        stop = asyncio.Event()
        self.storm = Storm(
            self.servers, self.weather, self.ground.data / "jobs.sqlite", self._draw("storm"),
            self.tally, pace=min(4.0, max(2.0, self.seconds / 15)),
        )  # fmt: skip
        self._say("The load begins")
        async with asyncio.TaskGroup() as group:
            lines = [group.create_task(line) for line in self._lines(stop, f"{hook}/hook")]
            storm = group.create_task(self.storm.rage())
            watch = group.create_task(self._watch())
            await asyncio.sleep(self.seconds / 3)
            await two.up()
            await asyncio.sleep(self.seconds / 3)
            one.wanted = False
            await one.down()
            await asyncio.sleep(self.seconds / 3)
            storm.cancel()
            stop.set()
            await asyncio.wait([storm])
            self._say("The storm is over")
            await two.up()
            _, late = await asyncio.wait(lines, timeout=min(LAST_SECONDS, 0.25 * self.seconds))
            for line in late:
                line.cancel()
            self._say("No caller waits any more")
            watch.cancel()

    def _lines(self, stop: asyncio.Event, hook: str) -> list[Any]:
        found = []
        for name, count in LINES.items():
            for number in range(count):
                given = (name, self.ground.keys[name], self._url, self.record)
                draw = self._draw(f"{name} {number}")
                if name in ("cyd", "fay"):
                    caller: Any = Agent(*given, draw)
                elif name == "dan":
                    caller = Subscriber(*given, draw)
                else:
                    caller = Door(*given, draw, hook)
                models = PAID if name in ("bob", "fay", "gus") else FREE
                found.append(caller.live(stop, models, REST))
        return found

    async def _url(self) -> str:
        """Return the address of one of the servers that run, as soon as there is one."""
        while True:
            if up := [server for server in self.servers if server.ready and server.wanted]:
                return random.choice(up).url
            await asyncio.sleep(0.05)

    async def _watch(self) -> None:
        began = monotonic()
        while True:
            resident, files = 0.0, 0
            for server in self.servers:
                if pid := server.pid:
                    mb, fds = memory_of(pid)
                    resident, files = resident + mb, files + fds
            told = {"at": monotonic() - began, "accepted": self.record.acknowledged}
            ended = sum(len(ask.ended) for ask in self.record.asks.values())
            self.samples.append(told | {"ended": ended, "mb": resident, "fds": files})
            await asyncio.sleep(max(0.5, self.seconds / 600))

    # The end

    async def _drain(self) -> None:
        one, server = self.servers
        await one.down()
        await self._until("jobs", "SELECT count(*) FROM jobs WHERE ended_at IS NULL", DRAIN_SECONDS)
        if self.seconds >= TO_THE_LAST_HOOK:
            due = "SELECT count(*) FROM webhooks WHERE state = 'due'"
            await self._until("webhooks", due, HOOK_SECONDS)
        self._say("Nothing is under way any more")
        await self._ask_for_all(server.url)
        self._say("Every job was asked for")
        assert server.pid is not None
        mb, fds = memory_of(server.pid)
        children = descendants(server.pid)
        await server.down()
        await asyncio.sleep(0.5)
        left = [command_of(pid) for pid in children if command_of(pid)]
        self.faults += [f"a process was left over: {command[:200]}" for command in left]
        self.end = {"mb": round(mb, 1), "fds": fds, "slowest_stop_seconds": round(self._slow(), 2)}

    def _slow(self) -> float:
        return max(server.slowest_stop for server in self.servers)

    async def _until(self, what: str, query: str, seconds: float) -> None:
        """Wait until a count in the database is 0."""
        end = monotonic() + seconds
        while monotonic() < end:
            with closing(sqlite3.connect(self.ground.data / "jobs.sqlite", timeout=10)) as db:
                (count,) = db.execute(query).fetchone()
            if not count:
                return
            await asyncio.sleep(0.3)
        if what == "jobs":
            self.faults.append(f"{count} {what} are not over {seconds:.0f} s after the last blow")

    async def _ask_for_all(self, url: str) -> None:
        """Ask for every job that was ever accepted, as its caller would: none may be unknown."""
        asked = iter([(ask, one) for ask in self.record.asks.values() for one in ask.ids])

        async def work() -> None:
            async with httpx2.AsyncClient(timeout=30, trust_env=False) as http:
                for ask, job_id in asked:
                    headers = {"Authorization": f"Key {self.ground.keys[ask.caller]}"}
                    path = f"{url}/queue/{ask.model}/requests/{job_id}/status"
                    answer = await http.get(path, headers=headers)
                    if answer.status_code != 200:
                        words = f"{answer.status_code} {answer.text[:100]}"
                        self.faults.append(f"job {job_id}, asked for at the end: {words}")

        await asyncio.gather(*(work() for _ in range(4)))


def main(docs: bool) -> int:
    seconds = float(os.environ.get("SOAK_SECONDS") or 3600)
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(2**31))
    logging.disable(logging.CRITICAL)  # of the clients, whose lines break all the time
    folder = Path(tempfile.mkdtemp(prefix="media-mcp-soak-"))
    print(f"Soaking for {seconds:g} s with seed {seed} in {folder}", flush=True)
    soak = Soak(seconds, seed, folder)
    asyncio.run(soak.run())
    read = books.Books(soak.ground)
    found = check_everything(soak.ground.data, soak.place.billed(), billing={"fal"})
    faults = [*soak.faults, *books.faults(read, soak.record), *found.faults, *_tracebacks(folder)]
    if seconds < TO_THE_LAST_HOOK:
        faults = [fault for fault in faults if not fault.endswith("webhooks were never told")]
    figures = ledger.figures(soak, read, found)
    (folder / "soak.json").write_text(json.dumps(figures, indent=1))
    print(ledger.table(figures))
    if docs and seconds >= 1800:
        ledger.write(figures, soak.samples, soak.storm.strikes)
    if faults:
        print(f"\nIt does NOT balance ({len(faults)} faults, seed {seed}, {folder}):")
        print("\n".join(f"- {fault}" for fault in faults[:50]))
        return 1
    print("\nIt balances.")
    shutil.rmtree(folder)
    return 0


def _tracebacks(folder: Path) -> list[str]:
    """Return the last line of each traceback in a log: each is a bug of ours."""
    return [
        f"{log.name} holds a traceback: {last}"
        for log in folder.glob("*.log")
        for last in _TRACEBACK.findall(log.read_text(errors="replace"))
    ]


if __name__ == "__main__":
    sys.exit(main("--docs" in sys.argv[1:]))
