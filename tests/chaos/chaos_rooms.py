"""The rooms of a server under test: real ones, with a place that bills, a worker and a desk.

Waits that are minutes in the field are fractions of a second here, all by the same measure.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import anyio
import httpx2
from PIL import Image, ImageDraw

from falplace import picture as drawn
from media_mcp.backends.base import Readiness, Report, Run
from media_mcp.backends.fal import Fal, client
from media_mcp.backends.fal.configuration import configuration
from media_mcp.backends.instances import Instance
from media_mcp.backends.local import Local
from media_mcp.backends.local.configuration import Configuration
from media_mcp.catalog.model import Model, OutputSpec, Param
from media_mcp.errors import BackendFailed, StorageFailed
from media_mcp.job import JSON, Asset, Caller, MediaKind, Output, Price, Quote, Result, Route
from media_mcp.job import Webhook as Hook
from media_mcp.media import MediaStore
from media_mcp.queue import Queue, Submission, attempt, later, outbox, watch
from media_mcp.queue.liveness import this_instance
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.server.auth import Gate
from media_mcp.server.queue_api import webhooks
from media_mcp.server.queue_api.keys import ServerKey
from media_mcp.server.queue_api.links import Links
from media_mcp.server.queue_api.results import Results
from media_mcp.server.queue_api.webhooks import Try, Webhooks
from media_mcp.settings import Settings
from media_mcp.tables import Budget
from plans import Call

PRICE = Price(0.04, "call")
GPU_RATE = 2.0
BUSY_SECONDS = 0.1
ANN = Caller("ann")
PLACE = {
    "timeout_seconds": 1.0,
    "patience_seconds": 0.4,
    "poll_first_seconds": 0.01,
    "poll_most_seconds": 0.03,
    "polls_per_second": 500,
    "upload": "inline",
}
PICTURE = (OutputSpec("images", MediaKind.IMAGE, "image/png", "files"),)
SHAPES = [{"kind": "ellipse", "x": 4, "y": 4, "width": 8, "height": 8}]
SCHEDULE = tuple(Try(0.05, 2) for _ in range(40))
SIDE = 16
TRUST = httpx2.create_ssl_context()  # reading all the world's certificates takes its time


def far(backend: str) -> Route:
    return Route(backend, {"endpoint": f"{backend}/draw"}, PRICE)


def tool(name: str) -> Route:
    return Route("tools", {"pipeline": "tools", "tool": name}, Price(0.0, "call"))


def model(name: str, *routes: Route, inputs: tuple[Param, ...] = ()) -> Model:
    words = (Param("prompt", "string"), Param("seed", "integer"))
    outputs = PICTURE
    if name == "show":
        outputs = (OutputSpec("video", MediaKind.VIDEO, "video/mp4"),)
    return Model(
        name, name, name, "Draws.", "text-to-image", "MIT", inputs or words, outputs, routes
    )


DESK = Route("desk", {"pipeline": "desk"}, Price(0.0, "call"))
MODELS = {
    "paid": model("paid", far("paid")),
    "twin": model("twin", far("twin")),
    "detour": model("detour", far("paid"), far("twin")),
    "desk": model("desk", DESK),
    "mask": model("mask", tool("make-mask"), inputs=(Param("shapes", "array"),)),
    "show": model("show", tool("images-to-video"), inputs=(Param("image_urls", "array"),)),
}
OF_KIND = {"flaky": "twin", "bad": "paid", "spoilt": "desk", "tired": "desk"}


class Cards:
    """The catalog as far as the results of these models need one."""

    get = staticmethod(MODELS.__getitem__)


def submission(call: Call, rooms: Rooms, picture: Asset) -> Submission:
    """Return a call in the words of the queue."""
    found = MODELS[OF_KIND.get(call.kind, call.kind)]
    word = {"flaky": "flaky", "bad": "bad", "detour": "away"}.get(call.kind, "good")
    if call.slow and word == "good":
        word = "slow"
    if call.kind in ("spoilt", "tired"):
        word = call.kind
    arguments: dict[str, JSON] = {"prompt": f"{word} {call.number}"}
    inputs: dict[str, Asset] = {}
    if call.kind == "mask":
        arguments = {"width": SIDE, "height": SIDE + call.number, "shapes": SHAPES}
    if call.kind == "show":
        inputs = {picture.uri: picture}
        arguments = {"image_urls": [picture.uri], "seconds_each": 1 + call.number / 100}
    return Submission(
        found,
        arguments,
        ANN,
        call.door,
        inputs,
        key=f"call {call.number}" if call.keyed else None,
        webhook=Hook(f"http://127.0.0.1:{rooms.world}/hook") if call.webhook else None,
        private=call.private,
    )


class Desk:
    """A backend of this machine, in this process: it draws, in steps. It is no place to pay."""

    name = "desk"
    concurrency = 2
    remote = False

    async def readiness(self) -> Readiness:
        return Readiness(True)

    def quote(self, model: Model, route: Route, arguments: Mapping[str, JSON]) -> Quote:
        return Quote("desk", 0.0, 0.0, 0.1, gpu_seconds=0.1)

    def warm(self) -> frozenset[str]:
        return frozenset()

    async def run(self, run: Run) -> Result:
        word = str(run.arguments["prompt"]).partition(" ")[0]
        path = run.folder / "drawing.png"
        for step in range(10 if word == "slow" else 2):
            await run.report(Report("progress", step + 1, 10))
            await anyio.sleep(0.01)
        if word == "tired" and run.attempt == 1:
            raise BackendFailed("The desk is tired.", retryable=True)
        image = Image.new("RGB", (SIDE, SIDE))
        if word != "spoilt" or run.tries == 2:
            box = [run.seed % 7, run.seed % 5, 12, 12]
            ImageDraw.Draw(image).ellipse(box, f"#{run.seed % 0x777777 + 0x888888:06x}")
        image.save(path)
        return Result((Output(path, "images", "image/png"),), {"seed": run.seed})

    async def aclose(self) -> None:
        pass


class Rooms:
    """Opens a queue on a folder, and what belongs to it."""

    def __init__(self, site: Any, clock: Callable[[], float]) -> None:
        hurry()
        self.world: int = site.world
        self.media = MediaStore(site.folder / "assets")
        self.store = SqliteStore(
            site.folder / "jobs.sqlite", this_instance(), clock=clock, busy_seconds=BUSY_SECONDS
        )
        url = f"http://127.0.0.1:{site.place}"
        self.tools = Local(Configuration(name="tools", device=("cpu",), needs=(), extra="tools"))
        self.backends = {
            "paid": far_backend("paid", url, site),
            "twin": far_backend("twin", url, site),
            "desk": Desk(),
            "tools": self.tools,
        }
        settings = Settings(
            data_dir=site.folder,
            attempts=3,
            gpu_rate=GPU_RATE,
            retry_bad_output="always",
            budget=Budget(usd=100.0, gpu_seconds=1000.0),
        )
        self.queue = Queue(
            settings, self.backends, self.media, MODELS.__getitem__, store=self.store, clock=clock
        )
        key = ServerKey(bytes(32))
        self._webhooks = Webhooks(
            self.queue.outbox,
            Results(Cards(), self.media, Links(key, Gate(None), 60)),
            key,
            allow_private=True,
            clock=clock,
            schedule=SCHEDULE,
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for backend in self.backends.values():
                stack.push_async_callback(backend.aclose)
            await stack.enter_async_context(self.queue)
            group = await stack.enter_async_context(anyio.create_task_group())
            group.start_soon(self._webhooks.run)
            stack.callback(group.cancel_scope.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def worker_pids(self) -> Sequence[int]:
        return self.tools.worker_pids

    async def picture(self) -> Asset:
        """Return the asset that some calls bring; the same bytes at every start."""
        return await self.media.put_bytes(
            drawn("green"), role="input", name="a green square", provenance={}
        )

    async def idle(self) -> None:
        """Wait until every job is over, whichever server runs it, and its end has been told."""
        while True:
            try:
                tally, webhook = await self.store.tally(), await self.store.next_webhook()
                if not tally.unfinished and webhook is None:
                    return
            except StorageFailed:
                pass
            await anyio.sleep(0.02)


def far_backend(name: str, url: str, site: Any) -> Fal:
    lines = PLACE | {"url": url, "idempotent_submit": name == "twin"}
    return Fal(configuration(Instance(name, lines)), None, site.folder / name)


def hurry() -> None:
    """Wait less, where waiting is all that time is for."""
    client.FIRST_WAIT, client.MOST_WAIT = 0.02, 0.1
    attempt.STORE_AGAIN_SECONDS = later.AGAIN_SECONDS = webhooks.AGAIN_SECONDS = 0.05
    httpx2._transports.default.create_ssl_context = lambda *given, **more: TRUST
    watch.LOOK_SECONDS, watch.BEAT_SECONDS = 0.03, 0.2
    outbox.HOLD_SECONDS = 0.5
    os.environ["OMP_NUM_THREADS"] = "1"
