"""The command line, run in this process or as a child, with a data folder of its own."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from media_mcp.cli import main


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder; the data folder and the user's configuration are below it."""
    monkeypatch.setenv("MEDIA_MCP_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    """A command may leave the garbage collector off or its objects frozen; the tests go on."""
    yield
    gc.unfreeze()
    gc.enable()


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def call(*words: str) -> Ended:
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Ended(int(code), said.out, said.err)

    return call


@dataclass
class Child:
    """`media-mcp …` as another process; its streams are pipes."""

    process: subprocess.Popen[str]

    def line_of_stderr(self, wanted: str) -> str:
        """Wait for a line on standard error that holds `wanted`."""
        for line in self.process.stderr:
            if wanted in line:
                return line
        raise AssertionError(f"The process ended without saying {wanted!r}.")

    def end(self, number: signal.Signals | None = None) -> Ended:
        """Send a signal, if given, and wait for the end; standard input stays open meanwhile."""
        if number is not None:
            self.process.send_signal(number)
        self.process.wait(timeout=60)
        return Ended(
            self.process.returncode, self.process.stdout.read(), self.process.stderr.read()
        )


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, **more: Any) -> Child:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; from media_mcp.cli import main; sys.exit(main())"]
            + [str(word) for word in words],
            stdin=more.pop("stdin", pipe),
            stdout=more.pop("stdout", pipe),
            stderr=more.pop("stderr", pipe),
            text=True,
            env=os.environ | more,
        )
        started.append(process)
        return Child(process)

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


CARD = """\
id: {id}
title: A model
task: text-to-image
licence: MIT
description: Makes something.
inputs:
  prompt: {{type: string, required: true, description: What to make.}}
  tags: {{type: array, items: string, description: Words.}}
  loud: {{type: boolean, default: false, description: Whether loud.}}
outputs:
  images: {{kind: image, mime_type: image/png}}
routes:
  - {route}
"""


@pytest.fixture
def slow(card: Callable[..., Path]) -> tuple[str, ...]:
    """A call that takes ten minutes and says so every 50 ms."""
    card("slow", "{backend: rehearsal, spec: {seconds: 600, steps: 12000}}")
    return ("slow", "prompt=a red boat")


@pytest.fixture
def vouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name ./catalog in the settings: its cards may say what hosted routes cost."""
    monkeypatch.setenv("MEDIA_MCP_CATALOG_DIRS", '["catalog"]')


@pytest.fixture
def card(place: Path) -> Callable[..., Path]:
    """Write a card into ./catalog, which the settings lay over the catalog that ships."""

    def write(id: str = "my/model", route: str = "{backend: rehearsal}") -> Path:
        path = place / "catalog" / f"{id.replace('/', '-')}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(CARD.format(id=id, route=route))
        return path

    return write
