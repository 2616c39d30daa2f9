"""What the tests of backends share: models, runs that record their reports, scripted workers."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from media_mcp.backends.base import Report, Run
from media_mcp.catalog.model import Model, OutputSpec
from media_mcp.job import Asset, MediaKind, Route

SKETCH = {
    "pipeline": "diffusers",
    "weights": "embedded:sketch",
    "dtype": "float32",
    "map": {"steps": "num_inference_steps", "guidance": "guidance_scale"},
    "call": {"height": 64, "width": 64, "use_resolution_binning": False},
    "enlarge": "size",
}
KINDS = {
    "image": (MediaKind.IMAGE, "image/png"),
    "svg": (MediaKind.IMAGE, "image/svg+xml"),
    "video": (MediaKind.VIDEO, "video/mp4"),
    "audio": (MediaKind.AUDIO, "audio/wav"),
    "text": (MediaKind.TEXT, "application/json"),
    "model3d": (MediaKind.MODEL3D, "model/gltf-binary"),
    "file": (MediaKind.FILE, "application/zip"),
}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Recorder:
    """Keeps the reports of a run and lets a test wait for the nth step."""

    reports: list[Report] = field(default_factory=list)
    until: int = 2
    reached: anyio.Event = field(default_factory=anyio.Event)

    async def __call__(self, report: Report) -> None:
        self.reports.append(report)
        if len(self.steps) >= self.until:
            self.reached.set()

    @property
    def steps(self) -> list[tuple[int | None, int | None]]:
        return [(r.step, r.total) for r in self.reports if r.kind == "progress"]


@pytest.fixture(scope="session")
def model_of() -> Callable[..., Model]:
    def make(kind: str = "image", mime_type: str = "", **changes: Any) -> Model:
        media, usual = KINDS[kind]
        fields: dict[str, Any] = {
            "id": f"tests/{kind}",
            "tool": f"tests_{kind}",
            "title": "A tested model",
            "description": "Makes things for tests.",
            "task": "text-to-image",
            "licence": "MIT",
            "inputs": (),
            "outputs": (OutputSpec("output", media, mime_type or usual),),
            "routes": (),
        }
        return Model(**fields | changes)

    return make


@pytest.fixture
def run_of(tmp_path: Path, model_of: Callable[..., Model]) -> Callable[..., Run]:
    """Make runs, each with a folder of its own and a recorder as its `report`."""
    count = 0

    def make(
        model: Model | None = None,
        spec: dict[str, Any] | None = None,
        *,
        backend: str = "rehearsal",
        seed: int = 7,
        attempt: int = 1,
        inputs: dict[str, Asset] | None = None,
        report: Callable[[Report], Awaitable[None]] | None = None,
        **arguments: Any,
    ) -> Run:
        nonlocal count
        count += 1
        folder = tmp_path / f"run-{count}"
        folder.mkdir()
        return Run(
            job_id=f"job-{count}",
            attempt=attempt,
            model=model or model_of(),
            route=Route(backend, spec or {}),
            arguments=arguments,
            seed=seed,
            folder=folder,
            report=report or Recorder(),
            inputs=inputs or {},
        )

    return make


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Torch on one thread: quicker than two that wait for each other on a busy machine."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield


@pytest.fixture
def scripted(tmp_path: Path) -> Callable[..., str]:
    """Write a program that stands where a worker's Python would; it says it lacks nothing."""

    def write(body: str, lacks: str = "[]") -> str:
        path = tmp_path / "python"
        lines = [f"#!{sys.executable}", "import sys", "if '-c' in sys.argv:"]
        lines += [f"    print({lacks!r})", "    sys.exit()", textwrap.dedent(body)]
        path.write_text("\n".join(lines))
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture(scope="session")
def sketch() -> dict[str, Any]:
    """The route of the embedded model."""
    return SKETCH
