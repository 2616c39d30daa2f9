"""`media-mcp doctor`: each part is told apart, with what mends it."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from media_mcp.cli import checkups


def found(ended) -> dict[str, dict]:
    return {finding["name"]: finding for finding in ended.json}


def test_every_part_is_told(cli):
    ended = cli("doctor", "--json", "--device", "cpu")
    assert ended.code == 0
    parts = found(ended)
    assert set(parts) >= {"python", "packages", "data folder", "store", "catalog", "device"}
    assert "mcp 2." in parts["packages"]["words"]
    assert re.search(r"16\d\d models: .*, \d+ image-to-image,", parts["catalog"]["words"])
    assert parts["backend rehearsal"]["words"] == "ready"
    assert parts["backend tools"]["words"] == "ready: 2 workers (cpu)"
    assert parts["backend espeak"]["fix"] == "Run: media-mcp env create espeak"
    assert parts["device"]["words"].startswith("cpu, ")
    assert parts["settings"]["words"].startswith("MEDIA_MCP_DATA_DIR")


def test_lines_for_people_are_aligned(cli):
    out = cli("doctor", "--device", "cpu").out
    assert re.search("^ok    backend rehearsal  +ready$", out, re.MULTILINE)


def test_a_card_with_an_error_is_told_and_hides_nothing_else(cli, card: Callable[..., Path]):
    path = card()
    path.write_text(path.read_text().replace("task: text-to-image", "task: Text To Image"))
    ended = cli("doctor", "--device", "cpu")
    assert ended.code == 3
    assert re.search(rf"^FAIL  catalog +catalog/{path.name}:3: task", ended.out, re.MULTILINE)
    assert "Mend the card" in ended.out
    assert "ok    store" in ended.out


def test_a_data_folder_that_cannot_be_made_is_told(cli, place: Path):
    (place / "file").touch()
    parts = found(cli("doctor", "--json", "--device", "cpu", "--data-dir", "file/data"))
    assert not parts["data folder"]["ok"] and "Not a directory" in parts["data folder"]["words"]
    assert not parts["store"]["ok"]


def test_a_store_that_is_no_database_is_told(cli, place: Path):
    (place / "data").mkdir()
    (place / "data" / "jobs.sqlite").write_text("not a database " * 100)
    ended = cli("doctor", "--json", "--device", "cpu")
    assert ended.code == 3
    assert not found(ended)["store"]["ok"]


def test_a_device_that_is_not_here_is_told_with_those_that_are(cli):
    device = found(cli("doctor", "--json", "--device", "cuda:77"))["device"]
    assert not device["ok"]
    assert "'cuda:77' is not here" in device["words"] and "cpu" in device["words"]


def test_a_worker_python_that_is_none_is_told(cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEDIA_MCP_WORKER_PYTHON", "/nowhere/python")
    parts = found(cli("doctor", "--json"))
    assert not parts["device"]["ok"] and "/nowhere/python did not tell" in parts["device"]["words"]
    assert not parts["backend local"]["ok"] and parts["backend local"]["fix"]


def test_a_backend_with_a_bad_setting_is_told(cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEDIA_MCP_REHEARSE_FAILURE", "nonsense")
    part = found(cli("doctor", "--json", "--device", "cpu"))["backend rehearsal"]
    assert not part["ok"] and "nonsense" in part["words"]


def test_a_third_party_backend_that_breaks_hides_nothing_else(cli, monkeypatch: pytest.MonkeyPatch):
    def create(name: str, settings: object) -> object:
        raise ImportError("No module named 'moonlib'")

    monkeypatch.setattr("media_mcp.backends.registry.create", create)
    parts = found(cli("doctor", "--json", "--device", "cpu"))
    assert "cannot be loaded: ImportError" in parts["backend local"]["words"]
    assert parts["catalog"]["ok"]


def test_missing_packages_are_told_with_the_command_that_brings_them(
    cli, monkeypatch: pytest.MonkeyPatch
):
    real = checkups.version

    def version(name: str) -> str:
        if name in ("torch", "rich"):
            raise PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(checkups, "version", version)
    ended = cli("doctor", "--json", "--device", "cpu")
    assert ended.code == 3
    parts = found(ended)
    assert "lacks rich" in parts["packages"]["words"]
    assert "torch" in parts["[local]"]["words"]
    assert parts["[local]"]["fix"] == 'Run: pip install "media-mcp[local]"'


def test_weights_on_disk_are_told_with_their_size_and_what_mends_a_half_one(
    cli, card: Callable[..., Path], place: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_HUB_CACHE", str(place / "hub"))
    card(route="{backend: local, spec: {pipeline: diffusers, weights: acme/painter}}")
    assert found(cli("doctor", "--json", "--device", "cpu"))["weights"]["words"].startswith("none")
    home = place / "hub" / "models--acme--painter"
    folder = home / "snapshots" / "c0ffee"
    (folder / "unet").mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("c0ffee")
    (folder / "model_index.json").write_text('{"unet": ["d", "U"], "vae": ["d", "V"]}')
    (folder / "unet" / "w.safetensors").write_bytes(bytes(2500))
    half = found(cli("doctor", "--json", "--device", "cpu"))["weights"]
    assert not half["ok"]
    assert "acme/painter 2.54 kB; not whole: acme/painter" in half["words"]
    assert half["fix"] == "Run: media-mcp pull my/model"
    (folder / "vae").mkdir()
    assert found(cli("doctor", "--json", "--device", "cpu"))["weights"]["ok"]


def test_the_device_is_told_with_its_memory_and_what_torch_was_built_for(cli):
    parts = found(cli("doctor", "--json", "--device", "cpu"))
    assert re.search(r"cpu, \S+ \S+ \(\S+ \S+ free\), torch \S+ for CPU", parts["device"]["words"])
    assert parts["loaded"]["words"] == "nothing: no worker runs for this data folder"
