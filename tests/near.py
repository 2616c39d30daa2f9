"""A server of its own, for tests: `near.py FOLDER URL COUNT [paid]`.

It submits COUNT jobs, drawings of their own numbers at the place behind URL, works until every job
in the folder is over, and prints their states as JSON. A `paid` place does not know a submit again.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import anyio

from media_mcp.backends.fal import Fal
from media_mcp.backends.fal.configuration import configuration
from media_mcp.backends.instances import Instance
from media_mcp.catalog.model import Model, OutputSpec, Param, ValueSpec
from media_mcp.job import Caller, MediaKind, Price, Route
from media_mcp.media import MediaStore
from media_mcp.queue import Queue, Submission
from media_mcp.settings import Settings

ANN = Caller("ann")
ROUTE = Route("far", {"endpoint": "rehearsal/image"}, Price(0.0, "call"))
MODEL = Model(
    "drawing",
    "drawing",
    "Drawing",
    "Draws.",
    "text-to-image",
    "MIT",
    (
        Param("prompt", "string"),
        Param("width", "integer"),
        Param("height", "integer"),
        Param("seed", "integer"),
    ),
    (OutputSpec("images", MediaKind.IMAGE, "image/png", "files"),),
    (ROUTE,),
    values=(ValueSpec("seed", "integer"),),
)
PLACE = {
    "timeout_seconds": 3.0,
    "patience_seconds": 60.0,
    "poll_first_seconds": 0.05,
    "poll_most_seconds": 0.5,
    "polls_per_second": 200,
    "concurrency": 24,
}


async def main(folder: Path, url: str, count: int, paid: bool) -> None:
    lines = PLACE | {"url": url, "idempotent_submit": not paid}
    fal = Fal(configuration(Instance("far", lines)), None, folder / "far")
    media = MediaStore(folder / "media")
    async with Queue(Settings(data_dir=folder), {"far": fal}, media, lambda _: MODEL) as queue:
        for number in range(count):
            await queue.submit(call(number))
        print("submitted", flush=True)
        for job in await queue.jobs(ANN, limit=1000):
            await queue.wait(job.id, ANN, 120)
        jobs = await queue.jobs(ANN, limit=1000)
    await fal.aclose()
    print(json.dumps(Counter(job.state for job in jobs)), flush=True)


def call(number: int) -> Submission:
    arguments = {"prompt": f"drawing {number}", "width": 48, "height": 48}
    return Submission(MODEL, arguments, ANN, "queue", seed=number)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), "paid" in sys.argv)
