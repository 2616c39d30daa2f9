"""A server of its own, for tests: `server_process.py FOLDER hang|work COUNT`.

It submits COUNT jobs, prints a JSON line for each job that it starts, and leaves when its standard
input ends. Its backend runs a job at once (`work`) or reports a step and never ends (`hang`).
"""

import json
import sys
from pathlib import Path

import anyio
from anyio import to_thread

from media_mcp.backends.base import Readiness, Report
from media_mcp.catalog.model import Model
from media_mcp.job import Caller, Quote, Result, Route
from media_mcp.media import MediaStore
from media_mcp.queue import Queue, Submission
from media_mcp.settings import Settings

MODEL = Model("poem", "poem", "Poem", "Writes.", "text", "MIT", (), (), (Route("local"),))


class Backend:
    name = "local"
    concurrency = 1
    remote = False

    def __init__(self, hang):
        self.hang = hang

    async def readiness(self):
        return Readiness(True)

    def quote(self, model, route, arguments):
        return Quote("local", 0.0, 0.0)

    def warm(self):
        return frozenset()

    async def run(self, run):
        await run.report(Report("remote", message=f"remote {run.job_id}"))
        (run.folder / "half-done").write_text("x")
        print(json.dumps({"job": run.job_id, "attempt": run.attempt}), flush=True)
        if self.hang:
            await run.report(Report("progress", 3, 9))
            await anyio.sleep_forever()
        return Result((), {"by": "the other process"})

    async def aclose(self):
        pass


async def main(folder, mode, count):
    settings = Settings(data_dir=folder)
    backends = {"local": Backend(mode == "hang")}
    async with Queue(settings, backends, MediaStore(folder / "media"), lambda _: MODEL) as queue:
        for n in range(count):
            await queue.submit(Submission(MODEL, {"prompt": f"{n}"}, Caller("ann"), "queue"))
        await to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
