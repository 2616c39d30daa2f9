"""The same no-op through other queues, each with a worker process: prints one JSON line per load.

`queue_peers.py celery|nats FOLDER often|always LOADS`, where LOADS is `[[in flight, jobs], …]` and
`always` syncs the disk before anything counts as kept; `often` is how these queues come (Redis each
second, NATS every two minutes). Runs in the environment of `peer_env.queue_python`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import Any

from ports import free_port, wait_for

HERE = Path(__file__).resolve()
BIN = Path(sys.executable).parent
WORKERS = 2
WARM_UP = 100


@contextmanager
def process(*command: str | Path, **environment: str) -> Iterator[None]:
    child = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
    )
    try:
        yield
    finally:
        child.terminate()
        child.wait()


def report(spent: list[float], seconds: float) -> None:
    late = quantiles(spent, n=20)[-1]
    line = {"rate": len(spent) / seconds, "p50": median(spent) * 1000, "p95": late * 1000}
    print(json.dumps(line), flush=True)


# Celery


def celery(folder: Path, always: bool, loads: list[list[int]]) -> None:
    port = free_port()
    os.environ["BENCH_REDIS"] = f"redis://127.0.0.1:{port}/0"
    kept = ["--appendonly", "yes", "--appendfsync", "always" if always else "everysec"]
    place = ["--port", str(port), "--dir", str(folder), "--save", ""]
    worker = ["-A", "celery_app", "worker", "-c", str(WORKERS), "-l", "ERROR"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with process(BIN / "redis-server", *place, *kept):
        wait_for(port)
        with process(BIN / "celery", *worker, *quiet, PYTHONPATH=str(HERE.parent)):
            from celery_app import app

            _window(app, WORKERS, WARM_UP)
            for at_once, jobs in loads:
                report(*_window(app, at_once, jobs))


def _window(app: Any, at_once: int, jobs: int) -> tuple[list[float], float]:
    """Keep so many jobs in flight; each is fetched in the order of its submit."""
    flying: deque[tuple[float, Any]] = deque()
    spent: list[float] = []
    began = perf_counter()
    for number in range(jobs + at_once):
        if number >= at_once:
            submitted, result = flying.popleft()
            if result.get(timeout=60) != {"said": "x"}:
                raise RuntimeError("A no-op answered something else.")
            spent.append(perf_counter() - submitted)
        if number < jobs:
            flying.append((perf_counter(), app.send_task("no_op", ["x"])))
    return spent, perf_counter() - began


# NATS JetStream


def nats(folder: Path, always: bool, loads: list[list[int]]) -> None:
    port = free_port()
    sync = "\n  sync_interval: always" if always else ""
    (folder / "nats.conf").write_text(
        f'listen: "127.0.0.1:{port}"\njetstream {{\n  store_dir: "{folder}/store"{sync}\n}}\n'
    )
    url = f"nats://127.0.0.1:{port}"
    with process(BIN / "nats-server", "-c", folder / "nats.conf"):
        wait_for(port)
        asyncio.run(_streams(url))
        with process(sys.executable, HERE, "nats-worker", url):
            sleep(1)
            asyncio.run(_nats_client(url, loads))


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    from nats import connect

    connection = await connect(url)
    yield connection
    await connection.close()


async def _streams(url: str) -> None:
    """Jobs leave their stream when they are done; results stay for an hour."""
    from nats.js.api import RetentionPolicy, StreamConfig

    async with _connected(url) as connection:
        js = connection.jetstream()
        work = RetentionPolicy.WORK_QUEUE
        await js.add_stream(StreamConfig("jobs", subjects=["jobs.*"], retention=work))
        await js.add_stream(StreamConfig("results", subjects=["results.*"], max_age=3600))


async def nats_worker(url: str) -> None:
    async with _connected(url) as connection:
        js = connection.jetstream()
        jobs = await js.pull_subscribe("jobs.*", "worker")
        while True:
            try:
                batch = await jobs.fetch(64, timeout=60)
            except TimeoutError:
                continue
            await asyncio.gather(*(_work(js, message) for message in batch))


async def _work(js: Any, message: Any) -> None:
    said = json.dumps({"said": json.loads(message.data)["prompt"]}).encode()
    await js.publish(f"results.{message.subject.partition('.')[2]}", said)
    await message.ack()


async def _nats_client(url: str, loads: list[list[int]]) -> None:
    waiting: dict[str, asyncio.Future[bytes]] = {}

    async def hear(message: Any) -> None:
        waiting.pop(message.subject).set_result(message.data)

    async with _connected(url) as connection:
        await connection.subscribe("results.*", cb=hear)
        js = connection.jetstream()

        async def call(number: int) -> None:
            done = asyncio.get_running_loop().create_future()
            waiting[f"results.{number}"] = done
            await js.publish(f"jobs.{number}", b'{"prompt": "x"}')
            if json.loads(await done) != {"said": "x"}:
                raise RuntimeError("A no-op answered something else.")

        first = 0
        for at_once, jobs in [[WORKERS, WARM_UP], *loads]:
            numbers = iter(range(first, first + jobs))
            spent: list[float] = []
            first += jobs

            async def keep_busy(numbers: Iterator[int], spent: list[float]) -> None:
                for number in numbers:
                    began = perf_counter()
                    await call(number)
                    spent.append(perf_counter() - began)

            began = perf_counter()
            await asyncio.gather(*(keep_busy(numbers, spent) for _ in range(at_once)))
            if jobs != WARM_UP:
                report(spent, perf_counter() - began)


def main() -> None:
    if sys.argv[1] == "nats-worker":
        return asyncio.run(nats_worker(sys.argv[2]))
    queue = {"celery": celery, "nats": nats}[sys.argv[1]]
    queue(Path(sys.argv[2]), sys.argv[3] == "always", json.loads(sys.argv[4]))


if __name__ == "__main__":
    main()
