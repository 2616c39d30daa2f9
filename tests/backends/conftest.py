"""What the tests of backends share: models, runs that record their reports, scripted workers."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from falplace import KEY, Place, open_place
from media_mcp.backends.base import Report, Run
from media_mcp.backends.fal import Fal
from media_mcp.backends.fal.configuration import configuration
from media_mcp.backends.instances import Instance
from media_mcp.catalog.model import Model, OutputSpec, Param, ValueSpec
from media_mcp.job import Asset, MediaKind, Price, Route

SKETCH = {
    "pipeline": "diffusers",
    "weights": "embedded:sketch",
    "dtype": "float32",
    "map": {"steps": "num_inference_steps", "guidance": "guidance_scale"},
    "set": {"height": 64, "width": 64, "use_resolution_binning": False},
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
    def logs(self) -> list[str]:
        return [r.message for r in self.reports if r.kind == "log"]

    @property
    def remotes(self) -> list[str]:
        return [r.message for r in self.reports if r.kind == "remote"]

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
            job_id=f"{tmp_path.name}-{count}",
            attempt=attempt,
            model=model or model_of(),
            route=Route(backend, spec or {}),
            arguments=arguments,
            seed=seed,
            make_folder=lambda: folder,
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


@pytest.fixture
async def place(anyio_backend: str) -> AsyncIterator[Place]:
    """A place on this machine that speaks the fal queue protocol."""
    async with open_place() as made:
        yield made


@pytest.fixture
async def fal_of(place: Place, tmp_path: Path) -> AsyncIterator[Callable[..., Fal]]:
    """Make backends for the place (or for `url`); the lines are those of a backend.toml."""
    made: list[Fal] = []

    def make(url: str = "", key: str | None = KEY, **lines: Any) -> Fal:
        usual = {"url": url or place.base, "poll_first_seconds": 0.01, "polls_per_second": 500}
        usual |= {"key_env": "FAL_KEY", "timeout_seconds": 5, "patience_seconds": 5}
        told = Instance("fal", usual | lines)
        secret = SecretStr(key) if key else None
        made.append(Fal(configuration(told), secret, tmp_path / "fal"))
        return made[-1]

    yield make
    for backend in made:
        await backend.aclose()


@pytest.fixture
def flux(model_of: Callable[..., Model]) -> Model:
    """A hosted model that makes pictures, priced by the picture."""
    return model_of(
        id="fal-ai/flux/dev",
        inputs=(Param("prompt", "string"), Param("seed", "integer", maximum=1000)),
        outputs=(OutputSpec("images", MediaKind.IMAGE, "image/png", "files"),),
        values=(ValueSpec("prompt", "string"), ValueSpec("timings", "object")),
    )


@pytest.fixture
def fal_run(run_of: Callable[..., Run], flux: Model) -> Callable[..., Run]:
    """Make runs of the hosted model; `remote_id`, `price` and `given_up` may be given."""

    def make(model: Model | None = None, **changes: Any) -> Run:
        own = {name: changes.pop(name) for name in ("remote_id", "given_up") if name in changes}
        price = changes.pop("price", Price(0.05, "image"))
        spec = changes.pop("spec", {"endpoint": "fal-ai/flux/dev"})
        run = run_of(model or flux, spec, backend="fal", **{"prompt": "a red boat"} | changes)
        return replace(run, route=replace(run.route, price=price), **own)

    return make
