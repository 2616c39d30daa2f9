"""A crowd of fal's own Python client on one server: none of their calls fails."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import fal_client
import pytest

MEDIA_MCP = Path(sys.executable).with_name("media-mcp")
SUBSCRIBERS = 200


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The address of a server whose every model takes a moment, eight jobs at a time."""
    command = [MEDIA_MCP, "serve", "--http", "127.0.0.1:0", "--data-dir", tmp_path, "--rehearse"]
    slow = {"MEDIA_MCP_REHEARSE_SECONDS": "0.4", "XDG_CONFIG_HOME": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | slow, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = [process.stderr.readline()]
        listening = re.search(r"(http://\S+)/mcp", said[0])
        reader = Thread(target=said.extend, args=(process.stderr,))
        reader.start()
        try:
            assert listening, said
            yield listening[1]
        finally:
            process.terminate()
            process.wait(20)
            reader.join()
    assert len(said) == 1, "".join(said)  # nothing went wrong that the server had to tell of


def test_two_hundred_subscribers_at_once_all_get_their_own_result(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fal_client.client, "QUEUE_URL_FORMAT", f"{url}/queue/")
    results = asyncio.run(subscribed(SUBSCRIBERS))
    faults = [repr(result) for result in results if isinstance(result, BaseException)]
    assert faults == []
    assert [result["seed"] for result in results] == list(range(SUBSCRIBERS))


async def subscribed(count: int) -> list[object]:
    client = fal_client.AsyncClient(key="id:secret")
    given = [{"prompt": "x", "seed": seed, "width": 32, "height": 32} for seed in range(count)]
    calls = [client.subscribe("rehearsal/image", one, with_logs=True) for one in given]
    try:
        return await asyncio.gather(*calls, return_exceptions=True)
    finally:
        http = await client._client  # the client has no way of its own to close its connections
        await http.aclose()
