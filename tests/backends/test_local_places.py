"""Places beside `local`: the tools' own, and whether their workers stay free of torch."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from media_mcp.backends import registry
from media_mcp.backends.base import Run
from media_mcp.backends.local import Local
from media_mcp.backends.local.configuration import Configuration
from media_mcp.backends.local.process import BOOTSTRAP
from media_mcp.settings import Settings
from media_mcp.worker import protocol

pytestmark = pytest.mark.anyio


async def test_the_tools_are_ready_with_the_base_install() -> None:
    tools = registry.create("tools", Settings())
    assert (await tools.readiness()).ready
    await tools.aclose()


async def test_a_pipeline_that_a_place_does_not_run_is_told(run_of: Callable[..., Run]) -> None:
    place = Local(Configuration(name="tools", pipelines=("tools",), needs=()))
    run = run_of(spec={"pipeline": "diffusers", "weights": "embedded:sketch"})
    quote = place.quote(run.model, run.route, {})
    assert not quote.ready
    assert quote.reason == (
        "tools runs tools, not 'diffusers'. Mend the card, or take another route."
    )


def test_a_worker_on_the_cpu_starts_without_torch_from_any_python(tmp_path: Path) -> None:
    """Nothing but its own file leads it to our code: the folder and the environment are bare."""
    command = [sys.executable, "-I", "-X", "importtime", str(BOOTSTRAP), "--device", "cpu"]
    log = tmp_path / "imports"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=tmp_path,
            env={},
        ) as worker,
    ):
        messages = map(protocol.from_worker, worker.stdout)
        hello = next(message for message in messages if isinstance(message, protocol.Hello))
        worker.stdin.close()
    assert (hello.protocol, hello.device) == (protocol.VERSION, "cpu")
    laid = runpy.run_path(str(BOOTSTRAP))["OURS"]
    loaded = {line.rpartition("|")[2].strip() for line in log.read_text().splitlines()}
    ours = {name for name in loaded if name.startswith("media_mcp")}
    assert "media_mcp.worker.loop" in ours
    assert not [n for n in ours if not n.startswith(("media_mcp.worker", *laid))]
    assert loaded.isdisjoint({"torch", "numpy", "pydantic"})


def test_what_the_worker_imports_of_ours_is_laid_out_for_it() -> None:
    package = BOOTSTRAP.parent
    said = re.compile(r"^ *from media_mcp(\.[a-z_.]+| import [a-z_]+)", re.MULTILINE)
    found = {name for path in package.rglob("*.py") for name in said.findall(path.read_text())}
    named = {f"media_mcp{name.replace(' import ', '.')}" for name in found}
    laid = runpy.run_path(str(BOOTSTRAP))["OURS"]
    assert [n for n in named if not n.startswith("media_mcp.worker.") and n not in laid] == []
