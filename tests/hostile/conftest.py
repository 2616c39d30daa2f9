"""What the hostile corpus shares: a store, inputs, and a server that must go on answering."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from media_mcp.media import Inputs, MediaStore

SERVE = "import sys; from media_mcp.cli import main; sys.exit(main())"


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "store")


@pytest.fixture
def inputs(store: MediaStore) -> Callable[..., Inputs]:
    """Make inputs over the store; nothing may be read unless a test says so."""

    def make(**more: Any) -> Inputs:
        given: dict[str, Any] = {"roots": [], "max_bytes": 2_000_000, "allow_private": False}
        return Inputs(store, **(given | more))

    return make


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server as people start it, but that all is rehearsed; yields where it is."""
    place = tmp_path_factory.mktemp("server")
    environment = os.environ | {"MEDIA_MCP_REHEARSE": "true", "XDG_CONFIG_HOME": str(place)}
    words = ["serve", "--http", "127.0.0.1:0", "--data-dir", str(place / "data")]
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=place,
        env=environment,
    ) as process:
        assert process.stderr is not None
        said: list[str] = []
        found = None
        while found is None and (line := process.stderr.readline()):
            said.append(line)
            found = re.search(r"(http\S+)/mcp", line)
        assert found, "".join(said)
        reading = threading.Thread(target=process.stderr.read)  # a full pipe would stop the server
        reading.start()
        yield found[1]
        process.terminate()
        reading.join()


@pytest.fixture
def http(server: str) -> Iterator[httpx2.Client]:
    """A client of that server, which must still answer afterwards."""
    with httpx2.Client(base_url=server, timeout=60) as client:
        yield client
        assert client.get("/health").json()["status"] == "ok"
