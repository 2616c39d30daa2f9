"""Backends are found by name, whoever ships them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from media_mcp.backends import registry
from media_mcp.backends.instances import Instance
from media_mcp.backends.local import Local, create
from media_mcp.backends.rehearsal import Rehearsal
from media_mcp.errors import BadSettings, NotConfigured
from media_mcp.settings import Settings

FOLDERS = sorted(path.parent for path in Path("backends").glob("*/backend.toml"))


def test_ours_are_installed_under_their_names() -> None:
    assert {"local", "rehearsal"} <= set(registry.names())
    made = registry.create_all(["rehearsal", "local", "local"], Settings())
    assert isinstance(made["local"], Local)
    assert isinstance(made["rehearsal"], Rehearsal)
    assert [backend.name for backend in made.values()] == list(made)


def test_an_unknown_backend_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(NotConfigured, match=r"no backend called 'rehersal'\. Did you mean rehears"):
        registry.create("rehersal", Settings())
    with pytest.raises(NotConfigured, match=r"no backend called 'zzz'\. Installed: .*local"):
        registry.create("zzz", Settings())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_folder_of_backends_describes_one_that_is_installed(folder: Path) -> None:
    told = tomllib.loads((folder / "backend.toml").read_text())

    assert told["name"] == folder.name
    assert told["kind"] in registry.names()
    assert told["title"]
    assert told["description"]
    assert set(told["settings"]) <= set(Settings.model_fields)
    assert (folder / "README.md").read_text().startswith(f"# {told['title']}\n")


def test_every_backend_of_ours_has_its_folder() -> None:
    assert {folder.name for folder in FOLDERS} >= {"local", "rehearsal"}


def test_a_folder_of_kind_local_makes_one_more_place_with_workers_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "media-mcp" / "backends" / "second-gpu"
    folder.mkdir(parents=True)
    (folder / "backend.toml").write_text('kind = "local"\ndevice = ["cuda:0", "cuda:1"]')
    made = registry.create_all(["local", "tools", "second-gpu"], Settings(device="cpu"))
    assert {name: (b.concurrency, b.remote) for name, b in made.items()} == {
        "local": (1, False),
        "second-gpu": (2, False),
        "tools": (2, False),
    }


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('device = "tpu"', "device.0: String should match"),
        ("device = []", "device: Tuple should have at least 1 item"),
        ("concurrency = 65", "concurrency: Input should be less than or equal to 64"),
        ("idle_secconds = 3", "idle_secconds: Extra inputs are not permitted"),
    ],
)
def test_a_place_of_kind_local_that_says_what_cannot_be_is_told(line: str, told: str) -> None:
    lines = Instance("box", tomllib.loads(line), Path("box/backend.toml"))
    with pytest.raises(BadSettings, match=f"^box/backend.toml: {re.escape(told)}"):
        create(Settings(), lines)
