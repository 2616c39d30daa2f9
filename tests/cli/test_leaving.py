"""The end of a server whose jobs run elsewhere: at a place that bills them, or in a worker."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from falplace import Place, open_place, toml

pytestmark = pytest.mark.anyio
PAID = "{backend: paid, spec: {endpoint: acme/model}, price: {amount: 0.25, unit: call}}"
SKETCH = {"prompt": "a red circle", "steps": 50, "num_images": 4}
DOORS = pytest.mark.parametrize("door", ["http", "stdio"])


def jobs(place: Path) -> list[dict[str, Any]]:
    """Return the jobs as the file has them."""
    with sqlite3.connect(f"file:{place / 'data' / 'jobs.sqlite'}?mode=ro", uri=True) as db:
        db.row_factory = sqlite3.Row
        found = [dict(row) for row in db.execute("SELECT * FROM jobs ORDER BY id")]
    db.close()
    return found


def progress(place: Path) -> int:
    with sqlite3.connect(f"file:{place / 'data' / 'jobs.sqlite'}?mode=ro", uri=True) as db:
        (count,) = db.execute("SELECT count(*) FROM events WHERE kind = 'progress'").fetchone()
    db.close()
    return int(count)


def below(pid: int) -> Iterator[int]:
    """Yield the processes that a process has started, and theirs."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from below(child)


def lives(pid: int) -> bool:
    with suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


class Server:
    """A server in a process of its own; jobs come through one of its doors."""

    def __init__(self, child: Callable[..., Any], door: str) -> None:
        self.door = door
        words = ("--http", "127.0.0.1:0") if door == "http" else ()
        self.child = child("serve", *words, "--device", "cpu")
        self.pid = self.child.process.pid
        if door == "http":
            line = self.child.line_of_stderr("listens on")
            self.url = line.split()[-1].removesuffix("/mcp")
        else:
            client = {"name": "test", "version": "1"}
            self._say(
                "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=client
            )
            self.child.process.stdout.readline()

    def _say(self, method: str, **params: Any) -> None:
        told = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self.child.process.stdin.write(json.dumps(told) + "\n")
        self.child.process.stdin.flush()

    def submit(self, model: str, arguments: dict[str, Any]) -> None:
        if self.door == "http":
            httpx2.post(f"{self.url}/queue/{model}", json=arguments, timeout=60).raise_for_status()
        else:
            self._say(
                "tools/call", name="run_model", arguments={"model": model, "arguments": arguments}
            )

    def leave(self) -> None:
        """End it as its door does, and see that it does so well and takes all that it began."""
        begun = [*below(self.pid)]
        if self.door == "http":
            self.child.process.send_signal(signal.SIGTERM)
        else:
            self.child.process.stdin.close()
        ended = self.child.end()
        assert (ended.code, ended.err) == (0, "")
        assert not [pid for pid in begun if lives(pid)]


async def started(child: Callable[..., Any], door: str) -> Server:
    return await anyio.to_thread.run_sync(Server, child, door)


async def until(true: Callable[[], object]) -> None:
    """Wait for what other processes bring about."""
    while not true():  # noqa: ASYNC110 (another process)
        await anyio.sleep(0.05)


def configure(folder: Path, card: Callable[..., Path], paid: Place, **more: Any) -> None:
    configured = folder / "config" / "media-mcp"
    toml(configured, "paid", kind="fal", url=paid.base, allow_private=True, **more)
    card("acme/model", PAID)


@DOORS
async def test_a_job_under_way_at_a_place_is_taken_up_again_and_paid_once(
    child: Any, card: Any, place: Path, door: str
) -> None:
    async with open_place() as paid:
        configure(place, card, paid)
        paid.state = "IN_PROGRESS"
        first = await started(child, door)
        await anyio.to_thread.run_sync(first.submit, "acme/model", {"prompt": "x"})
        await paid.until(lambda here: here.asked and here.only.looks)
        await anyio.to_thread.run_sync(first.leave)
        (job,) = jobs(place)
        assert (job["state"], job["remote_id"]) == ("queued", paid.only.id)
        assert not paid.only.cancelled
        if door == "stdio":
            return
        second = await started(child, door)
        paid.only.state = "COMPLETED"
        await until(lambda: jobs(place)[0]["state"] == "succeeded")
        await anyio.to_thread.run_sync(second.leave)
    assert paid.count("submit") == 1


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "never answered"])
async def test_a_submit_in_flight_is_paid_once_at_most(
    child: Any, card: Any, place: Path, answered: bool
) -> None:
    """A place that never answers is not waited for any longer than the server has."""
    async with open_place() as paid:
        configure(place, card, paid)
        paid.gate = anyio.Event()
        first = await started(child, "http")
        await anyio.to_thread.run_sync(first.submit, "acme/model", {"prompt": "x"})
        await paid.until(lambda here: here.count("submit"))
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, first.leave)
            if answered:
                await until(lambda: not listens(first))
                paid.gate.set()
        paid.gate.set()
        await until(lambda: paid.asked)
        (job,) = jobs(place)
        if answered:
            assert (job["state"], job["remote_id"]) == ("queued", paid.only.id)
        second = await started(child, "http")
        await until(lambda: jobs(place)[0]["state"] not in ("queued", "running"))
        await anyio.to_thread.run_sync(second.leave)
    (job,) = jobs(place)
    assert job["state"] == ("succeeded" if answered else "failed")
    assert answered or "maybe_spent" in job["failure"]
    assert paid.count("submit") == 1


def listens(server: Server) -> bool:
    """Tell whether a server takes connections, and so has not begun to leave."""
    with suppress(httpx2.TransportError):
        return httpx2.get(f"{server.url}/health", timeout=5).is_success
    return False


@DOORS
async def test_a_job_in_a_worker_goes_back_into_the_queue_and_the_worker_goes(
    child: Any, place: Path, door: str
) -> None:
    first = await started(child, door)
    await anyio.to_thread.run_sync(first.submit, "sketch", SKETCH)
    await until(lambda: progress(place))
    assert [*below(first.pid)]
    await anyio.to_thread.run_sync(first.leave)
    assert [job["state"] for job in jobs(place)] == ["queued"]
