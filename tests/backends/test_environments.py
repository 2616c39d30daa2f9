"""Python environments of places: one with another pillow than ours, made and worked in for real."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
from PIL import Image
from PIL import __version__ as OURS

from media_mcp.backends import registry
from media_mcp.backends.instances import Instance, instance
from media_mcp.backends.local import create as create_backend
from media_mcp.backends.local.configuration import configuration
from media_mcp.backends.local.environments import MARKER, Environment
from media_mcp.backends.local.installer import create, missing_in
from media_mcp.backends.local.interpreters import find_python, fits
from media_mcp.backends.local.profile import Profile
from media_mcp.errors import BadSettings, NotConfigured, StorageFailed
from media_mcp.job import Caller, JobState
from media_mcp.server.app import open_app
from media_mcp.settings import Settings, load_settings

THEIRS = "11.3.0"
TOML = f"""
kind = "local"
title = "Old pictures"
device = "cpu"
pipelines = ["tools"]
needs = ["PIL"]

[environment]
requirements = ["pillow=={THEIRS}"]
notice = "Pillow is HPND."
"""
CARD = """
id: tests/turn
title: Turn
task: image-to-image
licence: MIT
description: Turns a picture by a quarter.
inputs:
  image_url: {type: string, media: image, required: true, description: The picture.}
  angle: {type: number, default: 90, description: Degrees.}
outputs:
  images: {kind: image, mime_type: image/png}
routes:
  - backend: old-pictures
    price: {amount: 0, unit: call, certainty: exact}
    spec: {pipeline: tools, tool: rotate-image}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user's folders, with a place that wants another pillow, and its environment made."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "config" / "media-mcp" / "backends" / "old-pictures"
    folder.mkdir(parents=True)
    (folder / "backend.toml").write_text(TOML)
    (home / "cards").mkdir()
    (home / "cards" / "turn.yaml").write_text(CARD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        yield home


@pytest.fixture(scope="module")
def said(home: Path) -> list[str]:
    """What was told while the environment was made."""
    told = instance("old-pictures")
    place = configuration(told, load_settings(data_dir=home / "data"))
    lines: list[str] = []
    create(place.own, place.needs, lines.append)
    return lines


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Environment]:
    def make(*requirements: str, **more: object) -> Environment:
        profile = Profile(requirements=requirements or ("pillow",), **more)
        return Environment("box", profile, tmp_path / "envs" / "box")

    return make


@pytest.mark.anyio
async def test_a_job_runs_with_a_package_of_another_version_than_ours(
    home: Path, said: list[str], tmp_path: Path
) -> None:
    picture = tmp_path / "wide.png"
    Image.new("RGB", (30, 10), "red").save(picture)
    settings = load_settings(data_dir=home / "data", catalog_dirs=[home / "cards"])
    async with open_app(settings, [tmp_path]) as app:
        model = app.catalog.get("tests/turn")
        order = await app.intake.prepare(model, {"image_url": str(picture)}, Caller())
        submitted = await app.intake.submit(order, Caller(), "mcp")
        job = await app.queue.wait(submitted.job.id, Caller(), 60)
        assert (job.state, job.failure) == (JobState.SUCCEEDED, None)
        (asset,) = job.assets
        assert (asset.width, asset.height) == (10, 30)
        (pid,) = app.backends["old-pictures"].worker_pids
        loaded = anyio.Path(f"/proc/{pid}/maps")
        if await loaded.exists():
            assert f"{home}/data/envs/old-pictures" in await loaded.read_text()
    assert OURS != THEIRS


def test_making_it_is_told_line_by_line(said: list[str]) -> None:
    assert said[0].startswith("Making ")
    assert any(THEIRS in line for line in said[1:])


def test_only_what_the_profile_asks_for_and_our_worker_can_be_imported_there(
    home: Path, said: list[str]
) -> None:
    (python,) = (home / "data" / "envs" / "old-pictures").glob("*/bin/python")
    code = (
        "import PIL, importlib.util as u\n"
        "print(PIL.__version__, *map(u.find_spec, ['pydantic', 'media_mcp']))"
    )
    told = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == [THEIRS, "None", "None"]


@pytest.mark.anyio
async def test_a_changed_profile_says_that_it_is_out_of_date(home: Path, said: list[str]) -> None:
    settings = Settings(data_dir=home / "data")
    lines = {"kind": "local", "pipelines": ["tools"], "needs": ["PIL"]}
    told = {}
    for version in (THEIRS, "11.2.1"):
        profile = {"requirements": [f"pillow=={version}"], "notice": "Other words."}
        place = Instance("old-pictures", lines | {"environment": profile})
        told[version] = await create_backend(settings, place).readiness()
    assert told[THEIRS].ready
    assert told["11.2.1"].reason == (
        "its Python environment is out of date: the profile has changed."
    )
    assert told["11.2.1"].fix == "Run: media-mcp env create old-pictures"


@pytest.mark.anyio
async def test_one_that_was_not_made_says_the_command_that_makes_it(tmp_path: Path) -> None:
    lines = {"kind": "local", "environment": {"requirements": ["pillow"]}}
    backend = create_backend(Settings(data_dir=tmp_path), Instance("box", lines))
    told = await backend.readiness()
    assert (told.ready, told.fix) == (False, "Run: media-mcp env create box")
    assert told.reason == "its Python environment has not been made."


def test_half_of_one_is_told_and_made_again(own: Callable[..., Environment]) -> None:
    environment = own("nothing-of-this-name==1")
    assert environment.state == "not made"
    (environment.folder / "bin").mkdir(parents=True)
    assert environment.state == "half made"
    with pytest.raises(NotConfigured):
        create(environment, (), lambda line: None)
    assert environment.state == "not made"


def test_one_whose_python_is_gone_is_told(own: Callable[..., Environment]) -> None:
    environment = own()
    environment.folder.mkdir(parents=True)
    environment.mark("3.11")
    environment.python.parent.mkdir()
    environment.python.symlink_to("/no/such/python")
    assert environment.state == "broken"
    with pytest.raises(NotConfigured, match="does not run"):
        missing_in(environment, ["PIL"])


def test_a_package_that_there_is_not_is_named(own: Callable[..., Environment]) -> None:
    with pytest.raises(NotConfigured, match=r"box could not be made: .*no-such-thing") as caught:
        create(own("media-mcp-no-such-thing==1"), (), lambda line: None)
    assert "backends/box/backend.toml" in caught.value.hint


def test_what_is_installed_must_bring_the_modules_that_are_needed(
    own: Callable[..., Environment],
) -> None:
    environment = own("iniconfig")
    with pytest.raises(NotConfigured, match="brings no module torch"):
        create(environment, ("iniconfig", "torch"), lambda line: None)
    assert not environment.folder.exists()


def test_a_full_disk_is_told_and_gives_back_what_it_took(
    own: Callable[..., Environment], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The installer is one that fills the disk: it says what pip says then."""
    pip = tmp_path / "pip.py"
    pip.write_text("raise SystemExit('ERROR: Could not: [Errno 28] No space left on device: x')")
    monkeypatch.setattr(
        "media_mcp.backends.local.installer._installer", lambda env: [sys.executable, str(pip)]
    )
    environment = own()
    with pytest.raises(NotConfigured, match="No space left on device") as caught:
        create(environment, (), lambda line: None)
    assert caught.value.hint.startswith(f"Free some space on the disk of {tmp_path}")
    assert not environment.folder.exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "envs" / "box"
    environment = Environment("box", Profile(requirements=("x",)), home)
    with pytest.raises(StorageFailed, match="cannot be written: Not a directory"):
        create(environment, (), lambda line: None)


def test_two_that_make_the_same_are_kept_apart(own: Callable[..., Environment]) -> None:
    with own().alone(), pytest.raises(NotConfigured, match="Another process is at"):
        create(own(), (), lambda line: None)


@pytest.mark.parametrize(
    ("version", "spec", "fit"),
    [
        ((3, 12), ">=3.11,<3.13", True),
        ((3, 13), ">=3.11,<3.13", False),
        ((3, 10), ">=3.10", False),
        ((3, 12), "==3.12", True),
        ((3, 12), "==3.12.*", True),
        ((3, 12), "!=3.12", False),
        ((3, 12), ">3.11, <=3.12", True),
    ],
)
def test_which_pythons_fit(version: tuple[int, int], spec: str, fit: bool) -> None:
    assert fits(version, spec) is fit


def test_no_python_that_fits_is_told_with_what_to_do() -> None:
    with pytest.raises(NotConfigured, match=r"no Python ==3\.9 here: no version can fit") as caught:
        find_python("==3.9")
    assert "or install uv" in caught.value.hint


def test_a_python_that_does_not_run_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minor = 12 if sys.version_info[1] != 12 else 13
    broken = tmp_path / f"python3.{minor}"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    with pytest.raises(NotConfigured, match=r"python3\.\d+ \(does not run\)"):
        find_python(f"==3.{minor}")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ({"requirements": []}, "environment.requirements: Tuple should have at least 1 item"),
        (
            {"requirements": ["x"], "python": "new"},
            "environment.python: 'new' is no list of Python",
        ),
        ({"requirements": ["x"], "pyhton": "3"}, "environment.pyhton: Extra inputs are not"),
    ],
)
def test_a_profile_that_says_what_cannot_be_is_told(
    lines: dict[str, object], told: str, tmp_path: Path
) -> None:
    place = Instance("box", {"kind": "local", "environment": lines}, Path("box/backend.toml"))
    with pytest.raises(BadSettings, match=f"^box/backend.toml: {told}"):
        create_backend(Settings(data_dir=tmp_path), place)


def test_the_marker_is_written_last_and_clears_away_earlier_forms(
    own: Callable[..., Environment],
) -> None:
    old, new = own("a"), own("b")
    for one in (old, new):
        one.folder.mkdir(parents=True)
        one.mark("3.11")
    assert [old.state, new.state] == ["out of date", "ready" if new.python.exists() else "broken"]
    assert not old.folder.exists()
    assert (new.folder / MARKER).exists()


def test_profiles_that_ship_are_whole() -> None:
    for name in registry.names():
        registry.create(name, Settings())
