"""The house: what is loaded where, what ships in the wheel, what keeps the code small."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import TOOL_NAME
from media_mcp.server.general_tools import TOOLS

HERE = Path(__file__).resolve().parents[1]
TENSORS = {"torch", "diffusers", "transformers", "numpy", "accelerate", "safetensors", "peft"}
LAZY = {"av", "PIL", "obstore", "rich"}
SERVE = "import sys; from media_mcp.cli import main; sys.exit(main(['serve']))"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}


def served(stderr: IO[str], data: Path) -> subprocess.Popen[str]:
    """Start a server over stdio that writes each import to `stderr`."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-X", "importtime", "-c", SERVE],
        stdin=pipe,
        stdout=pipe,
        stderr=stderr,
        text=True,
        env=os.environ | {"MEDIA_MCP_DATA_DIR": str(data)},
    )


def test_a_server_that_has_listed_its_tools_has_loaded_no_tensors(tmp_path: Path):
    asked = "\n".join(json.dumps(message) for message in (INITIALIZE, LIST)) + "\n"
    log = tmp_path / "imports"
    with log.open("w") as stderr, served(stderr, tmp_path / "data") as server:
        server.stdin.write(asked)
        server.stdin.flush()
        answers = [json.loads(server.stdout.readline()) for _ in range(2)]
        server.stdin.close()
    assert "sketch" in [tool["name"] for tool in answers[1]["result"]["tools"]]
    lines = log.read_text().splitlines()
    loaded = {line.rpartition("|")[2].strip() for line in lines}
    assert "media_mcp.server.mcp" in loaded
    assert loaded.isdisjoint(TENSORS | LAZY)


@pytest.mark.parametrize(
    "module",
    [
        "media_mcp.server.mcp",
        "media_mcp.server.http",
        "media_mcp.queue",
        "media_mcp.backends.local",
        "media_mcp.backends.rehearsal",
        "media_mcp.media",
        "media_mcp.catalog.catalog",
        "media_mcp.worker.protocol",
    ],
)
def test_a_room_can_be_imported_without_tensors(module: str):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert TENSORS.isdisjoint(loaded.stdout.split())


def test_every_tool_name_is_one_that_every_client_takes():
    names = [tool.name for tool in TOOLS] + [model.tool for model in Catalog.load()]
    assert [name for name in names if not TOOL_NAME.match(name)] == []
    assert len(names) == len(set(names))


def test_the_default_list_of_tools_is_short():
    assert len(TOOLS) + len(Catalog.load().select("featured")) <= 20


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built as it is for a release."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*command, "--wheel-dir", folder, HERE], check=True, timeout=110)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as opened:
        yield opened


def test_the_wheel_holds_every_card_and_the_licence(wheel: zipfile.ZipFile):
    names = set(wheel.namelist())
    cards = {f"media_mcp/data/catalog/{path.name}" for path in (HERE / "catalog").glob("*.yaml")}
    assert cards and cards <= names
    assert "media_mcp/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_wheel_holds_the_embedded_model_in_ten_megabytes(wheel: zipfile.ZipFile):
    weights = [i for i in wheel.infolist() if i.filename.startswith("media_mcp/worker/sketch/")]
    names = {Path(info.filename).name for info in weights}
    assert {"model_index.json", "diffusion_pytorch_model.safetensors"} <= names
    assert sum(info.file_size for info in weights) <= 10 * 2**20
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl", ".py"))]


def test_an_installed_wheel_opens_the_catalog_that_was_compiled_into_it(
    wheel: zipfile.ZipFile, tmp_path: Path
):
    wheel.extractall(tmp_path / "site")
    code = (
        "from media_mcp.catalog.catalog import Catalog\n"
        "from media_mcp.catalog.sources import shipped_folder\n"
        "print(len(Catalog.load()), shipped_folder())"
    )
    # The copy is gone when coverage is reported, so it must not be measured.
    uncovered = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    places = {"PYTHONPATH": str(tmp_path / "site"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=tmp_path,
        env=uncovered | places,
    )
    count, folder = found.stdout.split()
    assert int(count) >= 1575
    assert Path(folder).is_relative_to(tmp_path / "site")
    assert not (tmp_path / "cache").exists()


@pytest.fixture
def check_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str], list[str]]:
    """Run the size check over one file and return its complaints."""
    main = runpy.run_path(str(HERE / "scripts" / "check_sizes.py"))["main"]

    def check(source: str) -> list[str]:
        (tmp_path / "file.py").write_text(source)
        code = main(tmp_path)
        said = capsys.readouterr().err.splitlines()
        assert code == (1 if said else 0)
        return said

    return check


def function(lines: int, name: str = "f") -> str:
    return f"def {name}():\n" + "    pass\n" * (lines - 1)


def test_small_functions_are_fine(check_sizes: Callable[[str], list[str]]):
    assert check_sizes("".join(function(7, f"f{i}") for i in range(9))) == []


def test_a_long_function_a_long_file_and_odd_figures_are_told(
    check_sizes: Callable[[str], list[str]],
):
    usual = function(7) * 9
    assert check_sizes(usual + function(61)) == ["file.py:64 f: 61 lines; the bound is 60"]
    assert check_sizes(usual + "\n" * 340) == ["file.py: 403 lines; the bound is 400"]
    assert "the median function has 2 lines" in check_sizes(function(2) * 9)[0]
    assert "the bound is 40" in check_sizes(usual[: len(function(7)) * 5] + function(45) * 3)[0]


def test_the_continuous_integration_runs_what_contributors_run():
    script = HERE / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text()
