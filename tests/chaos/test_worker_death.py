"""The whole way under fire: a real picture by a real worker that is killed while it draws."""

import os
import signal
from pathlib import Path

import anyio
import pytest
from mcp import Client
from PIL import Image

from media_mcp.backends.local import Local
from media_mcp.job import Caller
from media_mcp.server.app import open_app
from media_mcp.server.mcp import McpServer, surface_of
from media_mcp.settings import load_settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]


async def test_a_worker_that_is_killed_in_mid_step_costs_an_attempt_and_no_picture(
    tmp_path: Path,
) -> None:
    drawing = anyio.Event()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        if total:
            drawing.set()

    async def kill(local: Local) -> None:
        await drawing.wait()
        (pid,) = local.worker_pids
        os.kill(pid, signal.SIGKILL)

    settings = load_settings(data_dir=tmp_path, catalog_dirs=[])
    async with open_app(settings) as app:
        server = McpServer(surface_of(app))
        local = app.backends["local"]
        assert isinstance(local, Local)
        async with server.running(app), Client(server.sdk) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(kill, local)
                arguments = {"prompt": "a red boat", "seed": 3, "steps": 50, "num_images": 4}
                result = await client.call_tool("sketch", arguments, progress_callback=note)
            facts = result.structured_content
            while facts["state"] == "running":
                more = await client.call_tool("get_job", {"job_id": facts["job_id"]})
                facts = more.structured_content
            assert facts["state"] == "succeeded"
            with Image.open(facts["assets"][0]["path"]) as picture:
                assert picture.size == (256, 256)
            job = await app.queue.get(facts["job_id"], Caller())
            assert job.attempt == 2
            assert len(job.assets) == 4
            told = [event.message for event in await app.queue.events(job.id, Caller())]
            assert any("attempt 1 of 3 failed" in message for message in told)
