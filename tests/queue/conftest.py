"""A real backend whose every step the test decides, and the rooms around a queue."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import pytest

import stores
from media_mcp.backends.base import Readiness
from media_mcp.catalog.model import Model, OutputSpec
from media_mcp.job import Caller, MediaKind, Output, Price, Quote, Result, Route
from media_mcp.media import MediaStore
from media_mcp.queue import Queue, Submission
from media_mcp.settings import Settings


@dataclass
class ScriptedBackend:
    """Writes the prompt into a text file, after whatever the script says.

    `script` is awaited with the run and may return a result, raise, or return None for the usual
    one. `runs` are the runs that began and `cancelled` those stopped; `started` and `stopped` wait.
    """

    name: str = "local"
    concurrency: int = 1
    remote: bool = False
    script: object = None
    loaded: frozenset = frozenset()
    ready: Readiness = field(default_factory=lambda: Readiness(True))
    price: float | None = 0.5
    seconds: float | None = 1.0
    gpu: float | None = None
    runs: list = field(default_factory=list)
    cancelled: list = field(default_factory=list)

    def __post_init__(self):
        self._start, self._started = anyio.create_memory_object_stream(1000)
        self._stop, self._stopped = anyio.create_memory_object_stream(1000)

    async def started(self):
        return await self._started.receive()

    async def stopped(self):
        return await self._stopped.receive()

    async def readiness(self):
        return self.ready

    def quote(self, model, route, arguments):
        return Quote(self.name, self.price, self.price, self.seconds, gpu_seconds=self.gpu)

    def warm(self):
        return self.loaded

    async def run(self, run):
        self.runs.append(run)
        self._start.send_nowait(run)
        try:
            result = await self.script(run) if self.script else None
        except anyio.get_cancelled_exc_class():
            self.cancelled.append(run)
            self._stop.send_nowait(run)
            raise
        return result or wrote(run)

    async def aclose(self):
        for stream in (self._start, self._started, self._stop, self._stopped):
            stream.close()


def wrote(run, text=None, cost=0.25):
    path = run.folder / "out.txt"
    path.write_text(text or f"{run.arguments['prompt']} {run.seed}")
    return Result((Output(path, "text", "text/plain"),), {"seed": run.seed}, cost)


def model(model_id="poem", *backends, outputs=True):
    return Model(
        id=model_id,
        tool=model_id.replace("-", "_"),
        title=model_id,
        description="Writes.",
        task="text-to-text",
        licence="MIT",
        inputs=(),
        outputs=(OutputSpec("text", MediaKind.TEXT, "text/plain"),) if outputs else (),
        routes=tuple(
            Route(
                name,
                {"pipeline" if name == "local" else "endpoint": f"{name}/{model_id}"},
                Price(0.5, "call"),
            )
            for name in backends or ("local",)
        ),
    )


def call(prompt="a red boat", of=None, owner="ann", project="default", door="mcp", **more):
    arguments = more.pop("arguments", {"prompt": prompt})
    return Submission(of or model(), arguments, Caller(owner, project), door, **more)


async def gone(event):
    """A script: run until the test sets the event."""
    await event.wait()


@dataclass
class House:
    """Makes backends and queues on one data folder, and closes the backends in the end."""

    folder: Path
    models: dict = field(default_factory=dict)
    backends: list = field(default_factory=list)

    def backend(self, **facts):
        made = ScriptedBackend(**facts)
        self.backends.append(made)
        return made

    def model_of(self, model_id):
        found = self.models.get(model_id) or model(model_id)
        if isinstance(found, Exception):
            raise found
        return found

    def queue(self, *backends, clock=None, media=None, store=None, **settings):
        more = {"clock": clock} if clock else {}
        return Queue(
            Settings(data_dir=self.folder, **settings),
            {backend.name: backend for backend in backends},
            media or MediaStore(self.folder / "media"),
            self.model_of,
            store=store,
            **more,
        )


@pytest.fixture
async def house(tmp_path, anyio_backend):
    made = House(tmp_path)
    yield made
    for backend in made.backends:
        await backend.aclose()


@pytest.fixture(params=stores.FACTORIES.values(), ids=stores.FACTORIES.keys())
async def shelf(request, tmp_path, anyio_backend):
    made = stores.Shelf(request.param, tmp_path)
    yield made
    for store in made.opened:
        await store.aclose()


@pytest.fixture
async def store(shelf):
    return await shelf.open()


@pytest.fixture
def ann():
    return Caller("ann")


@pytest.fixture
def tools():
    """The helpers of this file, for tests to call."""
    from types import SimpleNamespace

    return SimpleNamespace(call=call, model=model, wrote=wrote, gone=gone, replace=replace)
