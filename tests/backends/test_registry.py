"""Backends are found by name, whoever ships them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from media_mcp.backends import registry
from media_mcp.backends.local import Local
from media_mcp.backends.rehearsal import Rehearsal
from media_mcp.errors import NotConfigured
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
